"""Versions of the tables: made from nothing, compared with the models, refused if another."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text

import alloc_service
from alloc_service.errors import DatabaseError, SchemaVersionError
from alloc_service.storage import schema, triggers
from alloc_service.storage.engine import Database
from alloc_service.storage.tables import METADATA
from tests.support.postgres_server import PostgresServer

TABLES = set(METADATA.tables) | {"alembic_version"}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/alloc.db"
        return
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.dispose()


def tables_of(database: Database) -> set[str]:
    with database.read() as session:
        return set(inspect(session.connection()).get_table_names())


def test_a_new_database_is_brought_to_the_version_that_the_program_needs(empty: Database) -> None:
    empty.upgrade()

    assert empty.schema_version() == schema.expected()
    assert tables_of(empty) == TABLES
    empty.check()


def test_an_upgrade_of_a_database_that_needs_none_changes_nothing(database: Database) -> None:
    database.upgrade()

    assert database.schema_version() == schema.expected()


def test_tables_made_by_migrations_are_those_of_the_models(database: Database) -> None:
    with database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})

        assert compare_metadata(context, METADATA) == []


def test_every_rule_of_the_models_is_in_the_database(database: Database) -> None:
    with database.read() as session:
        found = inspect(session.connection())
        for name, table in METADATA.tables.items():
            checks = {rule.name for rule in table.constraints if isinstance(rule, CheckConstraint)}
            assert {rule["name"] for rule in found.get_check_constraints(name)} == checks
            assert found.get_pk_constraint(name)["name"] == table.primary_key.name
            keys = {key.name for key in table.foreign_key_constraints}
            assert {key["name"] for key in found.get_foreign_keys(name)} == keys


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_text_of_every_check_is_the_models(database: Database) -> None:
    # SQLite keeps the text as the migration wrote it, and the migration is one for both.
    with database.read() as session:
        found = inspect(session.connection())
        for name, table in METADATA.tables.items():
            stored = {rule["name"]: rule["sqltext"] for rule in found.get_check_constraints(name)}
            rules = {
                str(rule.name): str(rule.sqltext)
                for rule in table.constraints
                if isinstance(rule, CheckConstraint)
            }
            assert stored == rules


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_tables_without_row_ids_are_those_of_the_models(database: Database) -> None:
    with database.read() as session:
        rows = session.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        without = {name for name, sql in rows if sql.rstrip().endswith("WITHOUT ROWID")}

    wanted = {
        name
        for name, table in METADATA.tables.items()
        if not table.dialect_options["sqlite"]["with_rowid"]
    }
    assert without == wanted
    assert wanted >= set(triggers.TABLES)


def test_no_arm_block_or_seed_has_a_column() -> None:
    columns = {column.name for table in METADATA.tables.values() for column in table.columns}

    for name in columns:
        assert not {"arm", "arms", "block", "blocks", "seed", "size_of_block"} & {*name.split("_")}


def test_a_database_without_tables_is_refused_with_the_command_that_makes_them(
    empty: Database,
) -> None:
    empty.create()

    with pytest.raises(SchemaVersionError, match=r"version none.*`alloc db upgrade`"):
        empty.check()
    assert tables_of(empty) == set()


def set_version(database: Database, version: str) -> None:
    with database.write() as transaction:
        transaction.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))


def test_a_newer_database_is_refused_and_not_touched(database: Database) -> None:
    set_version(database, "9999")

    for act in (database.check, database.upgrade):
        with pytest.raises(SchemaVersionError, match=r"9999.*0003.*newer version of the program"):
            act()
    assert database.schema_version() == "9999"


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(empty: Database) -> None:
    empty.create()
    with empty.write() as transaction:
        # The last table of the migration but one: all before it are made, then taken back.
        transaction.execute(text("CREATE TABLE fork_entry (x integer)"))

    with pytest.raises(DatabaseError):
        empty.upgrade()

    assert tables_of(empty) == {"fork_entry"}
    assert empty.schema_version() is None


def test_two_upgrades_at_once_make_the_tables_once(empty_url: str, empty: Database) -> None:
    load = "import sys; from alloc_service.storage.engine import Database"
    command = [sys.executable, "-c", f"{load}; Database(sys.argv[1]).upgrade()", empty_url]
    both = [subprocess.Popen(command) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    empty.check()


def test_every_folder_of_python_files_is_a_package_that_a_wheel_holds() -> None:
    root = Path(alloc_service.__file__).parent
    folders = {path.parent for path in root.rglob("*.py")}

    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


def test_a_database_of_the_first_version_is_brought_up_to_date_and_keeps_its_rows(
    empty: Database,
) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    insert = (
        "INSERT INTO trial (id, origin, definition, definition_sha256, created_at) VALUES "
        "('T', 'h/T/audit', :document, :sha256, '2026-01-02 03:04:05')"
    )
    empty.create()
    with empty.write() as tx:
        config.attributes["connection"] = tx.connection()
        command.upgrade(config, "0001")
        tx.execute(text(insert), {"document": b"{}", "sha256": "0" * 64})
    with pytest.raises(SchemaVersionError, match="alloc db upgrade"):
        empty.check()

    empty.upgrade()

    empty.check()
    assert tables_of(empty) == TABLES
    with empty.read() as session:
        assert session.execute(text("SELECT id FROM trial")).scalars().all() == ["T"]
