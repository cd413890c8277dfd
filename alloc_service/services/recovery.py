"""Recovery: the log is given back from the sealer's anchor, and what replaced it is kept.

It is run on the sealer's host, by two people. One transaction moves the fork's entries and
assignments aside, gives the anchor's entries back verbatim, rebuilds the assignments and
appends `log.recovered`; the sealer follows that entry, and only then is the freeze cleared. A
crash in between leaves the trial frozen, and recovery is run again. It is the one place that
takes the append-only triggers off, and it puts them back inside that transaction.
"""

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from alloc_service.core.canon import Json
from alloc_service.core.merkle import Frontier
from alloc_service.errors import (
    AnchorMissingError,
    LogDamagedError,
    NotRestorableError,
    RefusalError,
    SecondPersonError,
    UnknownRecordError,
)
from alloc_service.log.entry import Entry, format_time, read_entry, write_entry
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, enrolments, records, witnessed
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries, triggers
from alloc_service.storage.models import Enrolment
from alloc_service.storage.transactions import Transaction


@dataclass(frozen=True, slots=True)
class TwoPeople:
    """Two different people who do this together.

    Raises:
        SecondPersonError: They are one person.
    """

    first: Person
    second: Person

    def __post_init__(self) -> None:
        if self.first.id == self.second.id:
            raise SecondPersonError


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery found and did.

    Attributes:
        given_back: Entries that the database had lost, and has again.
        forked: Entries that were moved aside as evidence.
        retired: Lists that assign nothing more.
        without_record: Allocated enrolments whose record is lost, or is the fork's; they are
            entered again.
    """

    given_back: int
    forked: int
    retired: tuple[int, ...]
    without_record: tuple[str, ...]


def recover(
    deps: Deps,
    people: TwoPeople,
    trial_id: str,
    retired: Sequence[int] = (),
    seen: Sequence[str] = (),
) -> Recovery:
    """Give the anchor's log back to the database, and end the freeze.

    Args:
        deps: The service's, on the sealer's host.
        people: Two people, each with a role for it.
        trial_id: Whose log.
        retired: Lists to retire, because their blobs are lost; after a lost anchor all are.
        seen: Notes of this log that witnesses gave as files.

    Raises:
        NotAllowedError: One of them has no role for it.
        WitnessAheadError: A witness has seen more than would be given back, or another log.
        WitnessUnheardError: Too few witnesses say what they have seen.
        LogDamagedError: The anchor is lost, and the stored log does not fold either.
    """
    origin = audit.origin_of(deps.host, trial_id)
    try:
        followed: list[bytes] | None = deps.sealer.followed(origin)
    except AnchorMissingError:
        followed = None
    _require_seen_no_further(deps, people, trial_id, followed, seen)
    with deps.database.write() as tx:
        tx.on_end(deps.logs.of(trial_id).forget)
        queries.lock_log_head(tx, trial_id)
        body = _signed_by(tx, people, trial_id)
        stored = list(queries.read_entries(tx, trial_id))
        good = [row.data for row in stored] if followed is None else followed
        state, entries = _fold_all(good)
        lists = tuple(sorted(state.lists if followed is None else set(retired)))
        fork_from = _first_difference(stored, entries)
        fork = [row.data for row in stored[fork_from:]]
        body |= {"retired": list(lists), "fork_sha256": hash_fork(fork)}
        last = _recovered(deps, state, body)
        _move_aside(deps, tx, trial_id, fork_from, fork)
        _rebuild(tx, trial_id, fork_from, [*entries, last])
    shown = [entry.data for entry in (*entries, last)]
    deps.sealer.resume(origin, shown if followed is None else shown[-2:])
    _log_rollback(deps, people.first, trial_id, expected=len(good), found=fork_from)
    lost = find_without_record(deps, trial_id)
    return Recovery(len(good) - fork_from, len(fork), lists, lost)


def _require_seen_no_further(
    deps: Deps,
    people: TwoPeople,
    trial_id: str,
    followed: Sequence[bytes] | None,
    seen: Sequence[str],
) -> None:
    """Ask the witnesses before anything is locked; a recovery never goes below what they saw."""
    with deps.database.read() as session:
        for person in (people.first, people.second):
            accounts.require(session, person, Action.RECOVER, trial_id)
        stored = [row.data for row in queries.read_entries(session, trial_id)]
    good = stored if followed is None else followed
    policy = _fold_all(good)[0].policy
    witnessed.require_no_further(deps, trial_id, policy, good, seen)


def find_without_record(deps: Deps, trial_id: str) -> tuple[str, ...]:
    """Return the allocated enrolments whose logged record is not in the database."""
    with deps.database.read() as session:
        logged = audit.read_state(session, trial_id).enrolment_sha256
        return tuple(
            enrolment
            for enrolment, sha256 in logged.items()
            if not _holds(queries.find_enrolment(session, UUID(enrolment)), sha256)
        )


def restore_enrolment(
    deps: Deps,
    people: TwoPeople,
    trial_id: str,
    enrolment_id: UUID,
    *,
    site: str,
    typed: enrolments.Typed,
) -> Entry:
    """Enter an allocated enrolment again whose record a restore has lost.

    The slot stays what it was; the record is as it is typed now, and its new hash counts.

    Args:
        deps: The service's.
        people: A physician of the site, and somebody with a role for recovery.
        trial_id: Whose enrolment.
        enrolment_id: As the log names it.
        site: The site's code.
        typed: What the site's own papers say.

    Raises:
        NotRestorableError: It has a record, was never allocated, or is another participant's:
            of another site, or of another stratum than the slot's.
        NotAllowedError: One of them has no role for it.
    """
    person = people.first
    with audit.writing(deps, trial_id) as tx:
        actor = accounts.require(tx, person, Action.ENROL, trial_id, site)
        witness = accounts.require(tx, people.second, Action.RECOVER, trial_id)
        row = _lock_row(deps, tx, enrolment_id, trial_id)
        log = audit.open_log(deps, tx, trial_id)
        _require_without_record(row, log.state, site)
        definition = enrolments.definition_of(tx, trial_id)
        row.site, row.participant, row.created_by = site, typed.participant, person.account
        row.draft = enrolments.write_draft(definition, site, typed)
        draft = enrolments.read_draft(definition, queries.row_of(row))
        now = deps.clock()
        stratum = draft.require_verified(definition, now, now)
        if stratum.code != definition.strata[log.state.assigned[str(enrolment_id)].stratum]:
            rule = "what was typed gives another stratum than the one whose slot it spent"
            raise NotRestorableError(enrolment=enrolment_id, rule=rule)
        signature: dict[str, Json] = {
            "meaning": "Entered again after a recovery.",
            "name": person.name,
            "person": person.id,
            "role": actor.role,
            "time": format_time(now),
        }
        row.record = draft.to_record(definition, stratum, signature)
        tx.add(row)
        body: dict[str, Json] = {
            "enrolment": str(enrolment_id),
            "enrolment_sha256": records.hash_record(row.record),
            "second": witness.to_body(),
        }
        return log.append("enrolment.restored", actor, body)


def _lock_row(deps: Deps, tx: Transaction, enrolment_id: UUID, trial_id: str) -> Enrolment:
    """Return an enrolment's row, locked, or a new one in the place of one that is lost."""
    with contextlib.suppress(UnknownRecordError):
        queries.lock_enrolment(tx, enrolment_id)
    return queries.find_enrolment(tx, enrolment_id) or Enrolment(
        id=enrolment_id, trial_id=trial_id, record=None, created_at=deps.clock()
    )


def _require_without_record(row: Enrolment, state: LogState, site: str) -> None:
    sha256 = state.enrolment_sha256.get(str(row.id))
    if sha256 is None:
        raise NotRestorableError(enrolment=row.id, rule="it was never allocated")
    if _holds(row, sha256):
        raise NotRestorableError(enrolment=row.id, rule="its record is there")
    if row.site not in {None, site}:
        raise NotRestorableError(enrolment=row.id, rule="it was enrolled at another site")


def _holds(row: Enrolment | None, sha256: str) -> bool:
    """Tell whether a row's record is the logged one; a fork leaves records of its own."""
    return row is not None and row.record is not None and records.hash_record(row.record) == sha256


def _fold_all(log: Sequence[bytes]) -> tuple[LogState, list[Entry]]:
    state = LogState()
    entries = []
    for data in log:
        try:
            entry = read_entry(data)
            fold(state, entry)
        except RefusalError as error:
            raise LogDamagedError(seq=state.size, rule=error) from None
        entries.append(entry)
    return state, entries


def _first_difference(stored: Sequence[queries.EntryRow], good: Sequence[Entry]) -> int:
    """Return the first seq whose row is not the entry's, in its bytes or in a column beside."""
    for seq, (row, entry) in enumerate(zip(stored, good, strict=False)):
        if row != _row_of(entry):
            return seq
    return min(len(stored), len(good))


def _row_of(entry: Entry) -> queries.EntryRow:
    return queries.EntryRow(entry.seq, entry.prev, entry.leaf, entry.data)


def _signed_by(tx: Transaction, people: TwoPeople, trial_id: str) -> dict[str, Json]:
    first = accounts.require(tx, people.first, Action.RECOVER, trial_id)
    second = accounts.require(tx, people.second, Action.RECOVER, trial_id)
    return {"actor": first.to_body(), "second": second.to_body()}


def _recovered(deps: Deps, state: LogState, body: Mapping[str, Json]) -> Entry:
    time = max(format_time(deps.clock()), state.time)
    full = {**body, "upto": state.size - 1}
    entry = write_entry(state.size, state.last, time, "log.recovered", full)
    fold(state, entry)
    return entry


def hash_fork(fork: Sequence[bytes]) -> str:
    """Return SHA-256 of the fork's entries, each followed by LF; "" where there is no fork."""
    return hashlib.sha256(b"".join(data + b"\n" for data in fork)).hexdigest() if fork else ""


def _move_aside(
    deps: Deps, tx: Transaction, trial_id: str, fork_from: int, fork: Sequence[bytes]
) -> None:
    with triggers.lifted(tx.connection()):
        queries.move_to_fork(tx, trial_id, fork_from, hash_fork(fork), deps.clock())
        queries.remove_assignments(tx, trial_id)


def _rebuild(tx: Transaction, trial_id: str, first: int, entries: Sequence[Entry]) -> None:
    """Give entries, nodes and assignments back, under the triggers again."""
    queries.append_entries(tx, trial_id, [_row_of(entry) for entry in entries[first:]], [])
    tree = Frontier()
    nodes = [node for item in entries for node in tree.grow(bytes.fromhex(item.leaf))]
    queries.replace_log_nodes(tx, trial_id, [queries.NodeRow(*node) for node in nodes])
    for item in entries:
        if item.type == "slot.assigned":
            queries.add_assignment(tx, enrolments.assignment_of(trial_id, item))


def _log_rollback(deps: Deps, person: Person, trial_id: str, *, expected: int, found: int) -> None:
    if expected == found:
        return
    with audit.writing(deps, trial_id) as tx:
        actor = accounts.require(tx, person, Action.RECOVER, trial_id)
        body: dict[str, Json] = {"expected": expected, "found": found}
        audit.open_log(deps, tx, trial_id).append("rollback.detected", actor, body)
