"""Each role's way in a real browser, with the commands that are run beside it, in earnest."""

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from alloc_service.sealing.age import make_identity
from alloc_service.sealing.escrow import escrow_name, open_escrow
from alloc_service.trial.definition import shipped_definition
from tests.browser.person import Person
from tests.support.shell import CUSTODIANS, TRIAL, password_of, spawn

Open = Callable[..., Person]

DESIGN = {"number": "2", "slots": "12", "size1": "4", "weight1": "1", "size2": "6", "weight2": "1"}
PURPOSE = "dmc-meeting-1"
DOWNLOADS = ("Signed checkpoint", "All entries (NDJSON)", "The log's public key")
# Nothing names this home: what runs in it must need no installation.
NOWHERE = {"ALLOC_HOME": "/nonexistent"}
# It may spell anything.
TOKEN = re.compile(r'name="csrf_token" value="[^"]+"')
ARMS = shipped_definition().arms


def signed_in(open_browser: Open, username: str) -> Person:
    person = open_browser(username)
    person.sign_in()
    return person


def seal_list_2(stat: Person, recipients: dict[str, str]) -> str:
    """Go from the start page to a sealed list; return the root that the page tells."""
    stat.follow("Lists")
    stat.follow("Design a new list")
    assert stat.page.input_value("#number") == "2"
    stat.fill(DESIGN)
    stat.press("See what this design does")
    assert "Guessed right in the long run" in stat.words
    for at, (name, recipient) in enumerate(sorted(recipients.items()), start=1):
        stat.fill({f"name{at}": name, f"key{at}": recipient})
    stat.press("Generate and seal")
    assert stat.heading == "List 2 is sealed and logged"
    return root_in(stat.words)


def root_in(text: str) -> str:
    """Return the only root in a text."""
    (root,) = set(re.findall(r"\b[0-9a-f]{64}\b", text))
    return str(root)


def regenerate(folder: Path, name: str, identities: dict[str, str]) -> str:
    """Make the list again, as two custodians do offline; return the root that came out."""
    first, second = name.removeprefix("seed.").removesuffix(".age").split("+")
    keys = {custodian: folder / f"{custodian}.key" for custodian in (first, second)}
    for custodian, path in keys.items():
        path.write_text(f"{identities[custodian]}\n")
    made = spawn(
        ["list", "regenerate", "--escrow", folder / name, "--identity", keys[first],
         "--identity", keys[second], "--root-only"], NOWHERE,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr.decode()
    return root_in((made.stdout + made.stderr).decode())


def test_a_list_goes_from_its_design_to_active_through_three_people(
    open_browser: Open, tmp_path: Path
) -> None:
    stat, second, manager = (
        signed_in(open_browser, username) for username in ("stat", "second", "manager")
    )
    pairs = {name: make_identity() for name in CUSTODIANS}
    identities = {name: identity for name, (identity, _) in pairs.items()}
    root = seal_list_2(stat, {name: recipient for name, (_, recipient) in pairs.items()})
    for one, other in combinations(CUSTODIANS, 2):
        name, data = stat.download(f"Download {escrow_name(one, other)}")
        assert name == escrow_name(one, other)
        kept = open_escrow(data, identities[one], identities[other], name)
        assert (kept.design.list, {stratum.slots for stratum in kept.design.strata}) == (2, {12})
        assert kept.seed.digits not in stat.page.content()
    stat.follow("All lists")
    assert "Approve list 2" not in stat.words

    second.follow("Lists")
    name, data = second.download("Download seed.archive+dmc.age of list 2")
    (tmp_path / name).write_bytes(data)
    came_out = regenerate(tmp_path, name, identities)
    assert came_out == root
    second.fill({"root-2": came_out, "username-2": "second", "password-2": password_of("second")})
    second.press("Sign and approve")
    assert "Root regenerated before approval\nyes" in second.words

    manager.follow("Conduct: state, sites, lists, cap")
    manager.follow("Activate list 2")
    assert "Root at the approval\nregenerated, and equal" in manager.words
    manager.press("Activate list 2")
    assert "list 2 is active" in manager.page.inner_text(".done")


def test_the_committee_reads_verifies_and_takes_away_what_verifies_elsewhere(
    open_browser: Open, doc: Person, tmp_path: Path
) -> None:
    doc.enrol("P-001")
    doc.request()
    dmc = signed_in(open_browser, "dmc")
    dmc.follow("Audit log")
    assert "P-doc" in dmc.words
    dmc.follow("Entry 0")
    assert dmc.heading == "Entry 0"
    dmc.follow("Audit log")
    dmc.follow("Verify the log, and proofs to keep")
    for button in DOWNLOADS:
        name, data = dmc.download(button)
        (tmp_path / name).write_bytes(data)
    key = (tmp_path / "log.vkey").read_text().strip()
    checked = spawn(["log", "verify", "--export", tmp_path, "--key", key], NOWHERE)
    assert checked.returncode == 0, checked.stderr.decode()
    (tmp_path / "entries.ndjson").write_bytes(
        (tmp_path / "entries.ndjson").read_bytes().replace(b"P-doc", b"P-dmc", 1)
    )
    assert spawn(["log", "verify", "--export", tmp_path, "--key", key], NOWHERE).returncode == 1

    dmc.press("Verify now")
    assert dmc.heading == "Every check is passed"


def test_counts_by_arm_are_shown_for_a_logged_purpose_alone(
    open_browser: Open, doc: Person
) -> None:
    doc.enrol("P-001")
    arm = doc.request()
    dmc = signed_in(open_browser, "dmc")
    dmc.follow("Counts by arm")
    dmc.press("Log the look, and count")
    assert dmc.page.locator(".problem").is_visible()
    assert not any(one.code in dmc.words for one in ARMS)

    dmc.fill({"purpose": PURPOSE})
    dmc.press("Log the look, and count")

    columns = dmc.page.locator("thead").first.locator("th").all_inner_texts()
    sums = dmc.page.locator("tfoot").locator("th, td").all_inner_texts()
    counted = dict(zip(columns[1:], sums[1:], strict=True))
    assert counted == {**{one.code: str(int(one.code == arm)) for one in ARMS}, "Together": "1"}
    dmc.page.goto(f"/trials/{TRIAL}/log")
    assert PURPOSE in dmc.page.locator("ol.plain li").first.inner_text()


def test_a_new_account_s_owner_chooses_a_password_and_signs_in(open_browser: Open) -> None:
    ada, guest = signed_in(open_browser, "ada"), open_browser("new.one")
    ada.follow("Accounts and roles")
    ada.follow("Add an account")
    ada.fill({"username": "new.one", "person": "P-99", "name": "Dr New", "organization": "XA01"})
    ada.press("Add the account")
    once = ada.page.inner_text(".once")
    ada.follow("To the account new.one, to give it roles")
    ada.page.select_option("#trial", TRIAL)
    ada.page.check("[name=role][value=manager]")
    ada.press("Give the role")
    assert "The role is given" in ada.page.inner_text(".done")

    guest.page.goto("/sign-in")
    guest.fill({"username": "new.one", "password": once})
    guest.press("Sign in")
    assert guest.heading == "Choose your password"
    own = password_of("new.one")
    guest.fill({"password": once, "new_password": own, "again": own})
    guest.press("Choose password")
    assert guest.heading == "Welcome, Dr New"

    again = open_browser("new.one")
    again.sign_in()
    assert again.heading == "Welcome, Dr New"
    again.follow("Conduct: state, sites, lists, cap")
    refused = open_browser("new.one")
    refused.page.goto("/sign-in")
    refused.fill({"username": "new.one", "password": once})
    refused.press("Sign in")
    assert refused.heading == "Sign in"


def test_no_page_of_those_who_may_not_see_arms_shows_one_after_an_allocation(
    open_browser: Open, doc: Person
) -> None:
    doc.enrol("P-001")
    assert doc.request() in {arm.code for arm in ARMS}
    pages = {
        "manager": ("/", f"/trials/{TRIAL}/conduct", f"/trials/{TRIAL}/totals"),
        "ada": ("/users", "/users/doc", "/installation", f"/trials/{TRIAL}/log"),
        "stat": (f"/trials/{TRIAL}/lists", f"/trials/{TRIAL}/totals", f"/trials/{TRIAL}/log"),
        "dmc": (f"/trials/{TRIAL}/log", f"/trials/{TRIAL}/regenerations"),
    }
    shown = [f"{arm.code}|{re.escape(arm.label)}" for arm in ARMS]
    arms = re.compile(rf"\b({'|'.join(shown)})", re.IGNORECASE)

    for username, addresses in pages.items():
        person = signed_in(open_browser, username)
        for address in addresses:
            answer = person.page.goto(address)
            assert answer is not None
            assert answer.status == 200, address
            assert not arms.search(TOKEN.sub("", person.page.content())), address
