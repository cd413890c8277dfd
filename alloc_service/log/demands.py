"""What the rules of the log share: how one refuses an entry, and whose list an entry speaks of."""

from collections.abc import Callable
from typing import TypeAlias

from alloc_service.errors import RuleError
from alloc_service.log.entry import Body, Entry
from alloc_service.log.state import ListState, LogState

Rule: TypeAlias = Callable[[LogState, Entry, Body], None]


def refusal(entry: Entry, rule: str) -> RuleError:
    """Return why an entry may not stand here."""
    return RuleError(seq=entry.seq, type=entry.type, rule=rule)


def demand(holds: bool, entry: Entry, rule: str) -> None:
    """Refuse an entry where a demand does not hold.

    Raises:
        RuleError: It does not.
    """
    if not holds:
        raise refusal(entry, rule)


def demand_second(entry: Entry, body: Body) -> None:
    """Refuse an entry whose second person is its first.

    Raises:
        RuleError: They are one.
    """
    demand(body["second"]["id"] != entry.actor_id, entry, "the second person must be another")


def list_of(state: LogState, entry: Entry, body: Body) -> ListState:
    """Return the list that an entry speaks of, from the freezing of its design on.

    Raises:
        RuleError: There is none.
    """
    number = body["list"]
    found = state.lists.get(number)
    if found is None:
        raise refusal(entry, f"list {number} has no frozen design")
    return found


def sealed_of(state: LogState, entry: Entry, body: Body) -> ListState:
    """Return the sealed list that an entry speaks of.

    Raises:
        RuleError: There is none.
    """
    found = list_of(state, entry, body)
    demand(bool(found.root), entry, f"list {body['list']} is not sealed")
    return found
