"""How a refusal is shown: its text, its code, and each problem on a line of its own."""

import click

from alloc_service.cli import screen
from alloc_service.errors import DefinitionError, Problem, RefusalError, TypedError

UNLIKELY = "unlikely"


def show_refusal(error: RefusalError) -> None:
    """Write a refusal to standard error: what is wrong, by which rule, what to do."""
    match error:
        case TypedError(problems=problems):
            screen.complain(_headed(error, "Mend each field:"))
            show_problems(problems)
        case DefinitionError(problems=(_, _, *_) as problems):
            file = error.facts["file"]
            count = f"{file} breaks a rule in {len(problems)} places. Mend them and check again."
            screen.complain(f"{count} [{error.code}]")
            for path, rule in problems:
                _show_line(path, f"{rule}")
        case _:
            screen.complain(f"{error} [{error.code}]")
    for note in getattr(error, "__notes__", ()):
        screen.hint(note)


def show_problems(problems: tuple[Problem, ...]) -> None:
    """Write to standard error what is wrong, field by field."""
    for problem in problems:
        more = f"; if it is right: --confirm {problem.field}" if problem.code == UNLIKELY else ""
        _show_line(problem.field, f"{problem.message}{more} [{problem.code}]")


def _headed(error: TypedError, last: str) -> str:
    head = error.text.partition("{summary}")[0].strip()
    return f"{head} {last} [{error.code}]"


def _show_line(place: str, text: str) -> None:
    label = click.style(screen.plain(place), bold=True)
    click.echo(f"  {label}: {screen.plain(text)}", err=True)
