"""Browsers that are signed in, and tries at signing in."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from alloc_service.storage.engine import Transaction
from alloc_service.storage.people import Account, SignInTry, WebSession


class SessionRow(NamedTuple):
    """A session that has not ended, and the account that it is of.

    Attributes:
        account: Account id.
        began_at: When somebody signed in.
        seen_at: The last request, to the minute.
        person: Person id.
        name: Printed name.
        organization: Organization code.
        username: User name.
        proved: Whether a second factor was shown, where the account has one.
    """

    account: UUID
    began_at: datetime
    seen_at: datetime
    person: str
    name: str
    organization: str
    username: str
    proved: bool


def find_open_session(session: Session, token_sha256: bytes) -> SessionRow | None:
    """Return a session that nobody ended, of an account that may act, or None."""
    chosen = (
        select(
            WebSession.account_id,
            WebSession.began_at,
            WebSession.seen_at,
            Account.person_id,
            Account.display_name,
            Account.organization,
            Account.username,
            WebSession.proved,
        )
        .join(Account, Account.id == WebSession.account_id)
        .where(
            WebSession.token_sha256 == token_sha256,
            WebSession.ended_at.is_(None),
            Account.disabled_at.is_(None),
            Account.must_change.is_(False),
        )
    )
    row = session.execute(chosen).one_or_none()
    return None if row is None else SessionRow(*row)


def touch_session(tx: Transaction, token_sha256: bytes, now: datetime) -> None:
    """Note a request."""
    chosen = update(WebSession).where(WebSession.token_sha256 == token_sha256)
    tx.execute(chosen.values(seen_at=now))


def prove_session(tx: Transaction, token_sha256: bytes) -> None:
    """Note that a second factor was shown."""
    tx.execute(
        update(WebSession).where(WebSession.token_sha256 == token_sha256).values(proved=True)
    )


def end_session(tx: Transaction, token_sha256: bytes, now: datetime) -> None:
    """End a session, unless it has ended."""
    _end(tx, now, WebSession.token_sha256 == token_sha256)


def end_sessions(
    tx: Transaction, account_id: UUID, now: datetime, but: bytes | None = None
) -> None:
    """End every session of an account, all but one where one is named."""
    others = [] if but is None else [WebSession.token_sha256 != but]
    _end(tx, now, WebSession.account_id == account_id, *others)


def list_open_sessions(session: Session, account_id: UUID) -> list[WebSession]:
    """Return the sessions of an account that nobody ended, the newest first."""
    chosen = select(WebSession).where(
        WebSession.account_id == account_id, WebSession.ended_at.is_(None)
    )
    return list(session.scalars(chosen.order_by(WebSession.began_at.desc())))


def remove_sessions_before(tx: Transaction, moment: datetime) -> None:
    """Remove the sessions that were last used before a moment."""
    tx.execute(delete(WebSession).where(WebSession.seen_at < moment))


def lock_tries(tx: Transaction, name_sha256: str, address: str) -> SignInTry | None:
    """Return the tries at a name from an address, locked, or None."""
    chosen = select(SignInTry).where(
        SignInTry.name_sha256 == name_sha256, SignInTry.address == address
    )
    return tx.scalar(chosen.with_for_update())


def remove_tries(tx: Transaction, name_sha256: str, address: str) -> None:
    """Forget the tries at a name from an address."""
    tx.execute(
        delete(SignInTry).where(SignInTry.name_sha256 == name_sha256, SignInTry.address == address)
    )


def remove_tries_before(tx: Transaction, moment: datetime) -> None:
    """Forget the tries that began before a moment."""
    tx.execute(delete(SignInTry).where(SignInTry.began_at < moment))


def _end(tx: Transaction, now: datetime, *of: ColumnElement[bool]) -> None:
    tx.execute(update(WebSession).where(WebSession.ended_at.is_(None), *of).values(ended_at=now))
