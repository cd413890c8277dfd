"""SQLite: one file, WAL, every commit on disk before it is answered, writers one by one.

Python's driver would begin transactions by itself, late and not before DDL. So it is put in
autocommit, and each transaction begins with a statement of ours: BEGIN IMMEDIATE for a write,
which then never has to give way half done, and BEGIN for a read, which sees one state of the
database from its first statement to its end. Readers cannot write (`query_only`).

A file is opened, never made: a wrong path is an error and not an empty database. Only
`create_file` makes one, readable by its owner alone.
"""

import os
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from alloc_service.errors import DatabaseSettingError

_DURABLE = "PRAGMA synchronous = FULL"
_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    # What is erased is overwritten, so that a person's data leave the file too.
    "PRAGMA secure_delete = ON",
    # A doctored file's views and triggers may not call functions with side effects.
    "PRAGMA trusted_schema = OFF",
)
_NEEDED = {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"}

_READERS = 16  # connections kept and opened at most; a reader waits for one to come free


def create_file(path: Path) -> None:
    """Make an empty database in WAL mode, 0600, and its folder, 0700; leave one that is there.

    Raises:
        OSError: The folder or the file cannot be made.
        sqlite3.Error: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return
    # Made under another name and then linked: no process ever sees a file that is half set up.
    number, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(number)
    try:
        connection = sqlite3.connect(name, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def reader_of(path: Path, patience: float) -> Engine:
    """Return the engine whose transactions read one state of the database and write nothing."""
    engine = _engine(path, patience, connections=_READERS)
    _prepare(engine, path, begin="BEGIN", pragmas=(*_PRAGMAS, _DURABLE, "PRAGMA query_only = ON"))
    return engine


def writer_of(path: Path, patience: float) -> Engine:
    """Return the engine whose transactions write; its one connection is enough for one writer."""
    engine = _engine(path, patience, connections=1)
    _prepare(engine, path, begin="BEGIN IMMEDIATE", pragmas=(*_PRAGMAS, _DURABLE))
    return engine


def jotter_of(path: Path, patience: float) -> Engine:
    """Return the engine whose writes a loss of power may undo.

    It has a connection of its own, so that nothing that must last is ever written over it.
    """
    engine = _engine(path, patience, connections=1)
    pragmas = (*_PRAGMAS, "PRAGMA synchronous = NORMAL")
    _prepare(engine, path, begin="BEGIN IMMEDIATE", pragmas=pragmas)
    return engine


def check(connection: Connection, location: str) -> None:
    """Refuse a connection on which a committed change could be lost.

    Raises:
        DatabaseSettingError: WAL, synchronous or foreign keys are not as they must be.
    """
    for setting, needed in _NEEDED.items():
        found = str(connection.exec_driver_sql(f"PRAGMA {setting}").scalar())
        if found != needed:
            raise DatabaseSettingError(
                location=location, setting=setting, found=found, needed=needed
            )


def _engine(path: Path, patience: float, connections: int) -> Engine:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    return create_engine(
        "sqlite://",
        creator=connect,
        paramstyle="named",
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience,
        hide_parameters=True,
    )


def _prepare(engine: Engine, path: Path, begin: str, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        for pragma in pragmas:
            connection.execute(pragma)
        entry.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def same_file(_connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        # A file put in the place of ours, as a restore does: the open connection would go on
        # writing to the one that no path leads to any more.
        if entry.info["file"] != _identity(path):
            raise DisconnectionError("the file was replaced")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.connection.cursor().execute(begin)  # for each transaction: the shortest way


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  for each transaction: the shortest way
    except OSError:
        return None
    return status.st_dev, status.st_ino
