"""Browsers that are signed in, and tries at signing in."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, bindparam, delete, select, text, update
from sqlalchemy.orm import Session

from alloc_service.storage.columns import UtcDateTime
from alloc_service.storage.people import WebSession
from alloc_service.storage.prepared import Prepared
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Asking, Transaction

_accounts = METADATA.tables["account"]
_sessions = METADATA.tables["web_session"]


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


class Tries(NamedTuple):
    """How often a name was tried from an address, since when."""

    tries: int
    began_at: datetime


_OPEN = Prepared(
    select(
        _sessions.c.account_id,
        _sessions.c.began_at,
        _sessions.c.seen_at,
        _accounts.c.person_id,
        _accounts.c.display_name,
        _accounts.c.organization,
        _accounts.c.username,
        _sessions.c.proved,
    )
    .join(_accounts, _accounts.c.id == _sessions.c.account_id)
    .where(
        _sessions.c.token_sha256 == bindparam("token"),
        _sessions.c.ended_at.is_(None),
        _accounts.c.disabled_at.is_(None),
        _accounts.c.must_change.is_(False),
    )
)
_TOUCH = Prepared(
    text("UPDATE web_session SET seen_at = :now WHERE token_sha256 = :token").bindparams(
        bindparam("now", type_=UtcDateTime())
    )
)
# One statement, so that of many tries at once each is counted; what began too long ago begins
# anew.
_COUNT = Prepared(
    text(
        "INSERT INTO sign_in_try (name_sha256, address, tries, began_at)"
        " VALUES (:name, :address, 1, :now)"
        " ON CONFLICT (name_sha256, address) DO UPDATE SET"
        " tries = CASE WHEN sign_in_try.began_at < :since THEN 1"
        " ELSE sign_in_try.tries + 1 END,"
        " began_at = CASE WHEN sign_in_try.began_at < :since THEN excluded.began_at"
        " ELSE sign_in_try.began_at END"
        " RETURNING tries, began_at"
    )
    .bindparams(bindparam("now", type_=UtcDateTime()), bindparam("since", type_=UtcDateTime()))
    .columns(tries=Integer(), began_at=UtcDateTime())
)
_FORGET = Prepared(
    text(
        "DELETE FROM sign_in_try"
        " WHERE (name_sha256 = :name AND address = :address) OR began_at < :since"
    ).bindparams(bindparam("since", type_=UtcDateTime()))
)


def find_open_session(session: Asking, token_sha256: bytes) -> SessionRow | None:
    """Return a session that nobody ended, of an account that may act, or None."""
    row = _OPEN.find(session, {"token": token_sha256})
    return None if row is None else SessionRow(*row)


def touch_session(tx: Asking, token_sha256: bytes, now: datetime) -> None:
    """Note a request."""
    _TOUCH.run(tx, {"token": token_sha256, "now": now})


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


def count_try(tx: Asking, name_sha256: str, address: str, now: datetime, since: datetime) -> Tries:
    """Count a try at a name from an address, and return those since a moment, with this one."""
    facts = {"name": name_sha256, "address": address, "now": now, "since": since}
    return Tries(*_COUNT.one(tx, facts))


def forget_tries(tx: Asking, name_sha256: str, address: str, since: datetime) -> None:
    """Forget the tries at a name from an address, and whatever began before a moment."""
    _FORGET.run(tx, {"name": name_sha256, "address": address, "since": since})


def _end(tx: Transaction, now: datetime, *of: ColumnElement[bool]) -> None:
    tx.execute(update(WebSession).where(WebSession.ended_at.is_(None), *of).values(ended_at=now))
