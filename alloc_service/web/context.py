"""What every template is given: who is signed in, how a moment is written, the trial at hand."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g, request
from flask_babel import get_locale, gettext
from markupsafe import Markup
from werkzeug.routing import BaseConverter

from alloc_service.core.design import TEST_PREFIX
from alloc_service.log.entry import parse_time
from alloc_service.login import deps_here, is_signed_in, signed_in_here
from alloc_service.permissions import Role
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.facts import Fact
from alloc_service.trial.questions import ChoiceQuestion, NumberQuestion, Question, YesNoQuestion
from alloc_service.web.words import mark, say

ROLE_NAMES = {
    Role.PHYSICIAN: mark("Physician"),
    Role.STATISTICIAN: mark("Statistician"),
    Role.SECOND_STATISTICIAN: mark("Second statistician"),
    Role.DMC: mark("Data monitoring committee"),
    Role.MANAGER: mark("Trial manager"),
    Role.ADMINISTRATOR: mark("Administrator"),
}


class TrialConverter(BaseConverter):
    """A trial's id in an address; `/`, which an id may hold, is written `~`, which it may not."""

    regex = r"[A-Za-z0-9._~-]{1,64}"

    def to_python(self, value: str) -> str:
        """Return the id."""
        return value.replace("~", "/")

    def to_url(self, value: Any) -> str:
        """Return the id as an address holds it."""
        return str(value).replace("/", "~")


def init_context(app: Flask) -> None:
    """Give every template what it may ask for."""
    app.url_map.converters["trial"] = TrialConverter
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        moment=show_moment, utc=show_utc, day=show_day, parsed=parse_time, options=list_options,
        told=tell_fact, score_label=label_score, said=say,
    )  # fmt: skip
    app.jinja_env.tests["test_trial"] = is_test_trial
    app.context_processor(_know)
    # What Jinja's own does at each of the fifty strings of a page takes a fifth of a reveal.
    app.jinja_env.globals["_"] = translate


def show_moment(moment: datetime, zone: str = "UTC") -> str:
    """Return a moment as local time with its offset, to the second."""
    text = moment.astimezone(ZoneInfo(zone)).isoformat(sep=" ", timespec="seconds")
    return f"{text[:-6]} {text[-6:]}"


def show_utc(moment: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def show_day(moment: datetime, zone: str = "UTC") -> str:
    """Return the day of a moment in a zone."""
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d}"


def list_options(question: ChoiceQuestion | YesNoQuestion) -> list[tuple[str, str]]:
    """Return the answers of a question: code and words."""
    if isinstance(question, ChoiceQuestion):
        return [(item.code, item.label) for item in question.choices]
    return [("yes", gettext("Yes")), ("no", gettext("No"))]


def tell_fact(fact: Fact, question: Question) -> str:
    """Return a fact in words: a number with its unit, a choice by its label."""
    if isinstance(question, NumberQuestion):
        unit = next((item.label for item in question.units if item.code == fact.unit), "")
        mark = gettext(" (unlikely, and confirmed)") if fact.confirmed else ""
        return f"{fact.text} {unit}{mark}"
    return dict(list_options(question)).get(fact.text, fact.text)


def label_score(code: str, definition: TrialDefinition) -> str:
    """Return what a score is called."""
    return next((score.label for score in definition.scores if score.code == code), code)


def is_test_trial(trial: str | None) -> bool:
    """Tell whether a trial is one for testing, which its pages must say."""
    return bool(trial) and str(trial).startswith(TEST_PREFIX)


def translate(text: str, **values: object) -> Markup:
    """Return a template's own string in the language of the request, with values in it escaped."""
    if values:
        return _fill(text, values)
    try:
        told: dict[str, Markup] = g.told
    except AttributeError:
        told = g.told = _told[str(get_locale())]
    if text not in told:
        told[text] = _fill(text, {})
    return told[text]


def _fill(text: str, values: Mapping[str, object]) -> Markup:
    return Markup(gettext(text)) % values  # noqa: S704  a template's own words


# What was looked up in the catalogue of each language, once; templates have so many strings.
_told: defaultdict[str, dict[str, Markup]] = defaultdict(dict)


def _know() -> dict[str, object]:
    here = signed_in_here() if is_signed_in() else None
    return {
        "here": here,
        "lasts": int((here.ends_at - deps_here().clock()).total_seconds()) if here else 0,
        "language": str(get_locale()).replace("_", "-"),
        "request_id": g.get("request_id", ""),
        "role_names": ROLE_NAMES,
        "trial": (request.view_args or {}).get("trial"),
    }
