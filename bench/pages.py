"""Reveals per second over HTTP, against bare Flask routes under the same server, in turns.

Ours is the post that signs and reveals, as a browser sends it to the real application; each
client is a physician of their own, all of them at one site and in one stratum. Without the
password check, the stored hashes are Argon2 at its cheapest: all else is as ever. With it, the
floor is a route that only verifies one hash. Both are served as README says, by four processes of
four threads.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from bench.bare_app import FOLDER, URL, make_tables
from bench.clients import Answered, Browser, post_bytes, send_all
from bench.installation import CHEAP, PASSWORD, Installation
from bench.measure import Measured
from tests.support.postgres_server import PostgresServer
from tests.support.web_server import WebServer, serving

CLIENTS = 16
TURNS = 5
LIMIT = 1 / 0.3
LIMIT_WITH_PASSWORD = 1 / 0.8
LIMIT_OF_TAIL = 8.0
_AS_SERVED = ("--workers", "4", "--threads", "4")


@dataclass(frozen=True, slots=True)
class _Case:
    """One thing to measure.

    Attributes:
        name: For the line.
        clients: How many ask at once.
        posts: How many each sends in a turn.
        floor: The bare route.
        limit: The largest good ratio.
    """

    name: str
    clients: int
    posts: int
    floor: str
    limit: float


WITHOUT = (
    _Case("1 client, without the password", 1, 30, "/reveal", LIMIT),
    _Case(f"{CLIENTS} clients, without the password", CLIENTS, 12, "/reveal", LIMIT),
)
WITH = (
    _Case("1 client, with the password", 1, 8, "/password", LIMIT_WITH_PASSWORD),
    _Case(f"{CLIENTS} clients, with the password", CLIENTS, 3, "/password", LIMIT_WITH_PASSWORD),
)


def run() -> Iterator[Measured]:
    """Measure on SQLite and on PostgreSQL, both with their files on the disk."""
    for hasher in (CHEAP, None):
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/alloc.db"
            yield from _measure(Path(folder), url, f"sqlite:///{folder}/bare.db", hasher)
        with tempfile.TemporaryDirectory() as folder, PostgresServer(in_memory=False) as server:
            url, bare = (server.url(server.create_database()) for _ in range(2))
            yield from _measure(Path(folder), url, bare, hasher)


def _measure(
    folder: Path, url: str, bare_url: str, hasher: PasswordHasher | None
) -> Iterator[Measured]:
    on_sqlite = url.startswith("sqlite")
    name, cases = ("SQLite" if on_sqlite else "PostgreSQL"), (WITHOUT if hasher else WITH)
    room = sum(case.clients * case.posts * TURNS for case in cases) + CLIENTS
    made = Installation(folder, url, room=room, physicians=CLIENTS, hasher=hasher)
    made.deps.database.dispose()
    make_tables(bare_url)
    bare_environ = {FOLDER: str(folder), URL: bare_url}
    with (
        serving(
            bare_environ, folder / "bare.log", "bench.bare_app:create_app()", _AS_SERVED
        ) as bare,
        serving(made.environ, folder / "server.log", options=_AS_SERVED) as ours,
    ):
        browsers = [Browser(ours.port, f"physician{at}", PASSWORD) for at in range(CLIENTS)]
        for case in cases:
            yield from _take_turns(f"{case.name}, {name}", case, made, browsers, bare)


def _take_turns(
    name: str, case: _Case, made: Installation, browsers: Sequence[Browser], bare: WebServer
) -> list[Measured]:
    floors, subjects = [], []
    bare_post = post_bytes(case.floor, {"username": "x", "password": PASSWORD})
    for _turn in range(TURNS):
        posts = [
            [
                browsers[at].post(f"/enrolments/{draft.id}/allocation")
                for draft in made.enrol(case.posts, at)
            ]
            for at in range(case.clients)
        ]
        floors.append(send_all(bare.port, [[bare_post] * case.posts] * case.clients))
        subjects.append(send_all(browsers[0].port, posts))
    found = [
        Measured(f"a reveal over HTTP, {name}", _cost(floors), _cost(subjects), case.limit),
    ]
    if case.clients > 1 and case.floor == "/reveal":
        half = statistics.median(item.half for item in subjects)
        most = statistics.median(item.most for item in subjects)
        found.append(Measured(f"its 99th hundredth, {name}", half, most, LIMIT_OF_TAIL))
    return found


def _cost(rounds: Sequence[Answered]) -> float:
    return statistics.median(1 / item.rate for item in rounds)
