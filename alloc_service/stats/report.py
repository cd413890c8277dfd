"""One design, one look: what a statistician weighs before signing a design.

Every figure betrays something of the block sizes: the report is for those who know the design,
and never for a page, a log or a document that enrolling staff can read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from alloc_service.core.design import Arm, BlockSize
from alloc_service.stats.balance import (
    StrataVerdict,
    final_variance,
    judge_strata,
    open_blocks,
    simple_variance,
)
from alloc_service.stats.certainty import certain_share
from alloc_service.stats.predict import guess_rate, simple_guess_rate


@dataclass(frozen=True, slots=True)
class DesignReport:
    """The figures of a design, beside those of simple randomization. Confidential.

    Attributes:
        guess_rate: Share of allocations that the guesser of `predict` names, in the long run.
        simple_guess_rate: The same under simple randomization.
        excess_correct: Correct guesses among the participants beyond simple randomization.
        certain_share: Share of allocations that can be deduced (`certainty`).
        certain_is_exact: Whether that share was computed, not simulated with a fixed seed.
        largest_difference: Bound of the final difference between two arms, in participants for
            each unit of the ratio (`balance`).
        difference_sd: Standard deviation of that difference; the strata are taken as equal.
        simple_difference_sd: The same under simple randomization.
        verdict: Whether the participants are enough for so many strata.
    """

    guess_rate: float
    simple_guess_rate: float
    excess_correct: float
    certain_share: float
    certain_is_exact: bool
    largest_difference: int
    difference_sd: float
    simple_difference_sd: float
    verdict: StrataVerdict


def describe(
    blocks: Sequence[BlockSize], arms: Sequence[Arm], strata: int, participants: int
) -> DesignReport:
    """Return all figures of a design at once.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        strata: How many strata the participants are spread over.
        participants: Planned for the whole trial.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `strata` or `participants` is out of bounds.
    """
    verdict = judge_strata(blocks, arms, strata, participants)
    rate, simple = guess_rate(blocks, arms), simple_guess_rate(arms)
    certain = certain_share(blocks, arms)
    return DesignReport(
        guess_rate=float(rate),
        simple_guess_rate=float(simple),
        excess_correct=float((rate - simple) * participants),
        certain_share=float(certain.share),
        certain_is_exact=certain.exact,
        largest_difference=min(open_blocks(blocks, arms, strata).largest, participants),
        difference_sd=sqrt(final_variance(blocks, arms, participants, [1.0] * strata)),
        simple_difference_sd=sqrt(simple_variance(arms, participants)),
        verdict=verdict,
    )
