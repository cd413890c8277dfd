"""The physician's pages: enrol in steps, check, sign, and see one allocation.

A step keeps a draft; nothing is an enrolment until it is signed. The arm is shown in the answer
to a POST alone, in a page whose length is the same for every arm.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service.errors import (
    InputError,
    ParticipantUsedError,
    PasswordChangeDueError,
    Problem,
    RefusalError,
    TooManyTriesError,
    TypedError,
    WrongPasswordError,
)
from alloc_service.login import allow, browser_here, deps_here, person_here
from alloc_service.permissions import Action
from alloc_service.services import enrolments, lookups, participants, reveal, throttle
from alloc_service.services.enrolments import Typed
from alloc_service.services.lookups import RecordToCheck
from alloc_service.trial.consent import find_offsets, is_time, write_offset
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.questions import NumberQuestion
from alloc_service.web.allocation import show_allocation
from alloc_service.web.reading import read_number
from alloc_service.web.words import say, tell

pages = Blueprint("participants", __name__)

# In the order of the page, in which its summary tells what is wrong.
_CONSENT_FIELDS = (
    "participant", "consent_day", "consent_hour", "consent_offset", "consent_version",
)  # fmt: skip


@pages.get("/trials/<trial:trial>/sites/<site>/participants")
@allow(Action.ENROL)
def list_participants(trial: str, site: str) -> ResponseReturnValue:
    """Show a site's participants: number, how far, and what is next."""
    found = participants.list_participants(deps_here(), person_here(), trial, site)
    wanted = request.args.get("q", "").strip()
    chosen = [row for row in found if wanted.casefold() in row.number.casefold()]
    definition = lookups.read_definition(deps_here(), trial)
    return render_template(
        "participants.html",
        definition=definition, site=definition.site(site), rows=chosen, wanted=wanted,
        count=len(found),
    )  # fmt: skip


@pages.get("/trials/<trial:trial>/sites/<site>/enrol")
@allow(Action.ENROL)
def begin(trial: str, site: str) -> ResponseReturnValue:
    """Ask for participant number and consent."""
    return _show_consent(lookups.read_definition(deps_here(), trial), site, {}, {}), 200


@pages.post("/trials/<trial:trial>/sites/<site>/enrol")
@allow(Action.ENROL)
def take_begin(trial: str, site: str) -> ResponseReturnValue:
    """Keep a draft with participant number and consent, and go on to the facts."""
    form, definition = request.form, lookups.read_definition(deps_here(), trial)
    typed = Typed(
        participant=form.get("participant", "").strip(),
        consent_time=_consent_time(definition, site, form),
        consent_version=form.get("consent_version", "").strip(),
        facts={},
    )
    try:
        draft = enrolments.enrol(deps_here(), person_here(), trial, site, typed)
    except InputError as error:
        errors = _consent_errors(definition, site, typed, error)
        return _show_consent(definition, site, form, errors), 422
    return redirect(url_for("participants.facts", enrolment=draft.id), 303)


@pages.get("/enrolments/<uuid:enrolment>/consent")
@allow(Action.ENROL)
def consent(enrolment: UUID) -> ResponseReturnValue:
    """Ask for participant number and consent again."""
    record = _record(enrolment)
    if record.allocated:
        return _to_check(enrolment)
    return _show_consent(record.definition, record.draft.site, _kept_consent(record), {}), 200


@pages.post("/enrolments/<uuid:enrolment>/consent")
@allow(Action.ENROL)
def take_consent(enrolment: UUID) -> ResponseReturnValue:
    """Change participant number and consent of a draft."""
    record, form = _record(enrolment), request.form
    definition, site = record.definition, record.draft.site
    time = _consent_time(definition, site, form)
    if time == _consent_time(definition, site, _kept_consent(record)):
        time = record.draft.typed.consent_time  # to the second, and as it was first typed
    typed = replace(
        record.draft.typed,
        participant=form.get("participant", "").strip(),
        consent_time=time,
        consent_version=form.get("consent_version", "").strip(),
    )
    try:
        enrolments.amend(deps_here(), person_here(), enrolment, typed)
    except InputError as error:
        errors = _consent_errors(definition, site, typed, error)
        return _show_consent(definition, site, form, errors), 422
    return _to_check(enrolment)


@pages.get("/enrolments/<uuid:enrolment>/facts")
@allow(Action.ENROL)
def facts(enrolment: UUID) -> ResponseReturnValue:
    """Ask for the facts."""
    record = _record(enrolment)
    if record.allocated:
        return _to_check(enrolment)
    typed = record.draft.typed
    return _show_facts(record, typed.facts, typed.units, typed.confirmed, ()), 200


@pages.post("/enrolments/<uuid:enrolment>/facts")
@allow(Action.ENROL)
def take_facts(enrolment: UUID) -> ResponseReturnValue:
    """Keep the facts of a draft, and go on to the criteria."""
    record = _record(enrolment)
    definition = record.definition
    raw = {item.code: request.form.get(f"fact.{item.code}", "") for item in definition.facts}
    units = {item.code: request.form.get(f"unit.{item.code}", "") for item in definition.facts}
    confirmed = tuple(request.form.getlist("confirm"))
    values, asked = _read_numbers(definition, raw)
    units = {code: unit for code, unit in units.items() if unit and values[code]}
    typed = replace(record.draft.typed, facts=values, units=units, confirmed=confirmed)
    problems = asked or _keep(enrolment, typed)
    if asked:  # then nothing was kept, and the rest is told as well
        others = lookups.find_problems(definition, record.draft.site, typed)
        known = {item.field for item in asked}
        problems += tuple(item for item in others if item.field not in known)
    if problems:
        return _show_facts(record, raw, units, confirmed, problems), 422
    after = "check" if request.form.get("then") == "check" else "eligibility"
    return redirect(url_for(f"participants.{after}", enrolment=enrolment), 303)


@pages.get("/enrolments/<uuid:enrolment>/eligibility")
@allow(Action.ENROL)
def eligibility(enrolment: UUID) -> ResponseReturnValue:
    """Ask for each criterion, yes or no."""
    record = _record(enrolment)
    if record.allocated:
        return _to_check(enrolment)
    return _show_eligibility(record, record.draft.answers, ()), 200


@pages.post("/enrolments/<uuid:enrolment>/eligibility")
@allow(Action.ENROL)
def take_eligibility(enrolment: UUID) -> ResponseReturnValue:
    """Keep the answers of a draft, and go on to the check."""
    record = _record(enrolment)
    codes = [item.code for item in record.definition.criteria]
    answers = {code: request.form.get(f"answer.{code}", "") for code in codes}
    answers = {code: answer for code, answer in answers.items() if answer}
    problems = _keep(enrolment, replace(record.draft.typed, answers=answers))
    if problems:
        return _show_eligibility(record, answers, problems), 422
    return _to_check(enrolment)


@pages.get("/enrolments/<uuid:enrolment>/check")
@allow(Action.ENROL)
def check(enrolment: UUID) -> ResponseReturnValue:
    """Show everything that was typed and what was derived from it, to be signed."""
    return _show_check(_record(enrolment), "", {}), 200


@pages.post("/enrolments/<uuid:enrolment>/allocation")
@allow(Action.REQUEST_ALLOCATION)
def request_allocation(enrolment: UUID) -> ResponseReturnValue:
    """Sign, spend and show one allocation; asked again, the same one is shown."""
    username = request.form.get("username", "").strip()
    password = request.form.get("password", "")
    signed = partial(reveal.sign, deps_here(), username, password, enrolment)
    try:
        signature = throttle.guarded(deps_here(), username, browser_here().address, signed)
    except (WrongPasswordError, PasswordChangeDueError) as error:
        return _show_check(_record(enrolment), username, {"password": tell(error)}), 403
    except TooManyTriesError as error:
        return _show_check(_record(enrolment), username, {"password": tell(error)}), 429
    return show_allocation(reveal.reveal(deps_here(), person_here(), enrolment, signature))


@pages.post("/enrolments/<uuid:enrolment>/allocation/again")
@allow(Action.REQUEST_ALLOCATION)
def show_again(enrolment: UUID) -> ResponseReturnValue:
    """Show an allocation again, and log the look."""
    return show_allocation(reveal.read_again(deps_here(), person_here(), enrolment))


def _record(enrolment: UUID) -> RecordToCheck:
    return participants.read_record(deps_here(), person_here(), enrolment)


def _to_check(enrolment: UUID) -> ResponseReturnValue:
    return redirect(url_for("participants.check", enrolment=enrolment), 303)


def _keep(enrolment: UUID, typed: Typed) -> tuple[Problem, ...]:
    """Keep a changed draft; return what is wrong with it."""
    try:
        enrolments.amend(deps_here(), person_here(), enrolment, typed)
    except TypedError as error:
        return error.problems
    return ()


def _read_numbers(
    definition: TrialDefinition, raw: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Problem, ...]]:
    values, asked = dict(raw), []
    for item in definition.facts:
        if isinstance(item, NumberQuestion):
            values[item.code], question = read_number(raw[item.code])
            if question:
                asked.append(Problem(item.code, "two-readings", question))
    return values, tuple(asked)


def _consent_time(definition: TrialDefinition, site: str, form: Mapping[str, str]) -> str:
    """Return day and hour, with the offset where they are not one moment at the site."""
    time = f"{form.get('consent_day', '').strip()} {form.get('consent_hour', '').strip()}"
    offset = form.get("consent_offset", "")
    return time + offset if offset in find_offsets(definition, site, time) else time


def _kept_consent(record: RecordToCheck) -> dict[str, str]:
    """Return number and consent of a draft as they are typed into the form."""
    # In the site's zone, in which it is read again, whatever offset it was typed with.
    zone = record.definition.site(record.draft.site).time_zone
    time = record.draft.consent.time.astimezone(ZoneInfo(zone))
    return {
        "participant": record.draft.participant,
        "consent_day": f"{time:%Y-%m-%d}",
        "consent_hour": f"{time:%H:%M}",
        "consent_offset": write_offset(time),
        "consent_version": record.draft.consent.version,
    }


def _consent_errors(
    definition: TrialDefinition, site: str, typed: Typed, error: RefusalError
) -> dict[str, str]:
    """Return what is wrong with number and consent, by field; all of it at once."""
    if isinstance(error, ParticipantUsedError):
        return {"participant": tell(error)}
    found = {}
    for item in lookups.find_problems(definition, site, typed):
        if item.code == "consent-version":
            found["consent_version"] = _told(_("Version of the form"), item)
        elif item.field == lookups.CONSENT:
            told = _time_errors(definition, site, typed.consent_time)
            found |= told or {"consent_day": _told(_("Consent"), item)}
        elif item.field == lookups.PARTICIPANT:
            found["participant"] = _told(_("Participant number"), item)
    return {field: found[field] for field in _CONSENT_FIELDS if field in found}


def _time_errors(definition: TrialDefinition, site: str, time: str) -> dict[str, str]:
    """Return what is wrong with a refused time of consent, by field."""
    if find_offsets(definition, site, time):
        return {"consent_offset": _("Offset from UTC: choose which of the two it was.")}
    day, _space, hour = time.partition(" ")
    found = {}
    if not is_time(f"{day} 12:00"):
        found["consent_day"] = _("Date of consent: write it as 2026-03-02.")
    if not is_time(f"2026-03-02 {hour}"):
        found["consent_hour"] = _("Time of consent: write it as 09:15.")
    return found


def _told(label: str, problem: Problem) -> str:
    return f"{label}: {say(problem.message).removesuffix('.')}."


def _show_consent(
    definition: TrialDefinition, site: str, typed: Mapping[str, str], errors: Mapping[str, str]
) -> str:
    time = _consent_time(definition, site, {**typed, "consent_offset": ""})
    return render_template(
        "consent.html",
        definition=definition, site=definition.site(site), typed=typed, errors=errors,
        offsets=find_offsets(definition, site, time),
    )  # fmt: skip


def _show_facts(
    record: RecordToCheck,
    typed: Mapping[str, str],
    units: Mapping[str, str],
    confirmed: tuple[str, ...],
    problems: tuple[Problem, ...],
) -> str:
    return render_template(
        "facts.html",
        record=record, definition=record.definition, typed=typed, units=units,
        confirmed=confirmed, errors=_fact_errors(record.definition, problems),
        unlikely={item.field for item in problems if item.code == "unlikely"},
        then=request.values.get("then", ""),
    )  # fmt: skip


def _fact_errors(definition: TrialDefinition, problems: tuple[Problem, ...]) -> dict[str, str]:
    found = {item.field: item for item in problems}
    return {
        f"fact.{question.code}": _told(question.label, found[question.code])
        for question in definition.facts
        if question.code in found
    }


def _show_eligibility(
    record: RecordToCheck, answers: Mapping[str, str], problems: tuple[Problem, ...]
) -> str:
    return render_template(
        "eligibility.html",
        record=record, definition=record.definition, answers=answers,
        errors={f"answer.{item.field}": say(item.message) for item in problems},
        results={item.code: item.status for item in record.eligibility.results},
    )  # fmt: skip


def _show_check(record: RecordToCheck, username: str, errors: Mapping[str, str]) -> str:
    return render_template(
        "check.html",
        record=record, definition=record.definition, typed=username, errors=errors,
        results={item.code: item.status for item in record.eligibility.results},
        meaning=_(enrolments.MEANING),
    )  # fmt: skip
