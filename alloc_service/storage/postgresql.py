"""PostgreSQL through psycopg 3: READ COMMITTED for writes, one snapshot for each read.

A write takes row locks and reads again after each, so it must see what others committed
meanwhile: READ COMMITTED. A read is REPEATABLE READ and read-only: several statements see one
state of the database. Durability is asked for by every session and verified at start, on a
server that is no standby.
"""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from alloc_service.errors import DatabaseSettingError

# Of each engine; with its reader and writer, 4 processes stay under PostgreSQL's usual 100.
MOST_CONNECTIONS = 12
_KEPT = 4

# Lets one transaction be answered before it is flushed.
JOT = "SET LOCAL synchronous_commit TO off"

# Any of these waits at least for the flush to this server's own disk.
_DURABLE = {"on", "remote_apply"}
_NEEDED = {
    "pg_is_in_recovery()": {"false"},
    "transaction_read_only": {"off"},
    "synchronous_commit": _DURABLE,
    "fsync": {"on"},
    "full_page_writes": {"on"},
    "server_encoding": {"UTF8"},
}


def reader_of(url: URL, patience: float) -> Engine:
    """Return the engine whose transactions read one state of the database and write nothing."""
    return _engine(url, patience, "REPEATABLE READ", "-c default_transaction_read_only=on")


def writer_of(url: URL, patience: float) -> Engine:
    """Return the engine whose transactions write."""
    return _engine(url, patience, "READ COMMITTED", "-c synchronous_commit=on")


def check(connection: Connection, location: str) -> None:
    """Refuse a server on which a committed change could be lost.

    Raises:
        DatabaseSettingError: It is a standby, read-only, or answers before it has flushed.
    """
    for setting, needed in _NEEDED.items():
        asked = f"SELECT {setting}::text" if setting.endswith("()") else f"SHOW {setting}"
        found = str(connection.exec_driver_sql(asked).scalar())
        if found not in needed:
            raise DatabaseSettingError(
                location=location,
                setting=setting,
                found=found,
                needed=" or ".join(sorted(needed)),
            )


@contextmanager
def alone(connection: Any) -> Iterator[None]:
    """Let each statement be a transaction of its own, while it lasts."""
    connection.autocommit = True
    try:
        yield
    finally:
        if not connection.closed:
            connection.autocommit = False


def _engine(url: URL, patience: float, isolation: IsolationLevel, option: str) -> Engine:
    options = f"-c timezone=UTC -c lock_timeout={int(patience * 1000)} {option}"
    given = url.query.get("options", ())
    given = given if isinstance(given, str) else " ".join(given)
    engine = create_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        connect_args={
            "connect_timeout": 10,
            "client_encoding": "utf8",
            "options": f"{given} {options}".strip(),
        },
        isolation_level=isolation,
        pool_size=_KEPT,
        max_overflow=MOST_CONNECTIONS - _KEPT,
        pool_timeout=patience,
        hide_parameters=True,
    )
    event.listen(engine, "checkout", _require_open)
    return engine


def _require_open(connection: Any, _entry: ConnectionPoolEntry, _proxy: Any) -> None:
    """Refuse a kept connection that its server has closed, as a restart does; a new one is made.

    A ping would cost a journey to the server; a server that closes says so by itself, and
    nothing else is waiting to be read on a connection that nobody uses.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise DisconnectionError("the server has closed it")
