"""The trial manager's pages: what changes a trial, and what its manager never sees."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from alloc_service.services import trials
from tests.support.browser import Browser
from tests.support.installation import Installation
from tests.support.pages import browse_as
from tests.support.typed import NO_TEXT, TYPED, as_kept

TRIAL = "/trials/TEST-SMALL"
CONDUCT = f"{TRIAL}/conduct"
CLOSE = f"{CONDUCT}/close"
ACTIVATE = f"{TRIAL}/lists/1/activate"
WHY = {"code": "dmc-advice", "reason": "Advice of 2 March"}

Browse = Callable[..., Browser]


@pytest.fixture
def manager(active: Installation) -> Browser:
    return browse_as(active, "manager", CONDUCT)


def test_the_page_shows_state_cap_lists_and_sites(active: Installation, browse: Browse) -> None:
    active.change_site("BE02", active=False)
    manager = browse("manager")
    assert CONDUCT in manager.page  # from the start page

    manager.get(CONDUCT)

    assert manager.title == "Conduct of the trial"
    for told in ("The trial is Open", "Participants at most 10",
                 "TEST-SMALL is a trial for testing",
                 "1 Active Approved without regeneration: nobody has checked",
                 "Active Pause XA01", "Paused Activate BE02"):  # fmt: skip
        assert told in manager.words


# --- pause, resume, close ---------------------------------------------------------------------


def test_a_trial_is_paused_and_resumed_with_code_and_reason(
    active: Installation, manager: Browser
) -> None:
    manager.post(f"{CONDUCT}/pause", WHY)
    assert "The trial is paused: nothing is allocated" in manager.words
    assert "The trial is Paused" in manager.words
    manager.get(CONDUCT)
    assert "nothing is allocated until" not in manager.words  # it is told once
    manager.post(f"{CONDUCT}/resume", WHY)
    assert "The trial is Open" in manager.words

    types = [entry.type for entry in active.entries("trial.paused", "trial.resumed")]
    assert types == ["trial.paused", "trial.resumed"]
    assert active.entries("trial.paused")[0].body["code"] == "dmc-advice"
    assert active.ask("SELECT text FROM reason") == [("Advice of 2 March",)] * 2


@pytest.mark.parametrize("step", ["pause", "close"])
@pytest.mark.parametrize("code", TYPED.values(), ids=TYPED)
def test_a_code_that_is_refused_changes_nothing_and_is_kept(
    active: Installation, manager: Browser, step: str, code: str
) -> None:
    size = active.state().size
    manager.post(f"{CONDUCT}/{step}", {**WHY, "confirm": "TEST-SMALL", "code": code})

    assert manager.answer.status_code == 422
    assert manager.title.startswith("Error:")
    assert manager.errors["code"].startswith("Reason code: ")
    assert list(manager.errors) == ["code"]
    assert f'value="{as_kept(code)}"' in manager.page
    assert 'value="Advice of 2 March"' in manager.page
    assert active.state().size == size


@pytest.mark.parametrize("step", ["pause", "close"])
@pytest.mark.parametrize("reason", NO_TEXT.values(), ids=NO_TEXT)
def test_a_reason_that_is_refused_changes_nothing_and_is_kept(
    active: Installation, manager: Browser, step: str, reason: str
) -> None:
    manager.post(f"{CONDUCT}/{step}", {**WHY, "confirm": "TEST-SMALL", "reason": reason})

    assert manager.answer.status_code == 422
    assert manager.errors["reason"].startswith("Reason: ")
    assert f'value="{as_kept(reason)}"' in manager.page
    assert active.state().trial == "open"
    assert active.ask("SELECT count(*) FROM reason") == [(0,)]


@pytest.mark.parametrize("reason", ["<script>alert(1)</script>", "{{ 7 * 7 }}"])
def test_a_reason_may_hold_any_words_and_no_page_runs_them(
    active: Installation, manager: Browser, reason: str
) -> None:
    manager.post(f"{CONDUCT}/pause", {"code": "UPPER", "reason": reason})
    assert "<script>alert" not in manager.page
    assert f'value="{as_kept(reason)}"' in manager.page
    manager.post(f"{CONDUCT}/pause", {"code": "x", "reason": reason})

    assert active.ask("SELECT text FROM reason") == [(reason,)]


def test_everything_that_is_wrong_is_told_at_once(manager: Browser) -> None:
    manager.get(CLOSE)
    manager.post(CLOSE)

    assert set(manager.errors) == {"code", "reason", "confirm"}


def test_a_trial_is_closed_once_its_id_was_typed(active: Installation, manager: Browser) -> None:
    manager.get(CLOSE)
    manager.post(CLOSE, {**WHY, "confirm": "TEST-SMALL"})

    assert "The trial is Closed, for ever" in manager.words
    assert active.state().trial == "closed"
    for gone in ("Pause XA01", "Change the number", "Resume the trial"):
        assert gone not in manager.words
    manager.get(CLOSE)
    assert "The trial is closed already" in manager.words


@pytest.mark.parametrize("typed", [*TYPED.values(), "test-small", "TEST-SMALL2", "yes"])
def test_without_its_id_a_trial_stays_open(
    active: Installation, manager: Browser, typed: str
) -> None:
    manager.post(CLOSE, {**WHY, "confirm": typed})

    assert manager.answer.status_code == 422
    assert manager.errors == {"confirm": "Confirmation: type TEST-SMALL, as it is written here."}
    assert f'value="{as_kept(typed)}"' in manager.page
    assert 'value="dmc-advice"' in manager.page
    assert active.state().trial == "open"


def test_looking_closes_nothing(active: Installation, manager: Browser) -> None:
    size = active.state().size
    for path in (CONDUCT, CLOSE, ACTIVATE, f"{CLOSE}?code=x&reason=y&confirm=TEST-SMALL"):
        manager.get(path)

    assert active.state().size == size


@pytest.mark.parametrize(
    ("path", "place", "told"),
    [
        ("conduct/pause", "state", "the trial is paused"),
        ("sites/XA01/activate", "sites", "the site is active already"),
        ("lists/1/activate", "lists", "list 1 is active already"),
        ("conduct/cap", "cap", "the cap is that already"),
    ],
)
def test_what_somebody_else_has_done_already_is_told_beside_how_the_trial_stands(
    active: Installation, manager: Browser, path: str, place: str, told: str
) -> None:
    active.change_state("pause")
    size = active.state().size

    manager.post(f"{TRIAL}/{path}", {**WHY, "cap": "10"})

    assert manager.answer.status_code == 409
    assert f"Nothing was changed: {told}." in manager.words
    assert f'href="#{place}"' in manager.page
    assert f'id="{place}"' in manager.page
    assert "The trial is Paused" in manager.words
    assert "alloc log" not in manager.words
    assert active.state().size == size


# --- cap --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "cap"), [("12", 12), (" １２ ", 12), ("1", 1)])
def test_the_cap_is_changed(active: Installation, manager: Browser, typed: str, cap: int) -> None:
    manager.post(f"{CONDUCT}/cap", {"cap": typed})

    assert f"At most {cap} participants may be allocated now" in manager.words
    assert active.state().cap == cap


@pytest.mark.parametrize(
    "typed", [*TYPED.values(), "0", "-1", "1.5", "1,5", "1,500", "1000001", "1e3", "9" * 5_000]
)
def test_a_cap_that_is_no_number_of_participants_is_refused_and_kept(
    active: Installation, manager: Browser, typed: str
) -> None:
    manager.post(f"{CONDUCT}/cap", {"cap": typed})

    assert manager.answer.status_code == 422
    assert manager.errors["cap"].startswith("Participants: ")
    assert f'value="{as_kept(typed)}"' in manager.page
    assert active.state().cap == 10


def test_the_cap_is_never_below_what_is_allocated(active: Installation, manager: Browser) -> None:
    active.allocate("P-001")
    active.allocate("P-002")

    manager.post(f"{CONDUCT}/cap", {"cap": "1"})

    assert "more participants are allocated already" in manager.errors["cap"]
    assert 'value="1"' in manager.page


# --- sites and lists --------------------------------------------------------------------------


def test_a_site_is_paused_and_activated(active: Installation, manager: Browser) -> None:
    manager.post(f"{TRIAL}/sites/XA01/pause")
    assert "Site XA01 is paused." in manager.words
    assert active.state().sites["XA01"] is False
    manager.post(f"{TRIAL}/sites/XA01/activate")
    assert "Site XA01 is active." in manager.words
    assert active.state().sites["XA01"] is True


@pytest.mark.parametrize("site", [text for text in TYPED.values() if "/" not in text and text])
def test_a_site_that_there_is_not_is_not_changed(
    active: Installation, manager: Browser, site: str
) -> None:
    size = active.state().size
    manager.post(f"{TRIAL}/sites/{quote(site)}/pause")

    assert manager.answer.status_code == 422
    assert "no such site. Its sites are: XA01, BE02" in manager.words
    assert site not in manager.page or not site.strip()
    assert active.state().size == size


# --- what a manager never sees ----------------------------------------------------------------


def test_no_arm_and_no_count_of_slots_is_on_any_page_of_a_manager(active: Installation) -> None:
    trials.change_cap(active.deps, active.people["manager"], active.trial, 37)
    for number in range(3):
        active.allocate(f"P-00{number}")
    manager = browse_as(active, "manager", CONDUCT)
    pages: list[tuple[str, str, dict[str, str]]] = [
        ("get", path, {}) for path in ("/", "/help", "/account", CONDUCT, CLOSE, ACTIVATE)
    ]
    pages += [("post", f"{CONDUCT}/{step}", {}) for step in ("pause", "resume", "close", "cap")]
    pages += [
        ("post", f"{CONDUCT}/pause", WHY),
        ("post", f"{CONDUCT}/pause", WHY),
        ("post", f"{CONDUCT}/cap", {"cap": "1"}),
        ("post", f"{TRIAL}/lists/1/activate", {}),
        ("post", f"{TRIAL}/sites/XA01/pause", {}),
    ]
    for method, path, fields in pages:
        if method == "get":
            manager.get(path)
        else:
            manager.post(path, fields)
        shown = manager.content
        for secret in ("7Q", "Sunrise", "Moonset", "Get up", "Lie down", "P-00", "severity"):
            assert secret not in shown, (path, secret)
        for root in (entry.body["root"] for entry in active.entries("list.sealed")):
            assert root not in shown
        # Six slots in each of two strata; three are spent, and nine are left.
        words = manager.words.replace(manager.answer.headers["X-Request-Id"], "")
        assert not re.search(r"\b(6|12|9|3) (slots?|left|remain|participants)", words), path
