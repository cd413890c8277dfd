"""Accepting: every blob is opened once on the sealer's host before its list can be activated."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from alloc_service.core.canon import Json, parse_object
from alloc_service.errors import (
    AcceptError,
    AnchorWriteError,
    BlockedError,
    FrozenError,
    NotAcceptedError,
    NotAuthorizedError,
    OriginError,
    ProtocolError,
    WrapError,
)
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.envelope import BLOB_BYTES, SlotPlace, TrancheKey, seal_slot
from alloc_service.sealing.keys import ServerKeys, create_keys, rotate_sealing_key
from alloc_service.sealing.wrap import wrap_tranche_key
from tests.support import children
from tests.support.broken_disk import break_fsync
from tests.support.sealed_trial import ORIGIN, ListInHand, SealedTrial, seal_again, seal_small_list


def test_an_accepted_list_can_be_activated(sealed_trial: SealedTrial) -> None:
    trial = sealed_trial

    acceptance = trial.accept()
    trial.sealer.require_accepted(ORIGIN, acceptance)
    trial.activate()

    assert trial.follow()
    assert trial.status.blocked == ""


def test_accepting_answers_with_list_sealing_root_and_wrap_and_nothing_of_an_arm(
    sealed_trial: SealedTrial,
) -> None:
    assert sealed_trial.accept() == sealed_trial.acceptance()


def test_an_acceptance_is_written_down_beside_the_anchor_of_its_origin(
    sealed_trial: SealedTrial,
) -> None:
    trial = sealed_trial
    acceptance = trial.accept()

    data = trial.anchor_path.with_suffix(".accepted").read_bytes()

    assert data == acceptance.line + b"\n"
    assert parse_object(acceptance.line) == {
        "list": 1,
        "root": trial.hand.sealed.root,
        "sealing": 1,
        "wrap_sha256": trial.hand.wrap_sha256,
    }


def test_an_acceptance_lasts_over_a_restart_and_is_seen_by_other_sealers(
    sealed_trial: SealedTrial,
) -> None:
    trial = sealed_trial
    acceptance = trial.accept()

    trial.another_sealer().require_accepted(ORIGIN, acceptance)
    trial.restart()
    trial.activate()

    assert trial.follow()


def test_a_sealing_that_was_not_accepted_is_refused_before_it_is_appended(
    sealed_trial: SealedTrial,
) -> None:
    trial = sealed_trial
    right = trial.acceptance()
    with pytest.raises(NotAcceptedError, match=r"alloc sealer accept .*/TEST-SEALER/audit 1"):
        trial.sealer.require_accepted(ORIGIN, right)
    trial.accept()

    for wrong in (
        Acceptance(2, right.sealing, right.root, right.wrap_sha256),
        Acceptance(right.list, 2, right.root, right.wrap_sha256),
        Acceptance(right.list, right.sealing, "0" * 64, right.wrap_sha256),
        Acceptance(right.list, right.sealing, right.root, "0" * 64),
    ):
        with pytest.raises(NotAcceptedError):
            trial.sealer.require_accepted(ORIGIN, wrong)


def test_an_acceptance_is_of_one_origin_alone(sealed_trial: SealedTrial) -> None:
    acceptance = sealed_trial.accept()

    with pytest.raises(NotAcceptedError):
        sealed_trial.sealer.require_accepted(f"{ORIGIN[:-6]}-2/audit", acceptance)
    with pytest.raises(OriginError):
        sealed_trial.sealer.require_accepted("no origin", acceptance)


def test_an_activation_that_was_not_accepted_is_blocked_until_it_is(
    sealed_trial: SealedTrial,
) -> None:
    trial = sealed_trial
    activated = trial.activate()

    for _ in range(2):
        with pytest.raises(BlockedError, match="List 1 was not accepted by the sealer as it is"):
            trial.follow()
    assert trial.status.size == activated.seq
    trial.accept()

    assert trial.follow()
    assert (trial.status.size, trial.status.blocked) == (activated.seq + 1, "")


def test_entries_that_are_in_an_anchor_already_need_no_acceptance(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    trial.anchor_path.with_suffix(".accepted").unlink()
    trial.restart()

    assert trial.sealer.follow(ORIGIN, 1, trial.log.entries)
    assigned = trial.assign()
    trial.follow()
    assert trial.open(assigned).opening.arm == trial.arm(assigned)


def reseal(trial: SealedTrial, again: ListInHand, sealing: int = 2) -> None:
    body: dict[str, Json] = {
        "list": again.number,
        "sealing": sealing,
        "kid": again.sealed.kid,
        "wrap_sha256": again.wrap_sha256,
    }
    trial.log.add("list.resealed", body, "statistician")


def test_a_list_sealed_anew_is_followed_only_once_the_new_sealing_was_accepted(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    again = seal_again(trial.hand, server_keys.public_key)
    reseal(trial, again)

    with pytest.raises(BlockedError, match="List 1 was not accepted by the sealer as it is"):
        trial.follow()
    assert trial.accept(again) == trial.acceptance(again, sealing=2)

    assert trial.follow()


def test_a_list_sealed_anew_before_its_activation_is_accepted_in_its_last_sealing(
    sealed_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = sealed_trial
    again = seal_again(trial.hand, server_keys.public_key)
    trial.accept(again)  # the first sealing never was: its blobs may be broken
    reseal(trial, again)
    trial.follow()
    trial.activate()

    assert trial.follow()
    assigned = trial.assign()
    trial.follow()
    assert trial.open(assigned, slot=again.slot(0, 0)).opening.arm == trial.arm(assigned)


def test_a_sealing_to_a_new_key_is_accepted_with_that_key(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "keys"
    first = create_keys(directory)
    hand = seal_small_list(first)
    Register.create(tmp_path / "anchors", first.kid)
    trial = SealedTrial(first, tmp_path / "anchors", hand)
    trial.begin()
    trial.seal()
    trial.accept()
    rotated = rotate_sealing_key(directory)
    trial.keys = rotated
    trial.restart()

    again = seal_again(hand, rotated.public_key)
    trial.accept(again)
    reseal(trial, again)
    assert trial.follow()
    assert trial.accept(hand).sealing == 1
    assert trial.accept(again).sealing == 2


# --- what is not accepted ---------------------------------------------------------------------


def accept_blobs(trial: SealedTrial, blobs: list[bytes]) -> Acceptance:
    sealed = trial.hand.sealed
    return trial.sealer.accept(ORIGIN, 1, sealed.wrap, sealed.leaves, blobs)


@pytest.mark.parametrize("index", [0, 3, 6])
def test_the_first_blob_that_does_not_open_is_named_by_its_index(
    sealed_trial: SealedTrial, index: int
) -> None:
    blobs = sealed_trial.hand.blobs
    for at in range(index, len(blobs)):
        blobs[at] = bytes(BLOB_BYTES)

    with pytest.raises(AcceptError, match=f"slot index {index} does not open"):
        accept_blobs(sealed_trial, blobs)

    assert not sealed_trial.anchor_path.with_suffix(".accepted").exists()


def test_two_swapped_blobs_are_not_accepted(sealed_trial: SealedTrial) -> None:
    blobs = sealed_trial.hand.blobs
    blobs[2], blobs[5] = blobs[5], blobs[2]

    with pytest.raises(AcceptError, match="slot index 2"):
        accept_blobs(sealed_trial, blobs)


@pytest.mark.parametrize("count", [0, 6, 8])
def test_a_missing_or_a_supernumerary_blob_is_not_accepted(
    sealed_trial: SealedTrial, count: int
) -> None:
    blobs = (sealed_trial.hand.blobs * 2)[:count]

    with pytest.raises(AcceptError, match=f"differ in number at {min(count, 7)}"):
        accept_blobs(sealed_trial, blobs)


def test_other_leaves_than_those_of_the_logged_root_are_not_accepted(
    sealed_trial: SealedTrial,
) -> None:
    sealed = sealed_trial.hand.sealed
    other = sealed.leaves[32:] + sealed.leaves[:32]

    for leaves in (b"", sealed.leaves[:-32], sealed.leaves[:-1], other):
        with pytest.raises(AcceptError, match="do not give the logged root"):
            sealed_trial.sealer.accept(ORIGIN, 1, sealed.wrap, leaves, sealed_trial.hand.blobs)


def test_a_blob_that_opens_to_another_than_the_committed_opening_is_not_accepted(
    sealed_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial, sealed = sealed_trial, sealed_trial.hand.sealed
    key = TrancheKey(bytes(32))
    wrap = wrap_tranche_key(key, server_keys.public_key, ORIGIN, sealed.design_sha256, sealed.root)
    other = seal_small_list(server_keys, slots=(4, 3)).generated
    forged = []
    for opening in trial.hand.generated.openings():
        place = SlotPlace(sealed.design_sha256, sealed.root, opening.stratum, opening.slot)
        nonce = other.opening(opening.stratum, opening.slot).nonce
        if opening.slot == 2:
            opening = type(opening)(  # noqa: PLW2901 - the forged one takes its place
                opening.design_sha256, opening.stratum, opening.slot, opening.arm, nonce
            )
        forged.append(seal_slot(key, place, opening))

    with pytest.raises(AcceptError, match="slot index 2"):
        trial.sealer.accept(ORIGIN, 1, wrap, sealed.leaves, forged)


def test_a_wrap_that_is_not_of_this_list_is_not_accepted(
    sealed_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial, sealed = sealed_trial, sealed_trial.hand.sealed
    other_list = seal_small_list(server_keys, number=2).sealed.wrap
    other_log = seal_again_for_another_log(trial.hand, server_keys)

    for wrap in (other_list, other_log, bytes(80), b""):
        with pytest.raises(WrapError):
            trial.sealer.accept(ORIGIN, 1, wrap, sealed.leaves, trial.hand.blobs)


def seal_again_for_another_log(hand: ListInHand, keys: ServerKeys) -> bytes:
    sealed = hand.sealed
    origin = f"elsewhere.example/{sealed.trial}/audit"
    return wrap_tranche_key(
        TrancheKey(bytes(32)), keys.public_key, origin, sealed.design_sha256, sealed.root
    )


def test_only_a_list_that_is_sealed_in_the_followed_log_is_accepted(trial: SealedTrial) -> None:
    with pytest.raises(NotAuthorizedError, match="not sealed in the followed log"):
        trial.accept()
    trial.log.add("design.frozen", {"list": 1, "design_sha256": trial.hand.sealed.design_sha256})
    trial.follow()

    with pytest.raises(NotAuthorizedError, match="not sealed in the followed log"):
        trial.accept()


def test_nothing_is_accepted_for_an_origin_that_was_never_followed(
    new_trial: SealedTrial,
) -> None:
    with pytest.raises(ProtocolError, match="never followed"):
        new_trial.accept()


def test_nothing_is_accepted_while_frozen(sealed_trial: SealedTrial) -> None:
    with pytest.raises(FrozenError):
        sealed_trial.sealer.follow(ORIGIN, 1, [])

    with pytest.raises(FrozenError):
        sealed_trial.accept()


def test_following_goes_on_while_a_long_list_is_being_test_opened(
    sealed_trial: SealedTrial,
) -> None:
    trial = sealed_trial
    other = trial.another_sealer()

    def blobs() -> Iterator[bytes]:
        for blob in trial.hand.blobs:
            trial.log.add_site()
            size = other.status(ORIGIN).size
            other.follow(ORIGIN, size, trial.log.entries[size - 1 :])
            yield blob

    sealed = trial.hand.sealed
    trial.sealer.accept(ORIGIN, 1, sealed.wrap, sealed.leaves, blobs())

    assert trial.anchored == trial.log.entries


def test_processes_that_accept_at_once_lose_no_acceptance(
    sealed_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = sealed_trial
    sealings = [seal_again(trial.hand, server_keys.public_key) for _ in range(8)]

    def accept(again: ListInHand) -> None:
        trial.restart()
        trial.accept(again)

    assert children.run_all(partial(accept, again) for again in sealings) == [0] * 8
    for again in sealings:
        trial.sealer.require_accepted(ORIGIN, trial.acceptance(again, sealing=2))


# --- disks and crashes ------------------------------------------------------------------------


def test_an_acceptance_that_the_disk_refused_is_none(
    sealed_trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = sealed_trial
    with monkeypatch.context() as patch:
        break_fsync(patch)
        with pytest.raises(AnchorWriteError):
            trial.accept()

    with pytest.raises(NotAcceptedError):
        trial.sealer.require_accepted(ORIGIN, trial.acceptance())
    trial.sealer.require_accepted(ORIGIN, trial.accept())


def test_a_file_of_acceptances_that_cannot_be_read_is_a_refusal(
    sealed_trial: SealedTrial,
) -> None:
    acceptance = sealed_trial.accept()
    path = sealed_trial.anchor_path.with_suffix(".accepted")
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))

    with pytest.raises(AnchorWriteError, match="symbolic links"):
        sealed_trial.sealer.require_accepted(ORIGIN, acceptance)


def test_a_process_killed_at_any_step_of_accepting_leaves_earlier_acceptances(
    sealed_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = sealed_trial
    first = trial.accept()
    again = seal_again(trial.hand, server_keys.public_key)
    path = trial.anchor_path.with_suffix(".accepted")
    kept = path.read_bytes()

    def prepare() -> Callable[[], object]:
        path.write_bytes(kept)
        return lambda: trial.accept(again)

    states: set[bytes] = set()
    for _step in children.kill_at_each_step(prepare):
        trial.sealer.require_accepted(ORIGIN, first)
        states.add(path.read_bytes())

    second = trial.acceptance(again, sealing=2).line + b"\n"
    assert states == {kept, kept + second}
