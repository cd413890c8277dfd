"""Each missing part of a verified request is refused by its own code: no slot, one log entry."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from alloc_service.errors import (
    CapReachedError,
    DisjointRolesError,
    FactsError,
    NaiveTimeError,
    NotAllocatedError,
    NotAllowedError,
    RefusalError,
    SignatureError,
    UnknownRecordError,
    WrongPasswordError,
)
from alloc_service.permissions import Role
from alloc_service.services import accounts, enrolments, refusals, reveal, trials
from alloc_service.services.reveal import Allocation, Signature
from tests.support.installation import (
    START,
    Installation,
    password_of,
    type_shipped,
    type_small,
)

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def refusal_of(installation: Installation, call: Callable[[], object]) -> RefusalError:
    """Return a refusal that spent no slot, and stands in the log once, by its code."""
    slots, before = installation.spent(), installation.refused()
    with pytest.raises(RefusalError) as refusal:
        call()
    assert installation.spent() == slots
    assert installation.refused() == [*before, refusal.value.code]
    assert "7Q" not in str(refusal.value)
    assert installation.ask("SELECT count(*) FROM assignment") == [(slots,)]
    return refusal.value


# --- the signature ----------------------------------------------------------------------------


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


# --- who asks ---------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("by", ["far", "stat", "second", "manager", "dmc", "admin", "guest"])
def test_nobody_but_a_physician_of_the_site_is_given_an_allocation(
    active: Installation, by: str
) -> None:
    draft = active.enrol()
    signature = active.sign(draft, by=by)

    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people[by], draft.id, signature)
    )
    assert isinstance(refusal, NotAllowedError)
    assert active.entries("allocation.refused")[-1].actor_id == f"p-{by}"


@on_sqlite
def test_nobody_but_a_physician_of_the_site_reads_an_allocation_again(
    active: Installation,
) -> None:
    draft = active.enrol()
    active.reveal(draft)

    for by in ("far", "stat", "manager", "dmc", "admin", "guest"):
        person = active.people[by]
        refusal = refusal_of(active, lambda: reveal.read_again(active.deps, person, draft.id))  # noqa: B023  called at once
        assert isinstance(refusal, NotAllowedError)
    assert active.entries("slot.reread") == []


@on_sqlite
def test_nobody_else_learns_whether_an_enrolment_is_allocated(active: Installation) -> None:
    draft = active.enrol()

    stranger = refusal_of(
        active, lambda: reveal.read_again(active.deps, active.people["far"], draft.id)
    )
    own = refusal_of(active, lambda: reveal.read_again(active.deps, active.people["doc"], draft.id))
    assert isinstance(stranger, NotAllowedError)
    assert "P-001" not in str(stranger)
    assert isinstance(own, NotAllocatedError)


def test_a_list_maker_whose_role_somebody_forged_in_the_database_enrols_nobody(
    active: Installation,
) -> None:
    active.attack(
        "UPDATE role_grant SET role = 'physician', site = 'XA01'"
        " WHERE role IN ('statistician', 'second-statistician')"
    )
    for by in ("stat", "second"):
        draft = active.enrol(type_small(f"P-{by}"), by=by)
        refusal = refusal_of(active, lambda: active.reveal(draft, by=by))  # noqa: B023  called at once
        assert isinstance(refusal, DisjointRolesError)


# --- the record -------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"consent_time": "2026-03-02 10:01"}, "consent-in-future"),
        ({"consent_time": "2026-03-02 10:00"}, "consent-not-before-request"),
        ({"facts": {"age": ""}}, "facts-missing"),
        ({"facts": {"severity": ""}}, "facts-missing"),
        ({"facts": {"age": "17"}}, "not-eligible"),
        ({"facts": {"age": "66"}}, "not-eligible"),
        ({"answers": {"written": ""}}, "not-eligible"),
        ({"answers": {"written": "no"}}, "not-eligible"),
        ({"answers": {"cancer": "yes"}}, "not-eligible"),
    ],
)
def test_a_record_that_is_not_verified_is_refused_and_kept(
    active: Installation, changes: dict[str, Any], code: str
) -> None:
    draft = active.enrol(type_small(**changes))

    assert refusal_of(active, lambda: active.reveal(draft)).code == code
    good = enrolments.amend(active.deps, active.people["doc"], draft.id, type_small())
    assert active.reveal(good).randomization_number == 1


def test_a_consent_after_the_signature_is_refused_though_it_is_past_by_now(
    active: Installation,
) -> None:
    draft = active.enrol(type_small(consent_time="2026-03-02 10:01"))
    signature = active.sign(draft)
    active.clock.advance(minutes=2)

    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], draft.id, signature)
    )
    assert refusal.code == "consent-not-before-request"


@on_sqlite
@pytest.mark.parametrize(
    ("facts", "summary"),
    [
        ({"bilirubin": "1.9", "encephalopathy": "none"}, "failed:child-pugh"),
        ({"age": "66"}, "failed:age"),
        ({"age": "17"}, "failed:age"),
    ],
)
def test_child_pugh_8_and_the_ages_around_the_limits_are_not_eligible(
    shipped: Installation, facts: dict[str, str], summary: str
) -> None:
    draft = shipped.enrol(type_shipped(facts=facts))

    assert summary in str(refusal_of(shipped, lambda: shipped.reveal(draft)))


@on_sqlite
def test_an_unlikely_value_that_nobody_confirmed_is_refused_also_where_it_was_slipped_in(
    active: Installation,
) -> None:
    draft = active.enrol(type_small(facts={"age": "16"}))
    active.attack(
        "UPDATE enrolment SET draft ="
        """ CAST(replace(CAST(draft AS TEXT), '"16"', '"15"') AS BLOB)"""
    )
    signature = Signature(active.people["doc"], draft.id, draft.sha256, START)

    refusal = refusal_of(
        active, lambda: reveal.reveal(active.deps, active.people["doc"], draft.id, signature)
    )
    assert isinstance(refusal, FactsError)


# --- the state of trial, site, list and cap ---------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("change", ["pause", "close"])
def test_a_paused_or_closed_trial_allocates_nobody(active: Installation, change: str) -> None:
    draft = active.enrol()
    active.change_state(change)

    assert refusal_of(active, lambda: active.reveal(draft)).code == "trial-not-open"


def test_a_resumed_trial_goes_on_where_it_was(active: Installation) -> None:
    active.allocate("P-001")
    active.change_state("pause")
    active.change_state("resume")

    assert active.allocate("P-002").randomization_number == 2


def test_a_site_that_is_not_active_allocates_nobody_and_the_others_go_on(
    active: Installation,
) -> None:
    draft = active.enrol()
    active.change_site(active=False)

    assert refusal_of(active, lambda: active.reveal(draft)).code == "site-not-active"
    there = active.enrol(type_small("P-002"), by="far", site="BE02")
    assert active.reveal(there, by="far").randomization_number == 1


@on_sqlite
def test_a_site_that_was_never_activated_allocates_nobody(approved: Installation) -> None:
    approved.activate()
    draft = approved.enrol()

    assert refusal_of(approved, lambda: approved.reveal(draft)).code == "site-not-active"


@on_sqlite
@pytest.mark.parametrize("stage", ["staffed", "sealed", "approved"])
def test_without_an_active_list_nobody_is_allocated(
    open_stage: Callable[[str], Installation], stage: str
) -> None:
    installation = open_stage(stage)
    installation.change_site(active=True)
    draft = installation.enrol()

    assert refusal_of(installation, lambda: installation.reveal(draft)).code == "no-active-list"


def test_an_exhausted_stratum_is_refused_and_the_other_one_goes_on(active: Installation) -> None:
    for index in range(6):
        active.allocate(f"P-{index}")
    draft = active.enrol(type_small("P-6"))

    refusal = refusal_of(active, lambda: active.reveal(draft))
    assert (refusal.code, refusal.facts) == ("stratum-exhausted", {"stratum": "severity=mild"})
    assert active.allocate("P-7", facts={"severity": "severe"}).randomization_number == 7


def test_the_cap_is_the_last_allocation_and_can_be_raised(active: Installation) -> None:
    trials.change_cap(active.deps, active.people["manager"], active.trial, 2)
    active.allocate("P-001")
    active.allocate("P-002")
    draft = active.enrol(type_small("P-003"))

    assert isinstance(refusal_of(active, lambda: active.reveal(draft)), CapReachedError)
    trials.change_cap(active.deps, active.people["manager"], active.trial, 3)
    assert active.reveal(draft).randomization_number == 3


# --- nobody swells the log --------------------------------------------------------------------


def test_ten_refusals_of_one_person_in_ten_minutes_are_logged_and_no_more(
    active: Installation,
) -> None:
    draft, doctor = active.enrol(), active.people["doc"]
    for _ in range(13):
        with pytest.raises(SignatureError):
            reveal.reveal(active.deps, doctor, draft.id, None)
    assert len(active.refused()) == refusals.MOST_REFUSALS == 10
    refusal_of(active, lambda: reveal.reveal(active.deps, active.people["doc2"], draft.id, None))
    active.clock.now = START + timedelta(minutes=10)
    with pytest.raises(SignatureError):
        reveal.reveal(active.deps, doctor, draft.id, None)
    assert len(active.refused()) == 11

    active.clock.advance(seconds=1)
    refusal_of(active, lambda: reveal.reveal(active.deps, doctor, draft.id, None))
    assert active.reveal(draft).randomization_number == 1


@on_sqlite
def test_the_refusal_names_the_role_that_somebody_holds(active: Installation) -> None:
    active.grant("dmc", Role.MANAGER)
    draft = active.enrol()
    refusal_of(active, lambda: reveal.reveal(active.deps, active.people["dmc"], draft.id, None))

    assert active.entries("allocation.refused")[0].body["actor"]["role"] == "dmc"
