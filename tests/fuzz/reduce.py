"""`python -m tests.fuzz.reduce TARGET FOLDER`: keep the few inputs of a folder that say the most.

The corpus in the repository is small on purpose. Of all inputs, those of the corpus among them,
the ones are kept that add a step between two lines of `alloc_service`, or another outcome: the
one that adds the most first, the shorter of two equal ones, and at most `MOST` of them. What a
person gave a name with words, `finding-…` or `case-…`, stays.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from tests.fuzz.targets import CORPUS, TARGETS, Target

MOST = 40
PACKAGE = str(Path(__file__).parents[2] / "alloc_service")

Step: TypeAlias = tuple[str, int, int]


def steps_of(target: Target, data: bytes) -> frozenset[Step]:
    """Return the steps between lines of the package that an input takes, and its outcome."""
    steps: set[Step] = set()

    def trace(frame: FrameType, event: str, _argument: object) -> object:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(PACKAGE):
            return None
        last = 0

        def follow(inner: FrameType, _event: str, _value: object) -> object:
            nonlocal last
            steps.add((name, last, inner.f_lineno))
            last = inner.f_lineno
            return follow

        return follow

    sys.settrace(trace)  # type: ignore[arg-type]  # it may return None, as Python's manual says
    try:
        outcome = target(data)
    finally:
        sys.settrace(None)
    return frozenset(steps | {(outcome, 0, 0)})


def choose(target: Target, inputs: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the inputs that add something, the one that adds the most first."""
    reached = {data: steps_of(target, data) for data in sorted(set(inputs), key=_by_size)}
    known: set[Step] = set()
    for _ in range(MOST):
        if not reached:
            return
        best = max(reached, key=lambda data: (len(reached[data] - known), -len(data)))
        added = reached.pop(best) - known
        if not added:
            return
        known |= added
        yield best


def _by_size(data: bytes) -> tuple[int, bytes]:
    return len(data), data


def name_of(data: bytes) -> str:
    """Return the name of an input in the corpus."""
    return hashlib.sha256(data).hexdigest()[:12]


def _inputs(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(("crash-", "slow-"))]


def main(arguments: Sequence[str]) -> None:
    """Write a target's corpus anew, from itself and a folder of inputs."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.reduce", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    corpus = CORPUS / given.target
    corpus.mkdir(parents=True, exist_ok=True)
    old = [path for path in corpus.iterdir() if "-" not in path.name]
    inputs = [path.read_bytes() for path in (*old, *_inputs(given.folder))]
    kept = list(choose(TARGETS[given.target], inputs))
    for path in old:
        path.unlink()
    for data in kept:
        (corpus / name_of(data)).write_bytes(data)
    size = sum(map(len, kept))
    sys.stdout.write(f"{given.target}: {len(kept)} of {len(inputs)} inputs, {size:,} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
