"""An installation is set up once, finished when interrupted, and says how it stands."""

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from alloc_service.config import Settings
from alloc_service.errors import (
    AccountNameError,
    DatabaseLostError,
    DatabaseNotEmptyError,
    DatabaseUnreachableError,
    InstalledAlreadyError,
    KeyFileError,
    PasswordRuleError,
    RegisterError,
    SchemaVersionError,
)
from alloc_service.sealing.keys import create_keys, load_keys
from alloc_service.sealing.register import Register
from alloc_service.services import accounts, audit, backup, health, passwords
from alloc_service.services.accounts import NewAccount
from alloc_service.services.deps import open_deps
from alloc_service.services.installation import (
    initialize,
    restore_database,
    service_status,
    upgrade_database,
)
from tests.support.installation import HOST, Installation, password_of
from tests.support.postgres_server import PostgresServer

ADA = NewAccount("ada", "p-ada", "Ada Admin", "XA01")


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "PasswordHasher", cheap)


@pytest.fixture
def settings(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[Settings]:
    """Return settings of an empty folder, and of an empty database on either kind."""
    environ = {"ALLOC_HOST": HOST, "ALLOC_HOME": str(tmp_path)}
    if kind == "sqlite":
        yield Settings.from_environment(environ)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield Settings.from_environment({**environ, "ALLOC_DATABASE_URL": server.url(name)})
    server.drop_database(name)


def set_up(settings: Settings) -> None:
    initialize(settings, ADA, password_of("ada"))


def test_it_is_set_up_with_keys_register_tables_and_an_administrator(settings: Settings) -> None:
    set_up(settings)

    deps = open_deps(settings)
    ada = accounts.authenticate(deps, "ada", password_of("ada"))
    assert ada.id == "p-ada"
    assert stat.S_IMODE(settings.keys.stat().st_mode) == 0o700
    assert service_status(deps).trials == ()
    deps.database.dispose()


def test_what_was_made_is_told_with_the_public_key_alone(settings: Settings) -> None:
    made = initialize(settings, ADA, password_of("ada"))

    keys = load_keys(settings.keys)
    assert made.kid == keys.kid
    assert made.sealing_key == keys.public_key.hex()
    assert (made.host, made.keys, made.anchors) == (HOST, settings.keys, settings.anchors)
    assert made.administrator == "ada"


def test_beside_accounts_nothing_is_made_again(settings: Settings) -> None:
    set_up(settings)
    shutil.rmtree(settings.keys)

    with pytest.raises(InstalledAlreadyError):
        set_up(settings)
    assert not settings.keys.exists()


def test_a_refused_password_leaves_nothing_behind(settings: Settings) -> None:
    with pytest.raises(PasswordRuleError):
        initialize(settings, ADA, "short")

    assert not settings.keys.exists()
    assert not settings.anchors.exists()


def test_a_refused_name_is_mended_by_running_it_again(settings: Settings) -> None:
    with pytest.raises(AccountNameError):
        initialize(settings, NewAccount("A", "p", "Ada", "XA01"), password_of("ada"))

    set_up(settings)


@pytest.mark.parametrize("step", ["keys", "register", "tables"])
def test_an_interrupted_run_is_finished_by_the_next(settings: Settings, step: str) -> None:
    kid = create_keys(settings.keys).kid
    if step != "keys":
        Register.create(settings.anchors, kid)
    if step == "tables":
        upgrade_database(settings)

    set_up(settings)

    assert load_keys(settings.keys).kid == kid


def test_beside_anchors_whose_database_is_lost_nothing_is_made(settings: Settings) -> None:
    settings.anchors.mkdir(parents=True)
    (settings.anchors / f"{'0' * 64}.anchor").write_bytes(b"")

    with pytest.raises(DatabaseLostError):
        set_up(settings)
    assert not settings.keys.exists()


def test_a_register_of_other_keys_stops_it(settings: Settings) -> None:
    Register.create(settings.anchors, "0123456789abcdef")

    with pytest.raises(RegisterError):
        set_up(settings)


def test_loose_keys_of_an_interrupted_run_stop_it(settings: Settings) -> None:
    create_keys(settings.keys)
    settings.keys.chmod(0o755)

    with pytest.raises(KeyFileError):
        set_up(settings)


def test_an_upgrade_tells_the_version_before_and_now(settings: Settings) -> None:
    before, now = upgrade_database(settings)
    again = upgrade_database(settings)

    assert before is None
    assert again == (now, now)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_newer_tables_are_left_as_they_are(settings: Settings) -> None:
    upgrade_database(settings)
    database = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.commit()
    database.close()

    with pytest.raises(SchemaVersionError):
        upgrade_database(settings)


def test_an_empty_database_gets_its_tables_and_what_a_backup_holds(
    settings: Settings, active: Installation, tmp_path: Path
) -> None:
    active.allocate("P-001")
    backup.write_backup(active.deps, tmp_path / "alloc.zip")
    told: list[int] = []

    report = restore_database(settings, tmp_path / "alloc.zip", told.append)

    assert sum(told) == report.rows
    with pytest.raises(DatabaseNotEmptyError):
        restore_database(settings, tmp_path / "alloc.zip")


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_database_that_cannot_be_made_is_refused(settings: Settings) -> None:
    settings.anchors.parent.write_text("a file where the folder should be")

    with pytest.raises(DatabaseUnreachableError):
        upgrade_database(settings)


def test_the_status_says_how_far_a_trial_and_its_lists_are(
    staffed: Installation,
) -> None:
    steps = []
    for step in (lambda: None, staffed.generate, staffed.approve, staffed.activate):
        step()
        steps.append(service_status(staffed.deps).trials[0].lists)

    assert steps == [(), ((1, "sealed"),), ((1, "approved"),), ((1, "active"),)]
    (trial,) = service_status(staffed.deps).trials
    assert (trial.trial, trial.origin, trial.state) == (staffed.trial, staffed.origin, "open")
    assert trial.entries == trial.sealer.size
    assert trial.vkey.startswith(staffed.origin)
    assert service_status(staffed.deps).is_well


def test_a_design_that_is_only_frozen_is_said_to_be(staffed: Installation) -> None:
    deps, actor = staffed.deps, staffed.people["stat"]
    with audit.writing(deps, staffed.trial) as tx:
        log = audit.open_log(deps, tx, staffed.trial)
        logged = accounts.as_they_are(tx, actor, staffed.trial)
        log.append("design.frozen", logged, {"list": 1, "design_sha256": "0" * 64})

    assert service_status(deps).trials[0].lists == ((1, "frozen"),)


def test_a_stored_log_that_does_not_fold_is_trouble(active: Installation) -> None:
    active.attack("UPDATE log_entry SET data = :data WHERE seq = 2", data=b"{}")

    status = service_status(active.deps)

    assert not status.is_well
    assert status.trials[0].state == "unknown"
    assert status.trials[0].lists == ()
    assert "entry 2" in status.trials[0].trouble


def test_a_log_that_the_sealer_refuses_is_trouble_in_its_words(active: Installation) -> None:
    active.attack("DELETE FROM log_entry WHERE seq > 4")
    active.attack(
        "UPDATE log_head SET size = 5, last_leaf = (SELECT leaf FROM log_entry WHERE seq = 4)"
    )
    health.start(active.open_anew())

    (trial,) = service_status(active.deps).trials

    assert trial.sealer.frozen
    assert trial.trouble == trial.sealer.frozen


def test_a_log_that_only_the_sealer_knows_is_trouble(active: Installation) -> None:
    for table in (
        "assignment", "sealed_slot", "list_node", "escrow_file", "list_sealing",
        "randomization_list", "checkpoint", "log_node", "log_entry", "log_head", "role_grant",
        "trial",
    ):  # fmt: skip
        active.attack(f"DELETE FROM {table}")

    (trial,) = service_status(active.deps).trials

    assert trial.trial == ""
    assert trial.origin == active.origin
    assert trial.entries == 0
    assert trial.trouble
