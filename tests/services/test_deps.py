"""Opening an installation: what is missing or unsafe stops the start and says what to do."""

from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest

from alloc_service.config import Settings
from alloc_service.errors import (
    ConfigError,
    DatabaseError,
    KeysLooseError,
    KeysMissingError,
    OperationError,
    RegisterError,
    SchemaVersionError,
)
from alloc_service.services import health
from alloc_service.services.deps import open_deps, open_from_environment, system_clock
from alloc_service.storage.engine import Database
from tests.support.installation import HOST, Clock, Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def environ_of(installation: Installation) -> dict[str, str]:
    return {
        "ALLOC_HOST": HOST,
        "ALLOC_HOME": str(installation.home),
        "ALLOC_ANCHORS": "anchors",
        "ALLOC_DATABASE_URL": installation.url,
    }


def test_an_installation_opens_from_its_environment(active: Installation) -> None:
    deps = open_from_environment(environ_of(active))
    active.opened.append(deps)

    assert deps.host == HOST
    assert deps.clock is system_clock
    assert health.start(deps) == {}
    assert deps.sealer.kid == active.deps.sealer.kid


@on_sqlite
def test_a_start_under_another_host_s_name_is_refused_and_names_the_right_one(
    active: Installation,
) -> None:
    deps = open_from_environment({**environ_of(active), "ALLOC_HOST": "other.example.org"})
    active.opened.append(deps)

    with pytest.raises(ConfigError, match=f"ALLOC_HOST: .* are of {HOST}"):
        health.start(deps)


def test_the_clock_may_be_given(active: Installation) -> None:
    clock = Clock()
    deps = open_deps(Settings.from_environment(environ_of(active)), clock)
    active.opened.append(deps)

    assert deps.clock is clock


def test_the_systems_clock_is_aware_and_in_utc() -> None:
    assert system_clock().tzinfo is UTC


@on_sqlite
@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda home: (home / "keys" / "current").unlink(), OperationError),
        (lambda home: (home / "keys").rename(home / "gone"), KeysMissingError),
        (lambda home: (home / "keys").chmod(0o755), KeysLooseError),
        (lambda home: (home / "anchors" / "register").unlink(), RegisterError),
        (lambda home: (home / "alloc.db").unlink(), DatabaseError),
    ],
    ids=["no current key", "no keys", "loose keys", "no register", "no database"],
)
def test_what_is_missing_or_loose_stops_the_start(
    active: Installation, harm: Callable[[Path], object], error: type[OperationError]
) -> None:
    active.close()
    harm(active.home)

    with pytest.raises(error) as refusal:
        open_from_environment(environ_of(active))
    assert str(active.home) in str(refusal.value)


@on_sqlite
def test_tables_of_another_version_stop_the_start(active: Installation) -> None:
    active.attack("UPDATE alembic_version SET version_num = 'v9999'")
    active.close()

    with pytest.raises(SchemaVersionError):
        open_from_environment(environ_of(active))


@on_sqlite
def test_an_empty_database_stops_the_start(active: Installation) -> None:
    active.close()
    (active.home / "alloc.db").unlink()
    database = Database(active.url)
    database.create()
    database.dispose()

    with pytest.raises(SchemaVersionError, match="alloc db upgrade"):
        open_from_environment(environ_of(active))


@on_sqlite
def test_an_installation_without_a_host_name_does_not_start(active: Installation) -> None:
    with pytest.raises(ConfigError, match="ALLOC_HOST"):
        open_from_environment(environ_of(active) | {"ALLOC_HOST": ""})


def test_nothing_secret_shows_in_the_repr_of_the_deps(active: Installation) -> None:
    text = repr(active.deps)

    assert "BEGIN" not in text
    assert "password" not in text.lower().replace("passwords", "")
    assert "argon2" not in text
