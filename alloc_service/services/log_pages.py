"""The audit log a page at a time, newest first, and the proofs that one takes away of it.

A page reads back from the end and stops: at so many entries that are shown, or at so many that
were looked at. It neither reads nor folds the whole log, so it says nothing of the log being
whole; that is for a verification. An entry that cannot be read, or that is not the one whose hash
stands beside it, is shown as such and hides behind no filter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from alloc_service.core.canon import Json
from alloc_service.core.merkle import leaf_hash
from alloc_service.errors import RefusalError
from alloc_service.log.entry import Entry, read_entry
from alloc_service.permissions import Action
from alloc_service.services import accounts, cosigning, proofs, reports
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries

PAGE = 50
MOST_LOOKED_AT = 20_000

_UNLIKE_ITS_HASH = "The stored bytes of this entry are not those that its stored hash is of."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries somebody wants to see; what is left empty leaves nothing out.

    Attributes:
        type: Of the entry.
        person: Id of who acted, alone or as the second of two.
        first_day: In UTC, itself included.
        last_day: In UTC, itself included.
        before: Only entries below this number.
    """

    type: str = ""
    person: str = ""
    first_day: date | None = None
    last_day: date | None = None
    before: int | None = None

    def holds(self, entry: Entry) -> bool:
        """Tell whether an entry is wanted, wherever it stands."""
        day = entry.time[:10]
        second = entry.body.get("second", {})
        return (
            self.type in {"", entry.type}
            and self.person in {"", entry.actor_id, second.get("id", "")}
            and (self.first_day is None or self.first_day.isoformat() <= day)
            and (self.last_day is None or day <= self.last_day.isoformat())
        )


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry as somebody may see it.

    Attributes:
        seq: Its number.
        told: As `reports.read_log` gives it; none where it cannot be read.
        fault: What is wrong with it, a sentence, or "".
    """

    seq: int
    told: Mapping[str, Json] | None
    fault: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of the log.

    Attributes:
        entries: Newest first.
        whole: Whether the reader may read all of the log, and not only the own entries.
        older: Where to go on: below this number; none where nothing is older.
    """

    entries: tuple[ShownEntry, ...]
    whole: bool
    older: int | None


@dataclass(frozen=True, slots=True)
class ExactEntry:
    """One entry with what its hash is of.

    Attributes:
        shown: As on a page of the log.
        data: The stored bytes.
        leaf: HEX leaf hash, computed from these bytes.
    """

    shown: ShownEntry
    data: bytes
    leaf: str


def read_page(deps: Deps, person: Person, trial_id: str, wanted: Wanted) -> LogPage:
    """Return the newest entries that are wanted and that this person may read.

    Raises:
        NotAllowedError: The person has no role in the trial that reads its log.
    """
    found: list[ShownEntry] = []
    before = () if wanted.before is None else (wanted.before,)
    with deps.database.read() as session:
        whole = accounts.may(session, person, Action.READ_LOG, trial_id)
        if not whole:
            accounts.require_anywhere(session, person, Action.READ_OWN_ENTRIES, trial_id)
        rows = queries.read_entries_back(session, trial_id, *before)
        for looked_at, row in enumerate(rows, 1):
            shown = _show_to(None if whole else person, row, wanted)
            if shown is not None:
                found.append(shown)
            if row.seq and (len(found) == PAGE or looked_at == MOST_LOOKED_AT):
                return LogPage(tuple(found), whole, row.seq)
    return LogPage(tuple(found), whole, None)


def read_exact_entry(deps: Deps, person: Person, trial_id: str, seq: int) -> ExactEntry:
    """Return one entry with its exact bytes.

    Raises:
        NotAllowedError: The person may not read the whole log.
        UnknownRecordError: The log has no such entry.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_LOG, trial_id)
        row = queries.read_entry(session, trial_id, seq)
    entry, fault = _read(row)
    told = None if entry is None else reports.show_entry(entry)
    return ExactEntry(ShownEntry(seq, told, fault), row.data, leaf_hash(row.data).hex())


def read_checkpoint(deps: Deps, person: Person, trial_id: str) -> str:
    """Return a signed note of the log as it is now, and who cosigned it; it is kept with the log.

    Raises:
        NotAllowedError: The person may not read the whole log.
        FrozenError: The sealer signs nothing more.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_LOG, trial_id)
    signed = proofs.sign_log(deps, trial_id)
    with deps.database.read() as session:
        return cosigning.with_cosignatures(session, trial_id, signed)


def read_proof(deps: Deps, person: Person, trial_id: str, seq: int) -> str:
    """Return the receipt of one entry: its inclusion proof under a checkpoint signed now.

    Raises:
        NotAllowedError: The person may not read the whole log.
        UnknownRecordError: The log has no such entry.
        FrozenError: The sealer signs nothing more.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_LOG, trial_id)
        queries.read_entry(session, trial_id, seq)
    return proofs.prove_entry(deps, trial_id, seq)


def _show_to(site: Person | None, row: queries.EntryRow, wanted: Wanted) -> ShownEntry | None:
    """Return an entry as oversight sees it, or somebody of a site; None where it is not shown."""
    entry, fault = _read(row)
    if site is not None:
        if entry is None or entry.actor_id != site.id or not wanted.holds(entry):
            return None
        return ShownEntry(row.seq, reports.show_entry(entry, reports.HIDDEN_FROM_SITES), fault)
    if not fault and entry is not None and not wanted.holds(entry):
        return None
    return ShownEntry(row.seq, None if entry is None else reports.show_entry(entry), fault)


def _read(row: queries.EntryRow) -> tuple[Entry | None, str]:
    """Return what a row's bytes say, and what is wrong with them; both can be."""
    try:
        entry = read_entry(row.data)
    except RefusalError as error:
        return None, f"This entry cannot be read: {error}"
    same = (entry.seq, entry.prev, entry.leaf) == (row.seq, row.prev, row.leaf)
    return entry, "" if same else _UNLIKE_ITS_HASH
