"""`alloc init`, `alloc db upgrade` and `alloc status` on a fresh machine."""

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.support.shell import (
    HOST,
    Golden,
    House,
    Outcome,
    Shell,
    password_of,
)

NEW = ("--user", "ada", "--person", "P-1", "--name", "Ada Admin", "--organization", "XA01")
PASSWORD = ("--password-fd", "{fd}")


@pytest.fixture
def home(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    del shell
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ALLOC_HOST", HOST)
    monkeypatch.setenv("ALLOC_HOME", str(home))
    return home


def set_up(shell: Shell, *more: str) -> Outcome:
    return shell("init", *NEW, *PASSWORD, *more, lines=[password_of("ada")])


def test_init_makes_keys_register_tables_and_the_first_administrator(
    home: Path, shell: Shell, golden: Golden
) -> None:
    outcome = set_up(shell)

    assert outcome.code == 0
    golden("init", outcome.out)
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    for file in (home / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (home / "var" / "anchors" / "register").is_file()
    assert shell("user", "list", by="ada").code == 0


def test_init_as_json_names_the_public_sealing_key_and_no_password(
    home: Path, shell: Shell
) -> None:
    outcome = set_up(shell, "--json")
    made = json.loads(outcome.out)

    assert made["host"] == HOST
    assert len(made["sealing_key"]) == 64
    assert made["keys"] == str(home / "keys")
    assert password_of("ada") not in outcome.out + outcome.err


def test_init_is_never_done_twice(home: Path, shell: Shell) -> None:
    set_up(shell)
    keys = {path.name: path.read_bytes() for path in (home / "keys").iterdir()}

    outcome = set_up(shell)

    assert outcome.code == 1
    assert "[installed-already]" in outcome.err
    assert {path.name: path.read_bytes() for path in (home / "keys").iterdir()} == keys


def test_a_weak_password_is_refused_before_anything_is_made(home: Path, shell: Shell) -> None:
    outcome = shell("init", *NEW, *PASSWORD, lines=["short"])

    assert outcome.code == 1
    assert "[bad-password]" in outcome.err
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--user", "A B"),
        ("--person", "a\x07b"),
        ("--name", "x" * 10_000),
        ("--name", "110101199003070011"),
        ("--organization", ""),
    ],
)
def test_a_bad_name_is_refused_and_init_can_be_run_again(
    home: Path, shell: Shell, option: str, value: str
) -> None:
    bad = list(NEW)
    bad[bad.index(option) + 1] = value

    outcome = shell("init", *bad, *PASSWORD, lines=[password_of("ada")])

    assert outcome.code == 1
    assert "Refused: " in outcome.err
    assert set_up(shell).code == 0
    assert home.is_dir()


def test_without_a_terminal_what_is_missing_is_wrong_use(home: Path, shell: Shell) -> None:
    outcome = shell("init", "--user", "ada")

    assert outcome.code == 2
    assert "There is no terminal to ask at: give --person ID." in outcome.err
    assert list(home.iterdir()) == []


def test_without_a_terminal_a_missing_password_is_wrong_use(home: Path, shell: Shell) -> None:
    outcome = shell("init", *NEW)

    assert outcome.code == 2
    assert "give --password-fd N" in outcome.err
    assert home.is_dir()


def test_an_interrupted_init_is_finished_by_the_next(home: Path, shell: Shell) -> None:
    set_up(shell)
    for file in (home / "var").glob("alloc.db*"):
        file.unlink()

    assert set_up(shell).code == 0
    assert shell("status").code == 0


def test_a_lost_database_is_not_made_anew(
    home: Path, shell: Shell, staffed_template: House
) -> None:
    staffed_template.copied_to(home)
    for file in (home / "var").glob("alloc.db*"):
        file.unlink()

    outcome = set_up(shell)

    assert outcome.code == 1
    assert "[database-lost]" in outcome.err
    assert "alloc restore" in outcome.err


@pytest.mark.usefixtures("home")
def test_status_of_a_fresh_installation_names_no_trial(shell: Shell, golden: Golden) -> None:
    set_up(shell)

    outcome = shell("status")

    assert outcome.code == 0
    golden("status-fresh", outcome.out)
    assert json.loads(shell("status", "--json").out)["trials"] == []


@pytest.mark.usefixtures("active")
def test_status_shows_each_trial_and_whether_its_sealer_is_well(
    shell: Shell, golden: Golden
) -> None:
    outcome = shell("status")

    assert outcome.code == 0
    golden("status", outcome.out)
    status = json.loads(shell("status", "--json").out)
    assert status["well"] is True
    assert status["trials"][0]["lists"] == [{"list": 1, "state": "active"}]


def test_loose_keys_stop_every_command_and_the_mending_command_is_told(
    active: House, shell: Shell
) -> None:
    (active.home / "keys").chmod(0o755)

    outcome = shell("status")

    assert outcome.code == 1
    assert "chmod" in outcome.err
    assert "[keys-loose]" in outcome.err


def test_missing_keys_name_the_command_that_makes_them(active: House, shell: Shell) -> None:
    for file in (active.home / "keys").iterdir():
        file.unlink()

    outcome = shell("status")

    assert outcome.code == 1
    assert "alloc init" in outcome.err
    assert "[keys-missing]" in outcome.err


def test_a_missing_database_is_unreachable_and_upgrade_makes_one(
    active: House, shell: Shell
) -> None:
    for file in (active.home / "var").glob("alloc.db*"):
        file.unlink()

    outcome = shell("status")

    assert outcome.code == 1
    assert "alloc db upgrade" in outcome.err
    made = shell("db", "upgrade")
    assert made.code == 0
    assert "(before: none)" in made.out


@pytest.mark.usefixtures("active")
def test_an_upgrade_of_current_tables_changes_nothing(shell: Shell) -> None:
    outcome = shell("db", "upgrade")

    assert outcome.code == 0
    assert "already; nothing was changed" in outcome.out


def test_a_database_lost_after_its_log_was_followed_is_told_and_is_1(
    active: House, shell: Shell
) -> None:
    for file in (active.home / "var").glob("alloc.db*"):
        file.unlink()
    shell("db", "upgrade")

    outcome = shell("status")

    assert outcome.code == 1
    assert "(not in the database)" in outcome.out
    assert "the database has no such trial" in outcome.err
    assert shell("sealer", "status").code == 1


def test_a_read_only_database_is_refused_by_its_name(
    active: House, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOC_DATABASE_URL", "sqlite:////proc/version")

    outcome = shell("status")

    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "SQLite file /proc/version" in outcome.err
    assert active.home.is_dir()


def test_a_database_of_another_version_is_refused(active: House, shell: Shell) -> None:
    database = sqlite3.connect(active.home / "var" / "alloc.db")
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.commit()
    database.close()

    outcome = shell("status")

    assert outcome.code == 1
    assert "[schema-version]" in outcome.err
