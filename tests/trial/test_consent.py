from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import (
    ConsentError,
    ConsentInFutureError,
    ConsentNotBeforeRequestError,
    ConsentVersionError,
    NaiveTimeError,
    UnknownSiteError,
)
from alloc_service.trial.consent import Consent, check_consent, find_offsets, read_consent
from alloc_service.trial.definition import TrialDefinition

REQUEST = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_consent_before_the_request_is_taken() -> None:
    check_consent(REQUEST - SECOND, REQUEST)
    check_consent(REQUEST - timedelta(days=30), REQUEST, REQUEST + SECOND)


def test_a_consent_in_the_future_is_refused() -> None:
    with pytest.raises(ConsentInFutureError, match="lies in the future"):
        check_consent(REQUEST + SECOND, REQUEST)
    with pytest.raises(ConsentInFutureError):
        check_consent(REQUEST - SECOND, REQUEST, REQUEST - 2 * SECOND)


def test_a_consent_that_is_not_before_the_request_is_refused() -> None:
    with pytest.raises(ConsentNotBeforeRequestError, match="before the allocation is requested"):
        check_consent(REQUEST, REQUEST)
    with pytest.raises(ConsentNotBeforeRequestError):
        check_consent(REQUEST + SECOND, REQUEST, REQUEST + 2 * SECOND)


@given(
    st.integers(-14 * 60, 14 * 60),
    st.integers(-14 * 60, 14 * 60),
    st.integers(-100_000, 100_000).filter(bool),
)
def test_zones_do_not_matter_to_the_order(ours: int, theirs: int, seconds: int) -> None:
    consent = (REQUEST + timedelta(seconds=seconds)).astimezone(timezone(timedelta(minutes=ours)))
    request = REQUEST.astimezone(timezone(timedelta(minutes=theirs)))

    if seconds < 0:
        check_consent(consent, request)
    else:
        with pytest.raises(ConsentInFutureError):
            check_consent(consent, request)


def test_an_hour_that_came_twice_is_ordered_by_its_moments() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2025, 10, 26, 2, 40, tzinfo=berlin, fold=0)
    second = datetime(2025, 10, 26, 2, 20, tzinfo=berlin, fold=1)

    check_consent(first, second)
    with pytest.raises(ConsentInFutureError):
        check_consent(second, first)


@pytest.mark.parametrize("naive", [0, 1, 2])
def test_a_time_without_a_zone_is_refused(naive: int) -> None:
    times = [REQUEST - SECOND, REQUEST, REQUEST]
    times[naive] = times[naive].replace(tzinfo=None)

    with pytest.raises(NaiveTimeError, match="a time needs its zone"):
        check_consent(*times)


def test_a_consent_record_needs_a_zone() -> None:
    assert Consent(REQUEST, "1").time == REQUEST
    with pytest.raises(NaiveTimeError):
        Consent(REQUEST.replace(tzinfo=None), "1")


@pytest.mark.parametrize("year", [1, 1899, 9999])
def test_a_year_at_the_ends_of_the_calendar_is_refused(year: int) -> None:
    east = datetime(year, 1, 1, tzinfo=timezone(timedelta(hours=14)))

    with pytest.raises(ConsentError, match="the year of the consent time cannot be right"):
        check_consent(east, REQUEST)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-02 09:15", datetime(2026, 3, 2, 1, 15, tzinfo=UTC)),
        ("2026-03-02T09:15", datetime(2026, 3, 2, 1, 15, tzinfo=UTC)),
        ("2026-03-02 09:15:30", datetime(2026, 3, 2, 1, 15, 30, tzinfo=UTC)),
        ("2026-03-02T09:15+08:00", datetime(2026, 3, 2, 1, 15, tzinfo=UTC)),
        ("2026-03-02T09:15Z", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("2026-03-02T09:15-05:30", datetime(2026, 3, 2, 14, 45, tzinfo=UTC)),
    ],
)
def test_a_typed_time_is_read_in_the_zone_of_the_site(
    definition: TrialDefinition, text: str, moment: datetime
) -> None:
    consent = read_consent(definition, "XA01", text, "1")

    assert consent.time == moment
    assert consent.version == "1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026-03-02",
        "02.03.2026 09:15",
        "2026-02-30 09:15",
        "2026-13-01 09:15",
        "2026-03-02 24:15",
        "2026-03-02 9:15",
        "2026-03-02 09:15 CST",
        "2026-03-02T09:15+25:00",
        "2026-03-02 09:15\x00",
        "２０２６-03-02 09:15",
        "2" * 10_240,
    ],
)
def test_a_text_that_is_no_date_and_time_is_refused(definition: TrialDefinition, text: str) -> None:
    with pytest.raises(ConsentError, match="write its date and time as 2026-03-02 09:15") as no:
        read_consent(definition, "XA01", text, "1")

    assert str(no.value).isprintable()


def test_consent_to_another_version_is_refused(definition: TrialDefinition) -> None:
    with pytest.raises(ConsentVersionError, match="version 1 of its wording"):
        read_consent(definition, "XA01", "2026-03-02 09:15", "2")


def test_consent_at_an_unknown_site_is_refused(definition: TrialDefinition) -> None:
    with pytest.raises(UnknownSiteError, match="Its sites are: XA01"):
        read_consent(definition, "BJ02", "2026-03-02 09:15", "1")


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("1988-04-17 02:30", "+08:00"),  # skipped: the clock went from 02:00 to 03:00
        ("1988-09-11 01:30", "+08:00"),  # shown twice: it went from 02:00 back to 01:00
        ("1988-09-11 01:30", "+09:00"),
    ],
)
def test_an_hour_that_the_clock_skipped_or_showed_twice_needs_its_offset(
    definition: TrialDefinition, text: str, offset: str
) -> None:
    with pytest.raises(ConsentError, match="the clock was changed in that hour"):
        read_consent(definition, "XA01", text, "1")

    exact = read_consent(definition, "XA01", text + offset, "1").time
    assert exact.isoformat() == f"{text}:00{offset}".replace(" ", "T")


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        ("1988-04-17 02:30", ("+08:00", "+09:00")),
        ("1988-09-11T01:30:59", ("+09:00", "+08:00")),
        ("1988-09-11 01:30+08:00", ()),
        ("1988-09-11 02:00", ()),
        ("2026-03-02 09:15", ()),
        ("1988-09-11", ()),
        ("", ()),
    ],
)
def test_the_offsets_of_such_an_hour_are_told_before_and_after_the_change(
    definition: TrialDefinition, text: str, offsets: tuple[str, ...]
) -> None:
    assert find_offsets(definition, "XA01", text) == offsets


def test_each_offset_of_such_an_hour_is_taken_with_it(definition: TrialDefinition) -> None:
    first, second = (
        read_consent(definition, "XA01", f"1988-09-11 01:30{offset}", "1").time
        for offset in find_offsets(definition, "XA01", "1988-09-11 01:30")
    )

    assert second - first == timedelta(hours=1)


def test_offsets_at_an_unknown_site_are_refused(definition: TrialDefinition) -> None:
    with pytest.raises(UnknownSiteError):
        find_offsets(definition, "BJ02", "2026-03-02 09:15")


@pytest.mark.parametrize(
    ("text", "offset"), [("1988-04-17 01:30", 8), ("1988-04-17 03:30", 9), ("1988-09-11 02:30", 8)]
)
def test_the_hours_around_a_change_of_the_clock_are_read_as_the_zone_had_them(
    definition: TrialDefinition, text: str, offset: int
) -> None:
    consent = read_consent(definition, "XA01", text, "1")

    assert consent.time.utcoffset() == timedelta(hours=offset)
