"""`alloc trial` and `alloc site`: definitions, and the state of a trial."""

import json
from pathlib import Path

import pytest

from alloc_service.trial.definition import shipped_definition
from tests.support.shell import (
    SITE,
    TRIAL,
    Golden,
    Shell,
)


@pytest.fixture
def trial_file(shell: Shell, tmp_path: Path) -> Path:
    path = tmp_path / "trial.toml"
    path.write_text(shell("trial", "example").out, "utf-8")
    return path


def test_the_example_is_a_definition_that_keeps_every_rule(
    trial_file: Path, shell: Shell, golden: Golden
) -> None:
    outcome = shell("trial", "check", trial_file)

    assert outcome.code == 0
    golden("trial-check", outcome.out)


def test_a_check_never_shows_a_block_size(trial_file: Path, shell: Shell) -> None:
    shown = json.loads(shell("trial", "check", trial_file, "--test", "--json").out)

    assert shown["id"] == TRIAL
    assert "design" not in shown
    text = shell("trial", "check", trial_file).out
    assert "size" not in text
    assert "there, and not shown" in text


def test_a_definition_without_its_restricted_table_says_so(trial_file: Path, shell: Shell) -> None:
    text = trial_file.read_text("utf-8")
    trial_file.write_text(text[: text.rindex("[design]")], "utf-8")

    assert "[design]  missing" in shell("trial", "check", trial_file).out


def test_every_fault_of_a_definition_is_told_with_its_place(trial_file: Path, shell: Shell) -> None:
    text = trial_file.read_text("utf-8")
    text = text.replace("cap = 240", "cap = 0").replace('code = "MSC"', 'code = "CONV"')
    trial_file.write_text(text, "utf-8")

    outcome = shell("trial", "check", trial_file)

    assert outcome.code == 1
    assert outcome.out == ""
    assert "cap: " in outcome.err
    assert "trial.toml" in outcome.err


@pytest.mark.parametrize("content", [b"\xff\xfe", b"id = ", b"a" * 2_000_000, None])
def test_a_file_that_is_no_definition_is_refused(
    shell: Shell, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "other.toml"
    if content is not None:
        path.write_bytes(content)

    outcome = shell("trial", "check", path)

    assert outcome.code == 1
    assert "[bad-definition]" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.usefixtures("staffed")
def test_an_administrator_creates_a_trial_once(shell: Shell, trial_file: Path) -> None:
    made = shell("trial", "create", trial_file, by="ada")
    again = shell("trial", "create", trial_file, by="ada")

    assert made.code == 0
    assert made.out == "The trial NCT01728727 is created; its log has begun.\n"
    assert again.code == 1
    assert "[trial-exists]" in again.err


@pytest.mark.usefixtures("staffed")
def test_nobody_else_creates_one(shell: Shell, trial_file: Path) -> None:
    outcome = shell("trial", "create", trial_file, by="manager")

    assert outcome.code == 1
    assert "[not-allowed]" in outcome.err


@pytest.mark.usefixtures("active")
def test_a_stored_definition_is_shown_without_its_design(shell: Shell, golden: Golden) -> None:
    outcome = shell("trial", "show", TRIAL)

    assert outcome.code == 0
    golden("trial-show", outcome.out)
    stored = json.loads(shell("trial", "show", TRIAL, "--json").out)
    assert stored["cap"] == shipped_definition().cap
    assert "design" not in stored


@pytest.mark.usefixtures("active")
def test_a_trial_is_paused_resumed_and_closed_by_its_manager(shell: Shell) -> None:
    why = ("--code", "safety", "--reason", "Advice of the DMC of 2 March")

    for command, state in (("pause", "paused"), ("resume", "resumed"), ("close", "closed")):
        outcome = shell("trial", command, TRIAL, *why, by="manager")
        assert outcome.code == 0
        assert f"{TRIAL} is {state}, entry " in outcome.out
    assert shell("trial", "resume", TRIAL, *why, by="manager").code == 1
    assert "[not-allowed]" in shell("trial", "pause", TRIAL, *why, by="doc").err


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("call 13912345678", "personal-identifier"),
        ("11010119900307001X", "personal-identifier"),
        ("a\x07b", "bad-text"),
        ("x" * 10_000, "bad-text"),
    ],
)
@pytest.mark.usefixtures("active")
def test_a_reason_with_what_no_text_may_hold_is_refused(
    shell: Shell, reason: str, code: str
) -> None:
    outcome = shell("trial", "pause", TRIAL, "--code", "safety", "--reason", reason, by="manager")

    assert outcome.code == 1
    assert f"[{code}]" in outcome.err
    assert reason not in outcome.err


@pytest.mark.usefixtures("active")
def test_a_bad_reason_code_is_refused(shell: Shell) -> None:
    outcome = shell("trial", "pause", TRIAL, "--code", "A B", "--reason", "why", by="manager")

    assert outcome.code == 1
    assert "Refused: " in outcome.err


@pytest.mark.usefixtures("active")
def test_the_cap_is_changed_by_the_manager(shell: Shell) -> None:
    outcome = shell("trial", "cap", TRIAL, 260, by="manager")

    assert outcome.code == 0
    assert "at most 260 participants" in outcome.out
    shown = shell("trial", "show", TRIAL).out
    assert "at most 240; now at most 260" in shown
    assert shell("trial", "cap", TRIAL, 0, by="manager").code == 2


@pytest.mark.usefixtures("active")
def test_a_site_is_paused_and_activated(shell: Shell) -> None:
    paused = shell("site", "pause", TRIAL, SITE, by="manager")
    again = shell("site", "pause", TRIAL, SITE, by="manager")
    active_again = shell("site", "activate", TRIAL, SITE, by="manager")
    unknown = shell("site", "activate", TRIAL, "ZZ99", by="manager")

    assert "site XA01 is paused" in paused.out
    assert again.code == 1
    assert "site XA01 is active" in active_again.out
    assert "[unknown-site]" in unknown.err


@pytest.mark.usefixtures("active")
def test_what_a_trial_for_testing_says_it_is(shell: Shell) -> None:
    assert shell("trial", "show", TRIAL).out.startswith(f" TEST  {TRIAL} is a trial for testing")
