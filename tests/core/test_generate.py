"""Generation: the vectors, a second implementation from the written rules, and properties."""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.draw import draw_block_size, keyed_mac, seeded_words
from alloc_service.core.generate import (
    Opening,
    derive_key,
    derive_keys,
    draw_arms,
    generate,
    leaf_index,
    slot_at,
)
from alloc_service.core.merkle import leaf_hash
from alloc_service.core.seed import Seed
from alloc_service.errors import ListFileError

VECTORS = Path(__file__).parents[1] / "vectors"
KEY = hashlib.sha256(b"a fixed list key for tests").hexdigest()
SALT = hashlib.sha256(b"a fixed salt for tests").hexdigest()
SEED = Seed(hashlib.sha256(b"a fixed seed for tests").hexdigest())

TRIAL = Design(
    "NCT01728727",
    1,
    (Arm("MSC", 1), Arm("CONV", 1)),
    (BlockSize(4, 1), BlockSize(6, 1)),
    tuple(
        Stratum(f"cp={cp};meld={meld}", 240) for cp in ("9-10", "11-15") for meld in ("<20", ">=20")
    ),
    SALT,
)

salts = st.binary(min_size=32, max_size=32).map(bytes.hex)
seeds = salts.filter(lambda digits: len(set(digits)) > 1).map(Seed)


@st.composite
def designs(draw: st.DrawFn, slots: tuple[int, int] = (1, 60)) -> Design:
    ratios = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    repeats = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4, unique=True))
    return Design(
        trial="EXAMPLE-01",
        list=draw(st.integers(1, 9)),
        arms=tuple(Arm(f"arm-{n}", ratio) for n, ratio in enumerate(ratios)),
        blocks=tuple(BlockSize(n * sum(ratios), draw(st.integers(1, 5))) for n in repeats),
        strata=tuple(
            Stratum(f"s{n}", length)
            for n, length in enumerate(draw(st.lists(st.integers(*slots), min_size=1, max_size=4)))
        ),
        salt=draw(salts),
    )


def vector(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("name", ["gen1", "gen2"])
def test_the_vector_is_reproduced_byte_for_byte(name: str) -> None:
    given_, expect = vector(name), vector(name)["expect"]
    design = Design.from_bytes(given_["design_jcs"].encode("utf-8"))
    seed = Seed(given_["seed"])

    generated = generate(design, seed)
    openings = list(generated.openings())

    assert derive_key(design, seed, "list") == expect["list_key"]
    assert derive_key(design, seed, "nonce") == expect["nonce_key"]
    assert ["".join(arms) for arms in generated.arms] == expect["lists"]
    assert openings[0].text == expect["first_opening"]
    assert openings[0].leaf.hex() == expect["first_leaf"]
    assert generated.leaves[:32].hex() == expect["first_leaf"]
    assert len(generated.leaves) == 32 * expect["size"] == 32 * len(openings)
    assert generated.root == expect["root"]
    text = "".join(f"{opening.text}\n" for opening in openings)
    assert hashlib.sha256(text.encode("ascii")).hexdigest() == expect["openings_sha256"]


# --- a second implementation, from the written rules and nothing of the package --------------


def mac(key: str, message: str) -> str:
    return hmac.digest(key.encode("ascii"), message.encode("ascii"), "sha256").hex()


def words_by_rule(key: str, s: int, b: int) -> Iterator[int]:
    for c in count():
        code = mac(key, f"rac-gen/1|block|{s}|{b}|{c}")
        yield from (int(code[at : at + 8], 16) for at in range(0, 64, 8))


def below_by_rule(m: int, words: Iterator[int]) -> int:
    if m == 1:
        return 0
    return next(word for word in words if word < 2**32 - 2**32 % m) % m


def stratum_by_rule(document: dict[str, Any], s: int, key: str) -> list[str]:
    ratios = sum(arm["ratio"] for arm in document["arms"])
    out: list[str] = []
    for b in count():
        if len(out) >= document["strata"][s]["slots"]:
            return out[: document["strata"][s]["slots"]]
        words = words_by_rule(key, s, b)
        types = [block["size"] for block in document["blocks"] for _ in range(block["weight"])]
        n = types[below_by_rule(len(types), words)]
        x: list[str] = []
        for arm in document["arms"]:
            x += [arm["code"]] * (arm["ratio"] * n // ratios)
        for i in reversed(range(1, n)):
            j = below_by_rule(i + 1, words)
            x[i], x[j] = x[j], x[i]
        out += x
    raise AssertionError


def root_by_rule(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    left, right = root_by_rule(leaves[:k]), root_by_rule(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@given(design=designs(), seed=seeds)
@settings(deadline=None, max_examples=60)
def test_a_second_implementation_gives_the_same_list(design: Design, seed: Seed) -> None:
    data = design.to_bytes()
    document, d = json.loads(data), hashlib.sha256(data).hexdigest()
    list_key = mac(seed.digits, f"rac-gen/1|list|{d}")
    nonce_key = mac(seed.digits, f"rac-gen/1|nonce|{d}")
    lists = [stratum_by_rule(document, s, list_key) for s in range(len(document["strata"]))]
    openings = [
        f"rac-slot/1|{d}|{s}|{i}|{arm}|{mac(nonce_key, f'rac-gen/1|nonce|{s}|{i}')}"
        for s, arms in enumerate(lists)
        for i, arm in enumerate(arms)
    ]
    leaves = [hashlib.sha256(b"\x00" + text.encode("ascii")).digest() for text in openings]

    generated = generate(design, seed)

    assert [list(arms) for arms in generated.arms] == lists
    assert [opening.text for opening in generated.openings()] == openings
    assert generated.leaves == b"".join(leaves)
    assert generated.root == root_by_rule(leaves).hex()


# --- properties -----------------------------------------------------------------------------


@given(design=designs(), seed=seeds)
@settings(deadline=None)
def test_every_stratum_is_cut_to_exactly_its_slots(design: Design, seed: Seed) -> None:
    generated = generate(design, seed)

    assert [len(arms) for arms in generated.arms] == [item.slots for item in design.strata]
    assert len(generated.leaves) == 32 * design.slots


@given(design=designs())
@settings(deadline=None)
def test_every_block_of_a_list_is_exact_to_the_ratio_and_the_last_one_is_cut(
    design: Design,
) -> None:
    key = keyed_mac(KEY)
    for stratum in range(len(design.strata)):
        arms = list(draw_arms(design, stratum, key))
        for block in count():
            size = draw_block_size(design.blocks, seeded_words(key, stratum, block))
            held = Counter(arms[:size])
            full = {arm.code: arm.ratio * size // design.ratio_sum for arm in design.arms}
            if len(arms) <= size:
                assert all(held[code] <= full[code] for code in full)
                break
            assert held == full
            arms = arms[size:]


@given(design=designs(), more=st.integers(1, 60), at=st.integers(0, 3))
@settings(deadline=None)
def test_a_stratum_does_not_depend_on_the_others(design: Design, more: int, at: int) -> None:
    key = keyed_mac(KEY)
    changed = list(design.strata)
    at %= len(changed)
    changed[at] = Stratum("another code", changed[at].slots + more)
    other = replace(design, list=design.list + 1, strata=(*changed, Stratum("one more", more)))

    for stratum in range(len(design.strata)):
        drawn, again = draw_arms(design, stratum, key), draw_arms(other, stratum, key)
        assert again[: len(drawn)] == drawn
        assert (again == drawn) is (stratum != at)


@given(design=designs(), more=st.integers(1, 200))
@settings(deadline=None)
def test_under_the_same_keys_a_longer_list_begins_with_the_shorter_one(
    design: Design, more: int
) -> None:
    key = keyed_mac(KEY)
    strata = tuple(Stratum(item.code, item.slots + more) for item in design.strata)
    longer = replace(design, strata=strata)

    for stratum, short in enumerate(design.strata):
        assert draw_arms(longer, stratum, key)[: short.slots] == draw_arms(design, stratum, key)


@given(design=designs(slots=(80, 120)), seed=seeds, other=seeds)
@settings(deadline=None, max_examples=40)
def test_another_seed_is_another_list(design: Design, seed: Seed, other: Seed) -> None:
    first, second = generate(design, seed), generate(design, other)

    assert first == generate(design, seed)
    assert (first == second) is (seed == other)
    assert (first.arms == second.arms) is (seed == other)
    assert (first.root == second.root) is (seed == other)


@given(design=designs(slots=(80, 120)), salt=salts, seed=seeds)
@settings(deadline=None, max_examples=40)
def test_another_salt_is_another_list(design: Design, salt: str, seed: Seed) -> None:
    first, second = generate(design, seed), generate(replace(design, salt=salt), seed)

    assert (first.arms == second.arms) is (design.salt == salt)
    assert (first.root == second.root) is (design.salt == salt)


CHANGES: dict[str, dict[str, Any]] = {
    "the trial": {"trial": "TEST-NCT01728727"},
    "the list's number": {"list": 2},
    "the order of the blocks": {"blocks": TRIAL.blocks[::-1]},
    "the weight of a block": {"blocks": (BlockSize(4, 1), BlockSize(6, 2))},
    "a stratum's code": {"strata": (Stratum("x", 240), *TRIAL.strata[1:])},
    "one slot more": {"strata": (Stratum(TRIAL.strata[0].code, 241), *TRIAL.strata[1:])},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_another_design_under_the_same_seed_is_another_list(changes: dict[str, Any]) -> None:
    """So an extension of a list with the old seed does not continue the old list."""
    first, second = generate(TRIAL, SEED), generate(replace(TRIAL, **changes), SEED)

    assert all(one[:240] != other[:240] for one, other in zip(first.arms, second.arms, strict=True))
    first_leaves = {first.leaves[at : at + 32] for at in range(0, len(first.leaves), 32)}
    assert not any(
        second.leaves[at : at + 32] in first_leaves for at in range(0, len(second.leaves), 32)
    )


def test_the_strata_of_a_list_differ_from_one_another() -> None:
    generated = generate(TRIAL, SEED)

    assert len(set(generated.arms)) == 4
    assert len({opening.nonce for opening in generated.openings()}) == 960


def test_derived_keys_are_apart_and_reusable() -> None:
    list_key, nonce_key = derive_keys(TRIAL, SEED)

    assert list_key.hexdigest() != nonce_key.hexdigest()
    assert draw_arms(TRIAL, 0, list_key) == draw_arms(TRIAL, 0, list_key)
    assert generate(TRIAL, SEED).arms[0] == draw_arms(TRIAL, 0, list_key)


# --- openings ---------------------------------------------------------------------------------


def test_the_openings_stand_in_order_under_their_leaves() -> None:
    generated = generate(TRIAL, SEED)
    slots = tuple(stratum.slots for stratum in TRIAL.strata)

    for at, opening in enumerate(generated.openings()):
        assert leaf_index(slots, opening.stratum, opening.slot) == at
        assert opening == generated.opening(opening.stratum, opening.slot)
        assert opening.arm == generated.arms[opening.stratum][opening.slot]
        assert opening.leaf == generated.leaves[32 * at : 32 * at + 32]
        assert opening.leaf == leaf_hash(opening.text.encode("ascii"))
        assert Opening.parse(opening.text) == opening


@pytest.mark.parametrize(("stratum", "slot"), [(-1, 0), (0, -1), (4, 0), (0, 240), (0, 10**9)])
def test_a_slot_that_the_list_has_not_is_refused(stratum: int, slot: int) -> None:
    generated = generate(TRIAL, SEED)

    with pytest.raises(ListFileError, match="no such slot"):
        generated.opening(stratum, slot)
    with pytest.raises(ListFileError, match="no such slot"):
        leaf_index((240, 240, 240, 240), stratum, slot)


def test_strata_of_different_lengths_have_their_leaves_one_after_the_other() -> None:
    slots = (3, 1, 2)
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)]

    assert [leaf_index(slots, *place) for place in places] == list(range(6))
    assert [slot_at(slots, index) for index in range(6)] == places
    with pytest.raises(ListFileError, match="stratum 1, slot 1"):
        leaf_index(slots, 1, 1)


@pytest.mark.parametrize("index", [-1, 6, 7, 10**9])
def test_a_leaf_that_the_list_has_not_has_no_slot(index: int) -> None:
    with pytest.raises(ListFileError, match=f"leaf {index}: the list has no such slot"):
        slot_at((3, 1, 2), index)


@given(slots=st.lists(st.integers(1, 50), min_size=1, max_size=8), data=st.data())
def test_a_slot_and_its_leaf_name_each_other(slots: list[int], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, sum(slots) - 1))

    assert leaf_index(slots, *slot_at(slots, index)) == index


D = "37d71f680e002b485967f055b125537078e593798269c0bf8043bb2979b9ab2b"
N = "cd784d66a66ca726ee037d24247594dcfd98ba49d691d5a323ac87a726a7a221"
GOOD_OPENING = f"rac-slot/1|{D}|0|0|A|{N}"

SPOILT = {
    "nothing": "",
    "another version": f"rac-slot/2|{D}|0|0|A|{N}",
    "a hash too short": f"rac-slot/1|{D[1:]}|0|0|A|{N}",
    "a hash in upper case": f"rac-slot/1|{D.upper()}|0|0|A|{N}",
    "a stratum with a leading zero": f"rac-slot/1|{D}|00|0|A|{N}",
    "a stratum below zero": f"rac-slot/1|{D}|-1|0|A|{N}",
    "a stratum with a plus sign": f"rac-slot/1|{D}|+1|0|A|{N}",
    "a stratum past the last possible": f"rac-slot/1|{D}|1000|0|A|{N}",
    "a stratum of 5,000 digits": f"rac-slot/1|{D}|{'9' * 5_000}|0|A|{N}",
    "a stratum in digits of another script": f"rac-slot/1|{D}|\u0661|0|A|{N}",
    "a slot with a leading zero": f"rac-slot/1|{D}|0|01|A|{N}",
    "a slot past the last possible": f"rac-slot/1|{D}|0|1000000|A|{N}",
    "a slot of 5,000 digits": f"rac-slot/1|{D}|0|{'9' * 5_000}|A|{N}",
    "no slot": f"rac-slot/1|{D}|0||A|{N}",
    "no arm": f"rac-slot/1|{D}|0|0||{N}",
    "a bar in the arm": f"rac-slot/1|{D}|0|0|A|B|{N}",
    "a space in the arm": f"rac-slot/1|{D}|0|0|A |{N}",
    "an arm too long": f"rac-slot/1|{D}|0|0|{'A' * 33}|{N}",
    "an arm past ASCII": f"rac-slot/1|{D}|0|0|é|{N}",
    "a nonce too long": f"{GOOD_OPENING}0",
    "a nonce in upper case": f"rac-slot/1|{D}|0|0|A|{N.upper()}",
    "a line end": f"{GOOD_OPENING}\n",
    "padding": f"{GOOD_OPENING}\x00",
    "a space before": f" {GOOD_OPENING}",
}


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT.keys())
def test_an_opening_that_is_spelled_otherwise_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ListFileError, match="rac-slot/1 demands") as refusal:
        Opening.parse(text)

    assert N[:16] not in str(refusal.value).lower()
    assert str(refusal.value) == "opening: not spelled as rac-slot/1 demands."


def test_the_largest_places_are_read() -> None:
    opening = Opening.parse(f"rac-slot/1|{D}|999|999999|{'._+-' * 8}|{N}")

    assert (opening.stratum, opening.slot) == (999, 999_999)
    assert len(opening.text.encode("ascii")) <= 256
