"""`alloc backup`, `alloc restore`, `alloc log verify`: another database, and the same trial."""

import json
import sqlite3
from pathlib import Path

import pytest

from alloc_service.services.lookups import read_log_key
from tests.support.shell import ANSWERS, CONSENT, FACTS, TRIAL, Golden, House, Outcome, Shell


def allocate(shell: Shell, number: str) -> Outcome:
    given = ["--participant", number, "--consent-time", CONSENT, "--consent-version", "1"]
    given += [part for code, text in FACTS.items() for part in ("--fact", f"{code}={text}")]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    assert shell("enrol", TRIAL, *given, by="doc").code == 0
    return shell("allocate", TRIAL, number, "--json", by="doc")


def lose_database(house: House) -> None:
    for file in (house.home / "var").glob("alloc.db*"):
        file.unlink()


def change_log(house: House, statement: str) -> None:
    database = sqlite3.connect(house.home / "var" / "alloc.db")
    for (name,) in database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        database.execute(f'DROP TRIGGER "{name}"')
    database.execute(statement)
    database.commit()
    database.close()


def test_a_backup_gives_a_lost_database_back(active: House, shell: Shell) -> None:
    first = json.loads(allocate(shell, "P-001").out)
    made = shell("backup", "b.zip", by="ada")
    lose_database(active)

    restored = shell("restore", "b.zip")

    assert made.code == 0
    assert "The backup is in b.zip." in made.out
    assert restored.code == 0
    assert "Next: `alloc sealer status`" in restored.out
    again = json.loads(shell("allocation", "show", TRIAL, "P-001", "--json", by="doc").out)
    assert again["arm"] == first["arm"]
    assert shell("log", "verify", TRIAL, by="dmc").code == 0


def test_a_trial_that_has_gone_on_since_is_frozen_until_it_is_recovered(
    active: House, shell: Shell
) -> None:
    shell("backup", "b.zip", by="ada")
    allocate(shell, "P-001")
    lose_database(active)
    shell("restore", "b.zip")

    assert shell("sealer", "status").code == 1
    assert "[frozen]" in allocate(shell, "P-002").err
    assert shell("sealer", "recover", TRIAL, by="ada", second="manager").code == 0
    assert (
        json.loads(shell("allocate", TRIAL, "P-002", "--json", by="doc").out)[
            "randomization_number"
        ]
        == 2
    )


@pytest.mark.usefixtures("active")
def test_a_backup_as_json_counts_its_rows(shell: Shell) -> None:
    report = json.loads(shell("backup", "b.zip", "--json", by="ada").out)
    checked = json.loads(shell("restore", "--check", "b.zip", "--json").out)

    assert report == checked
    assert report["tables"]["account"] == 7
    assert report["tables"]["sealed_slot"] == 960


@pytest.mark.usefixtures("active")
def test_a_backup_is_made_by_an_administrator_to_a_free_path(shell: Shell) -> None:
    Path("taken.zip").write_text("something else")

    not_allowed = shell("backup", "b.zip", by="manager")
    taken = shell("backup", "taken.zip", by="ada")

    assert "[not-allowed]" in not_allowed.err
    assert not Path("b.zip").exists()
    assert taken.code == 1
    assert Path("taken.zip").read_text() == "something else"


@pytest.mark.usefixtures("active")
def test_a_backup_names_no_arm_beside_a_participant_and_no_password(shell: Shell) -> None:
    allocate(shell, "P-001")
    shell("backup", "b.zip", by="ada")
    data = Path("b.zip").read_bytes()

    assert b"|MSC|" not in data
    assert b"|CONV|" not in data
    assert b"has a long password" not in data


@pytest.mark.usefixtures("active")
def test_nothing_is_restored_over_a_database(shell: Shell) -> None:
    shell("backup", "b.zip", by="ada")

    outcome = shell("restore", "b.zip")

    assert outcome.code == 1
    assert "Refused: " in outcome.err
    assert shell("status").code == 0


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_file_that_is_no_backup_is_refused(shell: Shell, content: bytes | None) -> None:
    if content is not None:
        Path("b.zip").write_bytes(content)

    for given in (["--check"], []):
        outcome = shell("restore", "b.zip", *given)
        assert outcome.code == 1
        assert "Refused: " in outcome.err


@pytest.mark.usefixtures("active")
def test_a_backup_that_was_cut_is_refused_before_anything_is_made(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("backup", "b.zip", by="ada")
    Path("b.zip").write_bytes(Path("b.zip").read_bytes()[:-100])
    (tmp_path / "new").mkdir()
    monkeypatch.setenv("ALLOC_HOME", str(tmp_path / "new"))

    assert shell("restore", "b.zip").code == 1
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.usefixtures("active")
def test_an_untouched_log_verifies_and_says_what_was_not_there_to_check(
    shell: Shell, golden: Golden
) -> None:
    allocate(shell, "P-001")

    outcome = shell("log", "verify", TRIAL, by="dmc")

    assert outcome.code == 0
    golden("log-verify", outcome.out)
    assert json.loads(shell("log", "verify", TRIAL, "--json", by="ada").out)["ok"] is True


def test_a_changed_entry_is_found_and_is_1(active: House, shell: Shell) -> None:
    allocate(shell, "P-001")
    change_log(active, "UPDATE log_entry SET leaf = replace(leaf, 'a', 'b') WHERE seq = 3")

    outcome = shell("log", "verify", TRIAL, by="dmc")

    assert outcome.code == 1
    assert "  FAILED  " in outcome.out
    assert "3" in outcome.out


@pytest.mark.usefixtures("active")
def test_a_log_is_verified_by_oversight_alone(shell: Shell) -> None:
    for user in ("doc", "manager"):
        assert "[not-allowed]" in shell("log", "verify", TRIAL, by=user).err


def test_an_export_verifies_without_a_database_with_a_key_from_elsewhere(
    active: House, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("log", "export", TRIAL, "--out", "export", by="dmc")
    with active.opened() as deps:
        key = read_log_key(deps, TRIAL)
    monkeypatch.delenv("ALLOC_HOST")

    with_key = shell("log", "verify", "--export", "export", "--key", key)
    without = shell("log", "verify", "--export", "export", "--json")

    assert with_key.code == 0
    assert with_key.err == ""
    assert "  ok      log" in with_key.out
    assert without.code == 0
    assert "the key is taken from export/log.vkey" in without.err


@pytest.mark.usefixtures("active")
def test_a_changed_export_is_1(shell: Shell) -> None:
    shell("log", "export", TRIAL, "--out", "export", by="dmc")
    entries = Path("export/entries.ndjson")
    entries.write_bytes(entries.read_bytes().replace(b"P-doc", b"P-eve", 1))

    outcome = shell("log", "verify", "--export", "export")

    assert outcome.code == 1
    assert "  FAILED  log" in outcome.out


@pytest.mark.usefixtures("active")
def test_an_export_that_is_not_whole_is_refused(shell: Shell) -> None:
    shell("log", "export", TRIAL, "--out", "export", by="dmc")
    Path("export/checkpoint").unlink()

    missing = shell("log", "verify", "--export", "export")
    bad_key = shell("log", "verify", "--export", "export", "--key", "no key")

    assert "[input-file]" in missing.err
    assert "[bad-note]" in bad_key.err


@pytest.mark.parametrize("given", [[], [TRIAL, "--export", "e"], [TRIAL, "--key", "k"]])
def test_a_verification_is_of_a_trial_or_of_an_export(shell: Shell, given: list[str]) -> None:
    assert shell("log", "verify", *given).code == 2
