"""What a rehearsal moves and what it leaves behind: its clock, and the course of its enrolment."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alloc_service.services.reveal import Allocation


class SimulatedClock:
    """A clock that stands still until it is moved; threads may read it."""

    def __init__(self, begins: datetime) -> None:
        self._now = begins
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        """Return the simulated time."""
        with self._lock:
            return self._now

    def advance(self, by: timedelta) -> None:
        """Move on; time never goes back here."""
        with self._lock:
            self._now += by


@dataclass
class Course:
    """What became of the simulated participants.

    Attributes:
        screened: How many arrived.
        ineligible: How many of them were not eligible, by the first reason.
        refused: How many of those were asked for all the same, refused and logged.
        allocated: One a participant, in the order of allocation.
        by_habit: How many were asked for in each way.
        after_cap: Whether one more was refused after the last place.
        faults: What must never happen, and did.
    """

    screened: int = 0
    ineligible: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    allocated: list[Allocation] = field(default_factory=list, repr=False)
    by_habit: Counter[str] = field(default_factory=Counter)
    after_cap: bool = False
    faults: list[str] = field(default_factory=list)

    def keep(self, shown: Allocation, habit: str) -> None:
        """Note an allocation that was shown."""
        self.allocated.append(shown)
        self.by_habit[habit] += 1

    def compare(self, shown: Allocation, other: Allocation) -> None:
        """Note a fault where one participant was shown two different allocations."""
        if (shown.arm, shown.randomization_number) != (other.arm, other.randomization_number):
            self.faults.append(f"{shown.participant} was shown two different allocations")
