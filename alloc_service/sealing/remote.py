"""The sealer of another process, asked over its Unix socket: this one holds no key.

Each request has a connection of its own, so a sealer that was restarted is simply asked again.
What is lost on the way is not repeated here: nothing was shown, and the same enrolment gets the
same slot when somebody tries again. Whatever is no part of the socket is refused with the
command that does it on the sealer's host.
"""

import base64
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from alloc_service.core.design import Design
from alloc_service.errors import (
    NotAcceptedError,
    SealerAnswerError,
    SealerHostError,
    SealerLockedError,
    SealerUnreachableError,
)
from alloc_service.log.note import Verifier
from alloc_service.sealing import doors, wire
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.folder import command
from alloc_service.sealing.sealer import Opened, SlotToOpen, Status
from alloc_service.sealing.wire import AskFollow, AskOpen, AskStatus, FrameError, Request, Standing

PATIENCE = 30.0
# Base64 of so many bytes, with its quotes, leaves half of a frame for the notes beside them.
_MOST_AT_ONCE = wire.LARGEST_FRAME // 2

Answer = TypeVar("Answer")


class RemoteSealer:
    """A sealer behind a socket; it satisfies the protocol `Sealer`.

    Args:
        path: Where it listens.
        patience: Seconds in which an answer must be there.
    """

    holds_keys = False

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience

    def __repr__(self) -> str:
        return f"RemoteSealer({str(self._path)!r})"

    @property
    def kid(self) -> str:
        """Return the id of the key that new lists are sealed to."""
        return self._stand().kid

    @property
    def public_key(self) -> bytes:
        """Return that key's raw X25519 public key."""
        return self._stand().public_key

    def origins(self) -> list[str]:
        """Return every trial that was ever followed there."""
        return list(self._stand().origins)

    def log_key(self, origin: str) -> Verifier:
        """Return the public key that this trial's checkpoints are signed with."""
        return self.log_keys(origin)[0]

    def log_keys(self, origin: str) -> tuple[Verifier, ...]:
        """Return that key, and after it the older ones of this log."""
        return tuple(Verifier.parse(key) for key in self._stand(origin).log_keys)

    def status(self, origin: str) -> Status:
        """Tell how the sealer stands.

        Raises:
            SealerUnreachableError: It does not answer.
            SealerLockedError: It waits for its passphrase.
        """
        return self._stand(origin).status

    def accepted(self, origin: str) -> tuple[Acceptance, ...]:
        """Return the sealings of a trial that were test-opened."""
        return self._stand(origin).accepted

    def follow(
        self, origin: str, since: int, entries: Sequence[bytes], seen: Sequence[str] = ()
    ) -> str:
        """Have entries compared, folded and kept; a long log goes in several requests.

        Raises:
            RefusalError: As `LocalSealer.follow`; what went before was followed.
            SealerUnreachableError: It does not answer.
        """
        note = ""
        for request in _split(origin, since, entries, seen):
            note = self._ask(request, wire.read_checkpoint)
        return note

    def open(self, origin: str, seq: int, enrolment: str, sealed: SlotToOpen) -> Opened:
        """Have a slot opened.

        Raises:
            RefusalError: As `LocalSealer.open`.
            SealerUnreachableError: It does not answer.
        """
        return self._ask(AskOpen(origin, seq, enrolment, sealed), wire.read_opened)

    def require_accepted(self, origin: str, acceptance: Acceptance) -> None:
        """Check that a sealing was test-opened on the sealer's host.

        Raises:
            NotAcceptedError: It was not; the text names the command.
        """
        if acceptance not in self.accepted(origin):
            raise NotAcceptedError(list=acceptance.list, origin=origin, root=acceptance.root)

    def open_design(self, origin: str, seq: int, sealed: bytes) -> Design:
        """Refuse: a design is opened on the sealer's host alone."""
        del sealed
        _only_there("alloc", "sealer", "design", origin, seq)

    def accept(
        self, origin: str, number: int, wrap: bytes, leaves: bytes, blobs: Iterable[bytes]
    ) -> Acceptance:
        """Refuse: a list is test-opened on the sealer's host alone."""
        del wrap, leaves, blobs
        _only_there("alloc", "sealer", "accept", origin, number, "ROOT")

    def test_open(
        self, origin: str, number: int, wrap: bytes, leaves: bytes, blobs: Iterable[bytes]
    ) -> Acceptance:
        """Refuse, as `accept`."""
        return self.accept(origin, number, wrap, leaves, blobs)

    def followed(self, origin: str) -> list[bytes]:
        """Refuse: the anchor is read on the sealer's host alone."""
        _only_there("alloc", "sealer", "recover", _trial_of(origin))

    def resume(self, origin: str, entries: Sequence[bytes]) -> str:
        """Refuse, as `followed`."""
        del entries
        _only_there("alloc", "sealer", "recover", _trial_of(origin))

    def _stand(self, origin: str = "") -> Standing:
        standing = self._ask(AskStatus(origin), wire.read_standing)
        if standing.locked:
            raise SealerLockedError
        return standing

    def _ask(self, request: Request, read: Callable[[bytes], Answer]) -> Answer:
        try:
            data = self._exchange(wire.write_request(request))
        except (OSError, FrameError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "it took too long"
            raise SealerUnreachableError(path=self._path, reason=reason) from None
        try:
            return read(data)
        except FrameError as error:
            raise SealerAnswerError(path=self._path, rule=error) from None

    def _exchange(self, data: bytes) -> bytes:
        owner = doors.require_folder(self._path)
        deadline = time.monotonic() + self._patience
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._patience)
            connection.connect(str(self._path))
            if doors.peer_of(connection) != owner:  # who could show an arm that nobody sealed
                rule = f"it is not run by user id {owner}, who owns the folder"
                raise SealerAnswerError(path=self._path, rule=rule)
            return doors.exchange(connection, data, deadline)


def _split(
    origin: str, since: int, entries: Sequence[bytes], seen: Sequence[str]
) -> Iterator[AskFollow]:
    """Cut a log into requests, each of which begins with the entry that the last one ended in."""
    first, left = since, list(entries)
    while len(left) > (fits := _count_fitting(left)):
        yield AskFollow(origin, first, tuple(left[:fits]), ())
        first += fits - 1
        left = left[fits - 1 :]
    yield AskFollow(origin, first, tuple(left), tuple(seen))


def _count_fitting(entries: Sequence[bytes]) -> int:
    """Return how many entries one request takes: at least two, for one is known already."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(base64.b64encode(entry)) + 3
        if size > _MOST_AT_ONCE and count >= 2:
            return count
    return len(entries)


def _only_there(*words: object) -> NoReturn:
    raise SealerHostError(command=command(*words))


def _trial_of(origin: str) -> str:
    return origin.partition("/")[2].removesuffix("/audit")
