"""Passwords: Argon2id through argon2-cffi, and the rules that a password keeps.

An unknown user costs the same work as a wrong password: a dummy hash is verified. A password is
compared in Unicode NFC, for keyboards spell the same letter in more than one way.
"""

import secrets
import unicodedata
from typing import NoReturn

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from alloc_service.errors import PasswordRuleError, WrongPasswordError

SHORTEST = 12
LONGEST = 200


class Passwords:
    """Hashes and checks passwords.

    Args:
        hasher: Argon2id with the cost that RFC 9106 recommends for memory of 64 MiB.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._dummy = self._hasher.hash("")  # which no rule lets in, so it is nobody's

    def hash(self, password: str) -> str:
        """Return the hash of a password that keeps the rules.

        Raises:
            PasswordRuleError: It is too short, too long, or holds a control character.
        """
        text = _normal(password)
        if rule := _find_fault(text):
            raise PasswordRuleError(rule=rule)
        return self._hasher.hash(text)

    def hash_new(self, password: str, old: str) -> str:
        """Return the hash of a password that replaces another one.

        Raises:
            PasswordRuleError: It breaks a rule, or is the old one.
        """
        if _normal(password) == _normal(old):
            raise PasswordRuleError(rule="it is the old one")
        return self.hash(password)

    def verify(self, stored: str | None, password: str) -> None:
        """Check a password against a stored hash, or against a dummy for an unknown user.

        Raises:
            WrongPasswordError: It does not fit, there is no such user, or the stored hash is
                damaged: the same words and the same work.
        """
        if stored is None:
            self.refuse(password)
        text = _normal(password)
        # What no rule would have let in is nobody's password, and some of it has no bytes.
        text = "" if _find_fault(text) else text
        try:
            self._hasher.verify(stored, text)
        except (VerificationError, InvalidHashError):
            raise WrongPasswordError from None

    def refuse(self, password: str) -> NoReturn:
        """Refuse whoever has no password here, after the work that a check costs.

        Raises:
            WrongPasswordError: Always.
        """
        self.verify(self._dummy, password)
        raise WrongPasswordError


def one_time_password() -> str:
    """Return a random password of 96 bits that its owner has to change."""
    return "-".join(secrets.token_hex(4) for _ in range(3))


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _find_fault(text: str) -> str:
    if not SHORTEST <= len(text) <= LONGEST:
        return f"it must have {SHORTEST} to {LONGEST} characters"
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        return "it holds a control character"
    return ""
