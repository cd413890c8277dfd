"""What can be wrong with a SQLite file, and what a person is then told."""

import os
import pwd
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from alloc_service.errors import (
    CommitUnknownError,
    ConstraintError,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseSettingError,
    DatabaseUnreachableError,
)
from alloc_service.storage.engine import Database
from alloc_service.storage.refusals import committing

ADD = "INSERT INTO reason (trial_id, entry_seq, salt, text) VALUES ('t', {}, 's', 'because')"


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def file(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url, patience=0.2)
    yield database
    database.dispose()


def add(database: Database, number: int) -> None:
    with database.write() as transaction:
        transaction.execute(text(ADD.format(number)))


def count(database: Database) -> int:
    with database.read() as session:
        return int(session.scalar(text("SELECT count(*) FROM reason")) or 0)


def test_every_commit_is_on_disk_and_the_schema_is_enforced(file: Database) -> None:
    with file.write() as transaction:
        asked = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        found = [transaction.scalar(text(f"PRAGMA {name}")) for name in asked]

    assert found == ["wal", 2, 1, 1]
    file.check()


def test_a_new_database_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    made = tmp_path / "new" / "deeper" / "alloc.db"
    database = Database(f"sqlite:///{made}")
    database.upgrade()
    add(database, 1)

    modes = [oct(path.stat().st_mode & 0o777) for path in (made, made.with_name("alloc.db-wal"))]
    database.dispose()

    assert modes == ["0o600", "0o600"]
    assert oct(made.parent.stat().st_mode & 0o777) == "0o700"


def test_a_path_with_odd_letters_is_opened_as_it_is(tmp_path: Path) -> None:
    made = tmp_path / "ein Ordner 100% #1" / "a&b.db"
    database = Database(f"sqlite:///{made}")
    database.upgrade()
    add(database, 1)

    assert count(database) == 1
    database.dispose()
    assert made.exists()


def test_a_missing_file_is_not_made_by_reading_or_writing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/none.db")

    with pytest.raises(DatabaseUnreachableError, match="alloc db upgrade"):
        count(database)
    with pytest.raises(DatabaseUnreachableError):
        add(database, 1)
    with pytest.raises(DatabaseUnreachableError):
        database.check()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}")

    with pytest.raises(DatabaseUnreachableError):
        count(database)


def test_a_file_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path}/file/alloc.db")

    with pytest.raises(DatabaseUnreachableError):
        database.upgrade()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear colleagues, " * 100)
    database = Database(f"sqlite:///{path}")

    with pytest.raises(DatabaseDamagedError, match="alloc restore"):
        count(database)
    with pytest.raises(DatabaseDamagedError):
        database.upgrade()
    database.dispose()
    assert path.read_text().startswith("Dear colleagues")


def test_a_file_whose_pages_are_damaged_is_refused(file: Database, path: Path) -> None:
    with file.write() as transaction:
        for number in range(500):
            transaction.execute(text(ADD.format(number)))
    file.dispose()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    with pytest.raises(DatabaseDamagedError):
        count(file)


def test_a_writer_of_another_program_is_waited_for_and_then_refused_as_busy(
    file: Database, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusyError, match="SQLITE_BUSY"):
        add(file, 1)
    assert count(file) == 0  # readers go on

    other.execute("ROLLBACK")
    other.close()
    add(file, 1)
    assert count(file) == 1


def test_a_full_disk_is_told_and_nothing_is_changed(file: Database) -> None:
    def fill() -> None:
        with file.write() as transaction:
            transaction.execute(text(ADD.format(1)))
            pages = transaction.scalar(text("PRAGMA page_count"))
            transaction.execute(text(f"PRAGMA max_page_count = {pages}"))
            transaction.execute(
                text("INSERT INTO reason VALUES ('t', 2, 's', :long)"), {"long": "x" * 100_000}
            )

    with pytest.raises(DatabaseFullError, match="Free some space"):
        fill()

    assert count(file) == 0


def test_a_database_that_is_not_in_wal_mode_is_refused_at_start(file: Database, path: Path) -> None:
    changed = sqlite3.connect(path)
    changed.execute("PRAGMA journal_mode = DELETE")
    changed.close()

    with pytest.raises(DatabaseSettingError, match="journal_mode is delete, but must be wal"):
        file.check()


def test_a_file_put_in_the_place_of_ours_is_noticed(
    file: Database, path: Path, sqlite_template: Path
) -> None:
    add(file, 1)
    file.dispose()
    assert count(file) == 1  # a connection is open again
    yesterday = path.with_name("yesterday.db")
    shutil.copyfile(sqlite_template, yesterday)
    yesterday.replace(path)

    assert count(file) == 0
    add(file, 2)
    check = sqlite3.connect(path)
    assert check.execute("SELECT entry_seq FROM reason").fetchall() == [(2,)]
    check.close()


def test_a_file_that_was_removed_is_noticed(file: Database, path: Path) -> None:
    add(file, 1)
    path.unlink()

    with pytest.raises(DatabaseUnreachableError):
        add(file, 2)
    assert not path.exists()


def test_a_commit_that_surely_failed_is_told_apart_from_one_that_may_be_stored(
    tmp_path: Path,
) -> None:
    # Without WAL a commit waits for readers, and can be refused: certainly undone.
    writer, reader = (
        sqlite3.connect(tmp_path / "old.db", isolation_level=None, timeout=0) for _ in range(2)
    )
    writer.execute("CREATE TABLE x (y)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM x").fetchall()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO x VALUES (1)")

    with pytest.raises(DatabaseBusyError, match="nothing was changed"), committing("old.db"):
        writer.execute("COMMIT")

    for connection in (reader, writer):
        connection.close()
    with pytest.raises(CommitUnknownError, match="not known"), committing("old.db"):
        raise sqlite3.OperationalError("disk I/O error")


def test_a_unique_rule_that_is_not_of_our_schema_has_no_name(file: Database) -> None:
    def break_rule() -> None:
        with file.write() as transaction:
            transaction.execute(text("CREATE UNIQUE INDEX strange ON reason (salt)"))
            transaction.execute(text(ADD.format(1)))
            transaction.execute(text(ADD.format(2)))

    with pytest.raises(ConstraintError) as refused:
        break_rule()

    assert refused.value.facts == {"constraint": "unique"}


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Act as `nobody` where we are root, for whom no file is read-only."""
    if os.geteuid() != 0:
        yield
        return
    nobody = pwd.getpwnam("nobody")
    os.setegid(nobody.pw_gid)
    os.seteuid(nobody.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="alloc-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_file_without_write_access_is_read_but_not_written(
    open_folder: Path, sqlite_template: Path
) -> None:
    path = open_folder / "alloc.db"
    shutil.copyfile(sqlite_template, path)
    path.chmod(0o444)
    open_folder.chmod(0o777)  # where SQLite may not make its own files, it cannot even read
    database = Database(f"sqlite:///{path}")

    with as_somebody_else():
        assert count(database) == 0
        with pytest.raises(DatabaseReadOnlyError, match="write access"):
            add(database, 1)
        with pytest.raises(DatabaseReadOnlyError):
            database.check()
        database.dispose()


def test_a_folder_without_write_access_is_told(open_folder: Path, sqlite_template: Path) -> None:
    path = open_folder / "alloc.db"
    shutil.copyfile(sqlite_template, path)
    path.chmod(0o444)
    open_folder.chmod(0o555)
    database = Database(f"sqlite:///{path}")

    with as_somebody_else():
        with pytest.raises(DatabaseError) as refused:
            add(database, 1)
        database.dispose()

    assert isinstance(refused.value, DatabaseReadOnlyError | DatabaseUnreachableError)


def test_a_file_without_read_access_is_refused(open_folder: Path, sqlite_template: Path) -> None:
    path = open_folder / "alloc.db"
    shutil.copyfile(sqlite_template, path)
    path.chmod(0)
    database = Database(f"sqlite:///{path}")

    with as_somebody_else(), pytest.raises(DatabaseUnreachableError):
        count(database)
