"""A witness over HTTP: `POST /add-checkpoint`, and what it cosigned last.

`GET /<SHA-256(ORIGIN) in hex>/checkpoint` is an addition of ours: the last note that the witness
cosigned of a log, for whoever wants to know how far it has seen. Two processes answer, one
request at a time each, and one that does not come to an end is given up. The program listens on
loopback; a web server before it speaks TLS.
"""

import hashlib
import re
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # it has no types

from alloc_service.errors import RefusalError
from alloc_service.log.witness import LONGEST_REQUEST, PLAIN, Answer, answer_refusal
from alloc_service.sealing.witness import WitnessDesk

SECONDS = 15
PROCESSES = 2

_NOTE = re.compile(r"/([0-9a-f]{64})/checkpoint", re.ASCII)


def make_app(desk: WitnessDesk) -> WSGIApplication:
    """Return the WSGI application of a witness."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = _answer(desk, environ)
        body = answer.body.encode()
        status = HTTPStatus(answer.status)
        headers = [
            ("Content-Type", answer.media),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    return app


def serve(desk: WitnessDesk, bind: str) -> None:
    """Answer until somebody ends this program.

    Args:
        desk: The witness; its key is opened before the processes part.
        bind: Where to listen, `HOST:PORT`.
    """
    _Server(make_app(desk), bind).run()


def _answer(desk: WitnessDesk, environ: WSGIEnvironment) -> Answer:
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    if path == "/add-checkpoint":
        return _add(desk, environ) if method == "POST" else _say(405, "Send a POST.")
    if found := _NOTE.fullmatch(path):
        return _show(desk, found[1]) if method == "GET" else _say(405, "Send a GET.")
    return _say(404, "There is nothing here.")


def _add(desk: WitnessDesk, environ: WSGIEnvironment) -> Answer:
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdecimal() and len(length) <= 9):
        return _say(411, "Send the request's length.")
    if int(length) > LONGEST_REQUEST:
        return _say(413, f"A request has at most {LONGEST_REQUEST:,} bytes.")
    data = environ["wsgi.input"].read(int(length))
    if len(data) != int(length):
        return _say(400, "The request ended too early.")
    return desk.answer(data, lambda: int(time.time()))


def _show(desk: WitnessDesk, wanted: str) -> Answer:
    try:
        for origin in desk.origins():
            if hashlib.sha256(origin.encode()).hexdigest() == wanted:
                note = desk.find_note(origin)
                return Answer(200, PLAIN, note) if note else _say(404, "Nothing was seen yet.")
    except RefusalError as error:
        return answer_refusal(error)
    return _say(404, "This witness follows no such log.")


def _say(status: int, text: str) -> Answer:
    return Answer(status, PLAIN, f"{text}\n")


class _Server(BaseApplication):  # type: ignore[misc]  # it has no types
    def __init__(self, app: WSGIApplication, bind: str) -> None:
        self._app, self._bind = app, bind
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": self._bind,
            "workers": PROCESSES,
            "timeout": SECONDS,
            "graceful_timeout": SECONDS,
            "limit_request_line": 1_024,
            "limit_request_fields": 32,
            "loglevel": "warning",
            "proc_name": "alloc-witness",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        return self._app
