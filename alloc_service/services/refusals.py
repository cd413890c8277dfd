"""Refused requests in the log: each with its code, a few a person and time.

A refusal spends no slot. What is logged is who, for which enrolment, and by which rule; nobody
can swell the log with refusals.
"""

from datetime import timedelta
from uuid import UUID

from alloc_service.core.canon import Json
from alloc_service.errors import RefusalError
from alloc_service.log.entry import format_time, read_entry
from alloc_service.services import accounts, audit
from alloc_service.services.accounts import Person
from alloc_service.services.audit import LoggedActor
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading

MOST_REFUSALS = 10
REFUSALS_WITHIN = timedelta(minutes=10)
_LOOK_BACK = 64


def log_refusal(
    deps: Deps, trial_id: str, person: Person, enrolment_id: UUID, refusal: RefusalError
) -> None:
    """Log a refused request, a few a person and time, so that nobody can swell the log.

    Where the log itself cannot grow now, the refusal that the person sees is the first one.
    """
    try:
        with audit.writing(deps, trial_id) as tx:
            actor = accounts.as_they_are(tx, person, trial_id)
            log = audit.open_log(deps, tx, trial_id)
            if not _has_refused_enough(deps, tx, trial_id, log.state.size, actor):
                body: dict[str, Json] = {"enrolment": str(enrolment_id), "code": refusal.code}
                log.append("allocation.refused", actor, body)
    except RefusalError as error:
        refusal.add_note(f"The refusal could not be logged: {error.code}.")


def _has_refused_enough(
    deps: Deps, session: Reading, trial_id: str, size: int, actor: LoggedActor
) -> bool:
    since = format_time(deps.clock() - REFUSALS_WITHIN)
    recent = (
        read_entry(row.data)
        for row in queries.read_entries(session, trial_id, max(0, size - _LOOK_BACK))
    )
    refused = [
        entry
        for entry in recent
        if entry.type == "allocation.refused" and entry.time >= since and entry.actor_id == actor.id
    ]
    return len(refused) >= MOST_REFUSALS
