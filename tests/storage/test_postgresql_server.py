"""What can be wrong with a PostgreSQL server, and what a person is then told."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from alloc_service.errors import (
    AppendOnlyError,
    CommitUnknownError,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseSettingError,
    DatabaseUnreachableError,
)
from alloc_service.storage.engine import Database
from tests.support import postgres_server as support
from tests.support.postgres_server import PostgresServer

ADD = "INSERT INTO reason (trial_id, entry_seq, salt, text) VALUES ('t', {}, 's', 'because')"
END_ALL = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE usename = 'alloc' AND pid <> pg_backend_pid()"
)

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def add(database: Database, number: int) -> None:
    with database.write() as transaction:
        transaction.execute(text(ADD.format(number)))


def count(database: Database) -> int:
    with database.read() as session:
        return int(session.scalar(text("SELECT count(*) FROM reason")) or 0)


def name_of(database: Database) -> str:
    with database.read() as session:
        return str(session.scalar(text("SELECT current_database()")))


def show(database: Database, setting: str) -> str:
    with database.write() as transaction:
        return str(transaction.scalar(text(f"SHOW {setting}")))


def test_a_sound_server_passes_the_check(database: Database) -> None:
    database.check()

    assert show(database, "transaction_isolation") == "read committed"
    assert show(database, "timezone") == "UTC"


def test_commits_wait_for_the_disk_whatever_the_role_says(
    database: Database, postgres_server: PostgresServer
) -> None:
    name = name_of(database)
    postgres_server.administer(f"ALTER DATABASE {name} SET synchronous_commit = off")
    database.dispose()

    assert show(database, "synchronous_commit") == "on"
    database.check()


def test_a_read_only_database_is_refused(
    database: Database, postgres_server: PostgresServer
) -> None:
    name = name_of(database)
    postgres_server.administer(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database.dispose()

    with pytest.raises(DatabaseReadOnlyError, match="primary"):
        add(database, 1)
    with pytest.raises(DatabaseSettingError, match="transaction_read_only is on"):
        database.check()


def test_a_role_that_may_not_write_is_refused(
    database: Database, postgres_server: PostgresServer
) -> None:
    postgres_server.administer("REVOKE UPDATE ON log_head FROM alloc", name_of(database))

    with pytest.raises(DatabaseReadOnlyError, match="42501"):
        database.check()


@pytest.fixture
def without_fsync(postgres_server: PostgresServer) -> Iterator[None]:
    def turn(value: str) -> None:
        postgres_server.administer(f"ALTER SYSTEM SET fsync = {value}")
        postgres_server.administer("SELECT pg_reload_conf()")
        until = time.monotonic() + 10
        while postgres_server.administer("SHOW fsync") != [(value,)]:
            assert time.monotonic() < until
            time.sleep(0.02)

    turn("off")
    yield
    turn("on")


@pytest.mark.usefixtures("without_fsync")
def test_a_server_that_does_not_flush_is_refused(database: Database) -> None:
    with pytest.raises(DatabaseSettingError, match="fsync is off, but must be on"):
        database.check()


def test_a_database_of_another_encoding_is_refused(
    database_url: str, postgres_server: PostgresServer
) -> None:
    assert database_url
    postgres_server.administer(
        "CREATE DATABASE ascii OWNER alloc TEMPLATE template0 ENCODING 'SQL_ASCII'"
    )
    database = Database(postgres_server.url("ascii"))
    try:
        with pytest.raises(DatabaseSettingError, match="must be UTF8"):
            database.check()
    finally:
        database.dispose()
        postgres_server.drop_database("ascii")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://alloc@/alloc?host=/nonexistent",
        "postgresql://alloc:hush@127.0.0.1:1/alloc",
    ],
)
def test_a_server_that_does_not_answer_is_told(database_url: str, url: str) -> None:
    assert database_url
    database = Database(url)

    with pytest.raises(DatabaseUnreachableError, match="ALLOC_DATABASE_URL") as refused:
        database.check()
    assert "hush" not in str(refused.value)


def test_a_database_that_the_server_does_not_have_is_told(
    database_url: str, postgres_server: PostgresServer
) -> None:
    assert database_url
    with pytest.raises(DatabaseUnreachableError):
        Database(postgres_server.url("nobody_made_it")).check()


def test_a_connection_that_the_server_ended_is_replaced(
    database: Database, postgres_server: PostgresServer
) -> None:
    add(database, 1)
    postgres_server.administer(END_ALL)

    add(database, 2)
    assert count(database) == 2


def test_a_connection_that_ends_inside_a_write_leaves_nothing(
    database: Database, postgres_server: PostgresServer
) -> None:
    def lose_the_server() -> None:
        with database.write() as transaction:
            transaction.execute(text(ADD.format(1)))
            postgres_server.administer(END_ALL)
            transaction.execute(text(ADD.format(2)))

    with pytest.raises(DatabaseUnreachableError):
        lose_the_server()

    assert count(database) == 0


def test_a_connection_that_ends_at_the_commit_leaves_the_outcome_open(
    database: Database, postgres_server: PostgresServer
) -> None:
    told: list[str] = []

    def lose_the_server() -> None:
        with database.write() as transaction:
            transaction.on_commit(lambda: told.append("commit"))
            transaction.on_end(lambda: told.append("end"))
            transaction.execute(text(ADD.format(1)))
            postgres_server.administer(END_ALL)

    with pytest.raises(CommitUnknownError, match="not known"):
        lose_the_server()

    assert told == ["end"]


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        ("53100", DatabaseFullError),
        ("53300", DatabaseBusyError),
        ("40P01", DatabaseBusyError),
        ("57014", DatabaseBusyError),
        ("57P03", DatabaseUnreachableError),
        ("XX001", DatabaseDamagedError),
        ("22023", DatabaseError),
    ],
)
def test_what_the_server_reports_is_told_by_its_class(
    database: Database, state: str, refusal: type[DatabaseError]
) -> None:
    report = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'secret'; END $$"

    with pytest.raises(DatabaseError) as refused:
        run(database, report)

    assert type(refused.value) is refusal
    assert state in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_trigger_that_is_not_ours_is_not_quoted(database: Database) -> None:
    report = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'RA001', MESSAGE = 'secret'; END $$"

    with pytest.raises(AppendOnlyError, match="of another trigger") as refused:
        run(database, report)

    assert "secret" not in str(refused.value)


def test_a_text_that_the_driver_refuses_is_not_quoted(database: Database) -> None:
    with pytest.raises(DatabaseError, match="DataError") as refused:
        run(database, "SELECT :typed", typed="secret\0")

    assert "secret" not in str(refused.value)


def test_a_standby_is_refused(database_url: str) -> None:
    assert database_url
    with PostgresServer() as server:
        name = server.make_template(migrate)
        primary = Database(server.url(name))
        primary.check()
        primary.dispose()
        server.restart_as_standby()
        standby = Database(server.url(name))

        with pytest.raises(DatabaseSettingError, match="must be false"):
            standby.check()
        assert count(standby) == 0
        standby.dispose()


def test_the_server_runs_where_its_user_may_not_enter_the_wheels_folder(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database_url
    wheel = support.wheel()
    for name in (wheel.name, f"{wheel.name}.libs"):
        (tmp_path / name).symlink_to(wheel.with_name(name))
    tmp_path.chmod(0o700)
    monkeypatch.setattr(support, "wheel", lambda: tmp_path / wheel.name)

    with PostgresServer(in_memory=False) as server:
        assert server.administer("SELECT 1") == [(1,)]
        folder = server.folder
    assert not folder.exists()


def migrate(url: str) -> None:
    database = Database(url)
    database.upgrade()
    database.dispose()


def run(database: Database, statement: str, **facts: object) -> None:
    with database.write() as transaction:
        transaction.execute(text(statement), facts)
