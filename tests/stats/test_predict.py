from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import DesignError, FigureError
from alloc_service.stats.predict import (
    big_stick_rates,
    block_guess_chances,
    expected_guesses,
    guess_chances,
    guess_rate,
    score_guesses,
    simple_guess_rate,
    trial_guess_rate,
)

TWO_ARMS = (Arm("A", 1), Arm("B", 1))

# Sizes of blocks, sequences that they can give, expected correct guesses, proportion.
CONVERGENCE_TABLE = [
    ((2, 2, 2, 2), 16, Fraction(6), 0.7500),
    ((4,), 6, Fraction(17, 6), 0.7083),
    ((6,), 20, Fraction(41, 10), 0.6833),
    ((8,), 70, Fraction(373, 70), 0.6661),
    ((4, 4), 36, Fraction(17, 3), 0.7083),
    ((2, 4, 2), 24, Fraction(35, 6), 0.7292),
    ((4, 6), 120, Fraction(104, 15), 0.6933),
]

# Sizes with equal weight, guess rate and excess correct guesses among 240, in the long run.
DESIGN_TABLE = [
    ((2,), 0.750, 60),
    ((4,), 0.708, 50),
    ((6,), 0.683, 44),
    ((8,), 0.666, 39.9),
    ((2, 4), 0.722, None),
    ((2, 4, 6), 0.702, None),
    ((4, 6), 0.693, None),
    ((4, 6, 8), 0.681, None),
]


def arms_of(*ratios: int) -> tuple[Arm, ...]:
    return tuple(Arm(f"arm-{number}", ratio) for number, ratio in enumerate(ratios))


def equal_weights(*sizes: int) -> list[BlockSize]:
    return [BlockSize(size, 1) for size in sizes]


def orders(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All distinct orders of a block that holds each arm so often."""
    if not any(counts):
        yield ()
    for arm, count in enumerate(counts):
        if count:
            rest = (*counts[:arm], count - 1, *counts[arm + 1 :])
            yield from ((arm, *order) for order in orders(rest))


def sequences(sizes: Sequence[int], arms: Sequence[Arm]) -> list[list[str]]:
    unit = sum(arm.ratio for arm in arms)
    blocks = [list(orders(tuple(arm.ratio * size // unit for arm in arms))) for size in sizes]
    return [[arms[arm].code for order in chosen for arm in order] for chosen in product(*blocks)]


@cache
def correct_from(left: tuple[int, ...]) -> Fraction:
    """Expected correct guesses from what is left of a block: the recursion, arm by arm."""
    total = sum(left)
    if total == 0:
        return Fraction(0)
    after = sum(
        Fraction(many, total) * correct_from((*left[:arm], many - 1, *left[arm + 1 :]))
        for arm, many in enumerate(left)
        if many
    )
    return Fraction(max(left), total) + after


@pytest.mark.parametrize(("sizes", "many", "correct", "proportion"), CONVERGENCE_TABLE)
def test_the_exact_figures_are_those_of_all_sequences(
    sizes: tuple[int, ...], many: int, correct: Fraction, proportion: float
) -> None:
    every = sequences(sizes, TWO_ARMS)

    guesses = expected_guesses(sizes, TWO_ARMS)

    assert len(every) == many
    assert sum(score_guesses(sequence, TWO_ARMS) for sequence in every) / many == correct
    assert guesses.correct == correct
    assert float(guesses.rate) == pytest.approx(proportion, abs=0.00005)


@pytest.mark.parametrize("half", [*range(1, 11), 31, 64, 128])
def test_a_block_of_two_equal_arms_follows_blackwell_and_hodges(half: int) -> None:
    correct = half + (Fraction(4**half, comb(2 * half, half)) - 1) / 2

    assert expected_guesses([2 * half], TWO_ARMS).correct == correct


@pytest.mark.parametrize(("sizes", "rate", "excess"), DESIGN_TABLE)
def test_the_long_run_rate_is_that_of_the_table_of_designs(
    sizes: tuple[int, ...], rate: float, excess: float | None
) -> None:
    measured = guess_rate(equal_weights(*sizes), TWO_ARMS)

    # The table gives per cent with one decimal, not always rounded to the nearest.
    assert float(measured) == pytest.approx(rate, abs=0.001)
    if excess is not None:
        assert float((measured - Fraction(1, 2)) * 240) == pytest.approx(excess, abs=0.05)


def test_the_long_run_rate_of_random_sizes_is_exact() -> None:
    assert guess_rate(equal_weights(2, 4), TWO_ARMS) == Fraction(13, 18)
    assert guess_rate(equal_weights(4, 6), TWO_ARMS) == Fraction(52, 75)


def test_a_heavier_weight_counts_by_participants_too() -> None:
    blocks = [BlockSize(4, 3), BlockSize(6, 2)]

    assert guess_rate(blocks, TWO_ARMS) == (3 * Fraction(17, 6) + 2 * Fraction(41, 10)) / 24


@settings(deadline=None)
@given(
    ratios=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    repeats=st.integers(1, 2),
)
def test_any_arms_and_ratios_follow_the_recursion_over_what_is_left(
    ratios: Sequence[int], repeats: int
) -> None:
    size = sum(ratios) * repeats

    correct = expected_guesses([size], arms_of(*ratios)).correct

    assert correct == correct_from(tuple(ratio * repeats for ratio in ratios))


@pytest.mark.parametrize("ratios", [(1, 1, 1), (1, 1, 1, 1), (2, 1), (1, 2)])
def test_the_score_of_a_sequence_averages_to_the_exact_figure_for_a_block(
    ratios: Sequence[int],
) -> None:
    arms = arms_of(*ratios)
    size = 6 if ratios == (1, 1, 1) else sum(ratios)
    every = sequences([size], arms)

    average = sum(score_guesses(sequence, arms) for sequence in every) / len(every)

    assert average == expected_guesses([size], arms).correct


@settings(deadline=None)
@given(
    ratios=st.lists(st.integers(1, 4), min_size=2, max_size=6),
    repeats=st.integers(1, 5),
)
def test_a_guess_is_never_poorer_than_naming_the_commonest_arm(
    ratios: Sequence[int], repeats: int
) -> None:
    arms = arms_of(*ratios)

    rate = expected_guesses([sum(ratios) * repeats], arms).rate

    assert simple_guess_rate(arms) <= rate <= 1


def test_the_last_place_of_a_block_is_always_guessed() -> None:
    assert block_guess_chances(12, (1, 2, 3))[-1] == 1


def test_large_designs_are_within_reach() -> None:
    sixteen = [Arm(f"arm-{number}", 1) for number in range(16)]

    rate = guess_rate([BlockSize(256, 1), BlockSize(16, 1)], sixteen)

    assert Fraction(1, 16) < rate < Fraction(1, 2)


def test_slots_of_one_block_size_repeat_its_places() -> None:
    chances = guess_chances(equal_weights(4), TWO_ARMS, 10)

    places = [1 / 2, 2 / 3, 2 / 3, 1]
    assert chances == pytest.approx([*places, *places, *places[:2]])


def test_slots_of_random_sizes_are_those_of_all_lists() -> None:
    # Every list of blocks of 2 and 4 for the first 6 slots, with its chance, scored slot by slot.
    scored = np.zeros(6)
    for sizes, chance in (
        ((2, 2, 2), 1 / 8), ((2, 2, 4), 1 / 8), ((2, 4), 1 / 4), ((4, 2), 1 / 4), ((4, 4), 1 / 4),
    ):  # fmt: skip
        every = sequences(sizes, TWO_ARMS)
        for sequence in every:
            sums = [float(score_guesses(sequence[:end], TWO_ARMS)) for end in range(7)]
            scored += np.diff(sums) * chance / len(every)

    assert guess_chances(equal_weights(2, 4), TWO_ARMS, 6) == pytest.approx(scored)


def test_slots_far_down_the_list_average_to_the_long_run() -> None:
    chances = guess_chances(equal_weights(4, 6), TWO_ARMS, 1000)

    assert chances[-2:].mean() == pytest.approx(float(Fraction(52, 75)))


def test_a_trial_with_one_stratum_averages_its_slots() -> None:
    chances = guess_chances(equal_weights(4, 6), TWO_ARMS, 17)

    assert trial_guess_rate(equal_weights(4, 6), TWO_ARMS, 17, [5]) == pytest.approx(chances.mean())


def test_a_trial_with_strata_averages_all_ways_to_enrol() -> None:
    # Three participants in strata with shares 3 : 1; each way by hand.
    first, second, third = guess_chances(equal_weights(4, 6), TWO_ARMS, 3)
    together = first + second + third
    expected = (27 + 1) / 64 * together + (27 + 9) / 64 * (2 * first + second)

    rate = trial_guess_rate(equal_weights(4, 6), TWO_ARMS, 3, [3, 1])

    assert rate == pytest.approx(expected / 3)


def test_a_score_counts_ties_in_part() -> None:
    assert score_guesses(["A", "B", "B", "A"], TWO_ARMS) == Fraction(1, 2) + 1 + Fraction(1, 2) + 1
    assert score_guesses(["A", "A"], TWO_ARMS) == Fraction(1, 2)
    assert score_guesses(["arm-0"], arms_of(1, 1, 1)) == Fraction(1, 3)
    assert score_guesses(["arm-0"], arms_of(2, 1)) == 1
    assert score_guesses([], TWO_ARMS) == 0


def test_a_score_refuses_an_unknown_code_without_repeating_it() -> None:
    with pytest.raises(FigureError, match="code of an arm") as refusal:
        score_guesses(["A", "secret"], TWO_ARMS)

    assert "secret" not in str(refusal.value)


def test_simple_randomization_names_the_commonest_arm() -> None:
    assert simple_guess_rate(TWO_ARMS) == Fraction(1, 2)
    assert simple_guess_rate(arms_of(1, 3, 2)) == Fraction(1, 2)


def test_a_big_stick_of_three_is_that_of_the_table() -> None:
    rate, certain = big_stick_rates(3)

    assert (rate, certain) == (Fraction(7, 12), Fraction(1, 6))
    assert (round(float(rate), 3), round(float(certain), 3)) == (0.583, 0.167)


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(DesignError):
        expected_guesses([4, 5], TWO_ARMS)
    with pytest.raises(DesignError):
        expected_guesses([], TWO_ARMS)
    with pytest.raises(FigureError, match="slots"):
        guess_chances(equal_weights(4), TWO_ARMS, 0)
    with pytest.raises(FigureError, match="limit"):
        big_stick_rates(0)
    with pytest.raises(FigureError, match="share"):
        trial_guess_rate(equal_weights(4), TWO_ARMS, 10, [0])
