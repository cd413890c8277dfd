"""Reads, appends and locks of the log's rows."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from alloc_service.errors import AppendOnlyError, UnknownRecordError
from alloc_service.storage import queries, triggers
from alloc_service.storage.engine import Database
from alloc_service.storage.queries import EntryRow, HeadRow, NodeRow, SealedSlotRow
from alloc_service.storage.transactions import Reading

NODES = [NodeRow(1, 0, bytes([10]) * 32), NodeRow(1, 1, bytes([11]) * 32), NodeRow(2, 0, bytes(32))]


def append(
    database: Database, trial_id: str, rows: list[EntryRow], nodes: list[NodeRow] | None = None
) -> None:
    with database.write() as transaction:
        queries.lock_log_head(transaction, trial_id)
        queries.append_entries(transaction, trial_id, rows, nodes or [])


def test_a_new_log_is_empty(database: Database, trial_id: str) -> None:
    with database.read() as session:
        assert queries.read_log_head(session, trial_id) == HeadRow(0, "")
        assert list(queries.read_entries(session, trial_id)) == []


def test_entries_come_back_byte_for_byte_and_the_head_moves(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    rows = chain(5)
    for row in rows:
        append(database, trial_id, [row])

    with database.read() as session:
        assert queries.read_log_head(session, trial_id) == HeadRow(5, rows[4].leaf)
        assert list(queries.read_entries(session, trial_id)) == rows
        assert list(queries.read_entries(session, trial_id, since=3)) == rows[3:]
        assert list(queries.read_entries(session, trial_id, since=5)) == []
        assert queries.read_entry(session, trial_id, 2) == rows[2]


def test_a_long_log_is_read_in_order_across_chunks(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    rows = chain(2_000)
    append(database, trial_id, rows)

    with database.read() as session:
        assert list(queries.read_entries(session, trial_id, since=1)) == rows[1:]


def test_a_long_log_is_read_back_from_its_end_or_from_a_place(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    rows = chain(2_000)
    append(database, trial_id, rows)

    with database.read() as session:
        assert list(queries.read_entries_back(session, trial_id)) == rows[::-1]
        assert list(queries.read_entries_back(session, trial_id, 10**15)) == rows[::-1]
        assert list(queries.read_entries_back(session, trial_id, 3)) == rows[2::-1]
        assert list(queries.read_entries_back(session, trial_id, 0)) == []


def test_entries_behind_a_missing_one_are_still_read(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    rows = chain(1_500)
    append(database, trial_id, rows)
    with database.write() as transaction, triggers.lifted(transaction.connection()):
        transaction.execute(text("DELETE FROM log_entry WHERE seq BETWEEN 10 AND 1200"))

    with database.read() as session:
        found = list(queries.read_entries(session, trial_id))
    assert found == rows[:10] + rows[1201:]


def test_logs_of_two_trials_do_not_mix(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    append(database, trial_id, chain(3))
    with database.write() as transaction:
        transaction.execute(text("INSERT INTO log_head VALUES ('TEST-OTHER', 0, '')"))
    append(database, "TEST-OTHER", chain(2, "other"))

    with database.read() as session:
        assert list(queries.read_entries(session, trial_id)) == chain(3)
        assert queries.read_log_head(session, "TEST-OTHER").size == 2


@pytest.mark.parametrize("seq", [0, 2])
def test_an_append_elsewhere_than_at_the_end_is_refused(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]], seq: int
) -> None:
    append(database, trial_id, chain(1))

    with pytest.raises(AppendOnlyError, match="log_head_counts_the_entries"):
        append(database, trial_id, [chain(3)[seq]])


def test_an_append_that_follows_another_leaf_is_refused_whole(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    append(database, trial_id, chain(2))

    with pytest.raises(AppendOnlyError, match="log_entry_follows_the_last"):
        append(database, trial_id, [chain(3, "another")[2]], NODES)

    with database.read() as session:
        assert queries.read_log_head(session, trial_id).size == 2
        assert queries.read_log_nodes(session, trial_id, [(1, 0)]) == {}


def test_a_log_that_is_not_there_is_told(database: Database) -> None:
    with database.write() as transaction:
        with pytest.raises(UnknownRecordError, match="no log of a trial NOWHERE"):
            queries.lock_log_head(transaction, "NOWHERE")
        with pytest.raises(UnknownRecordError):
            queries.read_log_head(transaction, "NOWHERE")
        with pytest.raises(UnknownRecordError, match="numbered 7"):
            queries.read_entry(transaction, "NOWHERE", 7)


def test_nodes_and_leaves_are_read_at_once_and_missing_ones_are_left_out(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    rows = chain(4)
    append(database, trial_id, rows, NODES)

    with database.read() as session:
        found = queries.read_log_nodes(session, trial_id, [(0, 2), (1, 1), (2, 0), (3, 0), (0, 9)])
        nothing = queries.read_log_nodes(session, trial_id, [])

    assert found == {
        (0, 2): hashlib.sha256(b"\0" + rows[2].data).digest(),
        (1, 1): NODES[1].hash,
        (2, 0): NODES[2].hash,
    }
    assert nothing == {}


class Recorder:
    """A driver's connection, and its own cursor, that remembers what it was asked."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.asked: list[tuple[str, Any]] = []

    def cursor(self) -> Any:
        return self

    def execute(self, sql: str, facts: Any) -> None:
        self.asked.append((sql, facts))
        self._cursor = self._driver.cursor()
        self._cursor.execute(sql, facts)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


def plans_of(database: Database, read: Callable[[Reading], object]) -> list[str]:
    """Return how the database finds the rows of each prepared statement of a read."""
    with database.read() as session:
        driver, session.driver = session.driver, Recorder(session.driver)
        read(session)
        asked = session.driver.asked
        explain = "EXPLAIN" if database.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
        return [
            "\n".join(str(row) for row in driver.cursor().execute(f"{explain} {sql}", facts))
            for sql, facts in asked
        ]


def test_the_rows_of_a_proof_are_found_by_key(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    nodes = [NodeRow(level, place, bytes(32)) for level in range(1, 4) for place in range(2_000)]
    slots = [SealedSlotRow(0, slot, bytes(32), bytes(285)) for slot in range(4, 2_000)]
    with database.write() as transaction:
        queries.append_entries(transaction, trial_id, chain(2_000), nodes)
        queries.add_list_nodes(transaction, trial_id, 1, nodes)
        queries.add_sealed_slots(transaction, trial_id, 1, 0, slots)
        transaction.execute(text("ANALYZE"))
    places = [(0, 4), (1, 3), (2, 0), (3, 7), (1, 1_000)]

    def read(session: Reading) -> None:
        queries.read_log_nodes(session, trial_id, places)
        queries.read_list_nodes(session, trial_id, 1, places)
        queries.read_sealed_leaves(session, trial_id, 1, 0, places)

    plans = plans_of(database, read)

    assert len(plans) == 3
    for plan in plans:
        assert "Seq Scan" not in plan
        assert "Filter" not in plan
        assert not re.search(r"SCAN (?!wanted|\d)", plan)
        keys = re.findall(r"PRIMARY KEY \((.*)\)|Index Cond: (.*)", plan)
        assert len(keys) == 1
        assert re.search(r"\b(seq|position|slot)\b", "".join(keys[0]))  # the last of each key


def test_more_places_than_one_statement_holds_are_read_too(
    database: Database, trial_id: str
) -> None:
    nodes = [NodeRow(1, position, bytes([position]) * 32) for position in range(250)]
    with database.write() as transaction:
        queries.replace_log_nodes(transaction, trial_id, nodes)

    with database.read() as session:
        found = queries.read_log_nodes(session, trial_id, [(1, node.position) for node in nodes])
    assert found == {(1, node.position): node.hash for node in nodes}


def test_nodes_can_be_made_anew(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    append(database, trial_id, chain(4), NODES)
    anew = [NodeRow(1, position, bytes([position % 256]) * 32) for position in range(1_500)]
    with database.write() as transaction:
        queries.replace_log_nodes(transaction, trial_id, anew)

    with database.read() as session:
        found = queries.read_log_nodes(session, trial_id, [(1, 0), (1, 1_499), (2, 0)])
    assert found == {(1, 0): anew[0].hash, (1, 1_499): anew[1_499].hash}


def test_whoever_waits_for_the_log_sees_the_head_that_the_other_left(
    database: Database, trial_id: str, chain: Callable[..., list[EntryRow]]
) -> None:
    rows = chain(2)
    heads: list[HeadRow] = []
    begun = threading.Event()

    def append_second() -> None:
        with database.write() as transaction:
            # A first statement, so that a snapshot taken here would be too old.
            transaction.execute(text("SELECT 1"))
            begun.set()
            heads.append(queries.lock_log_head(transaction, trial_id))
            queries.append_entries(transaction, trial_id, [rows[1]], [])

    second = threading.Thread(target=append_second)
    with database.write() as transaction:
        queries.lock_log_head(transaction, trial_id)
        second.start()
        begun.wait(0.2)  # on SQLite it waits before its first statement
        queries.append_entries(transaction, trial_id, [rows[0]], [])
    second.join()

    assert heads == [HeadRow(1, rows[0].leaf)]


def test_one_note_is_kept_for_each_size(database: Database) -> None:
    with database.write() as transaction:
        assert queries.find_checkpoint(transaction, "t") is None
        for size, note in [(1, "first"), (3, "third"), (2, "second"), (3, "another third")]:
            queries.add_checkpoint(transaction, "t", size, note)

    with database.read() as session:
        assert queries.find_checkpoint(session, "t") == (3, "third")
        assert queries.find_checkpoint(session, "t", 2) == (2, "second")
        assert queries.find_checkpoint(session, "t", 4) is None
        assert queries.read_checkpoints(session, "t") == [
            (1, "first"),
            (2, "second"),
            (3, "third"),
        ]
