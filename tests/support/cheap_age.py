"""age files of a passphrase whose scrypt costs nothing: what is tested is who opens what.

The library takes about a second of all memory bandwidth for each, on purpose, and offers no other
cost. These files are of the same format (C2SP age), so the library reads them as any other; that
its own are read, by Debian's `age` too, stands in tests/sealing/test_age.py.
"""

import base64
import os

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

LOG_N = 4
CHUNK = 65_536


def encrypt(data: bytes, passphrase: str) -> bytes:
    """Return a binary age file of at most one chunk that a passphrase opens."""
    assert len(data) <= CHUNK
    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    label = b"age-encryption.org/v1/scrypt"
    wrap_key = Scrypt(salt=label + salt, length=32, n=1 << LOG_N, r=8, p=1).derive(
        passphrase.encode()
    )
    body = ChaCha20Poly1305(wrap_key).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> scrypt %b %d\n%b\n---" % (_b64(salt), LOG_N, _b64(body))
    mac = hmac.HMAC(_derive(file_key, b"", b"header"), hashes.SHA256())
    mac.update(header)
    last = bytes(11) + b"\x01"  # the first chunk, and the last one
    payload = ChaCha20Poly1305(_derive(file_key, nonce, b"payload")).encrypt(last, data, None)
    return header + b" " + _b64(mac.finalize()) + b"\n" + nonce + payload


def _derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt or None, info).derive(key)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")
