"""`alloc demo`: a whole simulated life, readable in a pipe and coloured at a terminal."""

import re
from pathlib import Path

import pytest

from alloc_service.cli.demo import rehearsal, telling
from alloc_service.cli.demo.course import Course
from alloc_service.cli.demo.evidence import verify_alone
from alloc_service.cli.demo.simulator import HABITS
from alloc_service.services import lists
from alloc_service.trial.definition import as_test, shipped_definition
from tests.support.shell import Golden, Shell, command_line, process_environ, steady
from tests.support.terminal import at_terminal


@pytest.fixture(scope="module")
def few() -> int:
    return 12


def test_the_whole_life_is_told_and_everything_holds(
    shell: Shell, few: int, golden: Golden, tmp_path: Path
) -> None:
    outcome = shell("demo", "--participants", few)

    assert outcome.code == 0
    assert outcome.err == ""
    assert "FAILED" not in outcome.out
    told = re.sub(r"(?m)^  (cp=\S+|all) .*$", r"  \1 <counts>", outcome.out)
    told = re.sub(r"(CONV: Active comparator|MSC: Experimental).*", "<arm>", told)
    told = re.sub(r"It took \d+ s", "It took <n> s", told)
    # How many checkpoints are signed depends on which of two reveals at once is followed first.
    told = re.sub(r"\d+( checkpoints agree| are signed)", r"<n>\1", told)
    told = re.sub(r"[\d,]+ bytes, without any arm", "<n> bytes, without any arm", told)
    golden("demo", steady(told, tmp_path))


def test_the_temporary_folder_is_removed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))

    assert shell("demo", "--participants", 1).code == 0

    assert list(room.iterdir()) == []


def test_whatever_does_not_hold_is_said_and_is_1(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "log_regeneration", lambda *_: False)

    outcome = shell("demo", "--participants", 1)

    assert outcome.code == 1
    assert "  FAILED  root" in outcome.out
    assert outcome.err == "Failed: Something above did not hold.\n"


def test_all_places_can_be_taken_and_one_more_is_refused(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = as_test(shipped_definition()).model_copy(update={"cap": 3})
    monkeypatch.setattr(rehearsal, "as_test", lambda _: small)

    outcome = shell("demo", "--participants", 3)

    assert outcome.code == 0
    assert "  ok      cap             participant 4 was refused" in outcome.out


def test_a_bundle_that_is_none_is_not_good_and_the_verifier_says_why(tmp_path: Path) -> None:
    found = verify_alone(tmp_path, b"no bundle", "quorum none\n")

    assert not found.good
    assert found.words


@pytest.mark.parametrize("number", ["0", "241", "many"])
def test_a_number_that_the_trial_does_not_have_is_wrong_use(shell: Shell, number: str) -> None:
    assert shell("demo", "--participants", number).code == 2


def test_two_different_answers_to_one_participant_are_a_fault() -> None:
    class Shown:
        participant = "S-001"

        def __init__(self, arm: str) -> None:
            self.arm, self.randomization_number = arm, 1

    course = Course()
    course.compare(Shown("MSC"), Shown("MSC"))  # type: ignore[arg-type]  # only these are read
    assert course.faults == []

    course.compare(Shown("MSC"), Shown("CONV"))  # type: ignore[arg-type]  # only these are read
    assert course.faults == ["S-001 was shown two different allocations"]


def test_every_way_of_asking_has_its_words() -> None:
    assert set(telling._HOW) == set(HABITS)


def test_at_a_terminal_it_is_coloured_and_shows_its_progress(tmp_path: Path) -> None:
    environ = process_environ({"TERM": "xterm", "COLUMNS": "100"})

    with at_terminal(command_line(["demo", "--participants", "2"]), environ, tmp_path) as terminal:
        code = terminal.finish()

    assert code == 0
    assert "\x1b[32m  ok    \x1b[0m" in terminal.screen
    assert "Enrolling" in terminal.screen
    assert "100%" in terminal.screen
