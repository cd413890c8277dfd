import pytest

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import DesignError, FigureError
from alloc_service.stats.balance import StrataLevel
from alloc_service.stats.report import describe

TWO_ARMS = (Arm("A", 1), Arm("B", 1))
FOUR_AND_SIX = (BlockSize(4, 1), BlockSize(6, 1))


def test_the_example_design_is_described_in_one_call() -> None:
    report = describe(FOUR_AND_SIX, TWO_ARMS, 4, 240)

    assert report.guess_rate == pytest.approx(0.693, abs=0.0005)
    assert report.simple_guess_rate == 0.5
    assert report.excess_correct == pytest.approx(46.4)
    assert report.certain_share == pytest.approx(0.054, abs=0.0005)
    assert report.certain_is_exact
    assert report.largest_difference == 12
    assert report.difference_sd == pytest.approx(2.0, abs=0.05)
    assert report.simple_difference_sd == pytest.approx(15.5, abs=0.05)
    assert report.verdict.level is StrataLevel.FINE


def test_too_many_strata_are_described_with_their_verdict() -> None:
    assert describe(FOUR_AND_SIX, TWO_ARMS, 16, 240).verdict.level is StrataLevel.WARN
    assert describe(FOUR_AND_SIX, TWO_ARMS, 32, 240).verdict.level is StrataLevel.SIGN


def test_arms_cannot_end_further_apart_than_there_are_participants() -> None:
    assert describe(FOUR_AND_SIX, TWO_ARMS, 8, 10).largest_difference == 10


def test_a_share_that_is_too_long_to_compute_is_marked() -> None:
    sizes = [BlockSize(size, 1) for size in (8, 14, 20, 26, 32)]

    assert not describe(sizes, TWO_ARMS, 1, 240).certain_is_exact


def test_impossible_designs_are_refused() -> None:
    with pytest.raises(DesignError):
        describe([BlockSize(5, 1)], TWO_ARMS, 1, 240)
    with pytest.raises(FigureError, match="strata"):
        describe(FOUR_AND_SIX, TWO_ARMS, 0, 240)
    with pytest.raises(FigureError, match="participants"):
        describe(FOUR_AND_SIX, TWO_ARMS, 4, 0)
