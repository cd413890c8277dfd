"""A recovery's rows: the history that it replaces is moved aside and kept as evidence."""

from datetime import datetime

from sqlalchemy import delete, func, insert, literal, select, update

from alloc_service.storage.models import (
    Assignment,
    Checkpoint,
    Fork,
    ForkAssignment,
    ForkEntry,
    LogEntry,
    LogHead,
    LogNode,
)
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Reading

_entries = METADATA.tables["log_entry"]
_assignments = METADATA.tables["assignment"]


def move_to_fork(
    session: Reading, trial_id: str, since: int, fork_sha256: str, at: datetime
) -> int:
    """Move the entries from `since` on and their assignments to a new fork; return its number.

    The log's head then ends before `since`; nodes and checkpoints that reach past it are
    removed. The caller holds the log's lock and has taken the triggers off
    (`alloc_service.storage.triggers.lifted`).

    Args:
        session: A write transaction.
        trial_id: Whose log.
        since: First sequence number that moves.
        fork_sha256: Hash of what moves, HEX32, or empty where nothing does.
        at: When, UTC.
    """
    fork = 1 + (find_newest_fork(session, trial_id) or 0)
    session.add(Fork(trial_id=trial_id, fork=fork, at=at, fork_sha256=fork_sha256))
    session.flush()
    _copy(session, trial_id, fork, since)
    session.execute(
        delete(Assignment).where(Assignment.trial_id == trial_id, Assignment.entry_seq >= since)
    )
    session.execute(delete(LogEntry).where(LogEntry.trial_id == trial_id, LogEntry.seq >= since))
    _shorten(session, trial_id, since)
    return fork


def find_newest_fork(session: Reading, trial_id: str) -> int | None:
    """Return the number of a trial's last fork, or None."""
    return session.scalar(select(func.max(Fork.fork)).where(Fork.trial_id == trial_id))


def _copy(session: Reading, trial_id: str, fork: int, since: int) -> None:
    entries = select(_entries.c.trial_id, literal(fork), _entries.c.seq, _entries.c.data).where(
        _entries.c.trial_id == trial_id, _entries.c.seq >= since
    )
    session.execute(insert(ForkEntry).from_select(["trial_id", "fork", "seq", "data"], entries))
    kept = ["enrolment_id", "list_number", "stratum", "slot", "entry_seq"]
    assignments = select(
        _assignments.c.trial_id, literal(fork), *(_assignments.c[name] for name in kept)
    ).where(_assignments.c.trial_id == trial_id, _assignments.c.entry_seq >= since)
    session.execute(insert(ForkAssignment).from_select(["trial_id", "fork", *kept], assignments))


def _shorten(session: Reading, trial_id: str, size: int) -> None:
    past = (LogNode.position + 1).bitwise_lshift(LogNode.level) > size
    session.execute(delete(LogNode).where(LogNode.trial_id == trial_id, past))
    session.execute(
        delete(Checkpoint).where(Checkpoint.trial_id == trial_id, Checkpoint.size > size)
    )
    last = session.scalar(
        select(LogEntry.leaf).where(LogEntry.trial_id == trial_id, LogEntry.seq == size - 1)
    )
    session.execute(
        update(LogHead).where(LogHead.trial_id == trial_id).values(size=size, last_leaf=last or "")
    )
