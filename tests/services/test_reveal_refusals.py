"""Each missing part of a verified request is refused by its own code: no slot, one log entry."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from alloc_service.errors import (
    CapReachedError,
    DisjointRolesError,
    FactsError,
    NotAllocatedError,
    NotAllowedError,
    SignatureError,
)
from alloc_service.permissions import Role
from alloc_service.services import enrolments, refusals, reveal, trials
from alloc_service.services.reveal import Signature
from tests.support.installation import START, Installation, type_shipped, type_small
from tests.support.refusals import refusal_of

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


# --- who asks --------------------------------------------------------------------------------


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


# --- the record ------------------------------------------------------------------------------


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
        ({"bilirubin": "1.9", "encephalopathy": "none"}, "Not satisfied: child-pugh."),
        ({"age": "66"}, "Not satisfied: age."),
        ({"age": "17"}, "Not satisfied: age."),
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


# --- the state of trial, site, list and cap --------------------------------------------------


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


# --- nobody swells the log -------------------------------------------------------------------


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
