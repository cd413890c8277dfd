"""Reveals per second in process, against a bare loop of what no reveal can do without.

The floor: one durable transaction (read a counter, insert two rows, update one), one fsynced
append of 300 bytes, one Ed25519 signature. Ours: the whole reveal of a signed enrolment, with
checks, log, follow, open, receipt. Ours must reach a quarter of the floor's rate.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.installation import Installation
from bench.measure import Measured, take_turns
from tests.support.postgres_server import PostgresServer

TURNS = 7
REVEALS = 20
LIMIT = 4.0

_TABLES = (
    "CREATE TABLE counter (id INTEGER PRIMARY KEY, next INTEGER NOT NULL)",
    "CREATE TABLE assigned (id INTEGER PRIMARY KEY, what TEXT NOT NULL)",
    "CREATE TABLE logged (id INTEGER PRIMARY KEY, entry TEXT NOT NULL)",
    "INSERT INTO counter VALUES (1, 0)",
)
_ENTRY = "x" * 500
_ROW = "x" * 200


def run() -> list[Measured]:
    """Measure on SQLite and on PostgreSQL, both with their files on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        on_sqlite = _measure("SQLite", Path(folder), f"sqlite:///{folder}/alloc.db", sqlite_loop)
    with tempfile.TemporaryDirectory() as folder, PostgresServer(in_memory=False) as server:
        url = server.url(server.create_database())
        bare = server.url(server.create_database())
        on_postgresql = _measure(
            "PostgreSQL", Path(folder), url, lambda path: postgresql_loop(path, bare)
        )
    return [on_sqlite, on_postgresql]


def _measure(
    name: str, folder: Path, url: str, bare: Callable[[Path], Iterator[Callable[[], None]]]
) -> Measured:
    installation = Installation(folder, url)
    ready = iter(installation.signed_enrolments(TURNS * REVEALS))
    with contextmanager(bare)(folder) as one:

        def floor() -> None:
            for _reveal in range(REVEALS):
                one()

        def subject() -> None:
            for _reveal in range(REVEALS):
                installation.reveal(next(ready))

        return take_turns(
            f"a reveal on {name}", floor, subject, units=REVEALS, turns=TURNS, limit=LIMIT
        )


def sqlite_loop(folder: Path) -> Iterator[Callable[[], None]]:
    """Yield one bare step on SQLite, in WAL with synchronous=FULL."""
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        for statement in _TABLES:
            connection.execute(statement)

        def transaction() -> None:
            connection.execute("BEGIN IMMEDIATE")
            (at,) = connection.execute("SELECT next FROM counter WHERE id = 1").fetchone()
            connection.execute("INSERT INTO assigned VALUES (?, ?)", (at, _ROW))
            connection.execute("INSERT INTO logged VALUES (?, ?)", (at, _ENTRY))
            connection.execute("UPDATE counter SET next = ? WHERE id = 1", (at + 1,))
            connection.execute("COMMIT")

        yield from _with_anchor(folder, transaction)


def postgresql_loop(folder: Path, url: str) -> Iterator[Callable[[], None]]:
    """Yield one bare step on PostgreSQL, with synchronous_commit=on."""
    with psycopg.connect(url) as connection:
        for statement in _TABLES:
            connection.execute(statement.encode())
        connection.commit()

        def transaction() -> None:
            counter = connection.execute("SELECT next FROM counter WHERE id = 1 FOR UPDATE")
            (at,) = counter.fetchone() or (0,)
            connection.execute("INSERT INTO assigned VALUES (%s, %s)", (at, _ROW))
            connection.execute("INSERT INTO logged VALUES (%s, %s)", (at, _ENTRY))
            connection.execute("UPDATE counter SET next = %s WHERE id = 1", (at + 1,))
            connection.commit()

        yield from _with_anchor(folder, transaction)


def _with_anchor(folder: Path, transaction: Callable[[], None]) -> Iterator[Callable[[], None]]:
    key = Ed25519PrivateKey.generate()
    descriptor = os.open(folder / "bare.anchor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def step() -> None:
        transaction()
        os.write(descriptor, b"x" * 300)
        os.fsync(descriptor)
        key.sign(b"x" * 120)

    try:
        yield step
    finally:
        os.close(descriptor)
