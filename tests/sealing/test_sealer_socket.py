"""The socket of the sealer: who may use it, what is malformed, huge, slow, or too much at once."""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alloc_service.core.canon import canon
from alloc_service.errors import (
    KeysPassphraseError,
    ProtocolError,
    RefusalError,
    SealerBusyError,
    SealerFaultError,
    SealerLockedError,
    SealerPeerError,
    SealerSocketError,
    SealerUnreachableError,
)
from alloc_service.sealing import doors, wire
from alloc_service.sealing.doors import LONGEST_PATH, listen, require_folder
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.sealing.server import Limits
from alloc_service.sealing.unlock import read_unlock, unlock, unlock_path
from alloc_service.sealing.wire import AskStatus, FrameError
from tests.support.sealed_trial import ORIGIN, SealedTrial
from tests.support.served_sealer import Served, short_folder

QUICK = Limits(at_once=2, seconds=0.4)
LENGTH = struct.Struct(">I")
Serve = Callable[..., Served]


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    opened: list[Served] = []

    def served(sealer: LocalSealer | None, **options: object) -> Served:
        opened.append(Served(folder, sealer, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield served
    for one in opened:
        one.close()


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection


def say(path: Path, data: bytes, length: int | None = None) -> bytes:
    """Send a frame, of this length or of one that it only claims, and return what is answered."""
    with connect(path) as connection:
        connection.sendall(LENGTH.pack(len(data) if length is None else length) + data)
        return doors.receive(connection, time.monotonic() + 20)


def refused(answer: bytes) -> RefusalError:
    with pytest.raises(RefusalError) as found:
        wire.read_standing(answer)
    return found.value


# --- who ---------------------------------------------------------------------------------------


def test_another_user_is_refused_before_a_byte_is_heard(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(active_trial.sealer, user=os.geteuid() + 1)

    with connect(served.path) as connection:
        answer = doors.receive(connection, time.monotonic() + 20)
    refusal = refused(answer)
    assert isinstance(refusal, SealerPeerError)
    assert refusal.facts == {"allowed": os.geteuid() + 1, "uid": os.geteuid()}
    with pytest.raises(SealerPeerError):
        RemoteSealer(served.path).status(ORIGIN)


# --- what --------------------------------------------------------------------------------------

MALFORMED = {
    "nothing": b"",
    "no JSON": b"\x00\xff" * 50,
    "another operation": b'{"op":"accept","origin":"x","v":"rac-sealer/1"}',
    "another version": b'{"op":"status","origin":"x","v":"rac-sealer/9"}',
    "a request cut short": wire.write_request(AskStatus(ORIGIN))[:-1],
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_answered_with_its_rule_and_harms_nobody(
    active_trial: SealedTrial, serve: Serve, data: bytes
) -> None:
    served = serve(active_trial.sealer)

    assert isinstance(refused(say(served.path, data)), ProtocolError)
    assert RemoteSealer(served.path).status(ORIGIN).size == len(active_trial.log.entries)


@pytest.mark.parametrize("length", [wire.LARGEST_FRAME + 1, 2**31, 2**32 - 1])
def test_a_huge_request_is_refused_by_its_length_and_nothing_of_it_is_kept(
    active_trial: SealedTrial, serve: Serve, length: int
) -> None:
    served = serve(active_trial.sealer)

    refusal = refused(say(served.path, b"", length))
    assert isinstance(refusal, ProtocolError)
    assert f"a frame of {length} bytes" in str(refusal)


def test_a_request_that_breaks_off_is_no_request(active_trial: SealedTrial, serve: Serve) -> None:
    served = serve(active_trial.sealer)
    with connect(served.path) as connection:
        connection.sendall(LENGTH.pack(100) + b'{"op"')
        connection.shutdown(socket.SHUT_WR)
        answer = doors.receive(connection, time.monotonic() + 20)

    assert "broke off" in str(refused(answer))


def test_who_hangs_up_at_once_harms_nobody(active_trial: SealedTrial, serve: Serve) -> None:
    served = serve(active_trial.sealer, limits=QUICK)
    for _ in range(20):
        with connect(served.path) as connection:
            connection.sendall(LENGTH.pack(len(MALFORMED["no JSON"])))
    time.sleep(0.1)

    assert RemoteSealer(served.path).status(ORIGIN).size


# --- slow, and many ----------------------------------------------------------------------------


def test_a_request_that_trickles_in_is_over_after_its_time(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(active_trial.sealer, limits=QUICK)
    began = time.monotonic()
    with connect(served.path) as connection:
        connection.sendall(LENGTH.pack(1_000))
        answer = b""
        while not answer:
            assert time.monotonic() - began < 10
            connection.settimeout(0.05)
            try:
                connection.send(b"{")
                answer = connection.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                continue
        connection.settimeout(5)
        refusal = refused(doors.receive(connection, time.monotonic() + 5))

    assert "not there whole within 0.4 seconds" in str(refusal)


def test_more_at_once_than_it_serves_are_told_so_and_the_next_is_served(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(active_trial.sealer, limits=QUICK)
    slow = [connect(served.path) for _ in range(QUICK.at_once)]
    time.sleep(0.1)

    with pytest.raises(SealerBusyError, match="serving 2 requests already"):
        RemoteSealer(served.path).status(ORIGIN)
    time.sleep(2 * QUICK.seconds)
    assert RemoteSealer(served.path).status(ORIGIN).size
    for connection in slow:
        connection.close()


def test_an_answer_that_nobody_takes_is_given_up(active_trial: SealedTrial, serve: Serve) -> None:
    served = serve(active_trial.sealer, limits=QUICK)
    data = wire.write_request(AskStatus(ORIGIN))
    deaf = []
    for _ in range(QUICK.at_once):
        deaf.append(connect(served.path))
        deaf[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf[-1].sendall(LENGTH.pack(len(data)) + data)
    time.sleep(2 * QUICK.seconds)

    assert RemoteSealer(served.path).status(ORIGIN).size
    for connection in deaf:
        connection.close()


# --- a fault of the program --------------------------------------------------------------------


class FaultyLock(LocalSealer):
    """A sealer whose program has a fault, with a value in its words."""

    def origins(self) -> list[str]:
        raise RuntimeError("SUNRISE-7Q")


def test_a_fault_of_the_program_crosses_as_a_reference_alone(
    active_trial: SealedTrial, serve: Serve
) -> None:
    sealer = active_trial.another_sealer()
    sealer.__class__ = FaultyLock
    served = serve(sealer)

    with pytest.raises(SealerFaultError) as found:
        RemoteSealer(served.path).origins()
    assert "7Q" not in str(found.value)
    assert "7Q" not in served.reported[0]
    assert str(found.value.facts["reference"]) in served.reported[0]
    assert "in origins" in served.reported[0]


# --- locked ------------------------------------------------------------------------------------


def test_a_locked_sealer_says_so_and_refuses_everything_else(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(None, unlock=active_trial.sealer)
    remote = RemoteSealer(served.path)

    assert wire.read_standing(say(served.path, wire.write_request(AskStatus(ORIGIN)))).locked
    assert served.server.is_locked
    for refused_now in (
        lambda: remote.status(ORIGIN),
        lambda: remote.kid,
        lambda: remote.follow(ORIGIN, 1, active_trial.log.entries),
        lambda: remote.open(ORIGIN, 0, "x", active_trial.hand.slot(0, 0)),
    ):
        with pytest.raises(SealerLockedError):
            refused_now()


def test_the_passphrase_unlocks_it_once_and_for_all(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(None, unlock=active_trial.sealer)

    unlock(served.path, "a passphrase")
    unlock(served.path, "again, of an open sealer")

    assert served.passphrases == ["a passphrase"]
    assert RemoteSealer(served.path).status(ORIGIN).size
    assert not served.server.is_locked


def test_a_passphrase_typed_at_the_terminal_unlocks_it_while_it_serves(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(None, unlock=active_trial.sealer)

    served.server.unlock_while_serving(lambda unlocks: unlocks("typed"))

    ends = time.monotonic() + 10
    while served.server.is_locked:
        assert time.monotonic() < ends
    assert RemoteSealer(served.path).kid == active_trial.sealer.kid


def test_a_wrong_passphrase_is_refused_as_the_keys_refuse_it(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(None, unlock=active_trial.sealer)

    def refuse(_passphrase: str) -> LocalSealer:
        raise KeysPassphraseError(path="/keys", rule="it does not open", remedy="Try again")

    served.server._unlock = refuse
    with pytest.raises(KeysPassphraseError, match="it does not open"):
        unlock(served.path, "wrong")
    assert served.server.is_locked


def test_the_passphrase_is_taken_at_a_socket_of_its_own_and_nowhere_else(
    active_trial: SealedTrial, serve: Serve
) -> None:
    served = serve(None, unlock=active_trial.sealer)
    given = canon({"passphrase": "secret words", "v": "rac-unlock/1"})

    answer = say(served.path, given)
    assert isinstance(refused(answer), ProtocolError)
    assert b"secret" not in answer
    answer = say(unlock_path(served.path), wire.write_request(AskStatus(ORIGIN)))
    assert isinstance(refused(answer), ProtocolError)
    assert unlock_path(served.path).stat().st_mode & 0o777 == 0o600
    assert served.passphrases == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"passphrase":1,"v":"rac-unlock/1"}', b'{"passphrase":"x","v":"rac-unlock/2"}'],
)
def test_what_is_no_message_with_a_passphrase_is_not_repeated(data: bytes) -> None:
    with pytest.raises(FrameError, match="it is not spelled as rac-unlock/1"):
        read_unlock(data)


def test_where_no_sealer_takes_a_passphrase_nothing_is_sent(folder: Path) -> None:
    with pytest.raises(SealerUnreachableError):
        unlock(folder / "socket", "a passphrase")


def test_a_passphrase_goes_to_the_owner_of_the_folder_alone(
    active_trial: SealedTrial, serve: Serve, folder: Path
) -> None:
    served = serve(None, unlock=active_trial.sealer)
    os.chown(folder, 64_009, -1)

    with pytest.raises(SealerUnreachableError, match="another user listens there"):
        unlock(served.path, "a passphrase")
    assert served.passphrases == []


# --- where it lies -----------------------------------------------------------------------------


def test_a_socket_that_a_killed_sealer_left_is_taken_away(folder: Path) -> None:
    path = folder / "socket"
    listen(path, 0o666).close()
    assert path.exists()

    with listen(path, 0o600):
        assert path.stat().st_mode & 0o777 == 0o600


def test_two_sealers_do_not_listen_at_one_place(folder: Path) -> None:
    with (
        listen(folder / "socket", 0o666),
        pytest.raises(SealerSocketError, match="a sealer listens there already"),
    ):
        listen(folder / "socket", 0o666)


def test_a_file_in_the_way_is_not_taken_away(folder: Path) -> None:
    (folder / "socket").write_text("mine")

    with pytest.raises(SealerSocketError, match="something else lies there"):
        listen(folder / "socket", 0o666)
    assert (folder / "socket").read_text() == "mine"


def test_the_folder_is_of_its_user_and_closed_to_the_writing_of_others(folder: Path) -> None:
    path = folder / "socket"
    assert require_folder(path) == os.geteuid()

    folder.chmod(0o775)
    with pytest.raises(SealerSocketError, match="chmod go-w"):
        listen(path, 0o666)
    folder.chmod(0o755)
    os.chown(folder, 64_009, -1)
    with pytest.raises(SealerSocketError, match="belongs to user id 64009"):
        listen(path, 0o666)
    assert require_folder(path) == 64_009
    os.chown(folder, os.geteuid(), -1)
    (folder / "link").symlink_to(folder)
    with pytest.raises(SealerSocketError, match="symbolic link"):
        listen(folder / "link" / "socket", 0o666)
    with pytest.raises(SealerSocketError, match="cannot be looked at"):
        require_folder(folder / "nowhere" / "socket")
    with pytest.raises(SealerSocketError, match=f"at most {LONGEST_PATH} bytes"):
        require_folder(folder / ("x" * LONGEST_PATH))


def test_a_place_that_the_system_refuses_is_named() -> None:
    with pytest.raises(SealerSocketError, match="the system refused it"):
        listen(Path(f"/proc/{os.getpid()}/socket"), 0o666)


def test_a_deadline_that_is_over_waits_for_nothing() -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(TimeoutError):
        doors.receive(one, time.monotonic() - 1)
