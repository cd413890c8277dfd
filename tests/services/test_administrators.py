"""Administrators of the whole installation: made by another one, in every trial's log."""

import pytest

from alloc_service.errors import (
    AccountError,
    DisjointRolesError,
    NotAllowedError,
    SealerUnwritableError,
    SelfGrantError,
)
from alloc_service.permissions import Action, Grant, Role
from alloc_service.services import accounts, rights, trials
from tests.support.installation import Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def administrators(installation: Installation) -> list[str]:
    with installation.deps.database.read() as session:
        return accounts.list_administrators(session)


def test_a_further_administrator_stands_in_the_log_of_every_trial(staffed: Installation) -> None:
    other = staffed.definition.model_copy(update={"id": "TEST-OTHER"})
    trials.create(staffed.deps, staffed.people["admin"], other)
    accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")

    assert administrators(staffed) == ["p-admin", "p-guest"]
    entry = staffed.entries()[-1]
    assert (entry.type, entry.body["subject"]) == ("grant.added", "p-guest")
    staffed.definition = other
    entry = staffed.entries()[-1]
    assert (entry.type, entry.body["subject"]) == ("grant.added", "p-guest")
    assert accounts.reset_password(staffed.deps, staffed.people["guest"], "doc")


def test_a_trial_names_all_administrators_of_the_installation(staffed: Installation) -> None:
    accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")
    staffed.definition = staffed.definition.model_copy(update={"id": "TEST-OTHER"})
    trials.create(staffed.deps, staffed.people["guest"], staffed.definition)

    subjects = [entry.body["subject"] for entry in staffed.entries("grant.added")]
    assert subjects == ["p-admin", "p-guest"]
    assert staffed.state().roles["p-admin"] == {Role.ADMINISTRATOR}


@on_sqlite
@pytest.mark.parametrize("username", ["doc", "stat", "second", "dmc"])
def test_whoever_has_or_had_a_part_in_a_trial_is_no_administrator(
    staffed: Installation, username: str
) -> None:
    admin = staffed.people["admin"]
    (role,) = staffed.state().roles[f"p-{username}"]
    grant = Grant(role, "XA01" if role == Role.PHYSICIAN else "")
    accounts.end_grant(staffed.deps, admin, staffed.trial, username, grant)
    staffed.add_account("twin", person=f"p-{username}")

    for account in (username, "twin"):
        with pytest.raises(DisjointRolesError):
            accounts.add_administrator(staffed.deps, admin, account)
    assert administrators(staffed) == ["p-admin"]


@on_sqlite
def test_an_administrator_is_one_once_and_not_by_an_own_act(staffed: Installation) -> None:
    admin = staffed.people["admin"]
    staffed.add_account("admin2", person="p-admin")
    accounts.add_administrator(staffed.deps, admin, "guest")

    with pytest.raises(AccountError, match="it holds the role administrator already"):
        accounts.add_administrator(staffed.deps, admin, "guest")
    for username in ("admin", "admin2"):
        with pytest.raises(SelfGrantError):
            accounts.add_administrator(staffed.deps, admin, username)
    with pytest.raises(AccountError, match="there is no such account"):
        accounts.add_administrator(staffed.deps, admin, "nobody")


@on_sqlite
@pytest.mark.parametrize("actor", ["stat", "manager", "doc", "dmc", "guest"])
def test_nobody_else_makes_an_administrator(staffed: Installation, actor: str) -> None:
    with pytest.raises(NotAllowedError):
        accounts.add_administrator(staffed.deps, staffed.people[actor], "guest")


@on_sqlite
def test_a_trials_own_administrator_makes_none_of_the_installation(staffed: Installation) -> None:
    staffed.grant("guest", Role.ADMINISTRATOR)

    with pytest.raises(NotAllowedError):
        accounts.add_administrator(staffed.deps, staffed.people["guest"], "manager")
    assert administrators(staffed) == ["p-admin"]


def test_where_a_log_cannot_grow_no_administrator_is_made(
    staffed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        free = 0

    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: FullDisk())
        with pytest.raises(SealerUnwritableError):
            accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")

    assert administrators(staffed) == ["p-admin"]
    with staffed.deps.database.read() as session, pytest.raises(NotAllowedError):
        rights.require(session, staffed.people["guest"], Action.CHANGE_USERS, staffed.trial)


@on_sqlite
def test_a_disabled_administrator_is_none(staffed: Installation) -> None:
    admin = staffed.people["admin"]
    accounts.add_administrator(staffed.deps, admin, "guest")
    accounts.disable_account(staffed.deps, admin, "guest")

    assert administrators(staffed) == ["p-admin"]
    (entry,) = staffed.entries("user.changed")
    assert entry.body["subject"] == "p-guest"
    with pytest.raises(NotAllowedError):
        accounts.reset_password(staffed.deps, staffed.people["guest"], "doc")
