"""The administrator's pages of people: accounts, one-time passwords, roles.

A one-time password is shown in the answer to the POST that made it, and nowhere else. Nobody
changes their own account or roles here; the services refuse it, whatever a page offers.
"""

from collections.abc import Mapping

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
    return render_template(
        "user.html",
        history=found, account=found.account, typed=request.form, errors=errors,
        own=found.account.person == person_here().id,
        roles=[(str(role), _(ROLE_NAMES[role])) for role in Role],
        trials=[(trial, trial) for trial in held if trial],  # an administrator is one in each
    )  # fmt: skip


def _show_new(faults: Mapping[str, InputError]) -> str:
    labels = {
        "username": _("User name"), "person": _("Person"),
        "name": _("Printed name"), "organization": _("Organization"),
    }  # fmt: skip
    errors = tell_faults(labels, faults)
    return render_template("add_user.html", typed=request.form, errors=errors)


def _show_password(username: str, password: str) -> ResponseReturnValue:
    return render_template("one_time_password.html", username=username, password=password)
