"""Tries at passwords: few for one name from one address, counted before each is judged.

Name and address count together, so that nobody can lock night staff out from outside. A try is
counted first and forgotten when it succeeds: of many at once, no more than the few are judged.
Whether there is such an account makes no difference, to the count or to the words.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from alloc_service.errors import TooManyTriesError
from alloc_service.services.deps import Deps
from alloc_service.storage import queries

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
    now, address = deps.clock(), address[:64]
    # Not durable: a loss of power may give somebody five more tries, and a count that waited
    # for the disk would cost every signature twice.
    with deps.database.jot() as tx:
        tried = queries.count_try(tx, name, address, now, now - WITHIN)
    if tried.tries > MOST_TRIES:
        minutes = -(-(tried.began_at + WITHIN - now) // timedelta(minutes=1))
        raise TooManyTriesError(minutes=max(minutes, 1))
    found = check()
    with deps.database.jot() as tx:
        queries.forget_tries(tx, name, address, now - WITHIN)
    return found
