"""One run of the program: exit codes, refusals, faults, pipes and colours."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from alloc_service.cli import screen
from alloc_service.cli.program import alloc
from alloc_service.errors import BlockSizeError, DefinitionError, FactsError, Problem
from tests.support.shell import (
    House,
    Shell,
    command_line,
    process_environ,
    spawn,
)

Raise = Callable[[BaseException], None]


class LeakyError(Exception):
    """A fault whose words could hold what nobody may see."""


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Raise:
    """Return a function that makes `alloc status` raise something."""

    def arrange(error: BaseException) -> None:
        def fail() -> None:
            raise error

        found = alloc.get_command(click.Context(alloc), "status")
        assert found is not None
        monkeypatch.setattr(found, "callback", lambda **_: fail())

    return arrange


def test_wrong_use_is_2_and_says_how_it_is_used(shell: Shell) -> None:
    outcome = shell("list", "approve")

    assert outcome.code == 2
    assert outcome.out == ""
    assert "Usage: alloc list approve [OPTIONS] TRIAL LIST" in outcome.err
    assert "Wrong use: Missing argument 'TRIAL'." in outcome.err


def test_an_unknown_command_and_an_unknown_option_are_wrong_use(shell: Shell) -> None:
    assert shell("randomise").code == 2
    assert shell("status", "--arm").code == 2


def test_a_missing_setting_is_refused_by_its_name(shell: Shell) -> None:
    outcome = shell("status")

    assert outcome.code == 1
    assert outcome.err.startswith("Refused: ALLOC_HOST: must be set")
    assert "[bad-setting]" in outcome.err
    assert outcome.out == ""


def test_a_refusal_is_a_text_with_its_code_and_never_a_traceback(
    shell: Shell, raising: Raise
) -> None:
    raising(BlockSizeError(size=5, unit=2))

    outcome = shell("status")

    assert outcome.code == 1
    assert outcome.err.endswith("the sum of the ratios. [bad-block-size]\n")
    assert "Traceback" not in outcome.err


def test_a_note_on_a_refusal_is_shown_too(shell: Shell, raising: Raise) -> None:
    error = BlockSizeError(size=5, unit=2)
    error.add_note("The refusal could not be logged: frozen.")
    raising(error)

    assert shell("status").err.endswith("\nThe refusal could not be logged: frozen.\n")


def test_each_problem_of_a_form_stands_in_a_line_of_its_own(shell: Shell, raising: Raise) -> None:
    raising(
        FactsError(
            problems=[
                Problem("albumin", "unit-missing", "choose its unit, g/dL or g/L"),
                Problem("bilirubin", "unlikely", "it is rarely outside 0.2 to 40 mg/dL"),
            ],
            typed={"albumin": "2.5"},
        )
    )

    outcome = shell("status")

    assert outcome.code == 1
    assert outcome.err == (
        "Refused: The facts were refused and nothing was lost. Mend each field: [bad-facts]\n"
        "  albumin: choose its unit, g/dL or g/L [unit-missing]\n"
        "  bilirubin: it is rarely outside 0.2 to 40 mg/dL; if it is right: --confirm bilirubin "
        "[unlikely]\n"
    )


def test_each_fault_of_a_definition_stands_in_a_line_of_its_own(
    shell: Shell, raising: Raise
) -> None:
    raising(
        DefinitionError(
            file="trial.toml", path="cap", rule="must be 1 or more", further=[("arms", "too few")]
        )
    )

    assert shell("status").err == (
        "Refused: trial.toml breaks a rule in 2 places. Mend them and check again. "
        "[bad-definition]\n  cap: must be 1 or more\n  arms: too few\n"
    )


def test_an_unexpected_fault_is_an_apology_without_its_words(shell: Shell, raising: Raise) -> None:
    raising(LeakyError("the arm is MSC"))

    outcome = shell("status")

    assert outcome.code == 1
    assert outcome.err.startswith("Fault: Sorry, this is a fault of the program and not yours")
    assert "--debug FILE" in outcome.err
    assert "MSC" not in outcome.err
    assert "Traceback" not in outcome.err


def test_the_debug_file_has_the_reference_and_the_places_but_no_value(
    shell: Shell, raising: Raise, tmp_path: Path
) -> None:
    error = LeakyError("the arm is MSC")
    error.__cause__ = KeyError("CONV")
    raising(error)
    file = tmp_path / "fault.txt"

    outcome = shell("--debug", file, "status")

    text = file.read_text()
    reference = text.splitlines()[0].removeprefix("reference ")
    assert f"(reference {reference})" in outcome.err
    assert str(file) in outcome.err
    assert "LeakyError" in text
    assert "builtins.KeyError" in text
    assert "test_cli_run.py" in text
    assert "MSC" not in text
    assert "CONV" not in text


def test_a_debug_file_that_cannot_be_written_is_said_beside_the_apology(
    shell: Shell, raising: Raise, tmp_path: Path
) -> None:
    raising(LeakyError())

    outcome = shell("--debug", tmp_path / "missing" / "fault.txt", "status")

    assert outcome.code == 1
    assert "was not written: No such file or directory." in outcome.err
    assert "Fault: Sorry" in outcome.err


@pytest.mark.parametrize("error", [click.Abort(), KeyboardInterrupt()])
def test_a_stop_by_the_person_is_1_and_says_that_it_stopped(
    shell: Shell, raising: Raise, error: BaseException
) -> None:
    raising(error)

    outcome = shell("status")

    assert outcome.code == 1
    assert outcome.err.strip() == "Refused: Stopped. What was reported as done stays done."


def test_a_file_that_the_library_cannot_open_is_refused(shell: Shell, raising: Raise) -> None:
    raising(click.FileError("list.csv", "no such file"))

    outcome = shell("status")

    assert outcome.code == 1
    assert "list.csv" in outcome.err


def test_an_exit_of_the_interpreter_stays_one(shell: Shell, raising: Raise) -> None:
    raising(SystemExit(7))

    with pytest.raises(SystemExit):
        shell("status")


def test_an_argument_that_is_no_text_is_wrong_use(shell: Shell) -> None:
    outcome = shell(b"trial-\xff".decode("utf-8", "surrogateescape"))

    assert outcome.code == 2
    assert "no text in UTF-8" in outcome.err


@pytest.mark.usefixtures("active")
def test_control_characters_in_an_argument_never_reach_the_screen(shell: Shell) -> None:
    outcome = shell("trial", "show", "TEST-\x1b[31m\x07")

    assert outcome.code == 1
    assert "\x1b" not in outcome.err
    assert "TEST-\\x1b[31m\\x07" in outcome.err


@pytest.mark.usefixtures("active")
def test_a_name_of_ten_thousand_letters_is_refused(shell: Shell) -> None:
    outcome = shell("trial", "show", "T" * 10_000)

    assert outcome.code == 1
    assert "[not-found]" in outcome.err


def test_a_reader_that_goes_away_ends_it_quietly(active: House) -> None:
    process = subprocess.Popen(
        command_line(["trial", "example"]),
        env=process_environ(active.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert process.wait(60) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_no_color_and_a_dumb_terminal_turn_colours_off() -> None:
    assert screen.wants_color({"NO_COLOR": "1", "TERM": "xterm"}) is False
    assert screen.wants_color({"TERM": "dumb"}) is False
    assert screen.wants_color({"NO_COLOR": "", "TERM": "xterm"}) is None


def test_there_is_no_colour_in_a_pipe(active: House) -> None:
    done = spawn(["status"], active.environ)

    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr


def test_the_script_exits_with_the_code_of_its_run(tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv = ['alloc', 'randomise']\nfrom alloc_service.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=process_environ({}), cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2


def test_text_that_the_locale_cannot_show_is_escaped_and_not_a_fault(active: House) -> None:
    environ = {**active.environ, "PYTHONIOENCODING": "latin-1"}

    done = spawn(["trial", "show", "TEST-NCT01728727"], environ)

    assert done.returncode == 0
    assert b"1\xd710\\u2076 cells/kg" in done.stdout
