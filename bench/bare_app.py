"""Bare Flask routes over SQLAlchemy, under the same server: the floor of `bench.pages`.

`/reveal` parses a form, writes in one durable transaction the very rows of a reveal, by number
and size (assignment, log entry, two nodes of the tree, head, record), appends 300 bytes with
fsync and signs; `/password` verifies one Argon2id hash. No rule, check, session, guard or
template; each answers with as many bytes as the page of an allocation has.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask, request
from flask.typing import ResponseReturnValue
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)  # fmt: skip

from bench.installation import PASSWORD

FOLDER, URL = "BARE_FOLDER", "BARE_URL"
_PAGE = "x" * 7_168
_METADATA = MetaData()
_COUNTER = Table(
    "counter",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("next", Integer, nullable=False),
)
_ASSIGNED, _LOGGED, _NODES, _RECORDS = (
    Table(
        name,
        _METADATA,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("what", String, nullable=False),
    )
    for name in ("assigned", "logged", "node", "record")
)


def make_tables(url: str) -> None:
    """Make what the route writes to."""
    engine = _engine(url)
    _METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(_COUNTER).values(id=1, next=0))
    engine.dispose()


def create_app() -> Flask:
    """Return the application."""
    app = Flask(__name__)
    hasher, key = PasswordHasher(), Ed25519PrivateKey.generate()
    stored = hasher.hash(PASSWORD)
    engine = _engine(os.environ[URL])
    anchor = os.open(
        Path(os.environ[FOLDER]) / "bare.anchor", os.O_WRONLY | os.O_CREAT | os.O_APPEND
    )
    turns = Path(os.environ[FOLDER]) / "bare.turns"
    lock = threading.Lock()

    @contextmanager
    def turn() -> Iterator[None]:
        """Wait for the one writer of SQLite, whose own waiting polls: that would be no floor."""
        with lock, turns.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    queue = turn if engine.name == "sqlite" else nullcontext

    @app.get("/healthz")
    def tell_health() -> ResponseReturnValue:
        return "well"

    @app.post("/reveal")
    def reveal() -> ResponseReturnValue:
        if not request.form["username"]:
            return "", 403
        with queue(), engine.begin() as connection:
            _write(connection)
        os.write(anchor, b"x" * 300)
        os.fsync(anchor)
        key.sign(b"x" * 120)
        return _PAGE

    @app.post("/password")
    def check_password() -> ResponseReturnValue:
        hasher.verify(stored, request.form["password"])
        return _PAGE

    return app


def _write(connection: Connection) -> None:
    at = connection.execute(select(_COUNTER.c.next).with_for_update()).scalar_one()
    connection.execute(insert(_ASSIGNED).values(id=at, what="x" * 200))
    connection.execute(insert(_LOGGED).values(id=at, what="x" * 600))
    nodes = [{"id": 2 * at, "what": "x" * 64}, {"id": 2 * at + 1, "what": "x" * 64}]
    connection.execute(insert(_NODES), nodes)
    connection.execute(insert(_RECORDS).values(id=at, what="x" * 1_400))
    connection.execute(update(_COUNTER).where(_COUNTER.c.id == 1).values(next=at + 1))


def _engine(url: str) -> Engine:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), pool_size=16)
    if engine.name == "sqlite":

        @event.listens_for(engine, "connect")
        def be_durable(connection: Any, _record: object) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
