"""The second factor: set up, asked for, taken once, taken away; who must have one."""

from datetime import timedelta

import pyotp
import pytest

from alloc_service.errors import (
    NotAllowedError,
    SelfGrantError,
    TooManyTriesError,
    WrongCodeError,
)
from alloc_service.permissions import Grant, Role
from alloc_service.services import accounts, second_factor, sessions, trials
from alloc_service.services.sessions import Browser
from alloc_service.trial.definition import shipped_definition
from tests.support.installation import Installation, password_of

HERE = Browser("192.0.2.7", "Firefox")


def code_of(installation: Installation, secret: str, **later: float) -> str:
    return pyotp.TOTP(secret).at(installation.clock.now + timedelta(**later))


def set_up(installation: Installation, username: str = "stat") -> tuple[str, tuple[str, ...]]:
    """Set up somebody's second factor; return secret and recovery codes."""
    person = installation.people[username]
    new = second_factor.begin(installation.deps, person, username)
    spares = second_factor.confirm(installation.deps, person, code_of(installation, new.secret))
    return new.secret, spares


def test_a_factor_counts_once_its_first_code_was_shown(staffed: Installation) -> None:
    person = staffed.people["stat"]
    new = second_factor.begin(staffed.deps, person, "stat")
    assert not second_factor.is_asked(staffed.deps, person)
    assert new.secret in new.uri
    assert new.secret not in repr(new)
    with pytest.raises(WrongCodeError):
        second_factor.check(staffed.deps, person, code_of(staffed, new.secret))
    with pytest.raises(WrongCodeError):
        second_factor.confirm(staffed.deps, person, "000000x")
    second_factor.confirm(staffed.deps, person, code_of(staffed, new.secret))

    assert second_factor.is_asked(staffed.deps, person)
    assert second_factor.count_codes(staffed.deps, person) == 10
    with pytest.raises(WrongCodeError):
        second_factor.begin(staffed.deps, person, "stat")
    with pytest.raises(WrongCodeError):
        second_factor.confirm(staffed.deps, person, code_of(staffed, new.secret))


def test_a_secret_that_was_not_confirmed_is_made_anew(staffed: Installation) -> None:
    person = staffed.people["stat"]
    first = second_factor.begin(staffed.deps, person, "stat")
    second = second_factor.begin(staffed.deps, person, "stat")

    assert first.secret != second.secret
    with pytest.raises(WrongCodeError):
        second_factor.confirm(staffed.deps, person, code_of(staffed, first.secret))


def test_nobody_without_a_factor_shows_one(staffed: Installation) -> None:
    with pytest.raises(WrongCodeError):
        second_factor.check(staffed.deps, staffed.people["stat"], "123456")
    with pytest.raises(WrongCodeError):
        second_factor.confirm(staffed.deps, staffed.people["stat"], "123456")


@pytest.mark.parametrize("seconds", [-30, 0, 30])
def test_a_code_of_this_half_minute_or_a_neighbour_is_taken_once(
    staffed: Installation, seconds: int
) -> None:
    secret, _ = set_up(staffed)
    person = staffed.people["stat"]
    staffed.clock.advance(minutes=5)
    code = code_of(staffed, secret, seconds=seconds)

    second_factor.check(staffed.deps, person, f"{code[:3]} {code[3:]}")
    with pytest.raises(WrongCodeError):
        second_factor.check(staffed.deps, person, code)


@pytest.mark.parametrize("seconds", [-90, 90])
def test_an_old_code_or_one_of_later_is_refused(staffed: Installation, seconds: int) -> None:
    secret, _ = set_up(staffed)
    staffed.clock.advance(minutes=5)

    with pytest.raises(WrongCodeError):
        second_factor.check(
            staffed.deps, staffed.people["stat"], code_of(staffed, secret, seconds=seconds)
        )


def test_an_earlier_step_is_refused_after_a_later_one(staffed: Installation) -> None:
    secret, _ = set_up(staffed)
    person = staffed.people["stat"]
    staffed.clock.advance(minutes=5)
    before = code_of(staffed, secret)
    second_factor.check(staffed.deps, person, code_of(staffed, secret, seconds=30))

    with pytest.raises(WrongCodeError):
        second_factor.check(staffed.deps, person, before)


def test_a_recovery_code_opens_once_and_is_stored_as_a_hash(staffed: Installation) -> None:
    _, spares = set_up(staffed)
    person = staffed.people["stat"]
    assert len(set(spares)) == 10

    second_factor.check(staffed.deps, person, spares[3].upper())

    assert second_factor.count_codes(staffed.deps, person) == 9
    with pytest.raises(WrongCodeError):
        second_factor.check(staffed.deps, person, spares[3])
    stored = str(staffed.ask("SELECT code_sha256 FROM recovery_code"))
    assert not any(spare.replace("-", "") in stored for spare in spares)


def test_the_secret_is_encrypted_for_its_account_alone(staffed: Installation) -> None:
    secret, _ = set_up(staffed)
    set_up(staffed, "second")
    rows = staffed.ask("SELECT secret FROM second_factor")
    assert all(secret.encode() not in bytes(row[0]) for row in rows)
    stat, second = (staffed.people[name].account for name in ("stat", "second"))
    exchange = "account_id = '{}'"
    if staffed.url.startswith("sqlite"):
        named = [exchange.format(account.hex) for account in (stat, second)]
    else:
        named = [exchange.format(account) for account in (stat, second)]
    staffed.exchange("second_factor", "secret", *named)
    staffed.clock.advance(minutes=5)

    with pytest.raises(WrongCodeError):
        second_factor.check(staffed.deps, staffed.people["stat"], code_of(staffed, secret))


def test_a_session_opens_nothing_before_its_factor_is_shown(staffed: Installation) -> None:
    secret, _ = set_up(staffed)
    staffed.clock.advance(minutes=5)
    signed_in = sessions.begin(staffed.deps, "stat", password_of("stat"), HERE)
    assert not signed_in.proved

    sessions.prove(staffed.deps, signed_in, code_of(staffed, secret), HERE)

    found = sessions.find(staffed.deps, signed_in.token)
    assert found is not None
    assert found.proved


def test_codes_are_tried_a_few_times_alone(staffed: Installation) -> None:
    secret, _ = set_up(staffed)
    staffed.clock.advance(minutes=5)
    signed_in = sessions.begin(staffed.deps, "stat", password_of("stat"), HERE)
    for _ in range(5):
        with pytest.raises(WrongCodeError):
            sessions.prove(staffed.deps, signed_in, "000000x", HERE)

    with pytest.raises(TooManyTriesError):
        sessions.prove(staffed.deps, signed_in, code_of(staffed, secret), HERE)


def test_an_administrator_takes_a_lost_one_away_and_it_is_logged(staffed: Installation) -> None:
    set_up(staffed)
    signed_in = sessions.begin(staffed.deps, "stat", password_of("stat"), HERE)
    admin = staffed.people["admin"]
    before = len(staffed.entries("user.changed"))

    with pytest.raises(NotAllowedError):
        second_factor.remove(staffed.deps, staffed.people["doc"], "stat")
    second_factor.remove(staffed.deps, admin, "stat")

    assert not second_factor.is_asked(staffed.deps, staffed.people["stat"])
    assert sessions.find(staffed.deps, signed_in.token) is None
    assert len(staffed.entries("user.changed")) == before + 1
    with pytest.raises(SelfGrantError):
        second_factor.remove(staffed.deps, admin, "admin")


def test_statisticians_and_administrators_must_have_one_before_a_real_trial(
    staffed: Installation,
) -> None:
    deps, people = staffed.deps, staffed.people
    assert not any(second_factor.is_missing(deps, person) for person in people.values())

    real = trials.create(deps, people["admin"], shipped_definition())
    accounts.add_grant(deps, people["admin"], real, "stat", Grant(Role.STATISTICIAN))
    accounts.add_grant(deps, people["admin"], real, "doc", Grant(Role.PHYSICIAN, "XA01"))

    missing = {name for name, person in people.items() if second_factor.is_missing(deps, person)}
    assert missing == {"admin", "stat"}
    staffed.deps = deps
    set_up(staffed)
    assert not second_factor.is_missing(deps, people["stat"])
