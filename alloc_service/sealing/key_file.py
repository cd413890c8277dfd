"""How one private key is spelled in a file: PKCS#8 in PEM, plain or in an age file of a passphrase.

The encrypted PKCS#8 that the library could write uses 2,048 rounds of PBKDF2, so it is neither
written nor read: a passphrase makes a binary age file around the plain PEM (scrypt).
"""

from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alloc_service.errors import AgeError, KeysPassphraseError
from alloc_service.sealing import age

SHORTEST_PASSPHRASE = 12
LONGEST_FILE = 4_096

PrivateKey: TypeAlias = X25519PrivateKey | Ed25519PrivateKey


def to_pem(key: PrivateKey) -> bytes:
    """Return a key as OpenSSL writes it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def from_pem(data: bytes) -> PrivateKey | None:
    """Return the key of a PEM file, or nothing where it is not the one spelling of a key."""
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted PKCS#8
        return None
    if isinstance(key, PrivateKey) and to_pem(key) == data:
        return key
    return None


def require_passphrase(path: Path, passphrase: str | None) -> None:
    """Check that a passphrase, if one is given, is worth its name.

    Raises:
        KeysPassphraseError: It is not.
    """
    if passphrase is None or (len(passphrase) >= SHORTEST_PASSPHRASE and passphrase.isprintable()):
        return
    rule = f"a passphrase must be at least {SHORTEST_PASSPHRASE} printable characters"
    raise KeysPassphraseError(path=path, rule=rule, remedy="Choose another one")


def unlock(path: Path, data: bytes, passphrase: str | None) -> bytes:
    """Return what a protected file holds.

    Args:
        path: The file, for the refusal.
        data: Its bytes.
        passphrase: As given.

    Raises:
        KeysPassphraseError: None was given, or it does not open the file.
    """
    if passphrase is None:
        rule = "a passphrase protects this key, and none was given"
        raise KeysPassphraseError(path=path, rule=rule, remedy="Give the passphrase")
    try:
        return age.unlock(passphrase, data)
    except AgeError:
        rule = "the passphrase does not open this key, or the file was changed"
        remedy = "Give the passphrase it was made with, or put the file back as it was"
        raise KeysPassphraseError(path=path, rule=rule, remedy=remedy) from None
