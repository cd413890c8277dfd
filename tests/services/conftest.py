"""Installations at each stage of a trial's life, on SQLite and on PostgreSQL.

A test that asks for one runs on both; on one alone with
`@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)`.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alloc_service.errors import BackupError
from alloc_service.services import backup
from alloc_service.storage import rows
from alloc_service.storage.engine import Database
from tests.support.installation import Installation
from tests.support.postgres_server import PostgresServer
from tests.support.rollback import Loss, lose, open_on
from tests.support.shelf import Shelf, database_name, place_for_files
from tests.support.witnesses import WitnessServer, set_gate

Opener = Callable[..., Installation]


@pytest.fixture(scope="session")
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    yield shelf
    shelf.clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def home() -> Iterator[Path]:
    """Return an empty folder on a disk that answers an fsync at once."""
    home = Path(tempfile.mkdtemp(prefix="alloc-", dir=place_for_files()))
    yield home
    shutil.rmtree(home)


@pytest.fixture
def open_stage(
    request: pytest.FixtureRequest, shelf: Shelf, kind: str, home: Path
) -> Iterator[Opener]:
    """Return a function that gives the one installation of a test, at a stage."""
    server: PostgresServer | None = None
    if kind == "postgresql":
        server = request.getfixturevalue("postgres_server")
    opened: list[Installation] = []

    def open_at(stage: str, trial: str = "small") -> Installation:
        opened.append(shelf.copy(stage, kind, home, server, trial))
        return opened[0]

    yield open_at
    for installation in opened:
        installation.close()
        if server is not None:
            server.drop_database(database_name(installation.url))


@pytest.fixture
def bare(open_stage: Opener) -> Installation:
    """Return an installation with keys and tables, and nobody in it."""
    return open_stage("bare")


@pytest.fixture
def staffed(open_stage: Opener) -> Installation:
    """Return the small trial with all its people, and no list."""
    return open_stage("staffed")


@pytest.fixture
def sealed(open_stage: Opener) -> Installation:
    """Return the small trial with a list that nobody has approved."""
    return open_stage("sealed")


@pytest.fixture
def approved(open_stage: Opener) -> Installation:
    """Return the small trial with a list that nobody has activated."""
    return open_stage("approved")


@pytest.fixture
def active(open_stage: Opener) -> Installation:
    """Return the small trial with an active list and active sites."""
    return open_stage("active")


@pytest.fixture
def shipped(open_stage: Opener) -> Installation:
    """Return the shipped trial, as a test, with an active list and an active site."""
    return open_stage("active", "shipped")


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Database]]:
    """Return a function that makes an empty, migrated database of a kind, beside all others."""
    opened: list[Database] = []
    names: list[str] = []

    def make(kind: str) -> Database:
        if kind == "sqlite":
            path = tmp_path / f"empty-{len(opened)}.db"
            shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
            opened.append(Database(f"sqlite:///{path}"))
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            names.append(server.create_database(request.getfixturevalue("postgres_template")))
            opened.append(Database(server.url(names[-1])))
        return opened[-1]

    yield make
    for database in opened:
        database.dispose()
    for name in names:
        request.getfixturevalue("postgres_server").drop_database(name)


@pytest.fixture
def backup_file(active: Installation, tmp_path: Path) -> Path:
    """Return a good backup; the installation it is of goes on being there."""
    active.allocate("P-001")
    backup.write_backup(active.deps, tmp_path / "alloc.zip")
    return tmp_path / "alloc.zip"


@pytest.fixture
def refuse_backup(backup_file: Path, empty: Callable[[str], Database]) -> Callable[..., str]:
    """Return a function that restores what became of the file, and says where it was refused."""

    def restore(data: bytes | None = None, error: type[Exception] = BackupError) -> str:
        if data is not None:
            backup_file.write_bytes(data)
        database = empty("sqlite")
        with pytest.raises(error) as refusal:
            backup.restore_backup(database, backup_file)
        with database.read() as session:
            assert rows.find_filled_table(session) is None
        facts = getattr(refusal.value, "facts", {})
        return f"{facts.get('where', '')}: {facts.get('rule', '')}"

    return restore


@pytest.fixture
def lost(active: Installation, kind: str, empty: Callable[[str], Database]) -> Loss:
    """Return what is lost when yesterday's database takes the place of the active trial's."""
    return lose(active, empty(kind))


@pytest.fixture
def reopen(active: Installation, lost: Loss) -> Opener:
    """Return a function that starts the service on yesterday's database."""

    def open_again(home: str = ".") -> Installation:
        return open_on(active, lost.yesterday, home)

    return open_again


@pytest.fixture
def back(reopen: Opener) -> Installation:
    """Return today's service on yesterday's database."""
    return reopen()


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[WitnessServer]:
    """Return a witness that answers, and follows no log yet."""
    server = WitnessServer(tmp_path / "witness")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gated(active: Installation, witness: WitnessServer) -> Installation:
    """Return the active trial, whose gate waits for the one witness."""
    set_gate(active, witness)
    return active
