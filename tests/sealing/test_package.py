import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.archive import write_archive
from alloc_service.core.canon import Json, canon
from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.generate import GeneratedList, generate
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    OriginError,
    PackageFileError,
    PublicKeyError,
    SealedListError,
    TrancheKeyError,
)
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, open_slot
from alloc_service.sealing.package import (
    SealedList,
    read_package,
    read_package_bytes,
    seal_list,
    write_package,
)
from alloc_service.sealing.wrap import key_id, open_design, unwrap_tranche_key

Refuse = Callable[[dict[str, bytes]], SealedListError]


def unwrap(sealed: SealedList, private_key: X25519PrivateKey) -> TrancheKey:
    listed = (sealed.origin, sealed.design_sha256, sealed.root, sealed.kid)
    return unwrap_tranche_key(private_key, sealed.wrap, *listed)


def members_of(sealed: SealedList) -> dict[str, bytes]:
    """Return the members of a package as its documentation spells them."""
    files = {
        "blobs.bin": sealed.blobs,
        "design.sealed": sealed.design_sealed,
        "leaves.bin": sealed.leaves,
        "wrap.bin": sealed.wrap,
    }
    manifest: dict[str, Json] = {
        "design_sha256": sealed.design_sha256,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in files.items()
        },
        "kid": sealed.kid,
        "list": sealed.list,
        "origin": sealed.origin,
        "root": sealed.root,
        "strata": [{"code": item.code, "slots": item.slots} for item in sealed.strata],
        "trial": sealed.trial,
        "v": "rac-package/1",
    }
    return {**files, "manifest.json": canon(manifest)}


def with_manifest(sealed: SealedList, change: dict[str, Any]) -> dict[str, bytes]:
    members = members_of(sealed)
    manifest = json.loads(members["manifest.json"])
    manifest.update(change)
    return {**members, "manifest.json": canon(manifest)}


@pytest.fixture
def refuse(tmp_path: Path) -> Refuse:
    """Return a reader of odd packages that gives back the refusal."""

    def read(members: dict[str, bytes]) -> SealedListError:
        path = tmp_path / "odd.package"
        with path.open("wb") as file:
            write_archive(members, file)
        with pytest.raises(SealedListError) as caught:
            read_package(path)
        return caught.value

    return read


def test_every_slot_of_a_sealed_list_opens_to_its_own_arm(
    sealed: SealedList, generated: GeneratedList, private_key: X25519PrivateKey
) -> None:
    key = unwrap(sealed, private_key)

    slots = list(sealed.sealed_slots())

    assert [(slot.stratum, slot.slot) for slot in slots] == [
        (stratum, slot) for stratum, count in enumerate((7, 1, 5)) for slot in range(count)
    ]
    for slot in slots:
        place = SlotPlace(sealed.design_sha256, sealed.root, slot.stratum, slot.slot)
        opening = open_slot(key, place, slot.blob, slot.leaf)
        assert opening == generated.opening(slot.stratum, slot.slot)


def test_a_sealed_list_says_what_is_logged_of_it(
    sealed: SealedList, generated: GeneratedList, public_key: bytes, design: Design
) -> None:
    assert sealed.design_sha256 == design.sha256
    assert (sealed.trial, sealed.list) == (design.trial, design.list)
    assert sealed.root == generated.root
    assert sealed.leaves == generated.leaves
    assert sealed.strata == design.strata
    assert sealed.slots == (7, 1, 5)
    assert sealed.kid == key_id(public_key)
    assert sealed.wrap_sha256 == hashlib.sha256(sealed.wrap).hexdigest()


def test_the_design_inside_opens_with_the_servers_key_alone(
    sealed: SealedList, design: Design, private_key: X25519PrivateKey
) -> None:
    listed = (sealed.design_sealed, sealed.origin, sealed.design_sha256)

    assert open_design(private_key, *listed) == design


@settings(max_examples=25)
@given(
    codes=st.lists(
        st.from_regex(r"[A-Za-z0-9._+-]{1,32}", fullmatch=True),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    slots=st.lists(st.integers(1, 12), min_size=1, max_size=3),
)
def test_the_size_of_a_sealed_list_tells_its_slots_and_nothing_else(
    codes: list[str], slots: list[int]
) -> None:
    arms = tuple(Arm(code, 1) for code in codes)
    strata = tuple(Stratum(f"stratum {at}", count) for at, count in enumerate(slots))
    design = Design("TEST-1", 1, arms, (BlockSize(len(arms) * 2, 1),), strata)
    private_key = X25519PrivateKey.generate()
    public_key = private_key.public_key().public_bytes_raw()

    sealed = seal_list(generate(design, Seed.fresh()), public_key, "host/TEST-1/audit")

    assert {len(slot.blob) for slot in sealed.sealed_slots()} == {285}
    assert len(sealed.blobs) == 285 * sum(slots)
    assert len(sealed.wrap) == 80


def test_a_list_sealed_twice_shares_no_byte_string_but_its_commitments(
    generated: GeneratedList, public_key: bytes, origin: str, sealed: SealedList
) -> None:
    again = seal_list(generated, public_key, origin)

    assert (again.root, again.leaves) == (sealed.root, sealed.leaves)
    assert again.wrap != sealed.wrap
    assert again.design_sealed != sealed.design_sealed
    blobs = {slot.blob for slot in sealed.sealed_slots()}
    assert blobs.isdisjoint(slot.blob for slot in again.sealed_slots())


def test_nothing_of_the_list_stands_in_the_package_in_clear(
    sealed: SealedList, design: Design, seed: Seed, tmp_path: Path
) -> None:
    write_package(sealed, tmp_path / "list.package")

    data = (tmp_path / "list.package").read_bytes()

    for secret in ("EXPERIMENTAL", "CONTROL", '"blocks"', '"arms"', design.salt, seed.digits):
        assert secret.encode() not in data
    assert "blobs" not in repr(sealed)
    assert "cp=9-10" not in repr(sealed)


def test_the_tranche_key_is_wiped_whether_sealing_succeeds_or_fails(
    generated: GeneratedList, public_key: bytes, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[TrancheKey]()
    fresh = TrancheKey.fresh

    def watched() -> TrancheKey:
        made.append(fresh())
        return made[-1]

    monkeypatch.setattr(TrancheKey, "fresh", watched)
    seal_list(generated, public_key, origin)
    with pytest.raises(SealedListError):
        seal_list(replace(generated, leaves=bytes(13 * 32)), public_key, origin)

    assert len(made) == 2
    for key in made:
        with pytest.raises(TrancheKeyError, match="wiped"):
            key.expose()


def test_progress_adds_up_to_the_slots(public_key: bytes) -> None:
    arms = (Arm("A", 1), Arm("B", 1))
    design = Design("TEST-1", 1, arms, (BlockSize(4, 1),), (Stratum("all", 2_007),))
    steps = list[int]()

    seal_list(generate(design, Seed.fresh()), public_key, "host/TEST-1/audit", steps.append)

    assert steps == [1_000, 1_000, 7]


def test_a_list_is_sealed_to_a_sound_key_and_its_own_trials_log_alone(
    generated: GeneratedList, public_key: bytes, origin: str
) -> None:
    with pytest.raises(OriginError):
        seal_list(generated, public_key, "rac.example.org/TEST-OTHER/audit")
    with pytest.raises(PublicKeyError):
        seal_list(generated, bytes(32), origin)


def test_an_opening_that_its_leaf_does_not_commit_to_is_not_sealed(
    generated: GeneratedList, public_key: bytes, origin: str
) -> None:
    forged = replace(generated, leaves=generated.leaves[32:] + generated.leaves[:32])

    with pytest.raises(SealedListError, match="another opening"):
        seal_list(forged, public_key, origin)


def test_a_package_is_read_back_and_written_again_byte_for_byte(
    sealed: SealedList, tmp_path: Path
) -> None:
    write_package(sealed, tmp_path / "one")

    read = read_package(tmp_path / "one")
    handed_in = read_package_bytes((tmp_path / "one").read_bytes())

    assert read == handed_in == sealed
    write_package(read, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_package_holds_the_members_that_its_documentation_spells(
    sealed: SealedList, tmp_path: Path
) -> None:
    write_package(sealed, tmp_path / "ours")
    with (tmp_path / "spelled").open("wb") as file:
        write_archive(members_of(sealed), file)

    assert (tmp_path / "ours").read_bytes() == (tmp_path / "spelled").read_bytes()
    assert read_package(tmp_path / "spelled") == sealed


def test_a_package_is_never_written_over_a_file(sealed: SealedList, tmp_path: Path) -> None:
    path = tmp_path / "list.package"
    path.write_text("another")

    with pytest.raises(PackageFileError, match="File exists"):
        write_package(sealed, path)

    assert path.read_text() == "another"


def test_a_package_that_cannot_be_written_whole_leaves_nothing(
    sealed: SealedList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(PackageFileError, match="No space left"):
        write_package(sealed, tmp_path / "list.package")

    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_there_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(PackageFileError, match="No such file"):
        read_package(tmp_path / "list.package")


def test_every_changed_byte_of_a_package_is_refused(sealed: SealedList, tmp_path: Path) -> None:
    path = tmp_path / "list.package"
    write_package(sealed, path)
    good = path.read_bytes()

    for index in range(0, len(good), 7):
        path.write_bytes(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])
        with pytest.raises(SealedListError):
            read_package(path)


@pytest.mark.parametrize("name", ["blobs.bin", "design.sealed", "leaves.bin", "wrap.bin"])
def test_a_member_that_is_not_the_manifests_is_named(
    sealed: SealedList, refuse: Refuse, name: str
) -> None:
    members = members_of(sealed)
    changed = members[name][:-1] + bytes([members[name][-1] ^ 1])

    assert f"{name}: its hash" in str(refuse({**members, name: changed}))


@pytest.mark.parametrize("files", [{}, [], None, "x", {"blobs.bin": {"size": 1}}])
def test_a_manifest_without_its_hashes_is_refused(
    sealed: SealedList, refuse: Refuse, files: Json
) -> None:
    assert "its hash or size" in str(refuse(with_manifest(sealed, {"files": files})))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"trial": "TEST-OTHER"}, "origin"),
        ({"trial": 7}, "trial"),
        ({"origin": "host"}, "origin"),
        ({"origin": None}, "origin"),
        ({"list": 0}, "list"),
        ({"list": 10_000}, "list"),
        ({"list": "1"}, "list"),
        ({"list": True}, "list"),
        ({"design_sha256": "00"}, "design_sha256"),
        ({"root": "0" * 64}, "leaves"),
        ({"root": "root"}, "leaves"),
        ({"kid": "A" * 16}, "kid"),
        ({"strata": []}, "strata"),
        ({"strata": {}}, "strata"),
        ({"strata": ["x"]}, "strata"),
        ({"strata": [{"code": "x"}]}, "slots"),
        ({"strata": [{"slots": 13}]}, "code"),
        ({"strata": [{"code": "x", "slots": 12}]}, "leaves"),
        ({"strata": [{"code": "", "slots": 13}]}, "strata[0]"),
        ({"strata": [{"code": "x" * 201, "slots": 13}]}, "strata[0]"),
        ({"strata": [{"code": "x\n", "slots": 13}]}, "strata[0]"),
        ({"strata": [{"code": "x", "slots": 12}, {"code": "x", "slots": 1}]}, "strata"),
        ({"strata": [{"code": "x", "slots": 13}, {"code": "y", "slots": 0}]}, "strata[1]"),
        ({"strata": [{"code": "x", "slots": 1_000_001}]}, "strata[0]"),
        ({"strata": [{"code": str(at), "slots": 1_000_000} for at in range(3)]}, "strata"),
        ({"strata": [{"code": str(at), "slots": 1} for at in range(1_001)]}, "strata"),
        ({"strata": [{"code": "x", "slots": 13, "blocks": []}]}, "manifest.json"),
        ({"v": "rac-package/2"}, "manifest.json"),
        ({"extra": 1}, "manifest.json"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused_with_the_place(
    sealed: SealedList, refuse: Refuse, change: dict[str, Any], where: str
) -> None:
    assert refuse(with_manifest(sealed, change)).facts["where"] == where


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"v": 1}', b"\xff"])
def test_a_manifest_that_is_not_canonical_json_is_refused(
    sealed: SealedList, refuse: Refuse, manifest: bytes
) -> None:
    refuse({**members_of(sealed), "manifest.json": manifest})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"wrap": bytes(79)}, "wrap"),
        ({"design_sealed": bytes(48)}, "design"),
        ({"design_sealed": bytes(2**20 + 1)}, "design"),
        ({"leaves": bytes(32)}, "leaves"),
        ({"leaves": bytes(13 * 32)}, "leaves"),
        ({"blobs": b"\x01" * 285}, "blobs"),
        ({"blobs": bytes(13 * 285)}, "blobs"),
    ],
)
def test_a_sealed_list_that_contradicts_itself_cannot_be_built(
    sealed: SealedList, change: dict[str, Any], where: str
) -> None:
    with pytest.raises(SealedListError) as caught:
        replace(sealed, **change)
    assert caught.value.facts["where"] == where


def test_exchanged_leaves_do_not_lead_to_the_root(sealed: SealedList) -> None:
    leaves = sealed.leaves[32:64] + sealed.leaves[:32] + sealed.leaves[64:]

    with pytest.raises(SealedListError, match="do not lead to the root"):
        replace(sealed, leaves=leaves)
