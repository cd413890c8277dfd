"""Signed records: the bytes whose hash is logged, compared before anything of them is shown."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alloc_service.core.canon import parse_object
from alloc_service.errors import DefinitionChangedError, EnrolmentChangedError
from alloc_service.storage.queries import EnrolmentRow
from alloc_service.trial.consent import Consent
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.facts import Facts, reread_facts


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """What an allocation shows of the record that was signed for it.

    Attributes:
        stratum: Its code.
        signature: Printed name, role, meaning, time.
        consent: When it was given, and to which version.
        facts: As typed.
    """

    stratum: str
    signature: Mapping[str, str]
    consent: Consent
    facts: Facts = field(repr=False)


def hash_record(record: bytes) -> str:
    """Return the hash of an enrolment record, as the log names it."""
    return hashlib.sha256(record).hexdigest()


def require_logged(row: EnrolmentRow, logged_sha256: str) -> None:
    """Check that a record is the logged one.

    Raises:
        EnrolmentChangedError: It is another one, or there is none.
    """
    if hash_record(row.record or b"") != logged_sha256:
        raise EnrolmentChangedError(enrolment=row.id)


def require_same_record(
    row: EnrolmentRow, logged_sha256: str, definition_sha256: str
) -> Mapping[str, Any]:
    """Check that a stored record is the logged one, and the row's own; return it.

    Raises:
        EnrolmentChangedError: The row was changed or swapped since its slot was assigned.
        DefinitionChangedError: It was made under another definition of the trial.
    """
    require_logged(row, logged_sha256)
    record = parse_object(row.record or b"", "enrolment record")
    match record:
        case {
            "enrolment": enrolment,
            "trial": trial,
            "site": site,
            "participant": participant,
            "stratum": {"code": str()},
            "signature": {},
            "consent": {"time": str(), "version": str()},
            "facts": {},
            "definition": definition,
        } if (enrolment, trial, site, participant) == (
            str(row.id),
            row.trial_id,
            row.site,
            row.participant,
        ):
            if definition != definition_sha256:
                raise DefinitionChangedError(trial=row.trial_id)
            return record
    raise EnrolmentChangedError(enrolment=row.id)


def read_signed(row: EnrolmentRow, logged_sha256: str, definition: TrialDefinition) -> SignedRecord:
    """Return what an allocation shows of a stored record, checked as `require_same_record` does.

    Raises:
        EnrolmentChangedError: The row was changed or swapped since its slot was assigned.
        DefinitionChangedError: It was made under another definition of the trial.
    """
    record = require_same_record(row, logged_sha256, definition.sha256)
    consent = record["consent"]
    return SignedRecord(
        record["stratum"]["code"],
        {name: str(value) for name, value in record["signature"].items()},
        Consent(datetime.fromisoformat(consent["time"]), consent["version"]),
        reread_facts(definition, record["facts"]),
    )
