"""One sealed slot: 285 bytes that open in their own place, to their own commitment, or not.

`rac-seal/1`. With D the design's hash, R the list's root, t the tranche (0, the whole list;
nothing else in this version), s the stratum and i the slot:

    ctx  = "rac-seal/1|slot|D|R|t|s|i"
    key  = HKDF-SHA256(ikm = tranche key, salt = none, info = ctx, 32 bytes)
    blob = 0x01 ‖ nonce(12) ‖ AES-256-GCM(key, nonce, opening padded with 0x00 to 256, aad = ctx)

The padding makes every blob as long as every other, whatever the arm is called. The context
makes a blob of another slot, stratum, list or trial fail in the cipher. That alone would still
let somebody with the tranche key forge a blob, so the opening must also hash to the leaf that
was committed to before the first enrolment. Nothing is returned before all of that holds.
"""

import os
import re
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from alloc_service.core.generate import Opening
from alloc_service.core.merkle import leaf_hash
from alloc_service.errors import (
    BlobContentError,
    BlobLeafError,
    BlobLockedError,
    BlobShapeError,
    ListFileError,
    SlotPlaceError,
    TrancheKeyError,
)

HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)

KEY_BYTES = 32
NONCE_BYTES = 12
PADDED_BYTES = 256
TAG_BYTES = 16
VERSION = b"\x01"
BLOB_BYTES = len(VERSION) + NONCE_BYTES + PADDED_BYTES + TAG_BYTES
WHOLE_LIST = 0


class TrancheKey:
    """The 32 secret bytes under which the slots of one sealing are sealed.

    They have no repr, no pickle and no copy. `wipe` overwrites the bytes kept here; what the
    cipher's library copied for itself is out of reach, so wiping is an effort, not a promise.

    Args:
        key: 32 bytes.

    Raises:
        TrancheKeyError: Another length.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes | bytearray) -> None:
        if len(key) != KEY_BYTES:
            raise TrancheKeyError(rule=f"it must be {KEY_BYTES} bytes long")
        self._key = bytearray(key)

    def __repr__(self) -> str:
        return "TrancheKey(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a tranche key is neither pickled nor copied")

    @classmethod
    def fresh(cls) -> "TrancheKey":
        """Return a key from the operating system's generator."""
        return cls(os.urandom(KEY_BYTES))

    def expose(self) -> bytearray:
        """Return the very bytes, not a copy, so that `wipe` reaches them; never keep them.

        Raises:
            TrancheKeyError: The key was wiped.
        """
        if not self._key:
            raise TrancheKeyError(rule="it was wiped and seals or opens nothing any more")
        return self._key

    def wipe(self) -> None:
        """Overwrite the key; it is unusable from here on."""
        self._key[:] = bytes(len(self._key))  # in place, before the buffer is let go
        self._key.clear()


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """Where one slot is: part of its key and of what its seal authenticates.

    Args:
        design_sha256: D, HEX32.
        root: R, the HEX32 root of the list.
        stratum: Index of the stratum in the design, from 0.
        slot: Index of the slot in its stratum, from 0.
        tranche: 0, the whole list.

    Raises:
        SlotPlaceError: A value that no place has, or another tranche than 0.
    """

    design_sha256: str
    root: str
    stratum: int
    slot: int
    tranche: int = WHOLE_LIST

    def __post_init__(self) -> None:
        if not (HEX32.fullmatch(self.design_sha256) and HEX32.fullmatch(self.root)):
            raise SlotPlaceError(rule="design and root must be 64 lower-case hexadecimal digits")
        if self.stratum < 0 or self.slot < 0:
            raise SlotPlaceError(rule="stratum and slot count from 0")
        if self.tranche != WHOLE_LIST:
            raise SlotPlaceError(rule="this version seals whole lists, tranche 0, alone")

    @property
    def context(self) -> bytes:
        """Return ctx: the key's info and the cipher's associated data."""
        return (
            f"rac-seal/1|slot|{self.design_sha256}|{self.root}"
            f"|{self.tranche:d}|{self.stratum:d}|{self.slot:d}"
        ).encode("ascii")

    def require(self, opening: Opening) -> None:
        """Check that an opening is one of this very place.

        Raises:
            BlobContentError: It names another design, stratum or slot.
        """
        if opening.design_sha256 != self.design_sha256:
            raise BlobContentError(rule="it names another design")
        if (opening.stratum, opening.slot) != (self.stratum, self.slot):
            raise BlobContentError(rule="it names another stratum or slot")


def derive_slot_key(tranche_key: TrancheKey, place: SlotPlace) -> bytes:
    """Return the 32-byte AES key of one slot; as secret as the slot."""
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=place.context)
    return kdf.derive(tranche_key.expose())


def seal_slot(
    tranche_key: TrancheKey, place: SlotPlace, opening: Opening, nonce: bytes | None = None
) -> bytes:
    """Return the 285-byte blob of one slot.

    Args:
        tranche_key: The key of this sealing.
        place: Where the slot is.
        opening: What it holds; it must name the same design, stratum and slot.
        nonce: 12 bytes, to reproduce a vector; fresh from the operating system otherwise.

    Raises:
        BlobContentError: The opening is of another place, or is not spelled as one; what
            could not be opened again is not sealed.
        BlobShapeError: The nonce has another length.
    """
    place.require(opening)
    _parse(opening.text)
    nonce = os.urandom(NONCE_BYTES) if nonce is None else nonce
    if len(nonce) != NONCE_BYTES:
        raise BlobShapeError(rule=f"a nonce must be {NONCE_BYTES} bytes long")
    plaintext = _pad(opening.text.encode("ascii"))
    cipher = AESGCM(derive_slot_key(tranche_key, place))
    return VERSION + nonce + cipher.encrypt(nonce, plaintext, place.context)


def open_slot(tranche_key: TrancheKey, place: SlotPlace, blob: bytes, leaf: bytes) -> Opening:
    """Open one blob: decrypt, unpad, compare the fields, then the commitment; only then return.

    Args:
        tranche_key: The key of the sealing that the blob belongs to.
        place: Where the slot is, as logged; never as asked for.
        blob: 285 bytes.
        leaf: The 32-byte leaf hash at this place, proved under the root of the logged list.

    Raises:
        BlobShapeError: Another length or version.
        BlobLockedError: The cipher refuses it here.
        BlobContentError: It holds no opening of this place.
        BlobLeafError: It holds an opening, but not the committed one.
    """
    text = _unpad(_decrypt(tranche_key, place, blob))
    opening = _parse(text.decode("latin-1"))  # every byte maps; what is not ASCII will not parse
    place.require(opening)
    if leaf_hash(text) != leaf:
        raise BlobLeafError
    return opening


def _decrypt(tranche_key: TrancheKey, place: SlotPlace, blob: bytes) -> bytes:
    if len(blob) != BLOB_BYTES:
        raise BlobShapeError(rule=f"it is {len(blob)} bytes long, and every one is {BLOB_BYTES}")
    if blob[:1] != VERSION:
        raise BlobShapeError(rule="its first byte is of a version unknown here")
    cipher = AESGCM(derive_slot_key(tranche_key, place))
    head = len(VERSION) + NONCE_BYTES
    try:
        return cipher.decrypt(blob[len(VERSION) : head], blob[head:], place.context)
    except InvalidTag:
        raise BlobLockedError from None


def _pad(text: bytes) -> bytes:
    return text.ljust(PADDED_BYTES, b"\x00")


def _unpad(plaintext: bytes) -> bytes:
    text = plaintext.partition(b"\x00")[0]
    if _pad(text) != plaintext:
        raise BlobContentError(rule="something stands in its padding")
    return text


def _parse(text: str) -> Opening:
    try:
        return Opening.parse(text)
    except ListFileError:
        raise BlobContentError(rule="it is not spelled as rac-slot/1 demands") from None
