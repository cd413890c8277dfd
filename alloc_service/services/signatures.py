"""Signatures: user name and password, typed for one very record, good for five minutes.

The manifestation (printed name, role, meaning, time) becomes part of the record that is hashed
and logged, so that it cannot be moved to another one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from alloc_service.errors import SignatureError, WrongPasswordError
from alloc_service.log.entry import format_time
from alloc_service.permissions import Role
from alloc_service.services import accounts, enrolments, refusals
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.queries import EnrolmentRow
from alloc_service.trial.consent import require_zone

SIGNATURE_LASTS = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Signature:
    """Somebody's user name and password, typed for one very record, as of one moment.

    Attributes:
        person: Who signed.
        enrolment: For which enrolment.
        draft_sha256: For which state of its draft.
        at: When.

    Raises:
        NaiveTimeError: The time has no zone.
    """

    person: Person
    enrolment: UUID
    draft_sha256: str
    at: datetime

    def __post_init__(self) -> None:
        require_zone(self.at, "signature time")

    def to_record(self) -> dict[str, str]:
        """Return the manifestation: printed name, role, meaning, time."""
        return {
            "meaning": enrolments.MEANING,
            "name": self.person.name,
            "person": self.person.id,
            "role": str(Role.PHYSICIAN),
            "time": format_time(self.at),
        }


def sign(deps: Deps, username: str, password: str, enrolment_id: UUID) -> Signature:
    """Check user name and password, typed now, and bind them to this very record.

    Raises:
        WrongPasswordError: They do not belong together; it is logged where the user exists.
        UnknownRecordError: There is no such enrolment.
    """
    try:
        person = accounts.authenticate(deps, username, password)
    except WrongPasswordError as error:
        _log_failed_signature(deps, username, enrolment_id, error)
        raise
    with deps.database.ask() as session:
        row = queries.read_enrolment(session, enrolment_id)
        draft = enrolments.read_draft(enrolments.definition_of(session, row.trial_id), row)
    return Signature(person, enrolment_id, draft.sha256, deps.clock())


def require_fresh(
    deps: Deps, person: Person, row: EnrolmentRow, signature: Signature | None
) -> Signature:
    """Check that a request is signed by this person, for this very record, just now.

    Raises:
        SignatureError: It is not.
    """
    if signature is None:
        raise SignatureError(rule="the record is not signed")
    if signature.enrolment != row.id or signature.person != person:
        raise SignatureError(rule="the signature is of another person or for another record")
    if not timedelta(0) <= deps.clock() - signature.at <= SIGNATURE_LASTS:
        raise SignatureError(rule="the signature is not of the last five minutes")
    return signature


def _log_failed_signature(
    deps: Deps, username: str, enrolment_id: UUID, error: WrongPasswordError
) -> None:
    with deps.database.read() as session:
        person = accounts.find_person(session, username)
        row = queries.find_enrolment(session, enrolment_id)
    if person is not None and row is not None:
        refusals.log_refusal(deps, row.trial_id, person, enrolment_id, error)
