"""`alloc design`: the restricted design, for the statisticians who may know it."""

from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.core.canon import parse_object
from alloc_service.core.design import Design
from alloc_service.services import lists, lookups
from alloc_service.stats.balance import StrataLevel
from alloc_service.stats.report import DesignReport, describe

_WARNING = "Confidential: whoever knows the block sizes can foresee some allocations."

_VERDICTS = {
    StrataLevel.FINE: "fine for so many participants",
    StrataLevel.WARN: "rather many for so few participants: consider fewer",
    StrataLevel.SIGN: "too many for so few participants: sign a reason, or take fewer",
}


@click.group("design")
def design_command() -> None:
    """Read the restricted design, for statisticians."""


@command(
    "show",
    "alloc design show NCT01728727 1 --as chen.yu\n"
    "alloc design show NCT01728727 1 --as chen.yu --out design.json",
    design_command,
)
@click.argument("trial")
@click.argument("number", metavar="LIST", type=click.IntRange(1, 9_999))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the exact design document to a new file, for `alloc list regenerate`.  "
    "Example: --out design.json",
)
@acts_as
@as_json
def show(trial: str, number: int, out: Path | None, claim: Claim, as_json: bool) -> None:
    """Show a list's design and what it does; you are a statistician of the trial.

    The look is logged before anything is shown. Beside the block sizes stand the figures by
    which a design is judged: how well it can be guessed, how far apart the arms can end.
    """
    if out is not None:
        files.require_free(out)
    deps = open_service()
    person = sign_in(deps, claim)
    design = lists.read_design(deps, person, trial, number)
    participants = lookups.read_definition(deps, trial).cap
    if out is not None:
        files.write_file(out, design.to_bytes())
    with waiting("Computing the figures"):
        report = describe(design.blocks, design.arms, len(design.strata), participants)
    if as_json:
        figures = {name: str(value) for name, value in _figures(report)}
        screen.emit({"design": parse_object(design.to_bytes()), "figures": figures})
        return
    screen.banner(trial)
    screen.say(_WARNING, fg="yellow")
    _show_design(design)
    _show_report(report, participants)
    if out is not None:
        screen.good(f"The design document is in {out}.")


def _show_design(design: Design) -> None:
    screen.title("Design")
    screen.facts(
        (
            ("List", f"{design.list} of {design.trial}"),
            ("Arms", ", ".join(f"{arm.code} {arm.ratio}" for arm in design.arms)),
            ("Blocks", ", ".join(f"{item.size} (weight {item.weight})" for item in design.blocks)),
            ("Strata", ", ".join(f"{item.code} {item.slots}" for item in design.strata)),
            ("Slots", str(design.slots)),
            ("Design hash", design.sha256),
        )
    )


def _show_report(report: DesignReport, participants: int) -> None:
    screen.title(f"What it does, for {participants} participants")
    exact = "exact" if report.certain_is_exact else "simulated"
    screen.facts(
        (
            ("Guessed right", f"{_share(report.guess_rate)} of allocations in the long run"),
            ("… by a coin", f"{_share(report.simple_guess_rate)} (simple randomization)"),
            ("… beyond it", f"{report.excess_correct:.1f} participants"),
            ("Known for certain", f"{_share(report.certain_share)} of allocations ({exact})"),
            ("Largest difference", f"{report.largest_difference} participants between two arms"),
            ("Its standard deviation", f"{report.difference_sd:.2f} participants"),
            ("… of a coin", f"{report.simple_difference_sd:.2f} participants"),
            ("So many strata", _VERDICTS[report.verdict.level]),
        )
    )


def _figures(report: DesignReport) -> list[tuple[str, object]]:
    return [
        ("certain_is_exact", report.certain_is_exact),
        ("certain_share", f"{report.certain_share:.6f}"),
        ("difference_sd", f"{report.difference_sd:.6f}"),
        ("excess_correct", f"{report.excess_correct:.6f}"),
        ("guess_rate", f"{report.guess_rate:.6f}"),
        ("largest_difference", report.largest_difference),
        ("simple_difference_sd", f"{report.simple_difference_sd:.6f}"),
        ("simple_guess_rate", f"{report.simple_guess_rate:.6f}"),
        ("strata", report.verdict.level.value),
    ]


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
