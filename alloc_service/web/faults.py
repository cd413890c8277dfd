"""Refusals and faults as pages: what happened, what was saved, what to do, and the request's id.

An unexpected fault is told with the request's id; where it happened goes to the server's log,
without the fault's own words and without values, for these may be an arm.
"""

from collections.abc import Mapping
from functools import partial

from flask import Flask, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from alloc_service.errors import RefusalError, RuleError, SecondFactorDueError, SessionEndedError
from alloc_service.errors.places import describe_places
from alloc_service.login import USERNAME, is_factor_missing
from alloc_service.web import resuming
from alloc_service.web.words import mark, say, tell

_TITLES = {
    400: mark("The form was not taken"),
    403: mark("You may not do this"),
    404: mark("There is no such page"),
    405: mark("There is no such page"),
    409: mark("This cannot be done now"),
    413: mark("This is too large"),
    422: mark("Something is not as it must be"),
    429: mark("Too often"),
    500: mark("Something is wrong here"),
    503: mark("The service cannot do this now"),
}
_OTHERWISE = mark("The request was not taken")
_FOLLOWS = {
    400: mark("Open the form anew and send it again. Nothing was saved."),
    404: mark("Look at the address, or begin at your start page."),
    405: mark("Look at the address, or begin at your start page."),
    413: mark("Choose a smaller file. Nothing was saved."),
}
# What a command line answers to is no remedy on a page.
_REMEDIES = {
    "not-found": mark(
        "There is no {what} {name}. Look at the address, or begin at your start page."
    ),
}
_SAVED = mark("What was reported as done stays done; this request changed nothing.")
_UNSURE = mark(
    "An allocation that was made stays made: look at the participant's page before you ask "
    "again. Nothing is ever drawn twice."
)
_UNSURE_ELSEWHERE = mark(
    "What is in the log stays in the log. Look whether your request is in it before you send it "
    "again."
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
        return _page(404, say(_REMEDIES[error.code]).format_map(error.facts), "", error.code)
    follows = _unsure() if status >= 500 else _SAVED
    return _page(status, tell(error), follows, error.code)


def _refuse_form(_error: CSRFError) -> ResponseReturnValue:
    told = _("The form could not be matched with this browser: it is a day old, or no cookie came.")
    return _page(400, told, _FOLLOWS[400], "bad-form-token")


def _refuse_request(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error
    told = say(_TITLES.get(code, _OTHERWISE))
    return _page(code, f"{told}.", _FOLLOWS.get(code, ""))


def _apologize(error: Exception) -> ResponseReturnValue:
    _log(error)
    told = _("This is a fault of the program and not yours.")
    return _page(500, told, _unsure(), "fault")


def _page(status: int, told: str, follows: str, code: str = "") -> ResponseReturnValue:
    title = say(_TITLES.get(status, _OTHERWISE))
    facts = {"title": title, "told": told, "follows": say(follows), "code": code}
    # Who may not see the participant is not sent there, nor who looked for what is not there.
    facts["enrolment"] = "" if status in {403, 404, 405} else _enrolment()
    try:
        return render_template("refused.html", **facts), status
    except Exception as error:  # noqa: BLE001  who is signed in may be what cannot be read
        _log(error)
        return render_template("refused_plainly.html", **facts), status


def _unsure() -> str:
    return _UNSURE if _enrolment() else _UNSURE_ELSEWHERE


def _enrolment() -> str:
    """Return the participant's record that was asked about, or "" for anything else."""
    asked = request.view_args or {}
    return "" if "trial" in asked else str(asked.get("enrolment", ""))


def _log(error: Exception) -> None:
    current_app.logger.error("fault %s", describe_places(error, g.get("request_id", "")))
