"""Target: the package of a sealed list, which a statistician hands in from another machine.

A package that is accepted has one spelling: written again it is the same bytes. Its leaves lead to
its root, its strata could be those of a design, and every blob has its place.
"""

import io
from collections.abc import Mapping

from alloc_service.core.archive import write_archive
from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.design import is_stratum_code
from alloc_service.core.generate import generate
from alloc_service.core.merkle import root_of
from alloc_service.core.seed import Seed
from alloc_service.errors import SealedListError
from alloc_service.log.bundle_archive import read_members
from alloc_service.sealing import package
from alloc_service.sealing.package import SealedList
from tests.fuzz.tape import Tape, vary
from tests.support.bundles import TRIAL, design_of
from tests.support.chain import ORIGIN, hex32

MANIFEST = "manifest.json"
LIST = generate(design_of(1, (3, 2)), Seed(hex32("seed")))
SEALED = SealedList(
    origin=ORIGIN,
    trial=TRIAL,
    list=1,
    design_sha256=LIST.design.sha256,
    root=LIST.root,
    kid=hex32("kid")[:16],
    strata=LIST.design.strata,
    wrap=b"\2" * 80,
    design_sealed=b"\3" * 200,
    leaves=LIST.leaves,
    blobs=(b"\1" + b"\4" * 284) * 5,
)


def spell(sealed: SealedList) -> bytes:
    """Return the bytes of a package, without a file."""
    members = {**package._contents(sealed), MANIFEST: package._manifest(sealed)}
    return _pack(members)


def _pack(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    write_archive(members, file)
    return file.getvalue()


PACKED = spell(SEALED)
NAMES = sorted(read_members(PACKED))


def check_package(data: bytes) -> str:
    """Check a package whose file, or manifest, or one of whose members was changed."""
    tape = Tape(data)
    how = tape.below(3)
    if how == 0:
        found = vary(tape, [PACKED])
        word = _check(found.data)
        assert (word == "accepted") == (not found.is_changed)
        return f"{word} file"
    members = read_members(PACKED)
    if how == 1:
        members[MANIFEST] = vary(tape, [members[MANIFEST]]).data
        return f"{_check(_pack(members))} manifest"
    name = NAMES[tape.below(len(NAMES))]
    members[name] = vary(tape, [members[name]]).data
    if name != MANIFEST:
        members[MANIFEST] = _describe(members)
    return f"{_check(_pack(members))} member"


def _describe(members: Mapping[str, bytes]) -> bytes:
    """Return a manifest that fits the members."""
    files: dict[str, Json] = {
        name: package._fingerprint(content) for name, content in members.items() if name != MANIFEST
    }
    return canon({**parse_object(members[MANIFEST]), "files": files})


def _check(packed: bytes) -> str:
    try:
        found = package.read_package_bytes(packed)
    except SealedListError as error:
        assert error.facts["rule"]
        return "refused"
    assert spell(found) == packed
    leaves = [found.leaves[at : at + 32] for at in range(0, len(found.leaves), 32)]
    assert root_of(leaves).hex() == found.root == LIST.root
    assert sum(found.slots) == len(leaves) == 5
    assert all(is_stratum_code(stratum.code) for stratum in found.strata)
    assert len({stratum.code for stratum in found.strata}) == len(found.strata)
    assert found.origin.split("/", 1)[1] == f"{found.trial}/audit"
    slots = list(found.sealed_slots())
    assert b"".join(slot.blob for slot in slots) == found.blobs
    assert {(len(slot.blob), slot.blob[0]) for slot in slots} == {(285, 1)}
    return "accepted"
