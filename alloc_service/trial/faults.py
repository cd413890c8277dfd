"""Faults of a definition in plain words: pydantic's errors as (path, rule), never a dump.

A path is written as in the file, `arms[1].code`. A rule says what must hold, and never what
stood there instead, for the value may be a block size.
"""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from alloc_service.trial.fields import RULE

# Pydantic puts the chosen kind of a row between its index and its key; a file has no such step.
_KINDS = {
    "facts": {"integer", "decimal", "choice", "yes-no"},
    "scores": {"child-pugh", "meld"},
    "factors": {"bands", "levels", "site"},
    "criteria": {"asked", "checked"},
}
_ROOT = "the file"
_KEY = re.compile(r"[A-Za-z0-9_-]{1,48}", re.ASCII)
_RULES = {
    "missing": "is missing and must be given",
    "extra_forbidden": "is not a key of this table; take it out or correct its name",
    "string_type": "must be a text in quotes",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be an array",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
    "literal_error": "must be {expected}",
}
# What `tomllib` says of these names its own workings.
_TOML = {
    "Cannot overwrite a value": "a key or a table is given twice",
    "Cannot declare": "a table is given twice",
    "Cannot mutate immutable namespace": "a table in braces cannot be added to later",
    "Cannot redefine namespace": "a table is given twice",
}


def translate_faults(error: ValidationError) -> list[tuple[str, str]]:
    """Return every fault as its path in the file and the rule that must hold there."""
    details = error.errors(include_url=False, include_input=False)
    return [
        fault
        for detail in details
        if not _lacks_broken_rows_alone(detail, details)
        for fault in _translate(detail)
    ]


def explain_toml(message: str) -> str:
    """Return the rule of a syntax error of `tomllib` in plain words."""
    for beginning, rule in _TOML.items():
        if message.startswith(beginning):
            return rule
    return f"{message[:1].lower()}{message[1:]}"


def _lacks_broken_rows_alone(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    # Pydantic counts the rows that are left when the broken ones, told already, are taken out.
    if detail["type"] != "too_short":
        return False
    loc, context = detail["loc"], detail["ctx"]
    depth = len(loc)
    broken = {one["loc"][depth] for one in details if one["loc"][:depth] == loc != one["loc"]}
    return bool(context["actual_length"] + len(broken) >= context["min_length"])


def _translate(detail: ErrorDetails) -> list[tuple[str, str]]:
    context = detail.get("ctx", {})
    where = _write_path(detail["loc"])
    if detail["type"] == RULE:
        return [
            (".".join(part for part in (where, path) if part) or _ROOT, rule)
            for path, rule in context["faults"]
        ]
    if detail["type"] == "union_tag_invalid":
        return [(_key(where, context), f"must be one of {context['expected_tags']}")]
    if detail["type"] == "union_tag_not_found":
        return [(_key(where, context), _RULES["missing"])]
    rule = _RULES.get(detail["type"], "does not have the form that is expected here")
    return [(where or _ROOT, rule.format_map(context))]


def _key(where: str, context: dict[str, Any]) -> str:
    return f"{where}.{context['discriminator'].strip(chr(39))}"


def _write_path(steps: Sequence[str | int]) -> str:
    path = ""
    for index, step in enumerate(steps):
        if isinstance(step, int):
            path += f"[{step}]"
        elif index != 2 or step not in _KINDS.get(str(steps[0]), ()):
            # A key that only quotes make possible may hold anything, a line break too.
            key = step if _KEY.fullmatch(step) else "(a quoted key)"
            path += f".{key}" if path else key
    return path
