"""Refusals and faults as pages: what happened, what was saved, what to do, and the request's id.

An unexpected fault is told with the request's id; where it happened goes to the server's log,
without the fault's own words and without values, for these may be an arm.
"""

from collections.abc import Mapping
from functools import partial

from flask import Flask, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from alloc_service.errors import RefusalError, RuleError, SecondFactorDueError, SessionEndedError
from alloc_service.errors.places import describe_places
from alloc_service.login import USERNAME, is_factor_missing
from alloc_service.web import resuming

_TITLES = {
    400: "The form was not taken",
    403: "You may not do this",
    404: "There is no such page",
    405: "There is no such page",
    409: "This cannot be done now",
    413: "This is too large",
    422: "Something is not as it must be",
    429: "Too often",
    500: "Something is wrong here",
    503: "The service cannot do this now",
}
_FOLLOWS = {
    400: "Open the form anew and send it again. Nothing was saved.",
    404: "Look at the address, or begin at your start page.",
    405: "Look at the address, or begin at your start page.",
    413: "Choose a smaller file. Nothing was saved.",
}
# What a command line answers to is no remedy on a page.
_REMEDIES = {
    "not-found": "There is no {what} {name}. Look at the address, or begin at your start page.",
}
_SAVED = "What was reported as done stays done; this request changed nothing."
_UNSURE = (
    "An allocation that was made stays made: look at the participant's page before you ask "
    "again. Nothing is ever drawn twice."
)


def init_faults(app: Flask, statuses: Mapping[type[RefusalError], int]) -> None:
    """Answer refusals and faults with pages."""
    app.register_error_handler(SessionEndedError, _ask_sign_in)
    app.register_error_handler(SecondFactorDueError, _ask_factor)
    app.register_error_handler(RefusalError, partial(_refuse, statuses))
    app.register_error_handler(CSRFError, _refuse_form)
    app.register_error_handler(HTTPException, _refuse_request)
    app.register_error_handler(Exception, _apologize)


def status_of(statuses: Mapping[type[RefusalError], int], error: RefusalError) -> int:
    """Return the status that a refusal has on the web."""
    if isinstance(error, RuleError):  # an act that may not follow what came before
        return 409
    return next(code for branch, code in statuses.items() if isinstance(error, branch))


def _ask_sign_in(_error: SessionEndedError) -> ResponseReturnValue:
    if request.method == "POST":
        kept = resuming.keep(request.full_path, request.form, session.get(USERNAME, ""))
        return render_template("sign_in.html", kept=kept, next="", typed="", ended=True), 401
    return redirect(url_for("front.sign_in", next=request.full_path.rstrip("?")), 303)


def _ask_factor(_error: SecondFactorDueError) -> ResponseReturnValue:
    page = "account.second_factor_page" if is_factor_missing() else "account.ask_code"
    return redirect(url_for(page), 303)


def _refuse(statuses: Mapping[type[RefusalError], int], error: RefusalError) -> ResponseReturnValue:
    status = status_of(statuses, error)
    if error.code in _REMEDIES:
        return _page(404, _REMEDIES[error.code].format_map(error.facts), "", error.code)
    follows = _UNSURE if status >= 500 else _SAVED
    return _page(status, str(error), follows, error.code)


def _refuse_form(_error: CSRFError) -> ResponseReturnValue:
    told = "The form could not be matched with this browser: it is a day old, or no cookie came."
    return _page(400, told, _FOLLOWS[400], "bad-form-token")


def _refuse_request(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error
    return _page(code, _TITLES.get(code, "The request was not taken") + ".", _FOLLOWS.get(code, ""))


def _apologize(error: Exception) -> ResponseReturnValue:
    _log(error)
    told = "This is a fault of the program and not yours."
    return _page(500, told, _UNSURE, "fault")


def _page(status: int, told: str, follows: str, code: str = "") -> ResponseReturnValue:
    title = _TITLES.get(status, "The request was not taken")
    facts = {"title": title, "told": told, "follows": follows, "code": code}
    try:
        return render_template("refused.html", **facts), status
    except Exception as error:  # noqa: BLE001  who is signed in may be what cannot be read
        _log(error)
        return render_template("refused_plainly.html", **facts), status


def _log(error: Exception) -> None:
    current_app.logger.error("fault %s", describe_places(error, g.get("request_id", "")))
