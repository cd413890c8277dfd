"""Records that a restore has lost: named, entered again by two people, their slots kept (G9)."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from alloc_service.errors import NotAllowedError, NotRestorableError, RuleError
from alloc_service.services import recovery, reveal
from alloc_service.services.recovery import TwoPeople
from tests.support.installation import Installation, type_small
from tests.support.rollback import SEVERE, Loss, enter_again, failed_checks, read_table, recover


def refuse(installation: Installation, enrolment: UUID, **changed: Any) -> str:
    """Return why a record may not be entered again."""
    how: dict[str, Any] = {"by": "doc", "site": "XA01", "typed": type_small("P-002")} | changed
    people = TwoPeople(installation.people[how.pop("by")], installation.people["manager"])
    with pytest.raises(NotRestorableError) as refusal:
        recovery.restore_enrolment(installation.deps, people, installation.trial, enrolment, **how)
    return str(refusal.value.facts["rule"])


def test_a_lost_record_is_entered_again_and_its_very_slot_is_shown(
    lost: Loss, back: Installation
) -> None:
    assert len(recover(back).without_record) == 2

    enter_again(back, lost.early)
    enter_again(back, lost.late, facts=SEVERE)

    for before in (lost.early, lost.late):
        again = reveal.read_again(back.deps, back.people["doc"], before.enrolment)
        assert (again.arm, again.leaf, again.stratum) == (before.arm, before.leaf, before.stratum)
        assert again.randomization_number == before.randomization_number
        assert again.signature["meaning"] == "Entered again after a recovery."
    assert recovery.find_without_record(back.deps, back.trial) == ()
    assert failed_checks(back) == []
    restored = back.entries("enrolment.restored")
    assert {entry.body["second"]["id"] for entry in restored} == {"p-manager"}


def test_a_record_that_another_history_signed_anew_counts_as_lost(
    lost: Loss, reopen: Callable[..., Installation]
) -> None:
    other = reopen("old")
    signature = reveal.sign(other.deps, "doc", "doc has a long password", lost.early.enrolment)
    reveal.reveal(other.deps, other.people["doc"], lost.early.enrolment, signature)
    back = reopen()

    found = recover(back)

    assert str(lost.early.enrolment) in found.without_record
    enter_again(back, lost.early)
    shown = reveal.read_again(back.deps, back.people["doc"], lost.early.enrolment)
    assert (shown.arm, shown.leaf) == (lost.early.arm, lost.early.leaf)


def test_a_record_that_is_there_or_was_never_allocated_is_not_entered_again(
    back: Installation,
) -> None:
    recover(back)
    (stored,) = (
        row["id"] for row in read_table(back, "enrolment") if row["participant"] == "P-001"
    )
    size = len(back.entries())

    assert refuse(back, stored) == "its record is there"
    assert refuse(back, uuid4()) == "it was never allocated"
    assert len(back.entries()) == size


def test_a_record_is_not_entered_as_another_participant_s(lost: Loss, back: Installation) -> None:
    recover(back)

    assert "at another site" in refuse(back, lost.early.enrolment, by="far", site="BE02")
    assert "another stratum" in refuse(back, lost.late.enrolment, typed=type_small("P-003"))
    assert len(recovery.find_without_record(back.deps, back.trial)) == 2


@pytest.mark.parametrize("names", [("doc", "stat"), ("manager", "admin"), ("far", "manager")])
def test_a_record_takes_a_physician_of_the_site_and_somebody_who_may_recover(
    lost: Loss, back: Installation, names: tuple[str, str]
) -> None:
    recover(back)
    people = TwoPeople(*(back.people[name] for name in names))
    typed = type_small("P-002")

    with pytest.raises(NotAllowedError):
        recovery.restore_enrolment(
            back.deps, people, back.trial, lost.early.enrolment, site="XA01", typed=typed
        )


def test_without_a_recovery_no_record_is_entered_again(active: Installation) -> None:
    shown = active.allocate("P-001")
    active.attack("UPDATE enrolment SET record = NULL")

    with pytest.raises(RuleError):
        enter_again(active, shown)

    assert failed_checks(active) == ["enrolments"]
