"""Passwords: what may be one, what fits, and that an unknown user costs what a wrong word costs."""

import re
import unicodedata
from typing import Literal

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import PasswordRuleError, WrongPasswordError
from alloc_service.services.passwords import LONGEST, SHORTEST, Passwords, one_time_password

GOOD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class CountingHasher(PasswordHasher):
    """The real Argon2, that also remembers which hashes it was asked to check."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checked: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  its name in argon2-cffi
        self.checked.append(str(hash))
        return super().verify(hash, password)


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(CHEAP)


def test_a_password_fits_its_hash(passwords: Passwords) -> None:
    passwords.verify(passwords.hash(GOOD), GOOD)


def test_the_same_password_has_another_hash_each_time(passwords: Passwords) -> None:
    assert passwords.hash(GOOD) != passwords.hash(GOOD)


def test_the_default_cost_is_argon2id_with_64_mib() -> None:
    stored = Passwords().hash(GOOD)

    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert GOOD not in stored


def test_another_password_does_not_fit(passwords: Passwords) -> None:
    with pytest.raises(WrongPasswordError):
        passwords.verify(passwords.hash(GOOD), GOOD + "!")


@pytest.mark.parametrize("length", [SHORTEST, LONGEST])
def test_a_password_may_have_12_to_200_characters(passwords: Passwords, length: int) -> None:
    passwords.verify(passwords.hash("ü" * length), "ü" * length)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("x" * (SHORTEST - 1), "it must have 12 to 200 characters"),
        ("x" * (LONGEST + 1), "it must have 12 to 200 characters"),
        ("", "it must have 12 to 200 characters"),
        ("a bell \a in the words", "it holds a control character"),
        ("a zero \0 in the words", "it holds a control character"),
        ("half a sign \ud800 in it", "it holds a control character"),
    ],
)
def test_a_password_that_breaks_a_rule_is_refused_by_the_rule_alone(
    passwords: Passwords, password: str, rule: str
) -> None:
    with pytest.raises(PasswordRuleError) as refusal:
        passwords.hash(password)

    assert rule in str(refusal.value)
    assert not password or password not in str(refusal.value)


def test_two_spellings_of_one_letter_are_one_password(passwords: Passwords) -> None:
    word = "Müller's long password"
    stored = passwords.hash(unicodedata.normalize("NFD", word))

    passwords.verify(stored, word)
    passwords.verify(stored, unicodedata.normalize("NFD", word))


def test_a_decomposed_spelling_does_not_make_a_password_too_long(passwords: Passwords) -> None:
    word = "ü" * LONGEST

    passwords.verify(passwords.hash(word), unicodedata.normalize("NFD", word))


def test_a_new_password_is_another_one(passwords: Passwords) -> None:
    with pytest.raises(PasswordRuleError, match="it is the old one"):
        passwords.hash_new(GOOD, GOOD)


def test_the_old_password_in_another_spelling_is_still_the_old_one(passwords: Passwords) -> None:
    word = "Müller's long password"

    with pytest.raises(PasswordRuleError, match="it is the old one"):
        passwords.hash_new(unicodedata.normalize("NFD", word), word)


def test_a_new_password_keeps_the_rules(passwords: Passwords) -> None:
    passwords.verify(passwords.hash_new("another long password", GOOD), "another long password")
    with pytest.raises(PasswordRuleError):
        passwords.hash_new("short", GOOD)


# --- nobody learns who exists -----------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [GOOD, "", "short", "x" * 10_000, "half a sign \ud800 in it", "a zero \0 in the words"],
    ids=["good", "empty", "short", "10 kB", "surrogate", "NUL"],
)
def test_no_user_and_a_wrong_password_get_the_same_words(passwords: Passwords, typed: str) -> None:
    stored = passwords.hash("somebody's long password")
    words = []
    for known in (stored, None):
        with pytest.raises(WrongPasswordError) as refusal:
            passwords.verify(known, typed)
        words.append((str(refusal.value), refusal.value.facts))

    assert words[0] == words[1]


@pytest.mark.parametrize("typed", [GOOD, "", "x" * 10_000, "half a sign \ud800 in it"])
def test_no_user_costs_one_check_of_argon2_like_a_wrong_password(typed: str) -> None:
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    stored = passwords.hash("somebody's long password")
    for known in (stored, None):
        with pytest.raises(WrongPasswordError):
            passwords.verify(known, typed)

    known_hash, dummy = hasher.checked
    assert known_hash == stored
    assert (
        dummy.rpartition("$")[0].rpartition("$")[0] == stored.rpartition("$")[0].rpartition("$")[0]
    )


@given(st.text(max_size=300))
def test_nothing_that_is_typed_opens_an_account_that_is_not_there(typed: str) -> None:
    with pytest.raises(WrongPasswordError):
        Passwords(CHEAP).verify(None, typed)


@pytest.mark.parametrize(
    "stored",
    ["", "x", "$argon2id$broken", "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA"],
    ids=["empty", "no hash", "undecodable", "cut"],
)
def test_a_damaged_hash_is_a_wrong_password(passwords: Passwords, stored: str) -> None:
    with pytest.raises(WrongPasswordError):
        passwords.verify(stored, GOOD)


def test_a_refusal_keeps_no_trace_of_the_password_or_the_hash(passwords: Passwords) -> None:
    stored = passwords.hash(GOOD)
    with pytest.raises(WrongPasswordError) as refusal:
        passwords.verify(stored, "wrong, but long enough")

    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__
    assert refusal.value.facts == {}
    assert "horse" not in repr(passwords)


def test_one_time_passwords_have_96_random_bits_and_keep_the_rules(passwords: Passwords) -> None:
    made = {one_time_password() for _ in range(100)}

    assert len(made) == 100
    for password in made:
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}", password)
    passwords.hash(made.pop())
