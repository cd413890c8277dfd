"""Errors of the database become refusals of ours; the driver's own text goes no further.

That text can hold what somebody typed, a path or a password. What is kept is a code: SQLite's
name of the error, PostgreSQL's SQLSTATE, or the name of a rule of our schema.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from alloc_service.errors import (
    AppendOnlyError,
    CommitUnknownError,
    ConstraintError,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseUnreachableError,
    RefusalError,
)
from alloc_service.storage.tables import METADATA
from alloc_service.storage.triggers import RULES, SQLSTATE

_SQLITE_KINDS: dict[int, type[DatabaseError]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusyError,
    sqlite3.SQLITE_LOCKED: DatabaseBusyError,
    sqlite3.SQLITE_READONLY: DatabaseReadOnlyError,
    sqlite3.SQLITE_CANTOPEN: DatabaseUnreachableError,
    sqlite3.SQLITE_PERM: DatabaseUnreachableError,
    sqlite3.SQLITE_FULL: DatabaseFullError,
    sqlite3.SQLITE_CORRUPT: DatabaseDamagedError,
    sqlite3.SQLITE_NOTADB: DatabaseDamagedError,
}

# The longest prefix that fits decides; SQLSTATEs are listed in PostgreSQL's appendix A.
_POSTGRESQL_KINDS: dict[str, type[DatabaseError]] = {
    "08": DatabaseUnreachableError,
    "25006": DatabaseReadOnlyError,
    "28": DatabaseUnreachableError,
    "3D": DatabaseUnreachableError,
    "40": DatabaseBusyError,
    "42501": DatabaseReadOnlyError,
    "53100": DatabaseFullError,
    "53300": DatabaseBusyError,
    "55P03": DatabaseBusyError,
    "57014": DatabaseBusyError,
    "57P": DatabaseUnreachableError,
    "XX001": DatabaseDamagedError,
    "XX002": DatabaseDamagedError,
}

# A commit that fails for one of these was certainly rolled back; after any other the rows may
# be on disk although the answer never came.
_SURELY_UNDONE = (
    DatabaseBusyError,
    DatabaseReadOnlyError,
    DatabaseFullError,
)


class as_refusals:  # noqa: N801  used like a function, and with every request: the short way
    """Turn every error of SQLAlchemy and the drivers inside the block into a refusal."""

    def __init__(self, location: str) -> None:
        self._location = location

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the refusal; `from None`, for a traceback must not print the driver's text."""
        if isinstance(error, SQLAlchemyError | sqlite3.Error | psycopg.Error):
            raise refusal_of(error, self._location) from None


@contextmanager
def committing(location: str) -> Iterator[None]:
    """Turn errors of a commit into refusals that say whether the change may be stored."""
    try:
        with as_refusals(location):
            yield
    except _SURELY_UNDONE:
        raise
    except DatabaseError as error:
        raise CommitUnknownError(location=location, kind=error.facts["kind"]) from None


def refusal_of(error: Exception, location: str) -> RefusalError:
    """Return the refusal that says what a database error means to a person."""
    if isinstance(error, StatementError) and isinstance(error.orig, RefusalError):
        return error.orig
    if isinstance(error, PoolTimeoutError):
        return DatabaseBusyError(location=location, kind="every connection in use")
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _refusal_of_sqlite(cause, location)
    if isinstance(cause, psycopg.Error):
        return _refusal_of_postgresql(cause, location)
    return DatabaseError(location=location, kind=type(error).__name__)


def _refusal_of_sqlite(error: sqlite3.Error, location: str) -> RefusalError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return AppendOnlyError(rule=_known_rule(str(error)))
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        return ConstraintError(constraint=_sqlite_constraint(str(error)))
    kind = getattr(error, "sqlite_errorname", type(error).__name__)
    return _SQLITE_KINDS.get(code & 0xFF, DatabaseError)(location=location, kind=kind)


def _refusal_of_postgresql(error: psycopg.Error, location: str) -> RefusalError:
    state = error.sqlstate
    if state is None:  # no answer of the server at all, or psycopg refused before it asked
        lost = isinstance(error, psycopg.OperationalError)
        kind = "no connection" if lost else type(error).__name__
        return (DatabaseUnreachableError if lost else DatabaseError)(location=location, kind=kind)
    if state == SQLSTATE:
        return AppendOnlyError(rule=_known_rule(error.diag.message_primary or ""))
    if state.startswith("23"):
        column = f"{error.diag.table_name}.{error.diag.column_name} not null"
        return ConstraintError(constraint=error.diag.constraint_name or column)
    for length in (5, 3, 2):
        if kind_of_error := _POSTGRESQL_KINDS.get(state[:length]):
            return kind_of_error(location=location, kind=f"SQLSTATE {state}")
    return DatabaseError(location=location, kind=f"SQLSTATE {state}")


def _known_rule(message: str) -> str:
    return message if message in RULES else "of another trigger"


def _sqlite_constraint(message: str) -> str:
    """Return a constraint's name; of a UNIQUE, SQLite tells the columns alone."""
    kind, _, detail = message.partition(" constraint failed")
    detail = detail.removeprefix(": ")
    if kind == "UNIQUE":
        return _unique_name(detail.split(", "))
    if kind == "NOT NULL":
        return f"{detail} not null"
    return detail if kind == "CHECK" else "foreign key"


def _unique_name(columns: list[str]) -> str:
    table = METADATA.tables.get(columns[0].partition(".")[0])
    for constraint in table.constraints if table is not None else ():
        if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint):
            named = [f"{column.table.name}.{column.name}" for column in constraint.columns]
            if named == columns:
                return str(constraint.name)
    return "unique"
