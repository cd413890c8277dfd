"""What the log covers opens, and nothing else does."""

from collections.abc import Callable
from functools import partial

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import (
    BlockedError,
    FrozenError,
    NotAcceptedError,
    NotAuthorizedError,
    ProtocolError,
    RefusalError,
)
from tests.support.sealed_trial import HOST, ORIGIN, SealedTrial, assigned_and_followed

pytestmark = pytest.mark.parametrize("reach", ["local", "remote"], indirect=True)

# --- what is covered -------------------------------------------------------------------------


def test_a_followed_assignment_opens_for_its_enrolment(active_trial: SealedTrial) -> None:
    trial = active_trial

    for stratum in (0, 1, 0):
        entry = assigned_and_followed(trial, stratum)
        opened = trial.open(entry)

        assert opened.opening.arm == trial.arm(entry)
        assert (opened.opening.stratum, opened.opening.slot) == (stratum, entry.body["slot"])
        assert opened.enrolment_sha256 == entry.body["enrolment_sha256"]


def test_an_assignment_that_was_not_followed_does_not_open(active_trial: SealedTrial) -> None:
    entry = active_trial.assign()

    with pytest.raises(NotAuthorizedError, match="no slot was assigned"):
        active_trial.open(entry)


def test_a_slot_opens_as_often_as_it_is_asked_and_after_a_restart(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)

    openings = []
    for _ in range(2):
        openings += [trial.open(entry), trial.open(entry)]
        trial.restart()

    assert len({opened.opening for opened in openings}) == 1


def test_a_followed_reread_opens_the_slot_of_its_enrolment_alone(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    body: dict[str, Json] = {"enrolment": one.body["enrolment"], "of": one.seq}
    reread = trial.log.add("slot.reread", body)
    with pytest.raises(NotAuthorizedError, match=f"entry {reread.seq} does not cover"):
        trial.open(one, reread.seq)
    trial.follow()

    assert trial.open(one, reread.seq).opening.arm == trial.arm(one)
    with pytest.raises(NotAuthorizedError, match=f"entry {reread.seq} does not cover"):
        trial.open(two, reread.seq)


def test_a_followed_look_at_many_opens_what_was_assigned_up_to_its_seq(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    look = trial.log.add("arms.read", {"purpose": "dmc", "upto": one.seq})
    trial.follow()
    three = assigned_and_followed(trial)

    assert trial.open(one, look.seq).opening.arm == trial.arm(one)
    for later in (two, three):
        with pytest.raises(NotAuthorizedError, match="does not cover"):
            trial.open(later, look.seq)


def test_an_entry_that_looks_at_nothing_opens_nothing(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    others = assigned_and_followed(trial)

    for seq in range(-1, trial.status.size + 2):
        if seq != entry.seq:
            with pytest.raises(NotAuthorizedError):
                trial.open(entry, seq)
    assert trial.open(others).opening.arm == trial.arm(others)


def test_nobody_names_another_enrolment(active_trial: SealedTrial) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    slot = trial.hand.slot(0, one.body["slot"])

    with pytest.raises(NotAuthorizedError, match="does not cover"):
        trial.sealer.open(ORIGIN, one.seq, two.body["enrolment"], slot)
    with pytest.raises(NotAuthorizedError, match="no slot was assigned"):
        trial.sealer.open(ORIGIN, one.seq, "00000000-0000-0000-0000-000000000000", slot)


def test_nothing_opens_for_an_origin_that_was_never_followed(
    active_trial: SealedTrial,
) -> None:
    entry = assigned_and_followed(active_trial)
    slot = active_trial.hand.slot(0, entry.body["slot"])

    with pytest.raises(ProtocolError, match="never followed"):
        active_trial.sealer.open(
            f"{HOST}/TEST-OTHER/audit", entry.seq, entry.body["enrolment"], slot
        )


def test_a_retired_list_assigns_nothing_more_and_its_assigned_slots_still_open(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    trial.log.recover([1])
    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])

    assert trial.open(entry).opening.arm == trial.arm(entry)
    with pytest.raises(BlockedError, match="retired"):
        trial.sealer.follow(
            ORIGIN,
            trial.status.size,
            [trial.log.entries[-1], trial.write_assignment(0, trial.hand).data],
        )


# --- what opens nothing, or nothing else -----------------------------------------------------


def test_nothing_that_a_caller_without_the_log_can_ask_opens_a_slot(
    active_trial: SealedTrial,
) -> None:
    """Every slot that was not assigned stays closed, whatever is named."""
    trial = active_trial
    entry = assigned_and_followed(trial)
    opened = []
    attacks: list[Callable[[], object]] = []
    for stratum, slots in enumerate(trial.hand.sealed.slots):
        for slot in range(slots):
            held = trial.hand.slot(stratum, slot)
            for seq in range(trial.status.size):
                attacks.append(
                    partial(trial.sealer.open, ORIGIN, seq, entry.body["enrolment"], held)
                )
    for attack in attacks:
        try:
            opened.append(attack())
        except RefusalError:
            continue

    assert len(opened) == 1
    assert len(attacks) == 7 * trial.status.size


def test_a_frozen_trial_does_not_freeze_its_neighbour(active_trial: SealedTrial) -> None:
    trial = active_trial
    neighbour = SealedTrial(trial.keys, trial.anchors, trial.hand, f"{HOST}/TEST-NEIGHBOUR/audit")
    neighbour.begin()
    with pytest.raises(FrozenError):
        neighbour.sealer.follow(neighbour.origin, 1, [])

    assert neighbour.status.frozen
    assert trial.status.frozen == ""
    entry = assigned_and_followed(trial)
    assert trial.open(entry).opening.arm == trial.arm(entry)


def test_a_log_that_names_no_list_accepts_none(new_trial: SealedTrial) -> None:
    new_trial.begin()

    with pytest.raises(NotAcceptedError):
        new_trial.sealer.require_accepted(ORIGIN, new_trial.acceptance())
    activated = new_trial.log.write("list.activated", {"list": 1}).data
    with pytest.raises(BlockedError, match="no frozen design"):
        new_trial.sealer.follow(ORIGIN, 1, [*new_trial.log.entries, activated])
