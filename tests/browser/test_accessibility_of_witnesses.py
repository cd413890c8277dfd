"""Witnesses, the gate, receipts and the reminder of a drill in a browser: no rule violated."""

from collections.abc import Callable

from alloc_service.log.note import Witness
from tests.browser.looking import HERE, Visit, look, press, require_none
from tests.browser.person import PARTICIPANTS, Person
from tests.support.shell import password_of
from tests.support.witnesses import sign_key

WITNESS = Witness("dmc.example.org/w1", sign_key("w1")).verifier
REASON = {"hours": "12", "code": "power", "reason": "No power at the witness."}
OF_COMMITTEE = ("log", "log/0", "log/checks", "regenerations", "arms", "totals", "ceremonies")


def signed_by(username: str, form: str = "") -> dict[str, str]:
    return {f"second{form}": username, f"password{form}": password_of(username)}


def set_gate(dmc: Person) -> None:
    look(dmc, f"{HERE}/witnesses")
    dmc.page.check("[value=gate]")
    wrong = {"vkey1": WITNESS.vkey, "url1": "ftp://x", **signed_by("manager")}
    press(dmc, "Set the witnesses", "address, refused", wrong)
    assert dmc.page.locator(".problem a").get_attribute("href") == "#url1"
    assert dmc.page.is_checked("[value=gate]")
    fields = {"url1": "", **signed_by("manager")}
    press(dmc, "Set the witnesses", "gate", fields)


def test_no_page_around_the_gate_violates_a_rule(visit: Visit, doc: Person) -> None:
    dmc, other = visit("dmc"), visit("manager")
    set_gate(dmc)
    doc.enrol("P-001")
    doc.type_signature()
    press(doc, "Sign and request the allocation", "gate, closed")
    assert "Nothing is lost" in doc.words
    doc.follow("To the participant")
    doc.check_access("participant at the gate")
    dmc.page.goto(f"{HERE}/arms")
    press(dmc, "Log the look, and count", "counts at the gate", {"purpose": "dmc-meeting-1"})
    dmc.page.goto(f"{HERE}/witnesses")
    press(dmc, "Ask them now to confirm the log", "asked")
    press(dmc, "Take the response", "response, refused")
    press(dmc, "Suspend the gate", "suspension, refused", {"hours": "0"})
    fields = {**REASON, **signed_by("dmc", "-of-gate")}
    press(dmc, "Suspend the gate", "one person alone", fields)
    assert dmc.page.input_value("#reason") == REASON["reason"]
    press(dmc, "Suspend the gate", "suspended", signed_by("manager", "-of-gate"))
    look(dmc, *(f"{HERE}/{page}" for page in OF_COMMITTEE))
    dmc.page.goto(f"{HERE}/arms")
    press(dmc, "Log the look, and count", "counts, suspended", {"purpose": "dmc-meeting-1"})
    assert "The gate is suspended until" in dmc.words
    press(doc, "Show the allocation", "allocation, suspended")
    look(other, f"{HERE}/witnesses")
    dmc.page.goto(f"{HERE}/witnesses")
    dmc.press("End the suspension now")
    press(other, "End the suspension now", "ended already")
    assert other.page.locator(".problem a").get_attribute("href") == "#gate"

    require_none(doc, 3)
    require_none(dmc, 17)
    require_none(other, 2)


def test_no_page_with_a_receipt_or_a_reminder_violates_a_rule(visit: Visit, doc: Person) -> None:
    doc.enrol("P-001")
    doc.request()
    doc.page.goto(PARTICIPANTS)
    doc.follow("P-001")
    doc.page.get_by_text("Once the trial is closed").click()
    doc.check_access("full receipt, offered")
    press(doc, "Download the full receipt", "full receipt, refused")
    doc.follow("To the participant")
    dmc, manager, ada = visit("dmc"), visit("manager"), visit("ada")
    dmc.page.goto(f"{HERE}/log?type=slot.assigned")
    dmc.page.locator("ol.plain a").first.click()
    dmc.page.wait_for_selector("text=Download the full receipt")
    dmc.check_access("entry with a receipt")
    look(dmc, f"{HERE}/regenerations")
    assert "A drill is due." in dmc.words
    look(manager, f"{HERE}/conduct", "/help")
    manager.page.goto(f"{HERE}/conduct")
    assert "A drill of list 1 is due." in manager.words
    look(ada, f"{HERE}/witnesses", f"{HERE}/ceremonies")

    require_none(doc, 2)
    require_none(dmc, 2)
    require_none(manager, 2)
    require_none(ada, 2)


def test_the_gate_is_set_and_suspended_without_javascript(
    open_browser: Callable[..., Person],
) -> None:
    dmc = open_browser("dmc", java_script_enabled=False)
    dmc.sign_in()
    dmc.page.goto(f"{HERE}/witnesses")
    dmc.page.check("[value=gate]")
    dmc.fill({"vkey1": WITNESS.vkey, **signed_by("manager")})
    dmc.press("Set the witnesses")

    dmc.fill({**REASON, **signed_by("manager", "-of-gate")})
    dmc.press("Suspend the gate")

    assert "The gate is suspended until" in dmc.words
