"""Disks that refuse: full for real, or failing to keep what they were told to."""

import contextlib
import errno
import itertools
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

import pytest


class SmallDisk(Protocol):
    """A directory on a disk that can be filled and freed."""

    directory: Path

    def fill(self) -> None: ...

    def free(self) -> None: ...


class MountedDisk:
    """A tmpfs of 4 MiB that this process mounted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ballast = directory / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (65_536, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        self._ballast.unlink()


class LimitedDisk:
    """A directory in which this process can make no file longer than those that are there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(self) -> None:
        longest = max(path.stat().st_size for path in self.directory.glob("*.anchor"))
        # Half an entry still goes in: what is written before the refusal must be taken back.
        resource.setrlimit(resource.RLIMIT_FSIZE, (longest + 100, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@contextlib.contextmanager
def mounted(directory: Path) -> Iterator[MountedDisk | None]:
    """Mount a small disk, or give none where this user may not."""
    directory.mkdir()
    what = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(directory)]
    if os.geteuid() or subprocess.run(what, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield MountedDisk(directory)
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def break_fsync(patch: pytest.MonkeyPatch, at: Collection[int] | None = None) -> Callable[[], int]:
    """Let fsync fail, at these calls or at all; return what counts the calls so far."""
    real, calls = os.fsync, itertools.count()
    made = [0]

    def fsync(descriptor: int) -> None:
        made[0] = next(calls) + 1
        if at is None or made[0] - 1 in at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    patch.setattr(os, "fsync", fsync)
    return lambda: made[0]
