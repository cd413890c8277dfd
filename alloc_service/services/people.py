"""Accounts with every role that they ever had, for those who give and end them.

A role that has ended stays: whoever held one is kept from some others for ever, and who gives
roles must see why. Nothing of any trial's participants or lists is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from alloc_service.permissions import Role
from alloc_service.services import accounts, lookups, rights
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.services.lookups import AccountRow
from alloc_service.storage import queries
from alloc_service.storage.people import RoleGrant


@dataclass(frozen=True, slots=True)
class GivenRole:
    """A role that somebody was given, from its beginning to its end.

    Attributes:
        trial: Trial id, or "" for the whole installation.
        role: Which role.
        site: Site code, or "" for the whole trial.
        given_at: From when on it was held.
        given_by: User name of the administrator; "" for the first one, whom nobody gave it.
        ended_at: When it ended; none while it is held.
    """

    trial: str
    role: Role
    site: str
    given_at: datetime
    given_by: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountHistory:
    """An account and all its roles.

    Attributes:
        account: As it is listed, with the roles of now.
        roles: Every role that it ever had, oldest first.
        others: User names of the same person's other accounts, oldest first.
    """

    account: AccountRow
    roles: tuple[GivenRole, ...]
    others: tuple[str, ...]


def read_history(deps: Deps, administrator: Person, username: str) -> AccountHistory:
    """Return an account with every role that it ever had.

    Raises:
        NotAllowedError: The person is no administrator.
        AccountError: There is no such account.
    """
    with deps.database.read() as session:
        accounts.require_administrator(session, administrator)
        account = rights.find_account(session, username)
        grants = queries.list_grants(session, account.id)
        names = {row.id: row.username for row in queries.list_accounts(session)}
        same = queries.list_accounts_of_person(session, account.person_id)
        return AccountHistory(
            account=lookups.describe_account(account, grants),
            roles=tuple(_given(grant, names) for grant in grants),
            others=tuple(row.username for row in same if row.id != account.id),
        )


def _given(grant: RoleGrant, names: Mapping[UUID, str]) -> GivenRole:
    return GivenRole(
        trial=grant.trial_id or "",
        role=Role(grant.role),
        site=grant.site or "",
        given_at=grant.granted_at,
        given_by=names[grant.granted_by] if grant.granted_by else "",
        ended_at=grant.ended_at,
    )
