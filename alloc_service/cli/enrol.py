"""`alloc enrol` and `alloc amend`: a participant's record, before its allocation."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from alloc_service.cli import screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.form import Form, Given, form_of, form_options, write_kept
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, at_terminal, sign_in
from alloc_service.cli.prompting import ask_confirmations, ask_form
from alloc_service.cli.record import record_to_json, show_obstacle, show_record
from alloc_service.cli.refusals import UNLIKELY
from alloc_service.errors import FormError, InputError, RefusalError
from alloc_service.services import enrolments, lookups
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.trial.definition import TrialDefinition

Kept = TypeVar("Kept")

SITE_HELP = "Your site; not needed where the trial has one alone.  Example: --site XA01"
_EXAMPLE = """
alloc enrol NCT01728727 --site XA01 --as li.na
alloc enrol NCT01728727 p-001.toml --as li.na --password-fd 3 3</run/secrets/li.na
alloc enrol NCT01728727 --participant P-001 --consent-time "2026-11-20 09:15" \\
    --consent-version 1 --fact age=45 --fact bilirubin="3.5 mg/dL" --answer hbv-cirrhosis=yes
"""


@command("enrol", _EXAMPLE)
@click.argument("trial")
@form_options
@click.option("--site", metavar="CODE", help=SITE_HELP)
@acts_as
@as_json
def enrol_command(
    *, trial: str, given: Given, site: str | None, claim: Claim, as_json: bool
) -> None:
    """Enter a participant's record; you are a physician of the site.

    FILE is a form in TOML or JSON; options count before it, and at a terminal what is missing is
    asked for. The keys of a form are participant, consent.time, consent.version, facts.CODE,
    answers.CODE and confirmed. The stratum is derived, never typed. Every problem is told at
    once, and nothing that was typed is lost. No slot is spent: that is `alloc allocate`.
    """
    deps = open_service()
    person = sign_in(deps, claim)
    definition = lookups.read_definition(deps, trial)
    place = choose_site(definition, site)

    def keep(typed: Typed) -> Draft:
        return enrolments.enrol(deps, person, trial, place, typed)

    draft = keep_form(definition, place, complete(definition, given), keep)
    _show(lookups.check_draft(definition, draft, deps.clock()), as_json)


@command("amend", "alloc amend NCT01728727 P-001 --fact albumin='2.9 g/dL' --as li.na")
@click.argument("trial")
@click.argument("number", metavar="PARTICIPANT")
@form_options
@click.option("--site", metavar="CODE", help=SITE_HELP)
@acts_as
@as_json
def amend_command(
    *,
    trial: str,
    number: str,
    given: Given,
    site: str | None,
    claim: Claim,
    as_json: bool,
) -> None:
    """Change a record before its allocation; you are a physician of the site.

    PARTICIPANT is the site's participant number as it is now. What is given in FILE or options
    replaces what was typed before, another number with --participant as well; the rest stays as
    it is. A record that was signed for an allocation never changes.
    """
    if given.file is None and not given.by_options:
        raise click.UsageError("Give what is to be changed: a FILE, or options such as --fact.")
    deps = open_service()
    person = sign_in(deps, claim)
    definition = lookups.read_definition(deps, trial)
    place = choose_site(definition, site)
    before = lookups.find_record(deps, person, trial, place, number).draft

    def keep(typed: Typed) -> Draft:
        return enrolments.amend(deps, person, before.id, typed)

    whole = replace(given, form=given.form.over(form_of(before)))
    draft = keep_form(definition, place, whole, keep)
    _show(lookups.check_draft(definition, draft, deps.clock()), as_json)


def choose_site(definition: TrialDefinition, given: str | None) -> str:
    """Return the site that was named, or the only one.

    Raises:
        UsageError: None was named and there are several.
        UnknownSiteError: The trial has no such site.
    """
    if given is not None:
        return definition.site(given).code
    codes = [site.code for site in definition.sites]
    if len(codes) > 1:
        raise click.UsageError(f"Name your site with --site: {', '.join(codes)}.")
    return codes[0]


def complete(definition: TrialDefinition, given: Given) -> Given:
    """Return a form with what is missing asked for, where somebody is there to ask."""
    if given.file is not None or not at_terminal():
        return given
    return replace(given, form=ask_form(definition, given.form), by_options=True)


def keep_form(
    definition: TrialDefinition, site: str, given: Given, keep: Callable[[Typed], Kept]
) -> Kept:
    """Keep a form; where it is refused, tell every problem and lose nothing.

    Args:
        definition: The trial's.
        site: The site's code.
        given: The form, and where it came from.
        keep: The service's part.

    Raises:
        FormError: What was typed breaks rules; all of them are told.
        RefusalError: It was refused for another reason.
    """
    form = given.form
    problems = lookups.find_problems(definition, site, form.to_typed(definition))
    if at_terminal() and {problem.code for problem in problems} == {UNLIKELY}:
        form = ask_confirmations(form, problems)
        problems = lookups.find_problems(definition, site, form.to_typed(definition))
    try:
        return keep(form.to_typed(definition))
    except RefusalError as error:
        _tell_where(form, given)
        if problems and isinstance(error, InputError):
            raise FormError(problems=problems, typed=form.facts) from None
        raise


def _tell_where(form: Form, given: Given) -> None:
    where = given.file
    if where is None or given.by_options:
        where = write_kept(form, (Path.cwd(), Path(tempfile.gettempdir())))
    if where is None:
        screen.warn("What you typed could not be written to a file here.")
        return
    made = "" if where == given.file else " It holds a record: remove it when you are done."
    screen.hint(
        f"What you typed is in {where}: to try again, mend it there and hand that file in.{made}"
    )


def _show(record: lookups.RecordToCheck, as_json: bool) -> None:
    if as_json:
        screen.emit(record_to_json(record))
        return
    show_record(record)
    screen.say()
    show_obstacle(record)
    if record.obstacle is None:
        step = f"alloc allocate {record.draft.trial} {record.draft.participant}"
        screen.say(f"Next: {step} --site {record.draft.site}")
