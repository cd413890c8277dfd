"""The pages of statisticians, committee, manager and administrator: no rule violated anywhere.

Each in its main states, refusals and failures included; what Person.check_access looks for.
"""

from pathlib import Path

import pyotp
from sqlalchemy import text

from alloc_service.log.note import Witness
from alloc_service.sealing.age import make_identity
from alloc_service.services import lists, witnesses
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.witnesses import NewPolicy, WitnessPlace
from alloc_service.storage import triggers
from alloc_service.trial.definition import as_test, shipped_definition
from tests.browser.looking import HERE, Visit, look, press, require_none
from tests.browser.person import Person
from tests.support.shell import CUSTODIANS, SITE, TRIAL, House, password_of
from tests.support.witnesses import sign_key

DESIGN = {"number": "2", "slots": "12", "size1": "4", "weight1": "1", "size2": "6", "weight2": "1"}
RECIPIENTS = {name: make_identity()[1] for name in CUSTODIANS}
REASON = {"code": "dmc-advice", "reason": "The committee advised it"}
ACCOUNT = {"username": "new.one", "person": "P-99", "name": "Dr New", "organization": SITE}


def seal_list_2(house: House) -> None:
    """Make a second list, which nobody has approved yet."""
    definition = as_test(shipped_definition())
    with house.opened() as deps:
        design = definition.design_of(2, definition.design().blocks, 12)
        lists.generate(deps, house.person(deps, "stat"), design, RECIPIENTS)


def approve_list_2_unchecked(house: House) -> None:
    """Approve it without a regeneration, which pages then say."""
    with house.opened() as deps:
        lists.approve(deps, house.person(deps, "second"), TRIAL, 2, None)


def gate_by_file(house: House) -> None:
    """Let allocations wait for a witness that is reached by file."""
    place = WitnessPlace(Witness("dmc.example.org/w1", sign_key("w1")).verifier.vkey)
    with house.opened() as deps:
        people = TwoPeople(house.person(deps, "manager"), house.person(deps, "dmc"))
        witnesses.set_policy(deps, people, TRIAL, NewPolicy("gate", 1, (place,)))


def spoil_entry_3(house: House) -> None:
    """Change the log as whoever rules the database can."""
    with house.opened() as deps, deps.database.write() as tx, triggers.lifted(tx.connection()):
        tx.execute(text("UPDATE log_entry SET data = :data WHERE seq = 3"), {"data": b"<i>\xff"})


def test_no_page_of_the_statisticians_violates_a_rule(visit: Visit) -> None:
    stat, second = visit("stat"), visit("second")
    look(stat, "/", "/help", f"{HERE}/lists", f"{HERE}/totals", f"{HERE}/log")
    stat.page.goto(f"{HERE}/lists")
    press(stat, "Import", "import, refused")
    look(stat, f"{HERE}/lists/new")
    wrong = {**DESIGN, "slots": "many", "size1": "5", "weight2": ""}
    press(stat, "See what this design does", "design, refused", wrong)
    press(stat, "See what this design does", "design, weighed", DESIGN)
    press(stat, "Generate and seal", "generate, refused", {"name1": "dmc"})
    for at, (name, key) in enumerate(RECIPIENTS.items(), start=1):
        stat.fill({f"name{at}": name, f"key{at}": key})
    press(stat, "Generate and seal", "list made")
    stat.page.goto(f"{HERE}/lists")
    press(stat, "Read the restricted design of list 2", "design, read")

    look(second, f"{HERE}/lists")
    press(second, "Sign and approve", "approve, refused")
    second.page.check("[name=unchecked]")
    signature = {"username-2": "second", "password-2": "wrong wrong wrong"}
    press(second, "Sign and approve", "approve, wrong password", signature)
    second.page.check("[name=unchecked]")
    press(second, "Sign and approve", "approved", {"password-2": password_of("second")})

    require_none(stat, 12)
    require_none(second, 4)


def test_no_page_of_the_committee_violates_a_rule(house: House, visit: Visit, doc: Person) -> None:
    doc.enrol("P-001")
    doc.request()
    seal_list_2(house)
    approve_list_2_unchecked(house)
    dmc = visit("dmc")
    look(dmc, "/", "/help", f"{HERE}/log", f"{HERE}/log/0", f"{HERE}/log/checks")
    look(dmc, f"{HERE}/log?from=2030-01-02&to=2030-01-01&type=x", f"{HERE}/log?person=nobody")
    look(dmc, f"{HERE}/regenerations", f"{HERE}/totals", f"{HERE}/conduct")
    look(dmc, f"{HERE}/arms")
    press(dmc, "Log the look, and count", "arms, refused", {"purpose": "Dr. X?"})
    press(dmc, "Log the look, and count", "arms", {"purpose": "dmc-meeting-1"})
    dmc.page.goto(f"{HERE}/log/checks")
    press(dmc, "Download the proof", "proof, refused", {"seq": "one"})
    press(dmc, "Verify now", "verified")
    spoil_entry_3(house)
    press(dmc, "Verify again", "verification failed")
    look(dmc, f"{HERE}/log/3")

    require_none(dmc, 17)


def test_no_page_of_the_manager_violates_a_rule(house: House, visit: Visit) -> None:
    seal_list_2(house)
    approve_list_2_unchecked(house)
    manager = visit("manager")
    look(manager, "/", "/help", f"{HERE}/totals", f"{HERE}/witnesses")
    press(manager, "Set the witnesses", "witnesses, refused", {"quorum": "x"})
    gate_by_file(house)
    look(manager, f"{HERE}/witnesses?gated")
    press(manager, "Suspend the gate", "suspension, refused", {"hours": "0"})
    look(manager, f"{HERE}/conduct")
    press(manager, "Change the number", "cap, refused", {"cap": "0"})
    press(manager, "Pause the trial", "pause, refused", {"code": "Not a code"})
    press(manager, "Pause the trial", "paused", REASON)
    press(manager, f"Pause {SITE}", "site paused")
    look(manager, f"{HERE}/lists/2/activate")
    press(manager, "Activate list 2", "list active")
    look(manager, f"{HERE}/conduct/close")
    press(manager, "Close the trial for ever", "close, refused", REASON)
    press(manager, "Close the trial for ever", "closed", {**REASON, "confirm": TRIAL})

    require_none(manager, 17)


def test_no_page_of_the_administrator_violates_a_rule(visit: Visit, tmp_path: Path) -> None:
    ada, faulty = visit("ada"), tmp_path / "faulty.toml"
    faulty.write_text('title = "Nothing else"\n')
    look(ada, "/", "/help", "/users", "/users?q=nobody-at-all", "/installation", "/users/ada")
    look(ada, "/add-user")
    press(ada, "Add the account", "account, refused", {"username": "Not One"})
    press(ada, "Add the account", "one-time password", ACCOUNT)
    look(ada, "/users/new.one")
    press(ada, "Give the role", "role, refused")
    ada.page.select_option("#trial", TRIAL)
    ada.page.check("[name=role][value=dmc]")
    ada.page.select_option("#site", SITE)
    press(ada, "Give the role", "site, refused")
    ada.page.select_option("#site", "")
    press(ada, "Give the role", "role given")
    look(ada, "/users/new.one/administrator")
    press(ada, "Make administrator of the whole installation", "administrator, refused")
    look(ada, "/users/ada/administrator/end", "/users/new.one/disable")
    press(ada, "Disable the account for ever", "account disabled")
    look(ada, "/add-trial")
    press(ada, "Create the trial", "trial, refused")
    ada.page.set_input_files("#file", faulty)
    press(ada, "Create the trial", "definition, refused")

    require_none(ada, 21)


def test_no_page_of_an_account_violates_a_rule(visit: Visit) -> None:
    person = visit("manager")
    person.page.goto("/account")
    unlike = {"password": "x", "new_password": "one", "again": "other"}
    press(person, "Change password", "password, refused", unlike)
    look(person, "/account/second-factor")
    press(person, "Set up a second factor", "second factor, new")
    secret = person.page.locator("main li code").inner_text()
    press(person, "Confirm", "second factor, confirmed", {"code": pyotp.TOTP(secret).now()})
    spare = person.page.locator(".codes code").first.inner_text()
    look(person, "/account/second-factor#set-up")
    person.page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    person.page.wait_for_selector("text=You are signed out")
    person.check_access("signed out")
    person.sign_in()
    person.check_access("code")
    press(person, "Go on", "code, refused", {"code": "000000"})
    press(person, "Go on", "code, taken", {"code": spare})
    look(person, "/account/first-password?username=new.one")
    press(person, "Choose password", "first password, refused", {"new_password": "short"})

    require_none(person, 11)
