"""Browsers that are signed in, and how often a password may be tried."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from alloc_service.errors import DatabaseReadOnlyError, TooManyTriesError, WrongPasswordError
from alloc_service.services import accounts, sessions
from alloc_service.services.sessions import Browser
from tests.support.installation import Installation, password_of
from tests.support.read_only import read_only
from tests.support.shelf import database_name

HERE = Browser("192.0.2.7", "Firefox")


def begin(installation: Installation, username: str = "doc") -> sessions.SignedIn:
    return sessions.begin(installation.deps, username, password_of(username), HERE)


def try_wrong(installation: Installation, address: str = HERE.address) -> str:
    try:
        sessions.begin(installation.deps, "doc", "not my long password", Browser(address, ""))
    except (WrongPasswordError, TooManyTriesError) as error:
        return error.code
    return ""


def test_a_token_finds_who_signed_in_and_nothing_else_does(staffed: Installation) -> None:
    signed_in = begin(staffed)

    found = sessions.find(staffed.deps, signed_in.token)

    assert found == signed_in
    assert found is not None
    assert found.person == staffed.people["doc"]
    assert signed_in.token not in repr(signed_in)
    for token in ("", "x", signed_in.token[:-1], signed_in.token + "A", "\ud800"):
        assert sessions.find(staffed.deps, token) is None


def test_a_request_is_noted_once_a_minute(staffed: Installation) -> None:
    signed_in, began = begin(staffed), staffed.clock.now

    for seconds, noted in ((59, 0), (1, 60), (30, 60), (31, 121)):
        staffed.clock.advance(seconds=seconds)
        assert sessions.find(staffed.deps, signed_in.token) is not None
        (own,) = sessions.list_own(staffed.deps, signed_in)
        assert own.seen_at == began + timedelta(seconds=noted)


def test_where_nothing_can_be_written_a_request_is_found_and_not_noted(
    staffed: Installation, kind: str, request: pytest.FixtureRequest
) -> None:
    server = None if kind == "sqlite" else request.getfixturevalue("postgres_server")
    signed_in, began = begin(staffed), staffed.clock.now
    database = staffed.deps.database
    with read_only(database, database_name(staffed.url), server):
        staffed.clock.advance(minutes=10)
        found = sessions.find(staffed.deps, signed_in.token)
        assert found is not None
        assert found == signed_in  # it ends when it would have
        with pytest.raises(DatabaseReadOnlyError):
            sessions.end(staffed.deps, signed_in.token)
        (own,) = sessions.list_own(staffed.deps, signed_in)
        assert own.seen_at == began
        staffed.clock.advance(minutes=19)
        assert sessions.find(staffed.deps, signed_in.token) is not None

    assert sessions.find(staffed.deps, signed_in.token) is not None
    (own,) = sessions.list_own(staffed.deps, signed_in)
    assert own.seen_at == began + timedelta(minutes=29)


def test_a_session_that_could_not_be_noted_ends_as_if_nobody_had_asked(
    staffed: Installation, kind: str, request: pytest.FixtureRequest
) -> None:
    server = None if kind == "sqlite" else request.getfixturevalue("postgres_server")
    signed_in = begin(staffed)
    with read_only(staffed.deps.database, database_name(staffed.url), server):
        staffed.clock.advance(minutes=20)
        assert sessions.find(staffed.deps, signed_in.token) is not None
        staffed.clock.advance(minutes=10)
        assert sessions.find(staffed.deps, signed_in.token) is None


def test_own_sessions_are_listed_newest_first_without_their_tokens(staffed: Installation) -> None:
    first = begin(staffed)
    staffed.clock.advance(minutes=1)
    second = begin(staffed)
    begin(staffed, "dmc")

    listed = sessions.list_own(staffed.deps, first)

    assert [item.is_this for item in listed] == [False, True]
    assert {item.address for item in listed} == {HERE.address}
    assert first.token not in repr(listed)
    sessions.end_others(staffed.deps, first)
    assert sessions.find(staffed.deps, second.token) is None
    assert [item.is_this for item in sessions.list_own(staffed.deps, first)] == [True]
    sessions.end(staffed.deps, first.token)
    assert sessions.list_own(staffed.deps, first) == ()


def test_what_ended_of_itself_is_not_listed_and_is_cleared_away(staffed: Installation) -> None:
    old = begin(staffed)
    staffed.clock.advance(minutes=30)
    new = begin(staffed)
    assert len(sessions.list_own(staffed.deps, new)) == 1
    assert sessions.find(staffed.deps, old.token) is None
    staffed.clock.advance(hours=10, minutes=1)
    begin(staffed)

    assert staffed.ask("SELECT count(*) FROM web_session") == [(1,)]


def test_a_reset_and_a_disabled_account_end_every_session(staffed: Installation) -> None:
    doc, dmc = begin(staffed), begin(staffed, "dmc")
    admin = staffed.people["admin"]

    accounts.reset_password(staffed.deps, admin, "doc")
    accounts.disable_account(staffed.deps, admin, "dmc")

    assert sessions.find(staffed.deps, doc.token) is None
    assert sessions.find(staffed.deps, dmc.token) is None


def test_of_many_tries_at_once_no_more_than_five_are_judged(staffed: Installation) -> None:
    with ThreadPoolExecutor(12) as threads:
        codes = list(threads.map(lambda _: try_wrong(staffed), range(12)))

    assert codes.count("wrong-password") <= 5
    assert codes.count("too-many-tries") == 12 - codes.count("wrong-password")


def test_a_success_forgets_the_tries_before_it(staffed: Installation) -> None:
    for _ in range(3):
        assert [try_wrong(staffed) for _ in range(4)] == ["wrong-password"] * 4
        begin(staffed)


def test_tries_from_another_address_and_after_a_quarter_of_an_hour_count_anew(
    staffed: Installation,
) -> None:
    assert [try_wrong(staffed) for _ in range(6)] == ["wrong-password"] * 5 + ["too-many-tries"]
    assert try_wrong(staffed, "198.51.100.4") == "wrong-password"
    staffed.clock.advance(minutes=10)
    with pytest.raises(TooManyTriesError, match="Wait 5 minutes"):
        begin(staffed)
    staffed.clock.advance(minutes=5, seconds=1)

    assert begin(staffed).username == "doc"
