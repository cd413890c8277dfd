"""The notice that a session is about to end: when it comes, and what it offers."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Locator
from sqlalchemy import select, update

from alloc_service.services.deps import system_clock
from alloc_service.storage.people import WebSession
from tests.browser.person import Person
from tests.support.shell import House

Open = Callable[..., Person]
MINUTE = 60_000


def notice_of(person: Person) -> Locator:
    """Return the notice, which is there from the first."""
    return person.page.locator("#ending")


def let_pass(person: Person, minutes: float) -> None:
    """Let time pass at the browser, as where its machine slept."""
    person.page.clock.fast_forward(int(minutes * MINUTE))


def age_sessions(house: House, by: timedelta) -> None:
    """Let every session be as old as after a time without a request."""
    with house.opened() as deps, deps.database.write() as tx:
        tx.execute(update(WebSession).values(seen_at=deps.clock() - by))


def seen_ago(house: House) -> timedelta:
    """Return how long ago the one session was seen."""
    with house.opened() as deps, deps.database.read() as session:
        return deps.clock() - session.scalars(select(WebSession.seen_at)).one()


def begin_at_clock(open_browser: Open, ahead: timedelta = timedelta()) -> Person:
    """Return the physician on the way, at a browser whose clock goes by hand."""
    person = open_browser()
    person.page.clock.install(time=system_clock() + ahead)
    person.sign_in()
    person.begin("P-001")
    return person


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(hours=-3), timedelta(days=2)])
def test_the_notice_comes_five_minutes_before_the_end_wherever_the_clock_is_set(
    open_browser: Open, ahead: timedelta
) -> None:
    person = begin_at_clock(open_browser, ahead)
    notice = notice_of(person)
    assert notice.is_hidden()

    let_pass(person, 24)
    assert notice.is_hidden()
    person.page.clock.run_for(int(1.2 * MINUTE))

    assert notice.is_visible()
    assert "You will be signed out in a few minutes unless you go on." in notice.inner_text()


def test_the_notice_is_in_sight_wherever_the_page_is_and_violates_no_rule(
    open_browser: Open,
) -> None:
    person = begin_at_clock(open_browser)
    person.page.locator("main button").scroll_into_view_if_needed()
    let_pass(person, 26)

    box = notice_of(person).bounding_box()
    assert person.page.evaluate("scrollY") > 0
    assert box is not None
    assert box["y"] == 0
    person.check_access("facts, about to end")
    assert person.seen["facts, about to end"] == []


def test_staying_signed_in_keeps_what_was_typed_and_hides_the_notice_till_the_next_end(
    house: House, open_browser: Open
) -> None:
    person = begin_at_clock(open_browser)
    page, notice = person.page, notice_of(person)
    page.fill("[id='fact.age']", "45")
    age_sessions(house, timedelta(minutes=26))
    let_pass(person, 26)

    page.focus("[id='fact.inr']")
    page.evaluate("document.getElementById('stay').focus()")
    page.keyboard.press("Enter")
    notice.wait_for(state="hidden")

    assert page.evaluate("document.activeElement.id") == "fact.inr"
    assert page.input_value("[id='fact.age']") == "45"
    assert seen_ago(house) < timedelta(minutes=1)
    let_pass(person, 24)
    assert notice.is_hidden()
    let_pass(person, 2)
    assert notice.is_visible()


def test_after_the_end_the_notice_says_so_and_a_form_goes_on_all_the_same(
    open_browser: Open,
) -> None:
    person = begin_at_clock(open_browser)
    let_pass(person, 31)

    assert notice_of(person).is_hidden()
    assert "You are signed out." in person.page.locator("#ended").inner_text()
    person.check_access("facts, ended")
    assert person.seen["facts, ended"] == []


def test_a_session_that_can_not_go_on_keeps_its_notice(house: House, open_browser: Open) -> None:
    person = begin_at_clock(open_browser)
    let_pass(person, 26)
    with house.opened() as deps, deps.database.write() as tx:
        tx.execute(update(WebSession).values(ended_at=WebSession.seen_at))

    with person.page.expect_response(re.compile("/$|/sign-in$")):
        person.page.get_by_role("button", name="Stay signed in").click()

    assert notice_of(person).is_visible()


def test_who_is_not_signed_in_is_told_of_no_end(open_browser: Open) -> None:
    person = open_browser()
    person.page.goto("/sign-in")

    assert notice_of(person).count() == 0
