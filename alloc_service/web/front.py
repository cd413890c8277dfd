"""The front door: signing in and out, the start page, help."""

from collections.abc import Mapping

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service import login
from alloc_service.errors import PasswordChangeDueError, TooManyTriesError, WrongPasswordError
from alloc_service.login import deps_here, everyone, person_here, signed_in
from alloc_service.permissions import ALLOWED, Action, Grant, Role
from alloc_service.services import lookups
from alloc_service.web import resuming
from alloc_service.web.words import tell

pages = Blueprint("front", __name__)


@pages.get("/sign-in")
@everyone
def sign_in() -> ResponseReturnValue:
    """Ask who it is."""
    if login.is_signed_in():
        return redirect(url_for("front.start"), 303)
    return _ask("", request.args.get("next", ""), "", None), 200


@pages.post("/sign-in")
@everyone
def take_sign_in() -> ResponseReturnValue:
    """Sign somebody in, and go on where they were."""
    username = request.form.get("username", "").strip()
    password = request.form.get("password", "")
    on, kept = request.form.get("next", ""), request.form.get("kept", "")
    try:
        login.sign_in(username, password)
    except PasswordChangeDueError:
        return redirect(url_for("account.first_password", username=username), 303)
    except (WrongPasswordError, TooManyTriesError) as error:
        status = 429 if isinstance(error, TooManyTriesError) else 403
        return _ask(username, on, kept, tell(error)), status
    form = resuming.read(kept) if kept else None
    if form is not None and form.username in {"", username}:
        return render_template("resume.html", form=form)
    return redirect(on if resuming.is_local(on) else url_for("front.start"), 303)


@pages.post("/sign-out")
@everyone
def sign_out() -> ResponseReturnValue:
    """Sign out."""
    login.sign_out()
    return render_template("signed_out.html")


@pages.get("/")
@signed_in
def start() -> ResponseReturnValue:
    """Show what somebody can do here, trial by trial."""
    held = lookups.list_own_roles(deps_here(), person_here())
    trials = [(trial, _jobs(trial, grants)) for trial, grants in held.items() if trial]
    return render_template("start.html", trials=trials, installation=_installation_jobs(held))


@pages.get("/help")
@signed_in
def help_page() -> ResponseReturnValue:
    """Show what each of somebody's roles does, and how."""
    held = lookups.list_own_roles(deps_here(), person_here())
    roles = sorted({grant.role for grants in held.values() for grant in grants})
    return render_template("help.html", roles=roles)


def _jobs(trial: str, grants: tuple[Grant, ...]) -> list[tuple[str, str]]:
    """Return the links of a trial for somebody's roles: address and words."""
    roles = {grant.role for grant in grants}
    jobs = [
        (
            url_for("participants.list_participants", trial=trial, site=grant.site),
            _("Participants of site %(site)s", site=grant.site),
        )
        for grant in grants
        if grant.role is Role.PHYSICIAN
    ]
    further: list[tuple[Action, str, str]] = [
        (Action.APPROVE_LIST, "designs.list_lists", _("Lists")),
        (Action.READ_CEREMONY, "ceremonies.list_ceremonies", _("Seed ceremonies")),
        (Action.READ_TOTALS, "figures.totals", _("Totals and forecast")),
        (Action.READ_ARMS, "figures.ask_arms", _("Counts by arm")),
        (Action.READ_OWN_ENTRIES, "oversight.read_log", _("Audit log")),
        (Action.READ_LOG, "oversight.checks", _("Verify the log, and proofs to keep")),
        (Action.READ_LOG, "oversight.regenerations", _("Lists, and their regeneration")),
        (Action.CHANGE_TRIAL_STATE, "conduct.show", _("Conduct: state, sites, lists, cap")),
    ]
    return jobs + [
        (url_for(endpoint, trial=trial), words)
        for action, endpoint, words in further
        if roles & ALLOWED[action]
    ]


def _installation_jobs(held: Mapping[str, tuple[Grant, ...]]) -> list[tuple[str, str]]:
    """Return the links of those who run the whole installation: address and words."""
    roles = {grant.role for grant in held.get("", ())}
    if not roles & ALLOWED[Action.CHANGE_USERS]:
        return []
    return [
        (url_for("users.list_users"), _("Accounts and roles")),
        (url_for("installation.show"), _("Trials and how they stand")),
    ]


def _ask(username: str, on: str, kept: str, error: str | None) -> str:
    return render_template("sign_in.html", typed=username, next=on, kept=kept, error=error)
