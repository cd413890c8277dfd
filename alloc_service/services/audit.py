"""The audit log as the use-cases see it: append inside a transaction, follow after its commit.

An append locks the log's head, compares the folded log with it, asks the sealer whether it is
well and whether its anchor is a prefix of this log, and folds the entry before it is stored.
While the sealer is frozen, blocked or unable to write, nothing is appended. After every commit
the entries are read back from the database and followed; no transaction is open meanwhile.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from alloc_service.core.canon import Json
from alloc_service.core.merkle import leaf_hash
from alloc_service.errors import (
    BlockedError,
    ClockError,
    FrozenError,
    InputError,
    IntegrityError,
    LogDamagedError,
    NotFollowedError,
    RefusalError,
    SealerUnwritableError,
)
from alloc_service.log.entry import Entry, format_time, parse_time, read_entry, write_entry
from alloc_service.log.note import Checkpoint
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from alloc_service.sealing.sealer import Status
from alloc_service.services.deps import Deps, FoldedLog, SignedCheckpoint
from alloc_service.services.names import check_trial_id
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading, Transaction
from alloc_service.trial.consent import require_zone

Kept = TypeVar("Kept")

PATIENCE_WITH_CLOCK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class LoggedActor:
    """Who acts, as a body of the log names them."""

    id: str
    org: str
    role: str

    def to_body(self) -> dict[str, Json]:
        """Return the JSON of the field `actor` or `second`."""
        return {"id": self.id, "org": self.org, "role": self.role}


class OpenLog:
    """A trial's log, locked and ready for an append, until its transaction ends.

    Attributes:
        state: What the log means so far; read it, and change it through `append` alone.
        last_path: The audit path of the entry appended last, in the log that ends with it.
    """

    def __init__(self, deps: Deps, tx: Transaction, trial_id: str, folded: FoldedLog) -> None:
        self._deps = deps
        self._tx = tx
        self._trial_id = trial_id
        self._folded = folded
        self._appended = False
        self._followed = 0
        self.last_path: tuple[bytes, ...] = ()

    @property
    def state(self) -> LogState:
        """Return what the log means so far."""
        return self._folded.state

    def keep(self, name: object, read: Callable[[], Kept]) -> Kept:
        """Return what never changes while this log goes on, read at the first asking alone."""
        if name not in self._folded.kept:
            self._folded.kept[name] = read()
        kept: Kept = self._folded.kept[name]
        return kept

    def append(self, type_: str, actor: LoggedActor, body: Mapping[str, Json]) -> Entry:
        """Fold and store one entry in this transaction.

        Raises:
            RuleError: The entry may not stand here; nothing has changed.
            ClockError: The last entry lies more than five minutes ahead of this machine.
        """
        now, last = _now(self._deps), self.state.time
        if last and parse_time(last) > now + PATIENCE_WITH_CLOCK:
            raise ClockError(last=last, now=format_time(now))
        return self._store(max(format_time(now), last), type_, actor, body)

    def committed(self) -> "Committed":
        """Return what will have been committed, once it was; for `follow`."""
        committed = Committed(self._trial_id, self._followed)
        self._tx.read_back(committed.read)
        return committed

    def correct_clock(self, actor: LoggedActor) -> Entry:
        """Step the log's time back to this machine's, by the one entry that may.

        Raises:
            RuleError: The log's time is not ahead, or the actor is no administrator.
        """
        now = format_time(_now(self._deps))
        body = {"from": self.state.time, "to": now}
        return self._store(now, "clock.corrected", actor, body)

    def _store(self, time: str, type_: str, actor: LoggedActor, body: Mapping[str, Json]) -> Entry:
        state = self._folded.state
        full = {**body, "actor": actor.to_body()}
        entry = write_entry(state.size, state.last, time, type_, full)
        self._appended = True
        fold(state, entry)
        self.last_path = tuple(self._folded.tree.next_path())
        nodes = self._folded.tree.grow(bytes.fromhex(entry.leaf))
        row = queries.EntryRow(entry.seq, entry.prev, entry.leaf, entry.data)
        added = [queries.NodeRow(*node) for node in nodes]
        queries.append_entries(self._tx, self._trial_id, [row], added)
        return entry

    def close(self) -> None:
        """Let the next one in; what was folded and not committed is forgotten first.

        A refusal that appended nothing costs no new fold of the whole log.
        """
        if self._appended and not self._tx.committed:
            self._folded.drop()
        self._folded.lock.release()


def origin_of(host: str, trial_id: str) -> str:
    """Return the name of a trial's log."""
    return f"{host}/{trial_id}/audit"


def open_log(deps: Deps, tx: Transaction, trial_id: str) -> OpenLog:
    """Lock a trial's log until the transaction ends, and make sure that it may grow.

    Args:
        deps: The service's.
        tx: A write transaction; an enrolment is locked before the log, never after.
        trial_id: Whose log.

    Raises:
        UnknownRecordError: There is no such trial.
        FrozenError: The sealer is frozen.
        BlockedError: The sealer follows nothing more.
        SealerUnwritableError: The sealer cannot write.
        NotFollowedError: The log is not a continuation of the sealer's anchor.
        LogDamagedError: The stored log does not fold.
    """
    check_trial_id(trial_id)
    head, last = queries.lock_log_end(tx, trial_id)
    folded = deps.logs.of(trial_id)
    folded.lock.acquire()
    log = OpenLog(deps, tx, trial_id, folded)
    tx.on_end(log.close)
    if not _is_end_of(folded, head, last):
        _catch_up(tx, trial_id, folded, head)
    status = deps.sealer.status(origin_of(deps.host, trial_id))
    require_well(tx, trial_id, head, status)
    log._followed = status.size
    if folded.checkpoint:
        queries.add_checkpoint(tx, trial_id, folded.checkpoint.size, folded.checkpoint.note)
    return log


@contextlib.contextmanager
def writing(deps: Deps, *trial_ids: str) -> Iterator[Transaction]:
    """Open a transaction that may append; after its commit, follow and keep the checkpoints.

    Several logs are named, and opened, in sorted order: two who wait for each other's lock
    would wait for ever. Where a log turns out to be no continuation of its anchor, it is shown
    to the sealer, so that the freeze comes from what the sealer itself has seen.
    """
    with contextlib.ExitStack() as stack:
        for trial_id in trial_ids:
            stack.enter_context(showing(deps, trial_id))
        yield stack.enter_context(deps.database.write())
    for trial_id in trial_ids:
        follow(deps, trial_id)
        store_checkpoint(deps, trial_id)


@contextlib.contextmanager
def showing(deps: Deps, trial_id: str) -> Iterator[None]:
    """Show the sealer a log that does not continue its anchor, or does not fold.

    The sealer's word goes before ours where it froze or blocked the trial, or cannot work; a
    log that it cannot read at all freezes nothing.
    """
    try:
        yield
    except (NotFollowedError, LogDamagedError) as error:
        raise ask_sealer(deps, trial_id, error) from None


def ask_sealer(deps: Deps, trial_id: str, refusal: RefusalError) -> RefusalError:
    """Return what the sealer says of a log that does not continue its anchor, or the refusal."""
    if isinstance(refusal, NotFollowedError | LogDamagedError):
        try:
            follow(deps, trial_id)
        except (InputError, IntegrityError):
            return refusal
        except RefusalError as error:
            return error
    return refusal


class Committed:
    """What was committed of a log, read back from the database; it waits to be followed.

    Attributes:
        since: How many entries the sealer had followed before.
        entries: From the last of those on; none where they could not be read yet.
    """

    def __init__(self, trial_id: str, since: int) -> None:
        self._trial_id = trial_id
        self.since = since
        self.entries: list[bytes] = []

    def read(self, session: Reading) -> None:
        """Read the entries, where they are few enough for one statement."""
        rows = queries.glance_at_entries(session, self._trial_id, self.since - 1)
        self.entries = [row.data for row in rows or ()]


def follow(
    deps: Deps, trial_id: str, committed: Committed | None = None, seen: Sequence[str] = ()
) -> SignedCheckpoint:
    """Read back what was committed and let the sealer follow it; no transaction is open.

    Args:
        deps: The service's.
        trial_id: Whose log.
        committed: What `OpenLog.committed` has read back already.
        seen: Checkpoints of this log that somebody outside holds, such as a witness.

    Returns:
        What the sealer signed; it waits to be stored.

    Raises:
        FrozenError: The log is shorter than the anchor, or contradicts it, or one that was seen is
            not of the anchor's log.
        BlockedError: The sealer refuses an entry.
        AnchorWriteError: The sealer's disk refused; nothing was followed.
    """
    if committed is not None and committed.entries:
        return _let_follow(deps, trial_id, committed.since, committed.entries, seen)
    since = deps.sealer.status(origin_of(deps.host, trial_id)).size
    return show_log(deps, trial_id, since, max(since - 1, 0), seen)


def read_state(
    session: Reading, trial_id: str, see: Callable[[Entry], object] | None = None
) -> LogState:
    """Return what the stored log means, folded from its beginning in this read.

    Args:
        session: A read.
        trial_id: Whose log.
        see: Is shown each entry once it is folded, for what the state does not keep.

    Raises:
        LogDamagedError: It does not fold.
    """
    folded = FoldedLog()
    _fold_rows(queries.read_entries(session, trial_id), folded, see)
    return folded.state


def store_checkpoint(deps: Deps, trial_id: str) -> None:
    """Store the last checkpoint that was signed in this process, if it is not stored yet.

    It does not wait for the disk: a loss of power loses no more than a process that ends before
    it comes here does, and the next one covers it.
    """
    folded = deps.logs.of(trial_id)
    # Whoever is at the log now signs a newer one, and leaves it or stores it here. Of many at
    # once one stores the newest, and looks again when it has.
    while (
        (pending := folded.checkpoint)
        and not folded.lock.locked()
        and folded.storing.acquire(blocking=False)
    ):
        try:
            with deps.database.jot() as tx:
                queries.add_checkpoint(tx, trial_id, pending.size, pending.note)
            folded.stored(pending)
        finally:
            folded.storing.release()


def show_log(
    deps: Deps, trial_id: str, since: int, first: int, seen: Sequence[str] = ()
) -> SignedCheckpoint:
    """Show the sealer the log from entry `first` on, as its continuation since a size it gave.

    Raises:
        RefusalError: As `follow`.
    """
    with deps.database.read() as session:
        entries = [row.data for row in queries.read_entries(session, trial_id, first)]
    return _let_follow(deps, trial_id, since, entries, seen)


def _let_follow(
    deps: Deps, trial_id: str, since: int, entries: Sequence[bytes], seen: Sequence[str]
) -> SignedCheckpoint:
    origin = origin_of(deps.host, trial_id)
    note = deps.sealer.follow(origin, since, entries, seen)
    checkpoint = Checkpoint.parse(note.partition("\n\n")[0] + "\n", origin)
    signed = SignedCheckpoint(checkpoint.size, note, checkpoint.root)
    deps.logs.of(trial_id).checkpoint = signed
    return signed


def _now(deps: Deps) -> datetime:
    now = deps.clock()
    require_zone(now, "clock")
    return now


def _is_end_of(folded: FoldedLog, head: queries.HeadRow, last: bytes | None) -> bool:
    """Tell whether the log has not changed since it was folded; its last entry is hashed again."""
    state = folded.state
    return (
        (state.size, state.last) == head
        and last is not None
        and leaf_hash(last).hex() == state.last
    )


def _catch_up(tx: Transaction, trial_id: str, folded: FoldedLog, head: queries.HeadRow) -> None:
    """Grow the folded log to the locked head; begin anew where it is of another history.

    The last entry that was folded is read again with the new ones: a restore may have put
    another history in its place, and somebody may have edited it.
    """
    rows = queries.read_entries(tx, trial_id, max(folded.state.size - 1, 0))
    if folded.state.size:
        last = next(rows, None)
        if last is None or leaf_hash(last.data).hex() != folded.state.last:
            folded.drop()
            rows = queries.read_entries(tx, trial_id)
    _fold_rows(rows, folded)
    if (folded.state.size, folded.state.last) != head:
        folded.drop()
        raise LogDamagedError(seq=head.size, rule="the head is not that of the stored entries.")


def _fold_rows(
    rows: Iterable[queries.EntryRow],
    folded: FoldedLog,
    see: Callable[[Entry], object] | None = None,
) -> None:
    for row in rows:
        try:
            entry = read_entry(row.data)
            fold(folded.state, entry)
        except RefusalError as error:
            folded.drop()
            raise LogDamagedError(seq=row.seq, rule=error) from None
        folded.tree.append(bytes.fromhex(entry.leaf))
        if see is not None:
            see(entry)


def require_well(session: Reading, trial_id: str, head: queries.HeadRow, status: Status) -> None:
    """Check that the sealer is well, and its anchor a prefix of the log with this head.

    Raises:
        FrozenError: The sealer is frozen.
        BlockedError: The sealer follows nothing more.
        SealerUnwritableError: The sealer cannot write.
        NotFollowedError: The log is not a continuation of the sealer's anchor.
    """
    if status.frozen:
        raise FrozenError(reason=status.frozen)
    if status.blocked:
        raise BlockedError(reason=status.blocked)
    if status.unwritable:
        raise SealerUnwritableError(reason=status.unwritable)
    if (status.size, status.last) == head:
        return
    seq = status.size - 1
    last = next(queries.read_entries(session, trial_id, seq), None) if seq >= 0 else None
    if last is None or leaf_hash(last.data).hex() != status.last:
        raise NotFollowedError(seq=max(seq, 0))
