"""The tree's public vectors, and what the log's and the seal's vectors say of it.

The public ones are the leaves, roots and proofs of the Certificate Transparency test suite.
"""

import json
from pathlib import Path

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
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parents[1] / "vectors"

PUBLIC_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
PUBLIC_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
LEAF_0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
PUBLIC_PATHS = [  # index, size, audit path
    (0, 1, []),
    (0, 8, [LEAF_1, N23, N47]),
    (5, 8, [LEAF_4, N67, N03]),
    (2, 3, [N01]),
    (1, 5, [LEAF_0, N23, LEAF_4]),
]
PUBLIC_CONSISTENCY = [  # old size, new size, proof
    (1, 1, []),
    (1, 8, [LEAF_1, N23, N47]),
    (6, 8, [N45, N67, N03]),
    (2, 5, [N23, LEAF_4]),
]


def nodes_of(leaves: list[bytes]) -> dict[Place, bytes]:
    nodes = {(level, position): value for level, position, value in inner_nodes(leaves)}
    return nodes | {(0, position): leaf for position, leaf in enumerate(leaves)}


LEAVES = [leaf_hash(bytes.fromhex(data)) for data in PUBLIC_LEAVES]
NODES = nodes_of(LEAVES)


def test_the_public_roots_are_reproduced() -> None:
    frontier = Frontier()

    for size, root in enumerate(PUBLIC_ROOTS):
        assert root_of(LEAVES[:size]).hex() == root
        assert root_at(size, lambda _: NODES).hex() == root
        assert frontier.root().hex() == root
        for leaf in LEAVES[size : size + 1]:
            frontier.append(leaf)


@pytest.mark.parametrize(("index", "size", "proof"), PUBLIC_PATHS)
def test_the_public_audit_paths_are_reproduced(index: int, size: int, proof: list[str]) -> None:
    made = inclusion_proof(index, size, lambda _: NODES)

    assert [value.hex() for value in made] == proof
    verify_inclusion(LEAVES[index], index, size, made, bytes.fromhex(PUBLIC_ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "proof"), PUBLIC_CONSISTENCY)
def test_the_public_consistency_proofs_are_reproduced(old: int, new: int, proof: list[str]) -> None:
    made = consistency_proof(old, new, lambda _: NODES)

    assert [value.hex() for value in made] == proof
    verify_consistency(
        old, new, bytes.fromhex(PUBLIC_ROOTS[old]), bytes.fromhex(PUBLIC_ROOTS[new]), made
    )


def test_the_tree_of_the_log_vector_is_reproduced() -> None:
    log = json.loads((VECTORS / "log.json").read_text("utf-8"))
    nodes = nodes_of([bytes.fromhex(leaf) for leaf in log["leaves"]])
    roots = {int(size): bytes.fromhex(root) for size, root in log["roots"].items()}
    index, size = log["inclusion"]["index"], log["inclusion"]["size"]
    old, new = log["consistency"]["old"], log["consistency"]["size"]

    audit_path = inclusion_proof(index, size, lambda _: nodes)
    proof = consistency_proof(old, new, lambda _: nodes)

    assert {size: root_at(size, lambda _: nodes) for size in roots} == roots
    assert [value.hex() for value in audit_path] == log["inclusion"]["proof"]
    assert [value.hex() for value in proof] == log["consistency"]["proof"]
    verify_inclusion(nodes[0, index], index, size, audit_path, roots[size])
    verify_consistency(old, new, roots[old], roots[new], proof)


def test_the_opening_of_the_seal_vector_is_under_its_root() -> None:
    seal = json.loads((VECTORS / "seal.json").read_text("utf-8"))
    size = json.loads((VECTORS / "gen2.json").read_text("utf-8"))["expect"]["size"]
    proof = [bytes.fromhex(value) for value in seal["inclusion_proof"]]

    leaf, root = leaf_hash(seal["opening"].encode("ascii")), bytes.fromhex(seal["root"])

    verify_inclusion(leaf, seal["leaf_index"], size, proof, root)
