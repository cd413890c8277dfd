"""Durable files: what is on disk when a call returns, and one writer at a time.

A file is replaced as a whole: a new file beside it, fsync, rename, fsync of the directory. It
has mode 0600 whatever the umask, and a symbolic link is never followed.

A lock is a file of its own, never renamed, opened anew each time; inside one process a thread
lock stands before it. A child after a fork shares nothing with its parent: it begins with thread
locks of its own, and lets go at once of every lock file that its parent had open, for `flock`
belongs to all copies of a descriptor: the child could free the parent's lock by mistake, or keep
it long after the parent was killed.
"""

import contextlib
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alloc_service.errors import AnchorsExposedError, AnchorWriteError
from alloc_service.sealing.folder import command

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
# O_NONBLOCK: a FIFO that somebody put in a file's place would wait for ever.
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def refusing_disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a refusal that names the file.

    Raises:
        AnchorWriteError: Instead of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        found = error.filename or path
        raise AnchorWriteError(path=found, reason=error.strerror or "an error") from None


def open_file(path: Path, flags: int) -> int:
    """Open a file without following a link, and make it 0600 where it is made; an `OSError`."""
    descriptor = os.open(path, flags | _OPEN, FILE_MODE)
    if flags & os.O_CREAT and stat.S_IMODE(os.fstat(descriptor).st_mode) != FILE_MODE:
        os.fchmod(descriptor, FILE_MODE)  # a umask may have taken the owner's own bits
    return descriptor


def read_file(path: Path) -> bytes | None:
    """Return a file's bytes, or none where there is no file; a symlink is an `OSError`."""
    try:
        descriptor = open_file(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def replace_file(path: Path, data: bytes) -> None:
    """Put bytes in a file's place, durably, or raise and leave no half of them.

    Raises:
        OSError: The disk is full, broken or read-only. The old file stands, or, where only
            the last fsync failed, the new one, which a power cut may still undo.
    """
    put_in_place(write_beside(path, data), path)


def write_beside(path: Path, data: bytes) -> Path:
    """Write bytes to a new file beside `path`, durably; nothing is in its place yet."""
    beside = path.with_name(path.name + ".new")
    try:
        with os.fdopen(open_file(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return beside


def put_in_place(beside: Path, path: Path) -> None:
    """Rename a file that `write_beside` made, durably."""
    beside.replace(path)
    sync_directory(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file durably, if it is there."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Add one line to a small file, durably, by replacing the whole file."""
    replace_file(path, (read_file(path) or b"") + line + b"\n")


def sync_directory(directory: Path) -> None:
    """Make renames and removals in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_directory(path: Path) -> None:
    """Make a directory 0700, or take an empty one, durably.

    Raises:
        AnchorsExposedError: It is there, holds something, and others can reach it.
        AnchorWriteError: The disk refused it.
    """
    with refusing_disk_errors(path):
        with contextlib.suppress(FileExistsError):
            path.mkdir(DIRECTORY_MODE, parents=True)
            path.chmod(DIRECTORY_MODE)  # a umask may have taken the owner's own bits
        if not path.is_symlink() and not any(path.iterdir()):
            path.chmod(DIRECTORY_MODE)
        sync_directory(path.parent)
    require_private_directory(path)


def require_private_directory(path: Path) -> None:
    """Check that nobody else can read or change what lies in a directory.

    Raises:
        AnchorsExposedError: It is a link, another's, or open to others.
        AnchorWriteError: It cannot be looked at.
    """
    with refusing_disk_errors(path):
        found = path.lstat()
    user, mode = os.geteuid(), stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        rule, mend = "it is a symbolic link or no directory", command("ls", "-ld", path)
    elif found.st_uid != user:
        rule = f"it belongs to user id {found.st_uid}, and this service runs as {user}"
        mend = command("chown", user, path)
    elif mode & 0o077:
        rule = f"it is open to other users (mode {mode:04o}; it must be {DIRECTORY_MODE:04o})"
        mend = command("chmod", f"{DIRECTORY_MODE:04o}", path)
    else:
        return
    raise AnchorsExposedError(path=path, rule=rule, command=mend)


@dataclass(slots=True)
class _Process:
    """What a child after a fork must not share with its parent."""

    forks: int = 0
    descriptors: set[int] = field(default_factory=set)
    opening: threading.RLock = field(default_factory=threading.RLock)

    def open_lock(self, path: Path) -> int:
        with self.opening:  # nobody forks between the opening and the noting
            descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
            self.descriptors.add(descriptor)
        return descriptor

    def close_lock(self, descriptor: int) -> None:
        with self.opening:
            self.descriptors.remove(descriptor)
            # Said aloud, not left to close: a fork in a C library runs no hook of ours.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def begin_anew(self) -> None:
        self.forks += 1
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
        self.opening.release()


_process = _Process()
os.register_at_fork(
    before=_process.opening.acquire,
    after_in_parent=_process.opening.release,
    after_in_child=_process.begin_anew,
)


def count_forks() -> int:
    """Return how many forks lie between the first process and this one.

    What a child finds in memory may be half of what another thread of its parent was at.
    """
    return _process.forks


@dataclass(slots=True)
class _Turn:
    lock: threading.RLock = field(default_factory=threading.RLock)
    depth: int = 0


class FileLock:
    """Excludes the threads of this process and all other processes that take the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns: dict[int, _Turn] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; the same thread may hold it again inside."""
        turn = self._turns.setdefault(count_forks(), _Turn())
        with turn.lock:
            turn.depth += 1
            try:
                with self._file() if turn.depth == 1 else contextlib.nullcontext():
                    yield
            finally:
                turn.depth -= 1

    @contextlib.contextmanager
    def _file(self) -> Iterator[None]:
        born = count_forks()
        descriptor = _process.open_lock(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            if born == count_forks():  # in a child forked inside, it is closed already
                _process.close_lock(descriptor)
