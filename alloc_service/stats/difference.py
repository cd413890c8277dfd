"""The whole distribution of the final difference between two arms, without simulation.

The difference D is that of `balance`. Given the strata's counts the strata are independent, but
the counts are not: they sum to the participants. So the counts are first taken as independent
Poisson numbers, and then held to that sum. The generating function of a Poisson trial is a
product over the strata; its coefficient at z^N, over the chance of N, is the answer. Both
variables are taken round the unit circle (fast Fourier transform); the grids are so long that
what wraps around is far below the rounding of floating-point numbers.

Source of the conditioning: Kingman 1993, Poisson Processes, chapter 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, comb, lcm, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alloc_service.core.design import Arm, BlockSize
from alloc_service.stats.balance import difference_step, open_block_ways
from alloc_service.stats.scheme import Floats, Scheme, check_count, check_shares

Complexes: TypeAlias = NDArray[np.complex128]

# Longest grids: beyond, only the variance is asked for (`balance.final_variance`).
MOST_FOR_DISTRIBUTION = 20_000
# Hoeffding: bounded, independent, mean zero: |D| beyond 9 times bound and root has chance < 1e-16.
BEYOND_ROUNDING = 9
# What the transform leaves where the chance is nought.
DUST = 1e-13
# Complex numbers held at once: 64 MB.
CELLS_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """A distribution of the difference between two arms.

    Attributes:
        values: Each difference that can occur, ascending; shape (n,).
        chances: The chance of each; shape (n,), sum 1.
    """

    values: Floats
    chances: Floats

    @property
    def deviation(self) -> float:
        """Return the standard deviation; the mean is zero."""
        return sqrt(float(self.chances @ self.values**2))

    def at_least(self, limit: float) -> float:
        """Return the chance that the arms are `limit` or more apart, either way."""
        return float(self.chances[np.abs(self.values) >= limit - 1e-9].sum())


def final_difference(
    blocks: Sequence[BlockSize],
    arms: Sequence[Arm],
    participants: int,
    shares: Sequence[float],
) -> Difference:
    """Return the distribution of D when the trial's last participant has entered.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        participants: In the whole trial, up to 20,000; each enters a stratum by chance.
        shares: The strata's relative frequencies, one number a stratum.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `participants` or a share is out of bounds.
    """
    check_count("the number of participants", participants, MOST_FOR_DISTRIBUTION)
    scheme, strata = Scheme.of(blocks, arms), check_shares(shares)
    step = difference_step(scheme)
    bound = step * max(scheme.sizes) // scheme.unit
    half = ceil(bound * min(len(strata), BEYOND_ROUNDING * sqrt(len(strata))))
    angles = _angles(half)
    length = _grid(participants)
    parts = max(1, len(angles) * length // CELLS_AT_ONCE)
    waves = [
        _total_wave(scheme, participants, strata, part) for part in np.array_split(angles, parts)
    ]
    return _difference(np.concatenate(waves), half, step)


def simple_difference(arms: Sequence[Arm], participants: int) -> Difference:
    """Return the distribution of D under simple randomization, for comparison.

    Raises:
        FigureError: `participants` is out of bounds.
    """
    check_count("the number of participants", participants, MOST_FOR_DISTRIBUTION)
    ratios = sorted(arm.ratio for arm in arms)
    step, unit = lcm(*ratios[:2]), sum(ratios)
    up, down = (step // ratio for ratio in ratios[:2])
    half = ceil(max(up, down) * min(participants, BEYOND_ROUNDING * sqrt(participants)))
    turns = np.exp(-1j * _angles(half))
    one = (ratios[0] * turns**up + ratios[1] * turns**-down + sum(ratios[2:])) / unit
    return _difference(one**participants, half, step)


def _angles(half: int) -> Floats:
    """Return the non-negative angles of a grid of 2 half + 1 points round the circle."""
    grid = 2 * half + 1
    angles: Floats = 2 * np.pi * np.arange(half + 1) / grid
    return angles


def _grid(participants: int) -> int:
    """Return a power of two that no Poisson sum of this mean passes twice, in any practice."""
    return 1 << ceil(participants + 12 * sqrt(participants) + 64).bit_length()


def _total_wave(scheme: Scheme, participants: int, strata: Floats, angles: Floats) -> Complexes:
    """Return, for each angle, the characteristic function of D times the chance of the sum."""
    by_count = _stratum_waves(scheme, participants, angles)
    length = _grid(participants)
    total = np.ones((length, len(angles)), dtype=np.complex128)
    for share, many in zip(*np.unique(strata, return_counts=True), strict=True):
        weighted = _poisson(participants, float(share))[:, None] * by_count
        total *= np.fft.fft(weighted, n=length, axis=0) ** int(many)
    turn = np.exp(2j * np.pi * (np.arange(length) * participants % length) / length)
    wave: Complexes = turn @ total / length
    return wave


def _stratum_waves(scheme: Scheme, participants: int, angles: Floats) -> Complexes:
    """Return the characteristic function of D in one stratum, by its count and the angle."""
    begins = scheme.starts(participants)[:, None]
    waves = np.zeros((participants + 1, len(angles)), dtype=np.complex128)
    for size, chance in zip(scheme.sizes, scheme.chances, strict=True):
        for taken in range(min(size, participants + 1)):
            every = comb(size, taken)
            wave = sum(
                float(Fraction(ways, every)) * np.exp(-1j * angles * steps)
                for steps, ways in open_block_ways(scheme, size, taken).items()
            )
            waves[taken:] += float(chance) * begins[: participants + 1 - taken] * wave
    return waves


def _poisson(participants: int, share: float) -> Floats:
    """Return the chances of 0 to `participants` arrivals where participants · share is the mean."""
    mean = participants * share
    counts = np.arange(participants + 1)
    logs = np.concatenate([np.zeros(1), np.cumsum(np.log(counts[1:]))])
    chances: Floats = np.exp(counts * np.log(mean) - mean - logs)
    return chances


def _difference(wave: Complexes, half: int, step: int) -> Difference:
    """Turn a characteristic function on `_angles` back into chances."""
    chances = np.fft.irfft(wave / wave[0].real, n=2 * half + 1)
    chances = np.roll(chances, half)
    values = np.arange(-half, half + 1) / step
    real = chances > DUST
    return Difference(values[real], chances[real] / chances[real].sum())
