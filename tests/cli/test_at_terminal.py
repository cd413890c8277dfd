"""`alloc` at a real terminal: what is asked, what is never echoed, colours and progress."""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.shell import (
    ANSWERS,
    CONSENT,
    FACTS,
    TRIAL,
    House,
    Shell,
    command_line,
    password_of,
    process_environ,
)
from tests.support.terminal import Terminal, at_terminal

Start = Callable[..., contextlib.AbstractContextManager[Terminal]]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def start(active: House, tmp_path: Path) -> Start:
    """Return a function that starts `alloc` at a terminal, in an active trial."""

    def started(*arguments: object, **environ: str) -> contextlib.AbstractContextManager[Terminal]:
        whole = process_environ({**active.environ, "TERM": "xterm", "COLUMNS": "100", **environ})
        return at_terminal(command_line(arguments), whole, tmp_path / "work")

    return started


def sign_in(terminal: Terminal, user: str) -> None:
    terminal.expect("User name: ")
    terminal.type(user)
    terminal.expect(f"Password of {user}: ")
    terminal.type(password_of(user))


def enrol(shell: Shell, **changes: str) -> None:
    given = ["--participant", "P-001", "--consent-time", CONSENT, "--consent-version", "1"]
    given += [
        part for code, text in {**FACTS, **changes}.items() for part in ("--fact", f"{code}={text}")
    ]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    assert shell("enrol", TRIAL, *given, by="doc").code == 0


def test_a_record_is_shown_confirmed_and_signed_anew_before_its_arm_is_seen(
    shell: Shell, start: Start
) -> None:
    enrol(shell)

    with start("allocate", TRIAL, "P-001") as terminal:
        sign_in(terminal, "doc")
        terminal.expect("Stratum, derived by the system")
        terminal.expect("cp=11-15;meld=<20")
        terminal.expect("Sign this record and request its allocation? [y/N]: ")
        terminal.type("y")
        terminal.expect("I have checked this record and request the allocation")
        sign_in(terminal, "doc")
        terminal.expect("Randomization number")
        code = terminal.finish()

    assert code == 0
    assert password_of("doc") not in terminal.screen
    shown = json.loads(shell("allocation", "show", TRIAL, "P-001", "--json", by="doc").out)
    assert f"{shown['arm']}: {shown['label']}" in COLOUR.sub("", terminal.screen)


def test_who_does_not_confirm_spends_no_slot(shell: Shell, start: Start) -> None:
    enrol(shell)

    with start("allocate", TRIAL, "P-001") as terminal:
        sign_in(terminal, "doc")
        terminal.expect("[y/N]: ")
        terminal.type("n")
        code = terminal.finish()

    assert code == 1
    assert "Stopped." in terminal.screen
    assert "[not-allocated]" in shell("allocation", "show", TRIAL, "P-001", by="doc").err


def test_another_person_cannot_sign_for_the_one_who_looks(shell: Shell, start: Start) -> None:
    enrol(shell)

    with start("allocate", TRIAL, "P-001") as terminal:
        sign_in(terminal, "doc")
        terminal.expect("[y/N]: ")
        terminal.type("y")
        sign_in(terminal, "doc2")
        code = terminal.finish()

    assert code == 1
    assert "[not-signed]" in terminal.screen
    assert "[not-allocated]" in shell("allocation", "show", TRIAL, "P-001", by="doc").err


def test_a_form_is_asked_for_field_by_field_and_an_unlikely_value_twice(
    shell: Shell, start: Start
) -> None:
    with start("enrol", TRIAL, "--participant", "P-001", "--fact", "age=45") as terminal:
        sign_in(terminal, "doc")
        terminal.expect("Consent: date and time at the site")
        terminal.type(CONSENT)
        terminal.expect("Consent: which version was signed: ")
        terminal.type("1")
        terminal.expect("Total bilirubin, with its unit mg/dL or umol/L: ")
        terminal.type("45 mg/dL")
        for fact in ("albumin", "inr", "creatinine", "dialysis", "ascites", "encephalopathy"):
            terminal.expect(": ")
            terminal.type(FACTS[fact])
        for answer in list(ANSWERS.values())[:-1]:
            terminal.expect(" yes or no: ")
            terminal.type(answer)
        terminal.expect(" yes or no: ")
        terminal.type("")
        terminal.expect("bilirubin 45 mg/dL: it is rarely outside 0.2 to 25 mg/dL")
        terminal.expect("Is it right? [y/N]: ")
        terminal.type("y")
        code = terminal.finish()

    assert code == 0
    assert "(unlikely, and confirmed)" in terminal.screen
    assert "NOT ANSWERED" in terminal.screen
    assert shell("amend", TRIAL, "P-001", "--answer", "not-applicable=no", by="doc").code == 0


def test_what_was_typed_at_a_terminal_and_refused_is_in_a_file(
    shell: Shell, start: Start, tmp_path: Path
) -> None:
    given = [part for code, text in FACTS.items() for part in ("--fact", f"{code}={text}")]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    given += ["--consent-time", CONSENT, "--consent-version", "1", "--fact", "bilirubin2=1"]

    with start("enrol", TRIAL, *given) as terminal:
        sign_in(terminal, "doc")
        terminal.expect("Participant number: ")
        terminal.type("P-001")
        code = terminal.finish()

    assert code == 1
    assert "bilirubin2" in terminal.screen
    (kept,) = (tmp_path / "work").glob("enrolment-*.json")
    assert json.loads(kept.read_text())["participant"] == "P-001"
    kept.write_text(kept.read_text().replace('"bilirubin2": "1",', ""))
    assert shell("enrol", TRIAL, kept, by="doc").code == 0


def test_an_unlikely_value_that_is_not_confirmed_is_refused(start: Start) -> None:
    given = [
        part
        for code, text in {**FACTS, "age": "90"}.items()
        for part in ("--fact", f"{code}={text}")
    ]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    given += ["--participant", "P-1", "--consent-time", CONSENT, "--consent-version", "1"]

    with start("enrol", TRIAL, *given) as terminal:
        sign_in(terminal, "doc")
        terminal.expect("age 90: it is rarely outside 16 to 85 years")
        terminal.type("n")
        code = terminal.finish()

    assert code == 1
    assert "--confirm age" in terminal.screen


def test_a_recovery_asks_for_the_second_person_by_name(start: Start) -> None:
    with start("sealer", "recover", TRIAL) as terminal:
        sign_in(terminal, "ada")
        terminal.expect("Second person's user name: ")
        terminal.type("ada")
        terminal.expect("Password of ada: ")
        terminal.type(password_of("ada"))
        code = terminal.finish()

    assert code == 1
    assert "[second-person]" in terminal.screen


def test_a_new_password_is_typed_twice_and_never_shown(shell: Shell, start: Start) -> None:
    with start("user", "password", "doc") as terminal:
        terminal.expect("Old password of doc: ")
        terminal.type(password_of("doc"))
        terminal.expect("New password: ")
        terminal.type("quite another password")
        terminal.expect("Repeat for confirmation: ")
        terminal.type("quite another password")
        code = terminal.finish()

    assert code == 0
    assert "quite another" not in terminal.screen
    assert "[wrong-password]" in shell("report", "totals", TRIAL, by="doc").err


def test_init_asks_for_everything_that_is_not_given(start: Start, tmp_path: Path) -> None:
    home = tmp_path / "other"
    home.mkdir()

    with start("init", ALLOC_HOME=str(home)) as terminal:
        for question, answer in (
            ("User name of the first administrator: ", "ada"),
            ("Id of this person, as the log names them: ", "P-1"),
            ("Printed name: ", "Ada Admin"),
            ("Organization code: ", "XA01"),
            ("New password: ", password_of("ada")),
            ("Repeat for confirmation: ", password_of("ada")),
        ):
            terminal.expect(question)
            terminal.type(answer)
        code = terminal.finish()

    assert code == 0
    assert (home / "keys" / "current").is_file()


def test_there_are_colours_at_a_terminal_and_none_where_they_are_not_wanted(start: Start) -> None:
    with start("status") as coloured:
        assert coloured.finish() == 0
    with start("status", NO_COLOR="1") as plain:
        assert plain.finish() == 0

    assert COLOUR.search(coloured.screen)
    assert not COLOUR.search(plain.screen)
    assert COLOUR.sub("", coloured.screen) == plain.screen


@pytest.mark.usefixtures("shell")
def test_progress_is_shown_at_a_terminal(start: Start, tmp_path: Path) -> None:
    work = tmp_path / "work"
    design = re.compile(r"Writing the list")

    with start("design", "show", TRIAL, "1", "--out", "design.json") as terminal:
        sign_in(terminal, "stat")
        assert terminal.finish() == 0
    (work / "seed.txt").write_text("0123456789abcdef" * 4)
    with start(
        "list", "regenerate", "--design", "design.json", "--seed-file", "seed.txt"
    ) as terminal:
        assert terminal.finish() == 0

    assert design.search(terminal.screen)
    assert "100%" in terminal.screen


@pytest.mark.parametrize("every", [1.0, 0.001])
def test_an_interrupt_or_many_end_with_a_word_and_no_traceback(start: Start, every: float) -> None:
    with start("user", "list") as terminal:
        terminal.expect("User name: ")
        code = terminal.interrupt(every)

    assert code == 1
    assert "Stopped." in terminal.screen
    assert "Traceback" not in terminal.screen


def test_an_ended_input_ends_it_too(start: Start) -> None:
    with start("user", "list") as terminal:
        terminal.expect("User name: ")
        terminal.type("\x04")
        code = terminal.finish()

    assert code == 1
    assert "Traceback" not in terminal.screen
