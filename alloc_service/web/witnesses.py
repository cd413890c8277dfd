"""The page of a trial's witnesses: how they stand, who they are, and the gate.

What takes two people asks for the second one's user name and password in the form, and for the
code of their second factor: that person is there and signs for this one act, and is signed in
nowhere by it.
"""

import re
from collections.abc import Mapping
from functools import partial

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service.errors import (
    CodeMissingError,
    FactorMissingError,
    NotAllowedError,
    PasswordChangeDueError,
    RuleError,
    SecondPersonError,
    TooManyTriesError,
    WitnessNoteError,
    WitnessPlaceError,
    WrongCodeError,
    WrongPasswordError,
)
from alloc_service.log.entry import parse_time
from alloc_service.log.witness import LONGEST_REQUEST
from alloc_service.login import allow, browser_here, deps_here, person_here
from alloc_service.permissions import Action
from alloc_service.services import (
    second_person,
    witness_client,
    witness_standing,
    witnesses,
)
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.witnesses import MODES, NewPolicy, WitnessPlace
from alloc_service.web.context import show_utc
from alloc_service.web.fields import tell_fault, tell_faults
from alloc_service.web.words import say, tell, tell_rule

pages = Blueprint("witnesses", __name__)

ROWS = 4

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)


@pages.get("/trials/<trial:trial>/witnesses")
@allow(Action.CHANGE_WITNESSES)
def show(trial: str) -> ResponseReturnValue:
    """Show how the trial's witnesses stand."""
    return _show(trial, {}), 200


@pages.post("/trials/<trial:trial>/witnesses/policy")
@allow(Action.CHANGE_WITNESSES)
def take_policy(trial: str) -> ResponseReturnValue:
    """Set the trial's witnesses, signed by two people."""
    places = _typed_places()
    mode, quorum = request.form.get("mode", ""), request.form.get("quorum", "").strip()
    errors = {}
    if mode not in MODES:
        errors["mode"] = _("Part of the witnesses: choose one.")
    if quorum and not _NUMBER.fullmatch(quorum):
        errors["quorum"] = _("Cosignatures needed: write a whole number.")
    people = _find_people(errors)
    if people is None:
        return _show(trial, errors), 422
    new = NewPolicy(mode, int(quorum) if quorum else len(places), places)
    if mode == "off":  # whoever chooses it leaves in the form what stood there before
        new = NewPolicy(mode, 0)
    try:
        witnesses.set_policy(deps_here(), people, trial, new)
    except WitnessPlaceError as error:
        return _show(trial, {_find_field(error): tell(error)}), 422
    except NotAllowedError as error:
        return _show(trial, {"second": tell_fault(_("Second person"), error)}), 403
    except RuleError as error:
        return _show(trial, {"mode": tell_rule(error)}), 409
    return _done(trial, _("The witnesses are set. Ask them now to confirm the log."))


@pages.post("/trials/<trial:trial>/witnesses/suspend")
@allow(Action.CHANGE_WITNESSES)
def suspend(trial: str) -> ResponseReturnValue:
    """Let allocations go on without a witness for some hours, signed by two people."""
    typed = request.form.get("hours", "").strip()
    hours = int(typed) if _NUMBER.fullmatch(typed) else 0
    code, reason = (request.form.get(name, "").strip() for name in ("code", "reason"))
    labels = {"hours": _("Hours"), "code": _("Reason code"), "reason": _("Reason")}
    errors = tell_faults(labels, witnesses.find_faults(hours, code, reason))
    people = _find_people(errors, "-of-gate")
    if people is None:
        return _show(trial, errors), 422
    act = partial(witnesses.suspend, hours=hours, code=code, reason=reason)
    try:
        entry = act(deps_here(), people, trial)
    except NotAllowedError as error:
        return _show(trial, {"second-of-gate": tell_fault(_("Second person"), error)}), 403
    except RuleError as error:
        return _show(trial, {"hours": tell_rule(error)}), 409
    until = show_utc(parse_time(entry.body["until"]))
    return _done(trial, _("Until %(until)s allocations wait for no witness.", until=until))


@pages.post("/trials/<trial:trial>/witnesses/resume")
@allow(Action.CHANGE_WITNESSES)
def resume(trial: str) -> ResponseReturnValue:
    """Let allocations wait for the witness again."""
    try:
        witnesses.resume(deps_here(), person_here(), trial)
    except RuleError as error:
        return _show(trial, {"gate": tell_rule(error)}), 409
    return _done(trial, _("Allocations wait for the witness again."))


@pages.post("/trials/<trial:trial>/witnesses/collect")
@allow(Action.CHANGE_WITNESSES)
def collect(trial: str) -> ResponseReturnValue:
    """Ask every witness to confirm the log as it is now."""
    _signed, got = witnesses.collect(deps_here(), person_here(), trial)
    for name in sorted(got.lines):
        flash(_("%(name)s has confirmed the log as it is now.", name=name))
    for name, trouble in sorted(got.troubles.items()):
        flash(_("%(name)s has not: %(trouble)s.", name=name, trouble=say(trouble)))
    return redirect(url_for("witnesses.show", trial=trial), 303)


@pages.post("/trials/<trial:trial>/witnesses/request")
@allow(Action.CHANGE_WITNESSES)
def download_request(trial: str) -> ResponseReturnValue:
    """Give the request for a witness that no network leads to."""
    name = request.form.get("name", "")
    data = witnesses.write_request(deps_here(), person_here(), trial, name)
    answer = Response(data, mimetype="application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename="request.txt")
    return answer


@pages.post("/trials/<trial:trial>/witnesses/response")
@allow(Action.CHANGE_WITNESSES)
def take_response(trial: str) -> ResponseReturnValue:
    """Take the response that was carried back from a witness."""
    upload = request.files.get("file")
    data = upload.stream.read(LONGEST_REQUEST) if upload is not None else b""
    try:
        note = data.decode("utf-8", "replace")
        size, names = witnesses.take_response(deps_here(), person_here(), trial, note)
    except WitnessNoteError as error:
        return _show(trial, {"file": tell(error)}), 422
    told = _("%(names)s has confirmed the log up to entry %(last)s.",
             names=", ".join(names), last=size - 1)  # fmt: skip
    return _done(trial, told)


def _typed_places() -> tuple[WitnessPlace, ...]:
    rows = [
        WitnessPlace(
            request.form.get(f"vkey{at}", "").strip(), request.form.get(f"url{at}", "").strip()
        )
        for at in range(1, ROWS + 1)
    ]
    return tuple(row for row in rows if row.vkey or row.url)


def _find_field(error: WitnessPlaceError) -> str:
    """Return which field of the form holds the key or address that was refused."""
    for at in range(1, ROWS + 1):
        key, url = (request.form.get(f"{field}{at}", "").strip() for field in ("vkey", "url"))
        name = key.partition("+")[0][:100]
        if not (key or url) or name != error.facts["name"]:
            continue
        try:
            witness_client.check_url(name, url)
        except WitnessPlaceError as other:
            if str(other) == str(error):
                return f"url{at}"
        return f"vkey{at}"
    return "vkey1"


def _find_people(errors: dict[str, str], form: str = "") -> TwoPeople | None:
    """Return the two who sign, or none where a field of the form is wrong.

    Password and code are judged last, and only where everything else is right.
    """
    username = request.form.get(f"second{form}", "").strip()
    password = request.form.get(f"password{form}", "")
    if errors:
        return None
    code = request.form.get(f"password_code{form}", "").strip()
    prove = partial(second_person.prove, code=code, address=browser_here().address)
    try:
        return prove(deps_here(), person_here(), username, password)
    except (WrongPasswordError, PasswordChangeDueError, TooManyTriesError) as error:
        errors[f"password{form}"] = tell(error)
    except (CodeMissingError, WrongCodeError) as error:
        errors[f"password_code{form}"] = tell(error)
    except (SecondPersonError, FactorMissingError) as error:
        errors[f"second{form}"] = tell(error)
    return None


def _done(trial: str, told: str) -> ResponseReturnValue:
    flash(told)
    return redirect(url_for("witnesses.show", trial=trial), 303)


def _show(trial: str, errors: Mapping[str, str]) -> str:
    standing = witness_standing.read_standing(deps_here(), person_here(), trial)
    return render_template(
        "witnesses.html", standing=standing, typed=request.form, errors=errors, rows=ROWS
    )
