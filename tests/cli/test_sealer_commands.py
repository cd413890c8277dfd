"""`alloc sealer` and `alloc restore-enrolment`: yesterday's database, and the way back."""

import json
import shutil
from pathlib import Path

import pytest

from alloc_service.services.installation import service_status
from tests.support.shell import (
    ANSWERS,
    CONSENT,
    FACTS,
    TRIAL,
    Golden,
    House,
    Outcome,
    Shell,
)


def form(number: str) -> list[str]:
    given = ["--participant", number, "--consent-time", CONSENT, "--consent-version", "1"]
    given += [part for code, text in FACTS.items() for part in ("--fact", f"{code}={text}")]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    return given


def allocate(shell: Shell, number: str) -> Outcome:
    assert shell("enrol", TRIAL, *form(number), by="doc").code == 0
    return shell("allocate", TRIAL, number, "--json", by="doc")


def copy_database(house: House, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in (house.home / "var").glob("alloc.db*"):
        shutil.copy2(file, folder / file.name)


def restore_database(house: House, folder: Path) -> None:
    for file in (house.home / "var").glob("alloc.db*"):
        file.unlink()
    for file in folder.iterdir():
        shutil.copy2(file, house.home / "var" / file.name)


@pytest.fixture
def rolled_back(active: House, shell: Shell, tmp_path: Path) -> House:
    """Return a trial whose database of before its first allocation was restored."""
    copy_database(active, tmp_path / "yesterday")
    assert allocate(shell, "P-001").code == 0
    restore_database(active, tmp_path / "yesterday")
    return active


@pytest.mark.usefixtures("active")
def test_a_healthy_sealer_is_0_and_says_so(shell: Shell, golden: Golden) -> None:
    outcome = shell("sealer", "status")

    assert outcome.code == 0
    golden("sealer-status", outcome.out)
    assert json.loads(shell("sealer", "status", TRIAL, "--json").out)[0]["frozen"] == ""


def test_an_installation_without_a_trial_has_nothing_to_follow(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("ALLOC_HOST", "rac.example.org")
    monkeypatch.setenv("ALLOC_HOME", str(tmp_path / "home"))
    shell(
        "init", "--user", "ada", "--person", "P-1", "--name", "Ada", "--organization", "XA01",
        "--password-fd", "{fd}", lines=["a password of ada's own"],
    )  # fmt: skip

    assert shell("sealer", "status").out == "The sealer follows no log yet.\n"
    assert shell("sealer", "status", TRIAL).code == 1


@pytest.mark.usefixtures("rolled_back")
def test_a_frozen_trial_says_why_and_is_1(shell: Shell) -> None:
    outcome = shell("sealer", "status")

    assert outcome.code == 1
    assert "Frozen    the log " in outcome.out
    assert "Stands still: " in outcome.err
    assert "[frozen]" in outcome.err
    status = shell("status")
    assert status.code == 1
    assert "STANDS STILL" in status.out


@pytest.mark.usefixtures("rolled_back")
def test_a_frozen_trial_appends_nothing_and_opens_nothing(shell: Shell) -> None:
    assert shell("enrol", TRIAL, *form("P-002"), by="doc").code == 0

    outcome = shell("allocate", TRIAL, "P-002", by="doc")

    assert outcome.code == 1
    assert outcome.out == ""
    assert "[frozen]" in outcome.err


@pytest.mark.usefixtures("active")
def test_nothing_is_said_to_be_shown_again_where_nothing_opens(
    active: House, shell: Shell, tmp_path: Path
) -> None:
    assert allocate(shell, "P-001").code == 0
    copy_database(active, tmp_path / "yesterday")
    assert allocate(shell, "P-002").code == 0
    restore_database(active, tmp_path / "yesterday")

    outcome = shell("allocate", TRIAL, "P-001", by="doc")

    assert outcome.code == 1
    assert "[frozen]" in outcome.err
    assert "shown again" not in outcome.err


@pytest.mark.usefixtures("rolled_back")
def test_two_people_recover_it_and_the_lost_record_is_entered_again(shell: Shell) -> None:
    outcome = shell("sealer", "recover", TRIAL, by="ada", second="manager")

    assert outcome.code == 0
    assert "Given back              1 entries" in outcome.out
    command = outcome.out.splitlines()[-1]
    assert command.startswith(f"alloc restore-enrolment {TRIAL} ")
    enrolment = command.split()[-1]
    restored = shell(
        "restore-enrolment", TRIAL, enrolment, *form("P-001"), by="doc", second="manager"
    )
    assert restored.code == 0
    assert "has its record again" in restored.out
    shown = shell("allocation", "show", TRIAL, "P-001", "--json", by="doc")
    assert json.loads(shown.out)["randomization_number"] == 1
    assert shell("sealer", "status").code == 0
    assert json.loads(allocate(shell, "P-002").out)["randomization_number"] == 2
    again = shell("sealer", "recover", TRIAL, by="ada", second="manager")
    assert again.code == 0
    assert "was whole; what is derived from it is made anew" in again.out
    assert shell("log", "verify", TRIAL, by="dmc").code == 0


@pytest.mark.usefixtures("rolled_back")
def test_a_record_that_is_entered_again_keeps_every_rule_of_a_form(shell: Shell) -> None:
    recovered = shell("sealer", "recover", TRIAL, by="ada", second="manager")
    enrolment = recovered.out.splitlines()[-1].split()[-1]

    outcome = shell(
        "restore-enrolment", TRIAL, enrolment, *form("P-001"), "--fact", "extra=1",
        by="doc", second="manager",
    )  # fmt: skip

    assert outcome.code == 1
    assert "[bad-form]" in outcome.err
    assert "What you typed is in" in outcome.err


@pytest.mark.usefixtures("active")
def test_an_allocation_that_has_its_record_is_not_entered_again(shell: Shell) -> None:
    enrolment = json.loads(allocate(shell, "P-001").out)["enrolment"]

    outcome = shell(
        "restore-enrolment", TRIAL, enrolment, *form("P-001"), by="doc", second="manager"
    )

    assert outcome.code == 1
    assert "[not-restorable]" in outcome.err


@pytest.mark.usefixtures("rolled_back")
def test_a_recovery_takes_two_different_people(shell: Shell) -> None:
    same = shell("sealer", "recover", TRIAL, by="ada", second="ada")
    alone = shell("sealer", "recover", TRIAL, by="ada")
    no_role = shell("sealer", "recover", TRIAL, by="ada", second="doc")

    assert "[second-person]" in same.err
    assert alone.code == 2
    assert "give --second USER and --second-password-fd N" in alone.err
    assert "[not-allowed]" in no_role.err
    assert shell("sealer", "status").code == 1


@pytest.mark.usefixtures("rolled_back")
def test_a_list_can_be_retired_in_a_recovery(shell: Shell) -> None:
    outcome = shell("sealer", "recover", TRIAL, "--retire", 1, by="ada", second="manager")

    assert outcome.code == 0
    assert "Retired lists           1" in outcome.out
    assert "1 retired" in shell("status").out
    shell("enrol", TRIAL, *form("P-002"), by="doc")
    assert "[no-active-list]" in shell("allocate", TRIAL, "P-002", by="doc").err


def test_a_sealed_list_is_accepted_by_origin_number_and_root(sealed: House, shell: Shell) -> None:
    with sealed.opened() as deps:
        origin = service_status(deps).trials[0].origin

    good = shell("sealer", "accept", origin, 1, sealed.root)
    wrong = shell("sealer", "accept", origin, 1, "0" * 64)
    unknown = shell("sealer", "accept", "rac.example.org/OTHER/audit", 1, sealed.root)
    missing = shell("sealer", "accept", origin, 2, sealed.root)

    assert good.code == 0
    assert "Every slot of list 1 opens" in good.out
    assert "[root-differs]" in wrong.err
    assert "[not-found]" in unknown.err
    assert "[not-found]" in missing.err
    assert shell("sealer", "accept", origin, 1, "xyz").code == 2
