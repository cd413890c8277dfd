"""What must hold of a trial after any fault: its log whole, its anchor a prefix, its slots dense.

Everything is read from what is at rest, and folded, hashed and verified from the beginning;
nothing that a service keeps in memory is asked.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from alloc_service.core.merkle import Frontier, leaf_hash, root_of
from alloc_service.log.entry import Entry, parse_time, read_entry
from alloc_service.log.note import open_checkpoint
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from alloc_service.sealing.keys import load_keys
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.models import Assignment, LogNode
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Reading
from tests.faults.life import Life


@dataclass(frozen=True)
class Evidence:
    """A log that was verified: its entries, its state, and how many of them the anchor holds."""

    entries: tuple[Entry, ...]
    state: LogState
    anchored: int

    def assigned_to(self, enrolment: UUID) -> list[Entry]:
        """Return every `slot.assigned` of one enrolment; more than one is a broken trial."""
        return [
            entry
            for entry in self.entries
            if entry.type == "slot.assigned" and entry.body["enrolment"] == str(enrolment)
        ]

    @property
    def spent(self) -> int:
        """Return how many slots are spent."""
        return len(self.state.assigned)


def verify_trial(life: Life, deps: Deps) -> Evidence:
    """Verify a trial at rest from its beginning; an assertion names what is wrong."""
    with deps.database.read() as session:
        rows = list(queries.read_entries(session, life.trial))
        head = queries.read_log_head(session, life.trial)
        entries, state = _fold_rows(rows)
        assert head == (state.size, state.last), "the head is not that of the entries"
        _verify_tree(session, life, entries)
        _verify_checkpoints(session, life, entries)
        _verify_assignments(session, life, entries)
    return Evidence(entries, state, _verify_anchor(life, entries))


def read_tables(deps: Deps) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, in an order of its own, to compare before and after."""
    with deps.database.read() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def _fold_rows(rows: list[queries.EntryRow]) -> tuple[tuple[Entry, ...], LogState]:
    state = LogState()
    entries = []
    for row in rows:
        entry = read_entry(row.data)
        fold(state, entry)
        assert (row.seq, row.prev, row.leaf) == (entry.seq, entry.prev, entry.leaf)
        entries.append(entry)
    return tuple(entries), state


def _verify_tree(session: Reading, life: Life, entries: tuple[Entry, ...]) -> None:
    leaves = [leaf_hash(entry.data) for entry in entries]
    nodes = session.scalars(select(LogNode).where(LogNode.trial_id == life.trial)).all()
    expected = {
        (level, at)
        for level in range(1, len(leaves).bit_length())
        for at in range(len(leaves) >> level)
    }
    assert {(node.level, node.position) for node in nodes} == expected
    for node in nodes:
        width = 1 << node.level
        below = leaves[node.position * width : (node.position + 1) * width]
        assert node.hash == root_of(below), f"the node at {node.level}, {node.position} is wrong"


def _verify_checkpoints(session: Reading, life: Life, entries: tuple[Entry, ...]) -> None:
    key = load_keys(life.home.settings.keys).signer(life.origin).verifier
    tree = Frontier()
    for row in queries.read_checkpoints(session, life.trial):
        assert row.size <= len(entries)
        for entry in entries[tree.size : row.size]:
            tree.append(leaf_hash(entry.data))
        checkpoint = open_checkpoint(row.note, key)
        assert checkpoint.size == row.size
        assert checkpoint.root == tree.root(), "a checkpoint is of another log"


def _verify_assignments(session: Reading, life: Life, entries: tuple[Entry, ...]) -> None:
    logged = [entry for entry in entries if entry.type == "slot.assigned"]
    stored = queries.list_assignments(session, life.trial)
    assert [_facts(row) for row in stored] == [
        (
            entry.body["enrolment"],
            entry.body["list"],
            entry.body["stratum"],
            entry.body["slot"],
            entry.body["leaf"],
            entry.seq,
            parse_time(entry.time),
        )
        for entry in logged
    ]
    by_stratum: dict[tuple[int, int], list[int]] = defaultdict(list)
    for entry in logged:
        by_stratum[entry.body["list"], entry.body["stratum"]].append(entry.body["slot"])
    for place, slots in by_stratum.items():
        assert slots == list(range(len(slots))), f"the slots of {place} are {slots}"


def _facts(row: Assignment) -> tuple[object, ...]:
    return (
        str(row.enrolment_id),
        row.list_number,
        row.stratum,
        row.slot,
        row.leaf,
        row.entry_seq,
        row.assigned_at,
    )


def _verify_anchor(life: Life, entries: tuple[Entry, ...]) -> int:
    """Check that the anchor is the log's beginning; return how many entries it holds."""
    whole, _, torn = life.anchor.read_bytes().rpartition(b"\n")
    lines = whole.split(b"\n")
    assert lines == [entry.data for entry in entries[: len(lines)]], "the anchor is no prefix"
    if torn:  # the beginning of what came next, and nothing else
        assert len(lines) < len(entries)
        assert entries[len(lines)].data.startswith(torn)
    return len(lines)
