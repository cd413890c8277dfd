"""What is shown: aligned whatever the script, wrapped on a terminal, never repainting it."""

import sys
from datetime import UTC, datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.cli import screen
from alloc_service.cli.screen import plain, width_of


@given(st.text())
def test_what_is_shown_holds_no_control_character_but_line_ends(text: str) -> None:
    shown = plain(text)

    assert not any(ord(char) < 32 and char != "\n" for char in shown)
    assert "\x7f" not in shown
    assert "\u202e" not in shown  # right-to-left override


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_a_wide_character_takes_two_columns_and_an_accent_none() -> None:
    assert width_of("abc") == 3
    assert width_of("随机") == 4
    assert width_of("e\u0301") == 1


def test_facts_stand_in_two_columns_whatever_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    screen.facts((("Arm", "MSC"), ("随机号", "7")))

    assert capsys.readouterr().out == "  Arm     MSC\n  随机号  7\n"


def test_no_facts_are_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    screen.facts(())

    assert capsys.readouterr().out == ""


def test_a_long_value_is_continued_below_itself_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    screen.facts((("Meaning", "I have checked this record and request"), ("Empty", "")))

    lines = capsys.readouterr().out.splitlines()
    assert [line.replace("\x1b[2m", "").replace("\x1b[0m", "") for line in lines] == [
        "  Meaning  I have checked this record",
        "           and request",
        "  Empty    ",
    ]


def test_a_hash_stays_whole_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    root = "0f" * 32
    screen.facts((("Root", root), ("Escrow", "seed.a-b+dmc-of-the-whole-trial.age")))

    assert root in capsys.readouterr().out


def test_a_long_check_is_continued_below_itself_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Check:
        name, ok = "root", True
        detail = "it is the root that was logged before the first participant"

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    screen.checks([Check()])

    assert [click.unstyle(line) for line in capsys.readouterr().out.splitlines()] == [
        "  ok      root  it is the root that was logged before the",
        "                first participant",
    ]


def test_a_table_puts_numbers_to_the_right_and_words_to_the_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen.table(("Stratum", "n"), [("cp=9-10", "7"), ("all", "120")])

    assert capsys.readouterr().out == ("  Stratum  n\n  cp=9-10    7\n  all      120\n")


def test_a_time_is_shown_in_its_zone_with_the_offset_and_in_utc() -> None:
    at = datetime(2026, 3, 2, 1, 15, 22, tzinfo=UTC)

    assert screen.moment(at, "Asia/Shanghai") == (
        "2026-03-02 09:15:22 +08:00 (2026-03-02 01:15:22 UTC)"
    )
    assert screen.moment(at) == "2026-03-02 01:15:22 UTC"


def test_a_command_in_a_paragraph_is_never_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    screen.paragraph("Next: a second statistician runs `alloc list approve` here.")

    assert "`alloc list approve`" in capsys.readouterr().out


def test_json_is_one_line_with_its_keys_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    screen.emit({"b": [True, None], "a": "µ"})

    assert capsys.readouterr().out == '{"a":"µ","b":[true,null]}\n'


def test_only_a_trial_for_testing_gets_a_banner(capsys: pytest.CaptureFixture[str]) -> None:
    screen.banner("NCT01728727")
    assert capsys.readouterr().out == ""

    screen.banner("TEST-NCT01728727")
    assert "TEST-NCT01728727 is a trial for testing" in capsys.readouterr().out

    screen.banner("TEST-NCT01728727", err=True)
    assert "trial for testing" in capsys.readouterr().err


def test_a_failed_check_is_said_in_a_word_and_not_by_colour_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Check:
        def __init__(self, name: str, ok: bool) -> None:
            self.name, self.ok, self.detail = name, ok, "960 slots"

    screen.checks([Check("root", True), Check("tree", False)], 6)

    assert capsys.readouterr().out == "  ok      root    960 slots\n  FAILED  tree    960 slots\n"
