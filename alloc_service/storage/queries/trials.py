"""Trials, and the texts behind logged reasons."""

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from alloc_service.errors import UnknownRecordError
from alloc_service.storage.models import LogHead, Reason, Trial
from alloc_service.storage.prepared import Prepared, as_bytes
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Asking

_trials = METADATA.tables["trial"]
_DEFINITION = Prepared(
    select(as_bytes(_trials.c.definition)).where(_trials.c.id == bindparam("trial"))
)


def add_trial(session: Session, trial: Trial) -> None:
    """Add a trial and its empty log.

    Raises:
        ConstraintError: At the next flush, where the id or the origin is taken.
    """
    session.add(trial)
    session.add(LogHead(trial_id=trial.id, size=0, last_leaf=""))


def read_trial(session: Session, trial_id: str) -> Trial:
    """Return a trial.

    Raises:
        UnknownRecordError: There is none of this id.
    """
    trial = session.get(Trial, trial_id)
    if trial is None:
        raise UnknownRecordError(what="trial", name=trial_id)
    return trial


def read_definition(session: Asking, trial_id: str) -> bytes:
    """Return the stored definition of a trial.

    Raises:
        UnknownRecordError: There is none of this id.
    """
    row = _DEFINITION.find(session, {"trial": trial_id})
    if row is None:
        raise UnknownRecordError(what="trial", name=trial_id)
    return bytes(row[0])


def list_trials(session: Session) -> list[Trial]:
    """Return every trial, by id."""
    return list(session.scalars(select(Trial).order_by(Trial.id)))


def find_reason(session: Session, trial_id: str, entry_seq: int) -> Reason | None:
    """Return the text behind an entry's reason hash; None where there is none, or none any more."""
    return session.get(Reason, (trial_id, entry_seq))
