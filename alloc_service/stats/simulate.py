"""A trial enrolled many times over: what a design would do, one simulated trial a row.

Participants arrive one by one, each in a stratum by chance, and take the next slot of their
stratum's list of permuted blocks. The exact figures (`predict`, `difference`) need no
simulation; this is for what they do not give: the way along the sequence, each stratum by
itself, and the slots that a stratum needs.

The seed is for simulations only. It has nothing to do with the seed of a list: no list of a
trial is drawn here, and none can be, for the generator of lists is another one (`core`).

**Imbalance** here is the largest difference between any two arms, in participants for each
unit of the ratio: |N_A - N_B| for two equal arms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import FigureError
from alloc_service.stats.scheme import Floats, Scheme, check_count, check_shares

Integers: TypeAlias = NDArray[np.int64]
Seed: TypeAlias = int | np.random.Generator

MOST_SIMULATED_PARTICIPANTS = 20_000
MOST_REPETITIONS = 1_000_000
MOST_RESULTS = 20_000_000
# Numbers held at once in the largest arrays, whatever was asked for: up to 32 MB each.
CELLS_AT_ONCE = 2**21


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """What the simulated trials came to; the first axis of every array is the trial.

    Attributes:
        guess_rate: Share of participants whose arm the guesser of `predict` names, each
            stratum guessed by itself; ties count as there; shape (trials,).
        largest_imbalance: Largest imbalance of the whole trial at any time; shape (trials,).
        final_imbalance: Imbalance of the whole trial at the end; shape (trials,).
        stratum_imbalance: Imbalance of each stratum at the end; shape (trials, strata).
        stratum_counts: Participants of each stratum; shape (trials, strata).
    """

    guess_rate: Floats
    largest_imbalance: Floats
    final_imbalance: Floats
    stratum_imbalance: Floats
    stratum_counts: Integers

    def slots_needed(self, chance: float) -> tuple[int, ...]:
        """Return, for each stratum, the slots that are enough in this share of the trials.

        Raises:
            FigureError: `chance` is not between 0 and 1.
        """
        check_chance(chance)
        enough = np.quantile(self.stratum_counts, chance, axis=0, method="inverted_cdf")
        return tuple(int(slots) for slots in enough)


def simulate_trials(
    blocks: Sequence[BlockSize],
    arms: Sequence[Arm],
    participants: int,
    shares: Sequence[float],
    *,
    repetitions: int,
    seed: Seed,
) -> Simulation:
    """Enrol a trial many times.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        participants: In each trial, over all strata.
        shares: The strata's relative frequencies, one number a stratum.
        repetitions: Trials to simulate.
        seed: An integer, or a generator to go on with; for simulations only.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: A number is out of bounds.
    """
    check_count("the number of participants", participants, MOST_SIMULATED_PARTICIPANTS)
    check_count("the number of repetitions", repetitions, MOST_REPETITIONS)
    scheme, scaled = Scheme.of(blocks, arms), check_shares(shares)
    generator = np.random.default_rng(seed)
    check_count("repetitions times strata", repetitions * len(scaled), MOST_RESULTS)
    widest = len(scheme.ratios) * max(participants, len(scaled))
    portion = max(1, CELLS_AT_ONCE // widest)
    parts = [
        _simulate_portion(scheme, participants, scaled, min(portion, repetitions - done), generator)
        for done in range(0, repetitions, portion)
    ]
    return Simulation(
        guess_rate=np.concatenate([part.guess_rate for part in parts]),
        largest_imbalance=np.concatenate([part.largest_imbalance for part in parts]),
        final_imbalance=np.concatenate([part.final_imbalance for part in parts]),
        stratum_imbalance=np.concatenate([part.stratum_imbalance for part in parts]),
        stratum_counts=np.concatenate([part.stratum_counts for part in parts]),
    )


def check_chance(chance: float) -> None:
    """Refuse a chance outside 0 to 1.

    Raises:
        FigureError: It is not strictly between the two.
    """
    if not 0 < chance < 1:
        raise FigureError(name="a chance", rule="a number between 0 and 1")


def _simulate_portion(
    scheme: Scheme, participants: int, shares: Floats, trials: int, generator: np.random.Generator
) -> Simulation:
    """Simulate as many trials as fit into memory at once."""
    strata = len(shares)
    stratum = generator.choice(strata, size=(trials, participants), p=shares)
    lists = (np.arange(trials)[:, None] * strata + stratum).ravel()
    counts = np.bincount(lists, minlength=trials * strata)
    arms, scores = _draw_lists(scheme, counts, generator)
    # Lists lie one after the other, each in its own order: so does a stable sort by stratum.
    arrival = np.empty((trials, participants), dtype=np.int8)
    order = np.argsort(stratum, axis=1, kind="stable")
    np.put_along_axis(arrival, order, arms.reshape(trials, participants), axis=1)
    course = _imbalance(scheme, np.cumsum(_one_hot(scheme, arrival), axis=1, dtype=np.int32))
    cells = np.repeat(np.arange(len(counts)), counts) * len(scheme.ratios) + arms
    given = np.bincount(cells, minlength=counts.size * len(scheme.ratios))
    by_stratum = _imbalance(scheme, given.reshape(trials, strata, len(scheme.ratios)))
    return Simulation(
        guess_rate=scores.reshape(trials, participants).mean(axis=1),
        largest_imbalance=course.max(axis=1),
        final_imbalance=course[:, -1],
        stratum_imbalance=by_stratum,
        stratum_counts=counts.reshape(trials, strata),
    )


def _draw_lists(
    scheme: Scheme, counts: Integers, generator: np.random.Generator
) -> tuple[NDArray[np.int8], Floats]:
    """Draw the slots of many lists, each slot from what is left of its list's block.

    Drawing without putting back makes every order of a block equally likely.

    Args:
        scheme: Sizes, chances and ratios.
        counts: Slots of each list; shape (lists,).
        generator: Where chance comes from.

    Returns:
        The arms' indices, and what the guesser scores for each slot: list after list, both of
        shape (sum of the counts,).
    """
    contents = np.array([scheme.contents(size) for size in scheme.sizes], dtype=np.int32)
    chances = [float(chance) for chance in scheme.chances]
    left = np.zeros((len(counts), len(scheme.ratios)), dtype=np.int32)
    arms, scores = np.empty(counts.sum(), dtype=np.int8), np.empty(counts.sum())
    begins = np.cumsum(counts) - counts
    for slot in range(counts.max()):
        going = np.flatnonzero(counts > slot)
        here = left[going]
        finished = np.flatnonzero(here.sum(axis=1) == 0)
        here[finished] = contents[generator.choice(len(contents), size=len(finished), p=chances)]
        arm, score = _draw_slot(here, generator)
        arms[begins[going] + slot], scores[begins[going] + slot] = arm, score
        here[np.arange(len(going)), arm] -= 1
        left[going] = here
    return arms, scores


def _draw_slot(left: NDArray[np.int32], generator: np.random.Generator) -> tuple[Integers, Floats]:
    """Draw one arm a row from what is left of it, and score the guess: most left, ties 1/k."""
    below = np.cumsum(left, axis=1)
    spot = generator.integers(below[:, -1])
    arm = (below > spot[:, None]).argmax(axis=1)
    most = left.max(axis=1)
    hit = left[np.arange(len(left)), arm] == most
    return arm, hit / (left == most[:, None]).sum(axis=1)


def _one_hot(scheme: Scheme, arms: NDArray[np.int8]) -> NDArray[np.bool_]:
    hot: NDArray[np.bool_] = arms[..., None] == np.arange(len(scheme.ratios), dtype=np.int8)
    return hot


def _imbalance(scheme: Scheme, given: NDArray[np.integer]) -> Floats:
    """Return the largest difference over the last axis, which holds participants by arm."""
    for_ratio = given / np.array(scheme.ratios)
    apart: Floats = for_ratio.max(axis=-1) - for_ratio.min(axis=-1)
    return apart
