"""Enrolments and the slots that they spent."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from alloc_service.errors import UnknownRecordError
from alloc_service.storage.models import Assignment, Enrolment
from alloc_service.storage.prepared import Prepared, as_bytes
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Asking, Reading

_assignments = METADATA.tables["assignment"]
_enrolments = METADATA.tables["enrolment"]


class EnrolmentRow(NamedTuple):
    """An enrolment as stored: record and draft are canonical JSON, the record once it is signed."""

    id: UUID
    trial_id: str
    site: str
    participant: str
    record: bytes | None
    draft: bytes


class AssignmentRow(NamedTuple):
    """A slot that an enrolment spent, the HEX leaf that commits to it, and the entry that says so.

    `stratum` and `slot` count from 0.
    """

    enrolment_id: UUID
    trial_id: str
    list_number: int
    stratum: int
    slot: int
    leaf: str
    entry_seq: int
    assigned_at: datetime


_CHOSEN = select(
    _enrolments.c.trial_id,
    _enrolments.c.site,
    _enrolments.c.participant,
    as_bytes(_enrolments.c.record),
    as_bytes(_enrolments.c.draft),
).where(_enrolments.c.id == bindparam("enrolment"))
_ENROLMENT = Prepared(_CHOSEN)
_ENROLMENT_LOCKED = Prepared(_CHOSEN.with_for_update())
_WRITE_RECORD = Prepared(
    update(_enrolments)
    .where(_enrolments.c.id == bindparam("enrolment"))
    .values(record=bindparam("signed"))
)
_WRITE_DRAFT = Prepared(
    update(_enrolments)
    .where(_enrolments.c.id == bindparam("enrolment"))
    .values(participant=bindparam("number"), draft=bindparam("typed"))
)
_ADD_ASSIGNMENT = Prepared(insert(_assignments))


def lock_enrolment(session: Reading, enrolment_id: UUID) -> EnrolmentRow:
    """Lock an enrolment until the transaction ends, and return it as it is under the lock.

    Raises:
        UnknownRecordError: There is none of this id.
    """
    return _read_enrolment(session, enrolment_id, locked=True)


def read_enrolment(session: Asking, enrolment_id: UUID) -> EnrolmentRow:
    """Return an enrolment.

    Raises:
        UnknownRecordError: There is none of this id.
    """
    return _read_enrolment(session, enrolment_id, locked=False)


def write_record(session: Reading, enrolment_id: UUID, record: bytes) -> None:
    """Store the signed record of an enrolment that the caller has locked."""
    _WRITE_RECORD.run(session, {"enrolment": enrolment_id, "signed": record})


def write_draft(session: Reading, enrolment_id: UUID, participant: str, draft: bytes) -> None:
    """Store another number and draft of an enrolment that the caller has locked.

    Raises:
        ConstraintError: Outside the transaction: another enrolment of the site has the number.
    """
    _WRITE_DRAFT.run(session, {"enrolment": enrolment_id, "number": participant, "typed": draft})


def row_of(enrolment: Enrolment) -> EnrolmentRow:
    """Return the row that an enrolment stands for."""
    return EnrolmentRow(*(getattr(enrolment, name) for name in EnrolmentRow._fields))


def find_enrolment(session: Session, enrolment_id: UUID) -> Enrolment | None:
    """Return an enrolment, or None."""
    return session.get(Enrolment, enrolment_id)


def find_enrolment_of_participant(
    session: Session, trial_id: str, site: str, participant: str
) -> Enrolment | None:
    """Return the enrolment under a site's participant number, or None."""
    chosen = select(Enrolment).where(
        Enrolment.trial_id == trial_id,
        Enrolment.site == site,
        Enrolment.participant == participant,
    )
    return session.scalar(chosen)


def list_enrolments(session: Session, trial_id: str, site: str | None = None) -> list[Enrolment]:
    """Return the enrolments of a trial, or of one site, oldest first."""
    chosen = select(Enrolment).where(Enrolment.trial_id == trial_id)
    if site is not None:
        chosen = chosen.where(Enrolment.site == site)
    return list(session.scalars(chosen.order_by(Enrolment.created_at, Enrolment.id)))


def add_assignment(session: Reading, assignment: AssignmentRow) -> None:
    """Spend a slot.

    Raises:
        AppendOnlyError: The slot is not the next, or the enrolment or the entry has one already.
        ConstraintError: Another transaction spent it first.
    """
    _ADD_ASSIGNMENT.run(session, assignment._asdict())


def remove_assignments(session: Session, trial_id: str) -> None:
    """Remove a trial's assignments, for a recovery that rebuilds them from the log.

    The triggers refuse this unless they are lifted.
    """
    session.execute(delete(Assignment).where(Assignment.trial_id == trial_id))


def find_assignment(session: Session, enrolment_id: UUID) -> Assignment | None:
    """Return the slot that an enrolment spent, or None."""
    chosen = select(Assignment).where(Assignment.enrolment_id == enrolment_id)
    return session.scalar(chosen)


def read_assignment(session: Session, enrolment_id: UUID) -> Assignment:
    """Return the slot that an enrolment spent.

    Raises:
        UnknownRecordError: It has spent none.
    """
    found = find_assignment(session, enrolment_id)
    if found is None:
        raise UnknownRecordError(what="allocation of enrolment", name=enrolment_id)
    return found


def list_assignments(session: Session, trial_id: str) -> list[Assignment]:
    """Return a trial's assignments in the order of their log entries."""
    chosen = select(Assignment).where(Assignment.trial_id == trial_id)
    return list(session.scalars(chosen.order_by(Assignment.entry_seq)))


def count_assigned(session: Session, trial_id: str) -> dict[tuple[int, int], int]:
    """Return the number of spent slots by (list number, stratum); reads every assignment."""
    columns = _assignments.c
    rows = session.execute(
        select(columns.list_number, columns.stratum, func.count())
        .where(columns.trial_id == trial_id)
        .group_by(columns.list_number, columns.stratum)
    )
    return {(number, stratum): count for number, stratum, count in rows}


def _read_enrolment(session: Asking, enrolment_id: UUID, *, locked: bool) -> EnrolmentRow:
    statement = _ENROLMENT_LOCKED if locked else _ENROLMENT
    row = statement.find(session, {"enrolment": enrolment_id})
    if row is None:
        raise UnknownRecordError(what="enrolment", name=enrolment_id)
    return EnrolmentRow(enrolment_id, *row)
