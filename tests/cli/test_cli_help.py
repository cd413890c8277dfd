"""The help of every command: a person can follow it, and it loads nothing that it does not need."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from alloc_service.cli.command import Command
from alloc_service.cli.program import SECTIONS, alloc
from tests.support.shell import (
    Shell,
    process_environ,
)

COMMANDS_THAT_LIVE_NEEDS = {
    "init", "demo", "status", "trial check", "trial create", "trial show", "trial pause",
    "trial resume", "trial close", "trial cap", "site activate", "site pause", "design show",
    "list generate", "list import", "list approve", "list activate", "list regenerate",
    "list verify", "list reseal", "list escrow", "enrol", "amend", "allocate", "allocation show",
    "log show", "log export", "log correct-clock", "user add", "user password", "user reset",
    "user disable", "user drop-factor", "quickstart", "user grant", "user revoke", "user list",
    "restore-enrolment", "list code",
    "sealer status", "sealer recover", "sealer accept", "report totals", "report arms",
    "db upgrade", "backup", "restore", "log verify", "log bundle", "log policy",
}  # fmt: skip


def walk(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from walk(found, f"{path}{name} ")
        else:
            yield f"{path}{name}", found


EVERY = list(walk(alloc))


def test_every_command_that_a_trial_needs_to_live_is_there() -> None:
    assert {name for name, _ in EVERY} >= COMMANDS_THAT_LIVE_NEEDS


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_the_help_of_a_command_ends_in_an_example_of_that_command(
    name: str, command: click.Command, shell: Shell
) -> None:
    outcome = shell(*name.split(), "--help")

    assert outcome.code == 0
    assert isinstance(command, Command)
    assert f"alloc {name}" in command.example
    _, _, shown = outcome.out.partition("\nExample:\n")
    assert [line.strip() for line in shown.strip().splitlines()] == [
        line.strip() for line in command.example.strip().splitlines()
    ]


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
@pytest.mark.usefixtures("name")
def test_every_option_is_explained_and_shows_an_example(command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help
            flag = option.is_flag
            assert flag or "Example: --" in option.help, option.name


@pytest.mark.parametrize("name", [name for part in SECTIONS.values() for name in part])
def test_the_overview_says_of_a_command_what_its_own_help_says(name: str) -> None:
    places = {key: place for part in SECTIONS.values() for key, place in part.items()}
    found = alloc.get_command(click.Context(alloc), name)

    assert found is not None
    assert found.help
    assert places[name].summary.endswith(".")


def test_the_overview_names_every_command_and_loads_none(shell: Shell) -> None:
    outcome = shell("--help")

    assert outcome.code == 0
    for part in SECTIONS.values():
        for name, place in part.items():
            assert f"  {name} " in outcome.out
            assert place.summary[:30] in outcome.out


def test_the_overview_imports_neither_the_database_nor_the_figures(tmp_path: Path) -> None:
    program = (
        "import json, sys\n"
        "from alloc_service.cli.program import run\n"
        "run(['--help'])\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=process_environ({}), cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    modules = json.loads(done.stdout.splitlines()[-1])

    assert not {"sqlalchemy", "numpy", "pydantic", "alembic"} & set(modules)


def test_the_version_is_told(shell: Shell) -> None:
    outcome = shell("--version")

    assert outcome.code == 0
    assert outcome.out.startswith("alloc, version 0.1")


def test_a_group_without_a_command_shows_its_help_and_is_wrong_use(shell: Shell) -> None:
    outcome = shell("list")

    assert outcome.code == 2
    assert "regenerate" in outcome.out + outcome.err


@pytest.mark.parametrize("group", [(), ("list",)])
def test_the_help_of_a_group_alone_is_said_once_and_blames_nobody(
    shell: Shell, group: tuple[str, ...]
) -> None:
    outcome = shell(*group)

    assert (outcome.out + outcome.err).count("Usage:") == 1
    assert "Wrong use" not in outcome.err
