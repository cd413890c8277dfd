"""A machine that misbehaves: keys, folders and databases that are not as they must be.

Service and command line name what is wrong, by which rule and what to do, show no arm and no
stack trace, and spend no slot; mended, often by the very command that they told, the same
request gets the slot that was next. A database is read-only here as the owner of its server can
make it (PostgreSQL's `default_transaction_read_only`), and as a newer SQLite would (the version
for writing in the file's header): both hold for root too, whom no mode of a file stops.
"""

import os
import pwd
import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from alloc_service.services.deps import Deps
from tests.faults.bad_machine import (
    Program,
    on_this_machine,
    open_program,
    require_refused,
    require_the_next_slot,
    require_told,
)
from tests.faults.crashing_postgres import CrashingPostgres
from tests.faults.life import Life, begin_life, make_home
from tests.support.installation import Clock
from tests.support.postgres_server import PostgresServer
from tests.support.read_only import read_only

Mend = Callable[[str], object]
Harm = Callable[[Life], Mend]

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
root_alone = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give a file away")


@pytest.fixture
def participants() -> int:
    return 2


# --- keys, register and their folders ---------------------------------------------------------


def do_as_told(told: str) -> None:
    """Run the command that a refusal tells, between its backticks."""
    (command,) = re.findall(r"`((?:chmod|chown) [^`]+)`", told)
    subprocess.run(shlex.split(command), check=True)


def losing(where: Callable[[Life], Path]) -> Harm:
    def harm(life: Life) -> Mend:
        path = where(life)
        backup = path.rename(life.home.folder / f"{path.name}.elsewhere")
        return lambda _: backup.rename(path)

    return harm


def opening_to_others(where: Callable[[Life], Path], mode: int) -> Harm:
    def harm(life: Life) -> Mend:
        where(life).chmod(mode)
        return do_as_told

    return harm


def linking(where: Callable[[Life], Path]) -> Harm:
    def harm(life: Life) -> Mend:
        path = where(life)
        target = path.rename(life.home.folder / f"{path.name}.elsewhere")
        path.symlink_to(target)

        def put_back(_told: str) -> None:
            path.unlink()
            target.rename(path)

        return put_back

    return harm


def giving_away(where: Callable[[Life], Path]) -> Harm:
    def harm(life: Life) -> Mend:
        os.chown(where(life), pwd.getpwnam("nobody").pw_uid, -1)
        return do_as_told

    return harm


def keys(life: Life) -> Path:
    return life.home.settings.keys


def anchors(life: Life) -> Path:
    return life.home.settings.anchors


def signing_key(life: Life) -> Path:
    return next(keys(life).glob("signing-*"))


def sealing_key(life: Life) -> Path:
    return next(keys(life).glob("sealing-*"))


def register(life: Life) -> Path:
    return anchors(life) / "register"


HARMS: dict[str, tuple[Harm, Callable[[Life], Path], str, str]] = {
    "no sealing key": (losing(sealing_key), sealing_key, "key-lost", "Put it back"),
    "no signing key": (losing(signing_key), keys, "key-lost", "Put it back"),
    "no key folder": (losing(keys), keys, "keys-missing", "Run `alloc init`"),
    "a loose key": (opening_to_others(sealing_key, 0o644), sealing_key, "keys-loose", "mode 0644"),
    "a loose key folder": (opening_to_others(keys, 0o755), keys, "keys-loose", "mode 0755"),
    "a linked key": (linking(signing_key), signing_key, "keys-link", "is a symbolic link"),
    "a linked key folder": (linking(keys), keys, "keys-link", "is a symbolic link"),
    "no register": (losing(register), register, "bad-register", "it is missing"),
    "loose anchors": (opening_to_others(anchors, 0o755), anchors, "anchors-exposed", "mode 0755"),
}
GIVEN_AWAY: dict[str, tuple[Callable[[Life], Path], str]] = {
    "a key": (sealing_key, "keys-owner"),
    "the key folder": (keys, "keys-owner"),
    "the anchors": (anchors, "anchors-exposed"),
}


def require_stopped_and_mended(program: Program, harm: Harm, code: str, *words: str) -> None:
    """Break the machine; see everything that starts refuse; mend it; see the next slot."""
    mend = harm(program.life)
    told = require_told(program.allocate(), code, *words)
    refused = require_refused(program.ask_started, code, *words)
    assert str(refused) in told
    mend(told)
    require_the_next_slot(program)


@on_sqlite
@pytest.mark.parametrize("harm", HARMS)
def test_a_key_or_folder_that_is_not_as_it_must_be_stops_every_start_until_it_is_mended(
    program: Program, harm: str
) -> None:
    harm_it, where, code, words = HARMS[harm]

    require_stopped_and_mended(program, harm_it, code, str(where(program.life)), words)


@root_alone
@on_sqlite
@pytest.mark.parametrize("what", GIVEN_AWAY)
def test_another_owner_stops_every_start_until_the_told_command_is_run(
    program: Program, what: str
) -> None:
    where, code = GIVEN_AWAY[what]
    path = str(where(program.life))

    require_stopped_and_mended(program, giving_away(where), code, path, "chown 0 ")


# --- the database -----------------------------------------------------------------------------


@contextmanager
def locked(program: Program) -> Iterator[None]:
    """Let another process hold what a reveal must lock."""
    home = program.life.home
    if program.running.database.dialect == "sqlite":
        with closing(sqlite3.connect(home.database_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with psycopg.connect(home.url) as session:
        session.execute("SELECT * FROM log_head FOR UPDATE")
        yield
        session.rollback()


@contextmanager
def away(program: Program, server: PostgresServer | None) -> Iterator[None]:
    """Let there be no database of this name."""
    program.running.database.dispose()
    home = program.life.home
    if server is None:
        file = home.database_file
        elsewhere = file.rename(file.with_suffix(".elsewhere"))
        yield
        elsewhere.rename(file)
        return
    name = home.database_name
    server.administer(f"ALTER DATABASE {name} RENAME TO {name}_elsewhere")
    yield
    server.administer(f"ALTER DATABASE {name}_elsewhere RENAME TO {name}")


@contextmanager
def of_version(program: Program, version: str) -> Iterator[None]:
    """Let the tables be of another version."""
    change = text("UPDATE alembic_version SET version_num = :version")
    with program.running.database.write() as tx:
        before = tx.scalar(text("SELECT version_num FROM alembic_version"))
        tx.execute(change, {"version": version})
    yield
    with program.running.database.write() as tx:
        tx.execute(change, {"version": before})


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> PostgresServer | None:
    if kind == "sqlite":
        return None
    found: PostgresServer = request.getfixturevalue("postgres_server")
    return found


def test_a_database_that_another_process_holds_is_waited_for_and_told(program: Program) -> None:
    told = "Try again in a minute"
    with locked(program):
        require_told(program.allocate(), "database-busy", told, program.running.database.location)
        require_refused(program.ask_running, "database-busy", told)
        require_refused(program.ask_started, "database-busy", told)

    require_the_next_slot(program)


def test_a_database_that_cannot_be_written_is_told_at_the_start_and_at_a_request(
    program: Program, server: PostgresServer | None
) -> None:
    location = program.running.database.location
    code, told = "database-read-only", "write access to the file and its folder"
    if server is not None:
        code, told = "database-unsafe", "transaction_read_only is on, but must be off"
    home = program.life.home
    with read_only(program.running.database, home.database_name, server):
        require_told(program.allocate(), code, location, told)
        require_refused(program.ask_started, code, location, told)
        require_refused(program.ask_running, "database-read-only", "or name the primary server")

    require_the_next_slot(program)


def test_a_database_that_is_not_there_is_told_and_never_made_anew(
    program: Program, server: PostgresServer | None
) -> None:
    told = "Check ALLOC_DATABASE_URL"
    with away(program, server):
        location = program.running.database.location
        require_told(program.allocate(), "database-unreachable", location, told)
        require_refused(program.ask_started, "database-unreachable", told)
        require_refused(program.ask_running, "database-unreachable", told)
        if server is None:
            assert not program.life.home.database_file.exists()

    require_the_next_slot(program)


def test_tables_of_another_version_stop_every_start_and_are_left_alone(program: Program) -> None:
    told = "A newer version of the program made it: install that version"
    with of_version(program, "9999"):
        require_told(program.allocate(), "schema-version", "version 9999", told)
        require_refused(program.ask_started, "schema-version", told)
        require_told(program.run("db", "upgrade"), "schema-version", told)

    require_the_next_slot(program)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_socket_where_no_server_listens_is_told_without_user_and_password(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALLOC_DATABASE_URL", f"postgresql://alloc:pass-9Q@/alloc?host={tmp_path}")

    told = require_told(program.allocate(), "database-unreachable", "that the server runs")
    assert "9Q" not in told
    monkeypatch.setenv("ALLOC_DATABASE_URL", program.life.home.url)
    require_the_next_slot(program)


def test_a_server_that_has_stopped_is_told_until_it_runs_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CrashingPostgres() as server, on_this_machine(clock):
        home = make_home(tmp_path / "home", server.url(server.create_database()))
        life = begin_life(home, participants=1)
        with closing_database(life.home.open(clock)) as running:
            program = open_program(life, clock, running, monkeypatch)
            server.crash()
            told = "that the server runs"
            require_told(program.allocate(), "database-unreachable", told)
            require_refused(program.ask_running, "database-unreachable", told)
            require_refused(program.ask_started, "database-unreachable", told)
            server.start_again()
            require_the_next_slot(program)


@contextmanager
def closing_database(deps: Deps) -> Iterator[Deps]:
    yield deps
    deps.database.dispose()
