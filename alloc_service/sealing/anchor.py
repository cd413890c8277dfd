"""Anchors: for each trial, an append-only, fsynced copy of the very entries that were followed.

An anchor is at once the high-water mark and a second copy of the log. It is never in the
database's backup. Its file is named SHA-256(ORIGIN); beside it lie its lock, and, where they
are needed, `frozen`, `blocked` and `accepted`. A registered origin without its anchor is frozen.
Under the lock a process reads what others wrote before anything else, and only there a torn
last line is cut. An anchor never gets smaller: not through what is written here, and a process
that finds less in it than it followed itself refuses it as damaged.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from alloc_service.core.merkle import Frontier
from alloc_service.errors import (
    AnchorDamagedError,
    AnchorMissingError,
    AnchorWriteError,
    BlockedError,
    RefusalError,
    RuleError,
)
from alloc_service.log.entry import LONGEST, Entry, read_entry
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from alloc_service.sealing.files import (
    FileLock,
    count_forks,
    open_file,
    put_in_place,
    read_file,
    refusing_disk_errors,
    remove_file,
    replace_file,
    sync_directory,
    write_beside,
)
from alloc_service.sealing.register import Register

__all__ = ["Anchor", "Register"]

_Look: TypeAlias = tuple[int, int, int]  # inode, bytes, nanosecond of the last change


class Anchor:
    """One trial's anchor on this host, shared by all processes under its lock.

    The attributes are good only while `held`, after its refresh.

    Attributes:
        state: What the followed entries mean.
        leaves: The leaf hash of each followed entry, 32 bytes each.
        tree: The tree over them.
    """

    def __init__(self, directory: Path, origin: str) -> None:
        self.origin = origin
        stem = hashlib.sha256(origin.encode()).hexdigest()
        self.path = directory / f"{stem}.anchor"
        self.frozen_path = directory / f"{stem}.frozen"
        self.blocked_path = directory / f"{stem}.blocked"
        self.accepted_path = directory / f"{stem}.accepted"
        self._lock = FileLock(directory / f"{stem}.lock")
        self._doubtful = False  # a write failed, and what the disk kept is not known
        self._damage: tuple[str, _Look] = ("", (0, 0, 0))  # why, and of which file
        self._followed = (0, "", 0)  # size, last leaf and recoveries that were on disk once
        self._end: tuple[_Look, tuple[int, str]] | None = None  # a file's end, as read last
        self.forget()

    def forget(self) -> None:
        """Drop what is in memory; the next `refresh` reads the whole anchor anew."""
        self.state = LogState()
        self.leaves: list[bytes] = []
        self.tree = Frontier()
        self._offset = 0
        self._inode = (0, 0)
        self._ahead = False  # of the disk: something was taken and is not written
        self._born = count_forks()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the anchor's lock, without reading it; what was not written is forgotten after."""
        with refusing_disk_errors(self.path), self._lock.held():
            try:
                yield
            finally:
                if self._ahead:
                    self.forget()

    def refresh(self) -> None:
        """Read and fold what other processes wrote; cut a torn last line. Under the lock only.

        Raises:
            AnchorMissingError: The file is not there, or is empty.
            AnchorDamagedError: What stands in it does not fold, or this process followed more.
            AnchorWriteError: An earlier write failed, and the disk still refuses.
        """
        if self._born != count_forks():  # another thread of the parent may have been at it
            self.forget()
        if not self._is_as_written():
            self._catch_up()
        if not self.state.size:
            raise AnchorMissingError(origin=self.origin, path=self.path)
        self._require_no_less()
        if self._doubtful:
            self._rewrite(b"")

    def take(self, entry: Entry) -> None:
        """Fold one entry in memory; `write` makes it durable, or everything is read anew.

        Raises:
            RuleError: The entry may not stand here; nothing has changed.
        """
        before, self._ahead = self._ahead, True
        try:
            fold(self.state, entry)
        except RuleError:
            self._ahead = before
            raise
        leaf = bytes.fromhex(entry.leaf)
        self.leaves.append(leaf)
        self.tree.append(leaf)

    def write(self, entries: Sequence[Entry]) -> None:
        """Make the entries that were just taken durable.

        An fsync after a failed one proves nothing: after a failure the whole anchor goes to a
        new file. If that fails too, nothing was followed: the anchor is read anew before its
        next use.

        Raises:
            AnchorWriteError: The disk refused.
            AnchorMissingError: Somebody removed the anchor just now.
        """
        data = b"".join(entry.data + b"\n" for entry in entries)
        try:
            self._append(data)
        except OSError:  # also where there is no anchor: a recovery begins with the whole log
            self._rewrite(data)
        self._ahead = False
        self._followed = (self.state.size, self.state.last, self.state.recoveries)
        self._end = self._look(), (self.state.size, self.state.last)

    def prepare(self, entry: Entry) -> Path:
        """Write a new anchor beside its place: all that needs room, before it is registered."""
        return write_beside(self.path, entry.data + b"\n")

    def create(self, prepared: Path) -> None:
        """Put a prepared anchor in its place and read it, once its origin is registered."""
        put_in_place(prepared, self.path)
        self.refresh()

    def entries(self) -> list[bytes]:
        """Return every followed entry's bytes, for recovery. Under the lock, after `refresh`."""
        with self.path.open("rb") as file:
            return file.read(self._offset)[:-1].split(b"\n")

    def why_frozen(self) -> str:
        """Return why this trial is frozen, or ""; read without a lock."""
        reason = read_file(self.frozen_path)
        return "" if reason is None else _text(reason) or "for no stated reason"

    def why_blocked(self) -> str:
        """Return which entry is not followed and why, or ""; read without a lock."""
        block = read_file(self.blocked_path)
        return "" if block is None else _text(block.partition(b"\n")[2]) or "for no stated reason"

    def why_damaged(self) -> str:
        """Return what this process found damaged in the file as it is now, or ""."""
        why, found = self._damage
        return why if why and found == self._look() else ""

    def why_doubtful(self) -> str:
        """Return why writing cannot be relied on after a failure, or "" once the disk works."""
        if not self._doubtful:
            return ""
        try:  # what comes next is a new file of the whole anchor: is there room for it?
            with tempfile.TemporaryFile(dir=self.path.parent) as probe:
                os.posix_fallocate(probe.fileno(), 0, self.path.stat().st_size + LONGEST)
                os.fsync(probe.fileno())
        except OSError as error:
            return f"the disk refused the anchor: {error.strerror}"
        return ""

    def freeze(self, reason: str) -> None:
        """Freeze this trial, lastingly: nothing opens and nothing is appended."""
        if read_file(self.frozen_path) is None:
            replace_file(self.frozen_path, reason.encode())

    def thaw(self) -> None:
        """End the block and the freeze, after a recovery was followed."""
        remove_file(self.blocked_path)
        remove_file(self.frozen_path)

    def block(self, leaf: bytes, reason: str) -> None:
        """Remember which entry could not be followed, for every process to see."""
        block = f"{self.state.size} {leaf.hex()}\n{reason}".encode()
        if block != read_file(self.blocked_path):
            replace_file(self.blocked_path, block)

    def require_unblocked(self, entry: Entry) -> None:
        """Check that no other entry than this one blocks the trial here.

        Raises:
            BlockedError: The block ends with that very entry, or by a recovery.
        """
        block = read_file(self.blocked_path)
        here = f"{entry.seq} {entry.leaf}\n".encode()
        if not (block is None or self._is_past(block) or block.startswith(here)):
            rule = f"{self.why_blocked()} Another entry is shown in its place now."
            raise BlockedError(reason=rule)

    def unblock(self) -> None:
        """Forget the block, once the entry that it names was followed."""
        block = read_file(self.blocked_path)
        if block is not None and self._is_past(block):
            remove_file(self.blocked_path)

    def tail(self) -> tuple[int, str]:
        """Return size and last leaf from the end of the file, without a lock.

        A line that is being written at this moment has no end yet, and does not count.

        Raises:
            AnchorDamagedError: The last line is no entry.
        """
        found, known = self._look(), self._end
        if known is None or known[0] != found:
            known = self._end = (found, self._read_end())
        return known[1]

    def _read_end(self) -> tuple[int, str]:
        try:
            descriptor = open_file(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return 0, ""
        with os.fdopen(descriptor, "rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - 2 * (LONGEST + 1)))  # the last line, and a torn one
            whole, newline, _torn = file.read().rpartition(b"\n")
        if not newline:
            return 0, ""
        try:
            last = read_entry(whole.rpartition(b"\n")[2])
        except RefusalError as error:
            raise AnchorDamagedError(path=self.path, where="its end", rule=error) from None
        return last.seq + 1, last.leaf

    def _is_as_written(self) -> bool:
        """Tell whether the file is the one in memory, and no longer than what is in memory."""
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino, found.st_size) == (*self._inode, self._offset)

    def _catch_up(self) -> None:
        try:
            descriptor = open_file(self.path, os.O_RDWR)
        except FileNotFoundError:
            self.forget()
            raise AnchorMissingError(origin=self.origin, path=self.path) from None
        with os.fdopen(descriptor, "r+b") as file:
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != self._inode or found.st_size < self._offset:
                self.forget()
                self._inode = (found.st_dev, found.st_ino)
            if found.st_size > self._offset:
                self._load(file)

    def _load(self, file: BinaryIO) -> None:
        file.seek(self._offset)
        first = self._offset == 0
        whole, newline, torn = file.read().rpartition(b"\n")
        try:
            for line in whole.split(b"\n") if newline else ():
                self.take(read_entry(line))
        except RefusalError as error:
            seq, inode = self.state.size, self._inode
            self.forget()
            if first:
                raise self._damaged(f"entry {seq}", error) from None
            self._inode = inode  # perhaps another file to which the system gave the same number
            self._load(file)
            return
        self._offset += len(whole) + len(newline)
        if torn:
            file.truncate(self._offset)
        try:  # whoever wrote this may have been killed before it was on disk
            os.fsync(file.fileno())
            if first:
                sync_directory(self.path.parent)
        except OSError:
            self._doubtful = True
            raise
        self._ahead = False

    def _require_no_less(self) -> None:
        size, last, recoveries = self._followed
        less = self.state.size < size or (size and self.leaves[size - 1].hex() != last)
        if less and self.state.recoveries <= recoveries:
            self.forget()
            rule = f"it held {size} entries once, and not all of them are there."
            raise self._damaged("its end", rule)
        self._followed = (self.state.size, self.state.last, self.state.recoveries)

    def _damaged(self, where: str, rule: object) -> AnchorDamagedError:
        error = AnchorDamagedError(path=self.path, where=where, rule=rule)
        self._damage = (str(error), self._look())
        return error

    def _look(self) -> _Look:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return 0, 0, 0
        return found.st_ino, found.st_size, found.st_ctime_ns

    def _is_past(self, block: bytes) -> bool:
        seq = block.partition(b" ")[0]
        return seq.isdigit() and int(seq) < self.state.size

    def _append(self, data: bytes) -> None:
        descriptor = open_file(self.path, os.O_WRONLY)
        try:
            os.lseek(descriptor, self._offset, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._offset)
            raise
        finally:
            os.close(descriptor)
        self._offset += len(data)

    def _rewrite(self, data: bytes) -> None:
        self._doubtful = True
        try:
            old = (read_file(self.path) or b"")[: self._offset]
            if len(old) != self._offset:  # somebody removed or cut it since it was read
                raise AnchorMissingError(origin=self.origin, path=self.path)
            replace_file(self.path, old + data)
            found = self.path.stat()
        except OSError as error:
            raise AnchorWriteError(path=self.path, reason=error.strerror) from None
        self._doubtful = False
        self._inode = (found.st_dev, found.st_ino)
        self._offset = len(old) + len(data)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
