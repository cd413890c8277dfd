"""Witnesses for tests: logs that grow, requests to cosign them, and real witness processes."""

import contextlib
import hashlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.cli.witness_server import make_app
from alloc_service.core import merkle
from alloc_service.log.entry import Entry
from alloc_service.log.note import Checkpoint, Signer, Verifier, Witness, sign_checkpoint
from alloc_service.log.witness import AddCheckpoint
from alloc_service.sealing.witness import WitnessDesk, list_witnessed
from alloc_service.sealing.witness_folder import add_log, create_witness
from alloc_service.services import witnesses
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.witnesses import NewPolicy, WitnessPlace
from tests.support.installation import Installation
from tests.support.shell import process_environ

PATIENCE = 60.0
ORIGIN = "rac.example.org/TEST-WITNESS/audit"
NAME = "dmc.example.org/w1"


def sign_key(label: str) -> Ed25519PrivateKey:
    """Return some private key, the same for a label each time."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(label.encode()).digest())


@dataclass
class GrowingLog:
    """A log of which nothing but leaves, proofs and checkpoints is needed."""

    origin: str = ORIGIN
    label: str = "log"
    history: str = "one"

    @property
    def signer(self) -> Signer:
        return Signer(self.origin, sign_key(self.label))

    @property
    def key(self) -> Verifier:
        return self.signer.verifier

    def leaves(self, size: int) -> list[bytes]:
        return [merkle.leaf_hash(f"{self.history} {at}".encode()) for at in range(size)]

    def note(self, size: int) -> str:
        root = merkle.root_of(self.leaves(size))
        return sign_checkpoint(Checkpoint(self.origin, size, root), self.signer)

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        if not 0 < old <= size:
            return ()
        leaves = self.leaves(size)
        nodes = {(0, at): leaf for at, leaf in enumerate(leaves)}
        nodes |= {(level, at): node for level, at, node in merkle.inner_nodes(leaves)}
        found = merkle.consistency_proof(old, size, lambda asked: {at: nodes[at] for at in asked})
        return tuple(found)

    def request(self, old: int, size: int) -> AddCheckpoint:
        return AddCheckpoint(old, self.proof(old, size), self.note(size))


def make_witness(folder: Path, *logs: Verifier, name: str = NAME) -> Verifier:
    """Make a witness's folder that follows some logs."""
    public = create_witness(folder, name)
    for log in logs:
        add_log(folder, log)
    return public


class Got(NamedTuple):
    """What a server answered."""

    status: int
    media: str
    body: bytes


@dataclass
class WitnessProcess:
    """A real witness over real HTTP.

    Attributes:
        folder: The witness's own.
        module: What is run; the program itself, or one that dies on purpose.
        port: On loopback; kept over a restart.
    """

    folder: Path
    log: Path
    module: str = "alloc_service.cli"
    port: int = 0
    environ: dict[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        arguments = [sys.executable, "-m", self.module, "witness", "serve", str(self.folder)]
        arguments += ["--bind", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            environ = process_environ(self.environ)
            self._process = subprocess.Popen(
                arguments, env=environ, stdout=log, stderr=log, start_new_session=True
            )
        ends = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < ends, self.log.read_text()
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Got:
        """Ask over a connection of its own; an `OSError` or `HTTPException` where it dies."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            media = answer.getheader("Content-Type", "")
            return Got(answer.status, media, answer.read())
        finally:
            connection.close()

    def add(self, request: AddCheckpoint) -> Got:
        return self.ask("POST", "/add-checkpoint", request.data)

    def last_note(self, origin: str = ORIGIN) -> Got:
        return self.ask("GET", f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/").status == 404
        except (OSError, HTTPException):
            return False


@contextlib.contextmanager
def witnessing(
    folder: Path, log: Path, module: str = "alloc_service.cli", **environ: str
) -> Iterator[WitnessProcess]:
    """Run a witness, while it lasts."""
    process = WitnessProcess(folder, log, module, environ=environ)
    process.start()
    try:
        yield process
    finally:
        process.stop()


Wrap = Callable[[WSGIApplication], WSGIApplication]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
        del format, args


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False


class WitnessServer:
    """A witness over real HTTP, in threads of this process; it can be stopped and go on.

    Attributes:
        folder: The witness's own.
        public: Its key.
        wrap: Put around its application, for one that answers badly.
    """

    def __init__(self, folder: Path, name: str = NAME, wrap: Wrap = lambda app: app) -> None:
        self.folder, self.wrap = folder, wrap
        self.public = make_witness(folder, name=name)
        self.port = 0
        self._server: WSGIServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def place(self) -> WitnessPlace:
        return WitnessPlace(self.public.vkey, self.url)

    def follow(self, log: Verifier) -> None:
        add_log(self.folder, log)

    def size(self) -> int:
        """Return how many entries it has seen of the one log that it follows."""
        (item,) = list_witnessed(self.folder)
        return item.checkpoint.size if item.checkpoint else 0

    def note(self) -> str:
        (item,) = list_witnessed(self.folder)
        return item.note

    def start(self) -> None:
        app = make_app(WitnessDesk(self.folder))

        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            return self.wrap(app)(environ, start)

        self._server = make_server("127.0.0.1", self.port, answer, _Threads, _Quiet)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def saying(status: str, body: bytes, media: str = "text/plain") -> Wrap:
    """Return what answers everything with this, whatever was asked."""

    def wrap(_app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(status, [("Content-Type", media), ("Content-Length", str(len(body)))])
            return [body]

        return answer

    return wrap


def signing_as(private: Ed25519PrivateKey, name: str = NAME) -> Wrap:
    """Return what cosigns whatever it is shown, with a key of its own."""

    def wrap(_app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            request = AddCheckpoint.parse(data)
            start("200 OK", [("Content-Type", "text/plain")])
            return [Witness(name, private).cosign(request.checkpoint.text, 1).encode()]

        return answer

    return wrap


def waiting(seconds: float) -> Wrap:
    """Return what answers well, and too late."""

    def wrap(app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            time.sleep(seconds)
            return app(environ, start)

        return answer

    return wrap


def set_gate(
    installation: Installation, *servers: WitnessServer, mode: str = "gate", quorum: int = 1
) -> Entry:
    """Let some witnesses follow a trial's log, and set its policy."""
    log = installation.deps.sealer.log_key(installation.origin)
    for server in servers:
        server.follow(log)
    people = TwoPeople(installation.people["manager"], installation.people["dmc"])
    new = NewPolicy(mode, quorum, tuple(server.place for server in servers))
    return witnesses.set_policy(installation.deps, people, installation.trial, new)
