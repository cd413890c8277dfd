"""The client of the sealer's socket: what it asks, in how many pieces, and whom it believes."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alloc_service.errors import (
    CanonError,
    NotAcceptedError,
    NotAuthorizedError,
    ProtocolError,
    SealerAnswerError,
    SealerHostError,
    SealerSocketError,
    SealerUnreachableError,
)
from alloc_service.sealing import doors, wire
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.sealing.sealer import Sealer, SlotToOpen
from alloc_service.sealing.wire import AskOpen
from tests.support.sealed_trial import ORIGIN, SealedTrial
from tests.support.served_sealer import Served, short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture
def remote(active_trial: SealedTrial, folder: Path) -> Iterator[RemoteSealer]:
    served = Served(folder, active_trial.sealer)
    yield RemoteSealer(served.path, patience=20)
    served.close()


def test_it_tells_what_the_sealer_tells(active_trial: SealedTrial, remote: RemoteSealer) -> None:
    sealer = active_trial.sealer
    asked: Sealer = remote

    assert asked.kid == sealer.kid
    assert asked.public_key == sealer.public_key
    assert asked.origins() == sealer.origins() == [ORIGIN]
    assert asked.log_key(ORIGIN) == sealer.log_key(ORIGIN)
    assert asked.log_keys(ORIGIN) == sealer.log_keys(ORIGIN)
    assert asked.status(ORIGIN) == sealer.status(ORIGIN)
    assert remote.accepted(ORIGIN) == sealer.accepted(ORIGIN)
    assert not asked.holds_keys
    assert sealer.holds_keys
    assert str(remote) == f"RemoteSealer('{remote._path}')"


def test_an_acceptance_is_asked_of_the_status(
    active_trial: SealedTrial, remote: RemoteSealer
) -> None:
    remote.require_accepted(ORIGIN, active_trial.acceptance())

    with pytest.raises(NotAcceptedError) as found:
        remote.require_accepted(ORIGIN, active_trial.acceptance(sealing=2))
    root = active_trial.hand.sealed.root
    assert f"`alloc sealer accept {ORIGIN} 1 {root}`" in str(found.value)


HOST_ONLY: dict[str, Callable[[RemoteSealer], object]] = {
    f"alloc sealer design {ORIGIN} 7": lambda remote: remote.open_design(ORIGIN, 7, b""),
    f"alloc sealer accept {ORIGIN} 1 ROOT": lambda remote: remote.test_open(
        ORIGIN, 1, b"", b"", []
    ),
    "alloc sealer recover TEST-SEALER": lambda remote: remote.followed(ORIGIN),
    "`alloc sealer recover TEST-SEALER`": lambda remote: remote.resume(ORIGIN, []),
}


@pytest.mark.parametrize("command", HOST_ONLY)
def test_what_is_no_part_of_the_socket_names_the_command_of_the_host(command: str) -> None:
    remote = RemoteSealer(Path("/nowhere/socket"))

    with pytest.raises(SealerHostError) as found:
        HOST_ONLY[command](remote)
    assert command in str(found.value)


def test_a_log_longer_than_a_frame_goes_in_several_requests(
    trial: SealedTrial, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alloc_service.sealing.remote._MOST_AT_ONCE", 3_000)
    for _ in range(200):
        trial.log.add_site()
    served = Served(folder, trial.sealer)
    remote = RemoteSealer(served.path)
    before, seen = remote.status(ORIGIN).size, remote.follow(ORIGIN, 1, trial.log.entries[:1])

    note = remote.follow(ORIGIN, before, trial.log.entries[before - 1 :], [seen])

    assert trial.anchored == trial.log.entries
    assert note == remote.follow(ORIGIN, 1, trial.log.entries)
    served.close()


def test_entries_of_the_greatest_length_fit(trial: SealedTrial, folder: Path) -> None:
    served = Served(folder, trial.sealer)
    remote, longest = RemoteSealer(served.path), b"x" * 65_535

    with pytest.raises(CanonError):  # it is no entry, but it was heard whole
        remote.follow(ORIGIN, 4, [trial.log.entries[3], *[longest] * 40])
    assert served.reported == []
    served.close()


def test_the_largest_slot_fits_and_what_does_not_is_refused_by_its_rule(
    remote: RemoteSealer,
) -> None:
    proof = tuple(bytes(32) for _ in range(64))
    assert len(wire.write_request(AskOpen(ORIGIN, 1, "x", SlotToOpen(bytes(285), b"", proof)))) < (
        wire.LARGEST_FRAME // 100
    )

    with pytest.raises(ProtocolError, match="the largest has"):
        remote.open(ORIGIN, 1, "x", SlotToOpen(bytes(2 * wire.LARGEST_FRAME), b"", ()))


def test_a_sealer_that_was_restarted_is_simply_asked_again(
    active_trial: SealedTrial, folder: Path
) -> None:
    first = Served(folder, active_trial.sealer)
    remote = RemoteSealer(first.path)
    before = remote.status(ORIGIN)
    first.close()

    with pytest.raises(SealerUnreachableError, match="No such file"):
        remote.status(ORIGIN)
    second = Served(folder, active_trial.another_sealer())
    assert remote.status(ORIGIN) == before
    second.close()


def answer_once(folder: Path, answer: Callable[[socket.socket], object]) -> RemoteSealer:
    """Listen once in the sealer's place, and answer as a test says."""
    listener = doors.listen(folder / "socket", 0o666)

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    return RemoteSealer(folder / "socket", patience=0.5)


def test_a_sealer_that_dies_in_the_middle_is_named_as_unreachable(folder: Path) -> None:
    remote = answer_once(folder, lambda connection: connection.recv(3))

    with pytest.raises(SealerUnreachableError, match=r"systemctl restart alloc-sealer.*same slot"):
        remote.status(ORIGIN)


def test_a_sealer_that_does_not_answer_is_not_waited_for_without_end(folder: Path) -> None:
    remote = answer_once(folder, lambda _connection: time.sleep(1.5))

    with pytest.raises(SealerUnreachableError, match=r"it took too long|timed out"):
        remote.status(ORIGIN)


def test_what_answers_in_other_words_is_not_believed(folder: Path) -> None:
    def lie(connection: socket.socket) -> None:
        doors.receive(connection, time.monotonic() + 5)
        doors.send(
            connection, b'{"answer":{"locked":false},"v":"rac-sealer/1"}', time.monotonic() + 5
        )

    with pytest.raises(SealerAnswerError, match="a field is missing"):
        answer_once(folder, lie).status(ORIGIN)


def test_a_sealer_of_another_user_than_the_folders_is_asked_nothing(folder: Path) -> None:
    heard: list[bytes] = []
    remote = answer_once(folder, lambda connection: heard.append(connection.recv(100)))
    os.chown(folder, 64_009, -1)

    with pytest.raises(SealerAnswerError, match="not run by user id 64009"):
        remote.status(ORIGIN)
    time.sleep(0.1)
    assert heard in ([], [b""])


def test_a_folder_in_which_others_can_put_a_socket_is_not_used(folder: Path) -> None:
    folder.chmod(0o777)

    with pytest.raises(SealerSocketError):
        RemoteSealer(folder / "socket").status(ORIGIN)


def test_what_the_sealer_refuses_comes_out_as_it_was_raised(
    active_trial: SealedTrial, remote: RemoteSealer
) -> None:
    with pytest.raises(NotAuthorizedError):
        remote.open(ORIGIN, 0, "x", active_trial.hand.slot(0, 0))
