"""What all tables share: how constraints are called, how times are kept."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, MetaData
from sqlalchemy.orm import DeclarativeBase

from alloc_service.storage.columns import UtcDateTime

_TYPES: dict[Any, Any] = {datetime: UtcDateTime}
_NAMES = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "uq": "%(constraint_name)s",
    "ck": "%(constraint_name)s",
    "ix": "%(table_name)s_by_%(column_0_N_name)s",
}


class Base(DeclarativeBase):
    """What all tables share: names of constraints that are the same on every database."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = _TYPES


def hex32(column: str, name: str, or_empty: bool = False) -> CheckConstraint:
    """Return the rule that a column holds 64 hexadecimal digits, by their number."""
    empty = f" OR {column} = ''" if or_empty else ""
    return CheckConstraint(f"length({column}) = 64{empty}", name=name)
