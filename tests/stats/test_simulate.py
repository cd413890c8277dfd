from math import sqrt

import numpy as np
import pytest

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import FigureError
from alloc_service.stats.difference import final_difference
from alloc_service.stats.predict import trial_guess_rate
from alloc_service.stats.scheme import binomial
from alloc_service.stats.simulate import simulate_trials

TWO_ARMS = (Arm("A", 1), Arm("B", 1))
FOUR_AND_SIX = (BlockSize(4, 1), BlockSize(6, 1))


def arms_of(*ratios: int) -> tuple[Arm, ...]:
    return tuple(Arm(f"arm-{number}", ratio) for number, ratio in enumerate(ratios))


# Strata and the standard deviation of the final difference, {4, 6}, 240 participants.
@pytest.mark.parametrize(("strata", "spread"), [(1, 0.9), (4, 2.0), (8, 2.9), (32, 5.7)])
def test_simulated_trials_end_as_the_table_of_designs_says(strata: int, spread: float) -> None:
    simulation = simulate_trials(
        FOUR_AND_SIX, TWO_ARMS, 240, [1] * strata, repetitions=1000, seed=19
    )

    exact = final_difference(FOUR_AND_SIX, TWO_ARMS, 240, [1] * strata)
    measured = sqrt((simulation.final_imbalance**2).mean())
    assert measured == pytest.approx(spread, abs=0.05 + 0.08 * spread)
    assert measured == pytest.approx(exact.deviation, rel=0.08)
    apart = (simulation.final_imbalance >= 8).mean()
    assert apart == pytest.approx(exact.at_least(8), abs=0.03)


@pytest.mark.parametrize(
    ("sizes", "ratios", "shares"),
    [
        ((4, 6), (1, 1), [1, 1, 1, 1]),
        ((4,), (1, 1), [5, 1]),
        ((3, 6), (2, 1), [1, 2]),
        ((6, 9), (1, 1, 1), [1]),
    ],
)
def test_simulated_guesses_are_right_as_often_as_computed(
    sizes: tuple[int, ...], ratios: tuple[int, ...], shares: list[float]
) -> None:
    blocks, arms = [BlockSize(size, 1) for size in sizes], arms_of(*ratios)

    simulation = simulate_trials(blocks, arms, 120, shares, repetitions=1000, seed=7)

    noise = simulation.guess_rate.std() / sqrt(1000)
    expected = trial_guess_rate(blocks, arms, 120, shares)
    assert simulation.guess_rate.mean() == pytest.approx(expected, abs=4 * noise)


def test_every_array_has_a_row_for_every_trial() -> None:
    simulation = simulate_trials(FOUR_AND_SIX, TWO_ARMS, 50, [1, 2, 3], repetitions=11, seed=1)

    assert simulation.guess_rate.shape == (11,)
    assert simulation.largest_imbalance.shape == (11,)
    assert simulation.final_imbalance.shape == (11,)
    assert simulation.stratum_imbalance.shape == (11, 3)
    assert simulation.stratum_counts.shape == (11, 3)
    assert (simulation.stratum_counts.sum(axis=1) == 50).all()


def test_no_imbalance_is_beyond_its_bound() -> None:
    simulation = simulate_trials(FOUR_AND_SIX, TWO_ARMS, 100, [1] * 5, repetitions=500, seed=2)

    assert simulation.stratum_imbalance.max() <= 3
    assert simulation.largest_imbalance.max() <= 15
    assert (simulation.final_imbalance <= simulation.largest_imbalance).all()
    assert (simulation.final_imbalance <= simulation.stratum_imbalance.sum(axis=1)).all()
    # 100 is even, and so is then the final difference.
    assert (simulation.final_imbalance % 2 == 0).all()


def test_a_stratum_that_ends_with_its_block_is_balanced() -> None:
    blocks = [BlockSize(6, 1)]

    simulation = simulate_trials(blocks, arms_of(1, 2), 60, [2, 1], repetitions=300, seed=3)

    finished = simulation.stratum_counts % 6 == 0
    assert finished.any()
    assert (simulation.stratum_imbalance[finished] == 0).all()
    assert (simulation.stratum_imbalance[~finished] > 0).any()


def test_participants_enter_strata_by_their_shares() -> None:
    simulation = simulate_trials(FOUR_AND_SIX, TWO_ARMS, 100, [3, 1], repetitions=4000, seed=4)

    assert simulation.stratum_counts.mean(axis=0) == pytest.approx([75, 25], abs=0.4)


def test_the_slots_that_are_enough_follow_the_binomial() -> None:
    simulation = simulate_trials(FOUR_AND_SIX, TWO_ARMS, 240, [1] * 4, repetitions=2000, seed=5)

    enough = int(np.searchsorted(np.cumsum(binomial(240, 0.25)), 0.99))
    for slots in simulation.slots_needed(0.99):
        assert slots == pytest.approx(enough, abs=1)


def test_the_same_seed_gives_the_same_trials_and_another_others() -> None:
    first, again, other = (
        simulate_trials(FOUR_AND_SIX, TWO_ARMS, 40, [1, 1], repetitions=50, seed=seed)
        for seed in (6, 6, 7)
    )

    assert (first.guess_rate == again.guess_rate).all()
    assert (first.stratum_counts == again.stratum_counts).all()
    assert not (first.guess_rate == other.guess_rate).all()


def test_a_generator_goes_on_where_it_stands() -> None:
    generator = np.random.default_rng(8)

    first, second = (
        simulate_trials(FOUR_AND_SIX, TWO_ARMS, 40, [1], repetitions=50, seed=generator)
        for _ in range(2)
    )

    assert not (first.guess_rate == second.guess_rate).all()


def test_many_trials_are_simulated_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alloc_service.stats.simulate.CELLS_AT_ONCE", 500)

    simulation = simulate_trials(FOUR_AND_SIX, TWO_ARMS, 100, [1] * 3, repetitions=41, seed=9)

    assert simulation.guess_rate.shape == (41,)
    assert simulation.stratum_counts.shape == (41, 3)
    assert np.unique(simulation.stratum_counts, axis=0).shape[0] > 30


def test_impossible_simulations_are_refused() -> None:
    def simulate(
        participants: int = 10, shares: tuple[float, ...] = (1,), repetitions: int = 1
    ) -> None:
        simulate_trials(
            FOUR_AND_SIX, TWO_ARMS, participants, shares, repetitions=repetitions, seed=0
        )

    with pytest.raises(FigureError, match="participants"):
        simulate(participants=0)
    with pytest.raises(FigureError, match="share"):
        simulate(shares=(0,))
    with pytest.raises(FigureError, match="repetitions"):
        simulate(repetitions=0)
    with pytest.raises(FigureError, match="repetitions times strata"):
        simulate(shares=(1,) * 100, repetitions=1_000_000)
    simulation = simulate_trials(FOUR_AND_SIX, TWO_ARMS, 10, [1], repetitions=1, seed=0)
    with pytest.raises(FigureError, match="chance"):
        simulation.slots_needed(1.0)
