"""Asking witnesses over HTTP: each for a short time, all of them at once.

A witness is another's machine: nothing that it says is believed here, no redirection is followed,
and an answer is read up to a limit. Who does not answer in time is left behind.
"""

import contextlib
import hashlib
import http.client
import re
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from alloc_service.errors import WitnessPlaceError, WitnessSilentError
from alloc_service.log.witness import LONGEST_REQUEST, AddCheckpoint

ANSWERS_WITHIN: Final = 4.0
LONGEST_URL: Final = 300

_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a witness answered.

    Attributes:
        status: Of HTTP.
        text: The body; what is no text in UTF-8 is replaced.
    """

    status: int
    text: str


def check_url(name: str, url: str) -> str:
    """Return the address of a witness without a last `/`; "" is one that is reached by file.

    Raises:
        WitnessPlaceError: It is no `http://` or `https://` address of a host, a port and a path.
    """
    if not url:
        return ""
    rule = "its address is spelled https://HOST:PORT/PATH, without user, query or fragment"
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or len(url) > LONGEST_URL or not _URL.fullmatch(url):
        raise WitnessPlaceError(name=name, rule=rule)
    return url.rstrip("/")


def add_checkpoint(url: str, request: AddCheckpoint) -> Reply:
    """Ask a witness to cosign.

    Raises:
        WitnessSilentError: No answer came in time, or none that can be read.
    """
    return _ask(url, "POST", "/add-checkpoint", request.data)


def get_last_note(url: str, origin: str) -> Reply:
    """Ask a witness for the last note that it cosigned of a log.

    Raises:
        WitnessSilentError: No answer came in time, or none that can be read.
    """
    return _ask(url, "GET", f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint", None)


def ask_all(
    jobs: Mapping[str, Callable[[], T]],
    enough: Callable[[Mapping[str, T | WitnessSilentError]], bool] = lambda _: False,
) -> dict[str, T | WitnessSilentError]:
    """Do all of these at once, and return what came of each, by name.

    Args:
        jobs: By name; each may raise `WitnessSilentError`.
        enough: Says of what came so far that nobody has to wait for the rest, which is left out.
    """
    if not jobs:
        return {}
    found: dict[str, T | WitnessSilentError] = {}
    pool = ThreadPoolExecutor(len(jobs), thread_name_prefix="witness")
    try:
        names: dict[Future[T | WitnessSilentError], str] = {
            pool.submit(_settle, job): name for name, job in jobs.items()
        }
        waiting = set(names)
        while waiting and not enough(found):
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            found |= {names[future]: future.result() for future in done}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return found


def _settle(job: Callable[[], T]) -> T | WitnessSilentError:
    try:
        return job()
    except WitnessSilentError as error:
        return error


def _ask(url: str, method: str, path: str, body: bytes | None) -> Reply:
    ends = time.monotonic() + ANSWERS_WITHIN
    parts = urlsplit(url)
    try:
        with contextlib.closing(_connect(parts.scheme, parts.netloc)) as connection:
            connection.request(method, f"{parts.path}{path}", body)
            with contextlib.closing(connection.getresponse()) as answer:
                return Reply(answer.status, _read(answer, ends).decode("utf-8", "replace"))
    except TimeoutError:
        raise WitnessSilentError(url=url, rule="it did not answer in time") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        told = getattr(error, "strerror", None) or type(error).__name__
        rule = f"it cannot be reached ({told})"
        raise WitnessSilentError(url=url, rule=rule) from None


def _connect(scheme: str, place: str) -> http.client.HTTPConnection:
    if scheme == "https":
        secure = ssl.create_default_context()
        return http.client.HTTPSConnection(place, timeout=ANSWERS_WITHIN, context=secure)
    return http.client.HTTPConnection(place, timeout=ANSWERS_WITHIN)


def _read(answer: http.client.HTTPResponse, ends: float) -> bytes:
    """Read a body as it comes, and give up one that comes too slowly or does not end."""
    data = b""
    while chunk := answer.read1(LONGEST_REQUEST):
        data += chunk
        if len(data) > LONGEST_REQUEST:
            raise ValueError("too long")
        if time.monotonic() > ends:
            raise TimeoutError
    return data
