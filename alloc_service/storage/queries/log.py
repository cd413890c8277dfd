"""The log's rows: head, entries, Merkle nodes and checkpoints.

An append costs one entry, the nodes that it completes (one on average, log2 n at most) and the
head; a proof costs one read of at most two nodes a level.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, select, update

from alloc_service.errors import UnknownRecordError
from alloc_service.storage.prepared import Prepared, as_bytes
from alloc_service.storage.queries.places import Place, at_places, facts_of, in_chunks
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Reading, Transaction

# Chunks grow: who wants a page reads few, and PostgreSQL, as long as it has not counted the rows
# of a log that came all at once, finds few by the key and sorts them all for many.
_FIRST_CHUNK = 64
_CHUNK = 1_000
_FEW = 20  # an append's
_BEYOND = 2**31 - 1  # the largest integer of both databases; no log is as long

_heads = METADATA.tables["log_head"]
_entries = METADATA.tables["log_entry"]
_nodes = METADATA.tables["log_node"]


class HeadRow(NamedTuple):
    """A log's size in entries, and the leaf of its last entry (HEX32, or empty at size 0)."""

    size: int
    last_leaf: str


class EntryRow(NamedTuple):
    """An entry as stored: its bytes, its leaf and the leaf before (HEX32, or empty for seq 0)."""

    seq: int
    prev: str
    leaf: str
    data: bytes


class NodeRow(NamedTuple):
    """The hash, 32 bytes, of the complete subtree of 2^level leaves at a 0-based position."""

    level: int
    position: int
    hash: bytes


_OF_TRIAL = select(_heads.c.size, _heads.c.last_leaf).where(_heads.c.trial_id == bindparam("trial"))
_HEAD = Prepared(_OF_TRIAL)
# Never SKIP LOCKED: it would hand out slot n+1 while n may still roll back.
_HEAD_LOCKED = Prepared(_OF_TRIAL.with_for_update())
_END_LOCKED = Prepared(
    _OF_TRIAL.add_columns(as_bytes(_entries.c.data))
    .join_from(
        _heads,
        _entries,
        and_(_entries.c.trial_id == _heads.c.trial_id, _entries.c.seq == _heads.c.size - 1),
        isouter=True,
    )
    .with_for_update(of=_heads)
)
_MOVE_HEAD = Prepared(
    update(_heads)
    .where(_heads.c.trial_id == bindparam("trial"), _heads.c.size == bindparam("old_size"))
    .values(size=bindparam("new_size"), last_leaf=bindparam("new_leaf"))
)

_ENTRY = select(_entries.c.seq, _entries.c.prev, _entries.c.leaf, as_bytes(_entries.c.data)).where(
    _entries.c.trial_id == bindparam("trial")
)
_ENTRY_AT = Prepared(_ENTRY.where(_entries.c.seq == bindparam("seq")))
_ENTRIES_SINCE = Prepared(
    _ENTRY.where(_entries.c.seq >= bindparam("since"))
    .order_by(_entries.c.seq)
    .limit(bindparam("most"))
)
_ENTRIES_BEFORE = Prepared(
    _ENTRY.where(_entries.c.seq < bindparam("before"))
    .order_by(_entries.c.seq.desc())
    .limit(bindparam("most"))
)
_ADD_ENTRY = Prepared(insert(_entries))
_ADD_NODE = Prepared(insert(_nodes))
_ADD_NODES = insert(_nodes)

_LEAVES_AT = select(_entries.c.seq, _entries.c.leaf).where(
    _entries.c.trial_id == bindparam("trial"),
    _entries.c.seq.in_(bindparam("seqs", expanding=True)),
)


@cache
def _nodes_at(count: int) -> Prepared:
    chosen = select(_nodes.c.level, _nodes.c.position, as_bytes(_nodes.c.hash)).where(
        _nodes.c.trial_id == bindparam("trial"),
        at_places(_nodes.c.level, _nodes.c.position, count),
    )
    return Prepared(chosen)


def lock_log_head(session: Reading, trial_id: str) -> HeadRow:
    """Lock a trial's log until the transaction ends, and return its head as it is under the lock.

    Raises:
        UnknownRecordError: There is no log of this trial.
    """
    return _read_head(session, trial_id, locked=True)


def lock_log_end(session: Reading, trial_id: str) -> tuple[HeadRow, bytes | None]:
    """Lock a trial's log as `lock_log_head` does; return its head and its last entry's bytes.

    PostgreSQL reads a head that it had to wait for anew, and not what stands beside it: then
    there are no bytes, or those of an older entry.

    Raises:
        UnknownRecordError: There is no log of this trial.
    """
    row = _END_LOCKED.find(session, {"trial": trial_id})
    if row is None:
        raise UnknownRecordError(what="log of a trial", name=trial_id)
    size, leaf, data = row
    return HeadRow(size, leaf), data


def read_log_head(session: Reading, trial_id: str) -> HeadRow:
    """Return the head of a trial's log.

    Raises:
        UnknownRecordError: There is no log of this trial.
    """
    return _read_head(session, trial_id, locked=False)


def read_entry(session: Reading, trial_id: str, seq: int) -> EntryRow:
    """Return one entry.

    Raises:
        UnknownRecordError: The log has no such entry.
    """
    row = _ENTRY_AT.find(session, {"trial": trial_id, "seq": seq})
    if row is None:
        raise UnknownRecordError(what=f"entry of the log of {trial_id} numbered", name=seq)
    return EntryRow(*row)


def read_entries(session: Reading, trial_id: str, since: int = 0) -> Iterator[EntryRow]:
    """Yield every stored entry from `since` on, in order, also past one that is missing."""
    facts = {"trial": trial_id, "since": since}
    for most in _chunks():
        rows = _ENTRIES_SINCE.run(session, {**facts, "most": most}).fetchall()
        yield from (EntryRow(*row) for row in rows)
        if len(rows) < most:
            return
        facts["since"] = rows[-1][0] + 1


def read_entries_back(session: Reading, trial_id: str, before: int = _BEYOND) -> Iterator[EntryRow]:
    """Yield every stored entry below `before`, the last one first; read no further than asked."""
    facts = {"trial": trial_id, "before": min(before, _BEYOND)}
    for most in _chunks():
        rows = _ENTRIES_BEFORE.run(session, {**facts, "most": most}).fetchall()
        yield from (EntryRow(*row) for row in rows)
        if len(rows) < most:
            return
        facts["before"] = rows[-1][0]


def glance_at_entries(session: Reading, trial_id: str, since: int) -> list[EntryRow] | None:
    """Return the entries from `since` on by one statement, or None where they are too many."""
    rows = _ENTRIES_SINCE.run(session, {"trial": trial_id, "since": since, "most": _CHUNK})
    found = [EntryRow(*row) for row in rows.fetchall()]
    return found if len(found) < _CHUNK else None


def append_entries(
    session: Transaction, trial_id: str, entries: Sequence[EntryRow], nodes: Sequence[NodeRow]
) -> None:
    """Add entries at the end of a log that the caller has locked, and move its head.

    Args:
        session: A write transaction.
        trial_id: Whose log.
        entries: At least one, in order; the first is the next of the log.
        nodes: The complete subtrees that these entries complete, level 1 and above.

    Raises:
        AppendOnlyError: The first is not the next entry, or an entry does not follow the last;
            at the commit at the latest.
    """
    last = entries[-1]
    moved = _MOVE_HEAD.run(
        session,
        {
            "trial": trial_id,
            "old_size": entries[0].seq,
            "new_size": last.seq + 1,
            "new_leaf": last.leaf,
        },
    )
    session.expect_one_row(moved, "log_head_counts_the_entries")
    for row in entries:
        _ADD_ENTRY.run(session, {"trial_id": trial_id, **row._asdict()})
    _add_nodes(session, trial_id, nodes)


def read_log_nodes(
    session: Reading, trial_id: str, places: Collection[Place]
) -> dict[Place, bytes]:
    """Return the hashes at (level, position), 32 bytes each; those of level 0 are leaves.

    One query for the nodes and one for the leaves; each row is found by its key. A place that
    is not stored is missing from the answer.
    """
    found: dict[Place, bytes] = {}
    leaves = [position for level, position in places if level == 0]
    if leaves:
        rows = session.core.execute(_LEAVES_AT, {"trial": trial_id, "seqs": leaves})
        found.update({(0, seq): bytes.fromhex(leaf) for seq, leaf in rows})
    for chunk in in_chunks([place for place in places if place[0] > 0]):
        facts = {"trial": trial_id, **facts_of(chunk)}
        nodes = _nodes_at(len(chunk)).run(session, facts)
        found.update({(level, position): node for level, position, node in nodes})
    return found


def replace_log_nodes(session: Reading, trial_id: str, nodes: Sequence[NodeRow]) -> None:
    """Put these in the place of all nodes of a log: they are derived, and can be made anew."""
    session.core.execute(delete(_nodes).where(_nodes.c.trial_id == trial_id))
    _add_nodes(session, trial_id, nodes)


def _chunks() -> Iterator[int]:
    most = _FIRST_CHUNK
    while True:
        yield most
        most = min(2 * most, _CHUNK)


def _read_head(session: Reading, trial_id: str, locked: bool) -> HeadRow:
    row = (_HEAD_LOCKED if locked else _HEAD).find(session, {"trial": trial_id})
    if row is None:
        raise UnknownRecordError(what="log of a trial", name=trial_id)
    return HeadRow(*row)


def _add_nodes(session: Reading, trial_id: str, nodes: Sequence[NodeRow]) -> None:
    if len(nodes) < _FEW:
        for row in nodes:
            _ADD_NODE.run(session, {"trial_id": trial_id, **row._asdict()})
        return
    for start in range(0, len(nodes), _CHUNK):
        rows = nodes[start : start + _CHUNK]
        session.core.execute(_ADD_NODES, [{"trial_id": trial_id, **row._asdict()} for row in rows])
