"""What the database opens: a connection to ask, a session that reads, a transaction that writes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Self

from sqlalchemy import Connection, Dialect
from sqlalchemy.orm import Session

from alloc_service.errors import AppendOnlyError


class Asking:
    """A connection whose transaction has begun, for prepared statements.

    Attributes:
        driver: The driver's connection, for `alloc_service.storage.prepared`.
        dialect: How its SQL is written.
    """

    def __init__(self, driver: Any, dialect: Dialect) -> None:
        self.driver = driver
        self.dialect = dialect


class Reading(Asking, Session):
    """A session on a connection whose transaction has begun.

    Attributes:
        core: The connection itself. What needs no objects, on the way of every request, is asked
            of it: the session's own way to it costs as much again as the statement.
    """

    def __init__(self, connection: Connection) -> None:
        Session.__init__(self, connection, expire_on_commit=False)
        Asking.__init__(self, connection.connection.dbapi_connection, connection.dialect)
        self.core = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Forget a connection that was lost: the pool would try to use it, and say so aloud."""
        if getattr(self.driver, "closed", False):
            self.core.invalidate()


class Callbacks:
    """What is called when a transaction has ended, however it ends."""

    def __init__(self) -> None:
        self.committed = False
        self.after_commit: list[Callable[[], None]] = []
        self.after_end: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Call each, also where one fails; a failure is raised then."""
        with ExitStack() as stack:
            callbacks = [*(self.after_commit if self.committed else ()), *self.after_end]
            for callback in reversed(callbacks):
                stack.callback(callback)


class Transaction(Reading):
    """A write transaction: a session that can be told what to do when it has ended."""

    def __init__(self, connection: Connection, callbacks: Callbacks) -> None:
        super().__init__(connection)
        self._callbacks = callbacks
        self._expected: list[tuple[Any, str]] = []
        self.reads_back: list[Callable[[Reading], None]] = []

    @property
    def committed(self) -> bool:
        """Return whether the commit was answered."""
        return self._callbacks.committed

    @contextmanager
    def sending_together(self) -> Iterator[None]:
        """Send the prepared statements of the block without waiting for each one's answer.

        What the database refuses of them is raised at the end of the block. SQLite, which is no
        journey away, answers each at once.
        """
        pipeline = getattr(self.driver, "pipeline", nullcontext)
        with pipeline():
            yield

    def read_back(self, read: Callable[[Reading], None]) -> None:
        """Call this after the commit with the connection, for one prepared statement.

        It sees the database as anybody does from then on, and saves another connection. Where
        it fails, it was not called: what was committed is so all the same.
        """
        self.reads_back.append(read)

    def expect_one_row(self, cursor: Any, rule: str) -> None:
        """Check, at the commit at the latest, that this statement has changed one row.

        Raises:
            AppendOnlyError: It has not; here where it has answered already.
        """
        self._expected.append((cursor, rule))
        if cursor.rowcount >= 0:
            self.require_expected()

    def require_expected(self) -> None:
        """Check what was expected so far.

        Raises:
            AppendOnlyError: A statement has not changed one row.
        """
        for cursor, rule in self._expected:
            if cursor.rowcount != 1:
                raise AppendOnlyError(rule=rule)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call this after the commit, in the order of asking; not after a rollback."""
        self._callbacks.after_commit.append(callback)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call this after commit or rollback, in the order of asking, after all `on_commit`."""
        self._callbacks.after_end.append(callback)
