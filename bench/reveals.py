"""Reveals per second in process, against a bare loop of what no reveal can do without.

The floor: one durable transaction (read a counter, insert two rows, update one), one fsynced
append of 300 bytes, one Ed25519 signature. Ours: the whole reveal of a signed enrolment, with
checks, log, follow, open, receipt. Ours must reach a quarter of the floor's rate.
"""

import tempfile
from pathlib import Path

from bench.bare import Bare, make_tables
from bench.installation import Installation
from bench.measure import Measured, take_turns
from tests.support.postgres_server import PostgresServer

TURNS = 7
REVEALS = 20
LIMIT = 4.0


def run() -> list[Measured]:
    """Measure on SQLite and on PostgreSQL, both with their files on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        on_sqlite = _measure("SQLite", Path(folder), f"sqlite:///{folder}/alloc.db")
    with tempfile.TemporaryDirectory() as folder, PostgresServer(in_memory=False) as server:
        url = server.url(server.create_database())
        bare = server.url(server.create_database())
        on_postgresql = _measure("PostgreSQL", Path(folder), url, bare)
    return [on_sqlite, on_postgresql]


def _measure(name: str, folder: Path, url: str, bare_url: str = "") -> Measured:
    installation = Installation(folder, url)
    ready = iter(installation.signed_enrolments(TURNS * REVEALS))
    make_tables(folder, bare_url)
    with Bare(folder, bare_url) as bare:

        def floor() -> None:
            for _reveal in range(REVEALS):
                bare.step()

        def subject() -> None:
            for _reveal in range(REVEALS):
                installation.reveal(next(ready))

        return take_turns(
            f"a reveal on {name}", floor, subject, units=REVEALS, turns=TURNS, limit=LIMIT
        )
