"""Counts: by arm after a logged purpose, in all without arms."""

from collections.abc import Callable

import pytest

from tests.support.browser import Browser
from tests.support.installation import Installation, type_small

ARMS = "/trials/TEST-SMALL/arms"
TOTALS = "/trials/TEST-SMALL/totals"

Browse = Callable[..., Browser]


def allocate_four(installation: Installation) -> list[str]:
    """Allocate two in March and two in May; return their arms."""
    found = [installation.allocate(f"P-{number}").arm for number in (1, 2)]
    installation.clock.advance(days=61)
    found.append(installation.allocate("P-3", facts={"severity": "severe"}).arm)
    found.append(installation.allocate("P-4").arm)
    return found


@pytest.mark.parametrize("username", ["dmc", "stat", "second"])
def test_counts_by_arm_are_shown_once_their_purpose_is_logged(
    active: Installation, browse: Browse, username: str
) -> None:
    arms = allocate_four(active)
    browser = browse(username)
    browser.get(ARMS)
    assert "7Q" not in browser.content
    assert active.entries("arms.read") == []

    browser.post(ARMS, {"purpose": " dmc-meeting.1 "})

    (entry,) = active.entries("arms.read")
    assert (entry.actor_id, entry.body["purpose"]) == (f"p-{username}", "dmc-meeting.1")
    assert browser.answer.status_code == 200
    assert browser.answer.headers["Cache-Control"] == "no-store"
    sums = [arms.count("SUNRISE-7Q"), arms.count("MOONSET-7Q")]
    assert f"All strata {sums[0]} {sums[1]} 4" in browser.words
    assert f"Up to entry {entry.seq - 1} of the log" in browser.words
    early = arms[:2].count("SUNRISE-7Q"), arms[:2].count("MOONSET-7Q")
    for month in ("2026-03", "2026-04"):
        assert f"{month} {early[0]} {early[1]} 2" in browser.words
    assert f"2026-05 {sums[0]} {sums[1]} 4" in browser.words


def test_the_picture_has_words_and_no_style_of_its_own(
    active: Installation, browse: Browse
) -> None:
    allocate_four(active)
    dmc = browse("dmc")
    dmc.get(ARMS)
    dmc.post(ARMS, {"purpose": "interim"})

    assert '<svg class="chart"' in dmc.page
    assert 'role="img" aria-labelledby="chart-title chart-alt"' in dmc.page
    assert "The table below has the same numbers" in dmc.words
    for forbidden in (" style=", "<style", "<script>", "onload"):
        assert forbidden not in dmc.content


def test_where_nobody_is_allocated_there_is_a_table_of_zeros_and_no_picture(
    active: Installation, browse: Browse
) -> None:
    assert active.spent() == 0
    dmc = browse("dmc")
    dmc.get(ARMS)
    dmc.post(ARMS, {"purpose": "interim"})

    assert "All strata 0 0 0" in dmc.words
    assert "Nobody is allocated yet" in dmc.words
    assert "<svg" not in dmc.page


@pytest.mark.parametrize("purpose", ["", "Interim Analysis", "13812345678", "x" * 65, "<b>"])
def test_a_purpose_that_breaks_its_rule_is_asked_for_again_and_nothing_is_shown(
    active: Installation, browse: Browse, purpose: str
) -> None:
    active.allocate()
    dmc = browse("dmc")
    dmc.get(ARMS)
    dmc.post(ARMS, {"purpose": purpose})

    assert dmc.answer.status_code == 422
    assert "purpose" in dmc.errors
    assert "There is a problem" in dmc.words
    assert "7Q" not in dmc.content
    assert "<b>" not in dmc.page
    assert active.entries("arms.read") == []


@pytest.mark.parametrize("username", ["manager", "admin", "doc", "guest"])
def test_nobody_else_counts_by_arm(active: Installation, browse: Browse, username: str) -> None:
    active.allocate()
    browser = browse(username)
    browser.get("/help")
    browser.post(ARMS, {"purpose": "interim"})

    assert browser.answer.status_code == 403
    assert "7Q" not in browser.content
    assert "Sunrise" not in browser.content
    assert active.entries("arms.read") == []


@pytest.mark.parametrize("username", ["manager", "dmc", "stat", "second", "admin"])
def test_totals_and_forecast_are_shown_without_an_arm(
    active: Installation, browse: Browse, username: str
) -> None:
    allocate_four(active)
    active.enrol(type_small("P-9"))
    browser = browse(username)
    browser.get(TOTALS)

    assert "Enrolled, drafts included 5" in browser.words
    assert "Allocated 4 of at most 10" in browser.words
    assert "XA01 Xijing Hospital of Digestive Disease 4" in browser.words
    assert "As likely before as after 2026-" in browser.words
    for hidden in ("7Q", "Sunrise", "Moonset", "severity"):
        assert hidden not in browser.content


def test_totals_say_why_there_is_no_forecast(active: Installation, browse: Browse) -> None:
    manager = browse("manager")
    manager.get(TOTALS)
    assert "There is no forecast yet" in manager.words
    for number in range(10):
        active.allocate(f"P-{number}", facts={"severity": "mild" if number % 2 else "severe"})
    manager.get(TOTALS)
    assert "has all its participants" in manager.words


def test_totals_say_what_a_pause_and_an_end_mean(active: Installation, browse: Browse) -> None:
    active.allocate()
    active.clock.advance(days=20)
    active.change_state("pause")
    manager = browse("manager")
    manager.get(TOTALS)
    assert "The trial is paused: the days until it goes on" in manager.words
    active.change_state("close")
    manager.get(TOTALS)
    assert "The trial is closed; nobody is allocated any more" in manager.words


def test_a_day_that_is_too_far_ahead_is_told_in_words(active: Installation, browse: Browse) -> None:
    active.allocate()
    active.clock.advance(days=36_000)
    manager = browse("manager")
    manager.get(TOTALS)

    assert "not within a hundred years" in manager.words
