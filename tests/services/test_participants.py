"""A site's own participants: status, next visit, receipt."""

from datetime import date

import pytest

from alloc_service.errors import FrozenError, NotAllocatedError, NotAllowedError, UnknownSiteError
from alloc_service.log.entry import format_time
from alloc_service.log.receipt import Receipt
from alloc_service.services import participants
from tests.support.installation import Installation, type_small


def test_participants_are_listed_newest_first_with_what_is_next(active: Installation) -> None:
    active.allocate("P-001")
    active.clock.advance(minutes=1)
    active.enrol(type_small("P-002"))
    doc = active.people["doc"]

    draft, allocated = participants.list_participants(active.deps, doc, active.trial, "XA01")

    assert (draft.number, draft.assigned_at, draft.next_visit) == ("P-002", None, None)
    assert allocated.number == "P-001"
    (entry,) = active.entries("slot.assigned")
    assert allocated.assigned_at is not None
    assert format_time(allocated.assigned_at) == entry.time
    assert allocated.next_visit is not None
    assert allocated.next_visit.due == date(2026, 3, 9)
    active.clock.advance(days=30)
    later = participants.list_participants(active.deps, doc, active.trial, "XA01")[1]
    assert later.next_visit is None


def test_they_are_for_the_site_s_physicians_alone(active: Installation) -> None:
    draft = active.enrol()
    for name in ("far", "dmc", "stat", "manager", "admin"):
        person = active.people[name]
        with pytest.raises(NotAllowedError):
            participants.list_participants(active.deps, person, active.trial, "XA01")
        with pytest.raises(NotAllowedError):
            participants.read_record(active.deps, person, draft.id)
        with pytest.raises(NotAllowedError):
            participants.read_receipt(active.deps, person, draft.id)
    with pytest.raises(UnknownSiteError):
        participants.list_participants(active.deps, active.people["doc"], active.trial, "ZZ99")


def test_a_receipt_is_given_without_opening_anything(active: Installation) -> None:
    doc, shown = active.people["doc"], active.allocate("P-001")
    before = len(active.entries())

    number, text = participants.read_receipt(active.deps, doc, shown.enrolment)

    assert number == "P-001"
    assert Receipt.parse(text).index == active.entries("slot.assigned")[0].seq
    assert len(active.entries()) == before


def test_a_frozen_trial_gives_no_receipt_and_says_why(active: Installation) -> None:
    shown = active.allocate("P-001")
    (anchor,) = (active.home / "anchors").glob("*.anchor")
    anchor.unlink()

    with pytest.raises(FrozenError):
        participants.read_receipt(active.deps, active.people["doc"], shown.enrolment)


def test_a_draft_has_no_receipt(active: Installation) -> None:
    draft = active.enrol()

    with pytest.raises(NotAllocatedError):
        participants.read_receipt(active.deps, active.people["doc"], draft.id)


def test_a_draft_gives_what_was_typed_again(active: Installation) -> None:
    typed = type_small()

    draft = active.enrol(typed)

    assert draft.typed.facts == typed.facts
    assert draft.typed.answers == typed.answers
    assert active.enrol(type_small("P-002")).typed.consent_version == typed.consent_version
