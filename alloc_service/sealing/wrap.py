"""What is sealed to the server's key: the tranche key of a sealing, and the design document.

HPKE of RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, no
associated data. A result is enc(32) ‖ ciphertext ‖ tag(16): 80 bytes for a tranche key.

    info of a tranche key = "rac-wrap/1|ORIGIN|D|R|t|KID"      (t = 0, the whole list)
    info of a design      = "rac-design/1|ORIGIN|D|KID"
    KID                   = first 16 hexadecimal digits of SHA-256(raw public key)

The info binds a wrap to one log, one design, one list and one key: a wrap carried over to
another trial's log does not open. Anybody can seal to a public key, so opening proves nothing
about who sealed; what proves a list is its logged root, and a design its logged hash.
"""

import hashlib
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from alloc_service.core.design import Design
from alloc_service.errors import (
    CanonError,
    DesignError,
    OriginError,
    PublicKeyError,
    SealedDesignError,
    WrapError,
    WrongKidError,
)
from alloc_service.sealing.envelope import HEX32, KEY_BYTES, TAG_BYTES, WHOLE_LIST, TrancheKey

ENCAPSULATED_BYTES = 32
SEAL_BYTES = ENCAPSULATED_BYTES + TAG_BYTES  # what sealing adds to a plaintext
WRAP_BYTES = KEY_BYTES + SEAL_BYTES
KID_DIGITS = 16

_HPKE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_ORIGIN = re.compile(r"[A-Za-z0-9.:-]{1,253}/([A-Za-z0-9._/-]{1,64})/audit", re.ASCII)


def key_id(public_raw: bytes) -> str:
    """Return KID, the name of a public key: 16 hexadecimal digits."""
    return hashlib.sha256(public_raw).hexdigest()[:KID_DIGITS]


def wrap_digest(wrap: bytes) -> str:
    """Return HEX SHA-256 of a wrap, as it is logged."""
    return hashlib.sha256(wrap).hexdigest()


def require_origin(origin: str, trial: str | None = None) -> None:
    """Check that an origin is spelled as a log's and, where a trial is given, is that trial's.

    Raises:
        OriginError: It is not.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise OriginError(origin=origin, rule="it is not spelled so")
    if trial is not None and match[1] != trial:
        raise OriginError(origin=origin, rule=f"it is not the log of trial {trial}")


def wrap_tranche_key(
    tranche_key: TrancheKey, public_key: bytes, origin: str, design_sha256: str, root: str
) -> bytes:
    """Return the 80-byte wrap of a tranche key to a public key, for one log and one list.

    Args:
        tranche_key: The key of the sealing.
        public_key: The server's raw X25519 public key, 32 bytes.
        origin: The log's origin, `<host>/<trial>/audit`.
        design_sha256: D, HEX32.
        root: R, HEX32.

    Raises:
        OriginError: The origin is not spelled as one.
        PublicKeyError: The public key is none, or a weak one.
        WrapError: D or R is no hash.
    """
    info = _wrap_info(origin, design_sha256, root, key_id(public_key))
    return _seal(tranche_key.expose(), public_key, info)


def unwrap_tranche_key(  # noqa: PLR0917 - what the info names, in the order of the info
    private_key: X25519PrivateKey,
    wrap: bytes,
    origin: str,
    design_sha256: str,
    root: str,
    kid: str,
) -> TrancheKey:
    """Return the tranche key of a wrap; origin, D, R and kid are as logged.

    Raises:
        WrongKidError: `kid` is not this key's id.
        WrapError: Another length, or it was not made for this log, design, list and key.
        OriginError: The origin is not spelled as one.
    """
    held = _own_key_id(private_key)
    if kid != held:
        raise WrongKidError(kid=kid, held=held)
    if len(wrap) != WRAP_BYTES:
        raise WrapError(rule=f"it is {len(wrap)} bytes long, and every one is {WRAP_BYTES}")
    try:
        key = _HPKE.decrypt(wrap, private_key, _wrap_info(origin, design_sha256, root, kid))
    except InvalidTag:
        rule = "it was changed, or made for another log, design, list or key"
        raise WrapError(rule=rule) from None
    return TrancheKey(key)


def seal_design(design: Design, public_key: bytes, origin: str) -> bytes:
    """Return the design document sealed to a public key, for the log of its own trial.

    Raises:
        OriginError: The origin is another trial's, or not spelled as one.
        PublicKeyError: The public key is none, or a weak one.
    """
    require_origin(origin, design.trial)
    info = _design_info(origin, design.sha256, key_id(public_key))
    return _seal(design.to_bytes(), public_key, info)


def open_design(
    private_key: X25519PrivateKey, sealed: bytes, origin: str, design_sha256: str
) -> Design:
    """Open a sealed design and check it against its logged hash.

    Raises:
        SealedDesignError: It does not open here, is not the frozen document, or is no design.
        OriginError: The origin is not spelled as one.
    """
    info = _design_info(origin, design_sha256, _own_key_id(private_key))
    try:
        document = _HPKE.decrypt(sealed, private_key, info)
    except InvalidTag:
        rule = "it was changed, or sealed for another log, design or key"
        raise SealedDesignError(rule=rule) from None
    if hashlib.sha256(document).hexdigest() != design_sha256:
        raise SealedDesignError(rule="what it holds is not the document that was frozen")
    try:
        return Design.from_bytes(document)
    except (CanonError, DesignError):  # their texts quote the document, which is confidential
        raise SealedDesignError(rule="what it holds is no design of rac-gen/1") from None


def _wrap_info(origin: str, design_sha256: str, root: str, kid: str) -> bytes:
    require_origin(origin)
    if not (HEX32.fullmatch(design_sha256) and HEX32.fullmatch(root)):
        raise WrapError(rule="design and root must be 64 lower-case hexadecimal digits")
    return f"rac-wrap/1|{origin}|{design_sha256}|{root}|{WHOLE_LIST}|{kid}".encode("ascii")


def _design_info(origin: str, design_sha256: str, kid: str) -> bytes:
    require_origin(origin)
    if not HEX32.fullmatch(design_sha256):
        raise SealedDesignError(rule="its hash must be 64 lower-case hexadecimal digits")
    return f"rac-design/1|{origin}|{design_sha256}|{kid}".encode("ascii")


def _own_key_id(private_key: X25519PrivateKey) -> str:
    return key_id(private_key.public_key().public_bytes_raw())


def _seal(plaintext: bytes | bytearray, public_key: bytes, info: bytes) -> bytes:
    try:
        return _HPKE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), info)
    except ValueError:  # another length, or a point of small order: the secret would be known
        raise PublicKeyError(rule="it is not 32 bytes, or it is a weak point") from None
