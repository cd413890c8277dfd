"""Somebody's own account: password, and the browsers that are signed in with it."""

from functools import partial

import segno
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from alloc_service import login
from alloc_service.errors import (
    PasswordRuleError,
    TooManyTriesError,
    WrongCodeError,
    WrongPasswordError,
)
from alloc_service.login import (
    before_second_factor,
    browser_here,
    deps_here,
    everyone,
    signed_in,
    signed_in_here,
)
from alloc_service.services import accounts, second_factor, sessions, throttle
from alloc_service.services.second_factor import NewFactor
from alloc_service.web.words import tell

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
    return redirect(url_for("front.start"), 303)


@pages.get("/code")
@before_second_factor
def ask_code() -> ResponseReturnValue:
    """Ask for a code of the second factor."""
    return render_template("code.html", errors={}), 200


@pages.post("/code")
@before_second_factor
def take_code() -> ResponseReturnValue:
    """Take a code of the second factor, and go on to the start page."""
    try:
        sessions.prove(deps_here(), signed_in_here(), request.form.get("code", ""), browser_here())
    except (WrongCodeError, TooManyTriesError) as error:
        status = 429 if isinstance(error, TooManyTriesError) else 403
        return render_template("code.html", errors={"code": tell(error)}), status
    return redirect(url_for("front.start"), 303)


@pages.get("/second-factor")
@before_second_factor
def second_factor_page() -> ResponseReturnValue:
    """Show whether there is a second factor, and how one is set up."""
    if not signed_in_here().proved:
        return redirect(url_for("account.ask_code"), 303)
    return _show_factor(None, {}), 200


@pages.post("/second-factor")
@before_second_factor
def begin_factor() -> ResponseReturnValue:
    """Make a secret for somebody's device, and show it this once."""
    here = signed_in_here()
    new = second_factor.begin(deps_here(), here.person, here.username)
    return _show_factor(new, {}), 200


@pages.post("/second-factor/confirm")
@before_second_factor
def confirm_factor() -> ResponseReturnValue:
    """Take the first code of a new secret, and show the recovery codes this once."""
    here, code = signed_in_here(), request.form.get("code", "").replace(" ", "")
    try:
        check = partial(second_factor.confirm, deps_here(), here.person, code)
        codes = throttle.guarded(
            deps_here(), f"{here.username} code", browser_here().address, check
        )
    except (WrongCodeError, TooManyTriesError) as error:
        return _show_factor(None, {"begin": tell(error)}), 403
    login.note_factor()
    return render_template("recovery_codes.html", codes=codes), 200


def _show_factor(new: NewFactor | None, errors: dict[str, str]) -> str:
    person = signed_in_here().person
    return render_template(
        "second_factor.html",
        has_one=second_factor.is_asked(deps_here(), person),
        missing=login.is_factor_missing(),
        left=second_factor.count_codes(deps_here(), person),
        new=new,
        picture=_draw(new) if new else "",
        errors=errors,
    )


def _draw(new: NewFactor) -> Markup:
    drawn = segno.make(new.uri).svg_inline(scale=5, border=4, light="#fff")
    return Markup(drawn)  # noqa: S704  modules of a QR code, no text


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
        return {"password": tell(error)}
    except PasswordRuleError as error:
        return {"new_password": tell(error)}
    return {}


def _show(errors: dict[str, str]) -> str:
    return render_template(
        "account.html",
        errors=errors,
        changed=request.args.get("changed") == "yes",
        sessions=sessions.list_own(deps_here(), signed_in_here()),
    )
