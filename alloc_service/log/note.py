"""Signed notes and checkpoints: C2SP `signed-note`, `tlog-checkpoint`, `tlog-cosignature` v1.

A note is text that ends in a newline, a blank line, and signature lines
`— name base64(key id ‖ signature)`. Everything is strict: one byte off is refused and never
repaired, base64 is canonical, a known key is known by name and id, a bad signature of a known
key fails the whole note, unknown signers are skipped. A checkpoint's text is origin, size and
base64 root, a line each, with no extension line; none is signed at size 0.
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.errors import NoteError, UnknownSignerError
from alloc_service.log.signature import check_signature

ED25519 = 0x01
COSIGNATURE_V1 = 0x04
MOST_SIGNATURES = 100

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_SIGNATURE = re.compile(rf"— ({_NAME.pattern}) ([A-Za-z0-9+/=]+)")
_SIZE = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_NO_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", re.ASCII)


def decode_base64(text: str, what: str) -> bytes:
    """Decode standard base64, refusing every spelling but the canonical one.

    Raises:
        NoteError: It is not base64, or its padding or last bits are not canonical.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(rule=f"{what} is not base64") from None
    if encode_base64(data) != text:
        raise NoteError(rule=f"{what} is not canonical base64")
    return data


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that notes are checked with: its name, its kind, its 32 bytes.

    Attributes:
        name: For a log's own key, its origin.
        public: Raw Ed25519 public key.
        kind: `ED25519` for a log, `COSIGNATURE_V1` for a witness.
    """

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise NoteError(rule="a key's name holds no space and no plus sign")
        if len(self.public) != 32 or self.kind not in {ED25519, COSIGNATURE_V1}:
            raise NoteError(rule="the key is not a 32-byte Ed25519 key of a known kind")

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that name this key beside its name."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed).digest()[:4]

    @property
    def vkey(self) -> str:
        """Return the one-line spelling `name+id+base64`."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self._typed)}"

    @property
    def _typed(self) -> bytes:
        return bytes([self.kind]) + self.public

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read `name+id+base64` strictly.

        Raises:
            NoteError: The spelling is wrong, or the id is not the key's.
        """
        match = _VKEY.fullmatch(vkey)
        if match is None:
            raise NoteError(rule="a verifier key is spelled name+id+base64")
        typed = decode_base64(match[3], "the verifier key")
        key = cls(match[1], typed[1:], typed[0])
        if key.key_id.hex() != match[2]:
            raise NoteError(rule="the verifier key's id is not that of its name and bytes")
        return key

    def verify(self, text: str, signature: bytes) -> int | None:
        """Check a signature over a note's text.

        Returns:
            The time of a cosignature in seconds since 1970; none for a log's signature.

        Raises:
            NoteError: The signature is not this key's.
        """
        message, time = text.encode(), None
        if self.kind == COSIGNATURE_V1:
            if len(signature) != 72:
                raise NoteError(rule=f"the cosignature of {self.name} has the wrong length")
            time = int(struct.unpack(">Q", signature[:8])[0])
            message, signature = _cosigned(text, time), signature[8:]
        try:
            check_signature(self.public, signature, message)
        except ValueError:
            raise NoteError(rule=f"the signature of {self.name} is wrong") from None
        return time


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that signs notes; hidden from reprs.

    Attributes:
        verifier: Its public half.
    """

    name: str
    _private: Ed25519PrivateKey = field(repr=False)
    verifier: Verifier = field(init=False, repr=False)

    def __post_init__(self) -> None:
        public = self._private.public_key().public_bytes_raw()
        object.__setattr__(self, "verifier", Verifier(self.name, public))

    def sign(self, text: str) -> str:
        """Return one signature line over a note's text."""
        signed = self.verifier.key_id + self._private.sign(text.encode())
        return f"— {self.name} {encode_base64(signed)}\n"


@dataclass(frozen=True, slots=True)
class Witness:
    """A private key that cosigns checkpoints; hidden from reprs."""

    name: str
    _private: Ed25519PrivateKey = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        """Return the public half."""
        public = self._private.public_key().public_bytes_raw()
        return Verifier(self.name, public, COSIGNATURE_V1)

    def cosign(self, text: str, time: int) -> str:
        """Return one cosignature line over a checkpoint's text at a time in seconds."""
        signature = struct.pack(">Q", time) + self._private.sign(_cosigned(text, time))
        return f"— {self.name} {encode_base64(self.verifier.key_id + signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was opened: its text, and who signed it validly.

    Attributes:
        text: Ends in a newline.
        signers: The known keys whose signatures are good.
        times: The times of the good cosignatures, by the witness's name.
    """

    text: str
    signers: tuple[Verifier, ...]
    times: dict[str, int]


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return a note's text and its signatures, name and bytes, before any is believed.

    Raises:
        NoteError: A byte is off.
    """
    require_plain(note)
    text, blank, block = note.rpartition("\n\n")
    if not note.endswith("\n"):
        last = note.count("\n") + 1
        raise NoteError(rule=f"line {last}: it ends without a line end, as where a file was cut")
    if not blank or not block:
        last = note.count("\n")
        rule = f"line {last}: it is the last, and no signature line after a blank line"
        raise NoteError(rule=rule)
    lines = block[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteError(rule=f"it holds more than {MOST_SIGNATURES} signatures")
    return text + "\n", list(_signatures(lines, text.count("\n") + 3))


def open_note(note: str, known: Collection[Verifier]) -> Note:
    """Read a note and check every signature of a known key.

    Raises:
        NoteError: A byte is off, or a known key's signature is bad.
        UnknownSignerError: No known key signed.
    """
    text, lines = split_note(note)
    by_id = {(key.name, key.key_id): key for key in known}
    good: dict[tuple[str, bytes], Verifier] = {}
    times: dict[str, int] = {}
    for name, signed in lines:
        key = by_id.get((name, signed[:4]))
        if key is None:
            continue
        time = key.verify(text, signed[4:])
        good[name, signed[:4]] = key
        if time is not None:
            times[name] = time
    if not good:
        raise UnknownSignerError(rule="no known key has signed it")
    return Note(text, tuple(good.values()), times)


def join_note(text: str, signatures: Iterable[tuple[str, bytes]]) -> str:
    """Return the note of a text and its signatures, as `split_note` gives them."""
    lines = "".join(f"— {name} {encode_base64(signed)}\n" for name, signed in signatures)
    return f"{text}\n{lines}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size and the root of a log at one moment.

    Attributes:
        origin: `<host>/<trial>/audit`.
        size: Entries, at least 1.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str, origin: str) -> "Checkpoint":
        """Read a checkpoint's text strictly.

        Raises:
            NoteError: It is of another origin, of size 0, or spelled otherwise.
        """
        lines = text.split("\n")
        if lines[0] != origin:
            raise NoteError(rule=f"the checkpoint is not of {origin}")
        if len(lines) != 4 or lines[3]:
            raise NoteError(rule="a checkpoint has three lines and no extension")
        if not _SIZE.fullmatch(lines[1]):
            raise NoteError(rule="the checkpoint's size is no whole number from 1")
        root = decode_base64(lines[2], "the checkpoint's root")
        if len(root) != 32:
            raise NoteError(rule="the checkpoint's root is not 32 bytes")
        return cls(origin, int(lines[1]), root)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer, *others: Signer) -> str:
    """Return a checkpoint as a note signed by the log's key; where it changes, by two.

    Raises:
        NoteError: The log is empty (nothing is signed at size 0), or the key is another log's.
    """
    for one in (signer, *others):
        if one.name != checkpoint.origin:
            raise NoteError(rule=f"the key of {one.name} signs no checkpoint of another origin")
    text = checkpoint.text
    Checkpoint.parse(text, checkpoint.origin)
    return f"{text}\n" + "".join(one.sign(text) for one in (signer, *others))


def open_checkpoint(note: str, log: Verifier, witnesses: Collection[Verifier] = ()) -> Checkpoint:
    """Read a checkpoint that the log's own key has signed.

    Raises:
        NoteError: As `open_note` and `Checkpoint.parse`, or only witnesses have signed.
    """
    return open_cosigned(note, log, witnesses)[0]


def open_cosigned(
    note: str, log: Verifier, witnesses: Collection[Verifier] = ()
) -> tuple[Checkpoint, tuple[str, ...]]:
    """Read a checkpoint as `open_checkpoint` does, and say which witnesses cosigned it.

    Returns:
        The checkpoint, and the names of the known witnesses with a good cosignature.

    Raises:
        NoteError: As `open_checkpoint`, or `log` is a witness's key.
    """
    if log.kind != ED25519:
        raise NoteError(rule=f"the key of {log.name} is a witness's, not a log's")
    opened = open_note(note, [log, *witnesses])
    if log not in opened.signers:
        raise UnknownSignerError(rule=f"{log.name} has not signed it")
    cosigners = tuple(key.name for key in opened.signers if key.kind == COSIGNATURE_V1)
    return Checkpoint.parse(opened.text, log.name), cosigners


def open_by_one_of(note: str, keys: Collection[Verifier]) -> Checkpoint:
    """Read a checkpoint that one of a log's keys, the one of now or an older one, has signed.

    Raises:
        NoteError: As `open_checkpoint`.
    """
    opened = open_note(note, keys)
    return Checkpoint.parse(opened.text, opened.signers[0].name)


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def require_plain(text: str) -> None:
    """Check that a note or a receipt is lines ended by LF, without a byte order mark.

    Raises:
        NoteError: It is not; the text names the first line that is wrong, from 1.
    """
    if text.startswith("\ufeff"):
        raise NoteError(rule="line 1: it begins with a byte order mark")
    found = _NO_TEXT.search(text)
    if found is None:
        return
    line = text.count("\n", 0, found.start()) + 1
    if found[0] == "\r":
        raise NoteError(rule=f"line {line}: it ends in CR LF, not in LF alone")
    raise NoteError(rule=f"line {line}: it holds a control character or a lone surrogate")


def _signatures(lines: list[str], first: int) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(lines, first):
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise NoteError(rule=f"line {number}: a signature line is spelled — name base64")
        signed = decode_base64(match[2], "a signature")
        if len(signed) < 5:
            raise NoteError(rule="a signature is shorter than its key id")
        yield match[1], signed
