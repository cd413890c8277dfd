"""Turns of a floor and a subject, and the line that says how they compare."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds a unit of work, for floor and subject.

    Attributes:
        name: What was measured.
        floor: Median seconds a unit of the floor.
        subject: Median seconds a unit of ours.
        limit: The largest subject ÷ floor that is good.
    """

    name: str
    floor: float
    subject: float
    limit: float

    @property
    def ratio(self) -> float:
        """Return how many times the floor's time ours takes."""
        return self.subject / self.floor

    def line(self) -> str:
        """Return the result in one line."""
        verdict = "good" if self.ratio <= self.limit else "TOO SLOW"
        return (
            f"{self.name}: {self.subject * 1e6:.2f} µs against a floor of "
            f"{self.floor * 1e6:.2f} µs: {self.ratio:.2f} × (at most {self.limit:.2f}): {verdict}"
        )


def take_turns(
    name: str,
    floor: Callable[[], object],
    subject: Callable[[], object],
    *,
    units: int,
    turns: int,
    limit: float,
) -> Measured:
    """Run floor and subject in turn, and return the medians of their times.

    Args:
        name: For the line.
        floor: One turn of the floor's work, of `units` units.
        subject: One turn of ours, of as many.
        units: Slots, entries or reveals in a turn.
        turns: How often each runs.
        limit: The largest good ratio.
    """
    floors, subjects = [], []
    for _turn in range(turns):
        floors.append(_time(floor) / units)
        subjects.append(_time(subject) / units)
    return Measured(name, statistics.median(floors), statistics.median(subjects), limit)


def _time(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
