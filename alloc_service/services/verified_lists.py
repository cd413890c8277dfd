"""Stored lists against the log: shape, root, wraps, and every leaf, node and blob.

The leaves of the stored slots must give the logged root. Where they do not, the stored tree tells
which of two slots was changed; where they do, the tree must be theirs. Whether a blob opens to its
leaf is the sealer's to say, which opens it and tells nothing more.

What is found is a text, of the first thing that is wrong, or None.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

from alloc_service.core.generate import leaf_index, slot_at
from alloc_service.core.merkle import Place, inner_nodes, root_of
from alloc_service.errors import FrozenError, IntegrityError, RefusalError, SealerHostError
from alloc_service.log.entry import Entry
from alloc_service.sealing.sealer import Sealer
from alloc_service.services import enrolments
from alloc_service.services.claims import Claims, ListClaim
from alloc_service.storage import rows
from alloc_service.storage.transactions import Reading

_CHANGED = "is not that of the leaves below it"
# After the last place that any slot or node can have.
_END = ((2**63, 2**63), b"")


@dataclass(frozen=True, slots=True)
class StoredLists:
    """The lists of one trial as they are stored, what the log claims of them, and the sealer.

    Attributes:
        session: A read; everything is of its one state.
        sealer: Opens blobs, to say that they open.
        origin: The log's.
        trial_id: Whose lists.
        claims: What the log says.
        unchecked: Grows by what was not there to check.
    """

    session: Reading
    sealer: Sealer
    origin: str
    trial_id: str
    claims: Claims
    unchecked: list[str] = field(default_factory=list)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of the lists that are stored."""
        for row in self._read("randomization_list"):
            yield row["number"]

    def find_fault(self, number: int) -> str | None:
        """Return what is wrong with a list, the first thing of it, or None."""
        claim = self.claims.lists.get(number)
        row = next(self._read("randomization_list", number=number), None)
        if claim is None:
            return f"list {number} is stored, and no entry of the log has sealed it"
        if row is not None:
            return (
                _compare_shape(number, row, claim, self._strata())
                or self._compare_wraps(number)
                or self._compare_slots(number, claim)
            )
        if number in self.claims.retired and not self._assigned(number):
            return None
        return (
            f"the rows of list {number} are lost: seal it again from its escrow, or retire it "
            "where none of its slots was spent"
        )

    def _strata(self) -> Sequence[str]:
        """Return the strata of the trial's definition; none where that cannot be read."""
        with contextlib.suppress(RefusalError):
            return enrolments.definition_of(self.session, self.trial_id).strata
        return ()

    def _compare_wraps(self, number: int) -> str | None:
        logged, stored = self.claims.wraps[number], self._sealings(number)
        for sealing, row in stored.items():
            of_list = f"of sealing {sealing} of list {number}"
            claim = logged.get(sealing)
            if claim is None:
                return f"sealing {sealing} of list {number} is stored and was never logged"
            if row["kid"] != claim.kid:
                return f"the kid {of_list} is not the logged one"
            if {row["wrap_sha256"], _sha256(row["wrap"])} != {claim.wrap_sha256}:
                return f"the wrap {of_list} is not the logged one"
        if max(logged) not in stored:
            return f"sealing {max(logged)} of list {number}, its last one, is not stored"
        self.unchecked.extend(
            f"Sealing {sealing} of list {number} is not stored any more; a later one is."
            for sealing in sorted(logged.keys() - stored.keys())
        )
        return None

    def _compare_slots(self, number: int, claim: ListClaim) -> str | None:
        leaves: list[bytes] = []
        sealings = self._sealings(number)
        for sealing in sealings:
            leaves.clear()
            fault = self._read_leaves(number, sealing, claim, leaves)
            if fault := fault or self._compare_tree(number, claim, leaves):
                return fault
        return self._compare_spent(number, claim, leaves) or self._open_blobs(
            number, sealings.popitem()[1], leaves
        )

    def _read_leaves(
        self, number: int, sealing: int, claim: ListClaim, leaves: list[bytes]
    ) -> str | None:
        """Fill in the leaves of a sealing, or return which slot is missing or too many."""
        wanted = (
            ((stratum, slot), b"")
            for stratum, count in enumerate(claim.slots)
            for slot in range(count)
        )
        rows_of_it = self._read("sealed_slot", list_number=number, sealing=sealing)
        stored = (((row["stratum"], row["slot"]), row["leaf"]) for row in rows_of_it)
        of_list = f"of sealing {sealing} of list {number}"
        for (place, _), (found, leaf) in zip_longest(wanted, stored, fillvalue=_END):
            if found < place:
                return f"{_show(found)} {of_list} is stored, and the list has none there"
            if place < found:
                return f"{_show(place)} {of_list} is not stored"
            leaves.append(leaf)
        return None

    def _compare_tree(self, number: int, claim: ListClaim, leaves: Sequence[bytes]) -> str | None:
        wrong = find_wrong_node(self._read("list_node", list_number=number), leaves)
        if root_of(leaves).hex() == claim.root:
            return None if wrong is None else f"the tree of list {number}: {wrong}"
        if wrong is None or (wrong.place[0], wrong.fault) != (1, _CHANGED):
            return f"the leaves of list {number} do not give the logged root"
        first, second = (_show(slot_at(claim.slots, 2 * wrong.place[1] + at)) for at in (0, 1))
        return f"in list {number} the leaf of {first} or of {second} was changed"

    def _compare_spent(self, number: int, claim: ListClaim, leaves: Sequence[bytes]) -> str | None:
        for entry in self._assigned(number):
            place = entry.body["stratum"], entry.body["slot"]
            if leaves[leaf_index(claim.slots, *place)].hex() != entry.body["leaf"]:
                return f"entry {entry.seq} names another leaf than {_show(place)} of list {number}"
        return None

    def _open_blobs(self, number: int, row: rows.Values, leaves: Sequence[bytes]) -> str | None:
        """Have the sealer open every blob of a sealing, for it to say that it can."""
        stored = self._read("sealed_slot", list_number=number, sealing=row["sealing"])
        blobs = (slot["blob"] for slot in stored)
        try:
            self.sealer.test_open(self.origin, number, row["wrap"], b"".join(leaves), blobs)
        except SealerHostError:
            self.unchecked.append(
                f"The blobs of list {number} were not opened: that is done on the sealer's host "
                "alone, by `alloc sealer accept`."
            )
        except FrozenError:
            self.unchecked.append(
                f"The blobs of list {number} were not opened: a frozen sealer opens nothing."
            )
        except IntegrityError as error:
            return f"sealing {row['sealing']} of list {number}: {error}"
        return None

    def _sealings(self, number: int) -> dict[int, rows.Values]:
        return {row["sealing"]: row for row in self._read("list_sealing", list_number=number)}

    def _assigned(self, number: int) -> list[Entry]:
        return [entry for entry in self.claims.assigned if entry.body["list"] == number]

    def _read(self, table: str, **of: object) -> Iterator[rows.Values]:
        return rows.read_rows(self.session, table, trial_id=self.trial_id, **of)


class WrongNode(NamedTuple):
    """The first stored node that is not the tree's, or that is not there."""

    place: Place
    fault: str

    def __str__(self) -> str:
        return f"its node {self.place[1]} of level {self.place[0]} {self.fault}"


def find_wrong_node(stored: Iterable[rows.Values], leaves: Sequence[bytes]) -> WrongNode | None:
    """Compare stored nodes with the complete subtrees over some leaves.

    Args:
        stored: Rows with level, position and hash, in that order.
        leaves: 32 bytes each.
    """
    wanted = (((level, position), value) for level, position, value in inner_nodes(leaves))
    rows_of_it = (((row["level"], row["position"]), row["hash"]) for row in stored)
    for (place, value), (found, held) in zip_longest(wanted, rows_of_it, fillvalue=_END):
        if found < place:
            return WrongNode(found, "is stored, and the tree has none there")
        if place < found:
            return WrongNode(place, "is not stored")
        if held != value:
            return WrongNode(place, _CHANGED)
    return None


def _compare_shape(
    number: int, row: rows.Values, claim: ListClaim, strata: Sequence[str]
) -> str | None:
    stored = ListClaim(row["design_sha256"], row["root"], tuple(row["slots"]))
    for name, one, other in zip(ListClaim._fields, stored, claim, strict=True):
        if one != other:
            return f"the {name} of list {number} is not the logged one"
    if tuple(row["strata"]) != tuple(strata or row["strata"][: len(claim.slots)]):
        return f"list {number} has other strata than the trial"
    return None


def _show(place: tuple[int, int]) -> str:
    return f"slot {place[1]} of stratum {place[0]}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
