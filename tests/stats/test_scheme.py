import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import DesignError, FigureError
from alloc_service.stats.scheme import Scheme, binomial, check_count, check_shares

TWO_ARMS = (Arm("A", 1), Arm("B", 1))


def test_a_scheme_keeps_the_rules_of_a_design() -> None:
    with pytest.raises(DesignError, match=r"blocks\[1\]\.size"):
        Scheme.of([BlockSize(4, 1), BlockSize(5, 1)], TWO_ARMS)
    with pytest.raises(DesignError, match="arms"):
        Scheme.of([BlockSize(4, 1)], TWO_ARMS[:1])
    with pytest.raises(DesignError, match="weight"):
        Scheme.of([BlockSize(4, 0)], TWO_ARMS)


def test_a_scheme_does_not_show_its_block_sizes() -> None:
    scheme = Scheme.of([BlockSize(146, 1)], TWO_ARMS)

    assert "146" not in repr(scheme)


def test_a_mean_block_is_weighted_by_the_draw_of_sizes() -> None:
    scheme = Scheme.of([BlockSize(4, 3), BlockSize(6, 1)], TWO_ARMS)

    assert scheme.mean_size == 4.5


def test_blocks_begin_where_sizes_add_up() -> None:
    begins = Scheme.of([BlockSize(4, 1), BlockSize(6, 1)], TWO_ARMS).starts(12)

    expected = {0: 1, 4: 1 / 2, 6: 1 / 2, 8: 1 / 4, 10: 1 / 2, 12: 3 / 8}
    assert begins == pytest.approx([expected.get(slot, 0) for slot in range(13)])


def test_in_the_long_run_a_block_begins_once_a_mean_size() -> None:
    scheme = Scheme.of([BlockSize(3, 1), BlockSize(6, 1)], (Arm("A", 2), Arm("B", 1)))

    # A block can begin at every third slot only.
    assert scheme.starts(300)[300] == pytest.approx(3 / float(scheme.mean_size))


@pytest.mark.parametrize("count", [0, 11, 2.0, True, "3", None])
def test_a_count_out_of_bounds_is_refused_with_its_rule(count: object) -> None:
    with pytest.raises(FigureError, match="participants must be an integer from 1 to 10"):
        check_count("participants", count, 10)


@pytest.mark.parametrize("shares", [[], [1, 0], [1, -1], [float("nan")], [float("inf")]])
def test_shares_that_are_no_frequencies_are_refused(shares: list[float]) -> None:
    with pytest.raises(FigureError):
        check_shares(shares)


@settings(deadline=None)
@given(
    shares=st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=1, max_size=20),
)
def test_shares_are_scaled_to_one(shares: list[float]) -> None:
    scaled = check_shares(shares)

    assert scaled.sum() == pytest.approx(1)
    assert scaled * sum(shares) == pytest.approx(shares)


@settings(deadline=None)
@given(trials=st.integers(1, 2000), chance=st.floats(min_value=0.001, max_value=1))
def test_binomial_chances_have_their_sum_mean_and_variance(trials: int, chance: float) -> None:
    chances = binomial(trials, chance)

    successes = np.arange(trials + 1)
    mean = chances @ successes
    assert chances.sum() == pytest.approx(1)
    assert mean == pytest.approx(trials * chance)
    variance = chances @ (successes - mean) ** 2
    assert variance == pytest.approx(trials * chance * (1 - chance), abs=1e-6)
