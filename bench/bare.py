"""One bare step: what no reveal can do without, and nothing else; the floor of reveals and pages.

One durable transaction (read a counter, insert two rows, update one), one fsynced append of 300
bytes, one Ed25519 signature.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_TABLES = (
    "CREATE TABLE counter (id INTEGER PRIMARY KEY, next INTEGER NOT NULL)",
    "CREATE TABLE assigned (id INTEGER PRIMARY KEY, what TEXT NOT NULL)",
    "CREATE TABLE logged (id INTEGER PRIMARY KEY, entry TEXT NOT NULL)",
    "INSERT INTO counter VALUES (1, 0)",
)
_ENTRY = "x" * 500
_ROW = "x" * 200


class Bare:
    """Makes steps on a database of its own.

    Args:
        folder: For the file that is appended to, and for SQLite's.
        url: Of an empty PostgreSQL database; without one it is SQLite.
    """

    def __init__(self, folder: Path, url: str = "") -> None:
        self._key = Ed25519PrivateKey.generate()
        self._anchor = os.open(folder / "bare.anchor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._close: Callable[[], None]
        self.transaction: Callable[[], None]
        if url:
            server = psycopg.connect(url)
            self._close, self.transaction = server.close, lambda: _on_postgresql(server)
        else:
            file = sqlite3.connect(
                folder / "bare.db", isolation_level=None, check_same_thread=False
            )
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=FULL")
            self._close, self.transaction = file.close, lambda: _on_sqlite(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()
        os.close(self._anchor)

    def step(self) -> None:
        """Commit, append, sign."""
        self.transaction()
        os.write(self._anchor, b"x" * 300)
        os.fsync(self._anchor)
        self._key.sign(b"x" * 120)


def make_tables(folder: Path, url: str = "") -> None:
    """Make what the steps write to."""
    if url:
        with psycopg.connect(url) as server:
            for statement in _TABLES:
                server.execute(statement.encode())
        return
    with sqlite3.connect(folder / "bare.db") as file:
        for statement in _TABLES:
            file.execute(statement)
    file.close()


def _on_sqlite(file: sqlite3.Connection) -> None:
    """Commit once in WAL with synchronous=FULL."""
    file.execute("BEGIN IMMEDIATE")
    (at,) = file.execute("SELECT next FROM counter WHERE id = 1").fetchone()
    file.execute("INSERT INTO assigned VALUES (?, ?)", (at, _ROW))
    file.execute("INSERT INTO logged VALUES (?, ?)", (at, _ENTRY))
    file.execute("UPDATE counter SET next = ? WHERE id = 1", (at + 1,))
    file.execute("COMMIT")


def _on_postgresql(server: psycopg.Connection) -> None:
    """Commit once with synchronous_commit=on."""
    (at,) = server.execute("SELECT next FROM counter WHERE id = 1 FOR UPDATE").fetchone() or (0,)
    server.execute("INSERT INTO assigned VALUES (%s, %s)", (at, _ROW))
    server.execute("INSERT INTO logged VALUES (%s, %s)", (at, _ENTRY))
    server.execute("UPDATE counter SET next = %s WHERE id = 1", (at + 1,))
    server.commit()
