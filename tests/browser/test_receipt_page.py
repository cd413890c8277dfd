"""The page that checks receipts, opened from a file in a real browser, without any server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page

from alloc_service.log.note import Witness
from alloc_service.log.receipt import Receipt
from alloc_service.services import audit, enrolments, lookups, receipts, reveal
from tests.browser.looking import require_none
from tests.browser.person import Person
from tests.support.installation import type_shipped
from tests.support.shell import SITE, TRIAL, House, password_of

PAGE = Path(__file__).parents[2] / "alloc_service/web/static/check-receipt.html"
WITNESS = Witness("dmc.example.org/witness", Ed25519PrivateKey.from_private_bytes(bytes(32)))


@dataclass(frozen=True)
class Kept:
    """What somebody has kept: two receipts, and what they are checked with."""

    site: str
    full: str
    key: str
    root: str
    slots: str
    leaf: str
    arm: str


@pytest.fixture
def kept(house: House) -> Kept:
    with house.opened() as deps:
        doc = house.person(deps, "doc")
        draft = enrolments.enrol(deps, doc, TRIAL, SITE, type_shipped())
        signature = reveal.sign(deps, "doc", password_of("doc"), draft.id)
        allocation = reveal.reveal(deps, doc, draft.id, signature)
        full = receipts.read_full(deps, house.person(deps, "dmc"), draft.id).text
        key = lookups.read_log_key(deps, TRIAL)
        with deps.database.read() as session:
            sealed = audit.read_state(session, TRIAL).lists[1]
    slots = ",".join(map(str, sealed.slots))
    return Kept(allocation.receipt, full, key, sealed.root, slots, allocation.leaf, allocation.arm)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(offline=True)
    opened = context.new_page()
    opened.goto(PAGE.as_uri())
    yield opened
    context.close()


@pytest.fixture
def check(page: Page) -> Callable[..., str]:
    """Return a function that checks a receipt on the page, and says what is shown."""

    def checked(receipt: str, key: str, **more: str) -> str:
        page.fill("#receipt", receipt)
        page.fill("#key", key)
        for field in ("witnesses", "leaf", "root", "slots"):
            page.fill(f"#{field}", more.get(field, ""))
        page.evaluate("document.getElementById('result').replaceChildren()")
        page.click("button")
        page.wait_for_selector("#result h2")
        return page.inner_text("#result")

    return checked


def test_a_good_receipt_is_told_with_its_entry(kept: Kept, check: Callable[..., str]) -> None:
    shown = check(kept.site, kept.key, leaf=kept.leaf)

    assert "The receipt is good" in shown
    assert kept.leaf in shown
    assert kept.arm not in shown


def test_a_full_receipt_is_good_under_its_lists_root_and_tells_the_arm(
    kept: Kept, check: Callable[..., str]
) -> None:
    assert "give root and slots of the list" in check(kept.full, kept.key)

    shown = check(kept.full, kept.key, root=kept.root, slots=kept.slots)

    assert "The receipt is good" in shown
    assert kept.arm in shown
    assert "not under the list's root" in check(
        kept.full, kept.key, root="0" * 64, slots=kept.slots
    )


def test_a_witness_that_is_named_must_have_cosigned(kept: Kept, check: Callable[..., str]) -> None:
    text = Receipt.parse(kept.site).checkpoint.partition("\n\n")[0] + "\n"
    cosigned = kept.site + WITNESS.cosign(text, 1_700_000_000)
    vkey = WITNESS.verifier.vkey

    assert f"Cosigned by\n{WITNESS.name}" in check(cosigned, kept.key, witnesses=vkey)
    assert "REFUSED" in check(kept.site, kept.key, witnesses=vkey)


def test_a_receipt_of_another_key_or_entry_is_refused(
    kept: Kept, check: Callable[..., str]
) -> None:
    name = kept.key.partition("+")[0]
    other = Witness(name, Ed25519PrivateKey.from_private_bytes(b"x" * 32)).verifier
    from_other = type(other)(name, other.public).vkey

    assert "has not signed it" in check(kept.site, from_other)
    assert "another entry" in check(kept.site, kept.key, leaf="0" * 64)


def test_a_receipt_is_checked_from_its_file_alone(kept: Kept, page: Page, tmp_path: Path) -> None:
    file, noise = tmp_path / "P-001.receipt", tmp_path / "noise"
    file.write_text(kept.site)
    noise.write_bytes(b"\xff\xfe")
    page.fill("#key", kept.key)

    page.set_input_files("#file", file)
    page.click("button")
    page.wait_for_selector("#result.good h2")
    assert kept.leaf in page.inner_text("#result")
    page.set_input_files("#file", noise)
    page.click("button")
    page.wait_for_selector("#result.bad h2")
    assert "cannot be read as text" in page.inner_text("#result")


def test_a_pasted_receipt_may_have_lost_the_end_of_its_last_line(
    kept: Kept, check: Callable[..., str]
) -> None:
    assert "The receipt is good" in check(kept.site.removesuffix("\n"), kept.key)
    assert "REFUSED" in check(f"{kept.site}\n", kept.key)


def test_what_is_missing_is_told_and_a_refusal_says_what_to_do(
    kept: Kept, page: Page, check: Callable[..., str]
) -> None:
    shown = check("", "")

    assert "Paste the receipt, or choose its file." in shown
    assert "Give the log's public key." in shown
    assert "REFUSED" not in shown
    page.click("text=Give the log's public key.")
    page.keyboard.type(kept.key)
    assert page.input_value("#key") == kept.key
    assert "What to do" in check("{}", kept.key)
    assert "begins with c2sp.org/tlog-proof@v1" in page.inner_text("#result")


def test_a_receipt_is_checked_with_the_keyboard_alone(kept: Kept, page: Page) -> None:
    order = []
    for text in (kept.site, "", kept.key, "", kept.leaf, "", ""):
        page.keyboard.press("Tab")
        order.append(str(page.evaluate("document.activeElement.id")))
        page.keyboard.insert_text(text)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Check"
    page.keyboard.press("Enter")
    page.wait_for_selector("#result h2")

    assert order == ["receipt", "file", "key", "witnesses", "leaf", "root", "slots"]
    assert page.evaluate("document.activeElement.id") == "result"
    assert page.title().startswith("The receipt is good")


def test_the_page_violates_no_rule_in_any_state(
    kept: Kept, page: Page, check: Callable[..., str]
) -> None:
    person = Person(page, "nobody")
    person.check_access("empty")
    check("", "")
    person.check_access("missing")
    check(kept.site, kept.key)
    person.check_access("good")
    check(kept.site, kept.key, leaf="0" * 64)
    person.check_access("refused")

    require_none(person, 4)


def test_without_javascript_the_page_says_what_else_does_it(chromium: Browser) -> None:
    context = chromium.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(PAGE.as_uri())

    assert "alloc receipt check" in page.inner_text("main")
    context.close()


@pytest.mark.parametrize("which", ["site", "full"])
def test_a_receipt_that_is_altered_is_refused(
    kept: Kept, page: Page, check: Callable[..., str], which: str
) -> None:
    text = kept.site if which == "site" else kept.full
    check(text, kept.key, root=kept.root, slots=kept.slots)  # the page has its functions by now
    positions = [*range(0, len(text), 7), *range(len(text) - 8, len(text))]
    accepted = page.evaluate(
        """async ([text, key, root, slots, positions]) => {
            const accepted = [];
            for (const at of positions) {
                const bad = text.slice(0, at)
                    + String.fromCodePoint(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
                try { await check(bad, key, [], "", root, slots); accepted.push(at); }
                catch (error) { if (!error.message) accepted.push(at); }
            }
            return accepted;
        }""",
        [text, kept.key, kept.root, kept.slots, positions],
    )

    assert accepted == []
