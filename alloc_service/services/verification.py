"""Verification: whether what is stored is what was logged, one check after the other.

Triggers keep the program from changing a row; whoever owns the database can take them off. So a
verifier believes no row: it reads the bytes of the log, and compares everything else with them and
with the sealer's anchor. Each check stands alone, so that one that fails hides no other, and names
the first entry or row that is wrong. What cannot be checked, for it is not there or because no
hash of it was ever logged, is said as well.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import RefusalError, UnknownRecordError, VerificationError
from alloc_service.log.entry import Entry, read_entry
from alloc_service.log.note import Verifier
from alloc_service.log.rotation import KeyFrom, follow_keys, key_of, open_of_its_time
from alloc_service.log.verify import read_ndjson, verify_log
from alloc_service.services import audit
from alloc_service.services.claims import read_claims
from alloc_service.services.deps import Deps
from alloc_service.services.verified_cosignatures import attach_cosignatures, witnesses_of
from alloc_service.services.verified_lists import StoredLists, find_wrong_node
from alloc_service.services.verified_records import StoredRecords
from alloc_service.storage import rows, triggers
from alloc_service.storage.transactions import Reading

UNLOGGED = (
    "Sealed designs, the escrow's files, drafts that were never allocated, passwords and the texts "
    "of reasons were not compared with anything: no hash of them is in the log."
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: What, in a word or two.
        ok: Whether it is as it must be.
        detail: What was found; where it is wrong, the first entry or row that is.
    """

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What a verification found.

    Attributes:
        origin: Whose log.
        checks: Each independent of the others.
        unchecked: What was not there to check, a sentence each.
    """

    origin: str
    checks: tuple[Check, ...]
    unchecked: tuple[str, ...]

    @property
    def faults(self) -> tuple[Check, ...]:
        """Return the checks that failed."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def ok(self) -> bool:
        """Tell whether every check passed; what must not go on otherwise calls `require`."""
        return not self.faults

    def require(self) -> None:
        """Refuse to go on where a check failed.

        Raises:
            VerificationError: The text names the first of them.
        """
        for check in self.faults:
            raise VerificationError(origin=self.origin, check=check.name, detail=check.detail)


def verify(deps: Deps, trial_id: str) -> VerificationReport:
    """Check a trial's stored log, and every row that the log speaks of.

    Nothing is changed and nothing is locked; one state of the database is read.

    Raises:
        UnknownRecordError: Nothing of such a trial is stored.
        DatabaseError: The database cannot be read.
    """
    # The anchor first: a log that grows meanwhile is only longer than what was followed.
    anchor = _ask_sealer(deps, audit.origin_of(deps.host, trial_id))
    with deps.database.read() as session:
        return _StoredTrial(deps, session, trial_id).verify(anchor)


def verify_export(entries: bytes, checkpoint: str, log_key: Verifier) -> VerificationReport:
    """Check an exported log without any database.

    Args:
        entries: The file `entries.ndjson`.
        checkpoint: The signed note beside it.
        log_key: The log's public key, from a source other than these files.
    """
    lines, torn = _collect(read_ndjson(entries))
    read = [entry for line in lines for entry in _try_read(line)]
    keys, bad_key = _follow_keys(read, log_key)
    opened, bad_note = _open_notes([(None, checkpoint)], keys)
    size = opened[0][0] if opened else len(lines)
    key = key_of(size, keys).key
    log, unchecked = _verify_log(lines, [note for _, note in opened], key)
    checks = (
        _check("file", f"{len(lines)} lines", lambda: torn),
        _check("checkpoint", "it is signed by the log's key", lambda: bad_key or bad_note),
        log,
    )
    return VerificationReport(log_key.name, checks, unchecked)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What the sealer says of a log: why it does not work, and what it has followed.

    Attributes:
        fault: Why it does not work, if it does not.
        followed: The entries of its anchor; none where the anchor is another process's.
        end: Size and last leaf of what it has followed.
    """

    fault: str | None
    followed: Sequence[bytes]
    end: tuple[int, str] = (0, "")


class _StoredTrial:
    """One trial as it is stored, in one state of the database."""

    def __init__(self, deps: Deps, session: Reading, trial_id: str) -> None:
        self._deps = deps
        self._session = session
        self._trial_id = trial_id
        self._origin = audit.origin_of(deps.host, trial_id)
        self._rows, self._unread = _collect(self._read("log_entry"))
        self._entries = [entry for row in self._rows for entry in _try_read(row["data"])]
        self._claims = read_claims(self._entries)

    def verify(self, anchor: _Anchor) -> VerificationReport:
        """Make every check.

        Raises:
            UnknownRecordError: Nothing of such a trial is stored.
        """
        self._require_something()
        log, unchecked = self._check_log()
        lists, unopened = self._check_lists()
        told = f"its {anchor.end[0]} entries begin the log"
        checks = (
            _check("trial", "its definition has its hash", self._find_trial_fault),
            _check("guards", "the append-only triggers are on", self._find_guard_fault),
            *log,
            _check("tree", "head and nodes are the entries'", self._find_tree_fault),
            _check("sealer", told, lambda: anchor.fault or self._compare(anchor)),
            *lists,
            *self._check_records(),
        )
        return VerificationReport(self._origin, checks, (*unchecked, *unopened, UNLOGGED))

    def _require_something(self) -> None:
        if not self._rows and next(self._read("log_head"), None) is None:
            raise UnknownRecordError(what="log of a trial", name=self._trial_id)

    def _check_log(self) -> tuple[list[Check], tuple[str, ...]]:
        keys, bad_key = _follow_keys(self._entries, self._deps.sealer.log_key(self._origin))
        stored, unread = _collect(self._read("checkpoint"))
        opened, bad_note = _open_notes([(row["size"], row["note"]) for row in stored], keys)
        last, witnesses = witnesses_of(self._entries)
        cosigned = attach_cosignatures(opened, self._read("cosignature"), keys, witnesses)
        since, newest = keys[-1]
        notes = [note for size, note in cosigned.notes.items() if size >= since]
        log, unchecked = _verify_log([row["data"] for row in self._rows], notes, newest, last)
        older = [note for size, note in cosigned.notes.items() if size < since]
        bad_note = bad_key or bad_note or self._find_older_fault(older, keys)
        told = f"{len(self._rows)} are what their bytes say"
        checks = [
            _check("entries", told, self._find_row_fault),
            log,
            _check("checkpoints", f"{len(opened)} are signed", lambda: bad_note or unread),
        ]
        if witnesses or cosigned.fault:
            told = f"{cosigned.good} are of the log's witnesses"
            checks.append(_check("cosignatures", told, lambda: cosigned.fault))
        return checks, unchecked

    def _find_older_fault(self, notes: Iterable[str], keys: Sequence[KeyFrom]) -> str | None:
        """Compare the checkpoints of keys that the log has left behind with the entries."""
        leaves = [leaf_hash(row["data"]) for row in self._rows]
        for note in notes:
            found = open_of_its_time(note, keys)
            if root_of(leaves[: found.size]) != found.root:
                return f"the checkpoint of size {found.size} is of another log than is stored"
        return None

    def _check_lists(self) -> tuple[list[Check], list[str]]:
        stored = StoredLists(
            self._session, self._deps.sealer, self._origin, self._trial_id, self._claims
        )
        numbers, unread = _collect(stored.numbers())
        checks = [
            _check(f"list {number}", "it is the logged one", partial(stored.find_fault, number))
            for number in sorted({*numbers, *self._claims.lists})
        ]
        told = f"{len(checks)} are stored or logged"
        return [_check("lists", told, lambda: unread), *checks], stored.unchecked

    def _check_records(self) -> Iterator[Check]:
        claims = self._claims
        records = StoredRecords(self._session, self._trial_id, claims)
        told = f"{len(claims.assigned)} are the logged ones"
        yield _check("assignments", told, records.find_assignment_fault)
        told = f"{len(claims.records)} allocated records are the logged ones"
        yield _check("enrolments", told, records.find_enrolment_fault)
        roles = partial(records.find_role_fault, self._entries)
        yield _check("roles", "all are granted", roles)
        yield _check("forks", f"{len(claims.forks)} are kept", records.find_fork_fault)

    def _find_trial_fault(self) -> str | None:
        row = next(rows.read_rows(self._session, "trial", id=self._trial_id), None)
        if row is None:
            return "the trial itself is not stored"
        if row["origin"] != self._origin:
            return "its origin is of another log"
        if row["definition_sha256"] != hashlib.sha256(row["definition"]).hexdigest():
            return "its definition is not the one that was stored"
        return None

    def _find_guard_fault(self) -> str | None:
        for name in triggers.find_missing(self._session.connection()):
            return f"the trigger {name} is not on; `alloc sealer recover` puts it back"
        return None

    def _find_row_fault(self) -> str | None:
        for seq, row in enumerate(self._rows):
            if row["seq"] != seq:
                return f"entry {seq} is not stored"
            try:
                entry = read_entry(row["data"])
            except RefusalError as error:
                return f"entry {seq} cannot be read: {error}"
            for name in ("seq", "prev", "leaf"):
                if getattr(entry, name) != row[name]:
                    return f"entry {seq} is stored with another {name} than its bytes have"
        return self._unread

    def _find_tree_fault(self) -> str | None:
        leaves = [leaf_hash(row["data"]) for row in self._rows]
        last = leaves[-1].hex() if leaves else ""
        head = next(self._read("log_head"), {"size": -1, "last_leaf": ""})
        if (head["size"], head["last_leaf"]) != (len(leaves), last):
            return f"the head is not that of the {len(leaves)} entries that are stored"
        wrong = find_wrong_node(self._read("log_node"), leaves)
        return None if wrong is None else f"the log's tree: {wrong}"

    def _compare(self, anchor: _Anchor) -> str | None:
        size, last = anchor.end
        if not anchor.followed and size:  # the chain of `prev` makes the last leaf speak for all
            if size > len(self._rows):
                return f"entry {len(self._rows)} is not stored, and the sealer has followed it"
            if leaf_hash(self._rows[size - 1]["data"]).hex() != last:
                return f"entry {size - 1} is not the one that the sealer has followed"
        for seq, data in enumerate(anchor.followed):
            if seq >= len(self._rows):
                return f"entry {seq} is not stored, and the sealer has followed it"
            if data != self._rows[seq]["data"]:
                return f"entry {seq} is not the one that the sealer has followed"
        return None

    def _read(self, table: str) -> Iterator[rows.Values]:
        return rows.read_rows(self._session, table, trial_id=self._trial_id)


def _ask_sealer(deps: Deps, origin: str) -> _Anchor:
    fault: str | None = None
    try:
        status = deps.sealer.status(origin)
        fault = f"it is blocked: {status.blocked}" if status.blocked else None
        fault = f"it is frozen: {status.frozen}" if status.frozen else fault
        followed = deps.sealer.followed(origin) if deps.sealer.holds_keys else ()
        return _Anchor(fault, followed, (status.size, status.last))
    except RefusalError as error:
        return _Anchor(fault or str(error), ())


def _check(name: str, told: str, find: Callable[[], str | None]) -> Check:
    """Return a check that fails with the fault that is found, or the refusal on the way to it."""
    try:
        fault = find()
    except RefusalError as error:
        fault = str(error)
    return Check(name, fault is None, told if fault is None else fault)


def _verify_log(
    entries: Iterable[bytes],
    notes: Iterable[str],
    key: Verifier,
    witnesses: Sequence[Verifier] = (),
) -> tuple[Check, tuple[str, ...]]:
    try:
        log = verify_log(entries, notes, key, witnesses)
    except RefusalError as error:
        return Check("log", False, str(error)), ()
    told = f"{log.size} entries keep the rules, {log.checkpoints_checked} checkpoints agree"
    return Check("log", True, told), log.unchecked


def _follow_keys(
    entries: Iterable[Entry], known: Verifier
) -> tuple[tuple[KeyFrom, ...], str | None]:
    """Return a log's keys, or the one that is known and why the log does not lead to others."""
    try:
        return follow_keys(entries, known), None
    except RefusalError as error:
        return (KeyFrom(1, known),), str(error)


def _open_notes(
    stored: Iterable[tuple[int | None, str]], keys: Sequence[KeyFrom]
) -> tuple[list[tuple[int, str]], str | None]:
    """Return the notes that the log's keys have signed, and the first other one's fault."""
    good: list[tuple[int, str]] = []
    faults = []
    for size, note in stored:
        which = "the checkpoint" if size is None else f"the checkpoint of size {size}"
        try:
            found = open_of_its_time(note, keys).size
        except RefusalError as error:
            faults.append(f"{which}: {error}")
            continue
        if size in {None, found}:
            good.append((found, note))
        else:
            faults.append(f"{which} is of size {found}")
    return good, faults[0] if faults else None


Item = TypeVar("Item")


def _collect(items: Iterator[Item]) -> tuple[list[Item], str | None]:
    """Return items up to the first that is refused, and that refusal's text, if there is one."""
    found: list[Item] = []
    try:
        for item in items:
            found.append(item)
    except RefusalError as error:
        return found, str(error)
    return found, None


def _try_read(data: bytes) -> Iterator[Entry]:
    try:
        yield read_entry(data)
    except RefusalError:
        return
