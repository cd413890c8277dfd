import calendar
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import NaiveTimeError, UnknownSiteError
from alloc_service.trial.definition import TrialDefinition, shipped_definition
from alloc_service.trial.schedule import add_months, follow_up_dates

SHIPPED = shipped_definition()


def date_time(year: int) -> datetime:
    return datetime.fromisoformat(f"{year}-01-01T00:00")  # naive: hypothesis adds the zone itself


def due(definition: TrialDefinition, allocated_at: datetime) -> list[str]:
    return [visit.due.isoformat() for visit in follow_up_dates(definition, "XA01", allocated_at)]


def test_the_visits_of_the_record_are_dated(definition: TrialDefinition) -> None:
    allocated_at = datetime(2026, 3, 2, 1, 15, tzinfo=UTC)

    visits = follow_up_dates(definition, "XA01", allocated_at)

    assert [(visit.label, visit.due.isoformat()) for visit in visits] == [
        ("1 week", "2026-03-09"),
        ("4 weeks", "2026-03-30"),
        ("3 months", "2026-06-02"),
        ("6 months", "2026-09-02"),
        ("9 months", "2026-12-02"),
        ("1 year", "2027-03-02"),
    ]


@pytest.mark.parametrize(
    ("day", "dates"),
    [
        (
            date(2026, 8, 31),
            ["2026-09-07", "2026-09-28", "2026-11-30", "2027-02-28", "2027-05-31", "2027-08-31"],
        ),
        (
            date(2027, 8, 31),
            ["2027-09-07", "2027-09-28", "2027-11-30", "2028-02-29", "2028-05-31", "2028-08-31"],
        ),
        (
            date(2028, 2, 29),
            ["2028-03-07", "2028-03-28", "2028-05-29", "2028-08-29", "2028-11-29", "2029-02-28"],
        ),
        (
            date(2026, 11, 30),
            ["2026-12-07", "2026-12-28", "2027-02-28", "2027-05-30", "2027-08-30", "2027-11-30"],
        ),
        (
            date(2026, 12, 31),
            ["2027-01-07", "2027-01-28", "2027-03-31", "2027-06-30", "2027-09-30", "2027-12-31"],
        ),
    ],
)
def test_months_end_on_the_last_day_of_a_shorter_month(
    definition: TrialDefinition, day: date, dates: list[str]
) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("Asia/Shanghai"))

    assert due(definition, noon) == dates


def test_the_day_of_the_allocation_is_the_one_at_the_site(definition: TrialDefinition) -> None:
    before_midnight = datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)
    midnight = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)

    assert due(definition, before_midnight)[0] == "2026-03-08"
    assert due(definition, midnight)[0] == "2026-03-09"


@given(st.datetimes(date_time(2000), date_time(2100)), st.integers(-14, 14))
def test_the_zone_of_the_server_does_not_matter(moment: datetime, hours: int) -> None:
    utc = moment.replace(tzinfo=UTC)
    elsewhere = utc.astimezone(timezone(timedelta(hours=hours)))

    assert due(SHIPPED, utc) == due(SHIPPED, elsewhere)


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(0, 240))
def test_adding_months_keeps_the_day_or_takes_the_last_one(day: date, months: int) -> None:
    later = add_months(day, months)

    last = calendar.monthrange(later.year, later.month)[1]
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == min(day.day, last)


def test_visits_come_in_their_order_whatever_the_day(definition: TrialDefinition) -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(1_500):
        dates = due(definition, day + timedelta(days=number))
        assert dates == sorted(set(dates))


def test_a_time_without_a_zone_dates_nothing(definition: TrialDefinition) -> None:
    with pytest.raises(NaiveTimeError, match="allocation time"):
        follow_up_dates(definition, "XA01", date_time(2026))


def test_an_unknown_site_has_no_schedule(definition: TrialDefinition) -> None:
    with pytest.raises(UnknownSiteError):
        follow_up_dates(definition, "BJ02", datetime(2026, 3, 2, tzinfo=UTC))
