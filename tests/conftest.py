"""Fixtures that all tests share: real databases, one fresh and migrated for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyrage  # type: ignore[import-untyped]  # the library ships no types
import pytest
from hypothesis import HealthCheck, settings

from alloc_service.storage.engine import Database
from tests.support import cheap_age
from tests.support.postgres_server import PostgresServer

# On a busy machine too: what is tested is what something does, not how long it takes.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh, migrated database: a test that asks for it runs on both kinds.

    One kind alone: `@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)`.
    """
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return the database of `database_url`."""
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "alloc.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    name = postgres_server.create_database(like=postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    return postgres_server.make_template(migrate)


@pytest.fixture(scope="module")
def locking_cheaply() -> Iterator[None]:
    """Make scrypt cheap where this process locks a key; the files say so themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyrage.passphrase, "encrypt", cheap_age.encrypt)
        yield


def migrate(url: str) -> None:
    database = Database(url)
    database.upgrade()
    database.dispose()
