"""What is typed about a participant, read strictly; every fault is told at once.

A number is written plainly, `1.5`: no exponent, no comma, no sign but a minus, no full-width
digits. It is kept as typed, with its unit. Outside of what is possible it is refused; outside of
what is likely it must be confirmed, and the confirmation is part of the facts. A message never
repeats what was typed, for it may end in a log file; `FactsError` carries that apart.

An age is typed in completed years at consent. No date of birth is asked or kept.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

from alloc_service.core.canon import Json
from alloc_service.errors import FactsError, FactsMissingError, Problem
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.questions import (
    ChoiceQuestion,
    NumberQuestion,
    Question,
    Unit,
    YesNoQuestion,
)
from alloc_service.trial.texts import find_fault, show_name

LONGEST_TYPED = 64
DIGITS_BEFORE = 6
DIGITS_AFTER = 4
MOST_UNKNOWN = 16

_NUMBER = re.compile(r"(?!-[0.]+$)-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_EXPONENT = re.compile(r"[+-]?[0-9.,]+[eE][+-]?[0-9]+", re.ASCII)
_COMMA = re.compile(r"[+-]?[0-9][0-9.,']*,[0-9.,']*", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_RECORDED = {"confirmed": bool, "typed": str, "unit": str}
_WIDE = frozenset("．。，")


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as typed.

    Attributes:
        code: The fact's code in the definition.
        typed: Verbatim, white space included.
        unit: The unit in which a number was typed, else empty.
        confirmed: Whether an unlikely value was confirmed; a likely one needs no confirmation.
    """

    code: str
    typed: str = field(repr=False)
    unit: str
    confirmed: bool

    @property
    def text(self) -> str:
        """Return what was typed without the spaces around it: a code, or a plain number."""
        return self.typed.strip(" ")

    @property
    def value(self) -> Decimal:
        """Return a number's decimal, exactly as typed."""
        return Decimal(self.text)


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one participant, in the order of the definition; some may be missing."""

    given: tuple[Fact, ...]

    def find(self, code: str) -> Fact | None:
        """Return the fact of this code, or None while it is missing."""
        return next((fact for fact in self.given if fact.code == code), None)

    @property
    def confirmed(self) -> tuple[str, ...]:
        """Return the codes of the unlikely values that were confirmed, for the log."""
        return tuple(fact.code for fact in self.given if fact.confirmed)

    def to_record(self) -> dict[str, Json]:
        """Return the facts as they are kept and hashed: strings as typed, by code."""
        return {
            fact.code: {"confirmed": fact.confirmed, "typed": fact.typed, "unit": fact.unit}
            for fact in self.given
        }


def read_facts(
    definition: TrialDefinition,
    typed: Mapping[str, str],
    units: Mapping[str, str],
    confirmed: Collection[str] = (),
) -> Facts:
    """Read what was typed; a field that is left out or blank is missing, which is no fault here.

    Args:
        definition: The trial.
        typed: By fact code what was typed.
        units: By fact code the unit; a number with a single unit needs none.
        confirmed: The fact codes whose unlikely values the physician has confirmed.

    Raises:
        FactsError: Every problem of every field, and what was typed, unchanged.
    """
    problems: list[Problem] = []
    given: list[Fact] = []
    for question in definition.facts:
        text, unit = typed.get(question.code, ""), units.get(question.code, "")
        outcome = _read(question, text, unit, question.code in confirmed)
        if isinstance(outcome, Fact):
            given.append(outcome)
        elif outcome is not None:
            problems.append(Problem(question.code, *outcome))
    # A hundred thousand invented fields are told by their first few.
    names = {**typed, **units, **dict.fromkeys(confirmed, "")}
    problems.extend(islice(_find_unknown(definition, names), MOST_UNKNOWN))
    if problems:
        raise FactsError(problems=problems, typed=typed, units=units, confirmed=confirmed)
    return Facts(tuple(given))


def reread_facts(definition: TrialDefinition, record: Mapping[str, Json]) -> Facts:
    """Read facts again from `Facts.to_record`, by the same rules as when they were typed.

    Raises:
        FactsError: The record is not one of facts that this definition accepts.
    """
    typed: dict[str, str] = {}
    units: dict[str, str] = {}
    confirmed: list[str] = []
    for code, row in record.items():
        if not isinstance(row, dict) or {name: type(row[name]) for name in row} != _RECORDED:
            problem = Problem(show_name(code), "not-a-fact", "no typed fact is recorded here")
            raise FactsError(problems=[problem], typed={})
        typed[code], units[code] = row["typed"], row["unit"]
        if row["confirmed"]:
            confirmed.append(code)
    return read_facts(definition, typed, units, confirmed)


def find_missing(definition: TrialDefinition, facts: Facts) -> tuple[str, ...]:
    """Return the codes of the facts that are still missing, in the order of the definition."""
    given = {fact.code for fact in facts.given}
    return tuple(item.code for item in definition.facts if item.code not in given)


def require_complete(definition: TrialDefinition, facts: Facts) -> None:
    """Refuse facts of which one is missing.

    Raises:
        FactsMissingError: Its text names each missing fact.
    """
    if missing := find_missing(definition, facts):
        raise FactsMissingError(missing=missing)


def _find_unknown(definition: TrialDefinition, names: Collection[str]) -> Iterator[Problem]:
    known = {question.code for question in definition.facts}
    for name in names:
        if name not in known:
            yield Problem(show_name(name), "unknown-field", "this trial does not ask it")


def _read(
    question: Question, typed: str, unit: str, confirmed: bool
) -> Fact | tuple[str, str] | None:
    """Return the fact, or (code, message) of its problem, or None where nothing was typed."""
    if len(typed) > LONGEST_TYPED:
        return "too-long", f"at most {LONGEST_TYPED} characters can be typed here"
    if fault := find_fault(typed):
        return "control-characters", f"it holds {fault}; type it anew"
    if not typed.strip(" "):
        return None
    if isinstance(question, NumberQuestion):
        return _read_number(question, typed, unit, confirmed)
    return _read_choice(question, typed, unit)


def _read_choice(
    question: ChoiceQuestion | YesNoQuestion, typed: str, unit: str
) -> Fact | tuple[str, str]:
    if unit:
        return "unknown-unit", "it has no unit; leave the unit out"
    if typed.strip(" ") not in question.codes:
        return "unknown-choice", f"choose one of {', '.join(question.codes)}"
    return Fact(question.code, typed, "", confirmed=False)


def _read_number(
    question: NumberQuestion, typed: str, unit: str, confirmed: bool
) -> Fact | tuple[str, str]:
    text = typed.strip(" ")
    if not _NUMBER.fullmatch(text):
        return _explain_number(text)
    before, _, after = text.removeprefix("-").partition(".")
    if len(before) > DIGITS_BEFORE or len(after) > DIGITS_AFTER:
        rule = f"at most {DIGITS_BEFORE} digits before the point and {DIGITS_AFTER} after it"
        return "too-many-digits", rule
    if question.whole and after:
        return "not-whole", "write a whole number, without a point, such as 52"
    units = {item.code: item for item in question.units}
    if not unit and len(units) > 1:
        return "unit-missing", f"choose its unit, {' or '.join(units)}"
    chosen = units.get(unit) if unit else question.units[0]
    if chosen is None:
        return "unknown-unit", f"its unit must be {' or '.join(units)}"
    return _check_bounds(question, chosen, typed, confirmed)


def _check_bounds(
    question: NumberQuestion, unit: Unit, typed: str, confirmed: bool
) -> Fact | tuple[str, str]:
    value = Decimal(typed.strip(" "))
    low, high = unit.possible
    if not low <= value <= high:
        return "impossible", f"it must be {low} to {high} {unit.label}; check value and unit"
    low, high = unit.likely
    likely = low <= value <= high
    if not likely and not confirmed:
        rule = f"it is rarely outside {low} to {high} {unit.label}"
        asked = _ask_other_unit(question, unit, value)
        return "unlikely", f"{rule}{asked}; check value and unit, then correct it or confirm it"
    return Fact(question.code, typed, unit.code, confirmed=not likely)


def _ask_other_unit(question: NumberQuestion, unit: Unit, value: Decimal) -> str:
    """Ask whether another unit was meant, in which the same number is a likely one."""
    for other in question.units:
        if other.code != unit.code and other.likely[0] <= value <= other.likely[1]:
            return f" (is it {value} {other.label}?)"
    return ""


def _explain_number(text: str) -> tuple[str, str]:
    """Say why a text is no plain number, by the mistake that is made most."""
    if any(char in _WIDE or (char.isdigit() and not char.isascii()) for char in text):
        return "wide-digits", "write plain half-width digits and a plain point, such as 1.5"
    if _EXPONENT.fullmatch(text):
        return "exponent", "write the number out without an exponent, such as 1000"
    if _NOT_FINITE.fullmatch(text):
        return "not-finite", "write the measured number, such as 1.5"
    if _COMMA.fullmatch(text):
        return "decimal-comma", "write a point and no thousands marks, such as 1.5 or 1000"
    return "not-a-number", "write a plain number, such as 1.5, without signs, spaces or words"
