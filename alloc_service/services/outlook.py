"""How far a trial is and when it will be full: totals without arms, and a forecast of the last day.

The forecast knows how many were allocated and since when they could be; no arm, no list and no
stratum has a part in it. It is a simulation with a fixed seed, so that two readers see the same.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alloc_service.log.entry import Entry, parse_time
from alloc_service.log.state import LogState
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, reports
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.services.reports import Totals
from alloc_service.stats.forecast import Range, forecast_enrolment

FUTURES = 4_000
LEAST_DAYS = 1.0

_SEED = 1
_FARTHEST = 36_525  # days: nobody plans further than a hundred years
_OPENING = ("list.activated", "site.activated")


@dataclass(frozen=True, slots=True)
class LastDay:
    """The day of the last allocation: the chance is 1, 5 and 9 in 10 that it is not later.

    None is a day more than a hundred years ahead.
    """

    early: date | None
    middle: date | None
    late: date | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far a trial is, and what lies ahead.

    Attributes:
        totals: Without arms.
        state: open, paused or closed.
        since: When the first allocation could be made; none before a list and a site were active.
        last_day: When the cap will be reached; none where the trial is full or closed, or where
            nobody was allocated or less than a day has passed.
    """

    totals: Totals
    state: str
    since: datetime | None
    last_day: LastDay | None


def read_outlook(deps: Deps, person: Person, trial_id: str) -> Outlook:
    """Return totals and forecast, for the trial manager and for oversight.

    Raises:
        NotAllowedError: The person has no role for it.
    """
    first: dict[str, str] = {}

    def keep_first(entry: Entry) -> None:
        if entry.type in _OPENING:
            first.setdefault(entry.type, entry.time)

    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_TOTALS, trial_id)
        state = audit.read_state(session, trial_id, keep_first)
        totals = reports.total_of(session, trial_id, state)
    since = parse_time(max(first.values())) if len(first) == len(_OPENING) else None
    return Outlook(totals, state.trial, since, _forecast(deps.clock(), since, state, totals))


def _forecast(
    now: datetime, since: datetime | None, state: LogState, totals: Totals
) -> LastDay | None:
    if since is None or state.trial == "closed" or not 0 < totals.allocated < totals.cap:
        return None
    days = (now - since) / timedelta(days=1)
    if days < LEAST_DAYS:
        return None
    ahead: Range = forecast_enrolment(
        [totals.allocated], [totals.cap], totals.cap, days, repetitions=FUTURES, seed=_SEED
    ).days_left
    return LastDay(_day(now, ahead.low), _day(now, ahead.middle), _day(now, ahead.high))


def _day(now: datetime, days: float) -> date | None:
    return None if days > _FARTHEST else (now + timedelta(days=days)).date()
