"""Backups: one state of every table, in one file, the same from either database (E6, G9)."""

import base64
import hashlib
import itertools
import json
import os
import resource
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest

from alloc_service.core.canon import canon
from alloc_service.errors import (
    BackupFileError,
    DatabaseNotEmptyError,
    DatabaseUnreachableError,
    SchemaVersionError,
    StoredValueError,
)
from alloc_service.services import backup, backup_file, escrow_files, second_factor
from alloc_service.storage import rows
from alloc_service.storage.engine import Database
from alloc_service.storage.tables import METADATA
from tests.support.evidence_rows import add_evidence
from tests.support.installation import Installation
from tests.support.rollback import failed_checks, open_on, read_table, recover

Make = Callable[[str], Database]

sqlite_alone = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
kinds = pytest.mark.parametrize("target", ["sqlite", "postgresql"])


@pytest.fixture
def lived(reopen: Callable[..., Installation]) -> Installation:
    """Return a trial with rows in every table: it has reasons, a fork, a second factor."""
    reopen("old").allocate("P-100")
    back = reopen()
    recover(back)
    back.change_state("pause")
    back.change_state("resume")
    person = back.people["stat"]
    new = second_factor.begin(back.deps, person, "stat")
    second_factor.confirm(back.deps, person, pyotp.TOTP(new.secret).at(back.clock.now))
    escrow_files.confirm(back.deps, person, back.trial, 1)
    add_evidence(back)
    return back


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "alloc.zip"


def read_all(database: Database) -> dict[str, list[rows.Values]]:
    with database.read() as session:
        return {table: list(rows.read_rows(session, table)) for table in rows.ORDER}


def test_every_table_is_in_a_backup_after_those_that_it_refers_to() -> None:
    assert set(rows.ORDER) == set(METADATA.tables) - rows.PASSING
    for table in (METADATA.tables[name] for name in rows.ORDER):
        for key in table.foreign_keys:
            order = list(rows.ORDER)
            target = key.column.table.name
            assert target == table.name or order.index(target) < order.index(table.name)


@kinds
def test_a_restored_database_is_the_one_that_was_backed_up(
    lived: Installation, path: Path, empty: Make, target: str
) -> None:
    stored = read_all(lived.deps.database)
    assert all(stored.values())
    written = backup.write_backup(lived.deps, path)
    database = empty(target)

    restored = backup.restore_backup(database, path)

    assert restored == written
    assert read_all(database) == stored
    assert failed_checks(open_on(lived, database)) == failed_checks(lived)


@kinds
def test_the_same_state_gives_the_same_bytes_from_either_database(
    lived: Installation, path: Path, empty: Make, target: str
) -> None:
    backup.write_backup(lived.deps, path)
    database = empty(target)
    backup.restore_backup(database, path)
    second = path.with_name("second.zip")

    again = backup.write_backup(open_on(lived, database).deps, second)

    assert second.read_bytes() == path.read_bytes()
    assert again.sha256 == backup.check_backup(path).sha256


def test_a_report_counts_every_row_and_names_the_backup_by_its_manifest(
    lived: Installation, path: Path
) -> None:
    told: list[int] = []

    report = backup.write_backup(lived.deps, path, told.append)

    assert report == backup.check_backup(path)
    assert report.rows == sum(told) == backup.count_rows(lived.deps)
    assert report.tables == {table: len(read_table(lived, table)) for table in rows.ORDER}
    with zipfile.ZipFile(path) as archive:
        manifest = archive.read("MANIFEST.json")
    assert report.sha256 == hashlib.sha256(manifest).hexdigest()


def test_a_restore_tells_its_progress(lived: Installation, path: Path, empty: Make) -> None:
    report = backup.write_backup(lived.deps, path)
    told: list[int] = []

    backup.restore_backup(empty("sqlite"), path, told.append)

    assert sum(told) == report.rows


def test_the_file_is_an_archive_of_lines_that_anybody_can_read(
    lived: Installation, path: Path
) -> None:
    report = backup.write_backup(lived.deps, path)

    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == [*(member.name for member in report.members), "MANIFEST.json"]
        manifest = json.loads(archive.read("MANIFEST.json"))
        entries = archive.read("log_entry-0001.ndjson").splitlines()
    assert canon(manifest["members"]) == canon([member.to_json() for member in report.members])
    assert (manifest["format"], manifest["schema"]) == ("rac-backup/1", report.schema)
    data = [base64.b64decode(json.loads(line)["data"]) for line in entries]
    assert data == [entry.data for entry in lived.entries()]


def test_a_backup_is_one_state_of_a_database_that_goes_on(
    active: Installation, path: Path, empty: Make
) -> None:
    before = read_all(active.deps.database)
    participants = iter(["P-001", "P-002", "P-003"])

    def go_on(_rows: int) -> None:
        for participant in itertools.islice(participants, 1):
            active.allocate(participant)

    backup.write_backup(active.deps, path, go_on)

    assert active.spent() == 3
    database = empty("sqlite")
    backup.restore_backup(database, path)
    assert read_all(database) == before


def test_a_long_table_goes_on_in_further_members(
    lived: Installation, path: Path, empty: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "MEMBER_BYTES", 2_000)

    report = backup.write_backup(lived.deps, path)

    parts = [member for member in report.members if member.table == "log_entry"]
    assert [part.name for part in parts][:2] == ["log_entry-0001.ndjson", "log_entry-0002.ndjson"]
    assert all(2_000 <= part.size < 4_000 for part in parts[:-1])
    database = empty("sqlite")
    assert backup.restore_backup(database, path) == report
    assert read_all(database) == read_all(lived.deps.database)


@sqlite_alone
def test_a_table_that_ends_with_its_member_has_no_empty_one_after_it(
    active: Installation, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "MEMBER_BYTES", 1)

    report = backup.write_backup(active.deps, path)

    parts = dict.fromkeys(rows.ORDER, 0)
    for member in report.members:
        parts[member.table] += 1
        assert member.rows == (1 if report.tables[member.table] else 0)
    assert parts == {table: max(count, 1) for table, count in report.tables.items()}
    assert backup.check_backup(path) == report


def test_a_backup_holds_no_key_no_seed_and_no_opening(lived: Installation, path: Path) -> None:
    backup.write_backup(lived.deps, path)
    with zipfile.ZipFile(path) as archive:
        lines = [line for name in archive.namelist() for line in archive.read(name).splitlines()]
    texts = [text for line in lines for text in strings_of(json.loads(line))]
    held = b"\0".join([*lines, *(decoded for text in texts for decoded in unfold(text))])

    secrets = [key.read_bytes() for key in (lived.home / "keys").glob("*.key")]
    secrets += [raw for key in secrets for raw in unfold(key.decode("latin-1"))]
    secrets += [identity.encode() for identity in lived.identities.values()]
    assert len(secrets) > 3
    assert not [secret for secret in secrets if len(secret) >= 16 and secret in held]
    assert b"rac-slot/1|" not in held
    assert b"AGE-SECRET-KEY" not in held
    assert b"rac-escrow/1" not in held


def strings_of(value: object) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in strings_of(item)]
    return [value] if isinstance(value, str) else []


def unfold(text: str) -> list[bytes]:
    """Return what a text may hold: bytes in base64."""
    try:
        return [base64.b64decode(text, validate=True)]
    except ValueError:
        return []


@sqlite_alone
def test_the_file_is_its_owner_s_alone_and_nothing_is_left_beside_it(
    active: Installation, path: Path
) -> None:
    backup.write_backup(active.deps, path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@sqlite_alone
@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_nothing_is_ever_overwritten(active: Installation, path: Path, what: str) -> None:
    make: dict[str, Callable[[], object]] = {
        "file": lambda: path.write_bytes(b"another backup"),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to("nowhere"),
    }
    make[what]()
    before = os.lstat(path)

    with pytest.raises(BackupFileError, match="there is a file of this name"):
        backup.write_backup(active.deps, path)

    assert os.lstat(path).st_ino == before.st_ino
    assert list(path.parent.iterdir()) == [path]


@sqlite_alone
def test_a_file_that_came_there_meanwhile_is_not_overwritten(
    active: Installation, path: Path
) -> None:
    with pytest.raises(BackupFileError, match="File exists"):
        backup.write_backup(active.deps, path, lambda _rows: path.write_bytes(b"sooner"))

    assert path.read_bytes() == b"sooner"
    assert list(path.parent.iterdir()) == [path]


@sqlite_alone
def test_where_there_is_no_folder_nothing_is_written(active: Installation, path: Path) -> None:
    with pytest.raises(BackupFileError, match="No such file or directory"):
        backup.write_backup(active.deps, path / "deeper")


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_full_disk_leaves_nothing(active: Installation, path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)  # of this process, not of the server
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, before[1]))
    try:
        with pytest.raises(BackupFileError, match="File too large"):
            backup.write_backup(active.deps, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list(path.parent.iterdir()) == []


def test_a_backup_that_is_interrupted_leaves_nothing(active: Installation, path: Path) -> None:
    def interrupt(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup.write_backup(active.deps, path, interrupt)

    assert list(path.parent.iterdir()) == []


@sqlite_alone
def test_a_row_that_nobody_can_have_stored_is_refused_by_table_and_row(
    active: Installation, path: Path
) -> None:
    active.attack("UPDATE account SET display_name = :name", name="e\u0301")

    with pytest.raises(StoredValueError, match="canonical spelling") as refusal:
        backup.write_backup(active.deps, path)

    assert refusal.value.facts["table"] == "account"
    assert list(path.parent.iterdir()) == []


@sqlite_alone
def test_a_row_that_is_longer_than_any_can_be_is_refused(
    active: Installation, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LONGEST_LINE", 1_000)

    with pytest.raises(StoredValueError, match="larger than any row") as refusal:
        backup.write_backup(active.deps, path)

    assert refusal.value.facts["table"] == "trial"


def test_a_database_of_another_version_is_not_backed_up(active: Installation, path: Path) -> None:
    active.attack("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaVersionError):
        backup.write_backup(active.deps, path)

    assert list(path.parent.iterdir()) == []


def test_only_an_empty_database_is_filled(lived: Installation, path: Path) -> None:
    backup.write_backup(lived.deps, path)
    before = read_all(lived.deps.database)

    with pytest.raises(DatabaseNotEmptyError, match="its table trial"):
        backup.restore_backup(lived.deps.database, path)

    assert read_all(lived.deps.database) == before


@sqlite_alone
def test_a_row_in_any_table_makes_a_database_not_empty(
    lived: Installation, path: Path, empty: Make
) -> None:
    backup.write_backup(lived.deps, path)
    stored = read_all(lived.deps.database)
    for table in ("account", "log_head", "reason", "checkpoint"):
        database = empty("sqlite")
        with database.write() as tx:
            rows.add_rows(tx, table, stored[table][:1])

        with pytest.raises(DatabaseNotEmptyError) as refusal:
            backup.restore_backup(database, path)

        assert refusal.value.facts["table"] == table


def test_a_database_without_tables_is_not_filled(
    active: Installation, path: Path, tmp_path: Path
) -> None:
    backup.write_backup(active.deps, path)
    database = Database(f"sqlite:///{tmp_path}/none.db")

    with pytest.raises(DatabaseUnreachableError):
        backup.restore_backup(database, path)
    database.create()
    with pytest.raises(SchemaVersionError):
        backup.restore_backup(database, path)

    database.dispose()


@kinds
def test_a_restore_that_is_interrupted_leaves_an_empty_database(
    lived: Installation, path: Path, empty: Make, target: str
) -> None:
    backup.write_backup(lived.deps, path)
    database = empty(target)
    steps = iter(range(12))

    def interrupt(_rows: int) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup.restore_backup(database, path, interrupt)

    assert not any(read_all(database).values())
    assert backup.restore_backup(database, path).rows


@sqlite_alone
def test_the_largest_rows_of_today_are_far_below_the_limit(lived: Installation) -> None:
    for table, stored in read_all(lived.deps.database).items():
        for values in stored:
            assert len(rows.write_row(table, values)) * 100 < rows.LONGEST_LINE
    assert backup_file.MEMBER_BYTES == 16 * 2**20
