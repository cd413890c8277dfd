"""How commands are built: each with an example in its help, each loaded when it is asked for.

`alloc --help` names every command and loads none of them, so that it answers at once.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

DONE, REFUSED, WRONG_USE = 0, 1, 2


class Command(click.Command):
    """A command whose help ends in an example to copy.

    Args:
        example: One or a few lines as they are typed, without a prompt.
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it stands; its lines are never wrapped."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Example"):
            for line in self.example.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def command(
    name: str, example: str, group: click.Group | None = None
) -> Callable[[Callable[..., None]], Command]:
    """Make a function the command of this name, in a group; its docstring is the help."""

    def decorate(function: Callable[..., None]) -> Command:
        made = click.command(name, cls=Command, example=example)(function)
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def as_json(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--json` to a command, which gets it as `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Write the result as one line of JSON, for scripts."
    )(function)


def refuse() -> NoReturn:
    """End a command whose check failed, after it has said so."""
    click.get_current_context().exit(REFUSED)


class Place(NamedTuple):
    """Where a command is, and what it does in a line."""

    module: str
    summary: str


class Commands(click.Group):
    """A group that imports a command's module when that command is asked for.

    The attribute in a module is the command's name, with `_` for `-`, and `_command` after it.

    Args:
        sections: By heading the commands under it, in the order in which they are shown.
    """

    def __init__(
        self, *args: Any, sections: Mapping[str, Mapping[str, Place]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.places = {name: place for part in sections.values() for name, place in part.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names in the order of the help."""
        return list(self.places)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import a command, or return none of this name."""
        place = self.places.get(cmd_name)
        if place is None:
            return None
        found = getattr(import_module(place.module), f"{cmd_name.replace('-', '_')}_command")
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, without importing any command."""
        del ctx
        for heading, part in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, place.summary) for name, place in part.items()])
