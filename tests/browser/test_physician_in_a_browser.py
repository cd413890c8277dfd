"""The physician's way in a real browser: sign in, enrol, sign, see; Back, reload, double click."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import text

from tests.browser.person import PARTICIPANTS, Person
from tests.support.dying_app import MARK
from tests.support.shell import House, password_of
from tests.support.web_server import WebServer

Open = Callable[..., Person]


def count(house: House, type_: str) -> int:
    """Return how many entries of a type the log has."""
    with house.opened() as deps, deps.database.read() as session:
        rows = session.execute(text("SELECT data FROM log_entry")).scalars()
        return sum(f'"type":"{type_}"'.encode() in bytes(row) for row in rows)


def end_sessions(house: House) -> None:
    """End every session, as time would."""
    with house.opened() as deps, deps.database.write() as tx:
        tx.execute(text("UPDATE web_session SET ended_at = seen_at"))


def test_from_sign_in_to_allocation_with_back_reload_and_double_click(
    house: House, doc: Person
) -> None:
    doc.enrol("P-001")
    assert doc.heading == "Check what was typed"
    doc.type_signature()
    doc.page.locator("main button").dblclick()
    doc.page.wait_for_selector(".result")
    arm, number = doc.arm, doc.number
    assert number == "1"
    assert arm not in doc.page.title() + doc.page.url

    doc.page.reload()
    assert (doc.arm, doc.number) == (arm, number)
    doc.page.go_back()
    doc.page.goto(PARTICIPANTS)
    doc.page.get_by_role("link", name="P-001").click()
    doc.press("Show the allocation")
    assert (doc.arm, doc.number) == (arm, number)
    assert count(house, "slot.assigned") == 1


def test_a_session_that_ends_in_the_middle_goes_on_after_signing_in(
    house: House, doc: Person
) -> None:
    doc.begin("P-001")
    for code, value in (("age", "45"), ("inr", "1.9")):
        doc.page.fill(f"[id='fact.{code}']", value)
    end_sessions(house)

    doc.press("Save and go on")
    assert doc.heading == "Sign in"
    doc.page.fill("#username", "doc")
    doc.page.fill("#password", password_of("doc"))
    doc.press("Sign in")
    doc.press("Go on")

    assert doc.heading == "Eligibility"
    doc.page.goto(PARTICIPANTS)
    doc.page.get_by_role("link", name="P-001").click()
    assert "45 years" in doc.page.inner_text("main")


def test_two_physicians_at_the_same_moment_get_one_slot_each(
    house: House, doc: Person, open_browser: Open
) -> None:
    other = open_browser("doc2")
    other.sign_in()
    doc.enrol("P-001")
    other.enrol("P-002")
    for person in (doc, other):
        person.type_signature()
    for person in (doc, other):
        person.page.locator("main button").click(no_wait_after=True)
    for person in (doc, other):
        person.page.wait_for_selector(".result")

    assert {doc.number, other.number} == {"1", "2"}
    with house.opened() as deps, deps.database.read() as session:
        rows = session.execute(text("SELECT stratum, slot FROM assignment ORDER BY slot")).all()
    assert [slot for _, slot in rows] == [0, 1]
    assert len({stratum for stratum, _ in rows}) == 1


@pytest.mark.parametrize("app_name", ["tests.support.dying_app:create_app()"])
def test_a_server_killed_between_commit_and_answer_shows_the_same_slot_afterwards(
    house: House, server: WebServer, doc: Person
) -> None:
    assert server.url
    doc.enrol("P-001")
    address = doc.page.url
    (house.home / MARK).touch()
    doc.type_signature()
    doc.page.locator("main button").click(no_wait_after=True)
    for _ in range(240):  # until the process that takes the request has taken the mark away
        if not (house.home / MARK).exists():
            break
        doc.page.wait_for_timeout(250)
    assert not (house.home / MARK).exists()
    assert count(house, "slot.assigned") == 1

    for _ in range(120):  # the server's parent starts another worker
        try:
            doc.page.goto(address)
            break
        except Exception:  # noqa: BLE001  the browser's word for a refused connection
            doc.page.wait_for_timeout(500)
    doc.press("Show the allocation")

    assert doc.number == "1"
    assert count(house, "slot.assigned") == 1
    assert count(house, "slot.reread") >= 1  # the browser may have asked again of itself


def test_the_whole_way_can_be_gone_by_keyboard_alone(open_browser: Open) -> None:
    person = open_browser()
    page, keys = person.page, person.page.keyboard
    page.goto("/")
    keys.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#username")
    keys.type("doc")
    keys.press("Tab")
    keys.type(password_of("doc"))
    keys.press("Enter")
    page.wait_for_selector("text=Welcome")
    page.get_by_role("link", name="Participants of site").focus()
    keys.press("Enter")
    page.get_by_role("link", name="Enrol a participant").focus()
    keys.press("Enter")
    page.focus("#participant")
    keys.type("P-001")
    keys.press("Enter")

    page.wait_for_selector(".problem")
    assert page.evaluate("document.activeElement.className") == "problem"
    keys.press("Tab")
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "consent_version" or "#" in page.url


def test_the_allocation_prints_on_one_page(doc: Person) -> None:
    doc.enrol("P-001")
    doc.request()

    printed = doc.page.pdf(format="A4")

    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


def test_everything_works_without_javascript(house: House, open_browser: Open) -> None:
    person = open_browser(java_script_enabled=False)
    person.sign_in()
    person.enrol("P-001")

    assert person.request() in {"CONV", "MSC"}
    assert count(house, "slot.assigned") == 1
