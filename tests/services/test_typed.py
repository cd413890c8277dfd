"""What cannot be is refused by its field and its rule, and nothing that was typed is lost."""

from datetime import timedelta

import pytest

from alloc_service.errors import (
    AnswersError,
    ConsentError,
    ConsentVersionError,
    FactsError,
    InputError,
    ParticipantNumberError,
    PersonalIdentifierError,
)
from alloc_service.services import enrolments
from alloc_service.storage import queries
from tests.support.installation import Installation, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def stored(installation: Installation) -> int:
    return int(installation.ask("SELECT count(*) FROM enrolment")[0][0])


@on_sqlite
@pytest.mark.parametrize(
    ("number", "error"),
    [
        ("", ParticipantNumberError),
        ("P 001", ParticipantNumberError),
        ("P\0001", ParticipantNumberError),
        ("x" * 10_000, ParticipantNumberError),
        ("half \ud800", ParticipantNumberError),
        ("病人1", ParticipantNumberError),
        ("11010119900307763X", PersonalIdentifierError),
        ("13812345678", PersonalIdentifierError),
        ("138.1234.5678", PersonalIdentifierError),
    ],
)
def test_a_participant_number_is_short_and_identifies_nobody(
    active: Installation, number: str, error: type[InputError]
) -> None:
    with pytest.raises(error) as refusal:
        active.enrol(type_small(number))
    assert not number or number not in str(refusal.value)
    assert stored(active) == 0


@on_sqlite
@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"age": "121"}, "impossible"),
        ({"age": "-1"}, "impossible"),
        ({"age": "12"}, "unlikely"),
        ({"age": "45.5"}, "not-whole"),
        ({"age": "４５"}, "wide-digits"),
        ({"age": "1e2"}, "exponent"),
        ({"age": "45\0"}, "control-characters"),
        ({"age": "4" * 10_000}, "too-long"),
        ({"age": "half \ud800"}, "control-characters"),
        ({"severity": "MILD"}, "unknown-choice"),
        ({"birthday": "1990-03-07"}, "unknown-field"),
        ({"name": "Zhang Wei"}, "unknown-field"),
    ],
)
def test_a_fact_that_cannot_be_is_refused_by_its_field_and_what_was_typed_is_given_back(
    active: Installation, facts: dict[str, str], problem: str
) -> None:
    typed = type_small(facts=facts)
    with pytest.raises(FactsError) as refusal:
        active.enrol(typed)

    assert [item.code for item in refusal.value.problems] == [problem]
    assert refusal.value.problems[0].field in {*facts, "unknown field"}
    assert refusal.value.typed == typed.facts
    assert stored(active) == 0


def test_an_unlikely_value_is_kept_when_it_is_confirmed_and_the_record_says_so(
    active: Installation,
) -> None:
    draft = active.enrol(type_small(facts={"age": "90"}, confirmed=("age",)))

    assert draft.facts.confirmed == ("age",)
    again = active.enrol(type_small("P-002", facts={"age": "64"}, confirmed=("age",)))
    assert again.facts.confirmed == ()
    active.reveal(again)


@on_sqlite
def test_an_unlikely_value_that_is_amended_in_must_be_confirmed_and_the_old_draft_stays(
    active: Installation,
) -> None:
    draft = active.enrol()

    with pytest.raises(FactsError, match="it is rarely outside 16 to 85 years"):
        enrolments.amend(
            active.deps, active.people["doc"], draft.id, type_small(facts={"age": "12"})
        )
    with active.deps.database.read() as session:
        row = queries.read_enrolment(session, draft.id)
        assert enrolments.read_draft(active.definition, row) == draft


@on_sqlite
@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({"written": "maybe"}, "unknown-choice"),
        ({"age": "yes"}, "checked-by-system"),
        ({"written\0": "yes"}, "unknown-field"),
        ({"written": "x" * 10_000}, "unknown-choice"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(
    active: Installation, answers: dict[str, str], problem: str
) -> None:
    with pytest.raises(AnswersError) as refusal:
        active.enrol(type_small(answers=answers))
    assert [item.code for item in refusal.value.problems] == [problem]
    assert len(str(refusal.value)) < 300


@on_sqlite
@pytest.mark.parametrize(
    ("consent", "error"),
    [
        ({"consent_time": ""}, ConsentError),
        ({"consent_time": "yesterday"}, ConsentError),
        ({"consent_time": "2026-02-30 09:15"}, ConsentError),
        ({"consent_time": "2026-03-01 09:15\0"}, ConsentError),
        ({"consent_time": "9" * 10_000}, ConsentError),
        ({"consent_time": "1900-06-01 09:15"}, ConsentError),
        ({"consent_version": "2"}, ConsentVersionError),
        ({"consent_version": ""}, ConsentVersionError),
        ({"consent_version": "x" * 10_000}, ConsentVersionError),
    ],
)
def test_a_consent_that_cannot_be_is_refused(
    active: Installation, consent: dict[str, str], error: type[ConsentError]
) -> None:
    with pytest.raises(error) as refusal:
        active.enrol(type_small(**consent))
    assert len(str(refusal.value)) < 300
    assert stored(active) == 0


@on_sqlite
def test_a_consent_time_is_read_in_the_zone_of_its_site(active: Installation) -> None:
    here = active.enrol(by="doc", site="XA01")
    there = active.enrol(by="far", site="BE02")

    assert there.consent.time - here.consent.time == timedelta(hours=7)
