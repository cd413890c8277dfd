"""A recovery's rows: what is replaced is moved aside, whole, and the log goes on before it."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import text

from alloc_service.errors import AppendOnlyError
from alloc_service.storage import queries, triggers
from alloc_service.storage.engine import Database
from alloc_service.storage.queries import AssignmentRow, EntryRow, HeadRow, NodeRow


def recover(
    database: Database, trial_id: str, since: int, entries: list[EntryRow], at: datetime
) -> int:
    with database.write() as transaction:
        queries.lock_log_head(transaction, trial_id)
        with triggers.lifted(transaction.connection()):
            fork = queries.move_to_fork(transaction, trial_id, since, "f" * 64, at)
            queries.append_entries(transaction, trial_id, entries, [])
    return fork


@pytest.fixture
def forked(
    database: Database,
    trial_id: str,
    chain: Callable[..., list[EntryRow]],
    assign: Callable[..., AssignmentRow],
) -> list[EntryRow]:
    """Store six entries, nodes, checkpoints, and assignments by the entries 1, 3 and 5."""
    rows = chain(6)
    places = [(1, 0), (1, 1), (1, 2), (2, 0)]
    with database.write() as transaction:
        nodes = [NodeRow(level, position, bytes(32)) for level, position in places]
        queries.append_entries(transaction, trial_id, rows, nodes)
        for size in range(1, 7):
            queries.add_checkpoint(transaction, trial_id, size, f"note {size}")
    for slot, seq in enumerate([1, 3, 5]):
        assign(slot=slot, seq=seq, enrolment=seq)
    return rows


def test_a_recovery_moves_the_tail_aside_and_puts_other_entries_there(
    database: Database,
    trial_id: str,
    forked: list[EntryRow],
    chain: Callable[..., list[EntryRow]],
    noon: datetime,
) -> None:
    other = chain(3)[2]
    fork = recover(database, trial_id, 2, [other], noon)

    assert fork == 1
    with database.read() as session:
        assert list(queries.read_entries(session, trial_id)) == [*forked[:2], other]
        assert queries.read_log_head(session, trial_id) == HeadRow(3, other.leaf)
        assert [row.entry_seq for row in queries.list_assignments(session, trial_id)] == [1]
        kept = session.execute(text("SELECT seq, data FROM fork_entry ORDER BY seq")).all()
        assert [(seq, bytes(data)) for seq, data in kept] == [(r.seq, r.data) for r in forked[2:]]
        spent = session.execute(text("SELECT slot, entry_seq FROM fork_assignment ORDER BY slot"))
        assert [tuple(row) for row in spent] == [(1, 3), (2, 5)]
        assert queries.find_newest_fork(session, trial_id) == 1


def test_nodes_and_checkpoints_that_reach_past_the_cut_go(
    database: Database, trial_id: str, forked: list[EntryRow], noon: datetime
) -> None:
    assert forked
    with database.write() as transaction, triggers.lifted(transaction.connection()):
        queries.move_to_fork(transaction, trial_id, 5, "f" * 64, noon)

    with database.read() as session:
        places = [(1, 0), (1, 1), (1, 2), (2, 0)]
        kept = set(queries.read_log_nodes(session, trial_id, places))
        assert kept == {(1, 0), (1, 1), (2, 0)}
        assert [row.size for row in queries.read_checkpoints(session, trial_id)] == [1, 2, 3, 4, 5]


def test_a_whole_log_can_be_moved_aside_and_forks_are_numbered(
    database: Database, trial_id: str, forked: list[EntryRow], noon: datetime
) -> None:
    recover(database, trial_id, 5, [forked[5]], noon)
    fork = recover(database, trial_id, 0, forked[:1], noon)

    assert fork == 2
    with database.read() as session:
        assert queries.read_log_head(session, trial_id) == HeadRow(1, forked[0].leaf)
        assert queries.count_assigned(session, trial_id) == {}


def test_with_the_triggers_on_nothing_can_be_moved(
    database: Database, trial_id: str, forked: list[EntryRow], noon: datetime
) -> None:
    def move() -> None:
        with database.write() as transaction:
            queries.move_to_fork(transaction, trial_id, 2, "f" * 64, noon)

    with pytest.raises(AppendOnlyError, match="refuses_delete"):
        move()

    with database.read() as session:
        assert list(queries.read_entries(session, trial_id)) == forked
        assert queries.find_newest_fork(session, trial_id) is None


def test_a_slot_that_a_recovery_took_back_is_the_next_again(
    database: Database,
    trial_id: str,
    forked: list[EntryRow],
    assign: Callable[..., AssignmentRow],
    noon: datetime,
) -> None:
    recover(database, trial_id, 3, [forked[3]], noon)

    assign(slot=1, seq=3, enrolment=3)
    with database.read() as session:
        again = queries.find_assignment(session, UUID(int=3))
    assert again is not None
    assert again.slot == 1
