"""Looks at many participants: totals without arms for the manager, counts by arm for the DMC.

Running counts per arm are what a guesser in an open trial needs. So they go to the data
monitoring committee and the statisticians alone, and each look is logged before it is shown.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from alloc_service.core.canon import Json
from alloc_service.errors import LogDamagedError
from alloc_service.log.entry import Entry, read_entry
from alloc_service.log.state import LogState
from alloc_service.permissions import Action
from alloc_service.sealing.sealer import SlotToOpen
from alloc_service.services import accounts, audit, enrolments, gate, names
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.services.slots import SealingTree
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading

HIDDEN_FROM_SITES = ("slot", "stratum", "list", "leaf")


@dataclass(frozen=True, slots=True)
class Totals:
    """How far a trial is, without an arm and without what is left of any list."""

    enrolled: int
    allocated: int
    cap: int
    by_site: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Participants by stratum code and arm code, and over time; hidden from reprs.

    Attributes:
        upto: The log's last entry that is counted.
        counts: By stratum and arm.
        by_month: By month of the allocation in UTC, YYYY-MM, and arm.
    """

    upto: int
    counts: Mapping[tuple[str, str], int] = field(repr=False)
    by_month: Mapping[tuple[str, str], int] = field(repr=False)


class _Allocated(NamedTuple):
    """An assignment that is to be counted: its month in UTC, and what is opened for it."""

    enrolment: str
    stratum: str
    month: str
    sealed: SlotToOpen


def count_totals(deps: Deps, person: Person, trial_id: str) -> Totals:
    """Return totals, for the trial manager and for oversight.

    Raises:
        NotAllowedError: The person has no role for it.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_TOTALS, trial_id)
        return total_of(session, trial_id, audit.read_state(session, trial_id))


def total_of(session: Reading, trial_id: str, state: LogState) -> Totals:
    """Return the totals of a trial whose log means this; who may know them was asked before."""
    rows = queries.list_enrolments(session, trial_id)
    # From the log: a row of an assignment that somebody removed would make a total too small.
    sites = Counter(row.site for row in rows if str(row.id) in state.assigned)
    return Totals(len(rows), len(state.assigned), state.cap, sites)


def count_arms(deps: Deps, person: Person, trial_id: str, purpose: str) -> ArmCounts:
    """Open every allocation made so far and count by arm, after the look is logged.

    Args:
        deps: The service's.
        person: A member of the DMC or a statistician.
        trial_id: Which trial.
        purpose: Purpose code, 1-64 of a-z 0-9 . -.

    Raises:
        LoggedFieldError: The purpose breaks its rule.
        NotAllowedError: The person has no role for it.
        LogDamagedError: The stored assignments are not those of the log.
        FrozenError: The trial is frozen.
        GateClosedError: The trial's witnesses have not confirmed the look.
    """
    names.check_logged_code(purpose, "purpose")
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.READ_ARMS, trial_id)
        body: dict[str, Json] = {"purpose": purpose, "upto": log.state.size - 1}
        entry = log.append("arms.read", actor, body)
        policy = gate.policy_at(log.state, entry.seq)
    cosigned = ""
    if policy is not None:
        cosigned = gate.pass_gate(deps, trial_id, policy, entry.seq).signed.note
    allocated = _read_allocated(deps, trial_id, entry.seq)
    origin = audit.origin_of(deps.host, trial_id)
    counts: Counter[tuple[str, str]] = Counter()
    by_month: Counter[tuple[str, str]] = Counter()
    for one in allocated:
        sealed = replace(one.sealed, cosigned=cosigned)
        arm = deps.sealer.open(origin, entry.seq, one.enrolment, sealed).opening.arm
        counts[one.stratum, arm] += 1
        by_month[one.month, arm] += 1
    return ArmCounts(entry.seq - 1, counts, by_month)


def read_log(deps: Deps, person: Person, trial_id: str) -> list[Mapping[str, Json]]:
    """Return the entries that a person may read, oldest first.

    Oversight reads all of them. Enrolling staff read their own, without list, stratum, slot
    and leaf: order within a stratum helps to find the ends of blocks.

    Raises:
        NotAllowedError: The person has no role in the trial that reads its log.
    """
    with deps.database.read() as session:
        whole = accounts.may(session, person, Action.READ_LOG, trial_id)
        if not whole:
            accounts.require_anywhere(session, person, Action.READ_OWN_ENTRIES, trial_id)
        entries = [read_entry(row.data) for row in queries.read_entries(session, trial_id)]
    if whole:
        return [show_entry(entry) for entry in entries]
    return [
        show_entry(entry, HIDDEN_FROM_SITES) for entry in entries if entry.actor_id == person.id
    ]


def show_entry(entry: Entry, hidden: tuple[str, ...] = ()) -> Mapping[str, Json]:
    """Return an entry as its readers are given it, without the fields that are hidden of them."""
    body = {name: value for name, value in entry.body.items() if name not in hidden}
    return {"seq": entry.seq, "time": entry.time, "type": entry.type, "body": body}


def export_log(deps: Deps, person: Person, trial_id: str) -> tuple[bytes, str]:
    """Return the whole log as NDJSON of its exact bytes and its checkpoint, and log that.

    Raises:
        NotAllowedError: The person may not read the whole log.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.READ_LOG, trial_id)
        log.append("log.exported", actor, {"upto": log.state.size - 1})
    signed = audit.follow(deps, trial_id)
    with deps.database.read() as session:
        rows = islice(queries.read_entries(session, trial_id), signed.size)
        entries = b"".join(row.data + b"\n" for row in rows)
    return entries, signed.note


def _read_allocated(deps: Deps, trial_id: str, until: int) -> list[_Allocated]:
    """Return each assignment before an entry, with what is opened for it."""
    found = []
    months: dict[int, str] = {}  # from the log: nothing vouches for the time of a stored row

    def keep_month(entry: Entry) -> None:
        if entry.type == "slot.assigned":
            months[entry.seq] = entry.time[:7]

    with deps.database.read() as session:
        state = audit.read_state(session, trial_id, keep_month)
        _require_same_assignments(session, trial_id, state)
        strata = enrolments.definition_of(session, trial_id).strata
        sealed_lists = [number for number, known in state.lists.items() if known.root]
        trees = {
            number: SealingTree(trial_id, number, state.lists[number]) for number in sealed_lists
        }
        early = {name: at for name, at in state.assigned.items() if at.seq < until}
        for enrolment, at in early.items():
            _leaf, sealed = trees[at.list].read_slot(session, (at.stratum, at.slot))
            found.append(_Allocated(enrolment, strata[at.stratum], months[at.seq], sealed))
    return found


def _require_same_assignments(session: Reading, trial_id: str, state: LogState) -> None:
    # A row that somebody removed or moved would make a count wrong without a word.
    told = {UUID(enrolment): tuple(at) for enrolment, at in state.assigned.items()}
    stored = {
        row.enrolment_id: (row.entry_seq, row.list_number, row.stratum, row.slot, row.leaf)
        for row in queries.list_assignments(session, trial_id)
    }
    if stored != told:
        rule = "the stored assignments are not those that the log tells."
        raise LogDamagedError(seq=state.size, rule=rule)
