"""The directory of the keys, held open: who may look in, what may lie there, how a file lands.

Rules: the directory is 0700 or stricter and each file 0600 or stricter, all owned by the user
that runs the service; neither is a symbolic link. What is checked is what was opened: the
directory's descriptor is taken once, every name is opened relative to it without following
links, and mode, owner and kind are read from the opened file, so that nothing can be exchanged
between a check and a use. `README.md` and `.gitignore` come with the source, hold nothing and
may have any mode; no other name is allowed but those that the caller knows.

A file lands whole or not at all: written under another name with mode 0600 whatever the umask,
fsynced, renamed, the directory fsynced. One process writes at a time, under a lock on the
directory; what an interrupted one left is named `.unfinished-…` and is never read.
"""

import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from alloc_service.errors import (
    KeysLinkError,
    KeysLooseError,
    KeysMissingError,
    KeysOwnerError,
    KeysUnusableError,
)

FROM_THE_SOURCE = frozenset({"README.md", ".gitignore"})
UNFINISHED = ".unfinished-"
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR})


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """The opened and locked directory of the keys.

    Attributes:
        path: As given, for texts.
        descriptor: The open directory; every file is opened relative to it.
    """

    path: Path
    descriptor: int

    def names(self) -> list[str]:
        """Return the names of the files here, sorted, without those that the source brings.

        Raises:
            KeysLinkError: README.md or .gitignore is a symbolic link or no file.
        """
        with _refusals(self.path):
            found = sorted(self._listed())
            for name in FROM_THE_SOURCE.intersection(found):
                status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
                _require_file(status, self.path / name)
        return [name for name in found if name not in FROM_THE_SOURCE]

    def require_private(self) -> None:
        """Check that nobody else may look in.

        Raises:
            KeysLooseError: The mode has a bit for the group or for others.
        """
        _require_mode(os.fstat(self.descriptor), self.path, DIRECTORY_MODE)

    def make_private(self) -> None:
        """Give the directory mode 0700; a checkout of the source makes it 0755."""
        with _refusals(self.path):
            os.fchmod(self.descriptor, DIRECTORY_MODE)

    def read(self, name: str, limit: int) -> bytes:
        """Return a private file's bytes, at most one more than `limit`.

        Raises:
            KeysLinkError: The name is a symbolic link, or no regular file.
            KeysOwnerError: It belongs to somebody else.
            KeysLooseError: Others may read or write it.
            KeysUnusableError: The system will not read it.
        """
        path = self.path / name
        # O_NONBLOCK: opening a FIFO that somebody put here would wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _refusals(path, "a file"):
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
            try:
                status = os.fstat(descriptor)
                _require_file(status, path)
                _require_own(status, path)
                _require_mode(status, path, FILE_MODE)
                return os.read(descriptor, limit + 1)
            finally:
                os.close(descriptor)

    def write(self, name: str, data: bytes) -> None:
        """Put a file there whole, mode 0600, replacing what has the name, durably.

        Raises:
            KeysUnusableError: The system will not write it; what was there stays.
        """
        unfinished = UNFINISHED + name
        with _refusals(self.path / name):
            try:
                self._write_new(unfinished, data)
                os.rename(unfinished, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            except OSError:
                self.clear_unfinished()
                raise
            os.fsync(self.descriptor)

    def clear_unfinished(self) -> None:
        """Remove what an interrupted writer left; only while holding the lock for writing."""
        with _refusals(self.path):
            for name in self._listed():
                if name.startswith(UNFINISHED):
                    os.unlink(name, dir_fd=self.descriptor)

    def _listed(self) -> list[str]:
        return os.listdir(self.descriptor)  # noqa: PTH208 - a path cannot name an open directory

    def _write_new(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, FILE_MODE, dir_fd=self.descriptor)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, FILE_MODE)  # a umask may have taken the owner's own bits
            file.write(data)
            file.flush()
            os.fsync(descriptor)


@contextmanager
def open_folder(path: Path, *, writing: bool = False) -> Iterator[KeyFolder]:
    """Open and lock the directory of the keys; made first, 0700, where a writer finds none.

    Args:
        path: The directory.
        writing: Whether files will be written: alone, and making the directory.

    Raises:
        KeysMissingError: There is no such directory.
        KeysLinkError: It is a symbolic link or no directory.
        KeysOwnerError: It belongs to somebody else.
        KeysUnusableError: The system will not open it or make it.
    """
    descriptor = _open_directory(path, writing=writing)
    try:
        yield KeyFolder(path, descriptor)
    finally:
        os.close(descriptor)  # which also lets the lock go


def command(*words: object) -> str:
    """Return a shell command that somebody can paste, whatever a path holds."""
    return shlex.join(str(word) for word in words)


def _open_directory(path: Path, *, writing: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with _refusals(path):
        if writing:
            _make_directory(path)
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise KeysMissingError(path=path, command="alloc init") from None
        try:
            _require_own(os.fstat(descriptor), path)
            fcntl.flock(descriptor, fcntl.LOCK_EX if writing else fcntl.LOCK_SH)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _make_directory(path: Path) -> None:
    with suppress(FileExistsError):
        path.mkdir(DIRECTORY_MODE, parents=True)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)  # or a crash could take the directory away with the keys in it
        finally:
            os.close(parent)


def _require_file(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _link(path, "a file")


def _require_own(status: os.stat_result, path: Path) -> None:
    user = os.geteuid()
    if status.st_uid != user:
        mend = command("chown", user, path)
        raise KeysOwnerError(path=path, owner=status.st_uid, user=user, command=mend)


def _require_mode(status: os.stat_result, path: Path, wanted: int) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        mend = command("chmod", f"{wanted:04o}", path)
        raise KeysLooseError(path=path, mode=f"{mode:04o}", wanted=f"{wanted:04o}", command=mend)


def _link(path: Path, wanted: str) -> KeysLinkError:
    return KeysLinkError(path=path, wanted=wanted, command=command("ls", "-ld", path))


@contextmanager
def _refusals(path: Path, wanted: str = "a directory") -> Iterator[None]:
    """Turn the system's refusals into ours, whose text names the path and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _LINK_ERRORS:
            raise _link(path, wanted) from None
        if error.errno == errno.EACCES:
            with suppress(OSError):
                _require_own(path.lstat(), path)
        look = command("ls", "-ld", path)
        reason = error.strerror or "the system refused"
        raise KeysUnusableError(path=path, reason=reason, command=look) from None
