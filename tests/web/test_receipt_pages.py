"""Receipts on pages: a code to print, a full one for the committee, a page that checks them."""

from collections.abc import Callable

import pytest

from alloc_service.log.receipt import ListRoot, check_receipt
from tests.support.browser import Browser
from tests.support.installation import Installation

Browse = Callable[..., Browser]


def root_of(installation: Installation) -> ListRoot:
    known = installation.state().lists[1]
    return ListRoot(bytes.fromhex(known.root), known.slots)


def test_the_page_of_an_allocation_shows_its_receipt_as_a_code_that_names_no_arm(
    active: Installation, doc: Browser
) -> None:
    allocation = active.allocate()
    doc.get(f"/enrolments/{allocation.enrolment}/check")
    doc.post(f"/enrolments/{allocation.enrolment}/allocation/again")
    place = f"/enrolments/{allocation.enrolment}/receipt.svg"
    assert f'<img src="{place}"' in doc.page

    answer = doc.client.get(place)

    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"<path" in answer.data
    assert allocation.label.encode() not in answer.data
    assert len(active.entries("slot.reread")) == 1


def test_a_code_of_a_draft_or_of_another_site_is_refused(
    active: Installation, doc: Browser, browse: Browse
) -> None:
    draft = active.enrol()
    assert doc.get(f"/enrolments/{draft.id}/receipt.svg").status_code == 409
    allocation = active.reveal(draft)

    far = browse("far").client.get(f"/enrolments/{allocation.enrolment}/receipt.svg")

    assert far.status_code == 403


@pytest.mark.parametrize("username", ["dmc", "stat"])
def test_oversight_downloads_a_full_receipt_from_the_entrys_page(
    active: Installation, browse: Browse, username: str
) -> None:
    allocation = active.allocate()
    (entry,) = active.entries("slot.assigned")
    browser = browse(username)
    browser.get(f"/trials/TEST-SMALL/log/{entry.seq}")
    place = f"/trials/TEST-SMALL/receipts/{allocation.enrolment}"
    assert f'action="{place}"' in browser.page

    answer = browser.client.post(place, data={"csrf_token": browser.token})

    told = answer.headers["Content-Disposition"]
    assert told == f"attachment; filename=entry-{entry.seq}.full.receipt"
    key = active.deps.sealer.log_key(active.origin)
    found = check_receipt(answer.text, key, sealed=root_of(active))
    assert found.opening is not None
    assert found.opening.arm == allocation.arm
    assert [look.body["purpose"] for look in active.entries("arms.read")] == ["receipt"]


def test_an_entry_that_assigns_nothing_has_no_full_receipt(browse: Browse) -> None:
    dmc = browse("dmc")
    dmc.get("/trials/TEST-SMALL/log/0")

    assert "full receipt" not in dmc.words.lower()


def test_the_site_gets_its_full_receipt_after_the_end(active: Installation, doc: Browser) -> None:
    allocation = active.allocate()
    doc.get(f"/enrolments/{allocation.enrolment}/check")
    place = f"/enrolments/{allocation.enrolment}/full-receipt"
    doc.post(place)
    assert doc.answer.status_code == 409
    assert "comes after the end" in doc.words
    active.change_state("close")
    doc.get(f"/enrolments/{allocation.enrolment}/check")

    answer = doc.client.post(place, data={"csrf_token": doc.token})

    assert answer.headers["Content-Disposition"].endswith(".full.receipt")
    key = active.deps.sealer.log_key(active.origin)
    assert check_receipt(answer.text, key, sealed=root_of(active)).opening is not None


def test_the_page_that_checks_receipts_comes_as_a_file_for_anybody(browse: Browse) -> None:
    answer = browse().client.get("/check-receipt")

    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == "attachment; filename=check-receipt.html"
    assert b"sends nothing anywhere" in answer.data
    answer.close()
