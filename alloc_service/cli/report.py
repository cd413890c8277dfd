"""`alloc report`: how many, for those who may know it."""

from collections import Counter

import click

from alloc_service.cli import screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.core.canon import Json
from alloc_service.services import lookups, reports
from alloc_service.services.reports import ArmCounts
from alloc_service.trial.definition import TrialDefinition


@click.group("report")
def report_command() -> None:
    """Count participants, with or without arms."""


@command("totals", "alloc report totals NCT01728727 --as zhang.min", report_command)
@click.argument("trial")
@acts_as
@as_json
def totals(trial: str, claim: Claim, as_json: bool) -> None:
    """Show how far a trial is, without arms; for its manager and for oversight."""
    deps = open_service()
    found = reports.count_totals(deps, sign_in(deps, claim), trial)
    by_site = sorted(found.by_site.items())
    if as_json:
        screen.emit(
            {
                "allocated": found.allocated,
                "by_site": [{"allocated": count, "site": site} for site, count in by_site],
                "cap": found.cap,
                "enrolled": found.enrolled,
                "trial": trial,
            }
        )
        return
    screen.banner(trial)
    screen.facts(
        (
            ("Enrolled", str(found.enrolled)),
            ("Allocated", f"{found.allocated} of at most {found.cap}"),
            *((f"Site {site}", f"{count} allocated") for site, count in by_site),
        )
    )


@command(
    "arms", "alloc report arms NCT01728727 --purpose dmc-meeting-1 --as dmc.chair", report_command
)
@click.argument("trial")
@click.option(
    "--purpose",
    required=True,
    metavar="CODE",
    help="Why, for the log: 1 to 64 of a-z 0-9 . -.  Example: --purpose dmc-meeting-1",
)
@acts_as
@as_json
def arms(trial: str, purpose: str, claim: Claim, as_json: bool) -> None:
    """Count participants by stratum and arm; for the DMC and the statisticians alone.

    The look is logged before anything is shown. Running counts by arm are what a guesser in an
    open trial needs: keep them to yourselves.
    """
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Opening every allocation"):
        found = reports.count_arms(deps, person, trial, purpose)
    definition = lookups.read_definition(deps, trial)
    if as_json:
        screen.emit(_arms_to_json(definition, found))
        return
    screen.banner(trial)
    show_arms(definition, found)


def _arms_to_json(definition: TrialDefinition, found: ArmCounts) -> Json:
    codes = [arm.code for arm in definition.arms]
    count = Counter(found.counts)
    return {
        "counts": [
            {"arm": arm, "count": count[stratum, arm], "stratum": stratum}
            for stratum in definition.strata
            for arm in codes
        ],
        "total": count.total(),
        "totals": [
            {"arm": arm, "count": sum(count[stratum, arm] for stratum in definition.strata)}
            for arm in codes
        ],
        "trial": definition.id,
        "upto": found.upto,
    }


def show_arms(definition: TrialDefinition, found: ArmCounts) -> None:
    """Show counts by stratum and arm in a table with sums."""
    codes = [arm.code for arm in definition.arms]
    rows = [
        (stratum, [found.counts.get((stratum, code), 0) for code in codes])
        for stratum in definition.strata
    ]
    sums = [sum(counts[at] for _, counts in rows) for at in range(len(codes))]
    screen.table(
        ("Stratum", *codes, "together"),
        [
            (name, *(str(count) for count in counts), str(sum(counts)))
            for name, counts in (*rows, ("all", sums))
        ],
    )
