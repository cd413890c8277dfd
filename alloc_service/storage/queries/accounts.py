"""Accounts and their roles."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from alloc_service.errors import UnknownRecordError
from alloc_service.storage.people import Account, RoleGrant
from alloc_service.storage.prepared import Prepared
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Asking, Transaction

_accounts = METADATA.tables["account"]
_grants = METADATA.tables["role_grant"]


class Credentials(NamedTuple):
    """What a password is checked against, and whose it is."""

    id: UUID
    person_id: str
    display_name: str
    organization: str
    password_hash: str
    must_change: bool
    disabled_at: datetime | None


_CREDENTIALS = Prepared(
    select(*(_accounts.c[name] for name in Credentials._fields)).where(
        _accounts.c.username == bindparam("username")
    )
)
_ROLES_NOW = Prepared(
    select(_grants.c.role, _grants.c.site)
    .join(_accounts, _accounts.c.id == _grants.c.account_id)
    .where(
        _accounts.c.id == bindparam("account"),
        _accounts.c.disabled_at.is_(None),
        _accounts.c.must_change.is_(False),
        _grants.c.ended_at.is_(None),
        or_(_grants.c.trial_id == bindparam("trial"), _grants.c.trial_id.is_(None)),
    )
    .order_by(_grants.c.granted_at, _grants.c.id)
)


def find_credentials(session: Asking, username: str) -> Credentials | None:
    """Return what the password of a user name is checked against, or None."""
    row = _CREDENTIALS.find(session, {"username": username})
    return None if row is None else Credentials(*row)


def find_account(session: Session, username: str) -> Account | None:
    """Return the account of a user name, also a disabled one, or None."""
    return session.scalar(select(Account).where(Account.username == username))


def read_account(session: Session, account_id: UUID) -> Account:
    """Return an account.

    Raises:
        UnknownRecordError: There is none of this id.
    """
    account = session.get(Account, account_id)
    if account is None:
        raise UnknownRecordError(what="account", name=account_id)
    return account


def list_accounts(session: Session) -> list[Account]:
    """Return every account, by user name."""
    return list(session.scalars(select(Account).order_by(Account.username)))


def list_accounts_of_person(session: Session, person_id: str) -> list[Account]:
    """Return every account that one person ever had, oldest first."""
    chosen = select(Account).where(Account.person_id == person_id)
    return list(session.scalars(chosen.order_by(Account.created_at, Account.id)))


def list_grants(session: Session, account_id: UUID) -> list[RoleGrant]:
    """Return every role that an account ever had, ended ones too, oldest first."""
    chosen = select(RoleGrant).where(RoleGrant.account_id == account_id)
    return list(session.scalars(chosen.order_by(RoleGrant.granted_at, RoleGrant.id)))


def list_roles_now(
    session: Asking, account_id: UUID, trial_id: str
) -> list[tuple[str, str | None]]:
    """Return the roles and sites that an account may act in now; none where it may not act.

    An account acts through grants of the trial and of the whole installation that have not
    ended, unless it is disabled or its password waits to be changed.
    """
    facts = {"account": account_id, "trial": trial_id}
    return [(role, site) for role, site in _ROLES_NOW.run(session, facts)]


def lock_administrators(tx: Transaction) -> list[RoleGrant]:
    """Return the roles of now in the whole installation, locked until the transaction ends.

    Of two who would end each other's, the second waits, and then holds none any more.
    """
    chosen = select(RoleGrant).where(RoleGrant.trial_id.is_(None), RoleGrant.ended_at.is_(None))
    return list(tx.scalars(chosen.order_by(RoleGrant.id).with_for_update()))


def list_grants_of_trial(session: Session, trial_id: str) -> list[RoleGrant]:
    """Return every role that anybody ever had in a trial, ended ones too, oldest first."""
    chosen = select(RoleGrant).where(RoleGrant.trial_id == trial_id)
    return list(session.scalars(chosen.order_by(RoleGrant.granted_at, RoleGrant.id)))
