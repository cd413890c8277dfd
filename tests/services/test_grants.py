"""Roles in a trial: given and ended by an administrator, logged, disjoint over all time."""

from datetime import timedelta

import pytest

from alloc_service.errors import (
    AccountError,
    DisjointRolesError,
    NotAllowedError,
    SelfGrantError,
    UnknownRecordError,
    UnknownSiteError,
)
from alloc_service.permissions import DISJOINT, Action, Grant, Role
from alloc_service.services import accounts, lists, rights, trials, verification
from alloc_service.storage import queries
from tests.support.installation import START, Installation, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
DOCTOR = Grant(Role.PHYSICIAN, "XA01")


def site_of(role: Role) -> str:
    return "XA01" if role == Role.PHYSICIAN else ""


def end(installation: Installation, username: str, role: Role, site: str = "") -> None:
    accounts.end_grant(
        installation.deps,
        installation.people["admin"],
        installation.trial,
        username,
        Grant(role, site),
    )


# --- giving and ending ------------------------------------------------------------------------


def test_a_role_is_given_and_ended_with_its_times_and_both_are_logged(
    staffed: Installation,
) -> None:
    staffed.clock.advance(hours=1)
    given = staffed.grant("guest", Role.DMC)
    staffed.clock.advance(hours=1)
    end(staffed, "guest", Role.DMC)

    with staffed.deps.database.read() as session:
        (row,) = queries.list_grants(session, staffed.people["guest"].account)
    assert row.granted_at == START + timedelta(hours=1)
    assert row.ended_at == START + timedelta(hours=2)
    assert row.granted_by == staffed.people["admin"].account
    ended = staffed.entries("grant.ended")[-1]
    for entry in (given, ended):
        body = dict(entry.body)
        assert body.pop("actor") == {"id": "p-admin", "org": "XA01", "role": "administrator"}
        assert body == {"subject": "p-guest", "role": "dmc", "site": ""}


@on_sqlite
def test_a_role_opens_the_next_act_and_nothing_after_its_end(staffed: Installation) -> None:
    guest = staffed.people["guest"]
    with pytest.raises(NotAllowedError):
        trials.change_cap(staffed.deps, guest, staffed.trial, 7)
    staffed.grant("guest", Role.MANAGER)
    trials.change_cap(staffed.deps, guest, staffed.trial, 7)
    end(staffed, "guest", Role.MANAGER)

    with pytest.raises(NotAllowedError, match="it takes the role manager, held now"):
        trials.change_cap(staffed.deps, guest, staffed.trial, 8)


def test_a_physician_whose_role_has_ended_enrols_nobody_more(active: Installation) -> None:
    active.enrol()
    end(active, "doc", Role.PHYSICIAN, "XA01")

    with pytest.raises(NotAllowedError):
        active.enrol(type_small("P-002"))


@on_sqlite
def test_an_ended_role_can_be_given_again(staffed: Installation) -> None:
    end(staffed, "dmc", Role.DMC)
    staffed.grant("dmc", Role.DMC)

    with staffed.deps.database.read() as session:
        rights.require(session, staffed.people["dmc"], Action.READ_ARMS, staffed.trial)


@on_sqlite
def test_a_role_is_given_once_so_that_its_end_ends_it(staffed: Installation) -> None:
    with pytest.raises(AccountError, match="it holds the role dmc already"):
        staffed.grant("dmc", Role.DMC)
    end(staffed, "dmc", Role.DMC)

    with staffed.deps.database.read() as session, pytest.raises(NotAllowedError):
        rights.require(session, staffed.people["dmc"], Action.READ_ARMS, staffed.trial)


@on_sqlite
def test_a_role_that_stands_in_the_table_twice_ends_as_a_whole(staffed: Installation) -> None:
    staffed.attack(
        "INSERT INTO role_grant (id, account_id, trial_id, role, site, granted_at, granted_by,"
        " ended_at) SELECT :new, account_id, trial_id, role, site, granted_at, granted_by,"
        " ended_at FROM role_grant WHERE role = 'dmc'",
        new="0" * 32,
    )
    end(staffed, "dmc", Role.DMC)

    assert staffed.ask(
        "SELECT count(*) FROM role_grant WHERE ended_at IS NULL AND role = 'dmc'"
    ) == [(0,)]


def test_a_role_ends_for_the_person_through_every_account_in_this_trial_alone(
    staffed: Installation,
) -> None:
    other = staffed.definition.model_copy(update={"id": "TEST-OTHER"})
    trials.create(staffed.deps, staffed.people["admin"], other)
    twin = staffed.add_account("twin", person="p-dmc")
    staffed.grant("twin", Role.DMC)
    staffed.grant("twin", Role.MANAGER)
    accounts.add_grant(staffed.deps, staffed.people["admin"], "TEST-OTHER", "twin", Grant(Role.DMC))
    end(staffed, "dmc", Role.DMC)

    with staffed.deps.database.read() as session:
        assert rights.grants_now(session, twin, staffed.trial) == (Grant(Role.MANAGER),)
        assert rights.grants_now(session, twin, "TEST-OTHER") == (Grant(Role.DMC),)
    assert len(staffed.entries("grant.ended")) == 1
    verification.verify(staffed.deps, staffed.trial).require()


@on_sqlite
def test_whoever_administers_the_installation_does_not_end_as_administrator_of_one_trial(
    staffed: Installation,
) -> None:
    staffed.add_account("twin", person="p-guest")
    staffed.grant("twin", Role.ADMINISTRATOR)
    accounts.add_administrator(staffed.deps, staffed.people["admin"], "guest")

    with pytest.raises(AccountError, match="administers the whole installation: end that role"):
        end(staffed, "twin", Role.ADMINISTRATOR)
    assert staffed.entries("grant.ended") == []
    verification.verify(staffed.deps, staffed.trial).require()


@on_sqlite
@pytest.mark.parametrize(
    ("username", "grant"),
    [
        ("guest", Grant(Role.DMC)),
        ("dmc", Grant(Role.MANAGER)),
        ("doc", Grant(Role.PHYSICIAN, "BE02")),
        ("nobody", Grant(Role.DMC)),
        ("no\0body", Grant(Role.DMC)),
    ],
)
def test_a_role_that_is_not_held_is_not_ended(
    staffed: Installation, username: str, grant: Grant
) -> None:
    size = len(staffed.entries())
    with pytest.raises(AccountError):
        end(staffed, username, grant.role, grant.site)
    assert len(staffed.entries()) == size


@on_sqlite
def test_a_physician_is_one_at_one_site_and_everybody_else_in_the_whole_trial(
    staffed: Installation,
) -> None:
    for grant in (Grant(Role.PHYSICIAN), Grant(Role.DMC, "XA01")):
        with pytest.raises(AccountError, match="is held at one site"):
            staffed.grant("guest", grant.role, grant.site)


@on_sqlite
@pytest.mark.parametrize("site", ["XA02", "xa01", "x" * 10_000, "X\0", "西安"])
def test_a_physician_is_one_at_a_site_of_the_trial(staffed: Installation, site: str) -> None:
    with pytest.raises(UnknownSiteError, match="Its sites are: XA01, BE02") as refusal:
        staffed.grant("guest", Role.PHYSICIAN, site)
    assert len(str(refusal.value)) < 200


@on_sqlite
def test_a_disabled_account_is_given_no_role(staffed: Installation) -> None:
    accounts.disable_account(staffed.deps, staffed.people["admin"], "guest")

    with pytest.raises(AccountError, match="it is disabled, for ever"):
        staffed.grant("guest", Role.DMC)


@on_sqlite
@pytest.mark.parametrize("trial", ["TEST-OTHER", "TEST\0", "x" * 10_000, "half \ud800", ""])
def test_a_role_in_an_unknown_trial_is_refused(staffed: Installation, trial: str) -> None:
    with pytest.raises(UnknownRecordError) as refusal:
        accounts.add_grant(staffed.deps, staffed.people["admin"], trial, "guest", Grant(Role.DMC))
    assert len(str(refusal.value)) < 200


@on_sqlite
@pytest.mark.parametrize("actor", ["stat", "second", "manager", "doc", "dmc", "guest"])
def test_only_an_administrator_gives_and_ends_roles(staffed: Installation, actor: str) -> None:
    deps, person = staffed.deps, staffed.people[actor]

    with pytest.raises(NotAllowedError):
        accounts.add_grant(deps, person, staffed.trial, "guest", Grant(Role.DMC))
    with pytest.raises(NotAllowedError):
        accounts.end_grant(deps, person, staffed.trial, "dmc", Grant(Role.DMC))


# --- nobody to himself ------------------------------------------------------------------------


def test_nobody_gives_himself_a_role_not_even_through_a_second_account(
    staffed: Installation,
) -> None:
    staffed.add_account("admin2", person="p-admin")
    size = len(staffed.entries())

    for username in ("admin", "admin2"):
        with pytest.raises(SelfGrantError):
            staffed.grant(username, Role.DMC)
    assert len(staffed.entries()) == size


def test_nobody_ends_a_role_of_his_own(staffed: Installation) -> None:
    staffed.grant("guest", Role.ADMINISTRATOR)
    accounts.add_grant(
        staffed.deps, staffed.people["guest"], staffed.trial, "admin", Grant(Role.MANAGER)
    )
    size = len(staffed.entries())

    with pytest.raises(SelfGrantError):
        end(staffed, "admin", Role.MANAGER)
    assert len(staffed.entries()) == size


@on_sqlite
def test_a_trials_own_administrator_gives_roles_there_and_nowhere_else(
    staffed: Installation,
) -> None:
    staffed.grant("guest", Role.ADMINISTRATOR)
    guest = staffed.people["guest"]
    accounts.add_grant(staffed.deps, guest, staffed.trial, "manager", Grant(Role.DMC))

    with pytest.raises(SelfGrantError):
        accounts.add_grant(staffed.deps, guest, staffed.trial, "guest", Grant(Role.DMC))
    with pytest.raises(NotAllowedError):
        accounts.reset_password(staffed.deps, guest, "doc")


# --- disjoint, over all time ------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("pair", [tuple(sorted(pair)) for pair in DISJOINT], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_roles_that_exclude_each_other_do_so_over_all_time_and_all_accounts(
    staffed: Installation, pair: tuple[Role, Role], reverse: bool
) -> None:
    first, then = reversed(pair) if reverse else pair
    staffed.add_account("twin", person="p-guest")
    staffed.grant("guest", first, site_of(first))
    end(staffed, "guest", first, site_of(first))

    for username in ("guest", "twin"):
        with pytest.raises(DisjointRolesError, match=f"{then} cannot be given"):
            staffed.grant(username, then, site_of(then))
    assert staffed.state().roles["p-guest"] == {first}


def test_the_log_remembers_a_role_whose_row_somebody_removed(staffed: Installation) -> None:
    end(staffed, "stat", Role.STATISTICIAN)
    staffed.attack("DELETE FROM role_grant WHERE role = 'statistician'")

    with pytest.raises(DisjointRolesError):
        staffed.grant("stat", Role.PHYSICIAN, "XA01")


@on_sqlite
def test_the_installations_administrator_has_no_part_in_any_trial(staffed: Installation) -> None:
    staffed.add_account("admin2", person="p-admin")
    staffed.grant("guest", Role.ADMINISTRATOR)

    for role in (Role.PHYSICIAN, Role.STATISTICIAN, Role.SECOND_STATISTICIAN):
        with pytest.raises(DisjointRolesError):
            accounts.add_grant(
                staffed.deps,
                staffed.people["guest"],
                staffed.trial,
                "admin2",
                Grant(role, site_of(role)),
            )


def test_whoever_made_or_approved_a_list_never_enrols(approved: Installation) -> None:
    for username in ("stat", "second"):
        end(approved, username, approved.state().roles[f"p-{username}"].copy().pop())
        approved.add_account(f"{username}2", person=f"p-{username}")

        for account in (username, f"{username}2"):
            with pytest.raises(DisjointRolesError):
                approved.grant(account, Role.PHYSICIAN, "XA01")


def test_whoever_enrols_never_makes_or_approves_a_list(staffed: Installation) -> None:
    end(staffed, "doc", Role.PHYSICIAN, "XA01")

    for role in (Role.STATISTICIAN, Role.SECOND_STATISTICIAN):
        with pytest.raises(DisjointRolesError):
            staffed.grant("doc", role)
    with pytest.raises(NotAllowedError):
        lists.approve(staffed.deps, staffed.people["doc"], staffed.trial, 1, None)


# --- rights -----------------------------------------------------------------------------------


@on_sqlite
def test_a_refusal_names_the_role_that_somebody_holds_or_none(staffed: Installation) -> None:
    with staffed.deps.database.read() as session:
        named = {
            username: rights.as_they_are(session, person, staffed.trial).role
            for username, person in staffed.people.items()
        }

    assert named["guest"] == rights.NO_ROLE == "none"
    assert named["doc"] == "physician"
    assert named["admin"] == "administrator"


@on_sqlite
def test_roles_of_one_trial_are_none_in_another(staffed: Installation) -> None:
    other = staffed.definition.model_copy(update={"id": "TEST-OTHER"})
    trials.create(staffed.deps, staffed.people["admin"], other)

    with staffed.deps.database.read() as session:
        assert rights.may(session, staffed.people["dmc"], Action.READ_LOG, staffed.trial)
        assert not rights.may(session, staffed.people["dmc"], Action.READ_LOG, "TEST-OTHER")
        with pytest.raises(NotAllowedError):
            rights.require_anywhere(session, staffed.people["doc"], Action.ENROL, "TEST-OTHER")
        rights.require_anywhere(session, staffed.people["doc"], Action.ENROL, staffed.trial)


def test_a_role_that_ends_in_several_trials_is_logged_in_each(staffed: Installation) -> None:
    other = staffed.definition.model_copy(update={"id": "TEST-OTHER"})
    admin = staffed.people["admin"]
    trials.create(staffed.deps, admin, other)
    accounts.add_grant(staffed.deps, admin, "TEST-OTHER", "dmc", Grant(Role.DMC))

    once = accounts.reset_password(staffed.deps, admin, "dmc")
    accounts.disable_account(staffed.deps, admin, "dmc")

    assert once
    with staffed.deps.database.read() as session:
        for trial in (staffed.trial, "TEST-OTHER"):
            rows = [row.data for row in queries.read_entries(session, trial)]
            assert sum(b'"type":"user.changed"' in data for data in rows) == 2
            note = queries.find_checkpoint(session, trial)
            assert note is not None
            assert note.size == len(rows)
