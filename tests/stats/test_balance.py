from collections.abc import Sequence
from fractions import Fraction
from math import comb, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import DesignError, FigureError
from alloc_service.stats.balance import (
    StrataLevel,
    final_variance,
    judge_strata,
    open_block,
    open_block_variance,
    open_blocks,
    simple_variance,
)

TWO_ARMS = (Arm("A", 1), Arm("B", 1))

# Strata, then the standard deviation of the final difference among 240 participants for the
# sizes {4}, {4, 6} and {4, 6, 8}: the table of designs, from a simulation, one decimal.
SPREAD_TABLE = [
    (1, (0.0, 0.9, 1.1)),
    (2, (1.3, 1.4, 1.6)),
    (4, (1.8, 2.0, 2.2)),
    (8, (2.6, 2.9, 3.1)),
    (16, (3.7, 4.1, 4.5)),
    (32, (5.2, 5.7, 6.4)),
]


def arms_of(*ratios: int) -> tuple[Arm, ...]:
    return tuple(Arm(f"arm-{number}", ratio) for number, ratio in enumerate(ratios))


def equal_weights(*sizes: int) -> list[BlockSize]:
    return [BlockSize(size, 1) for size in sizes]


def test_an_open_block_of_two_arms_is_hypergeometric() -> None:
    # Three of a block of six: D = 2 x - 3, where x of the arm's 3 places are among them.
    expected = {Fraction(2 * x - 3): Fraction(comb(3, x) * comb(3, 3 - x), 20) for x in range(4)}

    assert open_block(6, 3, TWO_ARMS) == expected


def test_an_open_block_with_an_unequal_ratio_counts_for_each_unit_of_it() -> None:
    # One of a block of three, 2 : 1. The arm with the smaller ratio comes first in D.
    assert open_block(3, 1, arms_of(2, 1)) == {
        Fraction(-1, 2): Fraction(2, 3),
        Fraction(1): Fraction(1, 3),
    }


@pytest.mark.parametrize("taken", [0, 12])
def test_a_block_not_begun_or_finished_leaves_no_difference(taken: int) -> None:
    assert open_block(12, taken, arms_of(1, 2, 3)) == {Fraction(0): Fraction(1)}
    assert open_block_variance(12, taken, arms_of(1, 2, 3)) == 0


@settings(deadline=None)
@given(
    ratios=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    repeats=st.integers(1, 3),
    data=st.data(),
)
def test_the_distribution_has_sum_one_mean_zero_and_the_stated_variance(
    ratios: list[int], repeats: int, data: st.DataObject
) -> None:
    size = sum(ratios) * repeats
    taken = data.draw(st.integers(0, size))

    chances = open_block(size, taken, arms_of(*ratios))

    assert sum(chances.values()) == 1
    assert sum(apart * chance for apart, chance in chances.items()) == 0
    variance = sum(apart**2 * chance for apart, chance in chances.items())
    assert variance == open_block_variance(size, taken, arms_of(*ratios))


@settings(deadline=None)
@given(half=st.integers(1, 128), strata=st.integers(1, 1000))
def test_one_block_size_follows_hallstrom_and_davis(half: int, strata: int) -> None:
    size = 2 * half

    figures = open_blocks([BlockSize(size, 1)], TWO_ARMS, strata)

    assert figures.largest == strata * size // 2
    assert figures.variance == Fraction(strata * (size + 1), 6)


def test_several_sizes_are_met_in_proportion_to_their_size() -> None:
    figures = open_blocks(equal_weights(4, 6), TWO_ARMS, 4)

    assert figures.largest == 12
    assert figures.variance == 4 * (4 * Fraction(5, 6) + 6 * Fraction(7, 6)) / 10


def test_the_bound_counts_units_of_the_ratio() -> None:
    assert open_blocks(equal_weights(3, 6), arms_of(2, 1), 5).largest == 10


@pytest.mark.parametrize(("strata", "spreads"), SPREAD_TABLE)
def test_the_final_spread_is_that_of_the_table_of_designs(
    strata: int, spreads: Sequence[float]
) -> None:
    for sizes, spread in zip(((4,), (4, 6), (4, 6, 8)), spreads, strict=True):
        variance = final_variance(equal_weights(*sizes), TWO_ARMS, 240, [1] * strata)

        # Half a unit of the last decimal, and the noise of the simulation behind the table.
        assert sqrt(variance) == pytest.approx(spread, abs=0.05 + 0.02 * spread)


def test_one_stratum_ends_where_its_participants_end() -> None:
    assert final_variance(equal_weights(4), TWO_ARMS, 240, [1]) == 0
    for participants, variance in ((1, 1), (2, 4 / 3), (3, 1), (4, 0), (5, 1)):
        measured = final_variance(equal_weights(4), TWO_ARMS, participants, [1])
        assert measured == pytest.approx(variance)


def test_two_strata_average_over_all_ways_to_fill_them() -> None:
    # 5 participants, shares 2 : 1, blocks of 2: a stratum is one apart when its count is odd.
    odd = sum(
        comb(5, first) * Fraction(2, 3) ** first * Fraction(1, 3) ** (5 - first) * (first % 2)
        for first in range(6)
    )

    # Five is odd: exactly one of the two strata is.
    variance = final_variance(equal_weights(2), TWO_ARMS, 5, [2, 1])

    assert 0 < odd < 1
    assert variance == pytest.approx(1)


def test_many_participants_reach_the_long_run() -> None:
    blocks, arms = [BlockSize(6, 2), BlockSize(12, 1)], arms_of(1, 2, 3)

    exact = final_variance(blocks, arms, 5000, [1, 2, 3])

    assert exact == pytest.approx(float(open_blocks(blocks, arms, 3).variance))


def test_simple_randomization_spreads_by_the_root() -> None:
    assert sqrt(simple_variance(TWO_ARMS, 240)) == pytest.approx(15.5, abs=0.05)
    assert simple_variance(arms_of(2, 1), 6) == 6 * Fraction(3, 2) / 3
    assert simple_variance(arms_of(3, 1, 1), 10) == 4


@pytest.mark.parametrize(
    ("participants", "level"),
    [
        (80, StrataLevel.FINE),
        (79, StrataLevel.WARN),
        (40, StrataLevel.WARN),
        (39, StrataLevel.SIGN),
    ],
)
def test_strata_are_judged_by_a_quarter_and_a_half(participants: int, level: StrataLevel) -> None:
    verdict = judge_strata(equal_weights(4, 6), TWO_ARMS, 4, participants)

    assert verdict.level is level
    assert verdict.open_places == 20
    assert verdict.participants == participants


def test_the_mean_block_that_judges_is_weighted() -> None:
    blocks = [BlockSize(4, 3), BlockSize(8, 1)]

    assert judge_strata(blocks, TWO_ARMS, 12, 240).level is StrataLevel.FINE
    assert judge_strata(blocks, TWO_ARMS, 13, 240).level is StrataLevel.WARN


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(DesignError):
        open_block(5, 1, TWO_ARMS)
    with pytest.raises(FigureError, match="places filled"):
        open_block(4, 5, TWO_ARMS)
    with pytest.raises(FigureError, match="places filled"):
        open_block_variance(4, -1, TWO_ARMS)
    with pytest.raises(FigureError, match="strata"):
        open_blocks(equal_weights(4), TWO_ARMS, 0)
    with pytest.raises(FigureError, match="participants"):
        judge_strata(equal_weights(4), TWO_ARMS, 1, 0)
    with pytest.raises(FigureError, match="participants"):
        final_variance(equal_weights(4), TWO_ARMS, 1_000_001, [1])
