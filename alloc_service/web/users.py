"""The administrator's pages of people: accounts, one-time passwords, roles.

A one-time password is shown in the answer to the POST that made it, and nowhere else. Nobody
changes their own account or roles here; the services refuse it, whatever a page offers.
"""

from collections.abc import Mapping, Sequence

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service.errors import (
    AccountError,
    DisjointRolesError,
    InputError,
    RefusalError,
    UnknownRecordError,
    UnknownSiteError,
)
from alloc_service.login import allow, deps_here, person_here
from alloc_service.permissions import AT_A_SITE, Action, Grant, Role
from alloc_service.services import accounts, lookups, people
from alloc_service.services.accounts import NewAccount
from alloc_service.services.lookups import AccountRow
from alloc_service.services.people import AccountHistory
from alloc_service.web.context import ROLE_NAMES
from alloc_service.web.fields import tell_fault, tell_faults
from alloc_service.web.words import tell

pages = Blueprint("users", __name__)


@pages.get("/users")
@allow(Action.CHANGE_USERS)
def list_users() -> ResponseReturnValue:
    """Show every account, or those that hold what is searched for, with the roles of now."""
    found = lookups.list_accounts(deps_here(), person_here())
    wanted = request.args.get("q", "").strip()
    chosen = [row for row in found if _holds(row, wanted.casefold())]
    return render_template("users.html", rows=chosen, wanted=wanted, count=len(found))


@pages.get("/add-user")
@allow(Action.CHANGE_USERS)
def add() -> ResponseReturnValue:
    """Ask for a new account."""
    return _show_new({}), 200


@pages.post("/add-user")
@allow(Action.CHANGE_USERS)
def take_add() -> ResponseReturnValue:
    """Make an account, and show its one-time password once."""
    fields = ("username", "person", "name", "organization")
    new = NewAccount(*(request.form.get(field, "").strip() for field in fields))
    try:
        password = accounts.add_account(deps_here(), person_here(), new)
    except InputError as error:
        return _show_new(accounts.find_faults(new) or {"username": error}), 422
    return _show_password(new.username, password)


@pages.get("/users/<username>")
@allow(Action.CHANGE_USERS)
def show(username: str) -> ResponseReturnValue:
    """Show an account with every role that it ever had."""
    return _show(username, {}), 200


@pages.post("/users/<username>/password")
@allow(Action.CHANGE_USERS)
def reset_password(username: str) -> ResponseReturnValue:
    """Give an account a new one-time password, and show it once."""
    try:
        password = accounts.reset_password(deps_here(), person_here(), username)
    except AccountError as error:
        return _show(username, {"account": _rule_of(error)}), 422
    return _show_password(username, password)


@pages.get("/users/<username>/disable")
@allow(Action.CHANGE_USERS)
def disable(username: str) -> ResponseReturnValue:
    """Ask whether an account is to be disabled for ever."""
    return render_template("disable.html", account=_read(username).account)


@pages.post("/users/<username>/disable")
@allow(Action.CHANGE_USERS)
def take_disable(username: str) -> ResponseReturnValue:
    """Disable an account for ever."""
    try:
        accounts.disable_account(deps_here(), person_here(), username)
    except AccountError as error:
        return _show(username, {"account": _rule_of(error)}), 422
    return _done(username, _("The account is disabled, for ever."))


@pages.post("/users/<username>/roles")
@allow(Action.CHANGE_USERS)
def give_role(username: str) -> ResponseReturnValue:
    """Give somebody a role in a trial, a physician at a site."""
    trial, grant, errors = _read_role()
    if grant is None:
        return _show(username, errors), 422
    try:
        accounts.add_grant(deps_here(), person_here(), trial, username, grant)
    except (AccountError, DisjointRolesError, UnknownRecordError, UnknownSiteError) as error:
        return _show(username, _role_errors(grant, error)), 422
    return _done(username, _("The role is given; it is held from now on."))


@pages.post("/users/<username>/roles/end")
@allow(Action.CHANGE_USERS)
def end_role(username: str) -> ResponseReturnValue:
    """End somebody's role in a trial."""
    trial, grant, _errors = _read_role()
    if grant is None:
        abort(400)
    try:
        accounts.end_grant(deps_here(), person_here(), trial, username, grant)
    except AccountError as error:
        return _show(username, {"roles": _rule_of(error)}), 422
    return _done(username, _("The role has ended; it opens nothing more."))


@pages.get("/users/<username>/administrator")
@allow(Action.CHANGE_USERS)
def make_administrator(username: str) -> ResponseReturnValue:
    """Say what an administrator of the whole installation is, and ask whether it is meant."""
    return _show_administrator("make_administrator.html", username, {}), 200


@pages.post("/users/<username>/administrator")
@allow(Action.CHANGE_USERS)
def take_administrator(username: str) -> ResponseReturnValue:
    """Make somebody an administrator of the whole installation."""
    try:
        accounts.add_administrator(deps_here(), person_here(), username)
    except DisjointRolesError as error:
        role = _(ROLE_NAMES[Role(str(error.facts["held"]))])
        told = _(
            "Nothing was changed: this person holds, or once held, the role %(role)s in a trial, "
            "and an administrator has no part in any. It takes another person.", role=role,
        )  # fmt: skip
        return _show_administrator("make_administrator.html", username, {"account": told}), 422
    except AccountError as error:
        errors = {"account": _rule_of(error)}
        return _show_administrator("make_administrator.html", username, errors), 422
    return _done(username, _("This person administers the whole installation from now on."))


@pages.get("/users/<username>/administrator/end")
@allow(Action.CHANGE_USERS)
def end_administrator(username: str) -> ResponseReturnValue:
    """Say what ends with the role in the whole installation, and ask whether it is meant."""
    return _show_administrator("end_administrator.html", username, {}), 200


@pages.post("/users/<username>/administrator/end")
@allow(Action.CHANGE_USERS)
def take_end_administrator(username: str) -> ResponseReturnValue:
    """End somebody's role in the whole installation."""
    try:
        accounts.end_administrator(deps_here(), person_here(), username)
    except AccountError as error:
        errors = {"account": _rule_of(error)}
        return _show_administrator("end_administrator.html", username, errors), 422
    return _done(username, _("This person administers nothing any more."))


def _holds(row: AccountRow, wanted: str) -> bool:
    texts = (row.username, row.person, row.name, row.organization)
    return any(wanted in text.casefold() for text in texts)


def _read_role() -> tuple[str, Grant | None, dict[str, str]]:
    """Return trial and role of a form; no role, and what is wrong, where one is not chosen."""
    form = request.form
    trial, role = form.get("trial", ""), form.get("role", "")
    errors = {}
    if not trial:
        errors["trial"] = _("Trial: choose one.")
    if role not in set(Role):
        errors["role"] = _("Role: choose one.")
    if errors:
        return trial, None, errors
    return trial, Grant(Role(role), form.get("site", "").strip()), {}


def _role_errors(grant: Grant, error: RefusalError) -> dict[str, str]:
    """Return the refusal of a role beside the field that it is about."""
    if isinstance(error, UnknownRecordError):
        return {"trial": _("Trial: there is no such trial. Choose one.")}
    if isinstance(error, UnknownSiteError):
        return {"site": tell_fault(_("Site"), error)}
    if not isinstance(error, AccountError):
        return {"role": tell(error)}
    mismatch = bool(grant.site) != (grant.role in AT_A_SITE)
    field, label = ("site", _("Site")) if mismatch else ("role", _("Role"))
    return {field: f"{label}: {error.facts['rule']}."}


def _rule_of(error: AccountError) -> str:
    return str(_("Nothing was changed: %(rule)s.", rule=error.facts["rule"]))


def _read(username: str) -> AccountHistory:
    try:
        return people.read_history(deps_here(), person_here(), username)
    except AccountError:
        abort(404)


def _done(username: str, told: str) -> ResponseReturnValue:
    flash(told)
    return redirect(url_for("users.show", username=username), 303)


def _show(username: str, errors: Mapping[str, str]) -> str:
    found = _read(username)
    held = lookups.list_own_roles(deps_here(), person_here())
    trials = [trial for trial in held if trial]  # an administrator is one in each
    return render_template(
        "user.html",
        history=found, account=found.account, typed=request.form, errors=errors,
        own=_is_own(found), administers=_administers(found),
        roles=[(str(role), _(ROLE_NAMES[role])) for role in Role],
        trials=[(trial, trial) for trial in trials], sites=_list_sites(trials),
    )  # fmt: skip


def _list_sites(trials: Sequence[str]) -> list[tuple[str, str]]:
    """Return every site to choose: code and words, with its trials where there are several."""
    names: dict[str, str] = {}
    held: dict[str, list[str]] = {}
    for trial in trials:
        for site in lookups.read_definition(deps_here(), trial).sites:
            names.setdefault(site.code, site.name)
            held.setdefault(site.code, []).append(trial)
    several = len(trials) > 1
    return [
        (code, f"{code}, {name} ({', '.join(held[code])})" if several else f"{code}, {name}")
        for code, name in names.items()
    ]


def _show_administrator(template: str, username: str, errors: Mapping[str, str]) -> str:
    found = _read(username)
    return render_template(
        template,
        account=found.account, errors=errors, own=_is_own(found), administers=_administers(found),
    )  # fmt: skip


def _is_own(history: AccountHistory) -> bool:
    return history.account.person == person_here().id


def _administers(history: AccountHistory) -> bool:
    """Tell whether an account administers the whole installation, be it disabled or not."""
    return any(not held.trial and held.ended_at is None for held in history.roles)


def _show_new(faults: Mapping[str, InputError]) -> str:
    labels = {
        "username": _("User name"), "person": _("Person"),
        "name": _("Printed name"), "organization": _("Organization"),
    }  # fmt: skip
    errors = tell_faults(labels, faults)
    return render_template("add_user.html", typed=request.form, errors=errors)


def _show_password(username: str, password: str) -> ResponseReturnValue:
    return render_template("one_time_password.html", username=username, password=password)
