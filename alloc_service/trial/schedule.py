"""The follow-up visits of a participant, as dates at the site.

They are counted from the day of the allocation in the site's zone. Days and weeks are counted as
days; months and years by the calendar: the same day of the month, or the month's last day where
it has no such day (31 August and 6 months is 28 or 29 February).
"""

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from alloc_service.trial.consent import require_zone
from alloc_service.trial.definition import TrialDefinition


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A visit and the date on which it is due at the site."""

    code: str
    label: str
    due: date


def follow_up_dates(
    definition: TrialDefinition, site: str, allocated_at: datetime
) -> tuple[FollowUp, ...]:
    """Return the visits of a participant in the order of the definition.

    Args:
        definition: The trial.
        site: The site's code; the day of the allocation is the one there.
        allocated_at: The time of the allocation, with a zone.

    Raises:
        NaiveTimeError: The time has no zone.
        UnknownSiteError: The definition has no such site.
    """
    require_zone(allocated_at, "allocation time")
    day = allocated_at.astimezone(ZoneInfo(definition.site(site).time_zone)).date()
    return _due(definition.offsets, day)


@lru_cache(maxsize=256)
def _due(offsets: tuple[tuple[str, str, int, int], ...], day: date) -> tuple[FollowUp, ...]:
    # All who are allocated on one day have the same dates.
    return tuple(
        FollowUp(code, label, add_months(day, months) + timedelta(days=days))
        for code, label, months, days in offsets
    )


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later, or that month's last day if it is shorter."""
    years, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(years, month + 1)[1]
    return date(years, month + 1, min(day.day, last))
