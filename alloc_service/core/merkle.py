"""The RFC 6962 tree over anything ordered: the openings of a list, the entries of a log.

Leaf = SHA-256(0x00 ‖ data), node = SHA-256(0x01 ‖ left ‖ right), the root of nothing is
SHA-256(""). A tree is kept as its complete subtrees, named (level, position): such a node never
changes once it is there, so an append adds about one node and a root or a proof reads O(log n).
Level 0 holds the leaves. Proofs are as in RFC 6962, sections 2.1.1 and 2.1.2; a consistency
proof from size 0 would prove nothing, and is refused.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from alloc_service.errors import TreeError

HASH_BYTES = 32

Place: TypeAlias = tuple[int, int]
ReadNodes: TypeAlias = Callable[[Collection[Place]], Mapping[Place, bytes]]

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the 32-byte leaf hash of one entry or opening."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: O(log n) hashes that give the root of every size."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []  # complete subtrees, largest first: one for each bit of size

    def append(self, leaf: bytes) -> None:
        """Add one 32-byte leaf hash; about one inner hash each."""
        edge = self._edge
        below = self.size
        while below & 1:
            leaf = node_hash(edge.pop(), leaf)
            below >>= 1
        edge.append(leaf)
        self.size += 1

    def grow(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf hash; return (level, position, hash) of the subtrees that it completes."""
        added = []
        level, position = 0, self.size
        for left in reversed(self._edge[len(self._edge) - _trailing_ones(self.size) :]):
            leaf = node_hash(left, leaf)
            level, position = level + 1, position >> 1
            added.append((level, position, leaf))
        del self._edge[len(self._edge) - level :]
        self._edge.append(leaf)
        self.size += 1
        return added

    def next_path(self) -> list[bytes]:
        """Return the audit path that the next leaf will have as the last one, lowest first."""
        return self._edge[::-1]

    def root(self) -> bytes:
        """Return the 32-byte root of the leaves so far."""
        return _join(self._edge) if self._edge else EMPTY_ROOT

    def copy(self) -> "Frontier":
        """Return a tree of the same leaves that grows apart from this one."""
        twin = Frontier()
        twin.size, twin._edge = self.size, self._edge.copy()
        return twin


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a whole list of 32-byte leaf hashes."""
    level: Sequence[bytes] = leaves
    if not level:
        return EMPTY_ROOT
    sha256 = hashlib.sha256
    while len(level) > 1:
        pairs = iter(level)
        above = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=False)
        ]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def inner_nodes(leaves: Sequence[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, position, hash) of every complete subtree above the leaves."""
    level: Sequence[bytes] = leaves
    height = 0
    while len(level) > 1:
        height += 1
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        for position, value in enumerate(level):
            yield height, position, value


def root_at(size: int, read: ReadNodes) -> bytes:
    """Return the root of the first `size` leaves from the stored nodes.

    Raises:
        TreeError: `read` does not give a node that is asked for.
    """
    return _join(_fetch(_cover(0, size), read)) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: ReadNodes) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, lowest first.

    Raises:
        TreeError: There is no such leaf, or `read` does not give a node that is asked for.
    """
    if not 0 <= index < size:
        raise TreeError(rule=f"there is no leaf {index} in a tree of size {size}")
    return _hash_ranges(_path(index, 0, size), read)


def consistency_proof(old: int, new: int, read: ReadNodes) -> list[bytes]:
    """Return the proof that the tree of size `old` is a prefix of the one of size `new`.

    Raises:
        TreeError: `old` is 0, which proves nothing, or larger than `new`; or `read` does not
            give a node that is asked for.
    """
    _check_sizes(old, new)
    return _hash_ranges(_subproof(old, 0, new, whole=True), read)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf` is at `index` under `root`.

    A proof binds the leaf to the root, not the size to the root: one and the same path can fit
    two sizes. So size and root are taken together, from one checkpoint or one log entry.

    Raises:
        TreeError: It is not, or the proof or a hash has the wrong length.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise TreeError(rule=f"there is no leaf {index} in a tree of size {size}")
    _check_lengths([leaf, *proof])
    at, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise TreeError(rule="the inclusion proof is too long")
        if at & 1 or at == last:
            value = node_hash(sibling, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    if last or value != root:
        raise TreeError(rule=f"leaf {index} is not under the root of size {size}")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of size `old` is a prefix of the tree of size `new`.

    Each size and its root are taken together, as for `verify_inclusion`.

    Raises:
        TreeError: It is not, or `old` is 0, which proves nothing, or a hash has the wrong length.

    Source: RFC 9162, section 2.1.4.2.
    """
    _check_sizes(old, new)
    _check_lengths([old_root, *proof])
    if old == new:
        if proof or old_root != new_root:
            raise TreeError(rule=f"the two roots of size {old} differ, or their proof is not empty")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise TreeError(rule="the consistency proof is empty")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for value in path[1:]:
        if last == 0:
            raise TreeError(rule="the consistency proof is too long")
        if at & 1 or at == last:
            first, second = node_hash(value, first), node_hash(value, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, value)
        at, last = at >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise TreeError(rule=f"the tree of size {old} is no prefix of the tree of size {new}")


def _check_sizes(old: int, new: int) -> None:
    if old <= 0:
        raise TreeError(rule="a consistency proof from size 0 proves nothing")
    if old > new:
        raise TreeError(rule=f"size {old} is larger than size {new}")


def _check_lengths(hashes: Sequence[bytes]) -> None:
    # A "leaf" of another length would let an inner node pass for one: node = SHA(0x01 ‖ l ‖ r).
    if any(len(value) != HASH_BYTES for value in hashes):
        raise TreeError(rule=f"a hash is not {HASH_BYTES} bytes long")


def _fetch(places: Sequence[Place], read: ReadNodes) -> list[bytes]:
    known = read(places) if places else {}
    for level, position in places:
        if (level, position) not in known:
            raise TreeError(rule=f"node {position} of level {level} is missing in the stored tree")
    return [known[place] for place in places]


def _trailing_ones(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1


def _split(count: int) -> int:
    """Return the largest power of two below `count`: the size of the left subtree."""
    return 1 << ((count - 1).bit_length() - 1)


def _cover(start: int, end: int) -> list[Place]:
    """Return the complete subtrees that make [start, end), left to right; start is aligned."""
    places = []
    while start < end:
        level = (end - start).bit_length() - 1
        places.append((level, start >> level))
        start += 1 << level
    return places


def _join(hashes: Sequence[bytes]) -> bytes:
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value


def _path(index: int, start: int, end: int) -> list[tuple[int, int]]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle), (middle, end)]
    return [*_path(index, middle, end), (start, middle)]


def _subproof(old: int, start: int, end: int, *, whole: bool) -> list[tuple[int, int]]:
    """Return SUBPROOF(old, D[start:end], whole) of RFC 6962 as ranges of leaves."""
    if old == end - start:
        return [] if whole else [(start, end)]
    left = _split(end - start)
    middle = start + left
    if old <= left:
        return [*_subproof(old, start, middle, whole=whole), (middle, end)]
    return [*_subproof(old - left, middle, end, whole=False), (start, middle)]


def _hash_ranges(ranges: Sequence[tuple[int, int]], read: ReadNodes) -> list[bytes]:
    covers = [_cover(start, end) for start, end in ranges]
    found = iter(_fetch([place for cover in covers for place in cover], read))
    return [_join([next(found) for _ in cover]) for cover in covers]
