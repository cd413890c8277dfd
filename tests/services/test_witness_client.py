"""Asking over HTTP: what is slow, endless or not there is given up."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from alloc_service.errors import WitnessSilentError
from alloc_service.services import witness_client
from alloc_service.services.witness_client import ask_all, check_url, get_last_note

ORIGIN = "rac.example.org/TEST/audit"


@pytest.fixture
def speak() -> Iterator[Callable[..., str]]:
    """Return a function that serves one connection with these bytes, and gives the address."""
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(*parts: bytes, pause: float = 0.0) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def answer() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    for part in parts:
                        connection.sendall(part)
                        time.sleep(pause)
            except OSError:
                return

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()
    for thread in threads:
        thread.join()


def test_a_body_that_comes_drop_by_drop_is_given_up(
    speak: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_client, "ANSWERS_WITHIN", 0.3)
    url = speak(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 20, pause=0.1)

    began = time.monotonic()
    with pytest.raises(WitnessSilentError, match="did not answer in time"):
        get_last_note(url, ORIGIN)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("said", [b"", b"\x00\x01", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_answer_is_a_refusal(speak: Callable[..., str], said: bytes) -> None:
    with pytest.raises(WitnessSilentError):
        get_last_note(speak(said), ORIGIN)


def test_a_body_of_unstated_length_is_read_to_its_end(speak: Callable[..., str]) -> None:
    reply = get_last_note(speak(b"HTTP/1.0 200 OK\r\n\r\nthe ", b"note\xff"), ORIGIN)

    assert (reply.status, reply.text) == (200, "the note\ufffd")


def test_a_body_without_end_is_given_up(speak: Callable[..., str]) -> None:
    url = speak(b"HTTP/1.0 200 OK\r\n\r\n", *[b"x" * 50_000] * 3)

    with pytest.raises(WitnessSilentError, match="cannot be reached"):
        get_last_note(url, ORIGIN)


def test_where_nobody_listens_nobody_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    for scheme in ("http", "https"):
        with pytest.raises(WitnessSilentError, match="cannot be reached"):
            get_last_note(f"{scheme}://127.0.0.1:{port}", ORIGIN)


def test_who_speaks_no_tls_is_not_asked_over_tls(speak: Callable[..., str]) -> None:
    url = speak(b"HTTP/1.1 200 OK\r\n\r\n").replace("http://", "https://")

    with pytest.raises(WitnessSilentError, match="cannot be reached"):
        get_last_note(url, ORIGIN)


def test_many_are_asked_at_once_and_no_longer_than_needed() -> None:
    gone = threading.Event()

    def slow() -> str:
        gone.wait(5)
        return "slow"

    began = time.monotonic()
    found = ask_all({"slow": slow, "fast": lambda: "fast"}, lambda came: "fast" in came)
    gone.set()

    assert found == {"fast": "fast"}
    assert time.monotonic() - began < 3
    assert ask_all({}) == {}


def test_an_address_is_kept_without_its_last_stroke() -> None:
    assert check_url("w", "https://w.example.org:8443/a/b/") == "https://w.example.org:8443/a/b"
    assert check_url("w", "") == ""
