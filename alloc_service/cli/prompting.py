"""A form asked for at a terminal, in the order of the trial's definition.

What was given before is not asked again. An empty answer leaves a field out: a record may be
kept while something is still missing. What is typed is judged as a whole, when all is there.
"""

import click

from alloc_service.cli import screen
from alloc_service.cli.form import Form
from alloc_service.cli.refusals import UNLIKELY
from alloc_service.errors import Problem
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.questions import NumberQuestion, Question
from alloc_service.trial.tables import AskedCriterion


def ask_form(definition: TrialDefinition, given: Form) -> Form:
    """Ask for everything that is not given."""
    screen.hint("An empty answer leaves a field out.")
    return Form(
        participant=given.participant or _ask("Participant number"),
        consent_time=given.consent_time
        or _ask("Consent: date and time at the site, such as 2026-03-02 09:15"),
        consent_version=given.consent_version or _ask_version(definition),
        facts=_ask_facts(definition, given),
        answers=_ask_answers(definition, given),
        confirmed=given.confirmed,
    )


def ask_confirmations(form: Form, problems: tuple[Problem, ...]) -> Form:
    """Ask of each unlikely value whether it is right, and add those that are."""
    confirmed = list(form.confirmed)
    for problem in problems:
        if problem.code != UNLIKELY:
            continue
        value = form.facts.get(problem.field, "")
        question = f"{problem.field} {value}: {problem.message}. Is it right?"
        if click.confirm(screen.plain(question), default=False, err=True):
            confirmed.append(problem.field)
    return Form(confirmed=tuple(confirmed)).over(form)


def _ask_facts(definition: TrialDefinition, given: Form) -> dict[str, str]:
    facts = dict(given.facts)
    for question in definition.facts:
        if question.code not in facts and (typed := _ask(_fact_question(question))):
            facts[question.code] = typed
    return facts


def _ask_answers(definition: TrialDefinition, given: Form) -> dict[str, str]:
    answers = dict(given.answers)
    for item in definition.criteria:
        if not isinstance(item, AskedCriterion) or item.code in answers:
            continue
        if typed := _ask(f"{item.kind.capitalize()}: {item.text} yes or no"):
            answers[item.code] = typed
    return answers


def _ask_version(definition: TrialDefinition) -> str:
    screen.hint(f"Consent, version {definition.consent.version}: {definition.consent.wording}")
    return _ask("Consent: which version was signed")


def _fact_question(question: Question) -> str:
    if not isinstance(question, NumberQuestion):
        return f"{question.label}: {' or '.join(question.codes)}"
    if len(question.units) == 1:
        return f"{question.label} ({question.units[0].label})"
    units = " or ".join(unit.code for unit in question.units)
    return f"{question.label}, with its unit {units}"


def _ask(question: str) -> str:
    return str(click.prompt(screen.plain(question), default="", show_default=False, err=True))
