"""The second factor in the browser: set up, asked for at the sign-in, lost."""

from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest

from alloc_service.services import second_factor, trials
from alloc_service.trial.definition import shipped_definition
from tests.support.browser import Browser
from tests.support.installation import Installation

Browse = Callable[..., Browser]


def set_up(active: Installation, browser: Browser) -> tuple[str, list[str]]:
    """Set up a second factor in the browser; return secret and recovery codes."""
    browser.get("/account/second-factor")
    browser.post("/account/second-factor")
    (secret,) = [word for word in browser.words.split() if len(word) == 32 and word.isupper()]
    assert "<svg" in browser.page
    code = pyotp.TOTP(secret).at(active.clock.now)
    browser.post("/account/second-factor/confirm", {"code": code})
    assert browser.title == "Recovery codes"
    spares = [word for word in browser.words.split() if word.count("-") == 3]
    active.clock.advance(minutes=2)
    return secret, spares


def test_a_factor_is_set_up_and_then_asked_for_at_every_sign_in(
    active: Installation, browse: Browse
) -> None:
    secret, spares = set_up(active, browse("stat"))
    assert len(spares) == 10
    browser = browse("stat")

    assert browser.title == "Second factor"
    browser.get("/trials/TEST-SMALL/lists")
    assert browser.title == "Second factor"
    browser.post("/account/code", {"code": "000000"})
    assert browser.answer.status_code == 403
    assert "wrong, too old" in browser.errors["code"]
    browser.post("/account/code", {"code": pyotp.TOTP(secret).at(active.clock.now)})
    assert browser.title == "Start"
    browser.get("/trials/TEST-SMALL/lists")
    assert browser.title == "Lists"


def test_a_recovery_code_opens_where_the_device_is_lost(
    active: Installation, browse: Browse
) -> None:
    _, spares = set_up(active, browse("stat"))
    browser = browse("stat")

    browser.post("/account/code", {"code": spares[0]})

    assert browser.title == "Start"
    browser.get("/account/second-factor")
    assert "Recovery codes left: 9" in browser.words


@pytest.mark.parametrize("path", ["/account/second-factor", "/account/second-factor/confirm"])
def test_an_unproved_session_can_not_replace_the_factor(
    active: Installation, browse: Browse, path: str
) -> None:
    set_up(active, browse("stat"))
    browser = browse("stat")

    browser.get("/account/code")
    browser.post(path, {"code": "000000"})

    assert browser.answer.status_code == 403
    assert second_factor.is_asked(active.deps, active.people["stat"])
    assert not any(len(word) == 32 and word.isupper() for word in browser.words.split())


def test_a_wrong_first_code_sets_nothing_up(active: Installation, browse: Browse) -> None:
    browser = browse("stat")
    browser.get("/account/second-factor")
    browser.post("/account/second-factor")
    browser.post("/account/second-factor/confirm", {"code": "12345"})

    assert browser.answer.status_code == 403
    assert not second_factor.is_asked(active.deps, active.people["stat"])


def test_an_administrator_of_a_real_trial_goes_nowhere_without_one(
    active: Installation, browse: Browse
) -> None:
    trials.create(active.deps, active.people["admin"], shipped_definition())
    browser = browse("admin")

    assert browser.title == "Second factor"
    browser.get("/help")
    assert browser.title == "Second factor"
    assert "before a trial that is no test" in browser.words
    set_up(active, browser)
    browser.get("/help")
    assert browser.title == "Help"


def test_the_code_before_the_clock_s_step_is_taken_too(
    active: Installation, browse: Browse
) -> None:
    secret, _ = set_up(active, browse("stat"))
    browser = browse("stat")
    late = active.clock.now - timedelta(seconds=30)

    browser.post("/account/code", {"code": pyotp.TOTP(secret).at(late)})

    assert browser.title == "Start"
