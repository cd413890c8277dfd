"""A second person who signs beside the one who is signed in: by password, and by code."""

from functools import partial

import pyotp
import pytest

from alloc_service.errors import (
    CodeMissingError,
    FactorMissingError,
    SecondPersonError,
    TooManyTriesError,
    WrongCodeError,
    WrongPasswordError,
)
from alloc_service.services import second_factor, second_person, trials
from alloc_service.services.recovery import TwoPeople
from alloc_service.trial.definition import shipped_definition
from tests.support.installation import Installation, password_of


def prove(here: Installation, username: str, code: str = "", *, password: str = "") -> TwoPeople:
    given = password or password_of(username)
    ask = partial(second_person.prove, here.deps, here.people["manager"], address="192.0.2.7")
    return ask(username, given, code=code)


def set_up(here: Installation, username: str) -> str:
    """Set up somebody's second factor; return its secret, once its first code is too old."""
    person = here.people[username]
    new = second_factor.begin(here.deps, person, username)
    first = pyotp.TOTP(new.secret).at(here.clock.now)
    second_factor.confirm(here.deps, person, first)
    here.clock.advance(minutes=2)
    return new.secret


def test_who_has_no_second_factor_signs_by_password(staffed: Installation) -> None:
    two = prove(staffed, "dmc")

    assert (two.first.id, two.second.id) == ("p-manager", "p-dmc")
    with pytest.raises(WrongPasswordError):
        prove(staffed, "dmc", password="a wrong password")
    with pytest.raises(SecondPersonError):
        prove(staffed, "manager")


def test_who_has_one_signs_by_a_code_of_it_too_and_each_is_taken_once(
    staffed: Installation,
) -> None:
    secret = set_up(staffed, "dmc")
    with pytest.raises(CodeMissingError):
        prove(staffed, "dmc")
    with pytest.raises(WrongCodeError):
        prove(staffed, "dmc", "000000")
    code = pyotp.TOTP(secret).at(staffed.clock.now)

    assert prove(staffed, "dmc", code).second.id == "p-dmc"
    with pytest.raises(WrongCodeError):
        prove(staffed, "dmc", code)


def test_a_code_is_not_looked_at_before_the_password_is_right(staffed: Installation) -> None:
    secret = set_up(staffed, "dmc")
    code = pyotp.TOTP(secret).at(staffed.clock.now)

    with pytest.raises(WrongPasswordError):
        prove(staffed, "dmc", code, password="a wrong password")

    assert prove(staffed, "dmc", code).second.id == "p-dmc"


def test_tries_at_a_code_are_few(staffed: Installation) -> None:
    set_up(staffed, "dmc")
    for _ in range(5):
        with pytest.raises(WrongCodeError):
            prove(staffed, "dmc", "000000")

    with pytest.raises(TooManyTriesError):
        prove(staffed, "dmc", "000000")


def test_who_must_have_one_and_has_none_does_not_sign(staffed: Installation) -> None:
    trials.create(staffed.deps, staffed.people["admin"], shipped_definition())

    with pytest.raises(FactorMissingError):
        prove(staffed, "admin")
