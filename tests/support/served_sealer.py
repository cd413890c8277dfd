"""A sealer behind its socket: in threads of this process, or as a process of another user."""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from alloc_service.core.design import Design
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.sealing.server import Limits, SealerServer
from tests.support.shell import process_environ

PATIENCE = 30.0
# Nobody on this machine has them: who serves the pages, and somebody else.
SEALER_UID, WEB_UID, OTHER_UID = 64_001, 64_002, 64_003


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Return a folder whose path leaves room for a socket's name, 0755, of this user."""
    folder = Path(tempfile.mkdtemp(prefix="s-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class SealerAtItsHost(RemoteSealer):
    """A sealer behind a socket, and beside it the commands of its host."""

    def __init__(self, path: Path, host: LocalSealer) -> None:
        super().__init__(path, PATIENCE)
        self.host = host

    def accept(
        self, origin: str, number: int, wrap: bytes, leaves: bytes, blobs: Iterable[bytes]
    ) -> Acceptance:
        return self.host.accept(origin, number, wrap, leaves, blobs)

    def open_design(self, origin: str, seq: int, sealed: bytes) -> Design:
        return self.host.open_design(origin, seq, sealed)

    def followed(self, origin: str) -> list[bytes]:
        return self.host.followed(origin)

    def resume(self, origin: str, entries: Sequence[bytes]) -> str:
        return self.host.resume(origin, entries)


class Served:
    """A server in a thread of this process.

    Attributes:
        server: It.
        path: Its socket.
        reported: What it was told of faults of the program.
    """

    def __init__(
        self,
        folder: Path,
        sealer: LocalSealer | None,
        *,
        user: int | None = None,
        unlock: LocalSealer | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.path = folder / "socket"
        self.reported: list[str] = []
        self.passphrases: list[str] = []

        def open_with(passphrase: str) -> LocalSealer:
            self.passphrases.append(passphrase)
            assert unlock is not None
            return unlock

        self.server = SealerServer(
            self.path,
            os.geteuid() if user is None else user,
            unlock=open_with,
            sealer=sealer,
            report=self.reported.append,
            limits=limits,
        )
        self._thread = threading.Thread(target=self.server.serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.stop()
        self._thread.join(PATIENCE)
        self.server.close()


def python_for_anybody() -> str:
    """Return an interpreter of this version that any user may run.

    Raises:
        AssertionError: There is none, so that what needs two users cannot be tested here.
    """
    for found in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        real = Path(found).resolve()
        ways = [real, *real.parents]
        if real.exists() and all(way.stat().st_mode & stat.S_IXOTH for way in ways):
            return found
    raise AssertionError("no Python that another user may run: make the interpreter readable")


def environ_for_anybody(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process of another user: this tree, and these libraries."""
    kept = process_environ(environ)
    places = [path for path in sys.path if path.endswith("site-packages")]
    kept["PYTHONPATH"] = os.pathsep.join([kept["PYTHONPATH"], *places])
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return {name: value for name, value in kept.items() if not name.startswith("COVERAGE")}


def run_as(
    uid: int, arguments: Sequence[object], environ: Mapping[str, str], **options: object
) -> "subprocess.CompletedProcess[str]":
    """Run Python as another user; root alone can."""
    require_root()
    return subprocess.run(  # type: ignore[call-overload, no-any-return]  # options are run's own
        [python_for_anybody(), *(str(item) for item in arguments)],
        env=environ_for_anybody(environ), user=uid, group=uid, extra_groups=[], cwd="/",
        capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


def require_root() -> None:
    """Refuse to pass where nobody can start a process as another user."""
    assert os.geteuid() == 0, "two users are tested here: run these tests as root, as CI does"


class SealerProcess:
    """`alloc sealer serve` as a process of a user of its own.

    Args:
        environ: Names the installation; ALLOC_SEALER_SOCKET is where it listens.
        log: Where its own words go.
        user: The user id that it serves.
        uid: The user id that it runs as.
    """

    def __init__(
        self, environ: Mapping[str, str], log: Path, user: int = WEB_UID, uid: int = SEALER_UID
    ) -> None:
        require_root()
        self._environ, self._log, self._user, self._uid = environ, log, user, uid
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        return Path(self._environ["ALLOC_SEALER_SOCKET"])

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, and wait until it listens."""
        arguments = [python_for_anybody(), "-m", "alloc_service.cli", "sealer", "serve"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*arguments, "--for-user", str(self._user)],
                env=environ_for_anybody(self._environ), user=self._uid, group=self._uid,
                extra_groups=[], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        ends = time.monotonic() + PATIENCE
        while "listens" not in self._log.read_text():
            assert time.monotonic() < ends, self._log.read_text()
            assert self.process.poll() is None, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """End it as its supervisor does; return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)
