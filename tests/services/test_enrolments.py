"""Enrolments: what is typed is kept as typed, or refused by its rule; a signed record stays."""

import json
from typing import Any
from uuid import UUID

import pytest

from alloc_service.core.canon import parse_object
from alloc_service.errors import (
    AllocatedAlreadyError,
    ConsentInFutureError,
    ConsentNotBeforeRequestError,
    ConstraintError,
    EnrolmentChangedError,
    FactsError,
    FactsMissingError,
    InputError,
    NotAllowedError,
    NotEligibleError,
    ParticipantUsedError,
    UnknownRecordError,
)
from alloc_service.services import enrolments, records
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.storage import queries
from tests.support.installation import START, Installation, type_shipped, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def amend(installation: Installation, draft: Draft, typed: Typed, by: str = "doc") -> Draft:
    return enrolments.amend(installation.deps, installation.people[by], draft.id, typed)


def stored(installation: Installation) -> int:
    return int(installation.ask("SELECT count(*) FROM enrolment")[0][0])


# --- keeping what is typed --------------------------------------------------------------------


def test_a_draft_is_kept_and_read_as_it_was_typed(active: Installation) -> None:
    draft = active.enrol(type_small("P-001", facts={"age": " 45 "}))

    assert (draft.trial, draft.site, draft.participant) == (active.trial, "XA01", "P-001")
    assert {fact.code: fact.typed for fact in draft.facts.given} == {
        "age": " 45 ",
        "severity": "mild",
    }
    assert draft.consent.time.isoformat() == "2026-03-01T09:15:00+08:00"
    assert draft.answers == {"written": "yes", "cancer": "no"}
    with active.deps.database.read() as session:
        row = queries.read_enrolment(session, draft.id)
        assert enrolments.read_draft(enrolments.definition_of(session, active.trial), row) == draft
        kept = queries.find_enrolment(session, draft.id)
    assert kept is not None
    assert (kept.record, kept.created_at, kept.created_by) == (
        None,
        START,
        active.people["doc"].account,
    )


def test_an_incomplete_or_ineligible_draft_may_be_kept(active: Installation) -> None:
    empty = active.enrol(Typed("P-001", "2026-03-01 09:15", "1", {}))
    too_old = active.enrol(type_small("P-002", facts={"age": "66"}))

    assert empty.eligibility(active.definition).unanswered == ("age", "written", "cancer")
    assert too_old.eligibility(active.definition).failed == ("age",)


def test_a_draft_is_amended_by_any_physician_of_its_site(active: Installation) -> None:
    draft = active.enrol()
    active.clock.advance(minutes=3)
    amended = amend(active, draft, type_small(facts={"severity": "severe"}), by="doc2")

    assert amended.id == draft.id
    assert amended.sha256 != draft.sha256
    assert stored(active) == 1
    assert active.reveal(amended).stratum == "severity=severe"


@on_sqlite
@pytest.mark.parametrize("by", ["far", "stat", "second", "manager", "dmc", "admin", "guest"])
def test_nobody_but_a_physician_of_the_site_enrols_or_amends(active: Installation, by: str) -> None:
    draft = active.enrol()

    with pytest.raises(NotAllowedError):
        active.enrol(type_small("P-002"), by=by)
    with pytest.raises(NotAllowedError):
        amend(active, draft, type_small(facts={"age": "30"}), by=by)
    assert stored(active) == 1


@on_sqlite
@pytest.mark.parametrize("site", ["", "XA02", "BE02", "x" * 10_000, "XA01\0"])
def test_a_physician_enrols_at_an_own_site_alone(active: Installation, site: str) -> None:
    with pytest.raises(NotAllowedError):
        active.enrol(site=site)


@on_sqlite
@pytest.mark.parametrize("trial", ["TEST-OTHER", "TEST\0", "x" * 10_000, "half \ud800"])
def test_nobody_enrols_in_an_unknown_trial(active: Installation, trial: str) -> None:
    with pytest.raises((NotAllowedError, UnknownRecordError)) as refusal:
        enrolments.enrol(active.deps, active.people["doc"], trial, "XA01", type_small())
    assert len(str(refusal.value)) < 300


def test_a_participant_number_is_used_once_at_a_site(active: Installation) -> None:
    active.enrol()

    with pytest.raises(ParticipantUsedError, match="Participant P-001 of site XA01"):
        active.enrol(type_small(facts={"age": "30"}), by="doc2")
    assert active.enrol(by="far", site="BE02").participant == "P-001"


@on_sqlite
def test_another_rule_of_the_schema_is_not_taken_for_a_used_number(active: Installation) -> None:
    active.enrol()
    active.attack("CREATE UNIQUE INDEX one_a_site ON enrolment (site)")

    with pytest.raises(ConstraintError):
        active.enrol(type_small("P-002"))


def test_the_number_of_a_draft_is_corrected_and_the_old_one_is_free_again(
    active: Installation,
) -> None:
    draft = active.enrol()

    amended = amend(active, draft, type_small("P-002"), by="doc2")

    assert (amended.id, amended.participant) == (draft.id, "P-002")
    assert amended.sha256 != draft.sha256
    assert active.ask("SELECT participant FROM enrolment") == [("P-002",)]
    assert active.enrol().participant == "P-001"


def test_a_number_that_the_site_has_used_is_refused_and_the_old_draft_stays(
    active: Installation,
) -> None:
    draft = active.enrol()
    active.enrol(type_small("P-002"))
    active.enrol(type_small("P-003"), by="far", site="BE02")

    with pytest.raises(ParticipantUsedError, match="Participant P-002 of site XA01"):
        amend(active, draft, type_small("P-002", facts={"age": "30"}))

    assert active_draft(active, draft.id) == draft
    assert amend(active, draft, type_small("P-003")).participant == "P-003"


@on_sqlite
@pytest.mark.parametrize("number", ["", "Zhang San", "P 2", "110101199003074514", "P\0", "x" * 33])
def test_a_number_that_breaks_the_rule_is_not_amended_in(active: Installation, number: str) -> None:
    draft = active.enrol()

    with pytest.raises(InputError):
        amend(active, draft, type_small(number))
    assert active_draft(active, draft.id) == draft


@on_sqlite
def test_another_rule_of_the_schema_is_not_taken_for_a_used_number_when_amending(
    active: Installation,
) -> None:
    active.enrol()
    draft = active.enrol(type_small("P-002", facts={"age": "30"}))
    active.attack("CREATE UNIQUE INDEX one_of_a_kind ON enrolment (draft)")

    with pytest.raises(ConstraintError):
        amend(active, draft, type_small("P-002"))


def test_a_record_that_is_allocated_never_changes(active: Installation) -> None:
    draft = active.enrol()
    active.reveal(draft)
    before = active.ask("SELECT participant, draft, record FROM enrolment")

    for typed in (type_small(facts={"age": "30"}), type_small("P-002")):
        with pytest.raises(AllocatedAlreadyError, match="allocated already"):
            amend(active, draft, typed)
    assert active.ask("SELECT participant, draft, record FROM enrolment") == before


@on_sqlite
def test_an_unknown_enrolment_is_not_amended(active: Installation) -> None:
    with pytest.raises(UnknownRecordError):
        enrolments.amend(active.deps, active.people["doc"], UUID(int=7), type_small())


# --- verified ---------------------------------------------------------------------------------


@on_sqlite
def test_a_verified_draft_tells_its_stratum(active: Installation) -> None:
    draft = active.enrol(type_small(facts={"severity": "moderate"}))

    stratum = draft.require_verified(active.definition, START, START)
    assert (stratum.code, stratum.index) == ("severity=severe", 1)


@on_sqlite
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"facts": {"age": ""}}, FactsMissingError),
        ({"facts": {"severity": " "}}, FactsMissingError),
        ({"facts": {"age": "17"}}, NotEligibleError),
        ({"facts": {"age": "66"}}, NotEligibleError),
        ({"answers": {"written": ""}}, NotEligibleError),
        ({"answers": {"cancer": "yes"}}, NotEligibleError),
        ({"consent_time": "2026-03-02 10:01"}, ConsentInFutureError),
        ({"consent_time": "2026-03-02 10:00"}, ConsentNotBeforeRequestError),
    ],
)
def test_a_draft_that_is_not_verified_says_why(
    active: Installation, changes: dict[str, Any], error: type[Exception]
) -> None:
    draft = active.enrol(type_small(**changes))

    with pytest.raises(error):
        draft.require_verified(active.definition, START, START)


@on_sqlite
@pytest.mark.parametrize(
    ("facts", "failed"),
    [
        ({"age": "17"}, ("age",)),
        ({"age": "66"}, ("age",)),
        ({"bilirubin": "1.9", "encephalopathy": "none"}, ("child-pugh",)),
        ({"age": "18"}, ()),
        ({"age": "65"}, ()),
    ],
)
def test_the_shipped_trial_checks_age_and_child_pugh_itself(
    shipped: Installation, facts: dict[str, str], failed: tuple[str, ...]
) -> None:
    draft = shipped.enrol(type_shipped(facts=facts))

    assert draft.eligibility(shipped.definition).failed == failed


# --- the record -------------------------------------------------------------------------------


def test_the_record_holds_what_was_signed_and_no_identity(active: Installation) -> None:
    draft = active.enrol()
    active.reveal(draft)
    with active.deps.database.read() as session:
        row = queries.read_enrolment(session, draft.id)
    assert row.record is not None
    record = parse_object(row.record)

    assert set(record) == {
        "answers", "consent", "definition", "enrolment", "facts", "participant", "salt",
        "signature", "site", "stratum", "trial", "v",
    }  # fmt: skip
    assert record["v"] == "rac-enrolment/1"
    assert record["signature"] == {
        "meaning": enrolments.MEANING,
        "name": "Dr doc",
        "person": "p-doc",
        "role": "physician",
        "time": "2026-03-02T02:00:00Z",
    }
    (entry,) = active.entries("slot.assigned")
    assert entry.body["enrolment_sha256"] == records.hash_record(row.record)
    assert b"7Q" not in row.record


def test_two_records_of_the_same_facts_have_different_hashes(active: Installation) -> None:
    active.allocate("P-001")
    active.allocate("P-002")

    one, other = active.ask("SELECT record FROM enrolment")
    assert parse_object(bytes(one[0]))["salt"] != parse_object(bytes(other[0]))["salt"]


@on_sqlite
@pytest.mark.parametrize(
    "draft",
    [b"", b"{}", b"[]", b"\xff", b'{"answers":{},"consent":{},"facts":{}}', b'{"a": 1}'],
)
def test_bytes_that_are_no_draft_are_told_as_a_change(active: Installation, draft: bytes) -> None:
    kept = active.enrol()
    active.attack("UPDATE enrolment SET draft = :draft", draft=draft)

    with pytest.raises(EnrolmentChangedError), active.deps.database.read() as session:
        enrolments.read_draft(active.definition, queries.read_enrolment(session, kept.id))


@on_sqlite
def test_a_draft_that_the_rules_would_have_refused_is_refused_when_it_is_read(
    active: Installation,
) -> None:
    kept = active.enrol()
    (row,) = active.ask("SELECT draft FROM enrolment")
    document = json.loads(row[0])
    document["facts"]["age"]["typed"] = "12"
    forged = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    active.attack("UPDATE enrolment SET draft = :draft", draft=forged)

    with pytest.raises(FactsError, match="rarely outside"), active.deps.database.read() as session:
        enrolments.read_draft(active.definition, queries.read_enrolment(session, kept.id))


def test_a_signature_is_for_site_number_and_trial_as_much_as_for_the_facts(
    active: Installation,
) -> None:
    kept = active.enrol()
    seen = {kept.sha256}
    for column, value in (("participant", "P-9"), ("site", "BE02"), ("draft", None)):
        if value is None:
            seen.add(amend(active, active_draft(active, kept.id), type_small("P-9"), "far").sha256)
        else:
            active.attack(f"UPDATE enrolment SET {column} = :value", value=value)
            seen.add(active_draft(active, kept.id).sha256)
    assert len(seen) == 4


def active_draft(installation: Installation, enrolment: UUID) -> Draft:
    with installation.deps.database.read() as session:
        row = queries.read_enrolment(session, enrolment)
        return enrolments.read_draft(installation.definition, row)


@on_sqlite
def test_health_data_show_in_no_repr(active: Installation) -> None:
    typed = type_small(answers={"cancer": "yes"}, facts={"age": "61"})
    draft = active.enrol(typed)

    for shown in (repr(typed), repr(draft)):
        assert "cancer" not in shown
        assert "61" not in shown.replace(str(draft.id), "").replace(draft.sha256, "")
