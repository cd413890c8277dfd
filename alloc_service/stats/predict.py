"""How well the next allocation can be guessed: exact figures for permuted blocks.

In an open trial everybody on site sees the earlier allocations, so concealment of the list
does not hide the pattern of its blocks. The measure is the share of allocations that a guesser
names correctly. The figures betray the block sizes and are for those who know the design.

The guesser (Blackwell and Hodges) names the arm that has most places left in the current block;
of k arms that tie, each is named with chance 1/k. With equal ratios that is the arm given least
often so far (the *convergence* guess): every finished block is balanced, so the guesser needs
to know neither sizes nor ends of blocks. With unequal ratios and several sizes it takes more
than anybody on site knows, and the figures are an upper bound.

Random sizes take away most of the *certainty* (`certainty`), and little of this tendency.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb

import numpy as np

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import FigureError
from alloc_service.stats.scheme import (
    MOST_PARTICIPANTS,
    Floats,
    Scheme,
    binomial,
    check_count,
    check_shares,
)


@dataclass(frozen=True, slots=True)
class Guesses:
    """Expected correct guesses among a number of participants."""

    correct: Fraction
    participants: int

    @property
    def rate(self) -> Fraction:
        """Return the expected share of correct guesses."""
        return self.correct / self.participants


def expected_guesses(sizes: Sequence[int], arms: Sequence[Arm]) -> Guesses:
    """Return what the guesser gets right in these blocks, all finished, on average.

    Args:
        sizes: Participants in each block, one after the other; sizes may repeat.
        arms: At least two, each weighted by its integer ratio.

    Raises:
        DesignError: A size is no multiple of the sum of the ratios, or an arm breaks a rule.

    Source: Blackwell and Hodges 1957, Ann Math Stat 28:449; for two equal arms and a block of
    2n this is n + (4^n / C(2n, n) - 1) / 2.
    """
    times = Counter(sizes)
    ratios = Scheme.of([BlockSize(size, 1) for size in times], arms).ratios
    correct = sum(
        (
            count * sum(block_guess_chances(size, ratios), Fraction(0))
            for size, count in times.items()
        ),
        Fraction(0),
    )
    return Guesses(correct, sum(sizes))


def guess_rate(blocks: Sequence[BlockSize], arms: Sequence[Arm]) -> Fraction:
    """Return the share of allocations that the guesser names correctly, in the long run.

    A size is drawn for each block by weight, so a participant is in a large block more often
    than a block is large: the rate is the mean of the correct guesses a block over the mean size.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
    """
    scheme = Scheme.of(blocks, arms)
    correct = (
        chance * sum(block_guess_chances(size, scheme.ratios))
        for size, chance in zip(scheme.sizes, scheme.chances, strict=True)
    )
    return sum(correct, Fraction(0)) / scheme.mean_size


def simple_guess_rate(arms: Sequence[Arm]) -> Fraction:
    """Return the rate under simple randomization: always name the arm with the largest ratio."""
    return Fraction(max(arm.ratio for arm in arms), sum(arm.ratio for arm in arms))


def guess_chances(blocks: Sequence[BlockSize], arms: Sequence[Arm], slots: int) -> Floats:
    """Return, for each slot of a stratum's list, the chance that its guess is correct.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        slots: How many slots from the first on; shape of the result.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `slots` is out of bounds.
    """
    check_count("the number of slots", slots, MOST_PARTICIPANTS)
    scheme = Scheme.of(blocks, arms)
    begins = scheme.starts(slots)
    chances = np.zeros(slots)
    for size, drawn in zip(scheme.sizes, scheme.chances, strict=True):
        for place, correct in enumerate(block_guess_chances(size, scheme.ratios)[:slots]):
            chances[place:] += float(drawn * correct) * begins[: slots - place]
    return chances


def trial_guess_rate(
    blocks: Sequence[BlockSize], arms: Sequence[Arm], participants: int, shares: Sequence[float]
) -> float:
    """Return the expected rate within one trial; below the long run where strata stay short.

    Every stratum begins with a block, and with equal ratios its first guess is the poorest.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        participants: In the whole trial; each enters a stratum by chance.
        shares: The strata's relative frequencies, one number a stratum.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `participants` or a share is out of bounds.
    """
    correct = np.concatenate([np.zeros(1), np.cumsum(guess_chances(blocks, arms, participants))])
    alike, times = np.unique(check_shares(shares), return_counts=True)
    parts = (
        many * float(binomial(participants, float(share)) @ correct)
        for share, many in zip(alike, times, strict=True)
    )
    return float(sum(parts)) / participants


def score_guesses(allocations: Sequence[str], arms: Sequence[Arm]) -> Fraction:
    """Return how many of the allocations made the convergence guess would have named.

    Nothing about blocks is used: the guess is the arm given least often for its ratio, of
    several the ones with the largest ratio, and where k still tie a hit counts 1/k. So this is
    the measure CS of a sequence as it happened; score each stratum's sequence by itself.

    Args:
        allocations: Arm codes in the order of allocation.
        arms: The arms that the codes are from.

    Raises:
        FigureError: A code is not that of an arm.
    """
    given = {arm.code: 0 for arm in arms}
    score = Fraction(0)
    for code in allocations:
        if code not in given:
            raise FigureError(name="each allocation", rule="the code of an arm of this design")
        ranks = {arm.code: (Fraction(given[arm.code], arm.ratio), -arm.ratio) for arm in arms}
        named = [other for other, rank in ranks.items() if rank == min(ranks.values())]
        score += Fraction(code in named, len(named))
        given[code] += 1
    return score


def big_stick_rates(limit: int) -> tuple[Fraction, Fraction]:
    """Return guess rate and certain share of a big stick design, for comparison; two equal arms.

    The difference between the arms walks between -limit and +limit; only at a limit is the next
    arm forced. The walk is at one of its two ends 1/(2 limit) of the time, else a guess is even.

    Source: Soares and Wu 1983, Commun Stat Theory Methods 12:2017; stationary walk.
    """
    check_count("the limit", limit, MOST_PARTICIPANTS)
    forced = Fraction(1, 2 * limit)
    return Fraction(1, 2) + forced / 2, forced


@lru_cache(maxsize=256)
def block_guess_chances(size: int, ratios: tuple[int, ...]) -> tuple[Fraction, ...]:
    """Return, for each place of a block, the chance that the guess there is correct.

    With m places left the guess is right with chance (most left of one arm) / m, and what is
    left is a hypergeometric draw of m from the block. P(most left <= x) is the coefficient of
    z^m in the product over the arms of sum over j <= x of C(count, j) z^j, over C(size, m).

    Args:
        size: Participants in the block; a multiple of the sum of the ratios.
        ratios: The arms' integer ratios, in any order.
    """
    counts = [ratio * size // sum(ratios) for ratio in ratios]
    at_most = [_ways_within(counts, bound) for bound in range(max(counts))]
    chances = []
    for left in range(size, 0, -1):
        draws = comb(size, left)
        ways = sum(draws - (row[left] if left < len(row) else 0) for row in at_most)
        chances.append(Fraction(ways, draws * left))
    return tuple(chances)


def _ways_within(counts: Sequence[int], bound: int) -> list[int]:
    """Return, by number of places drawn, the ways to draw at most `bound` of each arm."""
    ways = [1]
    for count in counts:
        factor = [comb(count, taken) for taken in range(min(count, bound) + 1)]
        product = [0] * (len(ways) + len(factor) - 1)
        for place, many in enumerate(ways):
            for taken, choices in enumerate(factor):
                product[place + taken] += many * choices
        ways = product
    return ways
