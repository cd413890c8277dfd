"""Lists, their sealings, sealed slots, Merkle nodes and escrow files."""

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, select
from sqlalchemy.orm import Session

from alloc_service.errors import UnknownRecordError
from alloc_service.storage.models import (
    EscrowConfirmation,
    EscrowFile,
    ListSealing,
    RandomizationList,
)
from alloc_service.storage.prepared import Prepared, as_bytes
from alloc_service.storage.queries.log import NodeRow
from alloc_service.storage.queries.places import Place, at_places, facts_of, in_chunks
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Reading

_CHUNK = 1_000

_lists = METADATA.tables["randomization_list"]
_sealings = METADATA.tables["list_sealing"]
_slots = METADATA.tables["sealed_slot"]
_nodes = METADATA.tables["list_node"]


class SealedSlotRow(NamedTuple):
    """A slot's place, its public leaf (32 bytes) and its blob (285 bytes)."""

    stratum: int
    slot: int
    leaf: bytes
    blob: bytes


_OF_SEALING = (
    _slots.c.trial_id == bindparam("trial"),
    _slots.c.list_number == bindparam("number"),
    _slots.c.sealing == bindparam("of_sealing"),
)
_SLOTS = select(_slots.c.stratum, _slots.c.slot, _slots.c.leaf, _slots.c.blob).where(*_OF_SEALING)
_SLOT = _SLOTS.where(
    _slots.c.stratum == bindparam("of_stratum"), _slots.c.slot == bindparam("of_slot")
)
_SLOTS_IN_ORDER = _SLOTS.order_by(_slots.c.stratum, _slots.c.slot).execution_options(
    yield_per=_CHUNK
)
_SLOT_AND_WRAP = Prepared(
    select(as_bytes(_slots.c.leaf), as_bytes(_slots.c.blob), as_bytes(_sealings.c.wrap))
    .join(
        _sealings,
        and_(
            _sealings.c.trial_id == _slots.c.trial_id,
            _sealings.c.list_number == _slots.c.list_number,
            _sealings.c.sealing == _slots.c.sealing,
        ),
    )
    .where(
        *_OF_SEALING,
        _slots.c.stratum == bindparam("of_stratum"),
        _slots.c.slot == bindparam("of_slot"),
    )
)
_ADD_SLOT = insert(_slots)
_ADD_NODE = insert(_nodes)


@cache
def _leaves_at(count: int) -> Prepared:
    chosen = select(_slots.c.stratum, _slots.c.slot, as_bytes(_slots.c.leaf))
    return Prepared(chosen.where(*_OF_SEALING, at_places(_slots.c.stratum, _slots.c.slot, count)))


@cache
def _nodes_at(count: int) -> Prepared:
    chosen = select(_nodes.c.level, _nodes.c.position, as_bytes(_nodes.c.hash)).where(
        _nodes.c.trial_id == bindparam("trial"),
        _nodes.c.list_number == bindparam("number"),
        at_places(_nodes.c.level, _nodes.c.position, count),
    )
    return Prepared(chosen)


def read_list(session: Session, trial_id: str, number: int) -> RandomizationList:
    """Return a list.

    Raises:
        UnknownRecordError: The trial has none of this number.
    """
    found = session.get(RandomizationList, (trial_id, number))
    if found is None:
        raise UnknownRecordError(what=f"list of trial {trial_id} numbered", name=number)
    return found


def list_lists(session: Session, trial_id: str) -> list[RandomizationList]:
    """Return a trial's lists, by number."""
    chosen = select(RandomizationList).where(RandomizationList.trial_id == trial_id)
    return list(session.scalars(chosen.order_by(RandomizationList.number)))


def read_sealing(session: Session, trial_id: str, number: int, sealing: int) -> ListSealing:
    """Return one sealing of a list.

    Raises:
        UnknownRecordError: The list has none of this number.
    """
    found = session.get(ListSealing, (trial_id, number, sealing))
    if found is None:
        raise UnknownRecordError(what=f"sealing of list {number} numbered", name=sealing)
    return found


def find_latest_sealing(session: Session, trial_id: str, number: int) -> ListSealing | None:
    """Return a list's last sealing, or None where it was never sealed."""
    chosen = select(ListSealing).where(
        ListSealing.trial_id == trial_id, ListSealing.list_number == number
    )
    return session.scalar(chosen.order_by(ListSealing.sealing.desc()).limit(1))


def read_latest_sealing(session: Session, trial_id: str, number: int) -> ListSealing:
    """Return a list's last sealing.

    Raises:
        UnknownRecordError: The trial has no such list, or it is not sealed.
    """
    found = find_latest_sealing(session, trial_id, number)
    if found is None:
        raise UnknownRecordError(what=f"sealed list of trial {trial_id} numbered", name=number)
    return found


def read_slot_and_wrap(
    session: Reading, trial_id: str, number: int, sealing: int, place: tuple[int, int]
) -> tuple[bytes, bytes, bytes]:
    """Return leaf and blob of the sealed slot at (stratum, slot), and its sealing's wrap.

    Raises:
        UnknownRecordError: The slot or its sealing is not stored.
    """
    stratum, slot = place
    facts = {**_sealing_facts(trial_id, number, sealing), "of_stratum": stratum, "of_slot": slot}
    row = _SLOT_AND_WRAP.find(session, facts)
    if row is None:
        raise UnknownRecordError(what=f"sealed slot of list {number} numbered", name=slot)
    leaf, blob, wrap = row
    return leaf, blob, wrap


def add_sealed_slots(
    session: Session, trial_id: str, number: int, sealing: int, rows: Iterable[SealedSlotRow]
) -> None:
    """Add the slots of a sealing, a thousand at a time.

    Raises:
        AppendOnlyError: A slot of this sealing is there already.
        ConstraintError: A blob is not 285 bytes, or the sealing is not stored.
    """
    place = {"trial_id": trial_id, "list_number": number, "sealing": sealing}
    remaining = iter(rows)
    while chunk := [{**place, **row._asdict()} for row in islice(remaining, _CHUNK)]:
        session.execute(_ADD_SLOT, chunk)


def read_sealed_slot(
    session: Session, trial_id: str, number: int, sealing: int, place: Place
) -> SealedSlotRow:
    """Return the sealed slot at (stratum, slot).

    Raises:
        UnknownRecordError: It is not stored.
    """
    stratum, slot = place
    facts = {**_sealing_facts(trial_id, number, sealing), "of_stratum": stratum, "of_slot": slot}
    row = session.execute(_SLOT, facts).one_or_none()
    if row is None:
        what = f"sealed slot of list {number}, sealing {sealing}, stratum {stratum}, numbered"
        raise UnknownRecordError(what=what, name=slot)
    return SealedSlotRow(*row)


def read_sealed_slots(
    session: Session, trial_id: str, number: int, sealing: int
) -> Iterator[SealedSlotRow]:
    """Yield every slot of a sealing, strata in order, slots in order."""
    rows = session.execute(_SLOTS_IN_ORDER, _sealing_facts(trial_id, number, sealing))
    return (SealedSlotRow(*row) for row in rows)


def read_sealed_leaves(
    session: Reading, trial_id: str, number: int, sealing: int, places: Collection[Place]
) -> dict[Place, bytes]:
    """Return the leaves at (stratum, slot), 32 bytes each, found by key, without their blobs."""
    found: dict[Place, bytes] = {}
    for chunk in in_chunks(places):
        facts = {**_sealing_facts(trial_id, number, sealing), **facts_of(chunk)}
        rows = _leaves_at(len(chunk)).run(session, facts)
        found.update({(stratum, slot): leaf for stratum, slot, leaf in rows})
    return found


def add_list_nodes(session: Session, trial_id: str, number: int, nodes: Iterable[NodeRow]) -> None:
    """Add the complete subtrees of a list's tree, level 1 and above."""
    remaining = iter(nodes)
    place = {"trial_id": trial_id, "list_number": number}
    while chunk := [{**place, **row._asdict()} for row in islice(remaining, _CHUNK)]:
        session.execute(_ADD_NODE, chunk)


def read_list_nodes(
    session: Reading, trial_id: str, number: int, places: Collection[Place]
) -> dict[Place, bytes]:
    """Return the hashes at (level ≥ 1, position), 32 bytes each, found by key."""
    found: dict[Place, bytes] = {}
    for chunk in in_chunks(places):
        facts = {"trial": trial_id, "number": number, **facts_of(chunk)}
        rows = _nodes_at(len(chunk)).run(session, facts)
        found.update({(level, position): node for level, position, node in rows})
    return found


def list_escrow_files(session: Session, trial_id: str, number: int) -> list[EscrowFile]:
    """Return a list's escrow files that are still kept, by name."""
    chosen = select(EscrowFile).where(
        EscrowFile.trial_id == trial_id, EscrowFile.list_number == number
    )
    return list(session.scalars(chosen.order_by(EscrowFile.name)))


def list_confirmations(session: Session, trial_id: str, number: int) -> list[str]:
    """Return the persons who confirmed a list's escrow, in the order of their word."""
    chosen = select(EscrowConfirmation.person_id).where(
        EscrowConfirmation.trial_id == trial_id, EscrowConfirmation.list_number == number
    )
    return list(session.scalars(chosen.order_by(EscrowConfirmation.confirmed_at)))


def remove_escrow_files(session: Session, trial_id: str, number: int) -> None:
    """Remove a list's escrow files: two custodians have confirmed that they could open them."""
    session.execute(
        delete(EscrowFile).where(EscrowFile.trial_id == trial_id, EscrowFile.list_number == number)
    )


def _sealing_facts(trial_id: str, number: int, sealing: int) -> dict[str, object]:
    return {"trial": trial_id, "number": number, "of_sealing": sealing}
