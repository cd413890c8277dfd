"""The log as pages: who reads what, filters, pages, one entry."""

import re
from collections.abc import Callable

import pytest

from alloc_service.services import log_pages
from tests.support.browser import Browser
from tests.support.installation import Installation, type_small

LOG = "/trials/TEST-SMALL/log"
CHECKS = f"{LOG}/checks"
LISTS = "/trials/TEST-SMALL/regenerations"
OVERSIGHT = ["dmc", "stat", "second", "admin"]
OTHERS = ["doc", "manager", "guest"]

Browse = Callable[..., Browser]


def entries_on(browser: Browser) -> list[int]:
    """Return the numbers of the entries that a page shows."""
    return [int(number) for number in re.findall(r">Entry (\d+)</(?:a|strong)>", browser.page)]


# --- the log ----------------------------------------------------------------------------------


@pytest.mark.parametrize("username", OVERSIGHT)
def test_oversight_reads_every_entry_in_a_plain_sentence_newest_first(
    active: Installation, browse: Browse, username: str
) -> None:
    draft = active.enrol()
    active.reveal(draft)
    browser = browse(username)
    browser.get(LOG)

    assert entries_on(browser) == list(reversed(range(len(active.entries()))))
    assert (
        f"2026-03-02 02:00:00 UTC p-doc (physician, XA01) assigned a slot to enrolment {draft.id}"
    ) in browser.words
    assert "approved list 1 (root regenerated and compared: no)" in browser.words
    assert "7Q" not in browser.content


def test_a_physician_reads_the_own_entries_and_no_place_of_a_slot(
    active: Installation, browse: Browse
) -> None:
    active.allocate("P-001")
    active.reveal(active.enrol(type_small("P-002"), by="doc2"), by="doc2")
    (own,) = (entry for entry in active.entries("slot.assigned") if entry.actor_id == "p-doc")
    doc = browse("doc")
    doc.get(LOG)

    assert entries_on(doc) == [own.seq]
    assert "p-doc2" not in doc.page
    assert own.body["leaf"] not in doc.page
    assert own.leaf not in doc.page
    assert f"{LOG}/{own.seq}" not in doc.page
    assert 'name="person"' not in doc.page
    doc.get(f"{LOG}?person=p-doc2")
    assert entries_on(doc) == []


@pytest.mark.parametrize("username", ["manager", "guest"])
def test_nobody_else_reads_the_log(active: Installation, browse: Browse, username: str) -> None:
    browser = browse(username)
    browser.get(LOG.replace("TEST-SMALL", active.trial))

    assert browser.answer.status_code == 403
    assert "p-stat" not in browser.page


def test_the_log_is_filtered_by_kind_person_and_day(active: Installation, browse: Browse) -> None:
    active.clock.advance(days=2)
    active.allocate()
    last = len(active.entries()) - 1
    dmc = browse("dmc")

    for question in ("type=slot.assigned", "person=p-doc", "from=2026-03-04", "from=2026-03-03"):
        dmc.get(f"{LOG}?{question}")
        assert entries_on(dmc) == [last], question
    dmc.get(f"{LOG}?to=2026-03-03&type=list.sealed")
    assert entries_on(dmc) == [entry.seq for entry in active.entries("list.sealed")]
    dmc.get(f"{LOG}?person=nobody")
    assert "There is no such entry" in dmc.words


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ("from=04.03.2026", "from"),
        ("to=2026-02-30", "to"),
        ("from=2026-03-04&to=2026-03-01", "to"),
        ("type=slot.asigned", "type"),
    ],
)
def test_a_filter_that_cannot_be_read_is_asked_for_again(
    active: Installation, browse: Browse, question: str, field: str
) -> None:
    assert active.entries()
    dmc = browse("dmc")
    dmc.get(f"{LOG}?{question}")

    assert dmc.answer.status_code == 422
    assert set(dmc.errors) == {field}
    assert entries_on(dmc) == []


def test_one_goes_from_page_to_page_with_the_filters_kept(
    active: Installation, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pages, "MOST_LOOKED_AT", 6)
    dmc = browse("dmc")
    dmc.get(f"{LOG}?type=grant.added&from=2026-03-01")
    found = entries_on(dmc)
    while link := re.search(r'rel="next" href="([^"]+)"', dmc.page):
        assert "older entries were not looked at yet" in dmc.words
        dmc.get(link[1].replace("&amp;", "&"))
        assert 'value="2026-03-01"' in dmc.page
        found += entries_on(dmc)

    assert found == [entry.seq for entry in reversed(active.entries("grant.added"))]


@pytest.mark.parametrize("before", ["x", "-1", "", "9" * 15, "9" * 10_000, "٣"])
def test_a_place_that_is_none_shows_a_page_all_the_same(
    active: Installation, browse: Browse, before: str
) -> None:
    assert active.entries()
    dmc = browse("dmc")
    dmc.get(f"{LOG}?before={before}")

    assert dmc.answer.status_code == 200


def test_markup_in_a_filter_stays_text(browse: Browse) -> None:
    dmc = browse("dmc")
    dmc.get(f"{LOG}?person=<script>alert(1)</script>&type=<b>")

    assert "<script>alert" not in dmc.page
    assert "<b>" not in dmc.page


# --- one entry --------------------------------------------------------------------------------


@pytest.mark.parametrize("username", OVERSIGHT)
def test_an_entry_is_shown_with_its_exact_bytes_and_hash(
    active: Installation, browse: Browse, username: str
) -> None:
    active.allocate()
    entry = active.entries()[-1]
    browser = browse(username)
    browser.get(f"{LOG}/{entry.seq}")

    assert browser.title == f"Entry {entry.seq}"
    assert entry.data.decode() in browser.words
    assert entry.leaf in browser.words


@pytest.mark.parametrize("username", OTHERS)
def test_an_entry_s_page_is_for_oversight_alone(
    active: Installation, browse: Browse, username: str
) -> None:
    active.allocate()
    entry = active.entries()[-1]
    browser = browse(username)
    browser.get(f"{LOG}/{entry.seq}")

    assert browser.answer.status_code == 403
    assert entry.body["leaf"] not in browser.page


@pytest.mark.parametrize("seq", ["999", str(2**31 - 1), str(2**31), "9" * 30, "-1", "x"])
def test_an_entry_that_is_not_there_is_told(browse: Browse, seq: str) -> None:
    dmc = browse("dmc")
    dmc.get(f"{LOG}/{seq}")

    assert dmc.answer.status_code == 404


def test_an_entry_that_cannot_be_read_is_told_on_its_page_and_in_the_log(
    active: Installation, browse: Browse
) -> None:
    active.attack("UPDATE log_entry SET data = :data WHERE seq = 3", data=b"<i>\xff")
    dmc = browse("dmc")

    dmc.get(LOG)
    assert "Entry 3" in dmc.words
    assert "This entry cannot be read" in dmc.words
    dmc.get(f"{LOG}/3")
    assert "This entry is not as it must be" in dmc.words
    assert "&lt;i&gt;\\xff" in dmc.page


# --- all of it -------------------------------------------------------------------------------


def test_no_page_of_oversight_asks_for_a_key_or_a_seed(
    active: Installation, browse: Browse
) -> None:
    dmc = browse("dmc")
    for path in (LOG, CHECKS, LISTS, f"{LOG}/0"):
        dmc.get(path)
        assert dmc.answer.status_code == 200
        assert not re.search(r'<textarea|type="(file|password)"', dmc.page)
        assert not re.search(r'name="[^"]*(key|seed|identity)', dmc.page)
    assert active.entries()


@pytest.mark.parametrize(
    ("username", "links"),
    [
        ("dmc", {"totals", "arms", "log", "log/checks", "regenerations"}),
        ("stat", {"totals", "arms", "log", "log/checks", "regenerations"}),
        ("admin", {"totals", "log", "log/checks", "regenerations"}),
        ("manager", {"totals"}),
        ("doc", {"log"}),
        ("guest", set()),
    ],
)
def test_the_start_page_leads_to_what_each_role_may(
    browse: Browse, username: str, links: set[str]
) -> None:
    browser = browse(username)
    browser.get("/")

    offered = {"totals", "arms", "log", "log/checks", "regenerations"}
    found = set(re.findall(r'href="/trials/TEST-SMALL/([^"]+)"', browser.page))
    assert found & offered == links
