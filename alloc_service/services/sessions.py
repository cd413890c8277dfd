"""Who is signed in with a browser: begun by a password, looked up at every request, ended here.

A token is 32 random bytes, known to one browser; stored is its hash. A session ends by signing
out, after 30 minutes without a request, after 10 hours whatever is done, and at once with a new
password or a disabled account. It proves who somebody is; what they may do is asked anew in
every act, and a signature asks for the password itself.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from alloc_service.errors import DatabaseError
from alloc_service.services import accounts, second_factor, throttle
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.people import WebSession

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=10)
_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a request comes from: its address, and the browser in its own words."""

    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who is signed in.

    Attributes:
        person: Who.
        username: Through which account.
        ends_at: When the session ends if nothing more is asked.
        proved: Whether a second factor was shown, where the account has one; before that
            nothing is opened.
        token: What names the session; in no repr.
    """

    person: Person
    username: str
    ends_at: datetime
    proved: bool
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One of somebody's sessions, as their own page shows it.

    Attributes:
        name: Names it to whoever ends it; not its token.
        address: Where it was begun.
        browser: In its own words.
        began_at: When.
        seen_at: The last request, to the minute.
        is_this: Whether it is the one that asks.
    """

    name: str
    address: str
    browser: str
    began_at: datetime
    seen_at: datetime
    is_this: bool


def begin(deps: Deps, username: str, password: str, browser: Browser) -> SignedIn:
    """Sign somebody in.

    Raises:
        WrongPasswordError: User name and password do not belong together.
        PasswordChangeDueError: The password is a one-time password.
        TooManyTriesError: It was tried too often from this address.
    """
    check = partial(accounts.authenticate, deps, username, password)
    person = throttle.guarded(deps, username, browser.address, check)
    token, now = secrets.token_urlsafe(32), deps.clock()
    proved = not second_factor.is_asked(deps, person)
    with deps.database.write() as tx:
        queries.remove_sessions_before(tx, now - LONGEST)
        tx.add(
            WebSession(
                token_sha256=_hash(token),
                account_id=person.account,
                address=browser.address[:64],
                browser=browser.agent[:200],
                proved=proved,
                began_at=now,
                seen_at=now,
                ended_at=None,
            )
        )
    return SignedIn(person, username, now + IDLE, proved, token)


def find(deps: Deps, token: str) -> SignedIn | None:
    """Return who is signed in with a token, and note the request; None where nobody is.

    A note that the database refuses is left out, so that what is only read can still be read
    where nothing can be written; the session then ends earlier.

    Raises:
        DatabaseError: The database could not be read.
    """
    now = deps.clock()
    with deps.database.ask() as session:
        row = queries.find_open_session(session, _hash(token))
    if row is None or now >= min(row.seen_at + IDLE, row.began_at + LONGEST):
        return None
    seen_at = now
    if now - row.seen_at >= _NOTED_EVERY:
        try:
            # Not durable: a loss of power may end a session earlier, too.
            with deps.database.jot() as tx:
                queries.touch_session(tx, _hash(token), now)
        except DatabaseError:
            seen_at = row.seen_at
    person = Person(row.account, row.person, row.name, row.organization)
    ends_at = min(seen_at + IDLE, row.began_at + LONGEST)
    return SignedIn(person, row.username, ends_at, row.proved, token)


def prove(deps: Deps, signed_in: SignedIn, code: str, browser: Browser) -> None:
    """Show a second factor: from now on the session opens what its owner's roles open.

    Raises:
        WrongCodeError: The code does not fit, or was taken before.
        TooManyTriesError: It was tried too often from this address.
    """
    check = partial(second_factor.check, deps, signed_in.person, code)
    throttle.guarded(deps, f"{signed_in.username} code", browser.address, check)
    with deps.database.write() as tx:
        queries.prove_session(tx, _hash(signed_in.token))


def end(deps: Deps, token: str) -> None:
    """Sign out: the token opens nothing any more."""
    with deps.database.write() as tx:
        queries.end_session(tx, _hash(token), deps.clock())


def end_others(deps: Deps, signed_in: SignedIn) -> None:
    """Sign somebody out everywhere but here."""
    with deps.database.write() as tx:
        account, this = signed_in.person.account, _hash(signed_in.token)
        queries.end_sessions(tx, account, deps.clock(), but=this)


def list_own(deps: Deps, signed_in: SignedIn) -> tuple[OpenSession, ...]:
    """Return somebody's own sessions, the newest first."""
    now, this = deps.clock(), _hash(signed_in.token)
    with deps.database.read() as session:
        rows = queries.list_open_sessions(session, signed_in.person.account)
    return tuple(
        OpenSession(
            name=row.token_sha256.hex()[:16],
            address=row.address,
            browser=row.browser,
            began_at=row.began_at,
            seen_at=row.seen_at,
            is_this=row.token_sha256 == this,
        )
        for row in rows
        if now < min(row.seen_at + IDLE, row.began_at + LONGEST)
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
