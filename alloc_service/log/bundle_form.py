"""The form of a bundle `rac-bundle/1`: which members it has, and its manifest.

MANIFEST.json             canonical JSON, SHA-256 and size of every other member
README.txt                how to check it, by program and by hand
audit/checkpoint          the signed note over all of the entries, with its cosignatures
audit/checkpoints/<size>  earlier ones
audit/entries.ndjson      the exact bytes of each entry, a line each
lists/<n>/ceremony.json   the document of the ceremony that gave the list's seed
lists/<n>/design.json     unblinded: the design
lists/<n>/leaves.bin      the commitments, 32 bytes a slot
lists/<n>/openings.txt    unblinded: the openings of the slots that were spent
lists/<n>/seed.json       unblinded, after the end: the seed and what it came from
policy.txt                whom the trial's log and witnesses are, to compare
verify_bundle.py          the verifier; take yours from elsewhere
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.errors import BundleError, CanonError

FORMAT = "rac-bundle/1"
BLINDED, UNBLINDED = "blinded", "unblinded"
MANIFEST, README, POLICY = "MANIFEST.json", "README.txt", "policy.txt"
ENTRIES, CHECKPOINT, VERIFIER = "audit/entries.ndjson", "audit/checkpoint", "verify_bundle.py"
NEEDED = (CHECKPOINT, ENTRIES, MANIFEST, POLICY, README, VERIFIER)

_CHECKPOINTS = re.compile(r"audit/checkpoints/([1-9][0-9]{0,15})", re.ASCII)
_OF_LIST = re.compile(
    r"lists/([1-9][0-9]{0,3})/(ceremony\.json|design\.json|leaves\.bin|openings\.txt|seed\.json)",
    re.ASCII,
)
_SECRET = frozenset({"design.json", "openings.txt", "seed.json"})
_ORIGIN = re.compile(r"[A-Za-z0-9.:-]{1,128}/[A-Za-z0-9._/-]{1,64}/audit", re.ASCII)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says beside hashes.

    Attributes:
        origin: The log's name.
        size: Entries.
        build: `blinded` or `unblinded`.
    """

    origin: str
    size: int
    build: str

    def to_bytes(self, members: Mapping[str, bytes]) -> bytes:
        """Return the canonical bytes of the manifest of these members."""
        files: dict[str, Json] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
            if name != MANIFEST
        }
        return canon(
            {
                "build": self.build,
                "files": files,
                "origin": self.origin,
                "size": self.size,
                "v": FORMAT,
            }
        )


def checkpoint_name(size: int) -> str:
    """Return the name of an earlier checkpoint's member."""
    return f"audit/checkpoints/{size}"


def read_checkpoint_size(name: str) -> int | None:
    """Return the size that a member's name says, or None where it is no earlier checkpoint."""
    match = _CHECKPOINTS.fullmatch(name)
    return None if match is None else int(match[1])


def list_of_member(name: str) -> tuple[int, str] | None:
    """Return list number and file of a list's member, or None where it is no list's."""
    match = _OF_LIST.fullmatch(name)
    return None if match is None else (int(match[1]), match[2])


def check_form(members: Mapping[str, bytes]) -> Manifest:
    """Check that a bundle has the members that it must have and may have, and their hashes.

    Raises:
        BundleError: The first that is wrong.
    """
    for name in NEEDED:
        _require(name in members, name, "it is missing")
    manifest, files = _read_manifest(members[MANIFEST])
    others = members.keys() - {MANIFEST}
    for name in sorted(others - files.keys()):
        raise BundleError(where=name, rule="the manifest does not name it")
    for name in sorted(files.keys() - others):
        raise BundleError(where=name, rule="it is missing, and the manifest names it")
    for name in sorted(others):
        _check_name(name, manifest.build)
        data = members[name]
        hashed = hashlib.sha256(data).hexdigest()
        same = files[name] == {"sha256": hashed, "size": len(data)}
        _require(same, name, "its hash or size is not the one in the manifest")
    return manifest


def _read_manifest(data: bytes) -> tuple[Manifest, Mapping[str, Json]]:
    try:
        document = parse_object(data, MANIFEST)
    except CanonError:
        raise BundleError(where=MANIFEST, rule="it is not canonical JSON") from None
    spelled = document.keys() == {"build", "files", "origin", "size", "v"}
    _require(spelled and document["v"] == FORMAT, MANIFEST, f"it is not spelled as {FORMAT}")
    build, files = document["build"], document["files"]
    origin, size = document["origin"], document["size"]
    named = isinstance(origin, str) and _ORIGIN.fullmatch(origin) is not None
    counted = isinstance(size, int) and not isinstance(size, bool) and size > 0
    _require(named and counted, MANIFEST, "its origin or size is none")
    # A tuple: what stands there may have no hash, such as a list.
    _require(build in (BLINDED, UNBLINDED), MANIFEST, "its build is neither blinded nor unblinded")
    if not isinstance(files, dict):
        raise BundleError(where=MANIFEST, rule="its files are no object")
    return Manifest(str(origin), int(str(size)), str(build)), files


def _check_name(name: str, build: str) -> None:
    of_list = list_of_member(name)
    known = name in NEEDED or of_list is not None or read_checkpoint_size(name) is not None
    _require(known, name, f"{FORMAT} has no member of this name")
    secret = of_list is not None and of_list[1] in _SECRET
    _require(build == UNBLINDED or not secret, name, "a blinded bundle must not hold it")


def lists_of(members: Collection[str]) -> list[int]:
    """Return the numbers of the lists that have a member here, sorted."""
    found = {of_list[0] for name in members if (of_list := list_of_member(name)) is not None}
    return sorted(found)


def _require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)
