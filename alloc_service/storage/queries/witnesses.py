"""Where a trial's witnesses answer, and what they have signed."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, text

from alloc_service.storage.prepared import Prepared
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Asking, Reading, Transaction

_addresses = METADATA.tables["witness_address"]
_cosignatures = METADATA.tables["cosignature"]
_OF_TRIAL = _cosignatures.c.trial_id == bindparam("trial")
# Two processes may ask the same witness; either line is good.
_ADD = Prepared(
    text(
        "INSERT INTO cosignature (trial_id, size, name, line) VALUES (:trial, :size, :name, :line)"
        " ON CONFLICT (trial_id, size, name) DO NOTHING"
    )
)


class CosignatureRow(NamedTuple):
    """A witness's signature line over the checkpoint of a size, in entries."""

    size: int
    name: str
    line: str


def list_witness_addresses(session: Reading, trial_id: str) -> dict[str, str]:
    """Return the address of each witness of a trial, by name; "" where it is reached by file."""
    found = select(_addresses.c.name, _addresses.c.url).where(_addresses.c.trial_id == trial_id)
    rows = session.core.execute(found.order_by(_addresses.c.name))
    return {row.name: row.url for row in rows}


def replace_witness_addresses(tx: Transaction, trial_id: str, addresses: dict[str, str]) -> None:
    """Let these, by name, be the addresses of a trial's witnesses."""
    tx.execute(delete(_addresses).where(_addresses.c.trial_id == trial_id))
    for name, url in addresses.items():
        tx.execute(insert(_addresses).values(trial_id=trial_id, name=name, url=url))


def add_cosignature(session: Asking, trial_id: str, row: CosignatureRow) -> None:
    """Keep a cosignature; the one that is there for this size and witness stays."""
    facts = {"trial": trial_id, "size": row.size, "name": row.name, "line": row.line}
    _ADD.run(session, facts)


def list_cosignatures(session: Reading, trial_id: str, above: int = 0) -> list[CosignatureRow]:
    """Return the cosignatures over sizes above this one, smallest first."""
    columns = _cosignatures.c.size, _cosignatures.c.name, _cosignatures.c.line
    found = select(*columns).where(_OF_TRIAL, _cosignatures.c.size > bindparam("above"))
    rows = session.core.execute(
        found.order_by(_cosignatures.c.size, _cosignatures.c.name),
        {"trial": trial_id, "above": above},
    )
    return [CosignatureRow(*row) for row in rows]


def list_cosigned_sizes(session: Reading, trial_id: str) -> dict[str, int]:
    """Return the largest size that each witness has cosigned, by name."""
    largest = func.max(_cosignatures.c.size).label("largest")
    found = select(_cosignatures.c.name, largest).where(_OF_TRIAL)
    rows = session.core.execute(found.group_by(_cosignatures.c.name), {"trial": trial_id})
    return {row.name: row.largest for row in rows}
