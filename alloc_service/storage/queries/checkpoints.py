"""The signed notes over a log, one a size."""

from typing import NamedTuple

from sqlalchemy import bindparam, select, text

from alloc_service.storage.prepared import Prepared
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Asking, Reading

_checkpoints = METADATA.tables["checkpoint"]


class CheckpointRow(NamedTuple):
    """A note and the size, in entries, of the log that it covers."""

    size: int
    note: str


_CHECKPOINT = select(_checkpoints.c.size, _checkpoints.c.note).where(
    _checkpoints.c.trial_id == bindparam("trial")
)
_LATEST = _CHECKPOINT.order_by(_checkpoints.c.size.desc()).limit(1)
_AT = _CHECKPOINT.where(_checkpoints.c.size == bindparam("size"))
# Two processes may follow the same entry; Ed25519 gives both the same note.
_ADD = Prepared(
    text(
        "INSERT INTO checkpoint (trial_id, size, note) VALUES (:trial, :size, :note)"
        " ON CONFLICT (trial_id, size) DO NOTHING"
    )
)


def add_checkpoint(session: Asking, trial_id: str, size: int, note: str) -> None:
    """Keep a note; the one that is there for this size stays."""
    _ADD.run(session, {"trial": trial_id, "size": size, "note": note})


def find_checkpoint(
    session: Reading, trial_id: str, size: int | None = None
) -> CheckpointRow | None:
    """Return the note of one size, or the latest; None where there is none."""
    facts: dict[str, object] = {"trial": trial_id}
    if size is not None:
        facts["size"] = size
    row = session.core.execute(_LATEST if size is None else _AT, facts).one_or_none()
    return None if row is None else CheckpointRow(*row)


def read_checkpoints(session: Reading, trial_id: str) -> list[CheckpointRow]:
    """Return every note of a log, smallest first."""
    rows = session.core.execute(_CHECKPOINT.order_by(_checkpoints.c.size), {"trial": trial_id})
    return [CheckpointRow(*row) for row in rows]
