import pytest

from alloc_service.errors import FigureError
from alloc_service.stats.forecast import Forecast, Range, forecast_enrolment


def forecast(
    enrolled: list[int],
    slots: list[int],
    participants: int = 240,
    days: float = 100,
    *,
    repetitions: int = 4000,
    seed: int = 1,
) -> Forecast:
    return forecast_enrolment(
        enrolled, slots, participants, days, repetitions=repetitions, seed=seed
    )


def test_a_trial_fills_at_the_rate_that_it_has() -> None:
    # 120 in 100 days: the other 120 take about as long again.
    ahead = forecast([60, 60], [240, 240])

    assert ahead.days_left.middle == pytest.approx(100, rel=0.03)
    assert ahead.days_left.low < 90
    assert ahead.days_left.high > 110


def test_slots_for_everybody_never_run_short() -> None:
    ahead = forecast([60, 60], [240, 240])

    assert [stratum.short for stratum in ahead.strata] == [0, 0]


def test_a_stratum_with_too_few_slots_runs_short() -> None:
    ahead = forecast([60, 60], [70, 240])

    short, ample = ahead.strata
    assert short.short > 0.99
    assert ample.short == 0
    # Ten more at half of 1.2 a day.
    assert short.days_left.middle == pytest.approx(10 / 0.6, rel=0.1)
    assert short.days_left.high < ample.days_left.low


def test_shares_that_few_participants_show_stay_uncertain() -> None:
    def width(quantity: Range) -> float:
        return quantity.high - quantity.low

    early = forecast([3, 3], [240, 240])
    late = forecast([60, 60], [240, 240])

    assert width(early.strata[0].participants) > 2 * width(late.strata[0].participants)


def test_a_stratum_without_anybody_yet_is_not_written_off() -> None:
    ahead = forecast([20, 0], [240, 240])

    assert ahead.strata[1].participants.high > 0


def test_participants_of_all_strata_come_to_the_trial() -> None:
    ahead = forecast([30, 10], [240, 240])

    middles = [stratum.participants.middle for stratum in ahead.strata]
    assert sum(middles) == pytest.approx(240, abs=2)
    assert middles[0] == pytest.approx(180, abs=5)


def test_a_full_trial_and_an_exhausted_stratum_have_nothing_left() -> None:
    ahead = forecast([40, 200], [40, 240])

    assert ahead.days_left == Range(0, 0, 0)
    assert ahead.strata[0].days_left == Range(0, 0, 0)
    assert ahead.strata[0].participants == Range(40, 40, 40)
    assert ahead.strata[0].short == 0


def test_the_same_seed_gives_the_same_forecast() -> None:
    assert forecast([5, 6], [40, 40]) == forecast([5, 6], [40, 40])
    assert forecast([5, 6], [40, 40]) != forecast([5, 6], [40, 40], seed=2)


def test_impossible_forecasts_are_refused() -> None:
    with pytest.raises(FigureError, match="enrolment of all strata"):
        forecast([0, 0], [10, 10])
    with pytest.raises(FigureError, match="one number for each stratum"):
        forecast([1, 1], [10])
    with pytest.raises(FigureError, match="each stratum's enrolment"):
        forecast([-1, 2], [10, 10])
    with pytest.raises(FigureError, match="each stratum's slots"):
        forecast([1, 2], [10, 0])
    with pytest.raises(FigureError, match="number of strata"):
        forecast([], [])
    with pytest.raises(FigureError, match="participants"):
        forecast([1], [10], participants=0)
    with pytest.raises(FigureError, match="repetitions"):
        forecast([1], [10], repetitions=20_001)
    for days in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(FigureError, match="days of enrolment"):
            forecast([1], [10], days=days)
