"""The tree as it is stored: growing it without a store, and a store that has lost a node."""

from collections.abc import Callable, Collection, Mapping

import pytest

from alloc_service.core.merkle import (
    Frontier,
    Place,
    consistency_proof,
    inclusion_proof,
    inner_nodes,
    leaf_hash,
    root_at,
    root_of,
)
from alloc_service.errors import TreeError

LEAVES = [leaf_hash(b"entry %d" % number) for number in range(256)]


def nodes_of(size: int) -> dict[Place, bytes]:
    inner = {(level, position): value for level, position, value in inner_nodes(LEAVES[:size])}
    return inner | {(0, position): leaf for position, leaf in enumerate(LEAVES[:size])}


def test_growing_a_frontier_gives_the_nodes_that_an_append_completes() -> None:
    grown, appended, nodes = Frontier(), Frontier(), nodes_of(256)
    for size, leaf in enumerate(LEAVES):
        completed = nodes_of(size + 1).keys() - nodes_of(size).keys() - {(0, size)}
        appended.append(leaf)

        assert grown.grow(leaf) == [(*place, nodes[place]) for place in sorted(completed)]
        assert (grown.size, grown.root()) == (appended.size, appended.root())
        assert grown.root() == root_of(LEAVES[: size + 1])


@pytest.mark.parametrize("lost", [(0, 5), (1, 2), (2, 1), (1, 3)])
def test_a_node_that_the_store_has_lost_is_named(lost: Place) -> None:
    nodes = {place: value for place, value in nodes_of(11).items() if place != lost}

    def read(places: Collection[Place]) -> Mapping[Place, bytes]:
        return {place: nodes[place] for place in places if place in nodes}

    named = f"node {lost[1]} of level {lost[0]} is missing in the stored tree"
    proofs: list[Callable[[], object]] = [
        *(lambda size=size: root_at(size, read) for size in range(1, 12)),
        *(lambda index=index: inclusion_proof(index, 11, read) for index in range(11)),
        *(lambda old=old: consistency_proof(old, 11, read) for old in range(1, 12)),
    ]
    found = []
    for proof in proofs:
        try:
            proof()
        except TreeError as refusal:
            found.append(str(refusal))

    assert found
    assert all(named in text for text in found)
