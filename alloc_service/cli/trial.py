"""`alloc trial`: definitions and the state of trials."""

from importlib import resources
from pathlib import Path

import click

from alloc_service.cli import screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.core.canon import parse_object
from alloc_service.services import lookups, trials
from alloc_service.trial.definition import (
    SHIPPED,
    TrialDefinition,
    as_test,
    load_definition,
)
from alloc_service.trial.tables import CheckedCriterion

FILE = click.Path(dir_okay=False, path_type=Path)
TEST_HELP = "Take it as a trial for testing: its id gets TEST- before it."


@click.group("trial")
def trial_command() -> None:
    """Check, create, pause, resume and close trials."""


@command("example", "alloc trial example > trial.toml", trial_command)
def example() -> None:
    """Write the definition that comes with the program, NCT01728727, to begin from.

    Its last table, [design], is restricted: whoever knows the block sizes can foresee some
    allocations. For a real trial only its statisticians may read the file.
    """
    text = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")
    click.echo(text, nl=False)


@command("check", "alloc trial check trial.toml", trial_command)
@click.argument("file", type=FILE)
@click.option("--test", is_flag=True, help=TEST_HELP)
@as_json
def check(file: Path, test: bool, as_json: bool) -> None:
    """Check a trial's definition, and show what it says.

    FILE is the definition in TOML. Every fault is told with its place in the file and its rule.
    Nothing is stored, and no block size is shown.
    """
    definition = read_definition(file, test)
    if as_json:
        screen.emit(parse_object(definition.public_bytes()))
        return
    show_definition(definition)
    restricted = "there, and not shown" if definition.design_table else "missing"
    screen.title("Restricted design")
    screen.facts((("[design]", restricted),))
    screen.good("The definition keeps every rule.")


@command("create", "alloc trial create trial.toml --as ada", trial_command)
@click.argument("file", type=FILE)
@click.option("--test", is_flag=True, help=TEST_HELP)
@acts_as
def create(file: Path, test: bool, claim: Claim) -> None:
    """Create a trial from its definition and begin its log; you are an administrator.

    FILE is the definition in TOML. Its restricted table [design] is not stored; the statistician
    keeps the file for `alloc list generate`.
    """
    definition = read_definition(file, test)
    deps = open_service()
    administrator = sign_in(deps, claim)
    lookups.require_new_trial(deps, definition.id)
    trial = trials.create(deps, administrator, definition)
    screen.banner(trial)
    screen.good(f"The trial {trial} is created; its log has begun.")


@command("show", "alloc trial show NCT01728727", trial_command)
@click.argument("trial")
@as_json
def show(trial: str, as_json: bool) -> None:
    """Show a trial's definition as it is stored: without its restricted design.

    Beside the cap of the definition stands the one of now, if `alloc trial cap` changed it.
    """
    deps = open_service()
    definition = lookups.read_definition(deps, trial)
    if as_json:
        screen.emit(parse_object(definition.public_bytes()))
    else:
        show_definition(definition, lookups.read_cap(deps, trial))


def _changing(name: str, summary: str, example: str) -> None:
    """Add one of the three commands that change a trial's state."""

    @click.argument("trial")
    @click.option(
        "--code",
        required=True,
        metavar="CODE",
        help="Reason code for the log, 1 to 64 of a-z 0-9 . -.  Example: --code dmc-advice",
    )
    @click.option(
        "--reason",
        required=True,
        metavar="TEXT",
        help="The reason in words, without personal identifiers; the log keeps its hash alone.  "
        'Example: --reason "Advice of the DMC of 2 March"',
    )
    @acts_as
    def change(trial: str, code: str, reason: str, claim: Claim) -> None:
        deps = open_service()
        person = sign_in(deps, claim)
        entry = trials.change_state(deps, person, trial, name, code=code, reason=reason)
        screen.banner(trial)
        screen.good(
            f"{trial} is {entry.type.removeprefix('trial.')}, entry {entry.seq} of its log."
        )

    change.__doc__ = summary
    command(name, example, trial_command)(change)


_changing(
    "pause",
    "Pause a trial: nothing is allocated until it is resumed; you are its manager.",
    'alloc trial pause NCT01728727 --code safety --reason "Review of an event" --as zhang.min',
)
_changing(
    "resume",
    "Resume a paused trial; you are its manager.",
    'alloc trial resume NCT01728727 --code safety --reason "Review is done" --as zhang.min',
)
_changing(
    "close",
    "Close a trial for ever: nothing is allocated any more; you are its manager.",
    'alloc trial close NCT01728727 --code complete --reason "All enrolled" --as zhang.min',
)


@command("cap", "alloc trial cap NCT01728727 260 --as zhang.min", trial_command)
@click.argument("trial")
@click.argument("cap", type=click.IntRange(1))
@acts_as
def change_cap(trial: str, cap: int, claim: Claim) -> None:
    """Change how many participants may be allocated; you are the trial's manager."""
    deps = open_service()
    entry = trials.change_cap(deps, sign_in(deps, claim), trial, cap)
    screen.banner(trial)
    screen.good(f"{trial}: at most {cap} participants, entry {entry.seq} of its log.")


def read_definition(file: Path, test: bool) -> TrialDefinition:
    """Return the definition of a file, as a trial for testing if that is asked for."""
    definition = load_definition(file)
    return as_test(definition) if test else definition


def show_definition(definition: TrialDefinition, cap: int | None = None) -> None:
    """Show what a definition says, without its restricted design, and the cap of now."""
    changed = "" if cap in {None, definition.cap} else f"; now at most {cap}"
    screen.banner(definition.id)
    screen.facts(
        (
            ("Trial", f"{definition.id}, version {definition.version}"),
            ("Title", definition.title),
            ("Participants", f"at most {definition.cap}{changed}"),
            *(
                (f"Site {site.code}", f"{site.name} ({site.time_zone})")
                for site in definition.sites
            ),
        )
    )
    screen.title("Arms")
    screen.facts(
        (f"{arm.code} ({arm.ratio})", f"{arm.label}. {arm.instruction}") for arm in definition.arms
    )
    screen.title("Strata")
    levels = (
        (factor.code, f"{factor.label}: {', '.join(definition.levels_of(factor))}")
        for factor in definition.factors
    )
    screen.facts((*levels, ("all", ", ".join(definition.strata))))
    screen.title("Criteria")
    screen.facts(
        (f"{item.kind} {item.code}", item.text + _how(item)) for item in definition.criteria
    )
    screen.title("Follow-up")
    screen.facts((("after the allocation", ", ".join(item.label for item in definition.visits)),))
    if definition.to_be_confirmed:
        screen.title("To be confirmed")
        screen.facts((item.path, f"by {item.by}") for item in definition.to_be_confirmed)


def _how(item: object) -> str:
    return " (checked by the system)" if isinstance(item, CheckedCriterion) else ""
