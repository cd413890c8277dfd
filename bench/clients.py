"""Clients that post one form after another, each over a connection of its own, and time answers.

They are lean, for they share the machine with what they measure: requests are bytes before the
clock starts, and of an answer only the first line is read as text.
"""

import socket
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode


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
