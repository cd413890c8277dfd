"""`alloc drill`: held on a spare machine with files alone, and logged by two people."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.shell import TRIAL, House, Outcome, Shell


@pytest.fixture
def spare(active: House, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> House:
    """Return an installation whose evidence, backup and keys were brought to an empty folder."""
    assert shell("log", "bundle", TRIAL, "--out", "evidence.zip", by="dmc").code == 0
    policy = shell("log", "policy", TRIAL)
    assert policy.code == 0, policy.err
    Path("policy").write_text(policy.out)
    assert shell("backup", "alloc.zip", by="ada").code == 0
    active.write_escrow(Path("escrow"))
    monkeypatch.setenv("ALLOC_DATABASE_URL", "sqlite:////nowhere/alloc.db")
    return active


def drill(
    shell: Shell,
    house: House,
    *more: object,
    keys: Path | None = None,
    lines: Sequence[str] = (),
) -> Outcome:
    return shell(
        "drill", "run", "--escrow", "escrow/seed.archive+dmc.age",
        "--identity", "escrow/archive.key", "--identity", "escrow/dmc.key",
        "--bundle", "evidence.zip", "--policy", "policy", "--backup", "alloc.zip",
        "--keys", keys or house.home / "keys", "--out", "drill.json", *more,
        lines=lines,
    )  # fmt: skip


def test_a_drill_needs_files_alone_and_is_logged_by_two(
    spare: House, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = drill(shell, spare)
    assert done.code == 0, done.err
    for part in ("escrow", "bundle", "root", "sealed slot"):
        assert f"ok      {part}" in done.out
    monkeypatch.delenv("ALLOC_DATABASE_URL")

    logged = shell("drill", "log", TRIAL, "drill.json", by="stat", second="dmc")

    assert logged.code == 0, logged.err
    assert "it was well" in logged.out
    last = shell("log", "show", TRIAL, "--last", 1, by="dmc").out
    assert "held a drill of the escrow of list 1 (root equal: yes" in last


def test_a_drill_without_the_keys_fails_and_says_why(spare: House, shell: Shell) -> None:
    done = drill(shell, spare, "--json", keys=Path("nowhere"))

    assert done.code == 1
    told = json.loads(done.out)
    assert not told["ok"]
    assert [check["ok"] for check in told["checks"]] == [True, True, True, False]
    assert json.loads(Path("drill.json").read_text())["blob_opened"] is False


def test_keys_that_a_passphrase_protects_are_asked_for_it(spare: House, shell: Shell) -> None:
    given = drill(shell, spare, "--passphrase-fd", "{fd}", lines=["a passphrase that is long"])

    assert given.code == 1
    assert "a passphrase was given" in given.out


def test_a_report_is_not_written_over_a_file(spare: House, shell: Shell) -> None:
    Path("drill.json").write_text("mine")

    done = drill(shell, spare)

    assert done.code == 1
    assert "[output-file]" in done.err
    assert Path("drill.json").read_text() == "mine"
