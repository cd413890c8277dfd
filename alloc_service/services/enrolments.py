"""Enrolments: what is typed about a participant, and the record that a signature fixes.

A draft may be incomplete or ineligible, and may be amended, until its allocation is signed for.
Then the record is written down, canonical, with a random salt; its hash goes into the log, and
the record never changes again. It holds no name, no date of birth and no identity number: a
participant number that the site gave, and the facts that the trial asks for.
"""

import contextlib
import hashlib
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import cast
from uuid import UUID

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.errors import (
    AllocatedAlreadyError,
    CanonError,
    ConstraintError,
    EnrolmentChangedError,
    ParticipantUsedError,
    UnknownRecordError,
)
from alloc_service.log.entry import Entry, parse_time
from alloc_service.permissions import Action
from alloc_service.services import accounts, records
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.models import Enrolment
from alloc_service.storage.queries import AssignmentRow, EnrolmentRow
from alloc_service.storage.transactions import Asking, Reading
from alloc_service.trial.consent import Consent, check_consent, read_consent
from alloc_service.trial.criteria import Eligibility, check_eligibility
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.factors import DerivedStratum, derive_stratum
from alloc_service.trial.facts import Facts, read_facts, require_complete, reread_facts
from alloc_service.trial.identifiers import check_participant_number
from alloc_service.trial.measurements import compute_scores

FORMAT = "rac-enrolment/1"
MEANING = "I have checked this record and request the allocation of this participant."

_ONCE = "participant_is_enrolled_once"


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody typed about a participant, all of it as text.

    Attributes:
        participant: The site's participant number.
        consent_time: Date and time of consent, in the site's zone where no offset is typed.
        consent_version: Version of the wording that was signed.
        facts: Typed values by fact code.
        units: Units by fact code.
        confirmed: Facts whose unlikely value is confirmed.
        answers: Yes or no by criterion code.
    """

    participant: str
    consent_time: str
    consent_version: str
    facts: Mapping[str, str] = field(repr=False)
    units: Mapping[str, str] = field(default_factory=dict)
    confirmed: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """An enrolment before its allocation, as read back from what is stored.

    Attributes:
        id: Random.
        trial: Trial id.
        site: Site code.
        participant: The site's participant number.
        consent: Time and version.
        facts: As typed, with units and confirmations.
        answers: By criterion code.
        sha256: Hash of enrolment, trial, site, participant and stored draft: a signature is
            for all of it, as it is now.
    """

    id: UUID
    trial: str
    site: str
    participant: str
    consent: Consent
    facts: Facts
    answers: Mapping[str, str] = field(repr=False)
    sha256: str

    @property
    def typed(self) -> Typed:
        """Return what gives this draft again, to be changed in part."""
        given = self.facts.given
        return Typed(
            participant=self.participant,
            consent_time=self.consent.time.isoformat(timespec="seconds"),
            consent_version=self.consent.version,
            facts={fact.code: fact.text for fact in given},
            units={fact.code: fact.unit for fact in given if fact.unit},
            confirmed=self.facts.confirmed,
            answers=self.answers,
        )

    def eligibility(self, definition: TrialDefinition) -> Eligibility:
        """Return the outcome of every criterion."""
        return check_eligibility(definition, self.facts, self.answers)

    def require_verified(
        self, definition: TrialDefinition, requested: datetime, now: datetime
    ) -> DerivedStratum:
        """Check everything that this record itself must fulfil; return its stratum.

        Raises:
            FactsMissingError: A fact is missing.
            NotEligibleError: A criterion is failed or unanswered.
            ConsentError: The consent is in the future, or not before the request.
        """
        require_complete(definition, self.facts)
        check_consent(self.consent.time, requested, now)
        scores = compute_scores(definition, self.facts)
        check_eligibility(definition, self.facts, self.answers, scores).require()
        return derive_stratum(definition, self.facts, self.site, scores)

    def to_record(
        self,
        definition: TrialDefinition,
        stratum: DerivedStratum,
        signature: Mapping[str, Json],
    ) -> bytes:
        """Return the record that is kept and hashed: canonical, with a random salt.

        It names the definition, which says what each arm is called: somebody who exchanges two
        labels in the database is found by every record that was made before, and after.
        """
        return canon(
            {
                "answers": dict(self.answers),
                "consent": _consent_record(self.consent),
                "definition": definition.sha256,
                "enrolment": str(self.id),
                "facts": self.facts.to_record(),
                "participant": self.participant,
                "salt": secrets.token_hex(32),
                "signature": signature,
                "site": self.site,
                "stratum": stratum.to_record(),
                "trial": self.trial,
                "v": FORMAT,
            }
        )


def enrol(deps: Deps, person: Person, trial_id: str, site: str, typed: Typed) -> Draft:
    """Keep a new enrolment's draft.

    Raises:
        NotAllowedError: The person is no physician of this site now.
        InputError: Something typed breaks a rule; every problem is told, nothing is stored.
        ParticipantUsedError: The site has used this participant number before.
    """
    now = deps.clock()
    try:
        with deps.database.write() as tx:
            accounts.require(tx, person, Action.ENROL, trial_id, site)
            definition = definition_of(tx, trial_id)
            row = EnrolmentRow(
                id=uuid.uuid4(),
                trial_id=trial_id,
                site=definition.site(site).code,
                participant=typed.participant,
                record=None,
                draft=write_draft(definition, site, typed),
            )
            tx.add(Enrolment(**row._asdict(), created_by=person.account, created_at=now))
            tx.flush()
            return read_draft(definition, row)
    except ConstraintError as error:
        if error.facts["constraint"] != _ONCE:
            raise
        raise ParticipantUsedError(participant=typed.participant, site=site) from None


def amend(deps: Deps, person: Person, enrolment_id: UUID, typed: Typed) -> Draft:
    """Replace a draft by what is typed now, its participant number with the rest.

    Raises:
        NotAllowedError: The person is no physician of this site now.
        AllocatedAlreadyError: The record was signed and allocated; it never changes again.
        InputError: Something typed breaks a rule; the old draft stays.
        ParticipantUsedError: The site has used this participant number for somebody else.
    """
    try:
        with deps.database.write() as tx:
            row = queries.lock_enrolment(tx, enrolment_id)
            accounts.require(tx, person, Action.ENROL, row.trial_id, row.site)
            if row.record is not None:
                raise AllocatedAlreadyError(participant=row.participant)
            definition = definition_of(tx, row.trial_id)
            draft = write_draft(definition, row.site, typed)
            row = row._replace(participant=typed.participant, draft=draft)
            queries.write_draft(tx, row.id, row.participant, draft)
            return read_draft(definition, row)
    except ConstraintError as error:  # only the update above meets a rule, so there is a row
        if error.facts["constraint"] != _ONCE:
            raise
        raise ParticipantUsedError(participant=typed.participant, site=row.site) from None


def read_draft(definition: TrialDefinition, row: EnrolmentRow) -> Draft:
    """Return the draft of a stored enrolment, read by the same rules as when it was typed.

    Raises:
        EnrolmentChangedError: What is stored is no draft.
        InputError: It is one that the rules would have refused.
    """
    content = _read_content(_Content(row.draft, row.site, definition.sha256, definition))
    if content is None:
        raise EnrolmentChangedError(enrolment=row.id)
    consent, facts, answers = content
    return Draft(
        id=row.id,
        trial=row.trial_id,
        site=row.site,
        participant=row.participant,
        consent=consent,
        facts=facts,
        answers=dict(answers),
        sha256=_hash_draft(row),
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """All that the content of a draft depends on; a definition is what its hash names."""

    document: bytes = field(repr=False)
    site: str
    definition_sha256: str
    definition: TrialDefinition = field(compare=False, repr=False)


# The same draft is read when it is typed, shown, signed and allocated, minutes apart.
@lru_cache(maxsize=256)
def _read_content(stored: _Content) -> tuple[Consent, Facts, Mapping[str, str]] | None:
    try:
        document = parse_object(stored.document, "draft")
    except CanonError:
        return None
    definition = stored.definition
    match document:
        case {
            "answers": {**answers},
            "consent": {"time": str(time), "version": str(version)},
            "facts": {**facts},
        }:
            return (
                read_consent(definition, stored.site, time, version),
                reread_facts(definition, cast("Mapping[str, Json]", facts)),
                {str(code): str(answer) for code, answer in answers.items()},
            )
    return None


def definition_of(session: Asking, trial_id: str) -> TrialDefinition:
    """Return a trial's definition, without its restricted design.

    Raises:
        UnknownRecordError: There is no such trial.
    """
    return _parse_definition(queries.read_definition(session, trial_id))


def require_same_definition(
    session: Reading, trial_id: str, logged: Mapping[str, str]
) -> TrialDefinition:
    """Return a trial's definition, after a record was found to have been signed under it.

    Args:
        session: A read or a write.
        trial_id: Whose definition.
        logged: The hash of each record, by enrolment, as the log tells.

    Raises:
        DefinitionChangedError: The last record that is whole names another one.
    """
    definition = definition_of(session, trial_id)
    for enrolment, sha256 in reversed(list(logged.items())):
        with contextlib.suppress(UnknownRecordError, EnrolmentChangedError):
            row = queries.read_enrolment(session, UUID(enrolment))
            records.require_same_record(row, sha256, definition.sha256)
            break
    return definition


def assignment_of(trial_id: str, entry: Entry) -> AssignmentRow:
    """Return the row that a `slot.assigned` entry stands for."""
    body = entry.body
    return AssignmentRow(
        enrolment_id=UUID(body["enrolment"]),
        trial_id=trial_id,
        list_number=body["list"],
        stratum=body["stratum"],
        slot=body["slot"],
        leaf=body["leaf"],
        entry_seq=entry.seq,
        assigned_at=parse_time(entry.time),
    )


@lru_cache(maxsize=64)
def _parse_definition(document: bytes) -> TrialDefinition:
    return TrialDefinition.from_public_bytes(document)


def write_draft(definition: TrialDefinition, site: str, typed: Typed) -> bytes:
    """Return the stored form of what was typed, after every rule was checked.

    Raises:
        InputError: Something typed breaks a rule; every problem of a part is told.
    """
    check_participant_number(definition, typed.participant)
    consent = read_consent(definition, site, typed.consent_time, typed.consent_version)
    facts = read_facts(definition, typed.facts, typed.units, typed.confirmed)
    check_eligibility(definition, facts, typed.answers)
    return canon(
        {
            "answers": {code: answer for code, answer in typed.answers.items() if answer},
            "consent": _consent_record(consent),
            "facts": facts.to_record(),
        }
    )


def _hash_draft(row: EnrolmentRow) -> str:
    signed: dict[str, Json] = {
        "draft": hashlib.sha256(row.draft).hexdigest(),
        "enrolment": str(row.id),
        "participant": row.participant,
        "site": row.site,
        "trial": row.trial_id,
    }
    return hashlib.sha256(canon(signed)).hexdigest()


def _consent_record(consent: Consent) -> dict[str, Json]:
    return {"time": consent.time.isoformat(timespec="seconds"), "version": consent.version}
