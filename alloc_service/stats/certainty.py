"""How often the next allocation is no guess at all: the share that can be deduced.

The guesser knows the arms and their ratios, the set of block sizes, and every earlier
allocation of the stratum in order, but not which size was drawn when. An allocation is
**certain** when every division of the sequence so far into blocks of the known sizes, the last
one perhaps unfinished, leaves the same single arm for it. The share is that of the long run.

Blocks are balanced, so each possible division says where the current block ends, in units of
the smallest block, and nothing else about it matters: with n_i of arm i given so far, an end
after E units leaves E·r_i - n_i of arm i. An end dies when that falls below zero; an end that is
reached is replaced by the ends of the next block. A later end leaves more of every arm, so an
allocation is certain exactly when one end is left and one arm has places before it.

After a block of the largest size whose allocations come arm by arm, every division that fits
ends there too. So what the guesser holds possible, seen where blocks begin, is a finite chain
that returns to its first state; the share is the mean number of certain allocations a block
over the mean size. This is computed exactly, in fractions. A design whose chain is too long for
that (many large sizes) is simulated with a fixed seed, and the answer says so.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TypeAlias

import numpy as np

from alloc_service.core.design import Arm, BlockSize
from alloc_service.stats.scheme import Scheme

# Possible ends of the current block, in units: counted from the true end within a block, and
# from the block's start where one begins.
Ends: TypeAlias = frozenset[int]
Place: TypeAlias = tuple[tuple[int, ...], Ends]

MOST_STEPS = 40_000
SIMULATED_PARTICIPANTS = 100_000
SIMULATION_SEED = 1957


@dataclass(frozen=True, slots=True)
class CertainShare:
    """The long-run share of certain allocations.

    Attributes:
        share: Certain allocations over all allocations.
        exact: Computed; else simulated with a fixed seed, to about a tenth of a percentage point.
    """

    share: Fraction
    exact: bool


@dataclass(frozen=True, slots=True)
class _Walk:
    """One block walked from a state of the chain: certain allocations, and where it leads."""

    certain: Fraction
    leads_to: Mapping[Ends, Fraction]
    steps: int


def certain_share(
    blocks: Sequence[BlockSize], arms: Sequence[Arm], most_steps: int = MOST_STEPS
) -> CertainShare:
    """Return the share of allocations that can be deduced from the earlier ones.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        most_steps: Allocations to follow; beyond, the share is simulated instead of computed.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
    """
    scheme = Scheme.of(blocks, arms)
    walks = _walk_chain(scheme, most_steps)
    if walks is None:
        return CertainShare(_simulate_share(scheme), exact=False)
    times = _stationary(
        [[walk.leads_to.get(ends, Fraction(0)) for ends in walks] for walk in walks.values()]
    )
    certain = sum(
        (time * walk.certain for time, walk in zip(times, walks.values(), strict=True)),
        Fraction(0),
    )
    return CertainShare(certain / scheme.mean_size, exact=True)


def _walk_chain(scheme: Scheme, most_steps: int) -> dict[Ends, _Walk] | None:
    """Walk a block from every state that can occur; None where that takes too long."""
    walks: dict[Ends, _Walk] = {}
    unseen = [_first_ends(scheme)]
    effort = 0
    while unseen:
        ends = unseen.pop()
        walk = _walk_block(scheme, ends, most_steps - effort)
        if walk is None:
            return None
        effort += walk.steps
        walks[ends] = walk
        unseen.extend(sorted(set(walk.leads_to) - set(walks) - set(unseen), key=sorted))
    return walks


def _walk_block(scheme: Scheme, ends: Ends, most_steps: int) -> _Walk | None:
    """Follow all courses of one block that begins with these ends possible."""
    layers: dict[int, dict[Place, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for size, chance in zip(scheme.sizes, scheme.chances, strict=True):
        from_true = frozenset(end - size // scheme.unit for end in ends)
        layers[size][scheme.contents(size), from_true] += chance
    certain, steps = Fraction(0), 0
    leads_to: dict[Ends, Fraction] = defaultdict(Fraction)
    for total in range(max(scheme.sizes), 0, -1):
        layer = layers.pop(total, {})
        steps += len(layer) * len(scheme.ratios)
        if steps > most_steps:
            return None
        for place, chance in layer.items():
            certain += chance * _is_certain(place)
            for arm, left in enumerate(place[0]):
                if left:
                    after = _allocate(scheme, place, arm)
                    layers[total - 1][after] += chance * Fraction(left, total)
    for (_, open_ends), chance in layers[0].items():
        leads_to[open_ends] += chance
    return _Walk(certain, leads_to, steps)


def _first_ends(scheme: Scheme) -> Ends:
    return frozenset(size // scheme.unit for size in scheme.sizes)


def _is_certain(place: Place) -> bool:
    left, ends = place
    return len(ends) == 1 and sum(many > 0 for many in left) == 1


def _allocate(scheme: Scheme, place: Place, arm: int) -> Place:
    """Return the place after one more allocation, arms of equal ratio in ascending order."""
    before, ends = place
    left = (*before[:arm], before[arm] - 1, *before[arm + 1 :])
    alive = {end for end in ends if left[arm] + end * scheme.ratios[arm] >= 0}
    # The end that is reached: what is left before it is nothing of any arm.
    reached = -sum(left) // scheme.unit
    if sum(left) % scheme.unit == 0 and reached in alive:
        alive.remove(reached)
        alive |= {reached + length for length in _first_ends(scheme)}
    # Names do not matter: sorting makes one place of those that differ by them alone.
    ordered = sorted(zip(scheme.ratios, left, strict=True))
    return tuple(many for _, many in ordered), frozenset(alive)


def _stationary(chain: list[list[Fraction]]) -> list[Fraction]:
    """Return the long-run share of each state of an irreducible chain.

    Source: Grassmann, Taksar and Heyman 1985, Oper Res 33:1107; no subtraction, exact.
    """
    for last in range(len(chain) - 1, 0, -1):
        leaves = sum(chain[last][:last], Fraction(0))
        for state in range(last):
            chain[state][last] /= leaves
            for other in range(last):
                chain[state][other] += chain[state][last] * chain[last][other]
    times = [Fraction(1)]
    for state in range(1, len(chain)):
        times.append(
            sum((times[other] * chain[other][state] for other in range(state)), Fraction(0))
        )
    total = sum(times, Fraction(0))
    return [time / total for time in times]


def _simulate_share(scheme: Scheme) -> Fraction:
    """Return the share among the participants of a long simulated list."""
    generator = np.random.default_rng(SIMULATION_SEED)
    arms = np.arange(len(scheme.ratios))
    blocks = {size: np.repeat(arms, scheme.contents(size)) for size in scheme.sizes}
    chances = [float(chance) for chance in scheme.chances]
    many = ceil(SIMULATED_PARTICIPANTS / scheme.mean_size)
    ends, certain, participants = sorted(_first_ends(scheme)), 0, 0
    for size in generator.choice(scheme.sizes, size=many, p=chances).tolist():
        block = generator.permutation(blocks[size]).tolist()
        here, ends = _simulate_block(scheme, block, ends)
        certain += here
        participants += size
    return Fraction(certain, participants)


def _simulate_block(scheme: Scheme, block: list[int], begun: list[int]) -> tuple[int, list[int]]:
    """Return the certain allocations of one block, and the possible ends when it is over.

    The same steps as `_allocate`, with the ends in ascending order: only the first can die or
    be reached, and a look at it is all that most allocations need.
    """
    units = len(block) // scheme.unit
    ends = [end - units for end in begun]
    left = list(scheme.contents(len(block)))
    certain = 0
    for total, arm in zip(range(len(block), 0, -1), block, strict=True):
        certain += len(ends) == 1 and left[arm] == total
        left[arm] -= 1
        while left[arm] + ends[0] * scheme.ratios[arm] < 0:
            del ends[0]
        if total - 1 + ends[0] * scheme.unit == 0:
            reached = ends.pop(0)
            ends = sorted({*ends, *(reached + length for length in _first_ends(scheme))})
    return certain, ends
