"""Every `alloc …` that the documents, the units and the pages spell is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from alloc_service.cli.program import alloc

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.service")),
    *sorted((ROOT / "alloc_service/web/templates").glob("*.html")),
    ROOT / "alloc_service/web/static/check-receipt.html",
]  # fmt: skip
# Fenced, indented or inline in Markdown; a unit's line; what a page shows to be copied.
CODE = re.compile(
    r"```[a-z]*\n(?P<fenced>.*?)```|(?P<indented>^    .+(?:\n    .+)*)|`(?P<inline>[^`]+)`"
    r"|(?<=ExecStart=)(?P<unit>.+)|<code>(?P<shown>.*?)</code>",
    re.DOTALL | re.MULTILINE,
)
COMMAND = re.compile(r"(?:^|[|;&] ?|bin/)alloc (?P<words>[a-z].*)")


def read_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command that a page spells, without `alloc`."""
    for found in CODE.finditer(text):
        code = re.sub(r"\\\n\s*", "", found[0].strip("`"))
        code = re.sub(r"</?code>|{{ ?|_\(\"|\"\)|}}|{%.*?%}", " ", code)
        if found["inline"] or found["shown"]:
            code = " ".join(code.split())
        for line in code.splitlines():
            if spelled := COMMAND.search(line.strip().removeprefix("ExecStart=")):
                words = re.split(r"[|<>;]|&&| #", spelled["words"])[0]
                yield shlex.split(words.replace("'", ""))


def find_fault(words: list[str]) -> str:
    """Return what is not there of a command, or ""."""
    context = click.Context(alloc)
    command: click.Command = alloc
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        found = command.get_command(context, rest[0])
        if found is None:
            return f"there is no command {' '.join(words)!r}"
        command, _ = found, rest.pop(0)
    known = {"--help"}.union(*(param.opts for param in command.params))
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    return "".join(f"{' '.join(words)}: no option {option}" for option in options - known)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_command_that_a_page_spells_is_there_with_its_options(page: Path) -> None:
    faults = [find_fault(words) for words in read_commands(page.read_text("utf-8"))]

    assert [fault for fault in faults if fault] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("`alloc seremony draw`", "no command"),
        ("```sh\nalloc ceremony\ncd x && alloc list aprove T 1\n```", "no command"),
        ("`alloc log\nbundle T --oit x`", "no option --oit"),
        ("    alloc log witnesses set T --moode \\\n      gate", "no option --moode"),
        ("<code>alloc drill run --escrov {{ name }}</code>", "no option --escrov"),
        ("ExecStart=/opt/alloc/bin/alloc sealer serv", "no command"),
    ],
)
def test_a_command_that_is_not_there_is_found(text: str, fault: str) -> None:
    assert any(fault in find_fault(words) for words in read_commands(text))


def test_pages_spell_commands_at_all() -> None:
    spelled = [words for page in PAGES for words in read_commands(page.read_text("utf-8"))]
    named = {" ".join(words[:2]) for words in spelled}

    assert len(spelled) > 100
    assert named >= {
        "ceremony wrap", "drill log", "witness serve", "receipt check", "log bundle",
        "sealer serve",
    }  # fmt: skip
