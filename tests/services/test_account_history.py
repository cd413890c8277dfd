"""An account with every role that it ever had, for administrators."""

from datetime import timedelta

import pytest

from alloc_service.errors import AccountError, NotAllowedError
from alloc_service.permissions import Grant, Role
from alloc_service.services import accounts, people
from alloc_service.services.people import AccountHistory, GivenRole
from tests.support.installation import START, Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def read(installation: Installation, username: str, by: str = "admin") -> AccountHistory:
    return people.read_history(installation.deps, installation.people[by], username)


def test_every_role_is_told_from_its_beginning_to_its_end_oldest_first(
    staffed: Installation,
) -> None:
    deps, admin, trial = staffed.deps, staffed.people["admin"], staffed.trial
    hours = [START + timedelta(hours=hour) for hour in range(5)]
    staffed.clock.now = hours[1]
    staffed.grant("guest", Role.PHYSICIAN, "XA01")
    staffed.clock.now = hours[2]
    accounts.end_grant(deps, admin, trial, "guest", Grant(Role.PHYSICIAN, "XA01"))
    staffed.clock.now = hours[3]
    staffed.grant("guest", Role.PHYSICIAN, "BE02")

    found = read(staffed, "guest")

    assert found.roles == (
        GivenRole(trial, Role.PHYSICIAN, "XA01", hours[1], "admin", hours[2]),
        GivenRole(trial, Role.PHYSICIAN, "BE02", hours[3], "admin", None),
    )
    assert [held.site for held in found.account.roles] == ["BE02"]


def test_nobody_gave_the_first_administrator_the_role(staffed: Installation) -> None:
    (role,) = read(staffed, "admin").roles

    assert role == GivenRole("", Role.ADMINISTRATOR, "", START, "", None)


def test_the_same_person_s_other_accounts_are_named(staffed: Installation) -> None:
    staffed.clock.advance(hours=1)
    staffed.add_account("twin", person="p-guest")

    assert read(staffed, "guest").others == ("twin",)
    assert read(staffed, "twin").others == ("guest",)
    assert read(staffed, "doc").others == ()


@on_sqlite
def test_a_disabled_account_is_still_told(staffed: Installation) -> None:
    accounts.disable_account(staffed.deps, staffed.people["admin"], "doc")

    assert read(staffed, "doc").account.state == "disabled"


@on_sqlite
@pytest.mark.parametrize("username", ["nobody", "", "no\0body", "x" * 10_000])
def test_an_account_that_there_is_not_is_not_told(staffed: Installation, username: str) -> None:
    with pytest.raises(AccountError, match="there is no such account"):
        read(staffed, username)


@on_sqlite
@pytest.mark.parametrize("user", ["manager", "stat", "dmc", "doc", "guest"])
def test_it_is_for_administrators_alone(staffed: Installation, user: str) -> None:
    with pytest.raises(NotAllowedError):
        read(staffed, "doc", user)
