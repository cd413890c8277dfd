"""The tree: every size to 256 against the definition, and every spoilt proof refused.

The reference is RFC 6962, section 2.1, as it is written there: recursive, over the leaves.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache

import pytest

from alloc_service.core.merkle import (
    EMPTY_ROOT,
    Frontier,
    Place,
    consistency_proof,
    inclusion_proof,
    inner_nodes,
    leaf_hash,
    node_hash,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from alloc_service.errors import TreeError

LARGEST = 256
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(LARGEST)]
LARGER_SIZES = (65, 96, 127, 128, 129, 200, 255, 256)


# --- the definition ---------------------------------------------------------------------------


def split(count: int) -> int:
    k = 1
    while 2 * k < count:
        k *= 2
    return k


@cache
def mth(start: int, end: int) -> bytes:
    """MTH(D[start:end])."""
    if end - start == 1:
        return hashlib.sha256(b"\x00entry %d" % start).digest()
    k = split(end - start)
    return hashlib.sha256(b"\x01" + mth(start, start + k) + mth(start + k, end)).digest()


@cache
def path(m: int, start: int, end: int) -> tuple[bytes, ...]:
    """PATH(m, D[start:end])."""
    if end - start == 1:
        return ()
    k = split(end - start)
    if m < k:
        return (*path(m, start, start + k), mth(start + k, end))
    return (*path(m - k, start + k, end), mth(start, start + k))


@cache
def subproof(m: int, start: int, end: int, whole: bool) -> tuple[bytes, ...]:
    """SUBPROOF(m, D[start:end], whole)."""
    if m == end - start:
        return () if whole else (mth(start, end),)
    k = split(end - start)
    if m <= k:
        return (*subproof(m, start, start + k, whole), mth(start + k, end))
    return (*subproof(m - k, start + k, end, False), mth(start, start + k))


# --- a store as the database keeps it --------------------------------------------------------


class Store:
    """Complete subtrees by place, grown leaf by leaf; it remembers how much was read."""

    def __init__(self) -> None:
        self.nodes: dict[Place, bytes] = {}
        self.size = 0
        self.reads: list[int] = []
        self._tree = Frontier()

    def read(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        self.reads.append(len(places))
        return {place: self.nodes[place] for place in places}

    def append(self, leaf: bytes) -> None:
        for level, position, value in [(0, self.size, leaf), *self._tree.grow(leaf)]:
            assert (level, position) not in self.nodes  # a node is written once
            self.nodes[level, position] = value
        self.size += 1


def store_of(size: int) -> Store:
    store = Store()
    for leaf in LEAVES[:size]:
        store.append(leaf)
    return store


STORE = store_of(LARGEST)


def every_size() -> Iterator[Store]:
    store = Store()
    for leaf in LEAVES:
        store.append(leaf)
        yield store


def test_the_prefixes_keep_leaves_and_nodes_apart() -> None:
    left, right = LEAVES[:2]

    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").digest()
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()
    assert leaf_hash(left + right) != node_hash(left, right)
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT == root_of([]) == Frontier().root()


# --- all sizes to 256 -------------------------------------------------------------------------


def test_the_root_of_every_size_is_the_one_of_the_definition() -> None:
    frontier = Frontier()
    for store in every_size():
        frontier.append(LEAVES[store.size - 1])
        expected = mth(0, store.size)

        assert root_of(LEAVES[: store.size]) == expected
        assert root_at(store.size, store.read) == expected
        assert frontier.root() == expected
        assert frontier.size == store.size


def test_every_inclusion_proof_is_the_one_of_the_definition_and_verifies() -> None:
    for store in every_size():
        size = store.size
        for index in range(size):
            proof = inclusion_proof(index, size, store.read)

            assert tuple(proof) == path(index, 0, size)
            verify_inclusion(LEAVES[index], index, size, proof, mth(0, size))


def test_every_consistency_proof_is_the_one_of_the_definition_and_verifies() -> None:
    for store in every_size():
        new = store.size
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, store.read)

            assert tuple(proof) == subproof(old, 0, new, True)
            verify_consistency(old, new, mth(0, old), mth(0, new), proof)


def test_a_proof_of_an_older_size_is_the_same_from_a_larger_store() -> None:
    for size in range(1, LARGEST + 1):
        assert root_at(size, STORE.read) == mth(0, size)
        assert tuple(inclusion_proof(size // 2, size, STORE.read)) == path(size // 2, 0, size)
        old = size // 3 + 1
        assert tuple(consistency_proof(old, size, STORE.read)) == subproof(old, 0, size, True)


def test_the_inner_nodes_of_a_whole_list_are_those_that_appending_adds() -> None:
    for store in every_size():
        inner = {(level, at): value for level, at, value in inner_nodes(LEAVES[: store.size])}

        assert inner == {place: value for place, value in store.nodes.items() if place[0] > 0}
        assert all(
            value == mth(at << level, (at + 1) << level) for (level, at), value in inner.items()
        )


def test_an_empty_list_has_no_inner_nodes() -> None:
    assert list(inner_nodes([])) == []


def test_roots_and_proofs_read_at_most_a_few_nodes_in_one_call() -> None:
    for size in (1, 2, 3, 64, 200, 255, 256):
        store = store_of(size)
        store.reads.clear()
        root_at(size, store.read)
        inclusion_proof(size - 1, size, store.read)
        inclusion_proof(0, size, store.read)
        consistency_proof(max(1, size // 2 + 1), size, store.read)

        assert len(store.reads) <= 4
        assert max(store.reads) <= 2 * 9


def test_a_copy_of_a_frontier_grows_apart() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:5]:
        frontier.append(leaf)
    twin = frontier.copy()
    twin.append(LEAVES[9])
    frontier.append(LEAVES[5])

    assert frontier.root() == mth(0, 6)
    assert twin.root() == root_of([*LEAVES[:5], LEAVES[9]])
    assert (frontier.size, twin.size) == (6, 6)


# --- what is refused --------------------------------------------------------------------------


def refused(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
    except TreeError:
        return True
    return False


def spoilt(proof: tuple[bytes, ...]) -> Iterator[list[bytes]]:
    """Every hash flipped, dropped, repeated, swapped with its neighbour, cut or drawn out."""
    extra = LEAVES[7]
    yield [*proof, extra]
    yield [extra, *proof]
    for at, value in enumerate(proof):
        before, after = list(proof[:at]), list(proof[at + 1 :])
        yield [*before, bytes([value[0] ^ 1]) + value[1:], *after]
        yield [*before, value[:-1] + bytes([value[-1] ^ 0x80]), *after]
        yield [*before, *after]
        yield [*before, value, value, *after]
        yield [*before, value[:-1], *after]
        yield [*before, value + b"\x00", *after]
        if after:
            yield [*before, after[0], value, *after[1:]]
            yield [*before, value + after[0], *after[1:]]


def sizes_to_spoil() -> list[int]:
    return [*range(1, 65), *LARGER_SIZES]


def test_every_spoilt_inclusion_proof_is_refused() -> None:
    for size in sizes_to_spoil():
        root = mth(0, size)
        for index in range(0, size, 1 if size <= 64 else 17):
            for proof in spoilt(path(index, 0, size)):
                assert refused(verify_inclusion, LEAVES[index], index, size, proof, root)


def test_an_inclusion_proof_holds_for_its_leaf_index_and_root_alone() -> None:
    for size in sizes_to_spoil():
        root = mth(0, size)
        for index in range(0, size, 1 if size <= 64 else 17):
            leaf, proof = LEAVES[index], path(index, 0, size)
            for other in range(0, size, 1 if size <= 32 else 13):
                if other != index:
                    assert refused(verify_inclusion, leaf, other, size, proof, root)
                    assert refused(verify_inclusion, LEAVES[other], index, size, proof, root)
            for wrong in (-1, size, size + 1, 2 * size):
                assert refused(verify_inclusion, leaf, wrong, size, proof, root)
            for other in {1, 2, 3, size - 1, size + 1, 2 * size, LARGEST} - {size, 0}:
                if other <= LARGEST:
                    other_root = mth(0, other)
                    assert refused(verify_inclusion, leaf, index, other, proof, other_root)
                    assert refused(verify_inclusion, leaf, index, size, proof, other_root)


def test_every_spoilt_consistency_proof_is_refused() -> None:
    for new in sizes_to_spoil():
        for old in range(1, new + 1, 1 if new <= 64 else 17):
            roots = mth(0, old), mth(0, new)
            for proof in spoilt(subproof(old, 0, new, True)):
                assert refused(verify_consistency, old, new, *roots, proof)


def test_a_consistency_proof_holds_for_its_sizes_and_roots_alone() -> None:
    for new in sizes_to_spoil():
        for old in range(1, new + 1, 1 if new <= 64 else 17):
            old_root, new_root, proof = mth(0, old), mth(0, new), subproof(old, 0, new, True)
            flipped = bytes([old_root[0] ^ 1]) + old_root[1:]
            assert refused(verify_consistency, old, new, flipped, new_root, proof)
            flipped = bytes([new_root[0] ^ 1]) + new_root[1:]
            assert refused(verify_consistency, old, new, old_root, flipped, proof)
            if old != new:
                assert refused(verify_consistency, old, new, new_root, old_root, proof)
                assert refused(verify_consistency, new, old, new_root, old_root, proof)
            for other in {1, 2, old - 1, old + 1, new - 1, new} - {old, 0}:
                assert refused(verify_consistency, other, new, mth(0, other), new_root, proof)
            for other in {1, old, new - 1, new + 1, 2 * new} - {new, 0}:
                if other <= LARGEST:
                    assert refused(verify_consistency, old, other, old_root, mth(0, other), proof)


def test_a_history_with_one_entry_changed_is_no_continuation() -> None:
    for changed in range(40):
        forged = [*LEAVES[:changed], leaf_hash(b"forged"), *LEAVES[changed + 1 : 50]]
        store = Store()
        for leaf in forged:
            store.append(leaf)
        proof = consistency_proof(40, 50, store.read)

        with pytest.raises(TreeError, match="size 40 is no prefix of the tree of size 50"):
            verify_consistency(40, 50, mth(0, 40), root_of(forged), proof)


@pytest.mark.parametrize("new", [0, 1, 2, 8, 255, 256])
def test_consistency_from_size_0_is_refused_by_prover_and_verifier(new: int) -> None:
    with pytest.raises(TreeError, match="from size 0 proves nothing"):
        consistency_proof(0, new, STORE.read)
    with pytest.raises(TreeError, match="from size 0 proves nothing"):
        verify_consistency(0, new, EMPTY_ROOT, mth(0, new) if new else EMPTY_ROOT, [])
    with pytest.raises(TreeError, match="proves nothing"):
        verify_consistency(-1, new, EMPTY_ROOT, EMPTY_ROOT, [])


def test_a_tree_does_not_shrink() -> None:
    with pytest.raises(TreeError, match="size 9 is larger than size 8"):
        consistency_proof(9, 8, STORE.read)
    with pytest.raises(TreeError, match="size 9 is larger than size 8"):
        verify_consistency(9, 8, mth(0, 9), mth(0, 8), list(subproof(8, 0, 9, True)))


def test_an_empty_proof_between_two_sizes_is_refused() -> None:
    with pytest.raises(TreeError, match="the consistency proof is empty"):
        verify_consistency(3, 7, mth(0, 3), mth(0, 7), [])
    with pytest.raises(TreeError, match="no prefix"):
        verify_consistency(4, 7, mth(0, 4), mth(0, 7), [])


def test_two_roots_of_one_size_are_refused() -> None:
    verify_consistency(7, 7, mth(0, 7), mth(0, 7), [])
    with pytest.raises(TreeError, match="the two roots of size 7 differ"):
        verify_consistency(7, 7, mth(0, 7), mth(1, 8), [])
    with pytest.raises(TreeError, match="their proof is not empty"):
        verify_consistency(7, 7, mth(0, 7), mth(0, 7), [mth(0, 7)])


def test_proofs_that_are_too_long_say_so() -> None:
    with pytest.raises(TreeError, match="the inclusion proof is too long"):
        verify_inclusion(LEAVES[0], 0, 1, [LEAVES[1]], LEAVES[0])
    with pytest.raises(TreeError, match="the consistency proof is too long"):
        verify_consistency(1, 2, mth(0, 1), mth(0, 2), [LEAVES[1], LEAVES[2]])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (8, 8), (-1, 8), (9, 8)])
def test_a_leaf_that_the_tree_has_not_is_refused(index: int, size: int) -> None:
    with pytest.raises(TreeError, match=f"no leaf {index} in a tree of size {size}"):
        inclusion_proof(index, size, STORE.read)
    with pytest.raises(TreeError, match=f"no leaf {index} in a tree of size {size}"):
        verify_inclusion(LEAVES[0], index, size, [], EMPTY_ROOT)


def test_an_inner_node_does_not_pass_for_a_leaf() -> None:
    """Without a check of lengths, "" with the two children joined would give the root."""
    joined = mth(0, 2) + mth(2, 4)
    assert node_hash(b"", joined) == mth(0, 4)

    with pytest.raises(TreeError, match="not 32 bytes long"):
        verify_inclusion(b"", 0, 2, [joined], mth(0, 4))
    with pytest.raises(TreeError, match="not 32 bytes long"):
        verify_inclusion(joined, 0, 2, [b""], mth(0, 4))
    with pytest.raises(TreeError, match="not 32 bytes long"):
        verify_consistency(1, 2, b"", mth(0, 4), [joined])


def test_a_proof_fits_the_root_so_size_and_root_are_taken_together() -> None:
    """The same path leads from leaf 0 to the root of 3 leaves if somebody says there are 4."""
    verify_inclusion(LEAVES[0], 0, 4, path(0, 0, 3), mth(0, 3))

    with pytest.raises(TreeError):
        verify_inclusion(LEAVES[0], 0, 4, path(0, 0, 3), mth(0, 4))


def test_a_proof_too_short_for_the_size_is_refused_even_where_it_leads_to_the_root() -> None:
    with pytest.raises(TreeError, match="not under the root of size 5"):
        verify_inclusion(LEAVES[0], 0, 5, path(0, 0, 3), mth(0, 3))
    with pytest.raises(TreeError, match="no prefix of the tree of size 9"):
        verify_consistency(4, 9, mth(0, 4), mth(0, 5), subproof(4, 0, 5, True))
