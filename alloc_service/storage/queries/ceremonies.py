"""Frozen designs, and the ceremonies that give their seeds."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from alloc_service.errors import UnknownRecordError
from alloc_service.storage.evidence import CeremonyFile, CeremonyRecord, FrozenDesign


def find_frozen_design(session: Session, trial_id: str, number: int) -> FrozenDesign | None:
    """Return the design that was frozen for a list before it was made, or None."""
    return session.get(FrozenDesign, (trial_id, number))


def read_ceremony(session: Session, trial_id: str, ceremony: str) -> CeremonyRecord:
    """Return a ceremony.

    Raises:
        UnknownRecordError: There is none of this name.
    """
    found = session.get(CeremonyRecord, (trial_id, ceremony))
    if found is None:
        raise UnknownRecordError(what=f"ceremony of trial {trial_id} named", name=ceremony)
    return found


def list_ceremonies(session: Session, trial_id: str) -> list[CeremonyRecord]:
    """Return a trial's ceremonies, in the order in which they were opened."""
    chosen = select(CeremonyRecord).where(CeremonyRecord.trial_id == trial_id)
    return list(session.scalars(chosen.order_by(CeremonyRecord.opened_at, CeremonyRecord.ceremony)))


def list_ceremony_files(session: Session, trial_id: str, ceremony: str) -> list[CeremonyFile]:
    """Return the deposits and reveals that are kept, by name."""
    chosen = select(CeremonyFile).where(
        CeremonyFile.trial_id == trial_id, CeremonyFile.ceremony == ceremony
    )
    return list(session.scalars(chosen.order_by(CeremonyFile.name)))


def remove_ceremony_files(session: Session, trial_id: str, ceremony: str) -> None:
    """Remove the deposits and reveals of a ceremony that is over."""
    session.execute(
        delete(CeremonyFile).where(
            CeremonyFile.trial_id == trial_id, CeremonyFile.ceremony == ceremony
        )
    )
