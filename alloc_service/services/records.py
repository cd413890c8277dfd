"""Signed records: the bytes whose hash is logged, compared before anything of them is shown."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from alloc_service.core.canon import Json, parse_object
from alloc_service.errors import DefinitionChangedError, EnrolmentChangedError
from alloc_service.storage.queries import EnrolmentRow


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """What an allocation shows of the record that was signed for it.

    Attributes:
        stratum: Its code.
        signature: Printed name, role, meaning, time.
        consent: Its `time`, in ISO 8601 with an offset, and `version`.
        facts: As `Facts.to_record` gives them.
    """

    stratum: str
    signature: Mapping[str, str]
    consent: Mapping[str, Json]
    facts: Mapping[str, Json] = field(repr=False)


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
) -> SignedRecord:
    """Check that a stored record is the logged one, and the row's own; return what it shows.

    Raises:
        EnrolmentChangedError: The row was changed or swapped since its slot was assigned.
        DefinitionChangedError: It was made under another definition of the trial.
    """
    require_logged(row, logged_sha256)
    match parse_object(row.record or b"", "enrolment record"):
        case {
            "enrolment": enrolment,
            "trial": trial,
            "site": site,
            "participant": participant,
            "stratum": {"code": str(stratum)},
            "signature": {**signature},
            "consent": {**consent},
            "facts": {**facts},
            "definition": definition,
        } if (enrolment, trial, site, participant) == (
            str(row.id),
            row.trial_id,
            row.site,
            row.participant,
        ):
            if definition != definition_sha256:
                raise DefinitionChangedError(trial=row.trial_id)
            return SignedRecord(
                stratum,
                {str(name): str(value) for name, value in signature.items()},
                cast("Mapping[str, Json]", consent),
                cast("Mapping[str, Json]", facts),
            )
    raise EnrolmentChangedError(enrolment=row.id)
