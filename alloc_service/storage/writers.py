"""Writers of one database queue here, in the order they came, before they ask the database.

SQLite's own waiting polls with growing pauses, and a pool of connections lets later threads
pass earlier ones, so that under load a few writers wait very long. One queue a database and
process removes that: with one place for SQLite, and one for each connection to PostgreSQL. After
a fork the child starts with queues of its own: a place that another thread of the parent held
would never come free there.
"""

import os
import threading
from collections import deque


class WriterQueue:
    """Lets so many threads in at a time, first come, first served."""

    def __init__(self, places: int = 1) -> None:
        self._mutex = threading.Lock()
        self._tickets: deque[threading.Lock] = deque()
        self._free = places
        self._holders: set[int] = set()

    def enter(self, patience: float) -> bool:
        """Wait for the turn and take it; whoever took it calls `leave`.

        Args:
            patience: Seconds to wait.

        Returns:
            Whether the turn came in time.

        Raises:
            RuntimeError: This thread has the turn already: it would wait for itself for ever.
        """
        me = threading.get_ident()
        if me in self._holders:
            raise RuntimeError("a write transaction was begun inside another one of its thread")
        if not self._wait(self._draw_ticket(), patience):
            return False
        self._holders.add(me)
        return True

    def leave(self) -> None:
        """Pass the turn on to whoever has waited longest."""
        self._holders.discard(threading.get_ident())
        self._pass_on()

    def _draw_ticket(self) -> threading.Lock:
        ticket = threading.Lock()
        with self._mutex:
            if self._free:
                self._free -= 1
            else:
                ticket.acquire()
                self._tickets.append(ticket)
        return ticket

    def _wait(self, ticket: threading.Lock, patience: float) -> bool:
        served = False
        try:
            served = ticket.acquire(timeout=patience)
        finally:
            # Also when a signal ends the wait: a ticket left behind would stop the queue.
            if not served:
                self._hand_back(ticket)
        return served

    def _hand_back(self, ticket: threading.Lock) -> None:
        with self._mutex:
            waiting = ticket in self._tickets
            if waiting:
                self._tickets.remove(ticket)
        if not waiting:  # it was called between the end of the wait and now
            self._pass_on()

    def _pass_on(self) -> None:
        with self._mutex:
            if self._tickets:
                self._tickets.popleft().release()
            else:
                self._free += 1


class _Registry:
    """The queues of this process."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        self.mutex = threading.Lock()
        self.queues: dict[str, WriterQueue] = {}


_registry = _Registry()
os.register_at_fork(after_in_child=_registry.start_anew)


def queue_of(name: str, places: int) -> WriterQueue:
    """Return this process's one queue for a database, made with so many places."""
    with _registry.mutex:
        return _registry.queues.setdefault(name, WriterQueue(places))
