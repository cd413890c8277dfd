"""Targets: what is said over the sealer's sockets, and how it is framed.

A message that is accepted is, written again, the same bytes; any other is a FrameError, or the
very refusal that was raised at the other end. Frames are received from a real socket, whose other
end sends what it likes, in pieces, and hangs up.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from string import Formatter
from typing import Any

from alloc_service.core.canon import canon
from alloc_service.core.generate import Opening
from alloc_service.errors import FrozenError, RefusalError, SealerLockedError
from alloc_service.sealing import doors, unlock, wire
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.sealer import Opened, SlotToOpen, Status
from alloc_service.sealing.wire import AskFollow, AskOpen, AskStatus, FrameError, Standing
from tests.fuzz.tape import Tape, vary
from tests.support.bundles import LOG, small_evidence
from tests.support.chain import ORIGIN, hex32, uuid

SMALL = small_evidence()
NOTE = SMALL.sign()
SLOT = SlotToOpen(b"\1" * 40, b"\2" * 80, (b"\3" * 32, b"\4" * 32), NOTE)
STANDING = Standing(
    False,
    Status("", "entry 3: a rule", "", 17, hex32("leaf")),
    hex32("kid")[:16],
    b"\5" * 32,
    (LOG.verifier.vkey,),
    (Acceptance(1, 1, hex32("R"), hex32("wrap")),),
    (ORIGIN,),
)
OPENED = Opened(Opening(hex32("D"), 3, 41, "A", hex32("nonce")), hex32("record"))

REQUESTS: Sequence[bytes] = (
    wire.write_request(AskStatus(ORIGIN)),
    wire.write_request(AskStatus("")),
    wire.write_request(AskFollow(ORIGIN, 1, tuple(SMALL.rows[:2]), ())),
    wire.write_request(AskFollow(ORIGIN, 16, (b"", b"\xff"), (NOTE, "another\n"))),
    wire.write_request(AskOpen(ORIGIN, 6, uuid("a"), SLOT)),
)
ANSWERS: Sequence[bytes] = (
    wire.write_standing(STANDING),
    wire.write_standing(wire.LOCKED),
    wire.write_checkpoint(NOTE),
    wire.write_opened(OPENED),
    wire.write_done(),
    wire.write_refusal(SealerLockedError()),
    wire.write_refusal(FrozenError(origin=ORIGIN, reason="a reason")),
)
UNLOCKS: Sequence[bytes] = (
    canon({"passphrase": "correct horse", "v": unlock.VERSION}),
    canon({"passphrase": "", "v": unlock.VERSION}),
)

READERS: Sequence[tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = (
    (wire.read_standing, wire.write_standing),
    (wire.read_checkpoint, wire.write_checkpoint),
    (wire.read_opened, wire.write_opened),
    (wire.read_done, lambda _nothing: wire.write_done()),
)


def check_request(data: bytes) -> str:
    """Check a request: one spelling, no other operation, and no other exception."""
    found = vary(Tape(data), REQUESTS)
    try:
        request = wire.read_request(found.data)
    except FrameError as error:
        assert found.is_changed, error
        assert str(error)
        return "refused"
    assert wire.write_request(request) == found.data
    assert isinstance(request, (AskStatus, AskFollow, AskOpen))
    return "accepted"


def check_answer(data: bytes) -> str:
    """Check an answer, read as each kind of answer."""
    tape = Tape(data)
    read, write = READERS[tape.below(len(READERS))]
    found = vary(tape, ANSWERS)
    try:
        answer = read(found.data)
    except FrameError as error:
        assert str(error)
        return "refused"
    except RefusalError as error:
        return _check_refusal(found.data, error)
    assert write(answer) == found.data
    return "accepted"


def _check_refusal(data: bytes, error: RefusalError) -> str:
    """Check that a refusal crossed as it was; its texts can be shown."""
    assert wire.write_refusal(error) == data
    assert str(error)
    assert str(error).endswith(error.unlabelled) or not error.label
    return "a refusal"


def check_unlock(data: bytes) -> str:
    """Check the message with the passphrase; a refusal repeats nothing of it."""
    found = vary(Tape(data), UNLOCKS)
    try:
        passphrase = unlock.read_unlock(found.data)
    except FrameError as error:
        assert found.is_changed
        assert str(error) == f"it is not spelled as {unlock.VERSION}"
        return "refused"
    assert canon({"passphrase": passphrase, "v": unlock.VERSION}) == found.data
    return "accepted"


def _classes(base: type[RefusalError] = RefusalError) -> Iterator[type[RefusalError]]:
    for one in base.__subclasses__():
        if "code" in vars(one) and one.__init__ is RefusalError.__init__:
            yield one
        yield from _classes(one)


CLASSES = sorted(set(_classes()), key=lambda one: one.code)
FACTS: Sequence[object] = (0, 1, -1, 17, 2**53 - 1)


def check_crossing(data: bytes) -> str:
    """Check that every refusal of ours crosses the socket as the class that was raised."""
    tape = Tape(data)
    one = CLASSES[tape.below(len(CLASSES))]
    facts: dict[str, object] = {}
    for _, name, form, _ in Formatter().parse(one.text + one.label):
        if name is not None:
            kind = tape.byte()
            text = tape.take(kind >> 3).decode("utf-8", "surrogateescape")
            facts[name] = FACTS[kind % len(FACTS)] if form or kind & 1 else text
    written = wire.write_refusal(one(**facts))
    try:
        wire.read_done(written)
    except RefusalError as error:
        assert type(error) is one
        assert wire.write_refusal(error) == written
        assert str(error)
        return "crossed"
    raise AssertionError("a refusal was read as something else")


def check_frame(data: bytes) -> str:
    """Check a frame that comes in pieces: whole and as it was sent, or refused."""
    tape = Tape(data)
    cut, claimed = tape.below(8), tape.byte()
    body = tape.rest()
    length = len(body) if claimed < 128 else int.from_bytes(body[:4].ljust(4, b"\0"), "big")
    sent = (length.to_bytes(4, "big") + body)[: None if cut == 0 else -cut]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in (sent[:2], sent[2:7], sent[7:]):
            theirs.sendall(piece)
        theirs.shutdown(socket.SHUT_WR)
        try:
            received = doors.receive(ours, time.monotonic() + 30.0)
        except FrameError as error:
            short = len(sent) < 4 + length
            assert short or length > 2 * 2**20, error
            if len(sent) >= 4 and length > 2 * 2**20:
                assert str(length) in str(error)
            return "refused"
        assert len(received) == length <= 2 * 2**20
        assert received == sent[4 : 4 + length]
        doors.send(ours, received, time.monotonic() + 30.0)
        back = doors.receive(theirs, time.monotonic() + 30.0)
    assert back == received
    return "received"


_PARTS = (check_request, check_answer, check_unlock, check_crossing)


def check_wire(data: bytes) -> str:
    """Check one of a sealer's messages."""
    tape = Tape(data)
    part = _PARTS[tape.below(len(_PARTS))]
    return f"{part.__name__}: {part(tape.rest())}"
