from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import DesignError
from alloc_service.stats.certainty import certain_share

TWO_ARMS = (Arm("A", 1), Arm("B", 1))

# Equal weights; the exact share, and what the table of designs says. Its figures for random
# sizes come from a simulation and lie within 0.25 percentage points of the exact ones.
SHARES = [
    ((2,), Fraction(1, 2), 0.500),
    ((4,), Fraction(1, 3), 0.333),
    ((6,), Fraction(1, 4), 0.250),
    ((8,), Fraction(1, 5), 0.200),
    ((2, 4), Fraction(1, 9), 0.112),
    ((2, 4, 6), Fraction(1, 24), 0.043),
    ((4, 6), Fraction(49, 900), 0.054),
    ((4, 6, 8), Fraction(244, 10605), 0.021),
]


def arms_of(*ratios: int) -> tuple[Arm, ...]:
    return tuple(Arm(f"arm-{number}", ratio) for number, ratio in enumerate(ratios))


def equal_weights(*sizes: int) -> list[BlockSize]:
    return [BlockSize(size, 1) for size in sizes]


def certain_by_block(sizes: Sequence[int], smallest: str, many: int) -> list[Fraction]:
    """Expected certain allocations in the first, second … block, by brute force.

    Nothing of the module's reasoning is used: an allocation is certain for those who saw what
    came before it if all lists that begin so go on with the same arm. `smallest` is a smallest
    block, one letter a place.
    """
    blocks = []
    for size in sizes:
        orders = {"".join(order) for order in permutations(smallest * (size // len(smallest)))}
        blocks += [(order, Fraction(1, len(sizes) * len(orders))) for order in orders]
    follows: dict[str, set[str]] = defaultdict(set)
    known = {""}
    unseen = [""]
    while unseen:
        begin = unseen.pop()
        for order, _ in blocks:
            grown = begin + order
            for slot in range(len(begin), len(grown)):
                follows[grown[:slot]].add(grown[slot])
            if len(grown) < max(sizes) * many and grown not in known:
                known.add(grown)
                unseen.append(grown)
    sure = {seen for seen, arms in follows.items() if len(arms) == 1}
    lists = {"": Fraction(1)}
    certain: list[Fraction] = []
    for _ in range(many):
        longer: dict[str, Fraction] = defaultdict(Fraction)
        certain.append(Fraction(0))
        for begin, chance in lists.items():
            for order, drawn in blocks:
                grown = begin + order
                here = sum(grown[:slot] in sure for slot in range(len(begin), len(grown)))
                certain[-1] += chance * drawn * here
                longer[grown] += chance * drawn
        lists = longer
    return certain


@pytest.mark.parametrize(("sizes", "exact", "table"), SHARES)
def test_the_certain_share_is_that_of_the_table_of_designs(
    sizes: tuple[int, ...], exact: Fraction, table: float
) -> None:
    certain = certain_share(equal_weights(*sizes), TWO_ARMS)

    assert certain.exact
    assert certain.share == exact
    assert float(certain.share) == pytest.approx(table, abs=0.0025)


@pytest.mark.parametrize(
    ("sizes", "smallest", "ratios"),
    [
        ((4,), "ab", (1, 1)),
        ((2, 4), "ab", (1, 1)),
        ((2, 4, 6), "ab", (1, 1)),
        ((3, 6), "aab", (2, 1)),
        ((3, 6), "abc", (1, 1, 1)),
    ],
)
def test_all_lists_one_by_one_come_to_the_same_share(
    sizes: tuple[int, ...], smallest: str, ratios: tuple[int, ...]
) -> None:
    # With these sizes each block is as certain as the first.
    (certain,) = certain_by_block(sizes, smallest, 1)

    share = certain_share(equal_weights(*sizes), arms_of(*ratios)).share
    assert share == certain * len(sizes) / sum(sizes)


def test_all_lists_of_four_and_six_approach_the_same_share() -> None:
    # The start of the list is known for sure, what comes later less and less: the blocks'
    # figures fall like a geometric series, so three of them give the limit exactly.
    first, second, third = certain_by_block((4, 6), "ab", 3)

    limit = first - (second - first) ** 2 / (third - 2 * second + first)
    assert certain_share(equal_weights(4, 6), TWO_ARMS).share == limit / 5
    assert first > second > third > limit


@settings(deadline=None, max_examples=40)
@given(
    ratios=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    repeats=st.integers(1, 3),
)
def test_one_known_size_is_certain_once_one_arm_is_left(
    ratios: Sequence[int], repeats: int
) -> None:
    size = sum(ratios) * repeats
    one_arm_left = sum(
        Fraction(comb(ratio * repeats, left), comb(size, left))
        for ratio in ratios
        for left in range(1, size + 1)
    )

    assert certain_share([BlockSize(size, 1)], arms_of(*ratios)).share == one_arm_left / size


@settings(deadline=None, max_examples=10)
@given(order=st.permutations([1, 2, 2, 3]), sizes=st.permutations([8, 16]))
def test_the_order_of_arms_and_sizes_does_not_matter(order: list[int], sizes: list[int]) -> None:
    share = certain_share(equal_weights(*sizes), arms_of(*order))

    assert share == certain_share(equal_weights(8, 16), arms_of(1, 2, 2, 3))


def test_weights_matter() -> None:
    rarely_large = certain_share([BlockSize(4, 9), BlockSize(6, 1)], TWO_ARMS).share
    rarely_small = certain_share([BlockSize(4, 1), BlockSize(6, 9)], TWO_ARMS).share

    assert rarely_large != rarely_small
    assert max(rarely_large, rarely_small) < Fraction(1, 4)


def test_more_sizes_leave_less_to_deduce() -> None:
    shares = [
        certain_share(equal_weights(*range(4, largest + 1, 2)), TWO_ARMS).share
        for largest in range(4, 22, 2)
    ]

    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < Fraction(2, 1000)


def test_a_chain_that_is_too_long_is_simulated_and_says_so() -> None:
    simulated = certain_share(equal_weights(4, 6), TWO_ARMS, most_steps=10)

    assert not simulated.exact
    assert float(simulated.share) == pytest.approx(49 / 900, abs=0.004)
    assert simulated == certain_share(equal_weights(4, 6), TWO_ARMS, most_steps=10)


def test_a_chain_too_long_after_its_first_block_is_simulated_too() -> None:
    simulated = certain_share(equal_weights(3, 6), arms_of(2, 1), most_steps=30)

    assert not simulated.exact
    exact = certain_share(equal_weights(3, 6), arms_of(2, 1)).share
    assert float(simulated.share) == pytest.approx(float(exact), abs=0.004)


def test_a_design_of_another_rule_is_refused() -> None:
    with pytest.raises(DesignError):
        certain_share(equal_weights(5), TWO_ARMS)
