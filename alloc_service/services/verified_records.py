"""Stored records against the log: slots spent, enrolments, roles, and the forks of recoveries.

What is found is a text, of the first thing that is wrong, or None.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from alloc_service.core.canon import canon, parse_object
from alloc_service.errors import DefinitionChangedError, RefusalError
from alloc_service.log.entry import Entry, parse_time
from alloc_service.services import records, recovery
from alloc_service.services.claims import Claims
from alloc_service.storage import rows
from alloc_service.storage.models import Enrolment
from alloc_service.storage.queries import row_of
from alloc_service.storage.transactions import Reading

_DRAFT = ("answers", "consent", "facts")


@dataclass(frozen=True, slots=True)
class StoredRecords:
    """The rows of one trial beside its lists and its log, and what the log claims of them.

    Attributes:
        session: A read; everything is of its one state.
        trial_id: Whose rows.
        claims: What the log says.
    """

    session: Reading
    trial_id: str
    claims: Claims

    def find_assignment_fault(self) -> str | None:
        """Return where the assignments are more, fewer or others than the log's."""
        logged = {entry.seq: _assignment(self.trial_id, entry) for entry in self.claims.assigned}
        for row in self._read("assignment"):
            wanted = logged.pop(row["entry_seq"], None)
            if wanted is None:
                return f"an assignment names entry {row['entry_seq']}, which assigned it no slot"
            for name, value in wanted.items():
                if row[name] != value:
                    return f"the assignment of entry {row['entry_seq']} has another {name}"
        for seq in logged:
            return f"the assignment of entry {seq} is not stored"
        return None

    def find_enrolment_fault(self) -> str | None:
        """Return which record is lost, or is not the one that the log names."""
        stored = {str(row["id"]): row for row in self._read("enrolment")}
        trial = next(rows.read_rows(self.session, "trial", id=self.trial_id), {})
        definition = str(trial.get("definition_sha256", ""))  # itself compared elsewhere
        for enrolment, claim in self.claims.records.items():
            if fault := _compare_record(stored.get(enrolment), claim.sha256, definition):
                return (
                    f"the record of enrolment {enrolment}, which entry {claim.seq} names, {fault}"
                )
        return None

    def find_fork_fault(self) -> str | None:
        """Return which replaced history is not kept as its recovery left it."""
        kept = {row["fork"]: row["fork_sha256"] for row in self._read("fork")}
        for fork, sha256 in kept.items():
            entries = [row["data"] for row in self._read("fork_entry", fork=fork)]
            if recovery.hash_fork(entries) != sha256:
                return f"the entries of fork {fork} are not those that its recovery moved aside"
        for seq, sha256 in self.claims.forks.items():
            if sha256 not in kept.values():
                return f"the fork that entry {seq} names is not kept"
        return None

    def find_role_fault(self, entries: Iterable[Entry]) -> str | None:
        """Return which role somebody holds in the trial that no entry granted, or that ended."""
        granted = _granted(entries)
        people = {  # a disabled account opens nothing, whatever role it holds
            row["id"]: row["person_id"]
            for row in rows.read_rows(self.session, "account")
            if row["disabled_at"] is None
        }
        for row in rows.read_rows(self.session, "role_grant"):
            person = people.get(row["account_id"])
            here = row["trial_id"] in {self.trial_id, None} and row["ended_at"] is None
            if here and person and (person, row["role"], row["site"] or "") not in granted:
                return f"the role {row['role']} of {person} was granted by no entry, or has ended"
        return None

    def _read(self, table: str, **of: object) -> Iterator[rows.Values]:
        return rows.read_rows(self.session, table, trial_id=self.trial_id, **of)


def _assignment(trial_id: str, entry: Entry) -> rows.Values:
    return {
        "trial_id": trial_id,
        "enrolment_id": UUID(entry.body["enrolment"]),
        "list_number": entry.body["list"],
        "stratum": entry.body["stratum"],
        "slot": entry.body["slot"],
        "leaf": entry.body["leaf"],
        "assigned_at": parse_time(entry.time),
    }


def _compare_record(row: rows.Values | None, sha256: str, definition: str) -> str | None:
    if row is None or row["record"] is None:
        return "is lost: `alloc restore-enrolment` enters it again"
    try:
        records.require_same_record(row_of(Enrolment(**row)), sha256, definition)
    except DefinitionChangedError:
        if definition:
            return "was signed under another definition of the trial than the stored one"
    except RefusalError:
        return "is another one, or stands under another number"
    if _draft_of(row["record"]) != row["draft"]:
        return "has another draft beside it than it was signed for"
    return None


def _draft_of(record: bytes) -> bytes:
    document = parse_object(record, "enrolment record")
    return canon({name: document.get(name) for name in _DRAFT})


def _granted(entries: Iterable[Entry]) -> set[tuple[str, str, str]]:
    held: set[tuple[str, str, str]] = set()
    for entry in entries:
        if entry.type in {"grant.added", "grant.ended"}:
            grant = entry.body["subject"], entry.body["role"], entry.body["site"]
            (held.add if entry.type == "grant.added" else held.discard)(grant)
    return held
