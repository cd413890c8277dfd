"""What is looked up before somebody acts: for those who may see it, and for nobody else."""

from uuid import uuid4

import pytest

from alloc_service.errors import (
    ConsentInFutureError,
    FactsMissingError,
    NotAllowedError,
    NotEligibleError,
    TrialExistsError,
    UnknownRecordError,
    UnknownSiteError,
)
from alloc_service.log.note import Verifier, open_checkpoint
from alloc_service.permissions import Action, Grant, Role
from alloc_service.services import accounts, lookups, reports, trials
from alloc_service.services.enrolments import Typed
from alloc_service.services.lookups import HeldRole, RecordToCheck
from tests.support.installation import Installation, type_small


def find(active: Installation, participant: str = "P-001", by: str = "doc") -> RecordToCheck:
    return lookups.find_record(active.deps, active.people[by], active.trial, "XA01", participant)


def test_a_definition_is_public_and_without_its_design(active: Installation) -> None:
    found = lookups.read_definition(active.deps, active.trial)

    assert found.public_bytes() == active.definition.public_bytes()
    assert found.design_table is None
    with pytest.raises(UnknownRecordError):
        lookups.read_definition(active.deps, "TEST-OTHER")


def test_a_trial_is_new_until_it_is_created(active: Installation) -> None:
    lookups.require_new_trial(active.deps, "TEST-OTHER")

    with pytest.raises(TrialExistsError):
        lookups.require_new_trial(active.deps, active.trial)


def test_the_log_key_opens_the_trial_s_checkpoints(active: Installation) -> None:
    key = Verifier.parse(lookups.read_log_key(active.deps, active.trial))

    _, note = reports.export_log(active.deps, active.people["dmc"], active.trial)

    assert open_checkpoint(note, key).size > 0


def test_a_complete_record_is_shown_with_its_stratum_and_no_obstacle(active: Installation) -> None:
    active.enrol()

    record = find(active)

    assert record.stratum is not None
    assert record.stratum.code == "severity=mild"
    assert record.obstacle is None
    assert not record.allocated
    assert record.eligibility.reasons == ()


def test_an_incomplete_record_has_no_stratum_and_says_what_is_missing(
    active: Installation,
) -> None:
    active.enrol(Typed("P-001", "2026-03-01 09:15", "1", {"age": "45"}))

    record = find(active)

    assert record.stratum is None
    assert isinstance(record.obstacle, FactsMissingError)
    assert set(record.eligibility.unanswered) == {"written", "cancer"}


def test_an_ineligible_record_and_a_consent_to_come_are_obstacles(active: Installation) -> None:
    active.enrol(type_small("P-001", facts={"age": "66"}))
    active.enrol(type_small("P-002", consent_time="2026-03-03 09:15"))

    assert isinstance(find(active).obstacle, NotEligibleError)
    assert isinstance(find(active, "P-002").obstacle, ConsentInFutureError)


def test_a_draft_that_was_just_kept_is_checked_in_the_same_way(active: Installation) -> None:
    draft = active.enrol()

    kept = lookups.check_draft(active.definition, draft, active.clock())

    found = find(active)
    assert kept.draft == found.draft
    assert kept.stratum == found.stratum
    assert not kept.allocated


def test_an_allocated_record_says_so(active: Installation) -> None:
    active.allocate()

    assert find(active).allocated


def test_a_record_is_for_the_physicians_of_its_site(active: Installation) -> None:
    active.enrol()
    for user in ("manager", "stat", "dmc", "admin", "far", "guest"):
        with pytest.raises(NotAllowedError):
            find(active, by=user)


def test_an_unknown_participant_and_an_unknown_site_are_refused(active: Installation) -> None:
    with pytest.raises(UnknownRecordError):
        find(active, "P-404")
    with pytest.raises(UnknownSiteError):
        lookups.find_record(active.deps, active.people["doc"], active.trial, "ZZ99", "P-001")


def test_no_repr_of_a_record_shows_what_was_typed(active: Installation) -> None:
    active.enrol(type_small(facts={"age": "47"}))

    assert "47" not in repr(find(active))


def test_every_problem_of_every_part_is_found(active: Installation) -> None:
    typed = Typed(
        "13912345678", "tomorrow", "1", {"age": "450", "height": "1"}, answers={"age": "yes"}
    )

    problems = lookups.find_problems(active.definition, "XA01", typed)

    assert [(problem.field, problem.code) for problem in problems] == [
        ("participant", "personal-identifier"),
        ("consent", "bad-consent"),
        ("age", "impossible"),
        ("height", "unknown-field"),
        ("age", "checked-by-system"),
    ]
    assert lookups.find_problems(active.definition, "XA01", type_small()) == ()


def test_accounts_are_listed_with_their_state_and_the_roles_of_now(active: Installation) -> None:
    deps, admin = active.deps, active.people["admin"]
    accounts.reset_password(deps, admin, "guest")
    accounts.disable_account(deps, admin, "doc2")
    accounts.add_account(deps, admin, accounts.NewAccount("new", "p-new", "Dr New", "XA01"))

    rows = {row.username: row for row in lookups.list_accounts(deps, admin)}

    assert list(rows) == sorted(rows)
    assert rows["admin"].roles == (HeldRole("", "administrator", ""),)
    assert rows["doc"].roles == (HeldRole(active.trial, "physician", "XA01"),)
    assert rows["doc"].state == "active"
    assert rows["doc2"].state == "disabled"
    assert {rows["guest"].state, rows["new"].state} == {"one-time password"}


def test_a_role_that_has_ended_is_not_listed(active: Installation) -> None:
    deps, admin = active.deps, active.people["admin"]
    accounts.end_grant(deps, admin, active.trial, "dmc", Grant(Role.DMC))

    rows = {row.username: row for row in lookups.list_accounts(deps, admin)}

    assert rows["dmc"].roles == ()


def test_accounts_are_listed_for_administrators_alone(active: Installation) -> None:
    for user in ("manager", "stat", "doc", "guest"):
        with pytest.raises(NotAllowedError):
            lookups.list_accounts(active.deps, active.people[user])


def test_the_escrow_is_ciphertext_for_oversight(active: Installation) -> None:
    kept = lookups.read_escrow(active.deps, active.people["dmc"], active.trial, 1)

    assert len(kept) == 3
    assert all(data.startswith(b"age-encryption.org/v1\n") for data in kept.values())
    for user in ("doc", "manager", "guest"):
        with pytest.raises(NotAllowedError):
            lookups.read_escrow(active.deps, active.people[user], active.trial, 1)


def test_an_escrow_that_is_not_kept_is_not_found(active: Installation) -> None:
    dmc = active.people["dmc"]
    with pytest.raises(UnknownRecordError):
        lookups.read_escrow(active.deps, dmc, active.trial, 2)
    active.attack("DELETE FROM escrow_file")

    with pytest.raises(UnknownRecordError, match="escrow file kept"):
        lookups.read_escrow(active.deps, dmc, active.trial, 1)


def test_the_cap_is_the_log_s_and_not_the_definition_s(active: Installation) -> None:
    declared = active.definition.cap
    assert lookups.read_cap(active.deps, active.trial) == declared

    trials.change_cap(active.deps, active.people["manager"], active.trial, declared - 1)

    assert lookups.read_cap(active.deps, active.trial) == declared - 1


def test_a_page_is_guarded_by_what_its_reader_may_do(active: Installation) -> None:
    enrolment = active.enrol().id
    deps, people, trial = active.deps, active.people, active.trial

    lookups.require_access(deps, people["doc"], Action.ENROL, trial)
    lookups.require_access(deps, people["doc"], Action.ENROL, trial, "XA01")
    lookups.require_access_to(deps, people["doc"], Action.ENROL, enrolment)
    lookups.require_oversight(deps, people["dmc"], trial)

    with pytest.raises(NotAllowedError):
        lookups.require_access(deps, people["dmc"], Action.ENROL, trial)
    with pytest.raises(NotAllowedError):
        lookups.require_access(deps, people["doc"], Action.ENROL, trial, "XA02")
    with pytest.raises(NotAllowedError):
        lookups.require_access_to(deps, people["far"], Action.ENROL, enrolment)
    with pytest.raises(UnknownRecordError):
        lookups.require_access_to(deps, people["doc"], Action.ENROL, uuid4())
    with pytest.raises(NotAllowedError):
        lookups.require_oversight(deps, people["doc"], trial)


def test_everybody_is_told_their_own_roles_by_trial(active: Installation) -> None:
    def own(username: str) -> dict[str, set[str]]:
        found = lookups.list_own_roles(active.deps, active.people[username])
        return {trial: {grant.role.value for grant in grants} for trial, grants in found.items()}

    assert own("doc") == {active.trial: {"physician"}}
    assert own("admin")[""] == {"administrator"}
    assert own("guest") == {}


def test_a_backup_is_for_administrators(active: Installation) -> None:
    lookups.require_backup(active.deps, active.people["admin"])

    with pytest.raises(NotAllowedError):
        lookups.require_backup(active.deps, active.people["manager"])
