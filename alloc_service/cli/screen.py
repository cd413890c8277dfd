"""What is shown: plain words, aligned, coloured on a terminal only.

Colour never says anything alone. `NO_COLOR` and a dumb terminal are honoured. Whatever comes
from outside is shown without control characters, so that no stored or typed text can move the
cursor or repaint the screen.
"""

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Protocol
from zoneinfo import ZoneInfo

import click

from alloc_service.core.canon import Json
from alloc_service.core.design import TEST_PREFIX

WIDEST = 100
MEASURE = 78
_INDENT = 2
_COMMAND = re.compile("`[^`]*`")
_HARD_SPACE = "\xa0"


def prepare(environ: Mapping[str, str]) -> None:
    """Make standard output and error take any text, whatever the locale."""
    del environ
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def wants_color(environ: Mapping[str, str]) -> bool | None:
    """Return False where no colour is wanted, None to leave it to what the output is."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return None


def plain(text: str) -> str:
    """Return a text without control characters but line ends: each is shown as its escape."""
    return "".join(
        char
        if char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def say(text: str = "", *, bold: bool = False, fg: str | None = None) -> None:
    """Write a line to standard output."""
    shown = plain(text)
    click.echo(click.style(shown, fg=fg, bold=bold or None) if bold or fg else shown)


def title(text: str) -> None:
    """Write a heading, with an empty line before it."""
    say()
    say(text, bold=True)


def hint(text: str) -> None:
    """Write a line to standard error that nobody must read."""
    click.echo(plain(text), err=True)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    click.echo(click.style("Warning: ", fg="yellow", bold=True) + plain(text), err=True)


def complain(text: str, word: str = "Refused") -> None:
    """Write to standard error why something was not done."""
    click.echo(click.style(f"{word}: ", fg="red", bold=True) + plain(text), err=True)


def good(text: str) -> None:
    """Write to standard output that something is done or holds."""
    click.echo(click.style(plain(text), fg="green"))


def banner(trial_id: str, *, err: bool = False) -> None:
    """Say that a trial is one for testing, where it is."""
    if trial_id.startswith(TEST_PREFIX):
        text = f" TEST  {plain(trial_id)} is a trial for testing: nobody is treated by it. "
        click.echo(click.style(text, fg="black", bg="yellow"), err=err)


def facts(rows: Iterable[tuple[str, str]]) -> None:
    """Write labels and values in two columns; a long value is continued below itself."""
    shown = [(plain(label), plain(value)) for label, value in rows]
    column = max((width_of(label) for label, _ in shown), default=0)
    for label, value in shown:
        first, *more = _fit(value, column + 2 * _INDENT)
        click.echo(f"{'':{_INDENT}}{click.style(_pad(label, column), dim=True)}  {first}")
        for line in more:
            click.echo(f"{'':{column + 2 * _INDENT}}{line}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table; numbers, which are cells of digits alone, stand to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(width_of(row[at]) for row in (header, *cells)) for at in range(len(header))]
    head = "  ".join(_pad(cell, width) for cell, width in zip(header, widths, strict=True))
    click.echo(f"{'':{_INDENT}}{click.style(head.rstrip(), bold=True)}")
    for row in cells:
        line = "  ".join(_align(cell, width) for cell, width in zip(row, widths, strict=True))
        click.echo(f"{'':{_INDENT}}{line.rstrip()}")


def paragraph(text: str) -> None:
    """Write a text in lines that are comfortable to read; a `command` stays in one line."""
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _HARD_SPACE), plain(text))
    for line in wrap(whole, min(MEASURE, _columns()), break_on_hyphens=False):
        click.echo(line.replace(_HARD_SPACE, " "))


class Checked(Protocol):
    """One thing that was checked."""

    @property
    def name(self) -> str:
        """What was checked, in a word."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        ...

    @property
    def detail(self) -> str:
        """What must hold, or what was found."""
        ...


def checks(made: Iterable[Checked], column: int = 0) -> None:
    """Write what was checked, a line each, with a word and not by colour alone.

    Args:
        made: The checks.
        column: At least so wide is the first column.
    """
    made = list(made)
    column = max((column, *(width_of(check.name) for check in made)))
    for check in made:
        word = (
            click.style("  ok    ", fg="green") if check.ok else click.style("  FAILED", fg="red")
        )
        first, *more = _fit(plain(check.detail), column + 12)
        click.echo(f"{word}  {_pad(plain(check.name), column)}  {first}")
        for line in more:
            click.echo(f"{'':{column + 12}}{line}")


def note(text: str) -> None:
    """Write below the checks what was not checked; it is no fault, and no success either."""
    for number, line in enumerate(wrap(plain(text), min(MEASURE, _columns()) - 10) or [""]):
        word = click.style("  --    ", dim=True) if number == 0 else f"{'':8}"
        click.echo(f"{word}  {line}")


def emit(document: Json) -> None:
    """Write JSON for a script: one line, keys sorted, text as it is."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    click.echo(text)


def moment(at: datetime, zone: str | None = None) -> str:
    """Return a time as it is shown: in a zone with its offset, and in UTC."""
    utc = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if zone is None:
        return utc
    local = at.astimezone(ZoneInfo(zone)).isoformat(sep=" ", timespec="seconds")
    return f"{local[:-6]} {local[-6:]} ({utc})"


def width_of(text: str) -> int:
    """Return how many columns a text takes: two for a wide character, none for an accent."""
    return sum(_width_of(char) for char in text)


def _width_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _pad(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _align(cell: str, width: int) -> str:
    return f"{cell:>{width}}" if cell.isdecimal() else _pad(cell, width)


def _columns() -> int:
    return min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)


def _fit(value: str, indent: int) -> list[str]:
    """Break a value into lines on a terminal; in a pipe it stays one line.

    A hash, a key or a file's name is never broken: whoever copies it gets it whole.
    """
    if not sys.stdout.isatty():
        return [value]
    width = max(_columns() - indent, 20)
    return wrap(value, width, break_long_words=False, break_on_hyphens=False) or [""]
