"""Signing in and out, passwords, throttling, cookies, headers."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask

from alloc_service.app import build_app
from alloc_service.config import WebSettings
from alloc_service.services import accounts
from tests.support.browser import Browser
from tests.support.installation import Installation, password_of
from tests.support.read_only import read_only

Browse = Callable[..., Browser]
WRONG = "The user name or the password is wrong."


def token_of(browser: Browser) -> str:
    """Return the token that the cookie holds now."""
    with browser.client.session_transaction() as session:
        return str(session["_user_id"])


def test_an_unknown_user_and_a_wrong_password_are_told_in_the_same_words(browse: Browse) -> None:
    pages = []
    for username in ("doc", "nobody.here"):
        browser = browse()
        browser.sign_in(username, "a wrong password here")
        assert browser.answer.status_code == 403
        assert WRONG in browser.words
        pages.append(browser.words.replace(browser.answer.headers["X-Request-Id"], ""))

    assert pages[0] == pages[1]


def test_five_tries_from_one_address_are_judged_and_others_go_on(
    active: Installation, browse: Browse
) -> None:
    outside = browse(address="203.0.113.9")
    for _ in range(5):
        outside.sign_in("doc", "a wrong password here")
        assert outside.answer.status_code == 403
    outside.sign_in("doc")
    assert outside.answer.status_code == 429
    assert "15 minutes" in outside.words

    inside = browse(address="192.0.2.1")
    inside.sign_in("doc")
    assert inside.title == "Start"
    active.clock.advance(minutes=16)
    outside.sign_in("doc")
    assert outside.title == "Start"


def test_unknown_names_are_throttled_alike(browse: Browse) -> None:
    browser = browse()
    for _ in range(5):
        browser.sign_in("nobody.here", "a wrong password here")
    browser.sign_in("nobody.here", "a wrong password here")

    assert browser.answer.status_code == 429


def test_a_name_that_was_tried_is_stored_as_a_hash_alone(
    active: Installation, browse: Browse
) -> None:
    browse().sign_in("my secret password", "doc")

    ((name,),) = active.ask("SELECT name_sha256 FROM sign_in_try")
    assert len(name) == 64


def test_a_session_is_new_at_every_sign_in_and_its_token_is_stored_as_a_hash(
    active: Installation, doc: Browser
) -> None:
    first = token_of(doc)
    doc.post("/sign-out")
    doc.sign_in("doc")

    second = token_of(doc)
    assert first != second
    stored = active.ask("SELECT token_sha256 FROM web_session")
    assert len(stored) == 2
    assert all(first.encode() not in row[0] and len(row[0]) == 32 for row in stored)


def test_a_stolen_cookie_opens_nothing_after_signing_out(app: Flask, doc: Browser) -> None:
    stolen = doc.client.get_cookie("alloc")
    assert stolen is not None
    doc.get("/account")
    doc.post("/sign-out")
    assert doc.title == "You are signed out"
    thief = app.test_client()
    thief.set_cookie("alloc", stolen.value)

    assert thief.get("/account").status_code == 303


def test_a_session_ends_after_half_an_hour_without_a_request(
    active: Installation, doc: Browser
) -> None:
    active.clock.advance(minutes=29)
    doc.get("/account")
    active.clock.advance(minutes=29)
    doc.get("/account")
    assert doc.title == "My account"
    active.clock.advance(minutes=30)
    doc.get("/account")

    assert doc.title == "Sign in"


def test_a_session_ends_after_ten_hours_whatever_is_done(
    active: Installation, doc: Browser
) -> None:
    for _ in range(23):
        active.clock.advance(minutes=26)
        doc.get("/account")
        assert doc.title == "My account"
    active.clock.advance(minutes=2)
    doc.get("/account")

    assert doc.title == "Sign in"


def test_a_new_password_ends_every_other_session(browse: Browse, doc: Browser) -> None:
    other = browse("doc")
    new = "a much better password"
    doc.get("/account")
    doc.post("/account/password",
             {"password": password_of("doc"), "new_password": new, "again": new})  # fmt: skip

    assert "Your password is changed" in doc.words
    other.get("/account")
    assert other.title == "Sign in"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"password": "wrong wrong wrong"}, "password"),
        ({"new_password": "short", "again": "short"}, "new_password"),
        ({"again": "something else here"}, "again"),
    ],
)
def test_a_password_that_is_refused_names_its_field(
    doc: Browser, fields: dict[str, str], field: str
) -> None:
    good = {"password": password_of("doc"), "new_password": "a much better password",
            "again": "a much better password"}  # fmt: skip
    doc.get("/account")
    doc.post("/account/password", {**good, **fields})

    assert doc.answer.status_code == 422
    assert set(doc.errors) == {field}
    assert "better password" not in doc.page


def test_one_can_sign_out_everywhere_else(browse: Browse, doc: Browser) -> None:
    other = browse("doc")
    doc.get("/account")
    doc.post("/account/sign-out-others")

    assert doc.title == "My account"
    other.get("/account")
    assert other.title == "Sign in"


def test_a_one_time_password_opens_nothing_but_its_own_change(
    active: Installation, browse: Browse
) -> None:
    once = accounts.reset_password(active.deps, active.people["admin"], "doc")
    browser = browse()

    browser.sign_in("doc", once)
    assert browser.title == "Choose your password"
    new = "a much better password"
    browser.post(
        "/account/first-password",
        {"username": "doc", "password": once, "new_password": new, "again": new},
    )
    assert browser.title == "Start"


def test_a_disabled_account_is_out_at_once(active: Installation, doc: Browser) -> None:
    accounts.disable_account(active.deps, active.people["admin"], "doc")

    doc.get("/account")

    assert doc.title == "Sign in"


@pytest.mark.parametrize(
    ("on", "lands"),
    [
        ("/account", "/account"),
        ("//evil.example.org/", "/"),
        ("https://evil.example.org/", "/"),
        ("/\\evil.example.org", "/"),
        ("javascript:alert(1)", "/"),
        ("/account\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(browse: Browse, on: str, lands: str) -> None:
    browser = browse()
    browser.get("/sign-in")

    answer = browser.client.post(
        "/sign-in",
        data={"csrf_token": browser.token, "username": "doc", "password": password_of("doc"),
              "next": on},
    )  # fmt: skip

    assert answer.status_code == 303
    assert answer.headers["Location"] == lands


def test_an_address_that_needs_a_sign_in_is_gone_on_to_after_it(browse: Browse) -> None:
    browser = browse()
    browser.get("/trials/TEST-SMALL/sites/XA01/participants?q=P")
    assert browser.title == "Sign in"
    browser.post("/sign-in", {**browser.hidden, "username": "doc", "password": password_of("doc")})

    assert browser.title == "Participants"


def test_cookies_and_headers_are_those_of_a_careful_service(active: Installation) -> None:
    app = build_app(active.deps, WebSettings(proxies=1, plain_http=False))
    answer = app.test_client().get(
        "/sign-in", headers={"X-Forwarded-Proto": "https"}, base_url="http://localhost"
    )

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-alloc=")
    for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert part in cookie
    headers = answer.headers
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


def test_what_is_only_read_is_shown_while_the_database_takes_no_write(
    active: Installation, browse: Browse
) -> None:
    browsers = {name: browse(name) for name in ("manager", "doc", "admin", "dmc")}
    with read_only(active.deps.database, "", None):
        active.clock.advance(minutes=2)
        for name, path in (
            ("manager", "/trials/TEST-SMALL/conduct"),
            ("doc", "/trials/TEST-SMALL/sites/XA01/participants"),
            ("admin", "/users"),
            ("dmc", "/trials/TEST-SMALL/log"),
        ):
            assert browsers[name].get(path).status_code == 200
        browsers["manager"].get("/trials/TEST-SMALL/conduct")
        browsers["manager"].post("/trials/TEST-SMALL/sites/XA01/pause")
        assert browsers["manager"].answer.status_code == 503

    assert active.state().sites["XA01"]


def test_a_host_that_is_not_ours_is_refused(app: Flask) -> None:
    answer = app.test_client().get("/sign-in", base_url="http://evil.example.org")

    assert answer.status_code == 400


def test_an_unexpected_fault_is_told_with_the_request_s_id_and_none_of_its_words(
    active: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    broken = replace(active.deps, passwords=None)  # type: ignore[arg-type]
    app = build_app(broken, WebSettings(proxies=0, plain_http=True))
    browser = Browser(app.test_client())

    browser.sign_in("doc", "MOONSET-7Q is a long password")

    assert browser.answer.status_code == 500
    request = browser.answer.headers["X-Request-Id"]
    assert request in browser.words
    assert "fault of the program" in browser.words
    assert request in caplog.text
    assert "MOONSET-7Q" not in caplog.text + browser.page
    assert "Traceback" not in browser.page + caplog.text
