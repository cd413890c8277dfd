"""Receipts with everything in them: the logged entry, the opened slot, and the proofs of both.

The data monitoring committee and the statisticians get one of any allocation; the site gets its
own after the trial is closed. A full receipt names the arm, so whoever asks for one is logged
first, and the sealer opens the slot for that entry alone. The site's receipt during the trial is
in `participants`.
"""

from uuid import UUID

from alloc_service.core.canon import Json
from alloc_service.core.generate import Opening
from alloc_service.errors import NotAllocatedError, ReceiptLaterError
from alloc_service.log.entry import Entry
from alloc_service.log.receipt import Receipt, write_extra
from alloc_service.log.state import Assigned
from alloc_service.permissions import Action
from alloc_service.sealing.sealer import SlotToOpen
from alloc_service.services import accounts, audit, proofs, records
from alloc_service.services.accounts import Person
from alloc_service.services.audit import OpenLog
from alloc_service.services.deps import Deps
from alloc_service.services.slots import SealingTree, hiding_places
from alloc_service.storage import queries
from alloc_service.storage.queries import EnrolmentRow
from alloc_service.storage.transactions import Transaction

PURPOSE = "receipt"


def read_full(deps: Deps, person: Person, enrolment_id: UUID) -> Receipt:
    """Return the full receipt of an allocation, after the look is logged.

    Raises:
        NotAllocatedError: No slot was assigned yet.
        NotAllowedError: The person neither oversees the trial nor is a physician of the site.
        ReceiptLaterError: They are of the site, and the trial is not closed.
        EnrolmentChangedError: The stored record is not the one that the log names.
    """
    with deps.database.read() as session:
        trial_id = queries.read_enrolment(session, enrolment_id).trial_id
    with audit.showing(deps, trial_id), deps.database.write() as tx:
        row = queries.lock_enrolment(tx, enrolment_id)
        log = audit.open_log(deps, tx, trial_id)
        assigned = log.state.assigned.get(str(enrolment_id))
        if assigned is None:
            raise NotAllocatedError(participant=row.participant)
        entry = _log_look(tx, log, person, row, assigned)
        tree = SealingTree(trial_id, assigned.list, log.state.lists[assigned.list])
        _leaf, sealed = tree.read_slot(tx, (assigned.stratum, assigned.slot))
    signed = audit.follow(deps, trial_id)
    origin = audit.origin_of(deps.host, trial_id)
    with hiding_places():
        opened = deps.sealer.open(origin, entry.seq, str(enrolment_id), sealed)
    records.require_logged(row, opened.enrolment_sha256)
    with deps.database.read() as session:
        site = proofs.receipt_of(session, trial_id, assigned.seq, signed)
        data = queries.read_entry(session, trial_id, assigned.seq).data
    return fill(site, data, opened.opening, sealed)


def fill(site: Receipt, entry: bytes, opening: Opening, sealed: SlotToOpen) -> Receipt:
    """Return the full receipt of a site's: with the entry, the opening and its proof."""
    extra = write_extra(entry, opening.text, sealed.proof)
    return Receipt(site.index, site.proof, site.checkpoint, extra)


def _log_look(
    tx: Transaction, log: OpenLog, person: Person, row: EnrolmentRow, assigned: Assigned
) -> Entry:
    trial_id = row.trial_id
    if accounts.may(tx, person, Action.READ_ARMS, trial_id):
        actor = accounts.require(tx, person, Action.READ_ARMS, trial_id)
        look: dict[str, Json] = {"purpose": PURPOSE, "upto": assigned.seq}
        return log.append("arms.read", actor, look)
    actor = accounts.require(tx, person, Action.REQUEST_ALLOCATION, trial_id, row.site)
    if log.state.trial != "closed":
        raise ReceiptLaterError(participant=row.participant)
    look = {"enrolment": str(row.id), "of": assigned.seq}
    return log.append("slot.reread", actor, look)
