"""Design and seed make one list: arms in order, an opening for each slot, one root.

`rac-gen/1`: KL = MAC(S, "rac-gen/1|list|" D) and KN = MAC(S, "rac-gen/1|nonce|" D). Blocks
0, 1, 2… of a stratum are joined and cut to exactly `slots`, so that the public count says
nothing about the block sizes. The opening of slot i is `rac-slot/1|D|s|i|ARM|NONCE`; its leaf
hash is the commitment, and the tree over all leaves, strata in order and slots in order, gives
the root that is logged before the first enrolment. Neither block number nor size is in it.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from alloc_service.core.design import Design
from alloc_service.core.draw import Mac, draw_block_size, keyed_mac, permuted_block, seeded_words
from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.core.secret import Secret
from alloc_service.core.seed import Seed
from alloc_service.errors import ListFileError

_OPENING = re.compile(
    # An index has the digits that 1,000 strata and 1,000,000 slots need, and no more.
    r"rac-slot/1\|([0-9a-f]{64})\|(0|[1-9][0-9]{0,2})\|(0|[1-9][0-9]{0,5})"
    r"\|([A-Za-z0-9._+-]{1,32})\|([0-9a-f]{64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Opening(Secret):
    """What a sealed slot holds: its place, and its arm and nonce, which no repr shows."""

    design_sha256: str
    stratum: int
    slot: int
    arm: str = field(repr=False)
    nonce: str = field(repr=False)

    @property
    def text(self) -> str:
        """Return the one spelling that is hashed and sealed."""
        return f"rac-slot/1|{self.design_sha256}|{self.stratum}|{self.slot}|{self.arm}|{self.nonce}"

    @property
    def leaf(self) -> bytes:
        """Return the 32-byte commitment to this slot."""
        return leaf_hash(self.text.encode("ascii"))

    @classmethod
    def parse(cls, text: str) -> "Opening":
        """Read an opening strictly.

        Raises:
            ListFileError: The text is not spelled as an opening; it is not repeated.
        """
        match = _OPENING.fullmatch(text)
        if match is None:
            raise ListFileError(where="opening", rule="not spelled as rac-slot/1 demands")
        return cls(match[1], int(match[2]), int(match[3]), match[4], match[5])


@dataclass(frozen=True, slots=True, repr=False)
class GeneratedList(Secret):
    """A whole list in clear, for its statistician or its sealing; hidden from reprs.

    Two lists are equal when design, arms and leaves are: the leaves hold the nonces.

    Attributes:
        design: What it was made from.
        arms: For each stratum, the arm code of each slot.
        leaves: The commitments, 32 bytes each, strata in order and slots in order; public.
        root: HEX32 root of the tree over the leaves; public.
    """

    design: Design
    arms: tuple[tuple[str, ...], ...]
    leaves: bytes
    root: str
    _nonce_key: Mac = field(compare=False)

    def opening(self, stratum: int, slot: int) -> Opening:
        """Return one slot's opening.

        Raises:
            ListFileError: The list has no such slot.
        """
        if not (0 <= stratum < len(self.arms) and 0 <= slot < len(self.arms[stratum])):
            raise _no_such_slot(stratum, slot)
        mac = self._nonce_key.copy()
        mac.update(b"rac-gen/1|nonce|%d|%d" % (stratum, slot))
        arm = self.arms[stratum][slot]
        return Opening(self.design.sha256, stratum, slot, arm, mac.hexdigest())

    def openings(self) -> Iterator[Opening]:
        """Yield every opening, strata in order and slots in order."""
        for stratum, arms in enumerate(self.arms):
            for slot in range(len(arms)):
                yield self.opening(stratum, slot)


def generate(design: Design, seed: Seed) -> GeneratedList:
    """Return the list of a design and a seed; the same two always give the same list."""
    list_key, nonce_key = derive_keys(design, seed)
    arms = tuple(draw_arms(design, stratum, list_key) for stratum in range(len(design.strata)))
    leaves = list(_leaves(design, arms, nonce_key))
    return GeneratedList(design, arms, b"".join(leaves), root_of(leaves).hex(), nonce_key)


def derive_keys(design: Design, seed: Seed) -> tuple[Mac, Mac]:
    """Return the list key and the nonce key of a design and a seed, ready to use."""
    return (
        keyed_mac(derive_key(design, seed, "list")),
        keyed_mac(derive_key(design, seed, "nonce")),
    )


def derive_key(design: Design, seed: Seed, purpose: str) -> str:
    """Return KL or KN as 64 hexadecimal digits; as secret as the seed."""
    mac = keyed_mac(seed.digits)
    mac.update(f"rac-gen/1|{purpose}|{design.sha256}".encode("ascii"))
    return mac.hexdigest()


def draw_arms(design: Design, stratum: int, list_key: Mac) -> tuple[str, ...]:
    """Return the arm codes of one stratum: blocks joined, cut to its slots.

    A longer list under the same keys begins with the shorter one's slots.
    """
    slots = design.strata[stratum].slots
    drawn: list[str] = []
    block = 0
    while len(drawn) < slots:
        words = seeded_words(list_key, stratum, block)
        size = draw_block_size(design.blocks, words)
        drawn += permuted_block(design.arms, size, words)
        block += 1
    return tuple(drawn[:slots])


def leaf_index(slots: Sequence[int], stratum: int, slot: int) -> int:
    """Return where a slot's leaf stands in the list's tree.

    Args:
        slots: Slots of each stratum, as logged in `list.sealed`.
        stratum: Index from 0.
        slot: Index from 0.

    Raises:
        ListFileError: The list has no such slot.
    """
    if not (0 <= stratum < len(slots) and 0 <= slot < slots[stratum]):
        raise _no_such_slot(stratum, slot)
    return [0, *accumulate(slots)][stratum] + slot


def slot_at(slots: Sequence[int], index: int) -> tuple[int, int]:
    """Return the stratum and slot whose leaf stands at an index: the reverse of `leaf_index`."""
    ends = list(accumulate(slots))
    stratum = bisect_right(ends, index)
    if index < 0 or stratum == len(ends):
        raise ListFileError(where=f"leaf {index}", rule="the list has no such slot")
    return stratum, index - (ends[stratum] - slots[stratum])


def _no_such_slot(stratum: int, slot: int) -> ListFileError:
    return ListFileError(
        where=f"stratum {stratum}, slot {slot}",
        rule="the list has no such slot; both count from 0, as in the design",
    )


def _leaves(design: Design, strata: tuple[tuple[str, ...], ...], nonce_key: Mac) -> Iterator[bytes]:
    # The one loop over a million slots: the spelling of `Opening.text`, without its objects.
    sha256 = hashlib.sha256
    for stratum, arms in enumerate(strata):
        nonces = nonce_key.copy()
        nonces.update(b"rac-gen/1|nonce|%d|" % stratum)
        head = f"\x00rac-slot/1|{design.sha256}|{stratum}|"
        for slot, arm in enumerate(arms):
            mac = nonces.copy()
            mac.update(b"%d" % slot)
            yield sha256(f"{head}{slot}|{arm}|{mac.hexdigest()}".encode("ascii")).digest()
