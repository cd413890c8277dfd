"""Words, draws and blocks: the vectors, exact enumeration, and chi-square with a fixed key.

Critical values: NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.4, upper tail
of 0.001. The keys are fixed, so a test passes always or never; each was the first one tried.
"""

import hashlib
import hmac
import json
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import islice, permutations, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize
from alloc_service.core.draw import (
    below,
    draw_block_size,
    keyed_mac,
    permuted_block,
    seeded_words,
)
from alloc_service.errors import BlockSizeError, DesignError

VECTORS = Path(__file__).parents[1] / "vectors"
SMALL = json.loads((VECTORS / "small.json").read_text("utf-8"))
GEN1 = json.loads((VECTORS / "gen1.json").read_text("utf-8"))

CRITICAL = {2: 13.816, 5: 20.515, 14: 36.123, 19: 43.820, 35: 66.619}  # degrees of freedom: value

KEY = hashlib.sha256(b"a fixed key for tests").hexdigest()
A_AND_B = (Arm("A", 1), Arm("B", 1))
TWO_TO_ONE = (Arm("A", 2), Arm("B", 1))

word_lists = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30)


class Counted:
    """Injected words that count how many were read."""

    def __init__(self, words: Iterable[int]) -> None:
        self._words = iter(words)
        self.used = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        word = next(self._words)
        self.used += 1
        return word


def chi_square(observed: Mapping[Any, int], shares: Mapping[Any, Fraction]) -> float:
    """Return Pearson's statistic; every outcome must be one that has a share."""
    assert set(observed) <= set(shares)
    total = sum(observed.values())
    return float(
        sum((observed.get(key, 0) - total * p) ** 2 / (total * p) for key, p in shares.items())
    )


def equal_shares(outcomes: Iterable[Hashable]) -> dict[Hashable, Fraction]:
    found = set(outcomes)
    return dict.fromkeys(found, Fraction(1, len(found)))


def drawn_blocks(arms: tuple[Arm, ...], size: int, count: int) -> list[str]:
    key = keyed_mac(KEY)
    return ["".join(permuted_block(arms, size, seeded_words(key, 0, b))) for b in range(count)]


@pytest.mark.parametrize("row", SMALL["below"], ids=lambda row: f"below {row['m']}")
def test_the_vector_gives_this_number_after_this_many_words(row: dict[str, Any]) -> None:
    words = Counted(row["words"])

    assert below(row["m"], words) == row["result"]
    assert words.used == row["words_used"]


@pytest.mark.parametrize("row", SMALL["below"], ids=lambda row: f"below {row['m']}")
def test_the_last_word_below_the_limit_is_taken_and_the_limit_itself_is_not(
    row: dict[str, Any],
) -> None:
    m, limit = row["m"], row["limit"]
    last, first_refused = Counted([limit - 1]), Counted([min(limit, 2**32 - 1), 0])

    assert limit == 2**32 - 2**32 % m
    assert below(m, last) == (limit - 1) % m
    below(m, first_refused)
    assert first_refused.used == (0 if m == 1 else 1 + (limit < 2**32))


@pytest.mark.parametrize(
    ("bound", "words", "result"),
    [
        (3, [0xFFFFFFFF, 5], 2),
        (6, [0xFFFFFFFC, 0xFFFFFFFB], 5),
        (10, [0xFFFFFFFA, 0xFFFFFFF9], 9),
    ],
)
def test_the_injected_words_of_the_format_give_these_numbers(
    bound: int, words: list[int], result: int
) -> None:
    read = Counted(words)

    assert below(bound, read) == result
    assert read.used == 2


@given(bound=st.integers(1, 2**32), words=word_lists)
def test_a_draw_is_the_first_word_below_the_limit_modulo_the_bound(
    bound: int, words: list[int]
) -> None:
    limit = 2**32 - 2**32 % bound
    taken = [word for word in words if word < limit]
    read = Counted(words)

    if bound == 1:
        assert below(bound, read) == read.used == 0
    elif taken:
        assert below(bound, read) == taken[0] % bound
        assert read.used == words.index(taken[0]) + 1
    else:
        with pytest.raises(StopIteration):
            below(bound, read)


@pytest.mark.parametrize("bound", [255, 256, 257, 1_000, 16_000, 2**32 - 1, 2**32])
def test_a_bound_past_the_table_is_drawn_by_the_same_rule(bound: int) -> None:
    limit = 2**32 - 2**32 % bound

    assert below(bound, iter([limit - 1])) == bound - 1
    assert below(bound, iter([0])) == 0


@pytest.mark.parametrize("bound", [0, -1, -256, 2**32 + 1])
def test_a_bound_for_which_no_word_would_do_is_refused_at_once(bound: int) -> None:
    words = Counted([0, 1, 2])

    with pytest.raises(ValueError, match="from 1 to 2\\^32"):
        below(bound, words)
    assert words.used == 0


def test_the_stream_of_the_first_block_is_the_vector() -> None:
    words = seeded_words(keyed_mac(GEN1["expect"]["list_key"]), 0, 0)
    expected = struct.unpack(">8I", bytes.fromhex(SMALL["block_stream_gen1_s0_b0_c0"]))

    assert tuple(islice(words, 8)) == expected


@given(stratum=st.integers(0, 999), block=st.integers(0, 500_000))
def test_a_stream_is_eight_words_from_each_counter_in_turn(stratum: int, block: int) -> None:
    words = list(islice(seeded_words(keyed_mac(KEY), stratum, block), 20))
    codes = b"".join(
        hmac.digest(KEY.encode(), f"rac-gen/1|block|{stratum}|{block}|{c}".encode(), "sha256")
        for c in range(3)
    )

    assert words == list(struct.unpack(">24I", codes))[:20]


def test_openssl_repeats_a_code_by_hand() -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed, so the recipe by hand cannot be run")
    mac = keyed_mac(KEY)
    mac.update(b"rac-gen/1|block|0|0|0")

    answer = subprocess.run(
        [openssl, "dgst", "-sha256", "-hmac", KEY],
        input=b"rac-gen/1|block|0|0|0",
        capture_output=True,
        check=True,
    )

    assert answer.stdout.split()[-1].decode() == mac.hexdigest()


def test_streams_of_one_key_do_not_disturb_one_another() -> None:
    key = keyed_mac(KEY)
    alone = list(islice(seeded_words(key, 1, 1), 20))
    first, second = seeded_words(key, 0, 0), seeded_words(key, 1, 1)

    together = [pair[1] for pair in islice(zip(first, second, strict=False), 20)]

    assert together == alone


@given(
    ratios=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    repeats=st.integers(1, 6),
    block=st.integers(0, 10_000),
)
@settings(deadline=None)
def test_a_block_holds_each_arm_in_its_exact_ratio(
    ratios: list[int], repeats: int, block: int
) -> None:
    arms = [Arm(f"arm-{n}", ratio) for n, ratio in enumerate(ratios)]
    words = seeded_words(keyed_mac(KEY), 0, block)

    drawn = permuted_block(arms, sum(ratios) * repeats, words)

    assert Counter(drawn) == {arm.code: arm.ratio * repeats for arm in arms}


@pytest.mark.parametrize("size", [0, -3, 1, 2, 4, 7])
def test_a_size_that_cannot_hold_the_ratio_is_refused(size: int) -> None:
    words = Counted([0] * 10)

    with pytest.raises(BlockSizeError, match="multiple of 3") as refusal:
        permuted_block(TWO_TO_ONE, size, words)

    assert isinstance(refusal.value, DesignError)
    assert refusal.value.code == "bad-block-size"
    assert words.used == 0


def test_a_shuffle_swaps_from_the_last_place_down() -> None:
    arms = (Arm("A", 1), Arm("B", 1), Arm("C", 1), Arm("D", 1))
    words = Counted([1, 0, 1])  # D with B, then C with A, then nothing moves

    assert permuted_block(arms, 4, words) == ["C", "D", "A", "B"]
    assert words.used == 3


@pytest.mark.parametrize(
    ("arms", "size"),
    [
        (A_AND_B, 2),
        (A_AND_B, 4),
        (A_AND_B, 6),
        (TWO_TO_ONE, 3),
        (TWO_TO_ONE, 6),
        ((Arm("A", 1), Arm("B", 1), Arm("C", 1)), 6),
        ((Arm("A", 3), Arm("B", 2), Arm("C", 1)), 6),
    ],
)
def test_every_order_comes_from_the_same_number_of_draws(arms: tuple[Arm, ...], size: int) -> None:
    """Exact: all words that can differ are tried, so no order is likelier than another."""
    draws = product(*(range(last + 1) for last in range(size - 1, 0, -1)))
    orders = Counter(tuple(permuted_block(arms, size, iter(draw))) for draw in draws)
    unit = sum(arm.ratio for arm in arms)
    codes = [arm.code for arm in arms for _ in range(arm.ratio * size // unit)]

    assert set(orders) == set(permutations(codes))
    assert len(set(orders.values())) == 1


@pytest.mark.parametrize(
    ("arms", "size", "count", "freedom"),
    [
        (A_AND_B, 4, 12_000, 5),  # 6 orders
        (A_AND_B, 6, 12_000, 19),  # 20 orders
        (TWO_TO_ONE, 3, 6_000, 2),  # 3 orders
        (TWO_TO_ONE, 6, 9_000, 14),  # 15 orders
        ((Arm("A", 1), Arm("B", 1), Arm("C", 1)), 3, 6_000, 5),  # 6 orders
    ],
)
def test_the_orders_of_a_block_are_equally_likely(
    arms: tuple[Arm, ...], size: int, count: int, freedom: int
) -> None:
    observed = Counter(drawn_blocks(arms, size, count))
    block = "".join(arm.code * (arm.ratio * size // sum(a.ratio for a in arms)) for arm in arms)
    shares = equal_shares("".join(order) for order in permutations(block))

    assert len(shares) == freedom + 1
    assert chi_square(observed, shares) < CRITICAL[freedom]


def test_a_block_says_nothing_about_the_next_one() -> None:
    blocks = drawn_blocks(A_AND_B, 4, 36_000)
    pairs = Counter(zip(blocks[::2], blocks[1::2], strict=True))
    shares = equal_shares(product(set(blocks), repeat=2))

    assert len(shares) == 36
    assert chi_square(pairs, shares) < CRITICAL[35]


def test_the_statistic_would_catch_a_shuffle_that_is_off_by_one() -> None:
    key = keyed_mac(KEY)
    observed: Counter[str] = Counter()
    for number in range(12_000):
        words = seeded_words(key, 0, number)
        block = list("AABB")
        for last in range(3, 0, -1):
            pick = below(last, words)  # the mistake: the last place is never kept
            block[last], block[pick] = block[pick], block[last]
        observed["".join(block)] += 1

    shares = equal_shares("".join(order) for order in permutations("AABB"))

    assert chi_square(observed, shares) > 10 * CRITICAL[5]


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (1_000, 1, 999)])
def test_block_sizes_come_by_their_weights(weights: tuple[int, int, int]) -> None:
    blocks = [BlockSize(2 * n, weight) for n, weight in enumerate(weights, 1)]
    key = keyed_mac(KEY)
    observed = Counter(draw_block_size(blocks, seeded_words(key, 0, b)) for b in range(20_000))
    shares = {block.size: Fraction(block.weight, sum(weights)) for block in blocks}

    assert chi_square(observed, shares) < CRITICAL[2]


@given(weights=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_each_type_has_as_many_numbers_as_its_weight(weights: list[int]) -> None:
    blocks = [BlockSize(2 * n, weight) for n, weight in enumerate(weights, 1)]

    drawn = [draw_block_size(blocks, iter([word])) for word in range(sum(weights))]

    assert drawn == [block.size for block in blocks for _ in range(block.weight)]


def test_a_single_type_reads_a_word_unless_its_weight_is_one() -> None:
    one, three = Counted([7]), Counted([7])

    assert draw_block_size([BlockSize(4, 1)], one) == 4
    assert draw_block_size([BlockSize(4, 3)], three) == 4
    assert (one.used, three.used) == (0, 1)
