"""Forking: no SQLite connection of the parent may be open at the moment of a fork.

SQLite keeps the locks of each file in tables of the process. A child inherits them, and with
them the lock of a writer in another thread of the parent, who in the child will never end. So
a fork waits until the transactions of all other threads are over, while new ones wait for the
fork; then all connections are closed, and parent and child each open their own.

A thread that forks inside its own transaction cannot be waited for: the child must then not
use that database.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# A fork is not held up for ever by a transaction that hangs.
_LONGEST_WAIT = 30.0


class ForkGate:
    """Counts the open transactions of a process; closed, it lets no new one begin."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Forget the threads of the parent, which a child does not have."""
        self._changed = threading.Condition()
        self._closed = False
        self._open: dict[int, int] = {}

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be counted for the block; a thread that is counted already need not wait."""
        me = threading.get_ident()
        with self._changed:
            while self._closed and me not in self._open:
                self._changed.wait()
            self._open[me] = self._open.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._leave(me)

    def close(self) -> None:
        """Let nobody in, and wait until all others are out."""
        me = threading.get_ident()
        until = time.monotonic() + _LONGEST_WAIT
        with self._changed:
            self._closed = True
            while any(thread != me for thread in self._open):
                if not self._changed.wait(until - time.monotonic()):
                    return

    def reopen(self) -> None:
        """Let those in who have waited."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def _leave(self, thread: int) -> None:
        self._open[thread] = self._open.get(thread, 1) - 1
        if self._open[thread] == 0:
            del self._open[thread]
            self._changed.notify_all()


gate = ForkGate()
