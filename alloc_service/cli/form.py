"""A participant's form as it is typed: from a file, from options, or at a terminal.

A file is TOML or JSON, and every value in it is text as it was typed, `"3.5 mg/dL"`:

    participant = "P-001"
    confirmed = ["bilirubin"]

    [consent]
    time = "2026-11-20 09:15"
    version = "1"

    [facts]
    age = "45"
    bilirubin = "45 mg/dL"

    [answers]
    hbv-cirrhosis = "yes"

What was refused is kept in such a file, so that nothing is typed twice. Only what looks like a
person's identity number is not written down again.
"""

import contextlib
import functools
import json
import secrets
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from alloc_service.cli import files
from alloc_service.errors import (
    FreeTextError,
    InputFileError,
    OutputFileError,
    PersonalIdentifierError,
)
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.faults import explain_toml
from alloc_service.trial.identifiers import LONGEST_TEXT, refuse_personal_identifiers
from alloc_service.trial.questions import NumberQuestion

LARGEST_FORM = 65_536
_KEYS = frozenset({"participant", "consent", "facts", "answers", "confirmed"})
_CONSENT_KEYS = frozenset({"time", "version"})


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed so far, all of it as text; a value with its unit is one text.

    Attributes:
        participant: The site's participant number.
        consent_time: Date and time of consent.
        consent_version: Version of the wording.
        facts: By fact code.
        answers: By criterion code.
        confirmed: Facts whose unlikely value is right.
    """

    participant: str = ""
    consent_time: str = ""
    consent_version: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    confirmed: tuple[str, ...] = ()

    def over(self, below: "Form") -> "Form":
        """Return this form laid over another one: what is typed here counts."""
        return Form(
            participant=self.participant or below.participant,
            consent_time=self.consent_time or below.consent_time,
            consent_version=self.consent_version or below.consent_version,
            facts={**below.facts, **self.facts},
            answers={**below.answers, **self.answers},
            confirmed=tuple(dict.fromkeys((*below.confirmed, *self.confirmed))),
        )

    def to_typed(self, definition: TrialDefinition) -> Typed:
        """Return the form as the service takes it, each number apart from its unit."""
        split = {code: _split(definition, code, text) for code, text in self.facts.items()}
        return Typed(
            participant=self.participant,
            consent_time=self.consent_time,
            consent_version=self.consent_version,
            facts={code: value for code, (value, _) in split.items()},
            units={code: unit for code, (_, unit) in split.items() if unit},
            confirmed=self.confirmed,
            answers=self.answers,
        )


@dataclass(frozen=True, slots=True)
class Given:
    """A form as it was given to a command.

    Attributes:
        form: Options laid over the file.
        file: The file, or none.
        by_options: Whether any of it was given by options, and so stands in no file.
    """

    form: Form
    file: Path | None
    by_options: bool


def form_of(draft: Draft) -> Form:
    """Return the form that gives a stored draft again, to be changed in part."""
    given = draft.facts.given
    return Form(
        participant=draft.participant,
        consent_time=draft.consent.time.isoformat(timespec="seconds"),
        consent_version=draft.consent.version,
        facts={fact.code: f"{fact.text} {fact.unit}".strip() for fact in given},
        answers=draft.answers,
        confirmed=draft.facts.confirmed,
    )


def read_form(path: Path) -> Form:
    """Return the form in a TOML or JSON file.

    Raises:
        InputFileError: It cannot be read, or is not such a form.
    """
    text = files.read_text(path, LARGEST_FORM)
    try:
        document = _parse_json(text) if path.suffix == ".json" else _parse_toml(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        rule = f"it is no {kind}: {explain_toml(_first_line(error))}"
        raise InputFileError(path=path, rule=rule) from None
    return _Reader(path).read(document)


def write_kept(form: Form, folders: Iterable[Path]) -> Path | None:
    """Write what was typed to a new file, without identity numbers.

    Args:
        form: What was typed.
        folders: The first that can be written gets the file.

    Returns:
        The file, or none where no folder can be written.
    """
    document = {
        "answers": {code: _impersonal(text) for code, text in form.answers.items()},
        "confirmed": list(form.confirmed),
        "consent": {
            "time": _impersonal(form.consent_time),
            "version": _impersonal(form.consent_version),
        },
        "facts": {code: _impersonal(text) for code, text in form.facts.items()},
        "participant": _impersonal(form.participant),
    }
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True)
    for folder in folders:
        path = folder / f"enrolment-{secrets.token_hex(4)}.json"
        with contextlib.suppress(OutputFileError):
            files.write_file(path, f"{text}\n".encode("ascii"))
            return path
    return None


def form_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add to a command the parts of a form, which it gets as `given`."""

    @click.argument(
        "file", type=click.Path(dir_okay=False, path_type=Path), required=False, metavar="[FILE]"
    )
    @click.option(
        "--participant",
        default="",
        metavar="NUMBER",
        help="The site's participant number; never a name or an identity number.  "
        "Example: --participant P-001",
    )
    @click.option(
        "--consent-time",
        default="",
        metavar="TIME",
        help="When consent was given, in the site's time or with an offset.  "
        'Example: --consent-time "2026-11-20 09:15"',
    )
    @click.option(
        "--consent-version",
        default="",
        metavar="VERSION",
        help="The version of the wording that was signed.  Example: --consent-version 1",
    )
    @click.option(
        "--fact",
        "facts",
        multiple=True,
        metavar="CODE=VALUE",
        help='A fact, a number with its unit; once each.  Example: --fact bilirubin="3.5 mg/dL"',
    )
    @click.option(
        "--answer",
        "answers",
        multiple=True,
        metavar="CODE=yes|no",
        help="The answer to a criterion; once each.  Example: --answer hbv-cirrhosis=yes",
    )
    @click.option(
        "--confirm",
        "confirmed",
        multiple=True,
        metavar="CODE",
        help="A fact whose unlikely value is right; once each.  Example: --confirm bilirubin",
    )
    @functools.wraps(function)
    def wrapped(*args: object, **kwargs: Any) -> None:
        file = kwargs.pop("file")
        typed = Form(
            participant=kwargs.pop("participant"),
            consent_time=kwargs.pop("consent_time"),
            consent_version=kwargs.pop("consent_version"),
            facts=_pairs("--fact", kwargs.pop("facts")),
            answers=_pairs("--answer", kwargs.pop("answers")),
            confirmed=kwargs.pop("confirmed"),
        )
        form = typed if file is None else typed.over(read_form(file))
        function(*args, given=Given(form, file, by_options=typed != Form()), **kwargs)

    return wrapped


class _Reader:
    """Reads a document strictly, naming the place of what is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, document: object) -> Form:
        table = self._table(document, "the file", _KEYS)
        consent = self._table(table.get("consent", {}), "consent", _CONSENT_KEYS)
        confirmed = table.get("confirmed", [])
        if not isinstance(confirmed, list):
            raise self._refuse("confirmed", "must be a list of fact codes")
        return Form(
            participant=self._text(table.get("participant", ""), "participant"),
            consent_time=self._text(consent.get("time", ""), "consent.time"),
            consent_version=self._text(consent.get("version", ""), "consent.version"),
            facts=self._texts(table.get("facts", {}), "facts"),
            answers=self._texts(table.get("answers", {}), "answers"),
            confirmed=tuple(self._text(code, "confirmed") for code in confirmed),
        )

    def _texts(self, value: object, place: str) -> dict[str, str]:
        table = self._table(value, place, None)
        return {code: self._text(text, f"{place}.{code}") for code, text in table.items()}

    def _table(
        self, value: object, place: str, keys: Collection[str] | None
    ) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self._refuse(place, "must be a table of names and values")
        if keys is not None and (unknown := sorted(set(value) - set(keys))):
            raise self._refuse(
                place, f"has no key {unknown[0]!r}; it has {', '.join(sorted(keys))}"
            )
        return value

    def _text(self, value: object, place: str) -> str:
        if isinstance(value, datetime):
            return value.isoformat(sep=" ")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self._refuse(place, 'must be text in quotes, as typed, such as "yes" or "3.5"')
        return str(value)

    def _refuse(self, place: str, rule: str) -> InputFileError:
        return InputFileError(path=self._path, rule=f"{place} {rule}")


def _parse_toml(text: str) -> object:
    # A fraction stays the text that was typed; nothing passes through a float.
    return tomllib.loads(text, parse_float=str)


def _parse_json(text: str) -> object:
    return json.loads(
        text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_once_each
    )


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands twice in one table")
    return table


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for item in given:
        code, equals, value = item.partition("=")
        if not equals or code in pairs:
            raise click.UsageError(f"{option} is CODE=VALUE, and each code stands once.")
        pairs[code] = value
    return pairs


def _split(definition: TrialDefinition, code: str, text: str) -> tuple[str, str]:
    """Return a value and its unit, which a number has after a space."""
    if isinstance(definition.question(code), NumberQuestion):
        value, _, unit = text.strip(" ").partition(" ")
        return value, unit.strip(" ")
    return text, ""


def _impersonal(text: str) -> str:
    try:
        refuse_personal_identifiers(text[:LONGEST_TEXT], "form")
    except PersonalIdentifierError:
        return ""
    except FreeTextError:
        return text
    return text


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it cannot be read"])[0]
