"""Administrators of the whole installation: made by another one, in every trial's log."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from types import SimpleNamespace

import pytest

from alloc_service.errors import (
    AccountError,
    DisjointRolesError,
    NotAllowedError,
    RefusalError,
    SealerUnwritableError,
    SelfGrantError,
)
from alloc_service.permissions import Action, Grant, Role
from alloc_service.services import accounts, rights, trials, verification
from alloc_service.services.accounts import NewAccount
from alloc_service.storage import queries
from tests.support.installation import Installation, password_of

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def administrators(installation: Installation) -> list[str]:
    with installation.deps.database.read() as session:
        return accounts.list_administrators(session)


def end(installation: Installation, username: str, by: str = "admin") -> None:
    accounts.end_administrator(installation.deps, installation.people[by], username)


def create_other(installation: Installation, trial: str = "TEST-OTHER") -> None:
    other = installation.definition.model_copy(update={"id": trial})
    trials.create(installation.deps, installation.people["admin"], other)


def ended_in(installation: Installation) -> list[tuple[str, str]]:
    """Return of which trial's log each end of a role is, and whose it was."""
    found = []
    mine = installation.definition
    with installation.deps.database.read() as session:
        every = sorted(trial.id for trial in queries.list_trials(session))
    for trial in every:
        installation.definition = mine.model_copy(update={"id": trial})
        found += [(trial, e.body["subject"]) for e in installation.entries("grant.ended")]
    installation.definition = mine
    return found


def require_verified(installation: Installation) -> None:
    verification.verify(installation.deps, installation.trial).require()


@contextmanager
def no_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine say that its disk is full."""
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
        yield


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
    with no_room(monkeypatch), pytest.raises(SealerUnwritableError):
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


# --- the end of it ----------------------------------------------------------------------------


def test_an_administrator_ends_at_once_and_in_the_log_of_every_trial(
    staffed: Installation,
) -> None:
    create_other(staffed)
    accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")
    staffed.clock.advance(hours=1)
    end(staffed, "guest")

    assert administrators(staffed) == ["p-admin"]
    assert ended_in(staffed) == [("TEST-OTHER", "p-guest"), ("TEST-SMALL", "p-guest")]
    entry = staffed.entries("grant.ended")[0]
    body = dict(entry.body)
    assert body.pop("actor") == {"id": "p-admin", "org": "XA01", "role": "administrator"}
    assert body == {"subject": "p-guest", "role": "administrator", "site": ""}
    for trial in ("", staffed.trial, "TEST-OTHER"):
        with staffed.deps.database.read() as session, pytest.raises(NotAllowedError):
            rights.require(session, staffed.people["guest"], Action.CHANGE_USERS, trial)
    assert staffed.ask("SELECT count(*) FROM role_grant WHERE ended_at IS NOT NULL") == [(1,)]
    require_verified(staffed)


@on_sqlite
def test_it_ends_for_the_person_through_every_account_and_in_each_single_trial(
    staffed: Installation,
) -> None:
    admin = staffed.people["admin"]
    staffed.add_account("twin", person="p-guest")
    staffed.grant("twin", Role.MANAGER)
    staffed.grant("twin", Role.ADMINISTRATOR)
    for username in ("guest", "twin"):
        accounts.add_administrator(staffed.deps, admin, username)
    end(staffed, "guest")

    assert administrators(staffed) == ["p-admin"]
    assert staffed.ask(
        "SELECT role FROM role_grant JOIN account ON account.id = account_id"
        " WHERE person_id = 'p-guest' AND ended_at IS NULL"
    ) == [("manager",)]
    assert ended_in(staffed) == [("TEST-SMALL", "p-guest")]
    require_verified(staffed)
    with pytest.raises(AccountError, match="it does not administer the whole installation"):
        end(staffed, "twin")


@on_sqlite
def test_an_ended_administrator_can_be_made_one_again(staffed: Installation) -> None:
    for _ in range(2):
        accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")
        assert administrators(staffed) == ["p-admin", "p-guest"]
        end(staffed, "guest")

    assert ended_in(staffed) == [("TEST-SMALL", "p-guest")] * 2
    with pytest.raises(DisjointRolesError):
        staffed.grant("guest", Role.DMC)


@on_sqlite
def test_nobody_ends_an_own_role_in_the_installation_not_even_in_a_second_account(
    staffed: Installation,
) -> None:
    staffed.add_account("admin2", person="p-admin")
    accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")
    accounts.add_administrator(staffed.deps, staffed.people["guest"], "admin2")

    for username in ("admin", "admin2"):
        with pytest.raises(SelfGrantError):
            end(staffed, username)
    assert administrators(staffed) == ["p-admin", "p-guest"]


@on_sqlite
@pytest.mark.parametrize("username", ["guest", "manager", "nobody", "no\0body"])
def test_a_role_in_the_installation_that_is_not_held_is_not_ended(
    staffed: Installation, username: str
) -> None:
    staffed.grant("guest", Role.ADMINISTRATOR)
    size = staffed.state().size
    with pytest.raises(AccountError):
        end(staffed, username)
    assert staffed.state().size == size


@on_sqlite
@pytest.mark.parametrize("actor", ["stat", "manager", "doc", "dmc", "guest"])
def test_nobody_else_ends_an_administrator(staffed: Installation, actor: str) -> None:
    staffed.grant("guest", Role.ADMINISTRATOR)
    with pytest.raises(NotAllowedError):
        end(staffed, "admin", by=actor)


@on_sqlite
def test_a_disabled_administrator_ends_where_a_log_ever_named_them(staffed: Installation) -> None:
    accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")
    accounts.disable_account(staffed.deps, staffed.people["admin"], "guest")
    create_other(staffed)
    end(staffed, "guest")

    assert ended_in(staffed) == [("TEST-SMALL", "p-guest")]
    require_verified(staffed)


def test_where_a_log_cannot_grow_no_administrator_ends(
    staffed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")
    with no_room(monkeypatch), pytest.raises(SealerUnwritableError):
        end(staffed, "guest")

    assert administrators(staffed) == ["p-admin", "p-guest"]
    assert staffed.entries("grant.ended") == []


def _end(installation: Installation, by: str, username: str) -> None:
    end(installation, username, by)


def _disable(installation: Installation, by: str, username: str) -> None:
    accounts.disable_account(installation.deps, installation.people[by], username)


@pytest.mark.parametrize("one", [_end, _disable])
@pytest.mark.parametrize("other", [_end, _disable])
def test_of_two_administrators_who_put_each_other_out_at_once_one_remains(
    bare: Installation,
    one: Callable[[Installation, str, str], None],
    other: Callable[[Installation, str, str], None],
) -> None:
    first = NewAccount("admin", "p-admin", "Ada Admin", "XA01")
    accounts.create_first_administrator(bare.deps, first, password_of("admin"))
    bare.people["admin"] = bare.sign_in("admin")
    bare.add_account("guest")
    accounts.add_administrator(bare.deps, bare.people["admin"], "guest")
    start = Barrier(2)

    def put_out(act: Callable[[Installation, str, str], None], by: str, username: str) -> str:
        start.wait()
        try:
            act(bare, by, username)
        except RefusalError as error:
            return error.code
        return ""

    for _ in range(5):
        with ThreadPoolExecutor(2) as threads:
            codes = [
                threads.submit(put_out, one, "admin", "guest"),
                threads.submit(put_out, other, "guest", "admin"),
            ]
        found = [code.result() for code in codes]
        assert sorted(found) == ["", "not-allowed"]
        assert len(administrators(bare)) == 1
        bare.attack("UPDATE role_grant SET ended_at = NULL")
        bare.attack("UPDATE account SET disabled_at = NULL")
