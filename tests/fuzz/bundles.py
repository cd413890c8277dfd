"""Targets: a bundle, as a file and by its members; and the archives that packages are in.

`verdict` itself checks that package and stand-alone verifier say the same. A file with any other
byte is refused. A member that was changed under a manifest that fits it is refused too, but for
what nobody vouches for, and for openings and cosignatures that may be left out. An archive that is
accepted has one spelling, and Python's own reader finds the same members in it.
"""

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from alloc_service.core import archive
from alloc_service.errors import (
    BundleError,
    IntegrityError,
    PolicyError,
    SealedListError,
)
from alloc_service.log import bundle_archive
from alloc_service.log.bundle_form import BLINDED, MANIFEST, README, UNBLINDED, VERIFIER
from alloc_service.log.note import Signer
from tests.fuzz.tape import Tape, change, vary
from tests.support.alone import codes, verdict
from tests.support.bundles import (
    LOG,
    Evidence,
    members_of,
    private,
    resealed,
    small_evidence,
    zipped,
)
from tests.support.chain import ADMINISTRATOR

NEW_LOG = Signer(LOG.name, private("the next log key"))
# What nobody but the log vouches for, short here: the true ones are two hundred thousand bytes.
FREE: Mapping[str, bytes] = {README: b"-\n", VERIFIER: b"#\n"}


def _whole_life() -> Evidence:
    """Return a trial that ended: a witness, a ceremony with a beacon, two lists, their seeds."""
    source = "the closing price of 2 January"
    value = hashlib.sha256(source.encode()).hexdigest()
    evidence = Evidence().witnessed(quorum=1)
    evidence.hold_ceremony(1, {"kind": "public-string", "source": source}, value)
    evidence.assign(0, 1).keep_note().add_list(2, (2, 1))
    return evidence.assign(*[0] * 7).assign(0, number=2).close()


def _rotated() -> Evidence:
    """Return a trial whose log's key was changed."""
    evidence = Evidence().add_list(slots=(3, 2)).assign(0).keep_note()
    evidence.chain.add("key.created", by=ADMINISTRATOR, vkey=LOG.verifier.vkey)
    evidence.chain.add("key.rotated", by=ADMINISTRATOR, vkey=NEW_LOG.verifier.vkey)
    evidence.signers = (LOG, NEW_LOG)
    evidence.keep_note().assign(1)
    evidence.signers = (NEW_LOG,)
    return evidence


class Bundled(NamedTuple):
    """A good bundle, and the policy that it is good by.

    Attributes:
        policy: A policy file.
        data: The bundle.
        unopened: Checkpoints that need not be signed by the policy's key: it is younger than they
            are, and an older one's are told to be there, neither opened nor refused.
    """

    policy: str
    data: bytes
    unopened: frozenset[str] = frozenset()


def _slim(evidence: Evidence, *, unblinded: bool = False) -> bytes:
    return resealed({**members_of(evidence.bundle(unblinded=unblinded)), **FREE})


def _bundles() -> Iterator[Bundled]:
    closed = Evidence().add_list(slots=(3, 2)).assign(0, 1).close()
    for evidence in (small_evidence(), closed, _whole_life()):
        for unblinded in (False, True):
            yield Bundled(evidence.policy, _slim(evidence, unblinded=unblinded))
    rotated = _rotated()
    yield Bundled(small_evidence().policy, _slim(rotated))
    unopened = frozenset({"audit/checkpoints/6", "audit/checkpoints/8"})
    yield Bundled(rotated.policy, _slim(rotated), unopened)


BUNDLES: Sequence[Bundled] = tuple(_bundles())
FILES = [one.data for one in BUNDLES]

# A refusal of a bundle is an IntegrityError, or says that the policy does not know its log.
REFUSALS = {PolicyError.code, *codes(IntegrityError)}


def _verdict(data: bytes, policy: str) -> bool:
    """Return whether a bundle is good, by both verifiers and by no other refusal."""
    good, said = verdict(data, policy)
    if not good:
        assert isinstance(said, tuple)
        assert said[0] in REFUSALS
    return good


def check_bundle(data: bytes) -> str:
    """Check a bundle whose file, or one of whose members, or whose manifest was changed."""
    tape = Tape(data)
    how = tape.below(4)
    if how == 0:
        return _check_file(tape)
    bundle = BUNDLES[tape.below(len(BUNDLES))]
    members = members_of(bundle.data)
    if how == 1:
        return _check_member(tape, bundle, members)
    if how == 2:
        return _check_manifest(tape, bundle, members)
    return _check_set(tape, bundle, members)


def _check_file(tape: Tape) -> str:
    found = vary(tape, FILES)
    good = _verdict(found.data, BUNDLES[found.example].policy)
    assert good or found.is_changed
    assert not good or found.data in FILES  # one good bundle may have become another
    return "good file" if good else "refused file"


def _check_member(tape: Tape, bundle: Bundled, members: dict[str, bytes]) -> str:
    names = sorted(members.keys() - {MANIFEST})
    name = names[tape.below(len(names))]
    before = members[name]
    members[name] = vary(tape, [before]).data
    good = _verdict(resealed(members), bundle.policy)
    if not good:
        assert members[name] != before
        return "refused member"
    if members[name] != before and name not in {*FREE, *bundle.unopened}:
        _require_left_out(name, before, members[name])
        return "left out"
    return "good member"


def _require_left_out(name: str, before: bytes, after: bytes) -> None:
    """Check that nothing was changed but for openings and signatures that are not there."""
    if name.startswith("audit/checkpoint"):
        assert after.partition(b"\n\n")[0] == before.partition(b"\n\n")[0]
        return
    assert name.endswith("openings.txt")
    lines = before.splitlines(keepends=True)
    kept = after.splitlines(keepends=True)
    assert kept == [line for line in lines if line in kept]


def _check_manifest(tape: Tape, bundle: Bundled, members: dict[str, bytes]) -> str:
    """Change the manifest itself; the archive around it is spelled well."""
    before = members[MANIFEST]
    members[MANIFEST] = vary(tape, [before]).data
    good = _verdict(zipped(members.items()), bundle.policy)
    if not good:
        assert members[MANIFEST] != before
        return "refused manifest"
    other = {BLINDED: UNBLINDED, UNBLINDED: BLINDED}
    builds = [
        before.replace(f'"build":"{old}"'.encode(), f'"build":"{new}"'.encode())
        for old, new in other.items()
    ]
    assert members[MANIFEST] in {before, *builds}
    return "good manifest"


def _check_set(tape: Tape, bundle: Bundled, members: dict[str, bytes]) -> str:
    """Leave members out, and put in those of another bundle; the manifest fits them."""
    before = dict(members)
    other = members_of(BUNDLES[tape.below(len(BUNDLES))].data)
    for _ in range(tape.below(4)):
        names = sorted(members.keys() - {MANIFEST})
        members.pop(names[tape.below(len(names))])
    for _ in range(tape.below(4)):
        names = sorted(other.keys() - {MANIFEST})
        name = names[tape.below(len(names))]
        members[name] = other[name]
    good = _verdict(resealed(members), bundle.policy)
    if good:
        for name, content in members.items():
            if name not in before:
                assert name.startswith(("lists/", "audit/checkpoints/"))
            elif name not in {MANIFEST, *FREE, *bundle.unopened} and content != before[name]:
                _require_left_out(name, before[name], content)
        return "good set"
    return "refused set"


NAMES: Sequence[str] = (
    "a", "b/c", "a/../b", "../a", "/a", "a//b", "a/", ".", "..", "a/./b", "A", "a\\b", "a b",
    "a\n", "a\0b", "c" * 255, "c" * 256, "\u00e9", MANIFEST, "audit/checkpoint",
)  # fmt: skip
_SAFE = re.compile(r"(?!/)(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/(?!$)|$))+")
LARGEST = {"a": 40, "b/c": 40, MANIFEST: 2_000}


def check_archive(data: bytes) -> str:
    """Check an archive of any members, spelled well or not: one reading of it, or none."""
    tape = Tape(data)
    flags, count = tape.byte(), tape.below(5)
    members = [(NAMES[tape.below(len(NAMES))], tape.take(tape.below(20))) for _ in range(count)]
    ascii_alone = [(name, content) for name, content in members if name.isascii()]
    packed = zipped(ascii_alone, sort=not flags & 1, ends=not flags & 2)
    if flags & 4:
        packed = _compress(ascii_alone)
    if flags & 8:
        packed = _patch_header(packed, tape)
    while not tape.is_over and len(packed) < 20_000:
        packed = change(tape, packed, FILES)
    outcome = _check_bundle_archive(packed)
    return f"{outcome}, {_check_package_archive(packed)}"


def _check_bundle_archive(packed: bytes) -> str:
    try:
        found = bundle_archive.read_members(packed)
    except BundleError as error:
        assert error.facts["rule"]
        return "refused"
    assert _spell(found) == packed
    assert _read_by_python(packed) == list(found.items())
    for name in found:
        assert _SAFE.fullmatch(name), name
        assert ".." not in name.split("/")
    return "accepted"


def _check_package_archive(packed: bytes) -> str:
    """Check the reader of lists' packages, which knows its names."""
    wanted = {name: LARGEST[name] for name in ("a", "b/c")}
    try:
        found = archive.read_archive(io.BytesIO(packed), wanted)
    except SealedListError as error:
        assert error.facts["rule"]
        return "refused"
    assert found.keys() == wanted.keys()
    assert _spell(found) == packed
    assert bundle_archive.read_members(packed) == found
    return "accepted"


def _spell(members: Mapping[str, bytes]) -> bytes:
    again = io.BytesIO()
    archive.write_archive(members, again)
    return again.getvalue()


def _read_by_python(packed: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as read:
        return [(one.filename, read.read(one)) for one in read.infolist()]


def _compress(members: Sequence[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in dict(members).items():
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def _patch_header(packed: bytes, tape: Tape) -> bytes:
    """Change a field of the first header, and its content's CRC with it."""
    if len(packed) < 30:
        return packed
    fields = bytearray(packed)
    at, value = 4 + tape.below(26), tape.byte()
    fields[at] = value
    size = struct.unpack_from("<I", packed, 18)[0]
    start = 30 + struct.unpack_from("<H", packed, 26)[0]
    if at >= 18:
        fields[14:18] = struct.pack("<I", zlib.crc32(packed[start : start + size]))
    return bytes(fields)
