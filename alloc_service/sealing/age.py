"""age files: what custodians and passphrases open. One typed door to the library.

Binary files alone (no armour), X25519 recipients and identities alone for people, scrypt for
passphrases. The library's scrypt takes about a second on purpose. The texts of refusals are
ours: none repeats an identity, a passphrase or a content.
"""

import pyrage  # type: ignore[import-untyped]  # the library ships no types; this file adds them
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from alloc_service.errors import AgeError

MAGIC = b"age-encryption.org/v1\n"

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_FIELD_PRIME = 2**255 - 19


def read_recipient(text: str) -> str:
    """Return the one spelling of an X25519 recipient (`age1…`).

    Raises:
        AgeError: The text is no such recipient, or its point is weak or spelled oddly.
    """
    try:
        recipient = str(pyrage.x25519.Recipient.from_str(text.strip()))
    except (pyrage.RecipientError, UnicodeEncodeError):
        raise AgeError(rule="a recipient must be an X25519 public key, age1…") from None
    _require_strong(_point(recipient))
    return recipient


def read_identity(text: str) -> str:
    """Return the one identity of an identity file as `age-keygen` writes it, or of a bare line.

    Raises:
        AgeError: The text holds no X25519 identity, or more than one.
    """
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if len(keys) != 1:
        raise AgeError(rule="an identity file must hold one identity, AGE-SECRET-KEY-1…")
    try:
        return str(pyrage.x25519.Identity.from_str(keys[0]))
    except (pyrage.IdentityError, UnicodeEncodeError):
        raise AgeError(rule="this is no X25519 identity, AGE-SECRET-KEY-1…") from None


def recipient_of(identity: str) -> str:
    """Return the recipient of an identity, or of the text of an identity file.

    Raises:
        AgeError: The text holds no X25519 identity, or more than one.
    """
    return str(pyrage.x25519.Identity.from_str(read_identity(identity)).to_public())


def make_identity() -> tuple[str, str]:
    """Return a new X25519 identity and its recipient, for a demonstration or a benchmark.

    A real custodian makes a pair with `age-keygen`, on a machine of their own.
    """
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def encrypt_to(recipient: str, data: bytes) -> bytes:
    """Return a binary age file for one recipient.

    Raises:
        AgeError: The recipient is none.
    """
    key = pyrage.x25519.Recipient.from_str(read_recipient(recipient))
    return bytes(pyrage.encrypt(data, [key]))


def decrypt_with(identity: str, data: bytes) -> bytes:
    """Return what a binary age file holds for one identity.

    Raises:
        AgeError: The identity is none, the file was changed, or it is for somebody else.
    """
    key = pyrage.x25519.Identity.from_str(read_identity(identity))
    _require_binary(data)
    try:
        return bytes(pyrage.decrypt(data, [key]))
    except pyrage.DecryptError:
        rule = "the file does not open: it is for another identity, or was changed"
        raise AgeError(rule=rule) from None


def lock(passphrase: str, data: bytes) -> bytes:
    """Return a binary age file that a passphrase opens.

    Raises:
        AgeError: The passphrase is no text in UTF-8, so that nobody could type it.
    """
    try:
        return bytes(pyrage.passphrase.encrypt(data, passphrase))
    except UnicodeEncodeError:
        raise AgeError(rule="the passphrase is no text in UTF-8") from None


def unlock(passphrase: str, data: bytes) -> bytes:
    """Return what a passphrase's age file holds.

    Raises:
        AgeError: Another passphrase, or the file was changed.
    """
    _require_binary(data)
    try:
        return bytes(pyrage.passphrase.decrypt(data, passphrase))
    except (pyrage.DecryptError, UnicodeEncodeError):
        rule = "the file does not open: another passphrase, or it was changed"
        raise AgeError(rule=rule) from None


def _require_binary(data: bytes) -> None:
    if not data.startswith(MAGIC):
        raise AgeError(rule="this is no binary age file")


def _point(recipient: str) -> bytes:
    # The library has checked the checksum and the length: 52 characters of 5 bits, 4 to spare.
    number = 0
    for char in recipient.removeprefix("age1")[:52]:
        number = number * 32 + _BECH32.index(char)
    return (number >> 4).to_bytes(32, "big")


def _require_strong(point: bytes) -> None:
    # To a point of small order everybody knows the shared secret, and the library panics; and
    # two spellings of one point would let one key stand for two people.
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        raise AgeError(rule="this recipient is a weak key that anybody could open") from None
    if int.from_bytes(point, "little") >= _FIELD_PRIME:
        raise AgeError(rule="this recipient is not the one spelling of its key")
