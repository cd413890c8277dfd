"""Statements on the way of every request: compiled once, run on the driver's own cursor.

SQLAlchemy writes the SQL, and converts what goes in and comes out, as ever; what it does at each
execution beside that costs several times the statement itself. An error is the driver's, which
`Database` turns into a refusal like SQLAlchemy's own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, Dialect, LargeBinary, cast
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.schema import Column

from alloc_service.storage.transactions import Asking

Convert: TypeAlias = Callable[[Any], Any]


class _Compiled(NamedTuple):
    text: str
    constants: Mapping[str, object]
    converters: Mapping[str, Convert]
    readers: Sequence[tuple[int, Convert]]


def as_bytes(column: Column[bytes]) -> ColumnElement[bytes]:
    """Return a column whose values are bytes, also where somebody put text into SQLite's."""
    return cast(column, LargeBinary).label(column.name)


class Prepared:
    """One statement, all of whose values are named parameters."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, session: Asking, facts: Mapping[str, object]) -> Any:
        """Run it with these values; return the driver's cursor, and what it gives as it is.

        Raises:
            sqlite3.Error: As the driver says.
            psycopg.Error: As the driver says.
        """
        compiled = self._of(session)
        given = {**compiled.constants, **facts}
        for name, convert in compiled.converters.items():
            given[name] = convert(given[name])
        cursor = session.driver.cursor()
        cursor.execute(compiled.text, given)
        return cursor

    def find(self, session: Asking, facts: Mapping[str, object]) -> Sequence[Any] | None:
        """Run it and return the one row that it finds, its values as Python's, or None."""
        rows = self.run(session, facts).fetchall()
        return self._read(session, rows[0]) if rows else None

    def one(self, session: Asking, facts: Mapping[str, object]) -> Sequence[Any]:
        """Run what always gives a row, and return its values as Python's."""
        return self._read(session, self.run(session, facts).fetchone())

    def _read(self, session: Asking, row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for place, read in self._of(session).readers:
            values[place] = read(values[place])
        return tuple(values)

    def _of(self, session: Asking) -> _Compiled:
        dialect = session.dialect
        return self._compiled.get(dialect.name) or self._compile(dialect)

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect)
        binds: Mapping[str, BindParameter[Any]] = getattr(compiled, "binds", {})
        columns = getattr(self._statement, "selected_columns", ())
        self._compiled[dialect.name] = _Compiled(
            str(compiled),
            {name: bind.value for name, bind in binds.items() if not bind.required},
            {
                name: convert
                for name, bind in binds.items()
                if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
            },
            [
                (place, read)
                for place, column in enumerate(columns)
                if (read := column.type.dialect_impl(dialect).result_processor(dialect, None))
            ],
        )
        return self._compiled[dialect.name]
