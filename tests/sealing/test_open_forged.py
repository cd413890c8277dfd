"""Whatever the database shows, the slot that was committed and assigned opens, or none."""

from dataclasses import replace

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import (
    BlobLeafError,
    BlobLockedError,
    BlobShapeError,
    BlockedError,
    IntegrityError,
    NotAuthorizedError,
    TreeError,
    WrapError,
)
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, seal_slot
from alloc_service.sealing.keys import ServerKeys
from alloc_service.sealing.sealer import SlotToOpen
from alloc_service.sealing.wrap import wrap_tranche_key
from tests.support.sealed_trial import (
    HOST,
    ORIGIN,
    ListInHand,
    SealedTrial,
    assigned_and_followed,
    rewrap,
    seal_small_list,
)

pytestmark = pytest.mark.parametrize("reach", ["local", "remote"], indirect=True)


def test_the_slot_comes_from_the_followed_entry_whatever_the_database_shows(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    mine, theirs = (trial.hand.slot(0, entry.body["slot"]) for entry in (one, two))

    with pytest.raises(BlobLockedError):
        trial.open(one, slot=replace(mine, blob=theirs.blob))
    with pytest.raises(TreeError):
        trial.open(one, slot=replace(mine, proof=theirs.proof))
    with pytest.raises(TreeError):
        trial.open(one, slot=theirs)
    with pytest.raises(TreeError):
        trial.open(one, slot=replace(mine, proof=()))
    for length in (0, 284, 286):
        with pytest.raises(BlobShapeError):
            trial.open(one, slot=replace(mine, blob=bytes(length)))
    assert trial.open(one, slot=mine).opening.arm == trial.arm(one)


def test_slots_of_another_stratum_do_not_open_in_this_one(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    other = trial.hand.slot(1, 1)

    with pytest.raises(TreeError):
        trial.open(entry, slot=other)
    with pytest.raises(BlobLockedError):
        trial.open(entry, slot=replace(other, proof=trial.hand.proof(0, entry.body["slot"])))


def own_key(trial: SealedTrial, stratum: int, slot: int) -> tuple[SlotToOpen, bytes]:
    """Return a slot sealed by somebody who holds the public key, and its leaf."""
    sealed = trial.hand.sealed
    key = TrancheKey.fresh()
    place = SlotPlace(sealed.design_sha256, sealed.root, stratum, slot)
    true = trial.hand.generated.opening(stratum, slot)
    opening = type(true)(sealed.design_sha256, stratum, slot, true.arm, "ab" * 32)
    wrap = wrap_tranche_key(key, trial.keys.public_key, ORIGIN, sealed.design_sha256, sealed.root)
    blob = seal_slot(key, place, opening)
    return SlotToOpen(blob, wrap, trial.hand.proof(stratum, slot)), opening.leaf


def test_an_own_tranche_key_is_of_no_logged_sealing(active_trial: SealedTrial) -> None:
    entry = assigned_and_followed(active_trial)
    forged, _leaf = own_key(active_trial, 0, entry.body["slot"])

    with pytest.raises(NotAuthorizedError, match="no logged sealing"):
        active_trial.open(entry, slot=forged)


def test_an_own_tranche_key_with_an_own_leaf_opens_nothing(active_trial: SealedTrial) -> None:
    trial = active_trial
    forged, leaf = own_key(trial, 0, 1)
    entry = trial.write_assignment(0, trial.hand, leaf=leaf.hex())
    trial.log.keep(entry)
    trial.follow()
    true = trial.hand.slot(0, 1)

    for slot in (forged, true, replace(forged, wrap=true.wrap)):
        with pytest.raises((NotAuthorizedError, TreeError)):
            trial.open(entry, slot=slot)


def test_an_own_tranche_key_that_is_logged_as_a_rewrap_opens_no_other_than_the_committed_slot(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    forged, _leaf = own_key(trial, 0, entry.body["slot"])
    rewrap(trial, trial.keys.kid, forged.wrap)

    with pytest.raises(BlobLeafError):
        trial.open(entry, slot=forged)


def test_an_own_list_is_not_followed_into_activity(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    own = seal_small_list(server_keys, number=2)
    trial.seal(own)
    trial.activate(own)

    with pytest.raises(BlockedError, match="List 2 was not accepted"):
        trial.follow()
    entry = trial.assign(0, own)
    with pytest.raises(BlockedError):
        trial.follow()
    with pytest.raises(NotAuthorizedError):
        trial.open(entry, slot=own.slot(0, 0))


def shadow_trial(trial: SealedTrial, hand: ListInHand) -> SealedTrial:
    """Return a second log on this host that names the list of the first one as its own."""
    trial.open(assigned_and_followed(trial))  # so that the sealer holds its tranche key
    shadow = SealedTrial(trial.keys, trial.anchors, hand, f"{HOST}/TEST-SHADOW/audit")
    shadow.sealer = trial.sealer
    shadow.begin()
    shadow.seal()
    return shadow


def test_a_shadow_trial_cannot_accept_or_activate_anothers_list(
    active_trial: SealedTrial,
) -> None:
    shadow = shadow_trial(active_trial, active_trial.hand)

    with pytest.raises(WrapError, match="made for another log"):
        shadow.accept()
    shadow.activate()
    with pytest.raises(BlockedError, match="not accepted"):
        shadow.follow()


def test_a_shadow_trial_with_the_others_acceptances_still_opens_nothing(
    active_trial: SealedTrial,
) -> None:
    shadow = shadow_trial(active_trial, active_trial.hand)
    accepted = active_trial.anchor_path.with_suffix(".accepted").read_bytes()
    shadow.anchor_path.with_suffix(".accepted").write_bytes(accepted)
    shadow.activate()
    entry = assigned_and_followed(shadow)

    with pytest.raises(WrapError, match="made for another log"):
        shadow.open(entry)


@pytest.mark.parametrize("number", [1, 2])
def test_a_list_is_not_used_twice(active_trial: SealedTrial, number: int) -> None:
    trial = active_trial
    body: dict[str, Json] = {"list": number, "design_sha256": trial.hand.sealed.design_sha256}
    again = trial.log.write("design.frozen", body).data

    with pytest.raises(BlockedError, match="design"):
        trial.sealer.follow(ORIGIN, trial.status.size, [trial.log.entries[-1], again])


def test_a_root_is_not_used_twice(active_trial: SealedTrial, server_keys: ServerKeys) -> None:
    trial = active_trial
    other = seal_small_list(server_keys, number=2)
    body: dict[str, Json] = {"list": 2, "design_sha256": other.sealed.design_sha256}
    trial.log.add("design.frozen", body)
    twice = trial.log.write("list.sealed", {**other.body(), "root": trial.hand.sealed.root})

    with pytest.raises(BlockedError, match="root"):
        trial.sealer.follow(
            ORIGIN, trial.status.size, [*trial.log.entries[trial.status.size - 1 :], twice.data]
        )


def test_a_wrap_of_another_list_opens_nothing(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    other = seal_small_list(server_keys, number=2)
    trial.seal(other)
    trial.accept(other)
    trial.activate(other)
    entry = assigned_and_followed(trial)
    mine = trial.hand.slot(0, entry.body["slot"])

    with pytest.raises(NotAuthorizedError, match="no logged sealing of this list"):
        trial.open(entry, slot=replace(mine, wrap=other.sealed.wrap))
    with pytest.raises((NotAuthorizedError, IntegrityError)):
        trial.open(entry, slot=other.slot(0, 0))


def test_two_lists_of_a_trial_open_each_its_own_slots(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    other = seal_small_list(server_keys, number=2, slots=(5,))
    trial.seal(other)
    trial.accept(other)
    trial.activate(other)
    entry = trial.assign(0, other)
    trial.follow()

    assert trial.open(entry, slot=other.slot(0, 0)).opening.arm == trial.arm(entry, other)
