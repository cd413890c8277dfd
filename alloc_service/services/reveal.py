"""The reveal: one verified enrolment spends one slot, is logged, and only then sees its arm.

The assignment and its log entry commit together before the sealer is asked, so an arm that
anyone has seen is in the log. Asked again, for whatever reason, the same slot is opened again,
and that too is logged. A refusal spends no slot and is logged with its code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from alloc_service.core.canon import Json
from alloc_service.core.merkle import verify_inclusion
from alloc_service.errors import (
    CapReachedError,
    DisjointRolesError,
    EnrolmentChangedError,
    NoActiveListError,
    NotAllocatedError,
    OperationError,
    RefusalError,
    SignatureError,
    SiteNotActiveError,
    StratumExhaustedError,
    TrialNotOpenError,
)
from alloc_service.log.entry import Entry, parse_time, read_entry
from alloc_service.log.receipt import Receipt
from alloc_service.log.state import Assigned, LogState
from alloc_service.permissions import Action
from alloc_service.sealing.sealer import SlotToOpen
from alloc_service.services import accounts, audit, enrolments, proofs, records, refusals
from alloc_service.services.accounts import Person
from alloc_service.services.audit import Committed, LoggedActor, OpenLog
from alloc_service.services.deps import Deps, SignedCheckpoint
from alloc_service.services.records import SignedRecord
from alloc_service.services.signatures import Signature, require_fresh, sign
from alloc_service.services.slots import SealingTree, hiding_places
from alloc_service.storage import queries
from alloc_service.storage.queries import EnrolmentRow
from alloc_service.storage.transactions import Transaction
from alloc_service.trial.consent import Consent
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.factors import DerivedStratum
from alloc_service.trial.facts import Facts
from alloc_service.trial.schedule import FollowUp, follow_up_dates

__all__ = ["Allocation", "Signature", "read_again", "reveal", "sign"]


@dataclass(frozen=True, slots=True)
class Allocation:
    """What the enrolling physician sees; the arm is in no repr.

    Attributes:
        trial: Trial id; one that starts with TEST- is no trial.
        enrolment: Its id.
        participant: The site's participant number.
        site: Site code.
        arm: Arm code.
        label: What the arm is called in the protocol.
        instruction: What it means, in the protocol's words.
        randomization_number: Order of allocation in the trial, from 1.
        stratum: The derived stratum's code.
        assigned_at: Time of the logged assignment, UTC.
        signature: The manifestation of the signature, as recorded.
        consent: When it was given, and to which version, as recorded.
        facts: As typed and recorded.
        visits: The follow-up visits, dated in the site's zone.
        leaf: HEX leaf hash of the logged assignment, for the receipt.
        receipt: The site's receipt: proof that the assignment is in the signed log.
        definition: The trial's.
    """

    trial: str
    enrolment: UUID
    participant: str
    site: str
    arm: str = field(repr=False)
    label: str = field(repr=False)
    instruction: str = field(repr=False)
    randomization_number: int
    stratum: str
    assigned_at: datetime
    signature: Mapping[str, str]
    consent: Consent
    facts: Facts = field(repr=False)
    visits: tuple[FollowUp, ...]
    leaf: str
    receipt: str
    definition: TrialDefinition = field(repr=False)


def reveal(
    deps: Deps, person: Person, enrolment_id: UUID, signature: Signature | None
) -> Allocation:
    """Spend the next slot of the enrolment's stratum, log it, then open it.

    Asked again, the same slot is opened again; that needs no new signature.

    Args:
        deps: The service's.
        person: Who asks.
        enrolment_id: For whom.
        signature: Typed for this very record within the last five minutes.

    Raises:
        StateError: Trial, site, list, cap or stratum do not allow it; no slot is spent.
        AccessError: The person may not, or did not sign; no slot is spent.
        OperationError: Sealer, database or disk; ask again, the same slot is opened.
    """
    return _answer(deps, person, enrolment_id, signature, may_spend=True)


def read_again(deps: Deps, person: Person, enrolment_id: UUID) -> Allocation:
    """Open an allocation that was made before, and log the look.

    Raises:
        NotAllocatedError: No slot was assigned yet.
        NotAllowedError: The person is no physician of this site now.
    """
    return _answer(deps, person, enrolment_id, None, may_spend=False)


@dataclass(frozen=True, slots=True)
class _Spent:
    """What the transaction of a request leaves behind: enough to open, nothing opened.

    Attributes:
        row: The enrolment as stored, with the record that was signed for it.
        record: What is shown of that record.
        committed: What the sealer has still to follow.
        entry: The entry of this request, which the sealer opens for.
        assigned: The `slot.assigned` of the enrolment; the same entry, or an earlier one.
        number: Order of allocation in the trial, from 1.
        sealed: The sealed slot, its leaf proved under the logged root.
        path: The audit path of `entry` in the log that ends with it.
        definition: The trial's.
    """

    row: EnrolmentRow
    record: SignedRecord
    committed: Committed
    entry: Entry
    assigned: Entry
    number: int
    sealed: SlotToOpen
    path: tuple[bytes, ...]
    definition: TrialDefinition


def _answer(
    deps: Deps,
    person: Person,
    enrolment_id: UUID,
    signature: Signature | None,
    *,
    may_spend: bool,
) -> Allocation:
    trial_id = ""
    try:
        with deps.database.write() as tx:
            row = queries.lock_enrolment(tx, enrolment_id)
            trial_id = row.trial_id
            log = audit.open_log(deps, tx, trial_id)
            actor = accounts.require(tx, person, Action.REQUEST_ALLOCATION, trial_id, row.site)
            assigned = log.state.assigned.get(str(enrolment_id))
            if assigned is not None:
                spent = _read_assigned_again(tx, log, row, assigned, actor)
            elif may_spend:
                signed = require_fresh(deps, person, row, signature)
                spent = _assign_next_slot(deps, tx, log, row, actor=actor, signature=signed)
            else:
                raise NotAllocatedError(participant=row.participant)
        return _open(deps, spent)
    except OperationError:
        raise
    except RefusalError as error:
        if not trial_id:
            raise
        refusal = audit.ask_sealer(deps, trial_id, error)
        refusals.log_refusal(deps, trial_id, person, enrolment_id, refusal)
        raise refusal from None


def _read_assigned_again(
    tx: Transaction, log: OpenLog, row: EnrolmentRow, assigned: Assigned, actor: LoggedActor
) -> _Spent:
    trial_id, place = row.trial_id, (assigned.stratum, assigned.slot)
    logged = _require_untouched(tx, row, assigned)
    _leaf, sealed = _tree(log, trial_id, assigned.list).read_slot(tx, place)
    number = sum(at.seq <= assigned.seq for at in log.state.assigned.values())
    definition = _definition(tx, log, trial_id)
    sha256 = log.state.enrolment_sha256[str(row.id)]
    record = records.read_signed(row, sha256, definition)
    entry = log.append("slot.reread", actor, {"enrolment": str(row.id), "of": assigned.seq})
    return _Spent(
        row, record, log.committed(), entry, logged, number, sealed, log.last_path, definition
    )


def _require_untouched(tx: Transaction, row: EnrolmentRow, assigned: Assigned) -> Entry:
    """Return the logged assignment, after the stored rows were found to say the same."""
    stored = queries.find_assignment(tx, row.id)
    logged = read_entry(queries.read_entry(tx, row.trial_id, assigned.seq).data)
    if (
        stored is None
        or (stored.entry_seq, stored.list_number, stored.stratum, stored.slot, stored.leaf)
        != assigned
        or logged.type != "slot.assigned"
        or logged.body["enrolment"] != str(row.id)
    ):
        raise EnrolmentChangedError(enrolment=row.id)
    return logged


def _assign_next_slot(
    deps: Deps,
    tx: Transaction,
    log: OpenLog,
    row: EnrolmentRow,
    *,
    actor: LoggedActor,
    signature: Signature,
) -> _Spent:
    trial_id = row.trial_id
    definition = _definition(tx, log, trial_id)
    draft = enrolments.read_draft(definition, row)
    if draft.sha256 != signature.draft_sha256:
        raise SignatureError(rule="the record was changed after it was signed")
    stratum = draft.require_verified(definition, signature.at, deps.clock())
    _require_open(log.state, row.site, actor)
    number = _choose_list(log.state, stratum)
    place = stratum.index, log.state.lists[number].next_slot[stratum.index]
    leaf, sealed = _tree(log, trial_id, number).read_slot(tx, place)
    shown = SignedRecord(stratum.code, signature.to_record(), draft.consent, draft.facts)
    record = draft.to_record(definition, stratum, shown.signature)
    with tx.sending_together():
        entry = log.append("slot.assigned", actor, _assignment(number, place, leaf, row.id, record))
        queries.write_record(tx, row.id, record)
        queries.add_assignment(tx, enrolments.assignment_of(trial_id, entry))
    signed, count = row._replace(record=record), len(log.state.assigned)
    return _Spent(
        signed, shown, log.committed(), entry, entry, count, sealed, log.last_path, definition
    )


def _assignment(
    number: int, place: tuple[int, int], leaf: bytes, enrolment_id: UUID, record: bytes
) -> dict[str, Json]:
    return {
        "list": number,
        "stratum": place[0],
        "slot": place[1],
        "leaf": leaf.hex(),
        "enrolment": str(enrolment_id),
        "enrolment_sha256": records.hash_record(record),
    }


def _require_open(state: LogState, site: str, actor: LoggedActor) -> None:
    if any(actor.id in {known.sealed_by, known.approved_by} for known in state.lists.values()):
        raise DisjointRolesError(held="list maker", added=actor.role)
    if state.trial != "open":
        raise TrialNotOpenError(state=state.trial)
    if not state.sites.get(site, False):
        raise SiteNotActiveError(site=site)
    if len(state.assigned) >= state.cap:
        raise CapReachedError


def _definition(tx: Transaction, log: OpenLog, trial_id: str) -> TrialDefinition:
    read = partial(enrolments.require_same_definition, tx, trial_id, log.state.enrolment_sha256)
    return log.keep("definition", read)


def _tree(log: OpenLog, trial_id: str, number: int) -> SealingTree:
    known = log.state.lists[number]
    name = "tree", number, max(known.wraps)
    return log.keep(name, lambda: SealingTree(trial_id, number, known))


def _choose_list(state: LogState, stratum: DerivedStratum) -> int:
    """Return the lowest active list with a free slot in this stratum.

    The strata of every list are the definition's, in its order: what a list's row says of them
    would let somebody who rules the database send a participant to another stratum's slots.
    """
    active = sorted(at for at, known in state.lists.items() if known.active and not known.retired)
    if not active:
        raise NoActiveListError
    for number in active:
        known = state.lists[number]
        if known.next_slot[stratum.index] < known.slots[stratum.index]:
            return number
    raise StratumExhaustedError(stratum=stratum.code)


def _open(deps: Deps, spent: _Spent) -> Allocation:
    """Follow what was committed, open the slot, compare the record, and only then show.

    What is shown beside the arm is of a record that hashes to what the sealer has followed,
    and of an assignment that is proved under the checkpoint that it has just signed.
    """
    row = spent.row
    signed = audit.follow(deps, spent.row.trial_id, spent.committed)
    receipt = _prove(deps, spent, signed)
    origin = audit.origin_of(deps.host, spent.row.trial_id)
    with hiding_places():
        opened = deps.sealer.open(origin, spent.entry.seq, str(row.id), spent.sealed)
    records.require_logged(row, opened.enrolment_sha256)
    definition, record = spent.definition, spent.record
    arm = definition.arm(opened.opening.arm)
    assigned_at = parse_time(spent.assigned.time)
    return Allocation(
        trial=spent.row.trial_id,
        enrolment=row.id,
        participant=row.participant,
        site=row.site,
        arm=arm.code,
        label=arm.label,
        instruction=arm.instruction,
        randomization_number=spent.number,
        stratum=record.stratum,
        assigned_at=assigned_at,
        signature=record.signature,
        consent=record.consent,
        facts=record.facts,
        visits=follow_up_dates(definition, row.site, assigned_at),
        leaf=spent.assigned.leaf,
        receipt=receipt.text,
        definition=definition,
    )


def _prove(deps: Deps, spent: _Spent, signed: SignedCheckpoint) -> Receipt:
    """Return the receipt of the assignment, after its proof was found to lead to the checkpoint."""
    seq, leaf = spent.assigned.seq, bytes.fromhex(spent.assigned.leaf)
    if spent.entry.seq == seq and signed.size == seq + 1:
        receipt = Receipt(seq, spent.path, signed.note, leaf)
    else:  # others were faster, or it was assigned before
        with deps.database.read() as session:
            receipt = proofs.receipt_of(session, spent.row.trial_id, seq, signed)
    verify_inclusion(leaf, seq, signed.size, receipt.proof, signed.root)
    return receipt
