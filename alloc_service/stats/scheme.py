"""Block sizes, weights and ratios as the figures need them: checked once, in whole numbers.

A scheme is as confidential as the design that it comes from, for it holds the block sizes.
Every rule of a design holds here too (`core.design`): the figures of a design that the
generator would refuse are refused with the same words.

A stratum's list is a renewal process: each block begins balanced, with a size drawn anew, by
weight. So what happens at a slot follows from the chance that a block begins there or before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.errors import FigureError

Floats: TypeAlias = NDArray[np.float64]

MOST_PARTICIPANTS = 1_000_000
MOST_STRATA = 1_000


@dataclass(frozen=True)
class Scheme:
    """What the figures ask of a design.

    Attributes:
        ratios: Each arm's share of a block, in ascending order; no figure asks for names.
        sizes: Block sizes in participants; confidential, hence not in the repr.
        chances: The chance of each size, for every block anew; confidential likewise.
    """

    ratios: tuple[int, ...]
    sizes: tuple[int, ...] = field(repr=False)
    chances: tuple[Fraction, ...] = field(repr=False)

    @classmethod
    def of(cls, blocks: Sequence[BlockSize], arms: Sequence[Arm]) -> "Scheme":
        """Return the scheme of a design's blocks and arms.

        Raises:
            DesignError: A ratio, a size or a weight breaks a rule of rac-gen/1.
        """
        design = Design("TEST-figures", 1, tuple(arms), tuple(blocks), (Stratum("all", 1),))
        total = sum(block.weight for block in design.blocks)
        return cls(
            ratios=tuple(sorted(arm.ratio for arm in design.arms)),
            sizes=tuple(block.size for block in design.blocks),
            chances=tuple(Fraction(block.weight, total) for block in design.blocks),
        )

    @property
    def unit(self) -> int:
        """Return the smallest possible block: the sum of the ratios."""
        return sum(self.ratios)

    @property
    def mean_size(self) -> Fraction:
        """Return the mean size of a block, in participants."""
        return sum(
            (chance * size for size, chance in zip(self.sizes, self.chances, strict=True)),
            Fraction(0),
        )

    def contents(self, size: int) -> tuple[int, ...]:
        """Return how often a block of this size holds each arm, in the order of `ratios`."""
        return tuple(ratio * size // self.unit for ratio in self.ratios)

    def starts(self, slots: int) -> Floats:
        """Return, for each slot from 0 to `slots`, the chance that a block begins there.

        Source: the renewal equation, Feller, An Introduction to Probability Theory, vol. 1, XIII.
        """
        drawn = [
            (size, float(chance)) for size, chance in zip(self.sizes, self.chances, strict=True)
        ]
        begins = [1.0] + [0.0] * slots
        for slot in range(self.unit, slots + 1, self.unit):
            begins[slot] = sum(
                chance * begins[slot - size] for size, chance in drawn if size <= slot
            )
        return np.array(begins)


def check_count(name: str, count: object, most: int, least: int = 1) -> None:
    """Refuse a number of participants, strata, slots or repetitions outside its bounds.

    Raises:
        FigureError: It is no integer from `least` to `most`.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not least <= count <= most:
        raise FigureError(name=name, rule=f"an integer from {least:,} to {most:,}")


def check_shares(shares: Sequence[float]) -> Floats:
    """Return the strata's shares of the participants, scaled to a sum of one.

    Args:
        shares: Relative frequencies of the strata, in any unit, such as expected percentages.

    Raises:
        FigureError: There is none or too many, or one is not positive and finite.
    """
    check_count("the number of strata", len(shares), MOST_STRATA)
    relative = np.array(shares, dtype=np.float64)
    if not np.all(np.isfinite(relative) & (relative > 0)):
        raise FigureError(name="each stratum's share", rule="a positive, finite number")
    scaled: Floats = relative / relative.sum()
    return scaled


def binomial(trials: int, chance: float) -> Floats:
    """Return the chances of 0 to `trials` successes; shape (trials + 1,)."""
    if chance >= 1:
        return np.concatenate([np.zeros(trials), np.ones(1)])
    logs = np.concatenate([np.zeros(1), np.cumsum(np.log(np.arange(1, trials + 1)))])
    successes = np.arange(trials + 1)
    weights = logs[-1] - logs - logs[::-1]
    weights += successes * np.log(chance) + (trials - successes) * np.log1p(-chance)
    chances: Floats = np.exp(weights)
    return chances
