"""A slot on its way to the sealer: its blob, and the proof of its leaf under the logged root.

The leaf is proved before a slot is spent too: one that somebody edited would be logged with the
slot, which could then never be opened.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from alloc_service.core.generate import leaf_index, slot_at
from alloc_service.core.merkle import Place, inclusion_proof, verify_inclusion
from alloc_service.errors import ListFileError, SealedSlotError, TreeError, UnknownRecordError
from alloc_service.log.state import ListState
from alloc_service.sealing.sealer import SlotToOpen
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading

_AHEAD = 32
_MOST = 20_000


class SealingTree:
    """The nodes of a sealed list's tree that were read so far, and what is read ahead of use.

    A sealed list never changes, so a node that was read once is good for as long as it leads to
    the logged root; where it does not, all are forgotten. Slots are spent in order: with the
    nodes of one proof come those of the next slots'.

    Args:
        trial_id: Whose list.
        number: The list's.
        known: What the log says of it; its last sealing is read.
    """

    def __init__(self, trial_id: str, number: int, known: ListState) -> None:
        self._sealing = trial_id, number, max(known.wraps)
        self._slots, self._size = known.slots, sum(known.slots)
        self._root = bytes.fromhex(known.root)
        self._nodes: dict[Place, bytes] = {}

    def read_slot(self, session: Reading, place: tuple[int, int]) -> tuple[bytes, SlotToOpen]:
        """Return the leaf at (stratum, slot) and what opens its blob, proved.

        Raises:
            SealedSlotError: Some of it is missing, or the leaf is not under the logged root.
        """
        index, size = leaf_index(self._slots, *place), self._size
        with hiding_places():
            leaf, blob, wrap = queries.read_slot_and_wrap(session, *self._sealing, place)
            try:
                read = partial(self._read, session, index)
                proof = tuple(inclusion_proof(index, size, read))
                verify_inclusion(leaf, index, size, proof, self._root)
            except TreeError:
                self._nodes.clear()
                raise
        return leaf, SlotToOpen(blob, wrap, proof)

    def _read(
        self, session: Reading, index: int, wanted: Collection[Place]
    ) -> Mapping[Place, bytes]:
        if any(place not in self._nodes for place in wanted):
            if len(self._nodes) > _MOST:
                self._nodes.clear()
            places = {*wanted, *_places_near(index, self._size)}
            self._fetch(session, [place for place in places if place not in self._nodes])
        return self._nodes

    def _fetch(self, session: Reading, places: Collection[Place]) -> None:
        trial_id, number, _ = self._sealing
        indices = {slot_at(self._slots, at): at for level, at in places if level == 0}
        leaves = queries.read_sealed_leaves(session, *self._sealing, list(indices))
        inner = [place for place in places if place[0] > 0]
        self._nodes.update(queries.read_list_nodes(session, trial_id, number, inner))
        self._nodes.update({(0, indices[at]): leaf for at, leaf in leaves.items()})


def _places_near(index: int, size: int) -> Iterator[Place]:
    """Yield the complete subtrees beside the paths of this leaf and of those that come next."""
    first, last, level = index, min(index + _AHEAD, size) - 1, 0
    while (1 << level) <= size:
        for position in range(first, last + 1):
            beside = position ^ 1
            if (beside + 1) << level <= size:
                yield level, beside
        first, last, level = first >> 1, last >> 1, level + 1


@contextlib.contextmanager
def hiding_places() -> Iterator[None]:
    """Turn refusals that name the place of a slot into one that does not.

    They reach people at the sites, for whom order within a stratum helps to find block ends.
    """
    try:
        yield
    except (TreeError, ListFileError, UnknownRecordError):
        rule = (
            "what the database holds of it does not lead to the logged list; nothing is spent or "
            "shown until the list is sealed again or its rows are restored"
        )
        raise SealedSlotError(rule=rule) from None
