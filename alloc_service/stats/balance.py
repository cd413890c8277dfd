"""How far apart the arms can end: exact figures for the imbalance that open blocks leave.

A finished block is exact to its ratio, so only the block that is open in each stratum when
enrolment stops leaves a difference, and many strata leave many open blocks. The figures betray
the block sizes and are for those who know the design.

**The difference D** of two arms i and j is N_i / r_i - N_j / r_j: participants for each unit of
the ratio, hence N_A - N_B for two equal arms. With more than two arms the figures are those of
the two with the smallest ratios, whose difference varies most. In the list of one stratum, m
participants into a block of n, the variance of D is m (n - m) / (n - 1) · (1/r_i + 1/r_j) / u,
u the sum of the ratios (hypergeometric draw). Given how many participants each stratum has, the
strata are independent, each with mean zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import comb, lcm

import numpy as np

from alloc_service.core.design import Arm, BlockSize
from alloc_service.stats.scheme import (
    MOST_PARTICIPANTS,
    MOST_STRATA,
    Scheme,
    binomial,
    check_count,
    check_shares,
)

WARN_ABOVE = Fraction(1, 4)
SIGN_ABOVE = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class OpenBlocks:
    """What one open block in each stratum can do, in the long run.

    Attributes:
        largest: The largest possible |D|: every open block half full, all on one side.
        variance: The variance of D.
    """

    largest: int
    variance: Fraction


class StrataLevel(Enum):
    """What the number of strata asks for, by the places that lie in open blocks."""

    FINE = "fine"
    WARN = "warn"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class StrataVerdict:
    """The judgement on a number of strata.

    Attributes:
        level: Nothing, a warning, or a signed reason.
        open_places: Strata times the mean block size.
        participants: Planned for the whole trial.
    """

    level: StrataLevel
    open_places: Fraction
    participants: int


def open_block(size: int, taken: int, arms: Sequence[Arm]) -> dict[Fraction, Fraction]:
    """Return the distribution of D when `taken` of a block's places are filled.

    Args:
        size: Participants in the block; a multiple of the sum of the ratios.
        taken: Places filled, 0 to `size`.
        arms: At least two, each weighted by its integer ratio.

    Returns:
        The chance of each possible D.

    Raises:
        DesignError: The size or an arm breaks a rule of rac-gen/1.
        FigureError: `taken` is out of bounds.
    """
    scheme = Scheme.of([BlockSize(size, 1)], arms)
    check_count("the number of places filled", taken, size, least=0)
    step, every = difference_step(scheme), comb(size, taken)
    return {
        Fraction(steps, step): Fraction(ways, every)
        for steps, ways in sorted(open_block_ways(scheme, size, taken).items())
    }


def open_block_variance(size: int, taken: int, arms: Sequence[Arm]) -> Fraction:
    """Return the variance of D when `taken` of a block's places are filled.

    Raises:
        DesignError: The size or an arm breaks a rule of rac-gen/1.
        FigureError: `taken` is out of bounds.
    """
    scheme = Scheme.of([BlockSize(size, 1)], arms)
    check_count("the number of places filled", taken, size, least=0)
    return _variance(scheme, size, taken)


def open_blocks(blocks: Sequence[BlockSize], arms: Sequence[Arm], strata: int) -> OpenBlocks:
    """Return the bound and the variance of D after a long enrolment in many strata.

    For two equal arms and one block size B: |D| is at most K·B/2, its variance K (B + 1) / 6.
    With several sizes a block is met in proportion to its size, and the largest one counts for
    the bound. The bound always holds. The variance supposes that each stratum stops at a random
    place of its block: participants far more than K·B, and arriving by chance;
    `final_variance` needs neither.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `strata` is out of bounds.

    Source: Hallstrom and Davis 1988, Control Clin Trials 9:375.
    """
    check_count("the number of strata", strata, MOST_STRATA)
    scheme = Scheme.of(blocks, arms)
    in_block = Fraction(0)
    for size, chance in zip(scheme.sizes, scheme.chances, strict=True):
        in_block += chance * sum(_variance(scheme, size, taken) for taken in range(size))
    largest = strata * max(scheme.sizes) // scheme.unit
    return OpenBlocks(largest, strata * in_block / scheme.mean_size)


def final_variance(
    blocks: Sequence[BlockSize],
    arms: Sequence[Arm],
    participants: int,
    shares: Sequence[float],
) -> float:
    """Return the variance of D at the end, exact but for rounding.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        participants: In the whole trial; each enters a stratum by chance.
        shares: The strata's relative frequencies, one number a stratum.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `participants` or a share is out of bounds.
    """
    check_count("the number of participants", participants, MOST_PARTICIPANTS)
    scheme = Scheme.of(blocks, arms)
    begins = scheme.starts(participants)
    by_count = np.zeros(participants + 1)
    for size, chance in zip(scheme.sizes, scheme.chances, strict=True):
        for taken in range(min(size, participants + 1)):
            variance = float(chance * _variance(scheme, size, taken))
            by_count[taken:] += variance * begins[: participants + 1 - taken]
    alike, times = np.unique(check_shares(shares), return_counts=True)
    parts = (
        many * float(binomial(participants, float(share)) @ by_count)
        for share, many in zip(alike, times, strict=True)
    )
    return float(sum(parts))


def simple_variance(arms: Sequence[Arm], participants: int) -> Fraction:
    """Return the variance of D under simple randomization, for comparison."""
    first, second = sorted(arm.ratio for arm in arms)[:2]
    unit = sum(arm.ratio for arm in arms)
    return participants * (Fraction(1, first) + Fraction(1, second)) / unit


def judge_strata(
    blocks: Sequence[BlockSize], arms: Sequence[Arm], strata: int, participants: int
) -> StrataVerdict:
    """Judge whether the participants are enough for this many strata.

    One block is open in each stratum at the end. Where strata times mean block size is more
    than a quarter of the participants, a warning is due; where it is more than half, the design
    needs a signed reason, for stratification then balances little better than chance.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `strata` or `participants` is out of bounds.
    """
    check_count("the number of strata", strata, MOST_STRATA)
    check_count("the number of participants", participants, MOST_PARTICIPANTS)
    open_places = strata * Scheme.of(blocks, arms).mean_size
    level = StrataLevel.FINE
    if open_places > WARN_ABOVE * participants:
        level = StrataLevel.WARN
    if open_places > SIGN_ABOVE * participants:
        level = StrataLevel.SIGN
    return StrataVerdict(level, open_places, participants)


def difference_step(scheme: Scheme) -> int:
    """Return how many steps of D make one: every D is a whole number of 1/step."""
    return lcm(*scheme.ratios[:2])


def open_block_ways(scheme: Scheme, size: int, taken: int) -> dict[int, int]:
    """Return, by D in steps, in how many ways `taken` of a block's places can be drawn."""
    first, second, *others = scheme.contents(size)
    rest, step = sum(others), difference_step(scheme)
    ways: dict[int, int] = {}
    for of_first in range(min(first, taken) + 1):
        for of_second in range(max(0, taken - of_first - rest), min(second, taken - of_first) + 1):
            apart = of_first * step // scheme.ratios[0] - of_second * step // scheme.ratios[1]
            drawn = comb(first, of_first) * comb(second, of_second)
            drawn *= comb(rest, taken - of_first - of_second)
            ways[apart] = ways.get(apart, 0) + drawn
    return ways


def _variance(scheme: Scheme, size: int, taken: int) -> Fraction:
    """Return the variance of D, `taken` places into a block; the module's text has the formula."""
    first, second = scheme.ratios[:2]
    spread = Fraction(taken * (size - taken), size - 1)
    return spread * (Fraction(1, first) + Fraction(1, second)) / scheme.unit
