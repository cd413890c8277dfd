"""A sealed list, and the file that carries it from where it was made to the service.

`seal_list` makes a fresh tranche key, seals every slot under it, wraps it to the server's key,
seals the design, and forgets the key: what it returns holds no secret in clear. Who made
a package is not in it; what makes it valid is that its root is logged and approved by a second
statistician, and that the sealer opens every blob to its leaf before the list is activated.

A package file is `rac-package/1`: a ZIP archive of five members, in this order, each stored:

    blobs.bin      285 bytes a slot, strata in order and slots in order (`envelope`)
    design.sealed  the sealed design document (`wrap`), at most 1 MiB
    leaves.bin     32 bytes a slot in the same order: the public commitments
    manifest.json  canonical JSON, at most 1 MiB
    wrap.bin       80 bytes: the tranche key, wrapped (`wrap`)

    {"design_sha256":D,"files":{NAME:{"sha256":HEX32,"size":n},… the other four},"kid":KID,
     "list":n,"origin":ORIGIN,"root":R,"strata":[{"code":text,"slots":n},…],"trial":ID,
     "v":"rac-package/1"}

The bytes of the archive are `core.archive`'s: the same sealed list gives the same bytes, and a
reader accepts these alone.
"""

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alloc_service.core.archive import read_archive, write_archive
from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.design import Stratum
from alloc_service.core.generate import GeneratedList
from alloc_service.core.merkle import root_of
from alloc_service.errors import (
    CanonError,
    OriginError,
    PackageFileError,
    SealedListError,
)
from alloc_service.sealing.envelope import (
    BLOB_BYTES,
    HEX32,
    VERSION,
    SlotPlace,
    TrancheKey,
    seal_slot,
)
from alloc_service.sealing.wrap import (
    SEAL_BYTES,
    WRAP_BYTES,
    key_id,
    require_origin,
    seal_design,
    wrap_tranche_key,
)

FORMAT = "rac-package/1"
LEAF_BYTES = 32
MOST_SLOTS = 2_000_000
MEBIBYTE = 2**20
MEMBERS: Mapping[str, int] = {  # name: the most bytes it can have; sorted, as in the archive
    "blobs.bin": MOST_SLOTS * BLOB_BYTES,
    "design.sealed": MEBIBYTE,
    "leaves.bin": MOST_SLOTS * LEAF_BYTES,
    "manifest.json": MEBIBYTE,
    "wrap.bin": WRAP_BYTES,
}

_MANIFEST = "manifest.json"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_KID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_STEP = 1_000


@dataclass(frozen=True, slots=True)
class SealedSlot:
    """One slot of a sealed list: its place, its public commitment, its sealed opening."""

    stratum: int
    slot: int
    leaf: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class SealedList:
    """A whole list, sealed; building one that contradicts itself raises `SealedListError`.

    Attributes:
        origin: The log it is sealed for.
        trial: Trial id.
        list: List number, 1-9,999.
        design_sha256: D, HEX32.
        root: R, HEX32; the leaves lead to it.
        kid: Id of the sealing key.
        strata: Codes and slots, in the design's order; no block size is in them.
        wrap: The wrapped tranche key, 80 bytes.
        design_sealed: The sealed design document.
        leaves: 32 bytes a slot, strata in order, slots in order; public.
        blobs: 285 bytes a slot, in the same order.
    """

    origin: str
    trial: str
    list: int
    design_sha256: str
    root: str
    kid: str
    strata: tuple[Stratum, ...] = field(repr=False)
    wrap: bytes = field(repr=False)
    design_sealed: bytes = field(repr=False)
    leaves: bytes = field(repr=False)
    blobs: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_names(self)
        _check_strata(self.strata)
        _check_sizes(self)
        if _root(self.leaves) != self.root:
            raise SealedListError(where="leaves", rule="they do not lead to the root")

    @property
    def slots(self) -> tuple[int, ...]:
        """Return the slots of each stratum, as logged in `list.sealed`."""
        return tuple(stratum.slots for stratum in self.strata)

    @property
    def wrap_sha256(self) -> str:
        """Return the hash of the wrap, HEX32, as logged in `list.sealed`."""
        return hashlib.sha256(self.wrap).hexdigest()

    def sealed_slots(self) -> Iterator[SealedSlot]:
        """Yield every slot, strata in order and slots in order."""
        index = 0
        for stratum, slots in enumerate(self.slots):
            for slot in range(slots):
                leaf = self.leaves[index * LEAF_BYTES : (index + 1) * LEAF_BYTES]
                blob = self.blobs[index * BLOB_BYTES : (index + 1) * BLOB_BYTES]
                yield SealedSlot(stratum, slot, leaf, blob)
                index += 1


def seal_list(
    generated: GeneratedList,
    public_key: bytes,
    origin: str,
    progress: Callable[[int], object] = lambda _slots: None,
) -> SealedList:
    """Return a generated list sealed for one log and one server.

    The tranche key is made here, is never returned, and is wiped whatever happens.

    Args:
        generated: The list in clear.
        public_key: The server's raw X25519 public key, 32 bytes.
        origin: The origin of the log of the list's own trial.
        progress: Told, now and then, how many more slots are sealed.

    Raises:
        OriginError: The origin is another trial's, or not spelled as one.
        PublicKeyError: The public key is none, or a weak one.
        SealedListError: An opening is not the one its leaf commits to; such a slot would
            never open again.
    """
    design = generated.design
    design_sealed = seal_design(design, public_key, origin)
    tranche_key = TrancheKey.fresh()
    try:
        wrap = wrap_tranche_key(tranche_key, public_key, origin, design.sha256, generated.root)
        blobs = _seal_slots(generated, tranche_key, progress)
    finally:
        tranche_key.wipe()
    return SealedList(
        origin=origin,
        trial=design.trial,
        list=design.list,
        design_sha256=design.sha256,
        root=generated.root,
        kid=key_id(public_key),
        strata=design.strata,
        wrap=wrap,
        design_sealed=design_sealed,
        leaves=generated.leaves,
        blobs=blobs,
    )


def write_package(sealed: SealedList, path: Path) -> None:
    """Write a sealed list as a new package file, fsynced; the same list gives the same bytes.

    Raises:
        PackageFileError: The path is taken or cannot be written; nothing is left there.
    """
    try:
        with path.open("xb") as file:
            try:
                write_archive({**_contents(sealed), _MANIFEST: _manifest(sealed)}, file)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                path.unlink()
                raise
    except OSError as error:
        raise PackageFileError(path=path, reason=error.strerror) from None


def read_package_bytes(data: bytes) -> SealedList:
    """Return the sealed list of a package that was handed in whole.

    Raises:
        SealedListError: It is no such package, or its list contradicts itself.
    """
    return _parse(read_archive(io.BytesIO(data), MEMBERS))


def read_package(path: Path) -> SealedList:
    """Return the sealed list of a package file, accepting its one spelling alone.

    Raises:
        SealedListError: The file is no such package, or its list contradicts itself.
        PackageFileError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _parse(read_archive(file, MEMBERS))
    except OSError as error:
        raise PackageFileError(path=path, reason=error.strerror) from None


def _seal_slots(
    generated: GeneratedList, tranche_key: TrancheKey, progress: Callable[[int], object]
) -> bytes:
    # BytesIO gives its buffer away without a copy, so a million slots stand in memory once.
    blobs = io.BytesIO()
    done = 0
    for done, opening in enumerate(generated.openings(), 1):
        if opening.leaf != generated.leaves[(done - 1) * LEAF_BYTES : done * LEAF_BYTES]:
            rule = "one commits to another opening than the list has at its place"
            raise SealedListError(where="leaves", rule=rule)
        place = SlotPlace(opening.design_sha256, generated.root, opening.stratum, opening.slot)
        blobs.write(seal_slot(tranche_key, place, opening))
        if done % _STEP == 0:
            progress(_STEP)
    progress(done % _STEP)
    return blobs.getvalue()


def _check_names(sealed: SealedList) -> None:
    try:
        require_origin(sealed.origin, sealed.trial)
    except OriginError:
        rule = "it is not spelled as a log's, or not the log of this trial"
        raise SealedListError(where="origin", rule=rule) from None
    _require(1 <= sealed.list <= 9_999, "list", "a list number is from 1 to 9,999")
    _require(bool(HEX32.fullmatch(sealed.design_sha256)), "design_sha256", "no SHA-256 in hex")
    _require(bool(_KID.fullmatch(sealed.kid)), "kid", "no id of a key")


def _check_strata(strata: tuple[Stratum, ...]) -> None:
    _require(1 <= len(strata) <= 1_000, "strata", "a list has 1 to 1,000 strata")
    _require(len({item.code for item in strata}) == len(strata), "strata", "a code stands twice")
    for index, item in enumerate(strata):
        where = f"strata[{index}]"
        fits = 1 <= len(item.code) <= 200 and not _CONTROL.search(item.code)
        _require(fits, where, "a code has 1 to 200 characters, none a control character")
        _require(1 <= item.slots <= 1_000_000, where, "a stratum has 1 to 1,000,000 slots")


def _check_sizes(sealed: SealedList) -> None:
    slots = sum(sealed.slots)
    _require(slots <= MOST_SLOTS, "strata", "a list has at most 2,000,000 slots")
    _require(len(sealed.leaves) == slots * LEAF_BYTES, "leaves", "not 32 bytes for each slot")
    _require(len(sealed.blobs) == slots * BLOB_BYTES, "blobs", "not 285 bytes for each slot")
    first_bytes = sealed.blobs[::BLOB_BYTES]
    _require(first_bytes == VERSION * slots, "blobs", "one is of a version unknown here")
    _require(len(sealed.wrap) == WRAP_BYTES, "wrap", "not 80 bytes")
    fits = SEAL_BYTES < len(sealed.design_sealed) <= MEBIBYTE
    _require(fits, "design", "longer or shorter than any sealed design")


def _require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise SealedListError(where=where, rule=rule)


def _root(leaves: bytes) -> str:
    return root_of([leaves[at : at + LEAF_BYTES] for at in range(0, len(leaves), LEAF_BYTES)]).hex()


def _contents(sealed: SealedList) -> dict[str, bytes]:
    """Return the members but the manifest."""
    return {
        "blobs.bin": sealed.blobs,
        "design.sealed": sealed.design_sealed,
        "leaves.bin": sealed.leaves,
        "wrap.bin": sealed.wrap,
    }


def _manifest(sealed: SealedList) -> bytes:
    files: dict[str, Json] = {name: _fingerprint(data) for name, data in _contents(sealed).items()}
    return canon(
        {
            "design_sha256": sealed.design_sha256,
            "files": files,
            "kid": sealed.kid,
            "list": sealed.list,
            "origin": sealed.origin,
            "root": sealed.root,
            "strata": [{"code": item.code, "slots": item.slots} for item in sealed.strata],
            "trial": sealed.trial,
            "v": FORMAT,
        }
    )


def _parse(members: Mapping[str, bytes]) -> SealedList:
    try:
        manifest = parse_object(members[_MANIFEST], _MANIFEST)
    except CanonError:
        raise SealedListError(where=_MANIFEST, rule="it is not canonical JSON") from None
    _require_files(manifest.get("files"), members)
    sealed = SealedList(
        origin=_text(manifest, "origin"),
        trial=_text(manifest, "trial"),
        list=_integer(manifest, "list"),
        design_sha256=_text(manifest, "design_sha256"),
        root=_text(manifest, "root"),
        kid=_text(manifest, "kid"),
        strata=_strata(manifest.get("strata")),
        wrap=members["wrap.bin"],
        design_sealed=members["design.sealed"],
        leaves=members["leaves.bin"],
        blobs=members["blobs.bin"],
    )
    same = _manifest(sealed) == members[_MANIFEST]
    _require(same, _MANIFEST, f"an unknown or missing key, or another version than {FORMAT}")
    return sealed


def _require_files(files: Json, members: Mapping[str, bytes]) -> None:
    for name, data in members.items():
        if name == _MANIFEST:
            continue
        logged = files.get(name) if isinstance(files, Mapping) else None
        same = logged == _fingerprint(data)
        _require(same, name, "its hash or size is not the one in the manifest")


def _fingerprint(data: bytes) -> dict[str, Json]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _text(row: Mapping[str, Json], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise SealedListError(where=key, rule="a text is expected in the manifest")
    return value


def _integer(row: Mapping[str, Json], key: str) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SealedListError(where=key, rule="an integer is expected in the manifest")
    return value


def _strata(rows: Json) -> tuple[Stratum, ...]:
    strata = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, Mapping):
            raise SealedListError(where="strata", rule="an object is expected for each")
        strata.append(Stratum(_text(row, "code"), _integer(row, "slots")))
    return tuple(strata)
