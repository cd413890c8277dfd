"""The trial manager's pages: how the trial stands, and what changes that.

Nothing on them tells an arm, a slot or a block. What the log's rules refuse is told beside how
the trial stands now, for somebody else may have been faster.
"""

import re
from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service.errors import AcceptError, LoggedFieldError, RuleError
from alloc_service.login import allow, deps_here, person_here
from alloc_service.permissions import Action
from alloc_service.services import conduct, lists, trials
from alloc_service.web.fields import tell_fault, tell_faults
from alloc_service.web.reading import read_number

pages = Blueprint("conduct", __name__)

_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHANGED = {
    "pause": "The trial is paused: nothing is allocated until it is resumed.",
    "resume": "The trial is open again.",
    "close": "The trial is closed, for ever.",
}


@pages.get("/trials/<trial:trial>/conduct")
@allow(Action.CHANGE_TRIAL_STATE)
def show(trial: str) -> ResponseReturnValue:
    """Show how the trial stands."""
    return _show(trial, {}), 200


@pages.post("/trials/<trial:trial>/conduct/pause")
@allow(Action.CHANGE_TRIAL_STATE)
def pause(trial: str) -> ResponseReturnValue:
    """Pause the trial."""
    errors = _find_faults()
    return (_show(trial, errors), 422) if errors else _change(trial, "pause")


@pages.post("/trials/<trial:trial>/conduct/resume")
@allow(Action.CHANGE_TRIAL_STATE)
def resume(trial: str) -> ResponseReturnValue:
    """Resume the paused trial."""
    errors = _find_faults()
    return (_show(trial, errors), 422) if errors else _change(trial, "resume")


@pages.get("/trials/<trial:trial>/conduct/close")
@allow(Action.CHANGE_TRIAL_STATE)
def close(trial: str) -> ResponseReturnValue:
    """Ask why the trial is closed, and whether it is this one."""
    return _show_close(trial, {}), 200


@pages.post("/trials/<trial:trial>/conduct/close")
@allow(Action.CHANGE_TRIAL_STATE)
def take_close(trial: str) -> ResponseReturnValue:
    """Close the trial, where its id was typed."""
    errors = _find_faults()
    if request.form.get("confirm", "").strip() != trial:
        errors["confirm"] = _("Confirmation: type %(trial)s, as it is written here.", trial=trial)
    return (_show_close(trial, errors), 422) if errors else _change(trial, "close")


@pages.post("/trials/<trial:trial>/conduct/cap")
@allow(Action.CHANGE_TRIAL_STATE)
def change_cap(trial: str) -> ResponseReturnValue:
    """Change how many participants may be allocated."""
    typed, asked = read_number(request.form.get("cap", ""))
    if asked:
        return _show(trial, {"cap": f"{_('Participants')}: {asked}."}), 422
    # What is no whole number is none from 1 on, and the service has the words for that.
    cap = int(typed) if _WHOLE.fullmatch(typed) else 0
    try:
        trials.change_cap(deps_here(), person_here(), trial, cap)
    except LoggedFieldError as error:
        return _show(trial, {"cap": tell_fault(_("Participants"), error)}), 422
    except RuleError as error:
        return _show(trial, {"cap": _refusal(error)}), 409
    return _done(trial, _("At most %(cap)s participants may be allocated now.", cap=cap))


@pages.post("/trials/<trial:trial>/sites/<site>/activate")
@allow(Action.CHANGE_SITE_STATE)
def activate_site(trial: str, site: str) -> ResponseReturnValue:
    """Let a site enrol."""
    return _change_site(trial, site, _("Site %(site)s is active.", site=site), active=True)


@pages.post("/trials/<trial:trial>/sites/<site>/pause")
@allow(Action.CHANGE_SITE_STATE)
def pause_site(trial: str, site: str) -> ResponseReturnValue:
    """Stop a site from enrolling."""
    return _change_site(trial, site, _("Site %(site)s is paused.", site=site), active=False)


@pages.get("/trials/<trial:trial>/lists/<int:number>/activate")
@allow(Action.ACTIVATE_LIST)
def activate_list(trial: str, number: int) -> ResponseReturnValue:
    """Say what an activation does and who vouches for the list, and ask whether it is meant."""
    found = conduct.read_activation(deps_here(), person_here(), trial, number)
    return render_template("activate_list.html", activation=found)


@pages.post("/trials/<trial:trial>/lists/<int:number>/activate")
@allow(Action.ACTIVATE_LIST)
def take_activate_list(trial: str, number: int) -> ResponseReturnValue:
    """Test-open every slot of an approved list, and activate it."""
    try:
        lists.activate(deps_here(), person_here(), trial, number)
    except RuleError as error:
        return _show(trial, {"lists": _refusal(error)}), 409
    except AcceptError:  # its own words may count the slots
        return _show(trial, {"lists": _("List %(number)s was not activated: not every slot opens "
            "to what was committed to. Tell the statistician and the data monitoring committee.",
            number=number)}), 500  # fmt: skip
    return _done(trial, _("Every slot was test-opened, and list %(n)s is active.", n=number))


def _change(trial: str, change: str) -> ResponseReturnValue:
    code, reason = _typed_reason()
    try:
        trials.change_state(deps_here(), person_here(), trial, change, code=code, reason=reason)
    except RuleError as error:
        return _show(trial, {"state": _refusal(error)}), 409
    return _done(trial, _(_CHANGED[change]))


def _change_site(trial: str, site: str, done: str, *, active: bool) -> ResponseReturnValue:
    try:
        trials.change_site(deps_here(), person_here(), trial, site, active=active)
    except RuleError as error:
        return _show(trial, {"sites": _refusal(error)}), 409
    return _done(trial, done)


def _typed_reason() -> tuple[str, str]:
    return request.form.get("code", "").strip(), request.form.get("reason", "").strip()


def _find_faults() -> dict[str, str]:
    labels = {"code": _("Reason code"), "reason": _("Reason")}
    return tell_faults(labels, trials.find_faults(*_typed_reason()))


def _refusal(error: RuleError) -> str:
    rule = error.facts["rule"]
    words = _("Nothing was changed: %(rule)s. How the trial stands now is on this page.", rule=rule)
    return str(words)


def _done(trial: str, told: str) -> ResponseReturnValue:
    flash(told)
    return redirect(url_for("conduct.show", trial=trial), 303)


def _show(trial: str, errors: Mapping[str, str]) -> str:
    found = conduct.read_conduct(deps_here(), person_here(), trial)
    return render_template("conduct.html", conduct=found, typed=request.form, errors=errors)


def _show_close(trial: str, errors: Mapping[str, str]) -> str:
    found = conduct.read_conduct(deps_here(), person_here(), trial)
    return render_template("close.html", conduct=found, typed=request.form, errors=errors)
