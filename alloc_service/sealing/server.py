"""The sealer as a process of its own: its two sockets, who may use them, and nothing else.

The socket knows `follow`, `open` and `status`. It serves one user, whom the system names; each
connection carries one request, which must be there whole within some seconds, and so many are
served at once and no more. So nobody who is slow, loud or wrong keeps it from the others for
long, or fills its memory. Without a passphrase its keys may stay locked: then `status` says so,
and everything else is refused.
"""

import os
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from alloc_service.errors import (
    ProtocolError,
    RefusalError,
    SealerBusyError,
    SealerFaultError,
    SealerLockedError,
    SealerPeerError,
)
from alloc_service.errors.places import describe_places
from alloc_service.sealing import doors, wire
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.sealer import Status
from alloc_service.sealing.unlock import read_unlock, unlock_path
from alloc_service.sealing.wire import AskFollow, AskStatus, FrameError, Standing

ROOT = 0
_ANYBODY = 0o666  # may connect: the system says who they are, and the folder who can reach it
_OWNER = 0o600

Unlocks: TypeAlias = Callable[[str], LocalSealer]
Unlock: TypeAlias = Callable[[str], None]
Report: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one sealer its users may take.

    Attributes:
        at_once: Requests that are served at the same time.
        seconds: In which a request must be there whole, and its answer be taken.
    """

    at_once: int = 32
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class _Door:
    """One of the two sockets: who may use it, what answers, and how many at once."""

    listener: socket.socket
    users: frozenset[int]
    answer: Callable[[bytes], bytes]
    turns: threading.BoundedSemaphore
    most: int


class SealerServer:
    """A sealer behind a socket.

    Args:
        path: Where it listens.
        user: The user id that it serves.
        unlock: Opens the sealer with a passphrase, or refuses it.
        sealer: The sealer, where it is open already.
        report: Is told where the program failed, never with a value.
        limits: How much is served at once.

    Raises:
        SealerSocketError: The folder or the socket is not as it must be.
    """

    def __init__(
        self,
        path: Path,
        user: int,
        *,
        unlock: Unlocks,
        sealer: LocalSealer | None,
        report: Report,
        limits: Limits | None = None,
    ) -> None:
        self._sealer, self._unlock, self._report = sealer, unlock, report
        self._limits = limits = limits or Limits()
        self._doors = (
            _Door(
                doors.listen(path, _ANYBODY),
                frozenset({user}),
                self._answer,
                threading.BoundedSemaphore(limits.at_once),
                limits.at_once,
            ),
            _Door(
                doors.listen(unlock_path(path), _OWNER),
                frozenset({os.geteuid(), ROOT}),
                self._answer_unlock,
                threading.BoundedSemaphore(1),
                1,
            ),
        )
        self._paths = (path, unlock_path(path))
        self._ends, self._end = socket.socketpair()

    @property
    def is_locked(self) -> bool:
        """Tell whether it waits for its passphrase."""
        return self._sealer is None

    def unlock(self, passphrase: str) -> None:
        """Open the keys; nothing where they are open.

        Raises:
            OperationError: Whatever keys and register refuse.
        """
        if self._sealer is None:
            self._sealer = self._unlock(passphrase)

    def unlock_while_serving(self, ask: Callable[[Unlock], object]) -> None:
        """Have somebody asked for the passphrase, while a locked sealer tells that it is."""
        threading.Thread(target=ask, args=(self.unlock,), daemon=True).start()

    def serve(self) -> None:
        """Serve until it is stopped, or this thread is interrupted."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._ends, selectors.EVENT_READ)
            for door in self._doors:
                ready.register(door.listener, selectors.EVENT_READ, door)
            while True:
                for key, _ in ready.select():
                    if key.data is None:
                        return
                    self._take(key.data)

    def stop(self) -> None:
        """Let `serve` return; what is being served goes on to its end."""
        self._end.send(b"!")

    def close(self) -> None:
        """Stop listening, and take the sockets away."""
        for door, path in zip(self._doors, self._paths, strict=True):
            door.listener.close()
            path.unlink(missing_ok=True)
        self._ends.close()
        self._end.close()

    def _take(self, door: _Door) -> None:
        """Take one connection, and leave it to a thread of its own where it may be served."""
        connection, _ = door.listener.accept()
        user = doors.peer_of(connection)
        if user not in door.users:
            self._turn_away(connection, SealerPeerError(allowed=min(door.users), uid=user))
        elif not door.turns.acquire(blocking=False):
            self._turn_away(connection, SealerBusyError(most=door.most))
        else:
            given = connection, door
            threading.Thread(target=self._serve_one, args=given, daemon=True).start()

    def _turn_away(self, connection: socket.socket, refusal: RefusalError) -> None:
        """Say why, in what the system keeps for a connection anyway, and hang up."""
        with connection:
            _try_send(connection, wire.write_refusal(refusal), self._limits.seconds)

    def _serve_one(self, connection: socket.socket, door: _Door) -> None:
        with connection:
            try:
                answer = self._hear(connection, door.answer)
            finally:
                door.turns.release()  # before it is told: who has an answer may ask again at once
            _try_send(connection, answer, self._limits.seconds)

    def _hear(self, connection: socket.socket, answer: Callable[[bytes], bytes]) -> bytes:
        """Return the answer to what a connection brings; every fault is an answer too."""
        try:
            data = doors.receive(connection, time.monotonic() + self._limits.seconds)
        except TimeoutError:
            rule = f"the request was not there whole within {self._limits.seconds:g} seconds"
            return wire.write_refusal(ProtocolError(rule=rule))
        except (OSError, FrameError) as error:
            return wire.write_refusal(ProtocolError(rule=error))
        try:
            return answer(data)
        except FrameError as error:
            return wire.write_refusal(ProtocolError(rule=error))
        except RefusalError as error:
            return wire.write_refusal(error)
        except Exception as error:  # noqa: BLE001  the edge: a value could be in its words
            reference = secrets.token_hex(4)
            self._report(describe_places(error, reference))
            return wire.write_refusal(SealerFaultError(reference=reference))

    def _answer(self, data: bytes) -> bytes:
        asked = wire.read_request(data)
        if isinstance(asked, AskStatus):
            return wire.write_standing(self._standing(asked.origin))
        sealer = self._open()
        if isinstance(asked, AskFollow):
            note = sealer.follow(asked.origin, asked.since, asked.entries, asked.seen)
            return wire.write_checkpoint(note)
        opened = sealer.open(asked.origin, asked.seq, asked.enrolment, asked.sealed)
        return wire.write_opened(opened)

    def _answer_unlock(self, data: bytes) -> bytes:
        self.unlock(read_unlock(data))
        return wire.write_done()

    def _open(self) -> LocalSealer:
        if self._sealer is None:
            raise SealerLockedError
        return self._sealer

    def _standing(self, origin: str) -> Standing:
        sealer = self._sealer
        if sealer is None:
            return wire.LOCKED
        own = sealer.kid, sealer.public_key
        if not origin:
            nowhere = Status("", "", "", 0, "")
            return Standing(False, nowhere, *own, origins=tuple(sealer.origins()))
        keys = tuple(key.vkey for key in sealer.log_keys(origin))
        accepted = tuple(sealer.accepted(origin))
        return Standing(False, sealer.status(origin), *own, log_keys=keys, accepted=accepted)


def _try_send(connection: socket.socket, data: bytes, seconds: float) -> None:
    """Send an answer to whoever still listens; who has gone misses nothing that was not logged."""
    try:
        doors.send(connection, data, time.monotonic() + seconds)
    except OSError:
        return
