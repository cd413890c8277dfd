"""Bundles whose lists, ceremonies or seeds are not the logged ones, and why they are refused."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.ceremony_hashes import hash_share, hash_shares
from alloc_service.core.design import Design
from alloc_service.core.seed import Seed
from alloc_service.log.bundle_seed import OpenedSeed
from tests.support.alone import verdict
from tests.support.bundle_attacks import (
    FULL,
    SMALL,
    Change,
    Members,
    attacks,
    drop,
    edited,
    put,
    refusal,
    refused,
    replaced,
)
from tests.support.bundles import Evidence, MadeList, design_of, members_of, small_evidence
from tests.support.chain import PHYSICIAN, hex32

LEAVES, OPENINGS = "lists/1/leaves.bin", "lists/1/openings.txt"
OPENED = SMALL.lists[1].generated


def line(index: int, stratum: int, slot: int) -> bytes:
    return f"{index}\t{OPENED.opening(stratum, slot).text}\n".encode()


@attacks(
    (drop(LEAVES), "leaves.bin: it is missing, and the log has sealed"),
    (put(LEAVES, OPENED.leaves[:-1]), "not of 14 leaves"),
    (put(LEAVES, OPENED.leaves[32:] + OPENED.leaves[:32]), "its root is not the one"),
    (put("lists/2/leaves.bin", b""), "lists/2: the log has sealed no list"),
    (put(OPENINGS, b"0 x\n"), "line 1 is not an index"),
    (put(OPENINGS, line(0, 0, 0)[:-1]), "line 1 is not an index"),
    (put(OPENINGS, line(1, 0, 1) + line(0, 0, 0)), "not sorted by index"),
    (put(OPENINGS, line(0, 0, 0) * 2), "not sorted by index"),
    (put(OPENINGS, line(7, 0, 7)), "index 7 is of no slot that is spent"),
    (put(OPENINGS, line(99, 0, 7)), "index 99 is of no slot that is spent"),
    (put(OPENINGS, b"0\tSUN\n"), "index 0 has no opening"),
    (put(OPENINGS, line(0, 0, 1)), "the opening of index 0 is of another stratum or slot"),
    (replaced(OPENINGS, b"|SUN|", b"|MOON|"), "is not the one that its leaf commits to"),
    (
        replaced(OPENINGS, OPENED.design.sha256.encode(), hex32("D").encode()),
        "the opening of index 0 is of another design",
    ),
)
def test_leaves_and_openings_that_are_not_the_logged_ones_are_refused(
    change: Change, rule: str
) -> None:
    assert rule in refused(SMALL, change)


def test_a_leaf_that_was_logged_in_another_place_is_refused() -> None:
    evidence = small_evidence()
    body = {**evidence.chain.slot("x", 1, 2), "leaf": evidence.lists[1].leaf(1, 3)}
    evidence.chain.add("slot.assigned", by=PHYSICIAN, **body)

    assert "the leaf that entry 12 logged is not in its place" in (
        refusal(evidence, evidence.bundle())
    )


DESIGN = "lists/1/design.json"


@attacks(
    (put(DESIGN, b"{}"), "it is no design"),
    (put(DESIGN, b"["), "it is no design"),
    (put(DESIGN, design_of(1, (8, 7)).to_bytes()), "its hash is not the one"),
)
def test_a_design_that_is_not_the_frozen_one_is_refused(change: Change, rule: str) -> None:
    assert rule in refused(SMALL, change)


@pytest.mark.parametrize(
    ("design", "rule"),
    [
        (replace(design_of(1), trial="OTHER"), "of another trial"),
        (design_of(3), "of another trial or list"),
    ],
    ids=["trial", "list"],
)
def test_a_frozen_design_of_another_trial_or_list_is_refused(design: Design, rule: str) -> None:
    evidence = Evidence()
    made = MadeList(design, OpenedSeed(Seed(hex32("s"))))
    evidence.chain.add("design.frozen", list=1, design_sha256=made.design.sha256)
    root = made.generated.root
    body = evidence.chain.sealed(1, design_sha256=made.design.sha256, root=root, slots=[8, 6])
    evidence.chain.add("list.sealed", **body)
    evidence.lists[1] = made

    assert rule in refusal(evidence, evidence.bundle(unblinded=True))


def test_a_design_of_other_slots_than_the_sealed_ones_is_refused() -> None:
    evidence = Evidence()
    made = MadeList(design_of(1), OpenedSeed(Seed(hex32("s"))))
    evidence.freeze(made)
    body = evidence.chain.sealed(
        1, design_sha256=made.design.sha256, root=made.generated.root, slots=[7, 7]
    )
    evidence.chain.add("list.sealed", **body)
    evidence.lists[1] = made

    assert "its slots are not those of list.sealed" in (
        refusal(evidence, evidence.bundle(unblinded=True))
    )


CEREMONY, SEED = "lists/1/ceremony.json", "lists/1/seed.json"
DOCUMENT = parse_object(members_of(FULL.bundle())[CEREMONY])
DRAND: dict[str, Json] = {"kind": "drand-quicknet", "chain": hex32("c"), "round": 1}


@attacks(
    (put(CEREMONY, b"{"), "ceremony.json: it is not canonical JSON"),
    (edited(CEREMONY, alg="rac-seed/2"), "not spelled as rac-seed/1"),
    (edited(CEREMONY, more=1), "not spelled as rac-seed/1"),
    (edited(CEREMONY, parties="dmc"), "a party is not of an id"),
    (edited(CEREMONY, parties=[{"id": "dmc"}]), "a party is not of an id"),
    (edited(CEREMONY, parties=[{"id": "dmc", "commitment": "x"}]), "commitment is no HEX32"),
    (edited(CEREMONY, parties=[{"id": 1, "commitment": hex32("x")}]), "id is no text"),
    (
        edited(CEREMONY, parties=[{"id": "a", "commitment": hex32("x")}] * 2),
        "not sorted, each once",
    ),
    (edited(CEREMONY, beacon={"kind": "dice"}), "its beacon is of no kind"),
    (edited(CEREMONY, beacon="x"), "its beacon is of no kind"),
    (edited(CEREMONY, beacon={**DRAND, "round": 0}), "its beacon is of no kind"),
    (edited(CEREMONY, beacon={**DRAND, "round": True}), "its beacon is of no kind"),
    (edited(CEREMONY, beacon={**DRAND, "chain": "x"}), "its beacon is of no kind"),
    (
        edited(CEREMONY, beacon={"kind": "public-string", "source": 1}),
        "its beacon is of no kind",
    ),
    (edited(CEREMONY, ceremony="c-2"), "its hash is not the doc_sha256"),
    (put("lists/2/ceremony.json", canon(DOCUMENT)), "the log has no ceremony of this list"),
    (put(SEED, b"{"), "seed.json: it is not canonical JSON"),
    (edited(SEED, alg="rac-escrow/1"), "not spelled as rac-seed-opened/1"),
    (edited(SEED, beacon="x"), "its beacon is no HEX32"),
    (edited(SEED, reveals="x"), "a reveal is no HEX32"),
    (edited(SEED, reveals=["x"]), "a reveal is no HEX32"),
    (edited(SEED, reveals=[None]), "a reveal is no HEX32"),
    (edited(SEED, seed="x"), "its seed is none"),
    (edited(SEED, seed=None), "its seed is none"),
    (edited(SEED, beacon=None), "its beacon is not the logged one"),
    (edited(SEED, beacon=hex32("b")), "its beacon is not the logged one"),
    (edited(SEED, reveals=[hex32("r")]), "a reveal is missing or extra"),
    (
        edited(SEED, reveals=[hex32("r")] * 3),
        "the reveal of dmc is not what dmc had committed to",
    ),
    (edited(SEED, seed=hex32("s")), "not the one that reveals and beacon give"),
    (edited("lists/2/seed.json", seed=hex32("s")), "gives another list than the sealed one"),
    (edited("lists/2/seed.json", beacon=hex32("s")), "the list had no ceremony"),
    (edited("lists/2/seed.json", reveals=[hex32("s")]), "the list had no ceremony"),
)
def test_ceremonies_and_seeds_that_are_not_the_logged_ones_are_refused(
    change: Change, rule: str
) -> None:
    assert rule in refused(FULL, change)


def test_a_seed_before_the_end_is_refused() -> None:
    evidence = Evidence().add_list()
    early = evidence.lists[1].opened.to_bytes()

    assert "the trial is not closed" in refused(evidence, put(SEED, early))


def announced(**changed: Json) -> str:
    """Return why a bundle is refused whose announced document was wrong from the start."""
    evidence = Evidence()
    made = MadeList(design_of(1), OpenedSeed(Seed(hex32("s"))))
    evidence.freeze(made)
    logged = hash_share(made.design.sha256, "c", "dmc", hex32("r"))
    evidence.chain.add("seed.committed", ceremony="c", list=1, party="dmc", commitment=logged)
    evidence.chain.add("seed.deposited", ceremony="c", party="dmc")
    document: dict[str, Json] = {
        "alg": "rac-seed/1",
        "beacon": None,
        "ceremony": "c",
        "design_sha256": made.design.sha256,
        "parties": [{"commitment": logged, "id": "dmc"}],
    }
    value = changed.pop("value", None)
    made.ceremony = canon({**document, **changed})
    hashed = hashlib.sha256(made.ceremony).hexdigest()
    evidence.chain.add("seed.announced", ceremony="c", list=1, doc_sha256=hashed)
    if value is not None:
        evidence.chain.add("seed.beacon", ceremony="c", value=value)
    evidence.seal(made)
    return refusal(evidence, evidence.bundle())


def test_a_document_that_was_wrong_when_it_was_announced_is_refused() -> None:
    party: dict[str, Json] = {"commitment": hex32("other"), "id": "dmc"}
    source: dict[str, Json] = {"kind": "public-string", "source": "x"}

    assert "it is not of the logged ceremony c" in announced(ceremony="d")
    assert "it is for another design" in announced(design_sha256=hex32("D"))
    assert "not those that seed.committed logged" in announced(parties=[party])
    assert "it awaits no beacon, and the log holds one" in announced(value=hex32("v"))
    assert "it awaits a beacon, and none is logged" in announced(beacon=source)
    assert "the logged beacon is not the hash of its source" in announced(
        beacon=source, value=hex32("v")
    )


def test_a_higher_list_that_was_taken_while_a_lower_one_had_a_slot_is_refused() -> None:
    evidence = Evidence().add_list(1).add_list(2).assign(0).assign(0, number=2)

    said = refusal(evidence, evidence.bundle(unblinded=True))

    last = len(evidence.rows) - 1
    assert f"entry {last} took a slot of list 2, and list 1 had one left" in said
    good, told = verdict(evidence.bundle(), evidence.policy)
    assert good
    assert "Whether the lowest list with a slot left was always taken is not checked" in str(told)


def test_a_retired_list_is_no_choice() -> None:
    evidence = Evidence().add_list(1).add_list(2).assign(0)
    evidence.chain.recover(1)
    evidence.assign(0, number=2)

    good, _ = verdict(evidence.bundle(unblinded=True), evidence.policy)

    assert good


@pytest.fixture
def seed_vector() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "vectors" / "seed.json"
    vector: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return vector


def test_a_seed_is_combined_by_the_formula_of_the_vectors(seed_vector: dict[str, Any]) -> None:
    hashed, reveals = seed_vector["doc_sha256"], seed_vector["reveals"]

    assert hash_shares(hashed, reveals, seed_vector["beacon_value"]) == seed_vector["seed"]
    without = hashlib.sha256(canon({**seed_vector["doc"], "beacon": None})).hexdigest()
    assert hash_shares(without, reveals, None) == seed_vector["seed_without_beacon"]
    for party, reveal in zip(seed_vector["doc"]["parties"], reveals, strict=True):
        doc = seed_vector["doc"]
        found = hash_share(doc["design_sha256"], doc["ceremony"], party["id"], reveal)
        assert found == party["commitment"]


@attacks(
    (edited(SEED, reveals=[hex32("r")] * 3), "the reveal of dmc is not what dmc"),
    (edited(SEED, seed=hex32("s")), "not the one that reveals and beacon give"),
)
def test_who_leaves_out_the_document_of_a_ceremony_hides_no_other_seed(
    change: Change, rule: str
) -> None:
    def both(members: Members) -> None:
        change(members)
        del members[CEREMONY]

    assert rule in refused(FULL, both)
