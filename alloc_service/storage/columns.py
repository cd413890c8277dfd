"""Column types: times that are UTC or nothing, and small JSON values in their one spelling."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from alloc_service.core.canon import Json, canon, parse_canonical
from alloc_service.errors import NaiveTimeError


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as UTC; a naive one is refused with `NaiveTimeError`."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone; SQLite keeps the UTC clock time alone."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise NaiveTimeError(field="stored time")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time as UTC, whatever zone the session of the database has."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value, stored as its canonical text; another spelling is refused when read."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json, dialect: Dialect) -> str | None:  # noqa: ARG002  SQLAlchemy passes it
        """Return the canonical spelling."""
        return None if value is None else canon(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002  SQLAlchemy passes it
        """Return lists, strings and integers."""
        return None if value is None else parse_canonical(value.encode(), "stored JSON")
