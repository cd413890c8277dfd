"""A page of the audit log over HTTP at 100,000 entries, against the same page at 100."""

import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from alloc_service.core.canon import Json
from alloc_service.core.merkle import Frontier
from alloc_service.log.entry import read_entry, write_entry
from alloc_service.permissions import Role
from alloc_service.services import audit
from alloc_service.storage import queries
from alloc_service.storage.queries import EntryRow, NodeRow
from bench.clients import Browser, ask, send_all
from bench.installation import CHEAP, PASSWORD, Installation
from bench.measure import Measured, take_turns
from tests.support.postgres_server import PostgresServer
from tests.support.web_server import serving

FEW, MANY = 100, 100_000
PAGES = 10
TURNS = 5
LIMIT = 3.0


def run() -> Iterator[Measured]:
    """Measure on SQLite and on PostgreSQL."""
    with tempfile.TemporaryDirectory() as folder:
        places = [_make(Path(folder, name)) for name in ("few", "many")]
        yield _measure("SQLite", [(place, f"sqlite:///{place}/alloc.db") for place in places])
    with tempfile.TemporaryDirectory() as folder, PostgresServer(in_memory=False) as server:
        places = [_make(Path(folder, name)) for name in ("few", "many")]
        yield _measure(
            "PostgreSQL", [(place, server.url(server.create_database())) for place in places]
        )


def _make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _measure(name: str, places: Sequence[tuple[Path, str]]) -> Measured:
    with ExitStack() as stack:
        turns = []
        for (folder, url), size in zip(places, (FEW, MANY), strict=True):
            made = Installation(folder, url, hasher=CHEAP)
            made.add_person("dmc", Role.DMC)
            _grow(made, size)
            made.deps.database.dispose()
            server = stack.enter_context(serving(made.environ, folder / "server.log"))
            browser = Browser(server.port, "dmc", PASSWORD)
            page = browser.get(f"/trials/{made.trial}/log")
            assert f'log/{size - 1}"'.encode() in ask(server.port, page), "the newest is not shown"
            turns.append(partial(send_all, server.port, [[page] * PAGES]))
        few, many = turns
        return take_turns(
            f"a page of a log of {MANY:,} entries, {name}", few, many,
            units=PAGES, turns=TURNS, limit=LIMIT,
        )  # fmt: skip


def _grow(made: Installation, size: int) -> None:
    """Let a log grow, by refused requests, until it has so many entries."""
    person = made.physicians[0]
    actor: dict[str, Json] = {
        "id": person.id,
        "org": person.organization,
        "role": str(Role.PHYSICIAN),
    }
    with made.deps.database.write() as tx:
        rows = list(queries.read_entries(tx, made.trial))
        tree = Frontier()
        for row in rows:
            tree.append(bytes.fromhex(row.leaf))
        time, entries, nodes = read_entry(rows[-1].data).time, [], []
        last = rows[-1].leaf
        for seq in range(len(rows), size):
            body: dict[str, Json] = {
                "enrolment": str(uuid.uuid4()),
                "code": "stratum-full",
                "actor": actor,
            }
            entry = write_entry(seq, last, time, "allocation.refused", body)
            last = entry.leaf
            entries.append(EntryRow(entry.seq, entry.prev, entry.leaf, entry.data))
            nodes += [NodeRow(*node) for node in tree.grow(bytes.fromhex(last))]
        queries.append_entries(tx, made.trial, entries, nodes)
    audit.follow(made.deps, made.trial)
