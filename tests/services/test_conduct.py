"""How a trial stands, for its manager: from the log, and without what a manager may not know."""

from dataclasses import asdict

import pytest

from alloc_service.errors import LogDamagedError, NotAllowedError, UnknownRecordError
from alloc_service.log.state import ListState
from alloc_service.services import conduct, lists, trials
from alloc_service.services.conduct import Activation, Conduct, ListStanding
from tests.support.installation import Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def read(installation: Installation, by: str = "manager") -> Conduct:
    return conduct.read_conduct(installation.deps, installation.people[by], installation.trial)


def read_activation(installation: Installation, by: str = "manager", list_: int = 1) -> Activation:
    person = installation.people[by]
    return conduct.read_activation(installation.deps, person, installation.trial, list_)


def test_a_trial_that_has_just_begun_has_no_list_and_no_site_was_ever_active(
    staffed: Installation,
) -> None:
    found = read(staffed)

    assert (found.trial, found.title) == ("TEST-SMALL", "A small trial for tests")
    assert (found.state, found.cap, found.lists) == ("open", 10, ())
    assert [(site.code, site.state) for site in found.sites] == [
        ("XA01", "never active"),
        ("BE02", "never active"),
    ]
    assert found.sites[0].name == staffed.definition.sites[0].name


def test_state_cap_and_sites_are_those_of_the_log(active: Installation) -> None:
    active.change_site("BE02", active=False)
    active.change_state("pause")
    trials.change_cap(active.deps, active.people["manager"], active.trial, 7)

    found = read(active)

    assert (found.state, found.cap) == ("paused", 7)
    assert [site.state for site in found.sites] == ["active", "paused"]
    active.change_state("close")
    assert read(active).state == "closed"


def test_a_list_is_told_with_how_far_it_came_and_whether_it_was_regenerated(
    sealed: Installation,
) -> None:
    assert read(sealed).lists == (
        ListStanding(1, "sealed", approved=False, regenerated=False, drill_due=False),
    )
    sealed.approve()
    assert read(sealed).lists == (
        ListStanding(1, "approved", approved=True, regenerated=False, drill_due=False),
    )
    sealed.activate()
    (active,) = read(sealed).lists
    assert (active.state, active.drill_due) == ("active", True)


def test_a_list_s_step_is_the_furthest_that_it_came() -> None:
    known = ListState("0" * 64)
    steps = [known.step]
    for change in ({"root": "0" * 64}, {"approved_by": "p"}, {"active": True}, {"retired": True}):
        for name, value in change.items():
            setattr(known, name, value)
        steps.append(known.step)

    assert steps == ["frozen", "sealed", "approved", "active", "retired"]


@on_sqlite
def test_nothing_of_arms_slots_and_blocks_is_in_it(active: Installation) -> None:
    active.allocate("P-001")

    told = asdict(read(active))

    assert set(told) == {"trial", "title", "state", "cap", "sites", "lists"}
    assert set(told["sites"][0]) == {"code", "name", "state"}
    assert set(told["lists"][0]) == {"number", "state", "approved", "regenerated", "drill_due"}
    assert "7Q" not in str(told)
    assert "P-001" not in str(told)


@on_sqlite
@pytest.mark.parametrize("user", ["admin", "stat", "second", "dmc", "doc", "guest"])
def test_it_is_for_managers_alone(active: Installation, user: str) -> None:
    with pytest.raises(NotAllowedError):
        read(active, user)


@on_sqlite
def test_a_log_that_does_not_fold_tells_nothing(active: Installation) -> None:
    active.attack("DELETE FROM log_entry WHERE seq = 3")

    with pytest.raises(LogDamagedError):
        read(active)


# --- before a list is activated ---------------------------------------------------------------


def test_an_activation_says_who_sealed_and_approved_the_list_and_when(sealed: Installation) -> None:
    before = read_activation(sealed)
    sealed.clock.advance(hours=1)
    sealed.approve()

    assert before == Activation(
        trial="TEST-SMALL",
        title="A small trial for tests",
        trial_state="open",
        number=1,
        state="sealed",
        sealed_by="p-stat",
        sealed_at="2026-03-02T02:00:00Z",
        approved_by="",
        approved_at="",
        root_checked=False,
        root_equal=None,
    )
    after = read_activation(sealed)
    assert (after.state, after.root_checked) == ("approved", False)
    assert (after.approved_by, after.approved_at) == ("p-second", "2026-03-02T03:00:00Z")


def test_an_activation_says_what_the_last_regeneration_of_this_very_list_gave(
    sealed: Installation,
) -> None:
    root = sealed.entries("list.sealed")[0].body["root"]
    second, dmc = sealed.people["second"], sealed.people["dmc"]
    sealed.generate(2)
    lists.approve(sealed.deps, second, sealed.trial, 1, root)
    assert read_activation(sealed).root_checked

    for came_out in ("0" * 64, root):
        lists.log_regeneration(sealed.deps, dmc, sealed.trial, 1, came_out)
        assert read_activation(sealed).root_equal is (came_out == root)
    assert read_activation(sealed, list_=2).root_equal is None


@on_sqlite
@pytest.mark.parametrize("list_", [0, 2, 10_000, 10**400])
def test_a_list_that_there_is_not_is_not_activated(approved: Installation, list_: int) -> None:
    with pytest.raises(UnknownRecordError, match="no list of this number in trial TEST-SMALL"):
        read_activation(approved, list_=list_)


@on_sqlite
@pytest.mark.parametrize("user", ["admin", "stat", "second", "dmc", "doc", "guest"])
def test_only_a_manager_is_told_what_an_activation_means(approved: Installation, user: str) -> None:
    with pytest.raises(NotAllowedError):
        read_activation(approved, user)


@on_sqlite
def test_nothing_of_slots_and_of_the_root_is_in_what_is_told_before_an_activation(
    approved: Installation,
) -> None:
    told = str(asdict(read_activation(approved)))

    assert approved.entries("list.sealed")[0].body["root"] not in told
    assert "6" not in told.replace("2026", "")
