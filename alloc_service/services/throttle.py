"""Tries at passwords: few for one name from one address, counted before each is judged.

Name and address count together, so that nobody can lock night staff out from outside. A try is
counted first and forgotten when it succeeds: of many at once, no more than the few are judged.
Whether there is such an account makes no difference, to the count or to the words.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from alloc_service.errors import ConstraintError, TooManyTriesError
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.people import SignInTry

MOST_TRIES = 5
WITHIN = timedelta(minutes=15)

T = TypeVar("T")


def guarded(deps: Deps, username: str, address: str, check: Callable[[], T]) -> T:
    """Return what a check of a password gives, unless there were too many tries.

    Args:
        deps: The service's.
        username: As it was typed.
        address: Where it was typed.
        check: Raises where the password is wrong.

    Raises:
        TooManyTriesError: Five tries within a quarter of an hour came before this one.
    """
    name = hashlib.sha256(username.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        _count(deps, name, address[:64], deps.clock())
    except ConstraintError:  # another first try came between: this one is the second
        _count(deps, name, address[:64], deps.clock())
    found = check()
    with deps.database.write() as tx:
        queries.remove_tries(tx, name, address[:64])
    return found


def _count(deps: Deps, name: str, address: str, now: datetime) -> None:
    with deps.database.write() as tx:
        queries.remove_tries_before(tx, now - WITHIN)
        row = queries.lock_tries(tx, name, address)
        if row is None:
            tx.add(SignInTry(name_sha256=name, address=address, tries=1, began_at=now))
            return
        if row.tries >= MOST_TRIES:
            minutes = -(-(row.began_at + WITHIN - now) // timedelta(minutes=1))
            raise TooManyTriesError(minutes=max(minutes, 1))
        row.tries += 1
