"""Clients that post one form after another, each over a connection of its own, and time answers.

They are lean, for they share the machine with what they measure: requests are bytes before the
clock starts, and of an answer only the first line is read as text.
"""

import re
import socket
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

_COOKIE = re.compile(rb"Set-Cookie: (alloc=[^;]+)")
_TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Answered:
    """What a round of requests took.

    Attributes:
        rate: Answers a second, all clients together.
        half: Seconds within which half of the requests were answered.
        most: Seconds within which 99 of 100 were.
    """

    rate: float
    half: float
    most: float


def post_bytes(path: str, fields: Mapping[str, str], cookie: str = "") -> bytes:
    """Return the bytes of a form that is posted on loopback."""
    body = urlencode(fields).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: {cookie}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get_bytes(path: str, cookie: str = "") -> bytes:
    """Return the bytes that ask for a page on loopback."""
    lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Cookie: {cookie}")
    return "\r\n".join((*lines, "", "")).encode()


class Browser:
    """Somebody who has signed in.

    Args:
        port: Of the service on loopback.
        username: Whose account.
        password: Of it.

    Attributes:
        port: As given.
    """

    def __init__(self, port: int, username: str, password: str) -> None:
        self.port = port
        self._cookie = ""
        self._signature = {"username": username, "password": password}
        typed = {**self._signature, "csrf_token": self._token_of("/sign-in")}
        self._keep_cookie(ask(port, post_bytes("/sign-in", typed, self._cookie)))
        self._token = self._token_of("/")

    def post(self, path: str) -> bytes:
        """Return the bytes of a form that asks for user name and password again."""
        return post_bytes(path, {**self._signature, "csrf_token": self._token}, self._cookie)

    def get(self, path: str) -> bytes:
        """Return the bytes that ask for a page."""
        return get_bytes(path, self._cookie)

    def _token_of(self, path: str) -> str:
        page = ask(self.port, self.get(path))
        self._keep_cookie(page)
        return _found(_TOKEN, page)

    def _keep_cookie(self, answer: bytes) -> None:
        if given := _COOKIE.search(answer):
            self._cookie = given[1].decode()


def ask(port: int, request: bytes) -> bytes:
    """Return the whole answer to one request.

    Raises:
        OSError: Nobody answers.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def send_all(port: int, requests: Sequence[Sequence[bytes]]) -> Answered:
    """Let each client send its requests one after another, all clients at once.

    Raises:
        RuntimeError: An answer was not 200.
    """
    times: list[float] = []
    faults: list[bytes] = []
    ready = threading.Barrier(len(requests) + 1)

    def client(own: Sequence[bytes]) -> None:
        ready.wait()
        for request in own:
            begun = time.perf_counter()
            answer = ask(port, request)
            times.append(time.perf_counter() - begun)
            if not answer.startswith(b"HTTP/1.1 200"):
                faults.append(answer)

    threads = [threading.Thread(target=client, args=(own,)) for own in requests]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    if faults:
        raise RuntimeError(faults[0].decode(errors="replace")[:2_000])
    hundredths = statistics.quantiles(times, n=100, method="inclusive")
    return Answered(len(times) / took, statistics.median(times), hundredths[98])


def _found(pattern: re.Pattern[bytes], page: bytes) -> str:
    found = pattern.search(page)
    if found is None:
        raise RuntimeError(page.decode(errors="replace")[:2_000])
    return found[1].decode()
