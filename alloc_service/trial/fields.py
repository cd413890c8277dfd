"""The kinds of value in a trial definition, each with its rule in plain words.

A code is never repaired; of prose, only the white space around it is dropped. Numbers with a
fraction are exact decimals, in TOML as 17.1 or "17.1", in the stored bytes as strings; floats
exist nowhere.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from alloc_service.trial.texts import find_fault

RULE = "alloc_rule"

_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_PATTERN_PART = r"(?:[A-Za-z0-9_-]|\[[A-Za-z0-9._-]+\])(?:\{[0-9]{1,2}(?:,[0-9]{1,2})?\})?"
_PATTERN = re.compile(f"(?:{_PATTERN_PART}){{1,16}}", re.ASCII)


class Table(BaseModel):
    """A table of the definition: frozen, closed to unknown keys, silent about its input."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def broken_rules(faults: Sequence[tuple[str, str]]) -> PydanticCustomError:
    """Return the error for broken rules of ours, each as (path from where it is raised, rule)."""
    return PydanticCustomError(RULE, "rules of the definition are broken", {"faults": faults})


def broken_rule(rule: str, path: str = "") -> PydanticCustomError:
    """Return the error for one broken rule, by default at the value that is checked."""
    return broken_rules([(path, rule)])


def _matching(pattern: str, words: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise broken_rule(f"must be {words}")
        return text

    return check


def _text(longest: int, *, lines: bool) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not 1 <= len(text) <= longest:
            raise broken_rule(f"must be a text of 1 to {longest} characters")
        if fault := find_fault(text, lines=lines):
            raise broken_rule(f"must not hold {fault}")
        return text

    return check


def _read_number(value: object) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if isinstance(value, Decimal):
        # An exponent is measured before it is written out: 1e999999999 would fill the memory.
        small = value.is_finite() and -12 <= value.adjusted() <= 12
        value = format(value, "f") if small else ""
    if not isinstance(value, str) or not _PLAIN_NUMBER.fullmatch(value):
        raise broken_rule("must be a number of up to 12 digits before and after the point")
    return Decimal(value)


def _write_number(value: Decimal) -> str:
    return format(value, "f")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def _check_zone(zone: str) -> str:
    if zone not in _zones():
        raise broken_rule("must be an IANA time zone, such as Asia/Shanghai or UTC")
    return zone


def _check_pattern(pattern: str) -> str:
    # Letters, classes and counts alone, and few open counts: nothing is repeated inside a
    # repetition, so no number, however odd, makes the search run long.
    if not _PATTERN.fullmatch(pattern) or pattern.count(",") > 3:
        raise broken_rule(
            "must be up to 16 letters, digits or classes such as [0-9], each with a count such "
            "as {4}, at most three of them open such as {1,8}; a point is written [.]"
        )
    try:
        re.compile(pattern)
    except re.error:
        raise broken_rule("must be a pattern whose ranges and counts run upwards") from None
    return pattern


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[Decimal, PlainValidator(_read_number), PlainSerializer(_write_number)]
Text = Annotated[str, Field(strict=True)]
Prose = Annotated[str, StringConstraints(strict=True, strip_whitespace=True)]
Line = Annotated[Prose, AfterValidator(_text(300, lines=False))]
Passage = Annotated[Prose, AfterValidator(_text(4_000, lines=True))]

TrialId = Annotated[
    Text, AfterValidator(_matching(r"[A-Za-z0-9._/-]{1,64}", "1-64 of A-Z a-z 0-9 . _ / -"))
]
ArmCode = Annotated[
    Text, AfterValidator(_matching(r"[A-Za-z0-9._+-]{1,32}", "1-32 of A-Z a-z 0-9 . _ + -"))
]
SiteCode = Annotated[
    Text, AfterValidator(_matching(r"[A-Za-z0-9._-]{1,32}", "1-32 of A-Z a-z 0-9 . _ -"))
]
ChoiceCode = SiteCode
UnitCode = Annotated[
    Text, AfterValidator(_matching(r"[A-Za-z0-9./%^*-]{1,16}", "1-16 of A-Z a-z 0-9 . / % ^ * -"))
]
LevelCode = Annotated[
    Text,
    AfterValidator(_matching(r"[A-Za-z0-9._<>=+-]{1,32}", "1-32 of A-Z a-z 0-9 . _ < > = + -")),
]
Name = Annotated[
    Text,
    AfterValidator(
        _matching(r"[a-z][a-z0-9-]{0,47}", "1-48 of a-z 0-9 -, the first of them a letter")
    ),
]
Month = Annotated[
    Text, AfterValidator(_matching(r"[0-9]{4}-(0[1-9]|1[0-2])", "a month, such as 2012-09"))
]
ZoneName = Annotated[Text, AfterValidator(_check_zone)]
NumberPattern = Annotated[Text, AfterValidator(_check_pattern)]
