"""Somebody's own account: password, and the browsers that are signed in with it."""

from functools import partial

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from alloc_service import login
from alloc_service.errors import (
    PasswordRuleError,
    TooManyTriesError,
    WrongPasswordError,
)
from alloc_service.login import browser_here, deps_here, everyone, signed_in, signed_in_here
from alloc_service.services import accounts, sessions, throttle

pages = Blueprint("account", __name__, url_prefix="/account")

_UNLIKE = "The two new passwords are not the same. Type both again."


@pages.get("")
@signed_in
def show() -> ResponseReturnValue:
    """Show somebody's own account."""
    return _show({}), 200


@pages.post("/password")
@signed_in
def change_password() -> ResponseReturnValue:
    """Change somebody's own password, and begin a new session with it."""
    username = signed_in_here().username
    errors = _change(username)
    if errors:
        return _show(errors), 422
    login.sign_in(username, request.form.get("new_password", ""))
    session["username"] = username
    return redirect(url_for("account.show", changed="yes"), 303)


@pages.post("/sign-out-others")
@signed_in
def sign_out_others() -> ResponseReturnValue:
    """End every session of somebody but this one."""
    sessions.end_others(deps_here(), signed_in_here())
    return redirect(url_for("account.show"), 303)


@pages.get("/first-password")
@everyone
def first_password() -> ResponseReturnValue:
    """Ask for the change of a one-time password."""
    username = request.args.get("username", "")
    return render_template("first_password.html", typed=username, errors={}), 200


@pages.post("/first-password")
@everyone
def take_first_password() -> ResponseReturnValue:
    """Replace a one-time password by one of the owner's own."""
    username = request.form.get("username", "").strip()
    errors = _change(username)
    if errors:
        return render_template("first_password.html", typed=username, errors=errors), 422
    login.sign_in(username, request.form.get("new_password", ""))
    session["username"] = username
    return redirect(url_for("front.start"), 303)


def _change(username: str) -> dict[str, str]:
    """Change a password as the form asks; return what is wrong, by field."""
    form = request.form
    old, new = form.get("password", ""), form.get("new_password", "")
    if new != form.get("again", ""):
        return {"again": _UNLIKE}
    check = partial(accounts.change_password, deps_here(), username, old, new)
    try:
        throttle.guarded(deps_here(), username, browser_here().address, check)
    except (WrongPasswordError, TooManyTriesError) as error:
        return {"password": str(error)}
    except PasswordRuleError as error:
        return {"new_password": str(error)}
    return {}


def _show(errors: dict[str, str]) -> str:
    return render_template(
        "account.html",
        errors=errors,
        changed=request.args.get("changed") == "yes",
        sessions=sessions.list_own(deps_here(), signed_in_here()),
    )
