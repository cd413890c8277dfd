"""A stored list against what the log says of it, and its acceptance on the sealer's host.

The check needs no key and opens nothing: the stored leaves must lead to the logged root, the
wrap must be the logged one, and every spent slot must be the one that its entry named. Whether
the blobs open is tested by the acceptance, which tells only that all do, or the first that fails.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from alloc_service.core.design import Design
from alloc_service.core.merkle import inner_nodes, root_of
from alloc_service.errors import RootDiffersError, UnknownRecordError
from alloc_service.log.state import Assigned, ListState
from alloc_service.permissions import Action
from alloc_service.sealing.envelope import BLOB_BYTES
from alloc_service.services import accounts, audit
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.models import RandomizationList
from alloc_service.storage.queries import SealedSlotRow
from alloc_service.storage.transactions import Reading

_AT_ONCE = 1_000  # a statement takes only so many places


class ListCheck(NamedTuple):
    """One thing that was checked: its name, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


def check_sealed_list(
    deps: Deps, person: Person, trial_id: str, number: int
) -> tuple[ListCheck, ...]:
    """Compare a stored list with the log; every check is made, whatever the others say.

    Raises:
        NotAllowedError: The person has no part in the trial's oversight.
        UnknownRecordError: There is no such list, or it is not in the log.
        LogDamagedError: The stored log does not fold.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_LOG, trial_id)
        stored = queries.read_list(session, trial_id, number)
        state = audit.read_state(session, trial_id)
        known = state.lists.get(number)
        if known is None or not known.root:
            raise UnknownRecordError(what=f"logged list of trial {trial_id} numbered", name=number)
        spent = [assigned for assigned in state.assigned.values() if assigned.list == number]
        return tuple(_check(session, trial_id, stored, known, spent))


def accept_list(deps: Deps, origin: str, number: int, root: str) -> str:
    """Test-open every blob of a list's last sealing, and write down that all of them open.

    It is run on the sealer's host, as the sealer's own user, and needs nobody's role: what it
    allows is only that the log may say `list.activated` of this very list.

    Args:
        deps: The service's, on the sealer's host.
        origin: The log's name.
        number: List number.
        root: The root that is expected, from the statistician.

    Returns:
        The trial's id.

    Raises:
        UnknownRecordError: There is no such log or list.
        RootDiffersError: The list has another root.
        AcceptError: A blob does not open to its commitment.
        NotAuthorizedError: The list is not sealed in the followed log.
    """
    with deps.database.read() as session:
        trial_id = _trial_of(session, origin)
        stored = queries.read_list(session, trial_id, number)
        sealing = queries.read_latest_sealing(session, trial_id, number)
        rows = list(queries.read_sealed_slots(session, trial_id, number, sealing.sealing))
    if stored.root != root:
        raise RootDiffersError(
            list=number, found=stored.root, compared=f"the one expected, {root},"
        )
    leaves = b"".join(row.leaf for row in rows)
    deps.sealer.accept(origin, number, sealing.wrap, leaves, (row.blob for row in rows))
    return trial_id


def open_logged_design(deps: Deps, origin: str, seq: int) -> Design:
    """Open the design that a logged `design.read` asks for, on the sealer's host.

    Args:
        deps: The service's, on the sealer's host.
        origin: The log's name.
        seq: The entry's.

    Raises:
        UnknownRecordError: There is no such log, or the entry asks for no design.
        NotAuthorizedError: The sealer has not followed that entry.
        IntegrityError: The sealed design is not the one that was frozen.
    """
    with deps.database.read() as session:
        trial_id = _trial_of(session, origin)
        number = audit.read_state(session, trial_id).design_reads.get(seq)
        if number is None:
            raise UnknownRecordError(what=f"design.read in the log {origin} at entry", name=seq)
        made = {row.number for row in queries.list_lists(session, trial_id)}
        frozen = None if number in made else queries.find_frozen_design(session, trial_id, number)
        row = frozen or queries.read_list(session, trial_id, number)
        sealed = row.design_sealed
    return deps.sealer.open_design(origin, seq, sealed)


def _trial_of(session: Reading, origin: str) -> str:
    for row in queries.list_trials(session):
        if row.origin == origin:
            return row.id
    raise UnknownRecordError(what="trial with the log", name=origin)


def _check(
    session: Reading,
    trial_id: str,
    stored: RandomizationList,
    known: ListState,
    spent: Sequence[Assigned],
) -> Iterator[ListCheck]:
    sealing = max(known.wraps)
    rows = list(queries.read_sealed_slots(session, trial_id, stored.number, sealing))
    leaves = [row.leaf for row in rows]
    public = (stored.root, tuple(stored.slots), stored.design_sha256)
    yield ListCheck(
        "logged",
        public == (known.root, known.slots, known.design_sha256),
        "the stored root, slots and design hash are those of list.sealed",
    )
    yield _check_places(rows, known)
    found = root_of(leaves).hex() if leaves else ""
    yield ListCheck("root", found == known.root, f"the stored leaves lead to {known.root}")
    yield _check_nodes(session, trial_id, stored.number, leaves)
    wrap = queries.read_sealing(session, trial_id, stored.number, sealing).wrap
    yield ListCheck(
        "key",
        hashlib.sha256(wrap).hexdigest() == known.wraps[sealing].wrap_sha256,
        f"the wrapped key of sealing {sealing} is the logged one",
    )
    yield _check_spent({(row.stratum, row.slot): row.leaf.hex() for row in rows}, spent)


def _check_places(rows: Sequence[SealedSlotRow], known: ListState) -> ListCheck:
    places = [(stratum, slot) for stratum, slots in enumerate(known.slots) for slot in range(slots)]
    whole = [(row.stratum, row.slot) for row in rows] == places
    same = {len(row.blob) for row in rows} == {BLOB_BYTES}
    detail = f"{len(places)} sealed slots in their places, each of {BLOB_BYTES} bytes"
    return ListCheck("slots", whole and same, detail)


def _check_nodes(
    session: Reading, trial_id: str, number: int, leaves: Sequence[bytes]
) -> ListCheck:
    nodes = {(level, position): value for level, position, value in inner_nodes(leaves)}
    places = list(nodes)
    stored: dict[tuple[int, int], bytes] = {}
    for at in range(0, len(places), _AT_ONCE):
        stored |= queries.read_list_nodes(session, trial_id, number, places[at : at + _AT_ONCE])
    return ListCheck("tree", stored == nodes, "the stored tree is that of the leaves")


def _check_spent(leaves: Mapping[tuple[int, int], str], spent: Sequence[Assigned]) -> ListCheck:
    same = all(leaves.get((item.stratum, item.slot)) == item.leaf for item in spent)
    return ListCheck("spent", same, f"{len(spent)} spent slots are the ones that the log names")
