from collections import defaultdict
from collections.abc import Sequence
from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import FigureError
from alloc_service.stats.balance import final_variance, simple_variance
from alloc_service.stats.difference import Difference, final_difference, simple_difference

TWO_ARMS = (Arm("A", 1), Arm("B", 1))


def arms_of(*ratios: int) -> tuple[Arm, ...]:
    return tuple(Arm(f"arm-{number}", ratio) for number, ratio in enumerate(ratios))


def equal_weights(*sizes: int) -> list[BlockSize]:
    return [BlockSize(size, 1) for size in sizes]


def all_lists(sizes: Sequence[int], content: str, slots: int) -> dict[str, float]:
    """The chance of each list of so many slots; `content` is the smallest block."""
    lists = {"": 1.0}
    while any(len(sequence) < slots for sequence in lists):
        longer: dict[str, float] = defaultdict(float)
        for sequence, chance in lists.items():
            if len(sequence) >= slots:
                longer[sequence[:slots]] += chance
                continue
            for size in sizes:
                orders = set(permutations(content * (size // len(content))))
                for order in orders:
                    longer[sequence + "".join(order)] += chance / len(sizes) / len(orders)
        lists = longer
    return lists


def by_brute_force(
    sizes: Sequence[int], content: str, participants: int, shares: Sequence[float]
) -> dict[float, float]:
    """The chance of each D between a and b, by every list and every way to enrol."""
    lists = all_lists(sizes, content, participants)
    ratio_a, ratio_b = content.count("a"), content.count("b")
    result: dict[float, float] = defaultdict(float)
    for way in product(range(len(shares)), repeat=participants):
        counts = [way.count(stratum) for stratum in range(len(shares))]
        chance = float(np.prod([shares[stratum] for stratum in way]))
        for drawn in product(lists, repeat=len(shares)):
            given = "".join(one[:count] for one, count in zip(drawn, counts, strict=True))
            apart = given.count("a") / ratio_a - given.count("b") / ratio_b
            result[apart] += chance * float(np.prod([lists[one] for one in drawn]))
    return result


def assert_same(difference: Difference, expected: dict[float, float]) -> None:
    possible = {apart: chance for apart, chance in expected.items() if chance > 1e-12}
    assert difference.values == pytest.approx(sorted(possible))
    assert difference.chances == pytest.approx([possible[apart] for apart in sorted(possible)])


@pytest.mark.parametrize(
    ("sizes", "content", "ratios", "participants", "shares"),
    [
        ((2,), "ab", (1, 1), 5, (0.75, 0.25)),
        ((2, 4), "ab", (1, 1), 4, (0.6, 0.4)),
        ((4,), "ab", (1, 1), 3, (0.2, 0.3, 0.5)),
        ((3,), "abb", (1, 2), 4, (0.6, 0.4)),
        ((3,), "abc", (1, 1, 1), 4, (0.5, 0.5)),
        ((5,), "abbcc", (1, 2, 2), 4, (1.0,)),
    ],
)
def test_every_list_and_every_enrolment_come_to_the_same_distribution(
    sizes: tuple[int, ...],
    content: str,
    ratios: tuple[int, ...],
    participants: int,
    shares: tuple[float, ...],
) -> None:
    difference = final_difference(equal_weights(*sizes), arms_of(*ratios), participants, shares)

    assert_same(difference, by_brute_force(sizes, content, participants, shares))


@settings(deadline=None, max_examples=30)
@given(
    ratios=st.lists(st.integers(1, 3), min_size=2, max_size=3),
    weights=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    participants=st.integers(1, 300),
    shares=st.lists(st.floats(0.1, 10), min_size=1, max_size=6),
)
def test_sum_mean_and_variance_are_the_exact_ones(
    ratios: list[int], weights: list[int], participants: int, shares: list[float]
) -> None:
    arms = arms_of(*ratios)
    blocks = [BlockSize(sum(ratios) * n, weight) for n, weight in enumerate(weights, start=1)]

    difference = final_difference(blocks, arms, participants, shares)

    assert difference.chances.sum() == pytest.approx(1)
    assert difference.chances @ difference.values == pytest.approx(0, abs=1e-9)
    variance = final_variance(blocks, arms, participants, shares)
    assert difference.deviation**2 == pytest.approx(variance, abs=1e-9)


def test_a_list_that_ends_with_a_block_is_never_apart() -> None:
    difference = final_difference(equal_weights(4), TWO_ARMS, 240, [1])

    assert difference.values.tolist() == [0]
    assert difference.chances.tolist() == [1]


@pytest.mark.parametrize(
    ("strata", "chance", "within"),
    [(1, 0, 0.001), (2, 0, 0.001), (4, 0, 0.001), (8, 0.01, 0.005), (16, 0.08, 0.01),
     (32, 0.21, 0.015)],
)  # fmt: skip
def test_ends_eight_apart_are_as_rare_as_the_table_of_designs_says(
    strata: int, chance: float, within: float
) -> None:
    difference = final_difference(equal_weights(4, 6), TWO_ARMS, 240, [1] * strata)

    assert difference.at_least(8) == pytest.approx(chance, abs=within)


def test_a_limit_that_is_reached_counts() -> None:
    difference = final_difference(equal_weights(2), TWO_ARMS, 1, [1])

    assert difference.at_least(1) == 1
    assert difference.at_least(1.5) == 0
    assert difference.at_least(0) == 1


def test_large_grids_are_cut_into_portions_that_fit_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = final_difference(equal_weights(4, 6), TWO_ARMS, 240, [1, 2, 3])
    monkeypatch.setattr("alloc_service.stats.difference.CELLS_AT_ONCE", 2000)

    portions = final_difference(equal_weights(4, 6), TWO_ARMS, 240, [1, 2, 3])

    assert portions.values.tolist() == whole.values.tolist()
    assert portions.chances == pytest.approx(whole.chances)


def test_simple_randomization_of_two_equal_arms_is_binomial() -> None:
    difference = simple_difference(TWO_ARMS, 7)

    assert difference.values.tolist() == [-7, -5, -3, -1, 1, 3, 5, 7]
    assert difference.chances == pytest.approx([comb(7, n) / 2**7 for n in range(8)])


@settings(deadline=None)
@given(
    ratios=st.lists(st.integers(1, 5), min_size=2, max_size=5), participants=st.integers(1, 2000)
)
def test_simple_randomization_has_its_variance(ratios: list[int], participants: int) -> None:
    difference = simple_difference(arms_of(*ratios), participants)

    variance = float(simple_variance(arms_of(*ratios), participants))
    assert difference.chances.sum() == pytest.approx(1)
    assert difference.deviation**2 == pytest.approx(variance, rel=1e-6)


def test_more_participants_than_the_grids_can_hold_are_refused() -> None:
    with pytest.raises(FigureError, match="participants"):
        final_difference(equal_weights(4), TWO_ARMS, 20_001, [1])
    with pytest.raises(FigureError, match="participants"):
        simple_difference(TWO_ARMS, 0)
    with pytest.raises(FigureError, match="share"):
        final_difference(equal_weights(4), TWO_ARMS, 10, [-1])
