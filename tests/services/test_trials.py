"""Trials and their sites: begun once, paused, resumed and closed with a reason, each logged."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from alloc_service.core.canon import canon
from alloc_service.errors import (
    ClockError,
    FreeTextError,
    LoggedFieldError,
    NaiveTimeError,
    NotAllowedError,
    NotFollowedError,
    PersonalIdentifierError,
    RuleError,
    TrialExistsError,
    UnknownRecordError,
    UnknownSiteError,
)
from alloc_service.permissions import Grant, Role
from alloc_service.services import accounts, enrolments, trials
from alloc_service.storage import queries
from alloc_service.trial.definition import TrialDefinition
from tests.support.installation import START, Clock, Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


# --- beginning --------------------------------------------------------------------------------


def test_a_trial_begins_its_log_and_names_its_administrator(staffed: Installation) -> None:
    created, granted = staffed.entries()[:2]

    assert created.type == "trial.created"
    assert created.body["origin"] == staffed.origin == "rac.example.org/TEST-SMALL/audit"
    assert created.body["cap"] == 10
    assert (granted.type, granted.body["subject"]) == ("grant.added", "p-admin")
    assert staffed.deps.sealer.status(staffed.origin).size == len(staffed.entries())


def test_a_trial_is_created_once(staffed: Installation) -> None:
    with pytest.raises(TrialExistsError, match="There is a trial TEST-SMALL already"):
        trials.create(staffed.deps, staffed.people["admin"], staffed.definition)

    assert len(staffed.entries("trial.created")) == 1
    staffed.grant("guest", Role.DMC)


@on_sqlite
@pytest.mark.parametrize("actor", ["stat", "manager", "doc", "dmc", "guest"])
def test_only_an_administrator_creates_a_trial(staffed: Installation, actor: str) -> None:
    other = staffed.definition.model_copy(update={"id": "TEST-OTHER"})

    with pytest.raises(NotAllowedError):
        trials.create(staffed.deps, staffed.people[actor], other)
    with pytest.raises(UnknownRecordError), staffed.deps.database.read() as session:
        queries.read_trial(session, "TEST-OTHER")


@on_sqlite
def test_no_block_size_and_no_slot_count_is_stored_with_the_definition(
    staffed: Installation,
) -> None:
    with staffed.deps.database.read() as session:
        stored = queries.read_trial(session, staffed.trial)
        read = enrolments.definition_of(session, staffed.trial)

    assert b"blocks" not in stored.definition
    assert b"slots" not in stored.definition
    assert stored.definition_sha256 == hashlib.sha256(stored.definition).hexdigest()
    assert read.design_table is None
    assert read.arms == staffed.definition.arms
    assert isinstance(read, TrialDefinition)


def test_a_trial_whose_log_was_begun_but_not_followed_goes_on_at_the_next_act(
    staffed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = staffed.definition.model_copy(update={"id": "TEST-OTHER"})
    admin = staffed.people["admin"]

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(staffed.deps.sealer, "follow", die)
        with pytest.raises(KeyboardInterrupt):
            trials.create(staffed.deps, admin, other)
    with pytest.raises(NotFollowedError):  # it is shown to the sealer now
        accounts.add_grant(staffed.deps, admin, "TEST-OTHER", "dmc", Grant(Role.DMC))

    entry = accounts.add_grant(staffed.deps, admin, "TEST-OTHER", "dmc", Grant(Role.DMC))
    assert entry.seq == 1


# --- pausing, resuming, closing ---------------------------------------------------------------


def test_each_change_of_a_trial_is_logged_with_its_code_and_the_hash_of_its_reason(
    staffed: Installation,
) -> None:
    manager = staffed.people["manager"]
    for change, state in (("pause", "paused"), ("resume", "open"), ("close", "closed")):
        entry = trials.change_state(
            staffed.deps, manager, staffed.trial, change, code="dsmb.1", reason=f"wegen {change} 梅"
        )
        with staffed.deps.database.read() as session:
            reason = queries.find_reason(session, staffed.trial, entry.seq)
        assert reason is not None
        assert reason.text == f"wegen {change} 梅"
        hashed = hashlib.sha256(canon({"salt": reason.salt, "text": reason.text})).hexdigest()
        assert entry.type == trials.CHANGES[change]
        assert (entry.body["code"], entry.body["reason_sha256"]) == ("dsmb.1", hashed)
        assert "wegen" not in entry.data.decode()
        assert staffed.state().trial == state


@on_sqlite
@pytest.mark.parametrize(
    "changes",
    [["resume"], ["pause", "pause"], ["close", "close"], ["close", "resume"], ["close", "pause"]],
    ids="-".join,
)
def test_a_change_that_does_not_follow_is_refused_and_keeps_no_reason(
    staffed: Installation, changes: list[str]
) -> None:
    for change in changes[:-1]:
        staffed.change_state(change)

    with pytest.raises(RuleError):
        staffed.change_state(changes[-1])
    assert staffed.ask("SELECT count(*) FROM reason") == [(len(changes) - 1,)]


@on_sqlite
@pytest.mark.parametrize("actor", ["admin", "stat", "second", "doc", "dmc", "guest"])
def test_only_a_manager_changes_the_state_of_trial_and_sites(
    staffed: Installation, actor: str
) -> None:
    deps, person, trial = staffed.deps, staffed.people[actor], staffed.trial

    with pytest.raises(NotAllowedError):
        trials.change_state(deps, person, trial, "pause", code="x", reason="x")
    with pytest.raises(NotAllowedError):
        trials.change_site(deps, person, trial, "XA01", active=True)
    with pytest.raises(NotAllowedError):
        trials.change_cap(deps, person, trial, 5)


@on_sqlite
@pytest.mark.parametrize("code", ["", "DSMB", "a b", "x" * 65, "x" * 10_000, "a\0b", "梅"])
def test_a_reason_code_that_cannot_be_logged_is_refused_by_its_rule(
    staffed: Installation, code: str
) -> None:
    with pytest.raises(LoggedFieldError, match="reason code: it must be a code of 1 to 64"):
        trials.change_state(
            staffed.deps, staffed.people["manager"], staffed.trial, "pause", code=code, reason="x"
        )


@on_sqlite
@pytest.mark.parametrize("code", ["13812345678", "110101199003074514", "id-138-1234-5678"])
def test_a_reason_code_that_looks_like_an_identity_number_never_enters_the_log(
    staffed: Installation, code: str
) -> None:
    before = staffed.state().size
    with pytest.raises(PersonalIdentifierError, match="reason code: this looks like") as refusal:
        trials.change_state(
            staffed.deps, staffed.people["manager"], staffed.trial, "pause", code=code, reason="x"
        )
    assert code not in str(refusal.value)
    assert staffed.state().size == before


@on_sqlite
@pytest.mark.parametrize("reason", ["", "  "])
def test_a_change_without_a_reason_is_refused(staffed: Installation, reason: str) -> None:
    with pytest.raises(LoggedFieldError, match="reason: it must say why"):
        trials.change_state(
            staffed.deps,
            staffed.people["manager"],
            staffed.trial,
            "pause",
            code="dsmb",
            reason=reason,
        )


def test_what_is_wrong_with_code_and_reason_is_found_at_once() -> None:
    assert trials.find_faults("dsmb", "as agreed") == {}

    found = trials.find_faults("DSMB", "ring 13812345678")

    assert found["code"].unlabelled.startswith("it must be a code of 1 to 64 of a-z 0-9 . -.")
    assert isinstance(found["reason"], PersonalIdentifierError)
    assert list(trials.find_faults("dsmb", " ")) == ["reason"]


@on_sqlite
@pytest.mark.parametrize("change", ["", "delete", "trial.paused", "x" * 10_000])
def test_a_change_that_there_is_not_is_refused_by_naming_those_that_there_are(
    staffed: Installation, change: str
) -> None:
    with pytest.raises(LoggedFieldError, match="it must be one of pause, resume, close"):
        staffed.change_state(change)


@on_sqlite
@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("x" * 10_000, FreeTextError),
        ("a\0b", FreeTextError),
        ("two\nlines", FreeTextError),
        ("half \ud800 sign", FreeTextError),
        ("patient 13812345678 fell ill", PersonalIdentifierError),
        ("patient 11010119900307763X fell ill", PersonalIdentifierError),
        ("ring 138 1234 5678", PersonalIdentifierError),
    ],
)
def test_a_reason_holds_no_personal_identifier_and_nothing_odd(
    staffed: Installation, reason: str, error: type[FreeTextError]
) -> None:
    with pytest.raises(error) as refusal:
        trials.change_state(
            staffed.deps, staffed.people["manager"], staffed.trial, "pause", code="x", reason=reason
        )
    assert "5678" not in str(refusal.value)
    assert staffed.state().trial == "open"


# --- sites and cap ----------------------------------------------------------------------------


def test_a_site_is_activated_and_paused_in_turn(staffed: Installation) -> None:
    with pytest.raises(RuleError, match="the site is not active"):
        staffed.change_site(active=False)
    staffed.change_site(active=True)
    with pytest.raises(RuleError, match="the site is active already"):
        staffed.change_site(active=True)
    staffed.change_site(active=False)

    assert staffed.state().sites == {"XA01": False}


@on_sqlite
@pytest.mark.parametrize("site", ["XA02", "", "x" * 10_000, "X\0A", "西安"])
def test_only_a_site_of_the_trial_is_activated(staffed: Installation, site: str) -> None:
    with pytest.raises(UnknownSiteError) as refusal:
        staffed.change_site(site, active=True)
    assert len(str(refusal.value)) < 200


def test_the_cap_changes_but_not_below_what_is_allocated(active: Installation) -> None:
    manager = active.people["manager"]
    active.allocate("P-001")
    active.allocate("P-002")

    with pytest.raises(RuleError, match="more participants are allocated already"):
        trials.change_cap(active.deps, manager, active.trial, 1)
    assert trials.change_cap(active.deps, manager, active.trial, 2).body["cap"] == 2
    with pytest.raises(RuleError, match="the cap is that already"):
        trials.change_cap(active.deps, manager, active.trial, 2)


@on_sqlite
@pytest.mark.parametrize("cap", [0, -1, 1_000_001, 10**30])
def test_a_cap_that_makes_no_sense_is_refused(staffed: Installation, cap: int) -> None:
    with pytest.raises(LoggedFieldError, match="cap: it must be from 1 to 1,000,000"):
        trials.change_cap(staffed.deps, staffed.people["manager"], staffed.trial, cap)


# --- the clock --------------------------------------------------------------------------------


def test_an_entry_is_never_before_the_last_one(staffed: Installation) -> None:
    staffed.clock.advance(minutes=-4)
    entry = staffed.change_site(active=True)

    assert entry.time == "2026-03-02T02:00:00Z"


def test_a_log_far_ahead_of_the_clock_takes_no_entry(staffed: Installation) -> None:
    staffed.clock.advance(minutes=-5)
    staffed.change_site(active=True)
    staffed.clock.advance(seconds=-1)

    with pytest.raises(ClockError, match="last entry is of 2026-03-02T02:00:00Z"):
        staffed.change_site(active=False)
    assert staffed.state().sites == {"XA01": True}


def test_an_administrator_alone_steps_the_log_back(staffed: Installation) -> None:
    staffed.clock.now = START + timedelta(days=3_000)
    staffed.change_site(active=True)
    staffed.clock.now = START + timedelta(minutes=1)

    for actor in ("manager", "stat", "dmc", "doc", "guest"):
        with pytest.raises(NotAllowedError):
            trials.correct_clock(staffed.deps, staffed.people[actor], staffed.trial)
    entry = trials.correct_clock(staffed.deps, staffed.people["admin"], staffed.trial)

    assert (entry.body["from"], entry.body["to"]) == (
        "2034-05-19T02:00:00Z",
        "2026-03-02T02:01:00Z",
    )
    assert staffed.change_site(active=False).time == "2026-03-02T02:01:00Z"


@on_sqlite
def test_a_clock_that_is_right_is_not_corrected(staffed: Installation) -> None:
    for seconds in (0, 30):
        staffed.clock.advance(seconds=seconds)
        with pytest.raises(RuleError, match="the clock is not behind"):
            trials.correct_clock(staffed.deps, staffed.people["admin"], staffed.trial)


class NaiveClock(Clock):
    """A clock that forgot its zone."""

    def __call__(self) -> datetime:
        return self.now.replace(tzinfo=None)


def test_a_clock_without_a_zone_logs_nothing(staffed: Installation) -> None:
    staffed.deps = replace(staffed.deps, clock=NaiveClock())
    other = staffed.definition.model_copy(update={"id": "TEST-OTHER"})

    with pytest.raises(NaiveTimeError):
        staffed.change_site(active=True)
    with pytest.raises(NaiveTimeError):
        trials.correct_clock(staffed.deps, staffed.people["admin"], staffed.trial)
    with pytest.raises(NaiveTimeError):
        trials.create(staffed.deps, staffed.people["admin"], other)
    with pytest.raises(NaiveTimeError):
        staffed.add_account("mei")
