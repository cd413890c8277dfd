"""A bundle `rac-bundle/1`: all of a trial's evidence in one ZIP, for whoever checks it elsewhere.

The same state gives the same bytes. The blinded build holds neither openings nor designs; the
unblinded one may. Only the openings of spent slots are ever in it: a slot to come stays sealed.
The verifier that is in it is for convenience; who trusts nobody brings their own.
"""

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alloc_service.core.archive import write_archive
from alloc_service.core.generate import Opening
from alloc_service.log import bundle_form as form
from alloc_service.log.bundle_lists import write_openings
from alloc_service.log.bundle_readme import README_TEXT
from alloc_service.log.bundle_seed import OpenedSeed

MOST_CHECKPOINTS = 256


@dataclass(frozen=True, slots=True)
class BundledList:
    """What a bundle holds of one list.

    Attributes:
        leaves: The commitments, 32 bytes a slot, strata in order and slots in order.
        ceremony: The announced document of the ceremony that gave its seed, or none.
        design: The design document, or none in a blinded bundle.
        openings: Of spent slots, by the index of their leaves; none in a blinded bundle.
        seed: After the trial's end alone.
    """

    leaves: bytes
    ceremony: bytes | None = None
    design: bytes | None = field(default=None, repr=False)
    openings: Mapping[int, Opening] | None = field(default=None, repr=False)
    seed: OpenedSeed | None = None

    @property
    def is_blinded(self) -> bool:
        """Tell whether it holds nothing that tells an arm or a block."""
        return self.design is None and self.openings is None and self.seed is None

    def members(self) -> Mapping[str, bytes]:
        """Return the files of this list."""
        openings = None if self.openings is None else write_openings(self.openings)
        files = {
            "ceremony.json": self.ceremony,
            "design.json": self.design,
            "leaves.bin": self.leaves,
            "openings.txt": openings,
            "seed.json": None if self.seed is None else self.seed.to_bytes(),
        }
        return {name: data for name, data in files.items() if data is not None}


@dataclass(frozen=True, slots=True)
class BundleParts:
    """What a bundle is made of.

    Attributes:
        origin: The log's name.
        entries: The exact bytes of each entry, all of them.
        checkpoint: The signed note over all of them, with the cosignature lines that there are.
        checkpoints: Earlier notes by size, likewise; at most `MOST_CHECKPOINTS` of them are taken.
        policy: The text that `policy.write_policy` gives.
        lists: Each sealed list by number.
        unblinded: Whether it is the build that may hold openings and designs.
        needed: Sizes of earlier notes without which a good log would be refused: where its key
            changed, and what its witnesses have cosigned last.
    """

    origin: str
    entries: tuple[bytes, ...] = field(repr=False)
    checkpoint: str
    checkpoints: Mapping[int, str] = field(repr=False)
    policy: str
    lists: Mapping[int, BundledList] = field(repr=False)
    unblinded: bool = False
    needed: frozenset[int] = frozenset()


def write_bundle(parts: BundleParts) -> bytes:
    """Return the bytes of a bundle.

    Raises:
        ValueError: A blinded bundle is given what it must not hold.
    """
    if not parts.unblinded and not all(one.is_blinded for one in parts.lists.values()):
        raise ValueError("a blinded bundle holds neither openings nor designs nor seeds")
    members = {
        form.README: README_TEXT.encode(),
        form.CHECKPOINT: parts.checkpoint.encode(),
        form.ENTRIES: b"".join(data + b"\n" for data in parts.entries),
        form.POLICY: parts.policy.encode(),
        form.VERIFIER: read_verifier(),
    }
    earlier = [size for size in parts.checkpoints if size < len(parts.entries)]
    for size in choose_sizes(earlier, parts.needed):
        members[form.checkpoint_name(size)] = parts.checkpoints[size].encode()
    for number, one in parts.lists.items():
        members |= {f"lists/{number}/{name}": data for name, data in one.members().items()}
    build = form.UNBLINDED if parts.unblinded else form.BLINDED
    manifest = form.Manifest(parts.origin, len(parts.entries), build)
    file = io.BytesIO()
    write_archive({**members, form.MANIFEST: manifest.to_bytes(members)}, file)
    return file.getvalue()


def choose_sizes(
    sizes: Collection[int], needed: Collection[int] = (), most: int = MOST_CHECKPOINTS
) -> list[int]:
    """Return at most so many sizes, sorted: those that are needed, and others spread evenly.

    Others are spread by their rank, the largest always among them.
    """
    kept = sorted(set(sizes) & set(needed))[-most:]
    ranked = sorted(set(sizes) - set(kept), reverse=True)
    left = most - len(kept)
    if len(ranked) > left:
        ranked = [ranked[at * len(ranked) // left] for at in range(left)]
    return sorted({*kept, *ranked})


def read_verifier() -> bytes:
    """Return the verifier that stands alone, as the package ships it."""
    return Path(__file__).with_name(form.VERIFIER).read_bytes()
