"""Counts: by arm for the monitoring committee and the statisticians, in all for the manager.

Counts by arm are shown in the answer to a POST alone, once the look is logged with its purpose;
they have no address that somebody could be sent to.
"""

from collections.abc import Mapping, Sequence

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from alloc_service.errors import FreeTextError, LoggedFieldError
from alloc_service.login import allow, deps_here, person_here
from alloc_service.permissions import Action
from alloc_service.services import lookups, outlook, reports
from alloc_service.services.reports import ArmCounts
from alloc_service.trial.definition import TrialDefinition
from alloc_service.web.chart import draw_counts
from alloc_service.web.words import tell

pages = Blueprint("figures", __name__)


@pages.get("/trials/<trial:trial>/totals")
@allow(Action.READ_TOTALS)
def totals(trial: str) -> ResponseReturnValue:
    """Show how far a trial is, and when it will be full; no arm is in it."""
    return render_template(
        "totals.html",
        definition=lookups.read_definition(deps_here(), trial),
        outlook=outlook.read_outlook(deps_here(), person_here(), trial),
    )


@pages.get("/trials/<trial:trial>/arms")
@allow(Action.READ_ARMS)
def ask_arms(trial: str) -> ResponseReturnValue:
    """Ask for the purpose of a look at the arms."""
    return render_template("ask_arms.html", trial=trial, typed="", errors={})


@pages.post("/trials/<trial:trial>/arms")
@allow(Action.READ_ARMS)
def count_arms(trial: str) -> ResponseReturnValue:
    """Log the look, then show participants by stratum and arm, and over time."""
    purpose = request.form.get("purpose", "").strip()
    try:
        found = reports.count_arms(deps_here(), person_here(), trial, purpose)
    except (LoggedFieldError, FreeTextError) as error:
        errors = {"purpose": tell(error)}
        return render_template("ask_arms.html", trial=trial, typed=purpose, errors=errors), 422
    definition = lookups.read_definition(deps_here(), trial)
    months = _months(found)
    grown = _grow(definition, found, months)
    return render_template(
        "arms.html",
        definition=definition,
        purpose=purpose,
        upto=found.upto,
        rows=_by_stratum(definition, found),
        months=months,
        grown=grown,
        chart=draw_counts(months, grown) if months else None,
    )


def _by_stratum(definition: TrialDefinition, found: ArmCounts) -> list[tuple[str, list[int]]]:
    """Return a row of counts for each stratum, in the order of the arms; no sums yet."""
    return [
        (stratum, [found.counts.get((stratum, arm.code), 0) for arm in definition.arms])
        for stratum in definition.strata
    ]


def _months(found: ArmCounts) -> list[str]:
    """Return the months from the first allocation to the last, without a gap."""
    named = [month for month, _arm in found.by_month]
    if not named:
        return []
    first, last = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (min(named), max(named)))
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1)]


def _grow(
    definition: TrialDefinition, found: ArmCounts, months: Sequence[str]
) -> Mapping[str, list[int]]:
    """Return how many each arm had at the end of each month, by arm code."""
    return {
        arm.code: [
            sum(
                count
                for (month, code), count in found.by_month.items()
                if code == arm.code and month <= until
            )
            for until in months
        ]
        for arm in definition.arms
    }
