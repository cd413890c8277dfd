"""What somebody finds who holds a copy of the database and of the anchors, but not the keys.

The bytes of every file are searched for what must not be there: openings, nonces, the seed, the
design's salt, its block sizes, an arm beside a slot. An arm's code does stand in the trial's own
definition, which is public; each place where it is found must be a piece of that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alloc_service.core.generate import GeneratedList
from alloc_service.core.seed import Seed
from alloc_service.trial.definition import TrialDefinition

_CONTEXT = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """One search.

    Attributes:
        name: What was searched for.
        ok: Whether it was found nowhere, or only where it may be.
        detail: How often it was found, and where.
    """

    name: str
    ok: bool
    detail: str


def search(
    files: Iterable[Path], generated: GeneratedList, seed: Seed, definition: TrialDefinition
) -> Iterator[Finding]:
    """Search files for everything that a sealed list hides.

    Args:
        files: A copy of the database and of the anchors.
        generated: The list in clear, from its escrow.
        seed: Its seed, from its escrow.
        definition: The trial's, whose public bytes name the arms.
    """
    data = b"\n".join(path.read_bytes() for path in files)
    design = generated.design
    openings = list(generated.openings())
    yield _absent("openings", data, [b"rac-slot/1|"], f"of the {len(openings)} slots in clear")
    yield _absent("nonces", data, [item.nonce.encode() for item in openings], "of a slot")
    yield _absent("seed", data, [seed.digits.encode(), bytes.fromhex(seed.digits)], "of the list")
    yield _absent("salt", data, [design.salt.encode(), bytes.fromhex(design.salt)], "of the design")
    yield _absent("block sizes", data, [b'"blocks"', b'"size":'], "of the design")
    arms = [arm.code for arm in design.arms]
    yield _absent("arm of a slot", data, [f"|{arm}|".encode() for arm in arms], "in an opening")
    yield _only_in(data, [f'"{arm}"'.encode() for arm in arms], definition.public_bytes())


def _absent(name: str, data: bytes, needles: Iterable[bytes], of: str) -> Finding:
    found = sum(data.count(needle) for needle in needles)
    return Finding(name, found == 0, f"{'none' if found == 0 else found} {of} found")


def _only_in(data: bytes, needles: Iterable[bytes], public: bytes) -> Finding:
    found, outside = 0, 0
    for needle in needles:
        at = data.find(needle)
        while at >= 0:
            found += 1
            outside += not _is_piece(data, at, len(needle), public)
            at = data.find(needle, at + 1)
    place = "all in the trial's public definition, which names its arms"
    detail = place if outside == 0 else f"{outside} outside of the trial's public definition"
    return Finding("arms' names", outside == 0, f"{found} found, {detail}")


def _is_piece(data: bytes, at: int, length: int, public: bytes) -> bool:
    """Tell whether what stands around a place is a piece of the public text.

    A page of the database may end on one side of it, so one side is enough.
    """
    before = data[max(at - _CONTEXT, 0) : at + length]
    after = data[at : at + length + _CONTEXT]
    return before in public or after in public
