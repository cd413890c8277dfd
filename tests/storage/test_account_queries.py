"""Accounts and roles: kept for ever, ended ones too."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from alloc_service.errors import ConstraintError, UnknownRecordError
from alloc_service.storage import queries
from alloc_service.storage.engine import Database
from alloc_service.storage.people import Account, RoleGrant


def test_an_account_is_found_by_its_exact_name(
    database: Database, trial_id: str, account: Account
) -> None:
    assert trial_id
    with database.read() as session:
        found = queries.find_account(session, "mei")
        assert found is not None
        assert queries.read_account(session, account.id) is found
        assert queries.find_account(session, "Mei") is None
        assert queries.list_accounts(session) == [found]
        assert queries.list_accounts_of_person(session, "p-7") == [found]
        assert queries.list_accounts_of_person(session, "p-8") == []
        with pytest.raises(UnknownRecordError, match="no account"):
            queries.read_account(session, UUID(int=404))


def test_a_user_name_is_given_once(database: Database, trial_id: str, noon: datetime) -> None:
    assert trial_id

    def add_again() -> None:
        with database.write() as transaction:
            transaction.add(
                Account(
                    id=UUID(int=8),
                    username="mei",
                    person_id="p-8",
                    display_name="Another Mei",
                    organization="Site 02",
                    password_hash="$argon2id$…",
                    must_change=True,
                    disabled_at=None,
                    created_at=noon,
                )
            )

    with pytest.raises(ConstraintError, match="username_is_used_once"):
        add_again()


def test_roles_are_listed_oldest_first_with_the_ended_ones(
    database: Database, trial_id: str, account: Account, noon: datetime
) -> None:
    def grant(number: int, trial: str | None, role: str) -> RoleGrant:
        return RoleGrant(
            id=UUID(int=number),
            account_id=account.id,
            trial_id=trial,
            role=role,
            site=None,
            granted_at=noon - timedelta(days=number),
            granted_by=None,
            ended_at=noon if number == 2 else None,
        )

    with database.write() as transaction:
        transaction.add_all(
            [grant(1, trial_id, "physician"), grant(2, trial_id, "dmc"), grant(3, None, "admin")]
        )

    with database.read() as session:
        roles = [grant.role for grant in queries.list_grants(session, account.id)]
        of_trial = [grant.role for grant in queries.list_grants_of_trial(session, trial_id)]
    assert roles == ["admin", "dmc", "physician"]
    assert of_trial == ["dmc", "physician"]
