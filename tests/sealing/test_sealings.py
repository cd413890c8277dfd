"""Sealings, wraps and keys that change: which of them open a slot or a design."""

from dataclasses import replace
from pathlib import Path

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import (
    BlobLockedError,
    NotAuthorizedError,
    SealedDesignError,
    UnknownKidError,
)
from alloc_service.log.entry import Entry
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import ServerKeys, create_keys, rotate_sealing_key
from alloc_service.sealing.wrap import seal_design, unwrap_tranche_key, wrap_tranche_key
from tests.support.sealed_trial import (
    HOST,
    ORIGIN,
    SealedTrial,
    assigned_and_followed,
    rewrap,
    seal_again,
    seal_small_list,
)


def test_a_broken_blob_opens_from_the_next_accepted_sealing(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    again = seal_again(trial.hand, server_keys.public_key)
    new = again.slot(0, entry.body["slot"])
    trial.accept(again)
    with pytest.raises(NotAuthorizedError, match="no logged sealing"):
        trial.open(entry, slot=new)
    body: dict[str, Json] = {
        "list": 1, "sealing": 2, "kid": again.sealed.kid, "wrap_sha256": again.wrap_sha256,
    }  # fmt: skip
    trial.log.add("list.resealed", body, "statistician")
    trial.follow()

    assert trial.open(entry, slot=new).opening.arm == trial.arm(entry)
    assert trial.open(entry).opening.arm == trial.arm(entry)  # the first sealing is logged still
    with pytest.raises(BlobLockedError):
        trial.open(entry, slot=replace(new, wrap=trial.hand.sealed.wrap))


@pytest.fixture
def rotating(tmp_path: Path) -> tuple[Path, SealedTrial]:
    """Return a trial with an active list, and the directory of keys of its own."""
    directory = tmp_path / "rotating"
    keys = create_keys(directory)
    Register.create(tmp_path / "its-anchors", keys.kid)
    trial = SealedTrial(keys, tmp_path / "its-anchors", seal_small_list(keys))
    trial.begin()
    trial.seal()
    trial.accept()
    trial.activate()
    trial.follow()
    return directory, trial


def rotate(directory: Path, trial: SealedTrial) -> ServerKeys:
    old = trial.keys
    trial.keys = rotate_sealing_key(directory)
    Register(trial.anchors).add_kid(trial.keys.kid)
    trial.restart()
    return old


def test_a_rewrapped_list_opens_with_the_new_wrap_and_no_longer_with_the_old_one(
    rotating: tuple[Path, SealedTrial],
) -> None:
    directory, trial = rotating
    entry = assigned_and_followed(trial)
    sealed = trial.hand.sealed
    old = rotate(directory, trial)
    place = (ORIGIN, sealed.design_sha256, sealed.root)
    key = unwrap_tranche_key(old.unwrap_key(old.kid), sealed.wrap, *place, old.kid)
    wrap = wrap_tranche_key(key, trial.keys.public_key, *place)
    slot = trial.hand.slot(0, entry.body["slot"])

    assert trial.open(entry).opening.arm == trial.arm(entry)  # by the older key
    rewrap(trial, trial.keys.kid, wrap)

    assert trial.open(entry, slot=replace(slot, wrap=wrap)).opening.arm == trial.arm(entry)
    with pytest.raises(NotAuthorizedError, match="no logged sealing"):
        trial.open(entry)


def test_a_wrap_to_a_key_that_is_not_here_opens_nothing(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    wrap = bytes(80)
    rewrap(trial, "0" * 16, wrap)

    with pytest.raises(UnknownKidError, match="0000000000000000"):
        trial.open(entry, slot=replace(trial.hand.slot(0, entry.body["slot"]), wrap=wrap))


def read_design(trial: SealedTrial, number: int = 1) -> Entry:
    entry = trial.log.add("design.read", {"list": number}, "statistician")
    trial.follow()
    return entry


def test_a_design_opens_for_a_followed_design_read_alone(active_trial: SealedTrial) -> None:
    trial = active_trial
    sealed = trial.hand.sealed.design_sealed
    entry = trial.log.add("design.read", {"list": 1}, "statistician")
    with pytest.raises(NotAuthorizedError, match=f"entry {entry.seq} is no followed design.read"):
        trial.sealer.open_design(ORIGIN, entry.seq, sealed)
    trial.follow()

    assert trial.sealer.open_design(ORIGIN, entry.seq, sealed) == trial.hand.generated.design
    for seq in (-1, 0, entry.seq - 1, entry.seq + 1):
        with pytest.raises(NotAuthorizedError):
            trial.sealer.open_design(ORIGIN, seq, sealed)


def test_a_design_that_is_not_the_frozen_one_does_not_open(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    entry = read_design(trial)
    design = trial.hand.generated.design
    other = seal_small_list(server_keys, number=2)
    elsewhere = replace(design, trial="TEST-OTHER")

    for sealed in (
        other.sealed.design_sealed,
        seal_design(elsewhere, server_keys.public_key, f"{HOST}/TEST-OTHER/audit"),
        seal_design(replace(design, salt="ab" * 32), server_keys.public_key, ORIGIN),
        b"",
        bytes(100),
    ):
        with pytest.raises(SealedDesignError):
            trial.sealer.open_design(ORIGIN, entry.seq, sealed)


def test_a_design_opens_before_its_list_is_sealed_and_after_the_key_was_rotated(
    tmp_path: Path,
) -> None:
    keys = create_keys(tmp_path / "keys")
    Register.create(tmp_path / "anchors", keys.kid)
    trial = SealedTrial(keys, tmp_path / "anchors", seal_small_list(keys))
    trial.begin()
    design = trial.hand.generated.design
    trial.log.add("design.frozen", {"list": 1, "design_sha256": design.sha256})
    entry = read_design(trial)
    before = trial.hand.sealed.design_sealed

    assert trial.sealer.open_design(ORIGIN, entry.seq, before) == design
    rotate(tmp_path / "keys", trial)
    after = seal_design(design, trial.keys.public_key, ORIGIN)
    assert trial.sealer.open_design(ORIGIN, entry.seq, before) == design
    assert trial.sealer.open_design(ORIGIN, entry.seq, after) == design
