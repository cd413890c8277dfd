"""Every message of the sealer's sockets, damaged in every way: refused, and not repeated."""

from collections.abc import Callable, Mapping

import pytest

from alloc_service.core.canon import canon
from alloc_service.core.generate import Opening
from alloc_service.errors import FrozenError
from alloc_service.sealing import wire
from alloc_service.sealing.sealer import Opened, SlotToOpen, Status
from alloc_service.sealing.unlock import VERSION, read_unlock
from alloc_service.sealing.wire import AskFollow, AskOpen, AskStatus, FrameError, Standing
from tests.support.damages import DAMAGES

ORIGIN = "rac.example.org/TEST-SEALER/audit"
PASSPHRASE = "correct horse battery"
OPENED = Opened(Opening("a" * 64, 3, 41, "ARM-7Q", "b" * 64), "c" * 64)
STATUS = Status("", "", "", 3, "d" * 64)
Read = Callable[[bytes], object]
MESSAGES: Mapping[str, tuple[bytes, Read]] = {
    "asking how it stands": (wire.write_request(AskStatus(ORIGIN)), wire.read_request),
    "asking to follow": (
        wire.write_request(AskFollow(ORIGIN, 1, (b"one", b"two"), ("a note\n",))),
        wire.read_request,
    ),
    "asking to open": (
        wire.write_request(AskOpen(ORIGIN, 3, "e" * 36, SlotToOpen(b"b", b"w", (b"p",), "n"))),
        wire.read_request,
    ),
    "unlocking": (canon({"passphrase": PASSPHRASE, "v": VERSION}), read_unlock),
    "how it stands": (
        wire.write_standing(Standing(False, STATUS, "f" * 16, b"k" * 32)), wire.read_standing,
    ),
    "a checkpoint": (wire.write_checkpoint("a note\n"), wire.read_checkpoint),
    "an opening": (wire.write_opened(OPENED), wire.read_opened),
    "done": (wire.write_done(), wire.read_done),
}  # fmt: skip


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "crlf"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_damaged_message_is_refused_and_nothing_of_it_repeated(name: str, damage: str) -> None:
    good, read = MESSAGES[name]

    with pytest.raises(FrameError) as refusal:
        read(DAMAGES[damage](good))

    for secret in (PASSPHRASE, "ARM-7Q", "b" * 64):
        assert secret not in str(refusal.value)


@pytest.mark.parametrize("name", MESSAGES)
def test_the_message_that_was_not_damaged_is_read(name: str) -> None:
    good, read = MESSAGES[name]
    read(good)


@pytest.mark.parametrize("name", ["how it stands", "a checkpoint", "an opening", "done"])
def test_a_refusal_is_raised_whatever_was_asked(name: str) -> None:
    with pytest.raises(FrozenError, match="because"):
        MESSAGES[name][1](wire.write_refusal(FrozenError(reason="because")))
