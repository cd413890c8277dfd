"""The fuzzer: `python -m tests.fuzz.run TARGET --seconds N` lets atheris look for what is wrong.

It begins with the target's corpus and the seeds of `seeds`, follows the edges of `alloc_service`
alone, and keeps what it finds in a folder of its own; a finding stops it with exit code 77 and is
written there as `crash-…`. It needs atheris, which is no dependency: see docs/fuzzing.md.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import atheris

# Every module of the package that a target uses is loaded here, so that its edges are counted.
with atheris.instrument_imports(include=["alloc_service"], enable_loader_override=False):
    from tests.fuzz.targets import CORPUS, TARGETS

from tests.fuzz.seeds import SEEDS

LONGEST = 1_000


def main(arguments: Sequence[str]) -> None:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="how long; 0: until it is stopped")
    parser.add_argument("--found", type=Path, default=Path("var/fuzz"), help="what is kept, where")
    given, others = parser.parse_known_args(arguments)
    found = given.found / given.target
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[given.target]):
        (found / f"seed-{number:02}").write_bytes(seed)
    corpus = CORPUS / given.target
    target = TARGETS[given.target]

    def check(data: bytes) -> None:
        target(data)

    folders = [str(found), *([str(corpus)] if corpus.is_dir() else [])]
    limits = [
        f"-max_total_time={given.seconds}",
        f"-max_len={LONGEST}",
        "-len_control=0",
        "-timeout=60",
    ]
    kept = [f"-artifact_prefix={found}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, *kept, *others, *folders], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
