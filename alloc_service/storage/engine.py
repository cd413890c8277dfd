"""One database: reads that see one state, writes that are whole or nothing, errors as refusals.

`read()`, `ask()`, `write()` and `jot()` are the only ways in. What leaves them is a refusal of ours
or an exception of the caller's, never a driver's. A write ends with its callbacks: `on_commit`
keeps what is now true (a cache), `on_end` lets go (a lock); they run after commit or rollback and
before this thread gives up its turn to write, so they may read, but not write.

Forking: connections are closed before a fork and the child begins with none
(`alloc_service.storage.processes`).
"""

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from weakref import WeakSet

from sqlalchemy import Engine, Pool, make_url
from sqlalchemy.exc import ArgumentError

from alloc_service.errors import (
    ConfigError,
    DatabaseBusyError,
    DatabaseUnreachableError,
    RefusalError,
)
from alloc_service.storage import postgresql, schema, sqlite
from alloc_service.storage.processes import gate
from alloc_service.storage.refusals import as_refusals, committing
from alloc_service.storage.transactions import Asking, Callbacks, Reading, Transaction
from alloc_service.storage.writers import queue_of

# Longer than any honest transaction takes, shorter than a proxy waits for an answer.
PATIENCE = 30.0


class Database:
    """A SQLite file or a PostgreSQL database.

    Args:
        url: `sqlite:////absolute/path` or `postgresql://…`; may hold a password.
        patience: Seconds to wait for another writer, a lock or a connection.

    Attributes:
        dialect: "sqlite" or "postgresql".
        location: Where it is, for texts: without user and password.

    Raises:
        ConfigError: The URL names neither.
    """

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise _bad_url() from None
        self.patience = patience
        self.dialect = parsed.get_backend_name()
        self.path: Path | None = None
        if self.dialect == "sqlite" and parsed.database and parsed.database != ":memory:":
            self.path = Path(parsed.database).resolve()
            self.location = f"SQLite file {self.path}"
            self._queue_name, self._writers = str(self.path), 1
            self._reader = sqlite.reader_of(self.path, patience)
            self._writer = sqlite.writer_of(self.path, patience)
            self._jotter = sqlite.jotter_of(self.path, patience)
        elif self.dialect == "postgresql" and parsed.database:
            self.location = f"PostgreSQL {parsed.database} on {parsed.host or 'this machine'}"
            self._queue_name = parsed.render_as_string(hide_password=True)
            self._writers = postgresql.MOST_CONNECTIONS
            self._reader = postgresql.reader_of(parsed, patience)
            self._writer = self._jotter = postgresql.writer_of(parsed, patience)
        else:
            raise _bad_url()
        _open_databases.add(self)

    def __repr__(self) -> str:
        return f"Database({self.location})"

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """Open a transaction that sees one state of the database, from its first statement on.

        Raises:
            DatabaseError: The database could not be read; the class says why.
        """
        with (
            self._passed_gate(),
            as_refusals(self.location),
            self._reader.connect() as connection,
        ):
            connection.begin()
            reading = Reading(connection)
            with reading:
                yield reading

    @contextmanager
    def ask(self) -> Iterator[Asking]:
        """Open a read of prepared statements, each of which sees a state of its own.

        It costs a fraction of what `read` does, which is for what must agree with each other.

        Raises:
            DatabaseError: The database could not be read; the class says why.
        """
        alone = postgresql.alone if self.path is None else nullcontext
        with self._borrowed(self._reader) as asking, alone(asking.driver):
            yield asking

    @contextmanager
    def jot(self) -> Iterator[Asking]:
        """Open a write of prepared statements, whose commit does not wait for the disk.

        Nothing that anybody is shown or promised may be written so: a loss of power may undo
        it. On SQLite it has a connection of its own, so that nothing that must last is ever
        written over one that does not wait.

        Raises:
            DatabaseError: Nothing was written; the class says why.
        """
        with self._turn(), self._borrowed(self._jotter) as asking:
            driver = asking.driver
            with driver.pipeline() if self.path is None else nullcontext():
                driver.execute(postgresql.JOT if self.path is None else "BEGIN IMMEDIATE")
                yield asking
                driver.commit()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a transaction that is committed at the end of the block, durably, or not at all.

        Raises:
            DatabaseError: Nothing was written; the class says why. `CommitUnknownError` alone
                means that the change may be stored.
            AppendOnlyError: A trigger refused a row.
            ConstraintError: A named rule of the schema refused a row.
            RuntimeError: This thread is inside a write already.
        """
        with (
            self._turn(),
            self._passed_gate(),
            Callbacks() as callbacks,
            as_refusals(self.location),
            self._writer.connect() as connection,
        ):
            begun = connection.begin()  # SQLite's lock is ours from here on
            transaction = Transaction(connection, callbacks)
            with transaction:
                yield transaction
                transaction.flush()
                transaction.require_expected()
            with committing(self.location):
                begun.commit()
            callbacks.committed = True
            self._read_back(transaction)

    def check(self, *, reads_alone: bool = False) -> None:
        """Refuse a database that is unreachable, unsafe or of another schema version.

        Args:
            reads_alone: Whether nothing is to be written, as by a role that may only read.

        Raises:
            DatabaseError: It cannot be reached or written.
            DatabaseSettingError: A committed change could be lost.
            SchemaVersionError: The tables are older or newer than this program.
        """
        settings = sqlite.check if self.dialect == "sqlite" else postgresql.check
        with self.write() as transaction:
            connection = transaction.connection()
            settings(connection, self.location)
            schema.check_version(connection, self.location)
            if reads_alone:
                return
            # Changes no row; SQLite begins even a write where only reading is allowed.
            connection.exec_driver_sql("UPDATE log_head SET size = size WHERE trial_id = ''")

    def create(self) -> None:
        """Make the SQLite file if there is none; a PostgreSQL database is its owner's to make.

        Raises:
            DatabaseError: The file cannot be made.
        """
        if self.path is None:
            return
        try:
            with as_refusals(self.location):
                sqlite.create_file(self.path)
        except OSError as error:
            kind = errno.errorcode.get(error.errno or 0, "OSError")
            raise DatabaseUnreachableError(location=self.location, kind=kind) from None

    def upgrade(self) -> None:
        """Bring the tables to this program's version, in one transaction; make a missing file.

        Raises:
            SchemaVersionError: The tables are newer than this program.
            DatabaseError: Nothing was changed.
        """
        self.create()
        with self.write() as transaction:
            schema.upgrade(transaction.connection(), self.location)

    def schema_version(self) -> str | None:
        """Return the version of the tables, or None where there are none."""
        with self.read() as session:
            return schema.current(session.connection())

    def dispose(self) -> None:
        """Close all idle connections; the next transaction opens new ones."""
        for engine in self._engines:
            engine.dispose()

    def forget_connections(self) -> list[Pool]:
        """Begin anew in a forked child; the parent's connections must not even be closed."""
        inherited = [engine.pool for engine in self._engines]
        for engine in self._engines:
            engine.dispose(close=False)
        return inherited

    @property
    def _engines(self) -> set[Engine]:
        return {self._reader, self._writer, self._jotter}

    @contextmanager
    def _borrowed(self, engine: Engine) -> Iterator[Asking]:
        with self._passed_gate(), as_refusals(self.location):
            connection = engine.raw_connection()
            driver = connection.dbapi_connection
            try:
                yield Asking(driver, engine.dialect)
            finally:
                if getattr(driver, "closed", False):
                    connection.invalidate()
                connection.close()  # what was not committed is rolled back

    def _read_back(self, transaction: Transaction) -> None:
        alone = postgresql.alone if self.path is None else nullcontext
        for read in transaction.reads_back:
            with (
                suppress(RefusalError),
                as_refusals(self.location),
                transaction,
                alone(transaction.driver),
            ):
                read(transaction)

    def _passed_gate(self) -> AbstractContextManager[None]:
        # A connection to PostgreSQL that a child inherits does no harm there while it is unused.
        return gate.passed() if self.path else nullcontext()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        queue = queue_of(self._queue_name, self._writers)
        if not queue.enter(self.patience):
            raise DatabaseBusyError(location=self.location, kind="a queue of writers")
        try:
            yield
        finally:
            queue.leave()


def _bad_url() -> ConfigError:
    return ConfigError(
        variable="ALLOC_DATABASE_URL",
        rule="must name a SQLite file on disk or a PostgreSQL database",
        example="sqlite:////srv/alloc/var/alloc.db",
    )


_open_databases: WeakSet[Database] = WeakSet()
_inherited: list[Pool] = []


def _before_fork() -> None:
    gate.close()
    for database in list(_open_databases):
        database.dispose()


def _after_fork_in_child() -> None:
    gate.start_anew()
    for database in list(_open_databases):
        _inherited.extend(database.forget_connections())


os.register_at_fork(
    before=_before_fork,
    after_in_parent=gate.reopen,
    after_in_child=_after_fork_in_child,
)
