"""A witness as a process of its own, over real HTTP: what it answers, and what it keeps."""

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from alloc_service.log.note import open_cosigned
from alloc_service.log.witness import LONGEST_REQUEST
from alloc_service.sealing.witness_folder import note_path
from tests.support.witnesses import ORIGIN, GrowingLog, WitnessProcess, make_witness, witnessing

LOG, OTHER_HISTORY = GrowingLog(), GrowingLog(history="two")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_witness(tmp_path / "witness", LOG.key)
    return tmp_path / "witness"


@pytest.fixture
def witness(folder: Path, tmp_path: Path) -> Iterator[WitnessProcess]:
    with witnessing(folder, tmp_path / "witness.log") as process:
        yield process


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WitnessProcess]:
    """Return one that serves for all that changes nothing in it."""
    folder = tmp_path_factory.mktemp("standing")
    make_witness(folder / "witness", LOG.key)
    with witnessing(folder / "witness", folder / "witness.log") as process:
        yield process


def test_it_answers_as_the_specification_says(witness: WitnessProcess) -> None:
    assert witness.last_note().status == 404
    first = witness.add(LOG.request(0, 5))
    assert (first.status, first.media) == (200, "text/plain; charset=utf-8")
    assert first.body.decode().startswith("— dmc.example.org/w1 ")
    assert witness.last_note().body.decode() == LOG.note(5) + first.body.decode()

    assert witness.add(LOG.request(0, 9)) == (409, "text/x.tlog.size", b"5\n")
    assert witness.add(OTHER_HISTORY.request(5, 9)).status == 422
    assert witness.add(GrowingLog(label="forger").request(5, 9)).status == 403
    assert witness.add(GrowingLog("other.example.org/T/audit").request(0, 1)).status == 404
    assert witness.ask("POST", "/add-checkpoint", b"old 5\n").status == 400
    assert witness.add(LOG.request(5, 9)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/add-checkpoint", None, 405),
        ("POST", "/", b"", 404),
        ("POST", f"/{'0' * 64}/checkpoint", b"", 405),
        ("GET", f"/{'0' * 64}/checkpoint", None, 404),
        ("GET", f"/{'0' * 63}/checkpoint", None, 404),
        ("POST", "/add-checkpoint", b"x" * (LONGEST_REQUEST + 1), 413),
        ("POST", "/add-checkpoint", iter([b"old 0\n"]), 411),
    ],
)
def test_what_is_no_request_is_refused(
    standing: WitnessProcess, method: str, path: str, body: Any, status: int
) -> None:
    assert standing.ask(method, path, body).status == status


def test_a_request_that_ends_too_early_is_refused(standing: WitnessProcess) -> None:
    with socket.create_connection(("127.0.0.1", standing.port), timeout=20) as connection:
        head = "POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nold 0\n"
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_what_it_has_lost_it_says(witness: WitnessProcess, folder: Path) -> None:
    assert witness.add(LOG.request(0, 5)).status == 200
    note_path(folder, ORIGIN).unlink()

    assert witness.last_note().status == 503
    assert witness.add(LOG.request(5, 9)).status == 503


@pytest.mark.parametrize(("when", "seen"), [("before", 5), ("after", 9)])
def test_killed_around_its_keeping_it_never_signs_a_second_history(
    folder: Path, tmp_path: Path, when: str, seen: int
) -> None:
    mark = tmp_path / "dies"
    with witnessing(
        folder, tmp_path / "log", "tests.support.dying_witness", DIES=str(mark)
    ) as dying:
        assert dying.add(LOG.request(0, 5)).status == 200
        mark.write_text(when)
        with pytest.raises((OSError, HTTPException)):
            dying.add(LOG.request(5, 9))
        assert not mark.exists()
    with witnessing(folder, tmp_path / "log") as again:
        assert again.add(OTHER_HISTORY.request(seen, 12)).status == 422
        assert again.add(OTHER_HISTORY.request(seen, seen)).status == 409
        assert again.add(OTHER_HISTORY.request(14 - seen, 12)).body == b"%d\n" % seen
        assert again.add(LOG.request(seen, 9)).status == 200
        assert again.add(LOG.request(9, 12)).status == 200


def test_many_at_once_get_signatures_over_one_history_alone(witness: WitnessProcess) -> None:
    statuses: dict[str, list[int]] = {"one": [], "two": []}

    def ask(log: GrowingLog, size: int) -> None:
        statuses[log.history].append(witness.add(log.request(0, size)).status)

    threads = [
        threading.Thread(target=ask, args=(log, size))
        for size in range(1, 7)
        for log in (LOG, OTHER_HISTORY)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses["one"] + statuses["two"]) == [200] + [409] * 11
    note = witness.last_note().body.decode()
    size = open_cosigned(note, LOG.key)[0].size
    other = OTHER_HISTORY if 200 in statuses["one"] else LOG
    assert witness.add(other.request(size, size + 1)).status == 422
