"""Number and consent of a draft: looked at again, corrected, and told to the very moment."""

import json
import re
from collections.abc import Callable

import pytest

from tests.support.browser import Browser
from tests.support.installation import Installation, type_small

ENROL_IN_BERLIN = "/trials/TEST-SMALL/sites/BE02/enrol"
CONSENT = {"consent_day": "2026-03-01", "consent_hour": "09:15", "consent_version": "1"}
# In Berlin the clock went from 03:00 back to 02:00, and in March from 02:00 on to 03:00.
TWICE = {**CONSENT, "participant": "P-001", "consent_day": "2025-10-26", "consent_hour": "02:30"}
NEVER = {**TWICE, "consent_day": "2025-03-30"}

Browse = Callable[..., Browser]


def typed_moment(active: Installation) -> str:
    """Return the consent's time in the one draft that there is."""
    ((stored,),) = active.ask("SELECT draft FROM enrolment")
    return str(json.loads(stored)["consent"]["time"])


def typed_offsets(browser: Browser) -> list[str]:
    """Return the offsets that are chosen on the page."""
    return re.findall(r'name="consent_offset" value="([^"]+)"[^>]* checked', browser.page)


def test_a_number_that_was_mistyped_is_corrected_on_the_way_from_the_check_page(
    active: Installation, doc: Browser
) -> None:
    enrolment = active.enrol(type_small("P-010")).id
    doc.get(f"/enrolments/{enrolment}/check")
    assert f'href="/enrolments/{enrolment}/consent?then=check"' in doc.page
    assert doc.page.count("Change<") == len(re.findall("<dt>(?!Stratum)", doc.page))

    doc.get(f"/enrolments/{enrolment}/consent")
    assert 'value="P-010"' in doc.page
    doc.post(f"/enrolments/{enrolment}/consent", {"participant": " P-001 ", **CONSENT})

    assert doc.title == "Check and sign"
    assert "P-001, site XA01" in doc.words
    assert "45 years" in doc.words
    assert active.ask("SELECT participant FROM enrolment") == [("P-001",)]


@pytest.mark.parametrize(
    ("number", "told"), [("P-002", "is enrolled already"), ("", "it must be 1-32 of")]
)
def test_a_number_that_is_used_or_none_is_not_corrected_to(
    active: Installation, doc: Browser, number: str, told: str
) -> None:
    active.enrol(type_small("P-002"))
    enrolment = active.enrol(type_small("P-001")).id
    doc.get(f"/enrolments/{enrolment}/consent")
    doc.post(f"/enrolments/{enrolment}/consent", {**CONSENT, "participant": number})

    assert doc.answer.status_code == 422
    assert told in doc.errors["participant"]
    assert f'value="{number}"' in doc.page
    assert ("P-001",) in active.ask("SELECT participant FROM enrolment")


@pytest.mark.parametrize(
    "typed", ["2026-03-01T02:15Z", "2026-03-01 10:15", "2026-03-01 10:15:59+08:00"]
)
def test_a_consent_that_is_looked_at_and_saved_again_stays_the_same_moment(
    active: Installation, doc: Browser, typed: str
) -> None:
    enrolment = active.enrol(type_small(consent_time=typed)).id
    before = active.ask("SELECT draft FROM enrolment")

    doc.get(f"/enrolments/{enrolment}/consent")
    assert 'value="2026-03-01"' in doc.page
    assert 'value="10:15"' in doc.page
    doc.post(
        f"/enrolments/{enrolment}/consent",
        {"participant": "P-001", **CONSENT, "consent_hour": "10:15"},
    )

    assert f"2026-03-01 10:15:{typed[17:19] or '00'} +08:00, version 1" in doc.words
    assert active.ask("SELECT draft FROM enrolment") == before


def test_in_the_hour_of_a_change_of_the_clock_the_offset_is_asked_for(
    active: Installation, browse: Browse
) -> None:
    far = browse("far")
    far.get(ENROL_IN_BERLIN)
    assert "Offset" not in far.words
    far.post(ENROL_IN_BERLIN, {**TWICE, "consent_version": "7"})

    assert far.answer.status_code == 422
    assert set(far.errors) == {"consent_offset", "consent_version"}
    assert "choose which of the two" in far.errors["consent_offset"]
    assert '<a href="#consent_offset">' in far.page
    assert "+02:00, before the clock was changed +01:00, after" in far.words
    assert all(f'value="{TWICE[name]}"' in far.page for name in TWICE if "version" not in name)
    far.post(ENROL_IN_BERLIN, {**TWICE, "consent_version": "7", "consent_offset": "+01:00"})
    assert set(far.errors) == {"consent_version"}
    assert typed_offsets(far) == ["+01:00"]
    far.post(ENROL_IN_BERLIN, {**TWICE, "consent_offset": "+01:00"})

    assert far.title == "Facts"
    assert typed_moment(active) == "2025-10-26T02:30:00+01:00"


@pytest.mark.parametrize(
    ("typed", "offset", "kept"),
    [
        (TWICE, "+02:00", "2025-10-26T02:30:00+02:00"),
        (TWICE, "+01:00", "2025-10-26T02:30:00+01:00"),
        (NEVER, "+01:00", "2025-03-30T02:30:00+01:00"),
    ],
)
def test_a_consent_in_that_hour_is_shown_with_its_offset_and_stays(
    active: Installation, browse: Browse, typed: dict[str, str], offset: str, kept: str
) -> None:
    far = browse("far")
    far.get(ENROL_IN_BERLIN)
    far.post(ENROL_IN_BERLIN, {**typed, "consent_offset": offset})
    assert typed_moment(active) == kept
    path = far.answer.request.path.replace("facts", "consent")

    far.get(path)
    again = {**TWICE, "consent_offset": offset} if typed is TWICE else {
        **NEVER, "consent_hour": "03:30"
    }  # fmt: skip
    assert f'value="{again["consent_hour"]}"' in far.page
    assert typed_offsets(far) == ([offset] if typed is TWICE else [])
    far.post(path, again)

    assert far.title == "Check and sign"
    assert typed_moment(active) == kept


@pytest.mark.parametrize("offset", ["", "+05:00", "Z", "-02:00", "<b>", "x" * 10_000])
def test_no_other_offset_is_taken_and_none_where_the_hour_needs_none(
    active: Installation, browse: Browse, offset: str
) -> None:
    far = browse("far")
    far.get(ENROL_IN_BERLIN)
    far.post(ENROL_IN_BERLIN, {**TWICE, "consent_offset": offset})
    assert set(far.errors) == {"consent_offset"}

    far.post(ENROL_IN_BERLIN, {**TWICE, "consent_hour": "09:30", "consent_offset": offset})

    assert typed_moment(active) == "2025-10-26T09:30:00+01:00"


def test_a_draft_is_moved_from_one_offset_to_the_other(
    active: Installation, browse: Browse
) -> None:
    far = browse("far")
    far.get(ENROL_IN_BERLIN)
    far.post(ENROL_IN_BERLIN, {**TWICE, "consent_offset": "+02:00"})
    path = far.answer.request.path.replace("facts", "consent")

    far.post(path, TWICE)
    assert set(far.errors) == {"consent_offset"}
    far.post(path, {**TWICE, "consent_offset": "+01:00"})

    assert typed_moment(active) == "2025-10-26T02:30:00+01:00"
    assert "2025-10-26 02:30:00 +01:00" in far.words


@pytest.mark.parametrize(
    ("day", "hour", "told"),
    [
        ("", "09:15", ["consent_day"]),
        ("2026-03-01", "", ["consent_hour"]),
        ("", "", ["consent_day", "consent_hour"]),
        ("2026-02-30", "09:15", ["consent_day"]),
        ("2026-03-01", "25:00", ["consent_hour"]),
        ("2026-03-01T09:15", "", ["consent_day", "consent_hour"]),
        ("1 March 2026", "quarter past nine", ["consent_day", "consent_hour"]),
    ],
)
def test_it_is_told_whether_day_or_hour_is_wrong_in_the_order_of_the_page(
    active: Installation, doc: Browser, day: str, hour: str, told: list[str]
) -> None:
    enrolment = active.enrol().id
    path = f"/enrolments/{enrolment}/consent"
    doc.get(path)

    doc.post(path, {"consent_day": day, "consent_hour": hour, "consent_version": "7"})

    assert doc.answer.status_code == 422
    fields = ["participant", *told, "consent_version"]
    assert list(doc.errors) == fields
    assert re.findall(r'<li><a href="#(\w+)"', doc.page) == fields
