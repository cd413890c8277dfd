"""A portable backup: every table of one state of the database, the same from either kind.

It is no second audit trail and no key: it holds neither the keys nor the sealer's anchors, and no
arm in clear; lists and designs are in it as sealed as they are in the database. It does hold
participants' records and password hashes: keep it as the database is kept. Its bytes are
described in `alloc_service.services.backup_file`.

A restored database is behind the anchors, which were not restored with it. So the sealer freezes,
nothing opens and nothing is appended, until a recovery gives the lost entries back
(`alloc_service.services.recovery`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from alloc_service.errors import (
    AppendOnlyError,
    BackupError,
    CanonError,
    ConstraintError,
    DatabaseNotEmptyError,
)
from alloc_service.services.backup_file import (
    MEMBER_BYTES,
    BackupReader,
    BackupReport,
    Member,
    new_backup,
)
from alloc_service.services.deps import Deps
from alloc_service.storage import rows, schema
from alloc_service.storage.engine import Database
from alloc_service.storage.transactions import Reading

Progress: TypeAlias = Callable[[int], object]


def count_rows(deps: Deps) -> int:
    """Return how many rows a backup would hold now, for who shows its progress."""
    with deps.database.read() as session:
        return rows.count_rows(session)


def write_backup(deps: Deps, path: Path, progress: Progress | None = None) -> BackupReport:
    """Write every table, as of one moment, to a new file; the service may go on meanwhile.

    The file appears under its name when all of it is on disk; until then there is none.

    Args:
        deps: The service's.
        path: Where; nothing may be there yet.
        progress: Told, now and then, how many more rows are written.

    Raises:
        BackupFileError: The path is taken or cannot be written; nothing is left there.
        StoredValueError: A row holds what nothing of this program can have stored.
        SchemaVersionError: The tables are of another version than this program.
        DatabaseError: The database could not be read.
    """
    tell = progress or _tell_nobody
    with new_backup(path) as backup, deps.database.read() as session:
        schema.check_version(session.connection(), deps.database.location)
        for table in rows.ORDER:
            for number, lines in enumerate(_pack(session, table), 1):
                backup.add(table, number, lines)
                tell(len(lines))
        return backup.finish()


def check_backup(path: Path) -> BackupReport:
    """Check a backup to the last byte of its rows, without any database.

    Raises:
        BackupError: It is no backup, or not whole; the text names the member that is wrong.
        BackupVersionError: It is of another schema version than this program.
        BackupFileError: The file cannot be read.
    """
    with BackupReader(path) as backup:
        return backup.check()


def restore_backup(
    database: Database, path: Path, progress: Progress | None = None
) -> BackupReport:
    """Fill an empty, migrated database from a backup, in one transaction.

    The whole file is checked first. The append-only guards stay on: a log, an assignment or a
    sealed slot that is out of its place is refused, and then nothing is restored.

    Args:
        database: Where to; migrated to this program's version, without a row.
        path: The backup.
        progress: Told, now and then, how many more rows are added.

    Raises:
        BackupError: It is no backup, or not whole; the text names what is wrong.
        BackupVersionError: It is of another schema version than this program.
        BackupFileError: The file cannot be read.
        DatabaseNotEmptyError: A table holds a row already.
        SchemaVersionError: The database is not migrated to this program's version.
        DatabaseError: The database refused; nothing was restored.
    """
    tell = progress or _tell_nobody
    with BackupReader(path) as backup:
        report = backup.check()
        try:
            with database.write() as tx:
                _require_empty(database, tx)
                for member in report.members:
                    lines = backup.lines(member)
                    rows.add_rows(tx, member.table, _parse(path, member, lines))
                    tell(member.rows)
        except (AppendOnlyError, ConstraintError) as error:
            (name,) = error.facts.values()
            rule = f"its rows contradict each other: the database refused one by its rule {name}"
            raise BackupError(path=path, where="the file", rule=rule) from None
    return report


def _tell_nobody(_rows: int) -> None:
    """Stand in where nobody asked to be told."""


def _pack(session: Reading, table: str) -> Iterator[list[bytes]]:
    """Yield the lines of each member of a table; one that is empty for an empty table."""
    lines: list[bytes] = []
    size, packed = 0, False
    for values in rows.read_rows(session, table):
        lines.append(rows.write_row(table, values) + b"\n")
        size += len(lines[-1])
        if size >= MEMBER_BYTES:
            yield lines
            lines, size, packed = [], 0, True
    if lines or not packed:
        yield lines


def _parse(path: Path, member: Member, lines: list[bytes]) -> Iterator[rows.Values]:
    for number, line in enumerate(lines, 1):
        try:
            yield rows.parse_row(member.table, line)
        except CanonError as error:
            where = f"{member.name}, line {number}"
            raise BackupError(path=path, where=where, rule=error) from None


def _require_empty(database: Database, session: Reading) -> None:
    schema.check_version(session.connection(), database.location)
    rows.lock_tables(session)
    if table := rows.find_filled_table(session):
        raise DatabaseNotEmptyError(location=database.location, table=table)
