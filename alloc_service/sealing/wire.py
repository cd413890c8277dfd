"""`rac-sealer/1`: what is said over the sealer's socket, and its one spelling.

A frame is a length of four bytes, big-endian, and so many bytes of canonical JSON; at most
`LARGEST_FRAME`. One connection carries one request and its answer. Bytes are standard base64.

    {"op":"status","origin":ORIGIN,"v":"rac-sealer/1"}
    {"entries":[BASE64…],"op":"follow","origin":…,"seen":[TEXT…],"since":N,"v":…}
    {"blob":BASE64,"cosigned":TEXT,"enrolment":ID,"op":"open","origin":…,"proof":[BASE64…],
     "seq":N,"v":…,"wrap":BASE64}

There is no other operation. With the origin "", `status` tells of the sealer itself. Answers:

    {"answer":{…},"v":…}        status: as `Standing`; follow: {"checkpoint"}; open:
                                {"enrolment_sha256","opening"}
    {"refused":{"code":CODE,"facts":{…}},"v":…}

A refusal crosses as its code and its facts, and comes out as the class that was raised. What is
read here is not believed: a field too many, a field missing, another kind or another spelling is
refused, so that what is accepted is, byte for byte, what would be written.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.generate import Opening
from alloc_service.errors import CanonError, ListFileError, RefusalError
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.sealer import Opened, SlotToOpen, Status

VERSION = "rac-sealer/1"
LARGEST_FRAME = 2 * 2**20

_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)

Fields: TypeAlias = Mapping[str, Any]
Taken = TypeVar("Taken")


class FrameError(Exception):
    """What was received is not spelled as `rac-sealer/1`; the text is the rule."""


@dataclass(frozen=True, slots=True)
class AskStatus:
    """How the sealer stands, towards one trial or, with "", by itself."""

    origin: str


@dataclass(frozen=True, slots=True)
class AskFollow:
    """As `Sealer.follow`."""

    origin: str
    since: int
    entries: tuple[bytes, ...]
    seen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskOpen:
    """As `Sealer.open`."""

    origin: str
    seq: int
    enrolment: str
    sealed: SlotToOpen


Request: TypeAlias = AskStatus | AskFollow | AskOpen


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything public that a sealer says of itself and of one trial.

    Attributes:
        locked: Whether it waits for its passphrase; then all else is empty.
        status: How it stands towards the trial; of a log that was never followed for "".
        kid: Id of the key that new lists are sealed to.
        public_key: That key, raw X25519.
        log_keys: The keys that sign and signed this trial's checkpoints, the one of now first.
        accepted: The sealings of the trial that were test-opened.
        origins: Every trial that was ever followed; for "" alone.
    """

    locked: bool
    status: Status
    kid: str = ""
    public_key: bytes = b""
    log_keys: tuple[str, ...] = ()
    accepted: tuple[Acceptance, ...] = ()
    origins: tuple[str, ...] = ()


LOCKED = Standing(locked=True, status=Status("", "", "", 0, ""))


def write_request(request: Request) -> bytes:
    """Return the one spelling of a request."""
    return canon({**_request_fields(request), "v": VERSION})


def read_request(data: bytes) -> Request:
    """Read a request strictly.

    Raises:
        FrameError: It is none of the three, or not in its one spelling.
    """
    fields = _read_object(data, "the request")
    op = fields.get("op")
    read = _READERS.get(op) if isinstance(op, str) else None
    if read is None:
        raise FrameError("there are the operations follow, open and status, and no other")
    return _whole(fields, read, _request_fields)


def write_standing(standing: Standing) -> bytes:
    """Return the answer to `status`."""
    return _answer(_standing_fields(standing))


def read_standing(data: bytes) -> Standing:
    """Read the answer to `status`.

    Raises:
        RefusalError: It is a refusal, of any class.
        FrameError: It is no such answer.
    """
    return _whole(_read_answer(data), _standing, _standing_fields)


def write_checkpoint(note: str) -> bytes:
    """Return the answer to `follow`."""
    return _answer({"checkpoint": note})


def read_checkpoint(data: bytes) -> str:
    """Read the answer to `follow`; as `read_standing`."""
    note: str = _whole(_read_answer(data), _checkpoint, lambda text: {"checkpoint": text})
    return note


def write_opened(opened: Opened) -> bytes:
    """Return the answer to `open`."""
    return _answer(_opened_fields(opened))


def read_opened(data: bytes) -> Opened:
    """Read the answer to `open`; as `read_standing`."""
    return _whole(_read_answer(data), _opened, _opened_fields)


def write_done() -> bytes:
    """Return the answer to what has nothing to say but that it was done."""
    return _answer({})


def read_done(data: bytes) -> None:
    """Read that answer; as `read_standing`."""
    if _read_answer(data):
        raise FrameError("there is a field too many")


def write_refusal(refusal: RefusalError) -> bytes:
    """Return the answer where something was refused: its code and its facts."""
    facts = {name: _plain(value) for name, value in refusal.facts.items()}
    return canon({"refused": {"code": refusal.code, "facts": facts}, "v": VERSION})


def _answer(fields: Mapping[str, Json]) -> bytes:
    return canon({"answer": fields, "v": VERSION})


def _read_answer(data: bytes) -> Fields:
    match _read_object(data, "the answer"):
        case {"answer": dict() as answer, **others} if not others:
            return answer
        case {"refused": {"code": str() as code, "facts": dict() as facts, **more}, **others} if (
            not more and not others
        ):
            raise _refusal(code, facts)
    raise FrameError("an answer holds an answer or a refusal, and nothing else")


def _read_object(data: bytes, what: str) -> dict[str, Any]:
    """Return a message's fields, without its version."""
    try:
        document = parse_object(data, what)
    except CanonError as error:
        raise FrameError(str(error).removesuffix(".")) from None
    if document.pop("v", None) != VERSION:
        raise FrameError(f"{what} is not of {VERSION}")
    return document


def _whole(
    fields: Fields,
    read: Callable[[Fields], Taken],
    write: Callable[[Taken], Mapping[str, Json]],
) -> Taken:
    """Return what fields mean, where they are exactly those that would be written of it."""
    try:
        found = read(fields)
    except (KeyError, TypeError, ValueError, ListFileError):
        raise FrameError("a field is missing, or is not of its kind") from None
    if canon(write(found)) != canon(fields):
        raise FrameError("there is a field too many, or one in another spelling")
    return found


def _request_fields(request: Request) -> Mapping[str, Json]:
    if isinstance(request, AskStatus):
        return {"op": "status", "origin": request.origin}
    if isinstance(request, AskFollow):
        return {
            "entries": [_encode(entry) for entry in request.entries],
            "op": "follow",
            "origin": request.origin,
            "seen": list(request.seen),
            "since": request.since,
        }
    return {
        "blob": _encode(request.sealed.blob),
        "cosigned": request.sealed.cosigned,
        "enrolment": request.enrolment,
        "op": "open",
        "origin": request.origin,
        "proof": [_encode(node) for node in request.sealed.proof],
        "seq": request.seq,
        "wrap": _encode(request.sealed.wrap),
    }


def _ask_status(fields: Fields) -> AskStatus:
    return AskStatus(_text(fields["origin"]))


def _ask_follow(fields: Fields) -> AskFollow:
    return AskFollow(
        _text(fields["origin"]),
        _integer(fields["since"]),
        tuple(_decode(entry) for entry in _items(fields["entries"])),
        tuple(_text(note) for note in _items(fields["seen"])),
    )


def _ask_open(fields: Fields) -> AskOpen:
    proof = tuple(_decode(node) for node in _items(fields["proof"]))
    blob, wrap = _decode(fields["blob"]), _decode(fields["wrap"])
    sealed = SlotToOpen(blob, wrap, proof, _text(fields["cosigned"]))
    origin, enrolment = _text(fields["origin"]), _text(fields["enrolment"])
    return AskOpen(origin, _integer(fields["seq"]), enrolment, sealed)


_READERS: Mapping[str, Callable[[Fields], Request]] = {
    "status": _ask_status,
    "follow": _ask_follow,
    "open": _ask_open,
}


def _standing_fields(standing: Standing) -> Mapping[str, Json]:
    status = standing.status
    return {
        "accepted": [
            {
                "list": one.list,
                "root": one.root,
                "sealing": one.sealing,
                "wrap_sha256": one.wrap_sha256,
            }
            for one in standing.accepted
        ],
        "blocked": _sane(status.blocked),
        "frozen": _sane(status.frozen),
        "kid": standing.kid,
        "last": status.last,
        "locked": standing.locked,
        "log_keys": list(standing.log_keys),
        "origins": list(standing.origins),
        "public_key": _encode(standing.public_key),
        "size": status.size,
        "unwritable": _sane(status.unwritable),
    }


def _standing(fields: Fields) -> Standing:
    names = "frozen", "blocked", "unwritable"
    frozen, blocked, unwritable = (_text(fields[name]) for name in names)
    size, last = _integer(fields["size"]), _text(fields["last"])
    return Standing(
        locked=fields["locked"] is True,
        status=Status(frozen, blocked, unwritable, size, last),
        kid=_text(fields["kid"]),
        public_key=_decode(fields["public_key"]),
        log_keys=tuple(_text(key) for key in _items(fields["log_keys"])),
        accepted=tuple(_acceptance(one) for one in _items(fields["accepted"])),
        origins=tuple(_text(origin) for origin in _items(fields["origins"])),
    )


def _acceptance(row: Fields) -> Acceptance:
    root, wrap_sha256 = _text(row["root"]), _text(row["wrap_sha256"])
    return Acceptance(_integer(row["list"]), _integer(row["sealing"]), root, wrap_sha256)


def _checkpoint(fields: Fields) -> str:
    return _text(fields["checkpoint"])


def _opened_fields(opened: Opened) -> Mapping[str, Json]:
    return {"enrolment_sha256": opened.enrolment_sha256, "opening": opened.opening.text}


def _opened(fields: Fields) -> Opened:
    sha256 = _text(fields["enrolment_sha256"])
    if not _HEX32.fullmatch(sha256):
        raise ValueError
    return Opened(Opening.parse(_text(fields["opening"])), sha256)


def _refusal(code: str, facts: Fields) -> RefusalError:
    """Return the refusal of a code, filled with its facts."""
    if not all(type(value) in {str, int} for value in facts.values()):
        raise FrameError("a fact of its refusal is neither a text nor a number")
    try:
        return _REFUSALS[code](**facts)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise FrameError(f"it refuses with {code!r}, which this version does not know") from None


def _refusals(base: type[RefusalError]) -> Iterator[type[RefusalError]]:
    for refusal in base.__subclasses__():
        if "code" in vars(refusal) and "__init__" not in vars(refusal):
            yield refusal
        yield from _refusals(refusal)


_REFUSALS = {refusal.code: refusal for refusal in _refusals(RefusalError)}


def _plain(value: object) -> Json:
    return value if isinstance(value, int) and not isinstance(value, bool) else _sane(str(value))


def _sane(text: str) -> str:
    """Return a text as canonical JSON may hold it: a path may be of any bytes."""
    return unicodedata.normalize("NFC", text.encode(errors="replace").decode())


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(_text(text), validate=True)
    except binascii.Error:
        raise ValueError from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _items(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value
