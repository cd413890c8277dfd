"""A site's own participants: who is enrolled, how far, what is due next, and a receipt to keep.

For the physicians of the site alone. None of it opens a slot or shows an arm.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from alloc_service.errors import NotAllocatedError
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, enrolments, lookups, proofs
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.services.lookups import RecordToCheck
from alloc_service.storage import queries
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.schedule import FollowUp, follow_up_dates


@dataclass(frozen=True, slots=True)
class Participant:
    """One of a site's participants.

    Attributes:
        enrolment: Its id.
        number: The site's participant number.
        enrolled_at: When the record was begun.
        assigned_at: When the slot was assigned; none before.
        next_visit: The first visit that is not past; none before the allocation or after the last.
    """

    enrolment: UUID
    number: str
    enrolled_at: datetime
    assigned_at: datetime | None
    next_visit: FollowUp | None


def list_participants(
    deps: Deps, person: Person, trial_id: str, site: str
) -> tuple[Participant, ...]:
    """Return a site's participants, the newest first.

    Raises:
        NotAllowedError: The person is no physician of this site now.
        UnknownSiteError: The trial has no such site.
    """
    with deps.database.read() as session:
        definition = enrolments.definition_of(session, trial_id)
        accounts.require(session, person, Action.ENROL, trial_id, definition.site(site).code)
        rows = queries.list_enrolments(session, trial_id, site)
        assigned = {
            row.enrolment_id: row.assigned_at for row in queries.list_assignments(session, trial_id)
        }
    now = deps.clock()
    return tuple(
        Participant(
            enrolment=row.id,
            number=row.participant,
            enrolled_at=row.created_at,
            assigned_at=assigned.get(row.id),
            next_visit=_next_visit(definition, site, assigned.get(row.id), now),
        )
        for row in reversed(rows)
    )


def read_record(deps: Deps, person: Person, enrolment_id: UUID) -> RecordToCheck:
    """Return a participant's record by the enrolment's id, as `lookups.find_record` does.

    Raises:
        NotAllowedError: The person is no physician of this site now.
        UnknownRecordError: There is no such enrolment.
    """
    with deps.database.read() as session:
        row = queries.read_enrolment(session, enrolment_id)
    return lookups.find_record(deps, person, row.trial_id, row.site, row.participant)


def read_receipt(deps: Deps, person: Person, enrolment_id: UUID) -> tuple[str, str]:
    """Return participant number and receipt of an allocation; nothing is opened for it.

    Raises:
        NotAllowedError: The person is no physician of this site now.
        NotAllocatedError: No slot was assigned yet.
    """
    with deps.database.read() as session:
        row = queries.read_enrolment(session, enrolment_id)
        accounts.require(session, person, Action.ENROL, row.trial_id, row.site)
        assigned = audit.read_state(session, row.trial_id).assigned.get(str(enrolment_id))
    if assigned is None:
        raise NotAllocatedError(participant=row.participant)
    return row.participant, proofs.prove_entry(deps, row.trial_id, assigned.seq)


def _next_visit(
    definition: TrialDefinition, site: str, assigned_at: datetime | None, now: datetime
) -> FollowUp | None:
    if assigned_at is None:
        return None
    visits = follow_up_dates(definition, site, assigned_at)
    return next((visit for visit in visits if visit.due >= now.date()), None)
