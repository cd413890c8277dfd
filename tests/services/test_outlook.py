"""Totals and forecast: no arm in them, and no forecast from nothing."""

from datetime import date, timedelta

import pytest

from alloc_service.errors import NotAllowedError
from alloc_service.services import outlook, reports
from alloc_service.services.outlook import Outlook
from tests.support.installation import START, Installation

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def read(installation: Installation, username: str = "manager") -> Outlook:
    person = installation.people[username]
    return outlook.read_outlook(installation.deps, person, installation.trial)


@pytest.mark.parametrize("username", ["manager", "dmc", "stat", "second", "admin"])
def test_the_manager_and_oversight_are_told_totals_and_a_forecast(
    active: Installation, username: str
) -> None:
    for number in range(5):
        active.clock.advance(days=10)
        active.allocate(f"P-{number}")
    found = read(active, username)

    person = active.people[username]
    assert found.totals == reports.count_totals(active.deps, person, active.trial)
    assert (found.state, found.since) == ("open", START)
    ahead = found.last_day
    assert ahead is not None
    assert ahead.early is not None
    assert ahead.middle is not None
    assert ahead.late is not None
    today = (START + timedelta(days=50)).date()
    assert today < ahead.early < ahead.middle < ahead.late
    # Five more at one in ten days, and about as many days again for what so few leave open.
    assert today + timedelta(days=35) < ahead.middle < today + timedelta(days=65)
    assert found == read(active, username)
    assert "7Q" not in repr(found)


@pytest.mark.parametrize("username", ["doc", "far", "guest"])
def test_people_at_the_sites_are_told_no_forecast(active: Installation, username: str) -> None:
    with pytest.raises(NotAllowedError):
        read(active, username)


def test_there_is_no_forecast_before_a_day_and_a_first_allocation(active: Installation) -> None:
    assert read(active).last_day is None
    active.allocate()
    active.clock.advance(hours=23)
    assert read(active).last_day is None
    active.clock.advance(hours=2)
    assert read(active).last_day is not None


def test_there_is_no_forecast_before_list_and_site_are_active(sealed: Installation) -> None:
    assert (read(sealed).since, read(sealed).last_day) == (None, None)
    sealed.approve()
    sealed.activate()
    assert read(sealed).since is None


def test_there_is_no_forecast_for_a_trial_that_is_full_or_closed(active: Installation) -> None:
    active.clock.advance(days=5)
    active.allocate()
    active.change_state("pause")
    assert (read(active).state, read(active).last_day is None) == ("paused", False)
    active.change_state("close")
    assert (read(active).state, read(active).last_day) == ("closed", None)


def test_a_full_trial_has_no_last_day_ahead(active: Installation) -> None:
    active.clock.advance(days=5)
    for number in range(10):
        active.allocate(f"P-{number}", facts={"severity": "mild" if number % 2 else "severe"})
    assert read(active).last_day is None


def test_a_day_beyond_a_hundred_years_is_not_named(active: Installation) -> None:
    active.allocate()
    active.clock.advance(days=36_000)
    found = read(active).last_day

    assert found is not None
    assert found.late is None
    assert found.early is None or found.early > date(2124, 1, 1)
