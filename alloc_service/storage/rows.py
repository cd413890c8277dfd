"""Whole tables as rows, the same for both databases, in an order in which they can be given back.

A row is read as its columns' own values: text, integers, bytes, ids, times, flags. What a column
cannot hold but a doctored database does is refused by table and row; the driver's own conversions
are not relied on, for they would fail without saying where.

As a line of a file a row is canonical JSON: an object with every column, bytes as base64, ids as
text, a time as in the log (`2026-01-02T09:00:00Z`), with its microseconds where it has any
(`2026-01-02T09:00:00.000120Z`).
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    String,
    Uuid,
    func,
    insert,
    literal,
    select,
    text,
    type_coerce,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType, TypeEngine

from alloc_service.core.canon import Json, canon, parse_canonical, parse_object
from alloc_service.errors import CanonError, StoredValueError
from alloc_service.storage.columns import CanonicalJson, UtcDateTime
from alloc_service.storage.tables import METADATA

Values: TypeAlias = dict[str, Any]

# Each table after those that it refers to, with the columns that order its rows: the primary
# key, and for assignments the order of their entries, in which alone the guards take them back.
ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "trial": ("id",),
    "account": ("id",),
    "role_grant": ("id",),
    "second_factor": ("account_id",),
    "recovery_code": ("account_id", "code_sha256"),
    "randomization_list": ("trial_id", "number"),
    "list_sealing": ("trial_id", "list_number", "sealing"),
    "list_node": ("trial_id", "list_number", "level", "position"),
    "sealed_slot": ("trial_id", "list_number", "sealing", "stratum", "slot"),
    "escrow_file": ("trial_id", "list_number", "name"),
    "escrow_confirmation": ("trial_id", "list_number", "person_id"),
    "frozen_design": ("trial_id", "list_number"),
    "ceremony": ("trial_id", "ceremony"),
    "ceremony_file": ("trial_id", "ceremony", "name"),
    "witness_address": ("trial_id", "name"),
    "enrolment": ("id",),
    "log_entry": ("trial_id", "seq"),
    "log_head": ("trial_id",),
    "log_node": ("trial_id", "level", "position"),
    "checkpoint": ("trial_id", "size"),
    "cosignature": ("trial_id", "size", "name"),
    "assignment": ("trial_id", "entry_seq"),
    "reason": ("trial_id", "entry_seq"),
    "fork": ("trial_id", "fork"),
    "fork_entry": ("trial_id", "fork", "seq"),
    "fork_assignment": ("trial_id", "fork", "enrolment_id"),
}

# Who is signed in now: given back, it would let a browser in again that was signed out since.
PASSING: Final = frozenset({"web_session", "sign_in_try"})

# Ten times the largest row that the rules of any table allow, a trial's definition.
LONGEST_LINE = 16 * 2**20

_CHUNK = 1_000
_TABLES = METADATA.tables
_TIME = re.compile(r"[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}(?:\.[0-9]{6})?Z", re.ASCII)

# What a conversion meets in a value of another kind; each is turned into one refusal.
_OF_ANOTHER_KIND = (ValueError, TypeError, AttributeError, KeyError, CanonError)


def read_rows(session: Session, table: str, **of: object) -> Iterator[Values]:
    """Yield the rows of a table in their order, a thousand in memory at a time.

    Args:
        session: A read; the rows are of its one state.
        table: A key of `ORDER`.
        of: Those alone that have these values in these columns.

    Raises:
        StoredValueError: A row holds what its column cannot hold.
    """
    columns = _columns_of(table)
    names = [column.name for column in columns]
    # Closed also where nobody asks for the rest: a cursor of PostgreSQL stays open otherwise.
    with session.execute(_select(session, table, of)) as result:
        for row in result:
            found = dict(zip(names, row, strict=True))
            yield {column.name: _read(table, found, column) for column in columns}


def add_rows(session: Session, table: str, rows: Iterable[Values]) -> None:
    """Add rows to a table, a thousand at a time, under its guards.

    Raises:
        AppendOnlyError: A row is not in its place.
        ConstraintError: A row breaks a rule of the schema.
    """
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        session.execute(insert(_TABLES[table]), chunk)


def count_rows(session: Session) -> int:
    """Return the number of rows of all tables together."""
    counts = (session.scalar(select(func.count()).select_from(_TABLES[table])) for table in ORDER)
    return sum(count or 0 for count in counts)


def find_filled_table(session: Session) -> str | None:
    """Return the first table that holds a row, or None in an empty database."""
    for table in ORDER:
        if session.scalar(select(literal(1)).select_from(_TABLES[table]).limit(1)):
            return table
    return None


def lock_tables(session: Session) -> None:
    """Keep all others from writing to any table until the transaction ends; SQLite always does."""
    if session.connection().dialect.name == "postgresql":
        session.execute(text(f"LOCK TABLE {', '.join(ORDER)} IN EXCLUSIVE MODE"))


def write_row(table: str, values: Values) -> bytes:
    """Return a row's line, without its line feed.

    Raises:
        StoredValueError: A value has no canonical spelling, or the line is longer than any.
    """
    document: dict[str, Json] = {}
    for column in _columns_of(table):
        value = values[column.name]
        document[column.name] = None if value is None else column.kind.write(value)
    try:
        line = canon(document)
    except CanonError:
        raise _refusal(table, values, "it holds a text without a canonical spelling") from None
    if len(line) > LONGEST_LINE:
        raise _refusal(table, values, "it is larger than any row can be")
    return line


def parse_row(table: str, line: bytes) -> Values:
    """Return the row of a line, accepting its one spelling alone.

    Raises:
        CanonError: It is not canonical JSON, or not one row of this table.
    """
    document = parse_object(line, f"a row of {table}")
    columns = _columns_of(table)
    if document.keys() != {column.name for column in columns}:
        raise CanonError(where=f"a row of {table}", rule="it has other columns than the table")
    try:
        return {column.name: _parse(column, document[column.name]) for column in columns}
    except _OF_ANOTHER_KIND:
        rule = "a value is not of its column's kind, or is spelled otherwise"
        raise CanonError(where=f"a row of {table}", rule=rule) from None


class _Kind(NamedTuple):
    """How values of one kind of column pass: from the database, to JSON, and from JSON."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Json]
    parse: Callable[[Any], Any]


class _Column(NamedTuple):
    name: str
    nullable: bool
    kind: _Kind


def _require_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _require_integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _require_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value


def _require_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _read_flag(value: object) -> bool:
    return _require_flag({0: False, 1: True}[value] if isinstance(value, int) else value)


def _read_uuid(value: object) -> UUID:
    # SQLite holds the 32 digits.
    return value if isinstance(value, UUID) else UUID(hex=_require_text(value))


def _read_time(value: object) -> datetime:
    # SQLite holds the text of a UTC clock time.
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime.fromisoformat(_require_text(value)).replace(tzinfo=UTC)


def _read_json(value: object) -> Json:
    return parse_canonical(_require_text(value).encode())


def _write_time(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _parse_time(value: object) -> datetime:
    if not _TIME.fullmatch(_require_text(value)):
        raise ValueError
    return datetime.fromisoformat(_require_text(value))


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _parse_bytes(value: object) -> bytes:
    return base64.b64decode(_require_text(value), validate=True)


def _same(value: Any) -> Any:
    return value


_KINDS: Final[tuple[tuple[type[TypeEngine[Any]], _Kind], ...]] = (
    (UtcDateTime, _Kind(_read_time, _write_time, _parse_time)),
    (CanonicalJson, _Kind(_read_json, _same, _same)),
    (LargeBinary, _Kind(_require_bytes, _write_bytes, _parse_bytes)),
    (Uuid, _Kind(_read_uuid, str, _read_uuid)),
    (Boolean, _Kind(_read_flag, _same, _require_flag)),
    (Integer, _Kind(_require_integer, _same, _require_integer)),
    (String, _Kind(_require_text, _same, _require_text)),
)


@cache
def _columns_of(table: str) -> tuple[_Column, ...]:
    return tuple(
        _Column(column.name, bool(column.nullable), _kind_of(column))
        for column in _TABLES[table].columns
    )


def _kind_of(column: Column[Any]) -> _Kind:
    return next(kind for type_, kind in _KINDS if isinstance(column.type, type_))


def _select(session: Session, table: str, of: Mapping[str, object]) -> Select[*tuple[Any, ...]]:
    columns = _TABLES[table].columns
    # Without a type nothing is converted on the way: the value is the database's own.
    chosen = select(*(type_coerce(column, NullType()).label(column.name) for column in columns))
    chosen = chosen.where(*(columns[name] == value for name, value in of.items()))
    order: list[ColumnElement[Any]] = [columns[name] for name in ORDER[table]]
    if session.connection().dialect.name == "postgresql":
        # Byte order, as on SQLite, whatever language the database sorts by.
        order = [
            column.collate("C") if isinstance(column.type, String) else column for column in order
        ]
    return chosen.order_by(*order).execution_options(yield_per=_CHUNK)


def _read(table: str, found: Values, column: _Column) -> Any:
    value = found[column.name]
    if value is None and column.nullable:
        return None
    try:
        return column.kind.read(value)
    except _OF_ANOTHER_KIND:
        raise _refusal(table, found, f"its {column.name} is of another kind") from None


def _parse(column: _Column, value: Json) -> Any:
    if value is None and column.nullable:
        return None
    parsed = column.kind.parse(value)
    if column.kind.write(parsed) != value:
        raise ValueError
    return parsed


def _refusal(table: str, row: Values, rule: str) -> StoredValueError:
    key = ", ".join(f"{name} {str(row[name])[:80]!r}" for name in ORDER[table])
    return StoredValueError(table=table, row=key, rule=rule)
