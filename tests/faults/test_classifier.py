"""A classifier on all that is at rest of a slot predicts its arm no better than chance.

Ten lists of 512 slots are sealed and stored by the services, with a fixed seed for everything
random, and read back from the database as somebody finds them who has stolen it. The classifier
is told the arms of half of the slots and guesses the rest, twice: the later half of every list
from the earlier one, as a site could whose arms are known so far, and whole lists from others.
Then the same classifiers get slots that leak, in one bit, a length, an order, a number, a key
that is used twice; they find the arm, so they would have found it before.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alloc_service.core.generate import Opening
from alloc_service.core.merkle import leaf_hash
from alloc_service.sealing.envelope import BLOB_BYTES, PADDED_BYTES
from tests.faults.life import make_home
from tests.faults.slots_at_rest import (
    LISTS,
    SIZE,
    SLOTS,
    Bits,
    Slot,
    features_of,
    predict_by_bits,
    predict_by_likeness,
    read_slots,
    seal_lists,
)
from tests.support.postgres_server import PostgresServer

Predict = Callable[[Bits, Bits, Bits], Bits]

# Each arm has half of every whole block, so who knows the design alone is right half the time.
# Slots of a block are not independent: with m slots in a block, the variance of what is guessed
# right is at most m / (m - 1) times that of as many coins. The smallest block has 4.
SIGMA = math.sqrt(4 / 3 * 1 / 4 / (LISTS * SIZE / 2))
CHANCE = 4 * SIGMA
FOUND = 9 / 10
FAR_ABOVE_CHANCE = 1 / 2 + 12 * SIGMA
CODES = (b"CONV", b"MSC")
CLASSIFIERS: dict[str, Predict] = {"bits": predict_by_bits, "likeness": predict_by_likeness}
SPLITS = {
    "the later half of each list": np.tile(np.arange(SIZE) % SLOTS[0] < SLOTS[0] // 2, LISTS),
    "other lists": np.arange(LISTS * SIZE) < LISTS * SIZE // 2,
}


@pytest.fixture(scope="module")
def sealed(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], tuple[list[Slot], Bits]]:
    """Return a function that gives the slots at rest in a kind of database, and their arms."""

    @cache
    def read(kind: str) -> tuple[list[Slot], Bits]:
        folder, url = tmp_path_factory.mktemp("classified"), ""
        if kind == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            name = server.create_database(like=request.getfixturevalue("postgres_template"))
            url = server.url(name)
        with pytest.MonkeyPatch.context() as patch:
            life, arms = seal_lists(make_home(folder / "home", url), patch)
        slots = read_slots(life)
        if url:
            server.drop_database(name)
        first = arms[0][0]
        return slots, np.array([arm == first for one in arms for arm in one])

    return read


@pytest.fixture
def at_rest(kind: str, sealed: Callable[[str], tuple[list[Slot], Bits]]) -> tuple[list[Slot], Bits]:
    return sealed(kind)


def score(slots: list[Slot], arms: Bits, split: str, predict: Predict) -> float:
    """Return the part of the unknown half that is guessed right."""
    known = SPLITS[split]
    features = features_of(slots)
    guessed = predict(features[known], arms[known], features[~known])
    return float(np.mean(guessed == arms[~known]))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_what_is_at_rest_of_a_slot_predicts_its_arm_no_better_than_chance(
    at_rest: tuple[list[Slot], Bits], classifier: str, split: str
) -> None:
    slots, arms = at_rest
    assert len(slots) == len(arms) == LISTS * SIZE >= 4_000

    assert abs(score(slots, arms, split, CLASSIFIERS[classifier]) - 1 / 2) < CHANCE


def test_every_slot_at_rest_has_the_same_lengths_and_no_two_the_same_bytes(
    at_rest: tuple[list[Slot], Bits],
) -> None:
    slots, _ = at_rest

    assert {(len(slot.blob), len(slot.leaf)) for slot in slots} == {(BLOB_BYTES, 32)}
    assert len({slot.blob for slot in slots} | {slot.leaf for slot in slots}) == 2 * len(slots)


def test_both_databases_hold_the_same_slots(
    sealed: Callable[[str], tuple[list[Slot], Bits]],
) -> None:
    """The fixed seeds reach everything random of a slot, or this fails."""
    here, there = sealed("sqlite"), sealed("postgresql")

    assert [(one.leaf, one.blob) for one in here[0]] == [(one.leaf, one.blob) for one in there[0]]
    assert (here[1] == there[1]).all()


# --- that it would be found -------------------------------------------------------------------


def leak_a_bit(slot: Slot, arm: bool) -> Slot:
    blob = bytearray(slot.blob)
    blob[150] = blob[150] & 0xFB | arm << 2
    return replace(slot, blob=bytes(blob))


def leak_by_length(slot: Slot, arm: bool) -> Slot:
    return replace(slot, blob=slot.blob + bytes(arm))


def leak_by_order(slot: Slot, arm: bool) -> Slot:
    """Let the rows of one arm lie behind all of the other's."""
    return replace(slot, rank=slot.rank // 2 + arm * SIZE // 2)


def leak_by_commitment(slot: Slot, arm: bool) -> Slot:
    """Commit to an arm without a nonce of its own: who guesses it can compare."""
    return replace(slot, leaf=leaf_hash(CODES[arm]))


def leak_by_keystream(slot: Slot, arm: bool) -> Slot:
    """Seal every slot under the same key and nonce."""
    code, nonce = CODES[arm].decode(), slot.leaf.hex()
    plain = Opening("d" * 64, slot.stratum, slot.slot, code, nonce).text.encode()
    cipher = AESGCM(b"one key for all!" * 2)
    box = cipher.encrypt(bytes(12), plain.ljust(PADDED_BYTES, b"\x00"), b"")
    return replace(slot, blob=b"\x01" + bytes(12) + box)


def leak_by_few_nonces(slot: Slot, arm: bool) -> Slot:
    """Let slots of an arm share eight ciphertexts: no bit tells the arm, but all of them do."""
    drawn = np.random.default_rng((arm, slot.slot * 7 % 8)).bytes(BLOB_BYTES)
    return replace(slot, blob=drawn)


LEAKS: dict[str, tuple[Callable[[Slot, bool], Slot], str, float]] = {
    "one bit of the ciphertext": (leak_a_bit, "bits", FOUND),
    "its length": (leak_by_length, "bits", FOUND),
    "the order of the rows": (leak_by_order, "bits", FOUND),
    "a commitment without a nonce": (leak_by_commitment, "bits", FOUND),
    # The arm's place in an opening moves with the digits of the slot's number.
    "one keystream for all slots": (leak_by_keystream, "bits", FAR_ABOVE_CHANCE),
    "a few ciphertexts an arm": (leak_by_few_nonces, "likeness", FOUND),
}


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("leak", LEAKS)
def test_a_slot_that_leaks_its_arm_is_found_out(
    at_rest: tuple[list[Slot], Bits], leak: str, split: str
) -> None:
    slots, arms = at_rest
    change, classifier, least = LEAKS[leak]
    leaky = [change(slot, bool(arm)) for slot, arm in zip(slots, arms, strict=True)]

    assert score(leaky, arms, split, CLASSIFIERS[classifier]) > least


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_list_that_alternates_is_found_out_by_its_slot_numbers(
    at_rest: tuple[list[Slot], Bits],
) -> None:
    slots, _ = at_rest
    alternating = np.array([slot.slot % 2 == 1 for slot in slots])

    for split in SPLITS:
        assert score(slots, alternating, split, predict_by_bits) > FOUND
