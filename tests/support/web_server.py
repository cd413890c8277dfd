"""The pages as a real server gives them: gunicorn, in a process of its own, on loopback."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.support.shell import process_environ

PATIENCE = 60.0
APP = "alloc_service.app:create_app()"


class WebServer:
    """One server over an installation.

    Args:
        environ: Names the installation.
        log: Where its own words go.
        app: What is served.
        options: Of gunicorn.

    Attributes:
        url: Where it is.
        port: On loopback.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        log: Path,
        app: str = APP,
        options: Sequence[str] = ("--threads", "4"),
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ, self._log, self._app, self._options = environ, log, app, options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        arguments = [
            sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}",
            *self._options, "--log-level", "warning", self._app,
        ]  # fmt: skip
        environ = process_environ({**self._environ, "ALLOC_PLAIN_HTTP": "yes"})
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(arguments, env=environ, stdout=log, stderr=log)
        ends = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < ends, self._log.read_text()
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def _answers(self) -> bool:
        asked = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            asked.request("GET", "/healthz")
            return asked.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            asked.close()


@contextlib.contextmanager
def serving(
    environ: Mapping[str, str],
    log: Path,
    app: str = APP,
    options: Sequence[str] = ("--threads", "4"),
) -> Iterator[WebServer]:
    """Serve an installation, while it lasts."""
    server = WebServer(environ, log, app, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
