"""When a stratum's slots run out: enrolment so far, carried on by simulation.

Nothing here knows an arm or a block: the counts of participants by stratum are all that it
needs. What the counts leave open is part of the answer: the strata's shares are drawn from
their posterior (Dirichlet, a half participant a stratum beforehand, after Jeffreys), the rate
of enrolment from its own (gamma). Participants arrive at a steady rate, each in a stratum by
chance; a trial whose enrolment speeds up will be earlier than its forecast.

Source: Anisimov and Fedorov 2007, Stat Med 26:4958, gamma rates; here one rate for the trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from alloc_service.errors import FigureError
from alloc_service.stats.scheme import MOST_PARTICIPANTS, MOST_STRATA, Floats, check_count
from alloc_service.stats.simulate import Integers, Seed

PRIOR = 0.5
SHOWN_QUANTILES = (0.1, 0.5, 0.9)
MOST_FUTURES = 20_000


@dataclass(frozen=True, slots=True)
class Range:
    """A simulated quantity: one in ten lies below `low`, half below `middle`, nine below `high`."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class StratumForecast:
    """What lies ahead of one stratum.

    Attributes:
        short: Chance that the stratum asks for more slots than it has before the trial's last
            participant.
        participants: The stratum's participants when the trial is full.
        days_left: Days from now until its last slot is spent, were the trial to go on.
    """

    short: float
    participants: Range
    days_left: Range


@dataclass(frozen=True, slots=True)
class Forecast:
    """What lies ahead of the trial: days until its last participant, and each stratum."""

    days_left: Range
    strata: tuple[StratumForecast, ...]


def forecast_enrolment(
    enrolled: Sequence[int],
    slots: Sequence[int],
    participants: int,
    days: float,
    *,
    repetitions: int,
    seed: Seed,
) -> Forecast:
    """Forecast when the trial is full and which strata run out of slots before.

    Args:
        enrolled: Participants so far, one number a stratum; at least one in all.
        slots: Slots of each stratum's list, in the same order.
        participants: The trial's planned number.
        days: Days that enrolment has been open.
        repetitions: Futures to simulate.
        seed: An integer, or a generator to go on with; for simulations only.

    Raises:
        FigureError: A number is out of bounds, or the two sequences differ in length.
    """
    _check(enrolled, slots, participants, days)
    check_count("the number of repetitions", repetitions, MOST_FUTURES)
    generator = np.random.default_rng(seed)
    counts = np.array(enrolled, dtype=np.int64)
    free = np.maximum(np.array(slots, dtype=np.int64) - counts, 0)
    missing = max(0, participants - int(counts.sum()))
    shares = generator.dirichlet(counts + PRIOR, size=repetitions)
    rates = generator.gamma(counts.sum(), 1 / days, size=(repetitions, 1))
    final = counts + generator.multinomial(missing, shares)
    waits = _wait_for(free, shares, rates, generator)
    full = _days_until(np.full((repetitions, 1), missing), rates, generator)
    strata = (
        StratumForecast(
            short=float((final[:, one] > slots[one]).mean()),
            participants=_range(final[:, one]),
            days_left=_range(waits[:, one]),
        )
        for one in range(len(counts))
    )
    return Forecast(_range(full[:, 0]), tuple(strata))


def _wait_for(
    free: Integers, shares: Floats, rates: Floats, generator: np.random.Generator
) -> Floats:
    """Return the days until each stratum has filled its free slots; shape (futures, strata).

    A stratum's own arrivals are a Poisson process of rate `rates` times its share, so the wait
    for the n-th is gamma distributed.
    """
    waits: Floats = generator.gamma(np.broadcast_to(free, shares.shape)) / (rates * shares)
    return waits


def _days_until(arrivals: Integers, rates: Floats, generator: np.random.Generator) -> Floats:
    """Return the days until so many more participants have come."""
    days: Floats = generator.gamma(arrivals) / rates
    return days


def _range(values: Integers | Floats) -> Range:
    low, middle, high = np.quantile(values, SHOWN_QUANTILES)
    return Range(float(low), float(middle), float(high))


def _check(enrolled: Sequence[int], slots: Sequence[int], participants: int, days: float) -> None:
    check_count("the number of strata", len(enrolled), MOST_STRATA)
    check_count("the number of participants", participants, MOST_PARTICIPANTS)
    if len(slots) != len(enrolled):
        raise FigureError(name="the list of slots", rule="one number for each stratum")
    for count in enrolled:
        check_count("each stratum's enrolment", count, MOST_PARTICIPANTS, least=0)
    for length in slots:
        check_count("each stratum's slots", length, MOST_PARTICIPANTS)
    check_count("the enrolment of all strata", sum(enrolled), MOST_PARTICIPANTS)
    if not (isfinite(days) and days > 0):
        raise FigureError(name="the days of enrolment", rule="a positive, finite number")
