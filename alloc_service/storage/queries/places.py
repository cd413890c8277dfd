"""Rows at several places of a grid, each found through the key.

`(level, position) IN (…)` would be shorter, but SQLite answers it, and a chain of OR as well,
by reading every row of the trial. Joined to a list of the wanted places, each row is looked up.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from sqlalchemy import BigInteger, Column, ColumnElement, text

Place = tuple[int, int]

# A proof in a log of a million entries needs about forty.
MOST_AT_ONCE = 128


def in_chunks(places: Collection[Place]) -> Iterator[Sequence[Place]]:
    """Yield the places in groups that one statement can ask for; nothing where there are none.

    A group has 1, 2, 4, 8 … places, the last one repeated: a statement of each length is
    compiled and planned once, and there are few lengths.
    """
    remaining = iter(places)
    while chunk := list(islice(remaining, MOST_AT_ONCE)):
        full = 1 << (len(chunk) - 1).bit_length()
        yield chunk + chunk[-1:] * (full - len(chunk))


def at_places(first: Column[int], second: Column[int], count: int) -> ColumnElement[bool]:
    """Return the condition that a row is at one of `count` places, to be filled by `facts_of`."""
    row = "(CAST(:first_{0} AS BIGINT), CAST(:second_{0} AS BIGINT))"
    rows = ", ".join(row.format(index) for index in range(count))
    # As text: SQLAlchemy would compile its own VALUES anew for each execution. Both databases
    # call the columns of a VALUES list column1 and column2.
    wanted = text(f"VALUES {rows}").columns(column1=BigInteger, column2=BigInteger).cte("wanted")
    return (first == wanted.c.column1) & (second == wanted.c.column2)


def facts_of(places: Sequence[Place]) -> dict[str, object]:
    """Return what fills the condition of `at_places`."""
    facts: dict[str, object] = {}
    for index, (first, second) in enumerate(places):
        facts[f"first_{index}"] = first
        facts[f"second_{index}"] = second
    return facts
