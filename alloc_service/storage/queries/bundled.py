"""What a bundle of the log takes from the tables of outside evidence."""

from sqlalchemy import select

from alloc_service.storage.evidence import CeremonyRecord, Cosignature
from alloc_service.storage.transactions import Reading


def read_cosignatures(session: Reading, trial_id: str) -> dict[int, list[str]]:
    """Return the witnesses' signature lines by the size of their checkpoint, sorted by name."""
    chosen = (
        select(Cosignature.size, Cosignature.line)
        .where(Cosignature.trial_id == trial_id)
        .order_by(Cosignature.size, Cosignature.name)
    )
    found: dict[int, list[str]] = {}
    for size, line in session.execute(chosen):
        found.setdefault(size, []).append(line)
    return found


def find_ceremony_document(session: Reading, trial_id: str, ceremony: str) -> bytes | None:
    """Return the announced document of a ceremony, or None where none is kept."""
    chosen = select(CeremonyRecord.document).where(
        CeremonyRecord.trial_id == trial_id, CeremonyRecord.ceremony == ceremony
    )
    return session.scalar(chosen)
