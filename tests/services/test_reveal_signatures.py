"""A request is signed by whoever makes it, for this record as it is, minutes ago: or refused."""

from dataclasses import replace
from uuid import UUID

import pytest

from alloc_service.core.canon import parse_object
from alloc_service.errors import (
    NaiveTimeError,
    SignatureError,
    UnknownRecordError,
    WrongPasswordError,
)
from alloc_service.services import accounts, enrolments, reveal
from alloc_service.services.reveal import Allocation, Signature
from tests.support.installation import START, Installation, password_of, type_small
from tests.support.refusals import refusal_of

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def test_an_unsigned_request_is_refused(active: Installation) -> None:
    draft = active.enrol()
    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], draft.id, None)
    )

    assert (refusal.code, str(refusal)[:42]) == (
        "not-signed",
        "No allocation: the record is not signed. C",
    )
    (entry,) = active.entries("allocation.refused")
    assert entry.body["enrolment"] == str(draft.id)
    assert entry.body["actor"] == {"id": "p-doc", "org": "XA01", "role": "physician"}


@on_sqlite
@pytest.mark.parametrize(("seconds", "fresh"), [(0, True), (300, True), (301, False), (-1, False)])
def test_a_signature_lasts_five_minutes(active: Installation, seconds: int, fresh: bool) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    active.clock.advance(seconds=seconds)

    def ask() -> Allocation:
        return reveal.reveal(active.deps, active.people["doc"], draft.id, signature)

    if fresh:
        assert ask().randomization_number == 1
    else:
        assert "not of the last five minutes" in str(refusal_of(active, ask))


def test_a_signature_for_another_record_is_refused(active: Installation) -> None:
    one, other = active.enrol(), active.enrol(type_small("P-002"))
    signature = active.sign(one)

    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], other.id, signature)
    )
    assert "of another person or for another record" in str(refusal)
    moved = replace(signature, enrolment=other.id)
    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], other.id, moved)
    )
    assert "the record was changed after it was signed" in str(refusal)


def test_a_signature_for_a_draft_that_was_amended_since_is_refused(active: Installation) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    enrolments.amend(
        active.deps, active.people["doc"], draft.id, type_small(facts={"severity": "severe"})
    )

    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], draft.id, signature)
    )
    assert refusal.code == "not-signed"
    assert active.reveal(draft).stratum == "severity=severe"


def test_a_signature_for_a_number_that_was_corrected_since_is_refused(
    active: Installation,
) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    doc = active.people["doc"]
    enrolments.amend(active.deps, doc, draft.id, type_small("P-002"))

    refusal = refusal_of(active, lambda: reveal.reveal(active.deps, doc, draft.id, signature))
    assert "the record was changed after it was signed" in str(refusal)
    active.reveal(draft)
    ((record,),) = active.ask("SELECT record FROM enrolment")
    assert parse_object(bytes(record))["participant"] == "P-002"


def test_a_signature_for_another_participant_number_is_refused(active: Installation) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    active.attack("UPDATE enrolment SET participant = 'P-666'")

    refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], draft.id, signature)
    )


def test_nobody_uses_the_signature_of_another_person(active: Installation) -> None:
    draft = active.enrol()
    signature = active.sign(draft, by="doc2")

    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], draft.id, signature)
    )
    assert isinstance(refusal, SignatureError)
    taken = replace(signature, person=active.people["doc"])
    assert (
        reveal.reveal(active.deps, active.people["doc"], draft.id, taken).signature["person"]
        == "p-doc"
    )  # what a signature says is its maker's word: `sign` alone makes one


@on_sqlite
def test_a_signature_has_a_time_with_a_zone(active: Installation) -> None:
    with pytest.raises(NaiveTimeError, match="signature time: a time needs its zone"):
        Signature(active.people["doc"], UUID(int=7), "0" * 64, START.replace(tzinfo=None))


def test_a_wrong_password_signs_nothing_and_is_logged_under_the_user_that_exists(
    active: Installation,
) -> None:
    draft = active.enrol()

    refusal = refusal_of(
        active, lambda: reveal.sign(active.deps, "doc2", "not this password", draft.id)
    )
    assert isinstance(refusal, WrongPasswordError)
    assert active.entries("allocation.refused")[-1].actor_id == "p-doc2"
    accounts.disable_account(active.deps, active.people["admin"], "doc2")
    refusal_of(active, lambda: reveal.sign(active.deps, "doc2", password_of("doc2"), draft.id))
    assert active.entries("allocation.refused")[-1].body["actor"]["role"] == "none"


@pytest.mark.parametrize("username", ["nobody", "no\0body", "x" * 10_000, "half \ud800"])
def test_an_unknown_user_signs_nothing_and_swells_no_log(
    active: Installation, username: str
) -> None:
    draft = active.enrol()
    size = len(active.entries())

    with pytest.raises(WrongPasswordError):
        reveal.sign(active.deps, username, password_of("doc"), draft.id)
    assert len(active.entries()) == size


@on_sqlite
def test_an_unknown_enrolment_is_neither_signed_nor_revealed(active: Installation) -> None:
    unknown, doctor = UUID(int=7), active.people["doc"]

    with pytest.raises(WrongPasswordError):
        reveal.sign(active.deps, "doc", "not this password", unknown)
    with pytest.raises(UnknownRecordError):
        reveal.sign(active.deps, "doc", password_of("doc"), unknown)
    with pytest.raises(UnknownRecordError):
        reveal.reveal(active.deps, doctor, unknown, None)
    with pytest.raises(UnknownRecordError):
        reveal.read_again(active.deps, doctor, unknown)
    assert active.refused() == []
