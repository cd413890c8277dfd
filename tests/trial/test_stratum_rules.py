"""Each rule about factors and strata, broken once: the refusal names file, place and rule."""

from collections.abc import Callable
from importlib import resources
from typing import TypeAlias

import pytest

from alloc_service.trial.definition import SHIPPED, parse_definition

Break: TypeAlias = Callable[[str, str], tuple[tuple[str, str], ...]]
TEXT = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")
ELIGIBILITY = "# --- Eligibility."
CP = """  { code = "9-10", label = "9 to 10", at_least = 9, at_most = 10 },
  { code = "11-15", label = "11 to 15", at_least = 11, at_most = 15 },"""


def factor(rows: str, source: str = "ascites") -> str:
    return f"""[[factors]]
code = "more"
kind = "levels"
label = "more"
source = "{source}"
levels = [
{rows}
]

# --- Eligibility."""


def band_factor(source: str, rounding: str, rows: str) -> str:
    return f"""[[factors]]
code = "more"
kind = "bands"
label = "more"
source = "{source}"
rounding = "{rounding}"
bands = [
{rows}
]

# --- Eligibility."""


BROKEN = [
    # factors
    (
        'source = "child-pugh"\nrounding = "exact"                # a',
        'source = "pugh"\nrounding = "exact" # a',
        "factors[0].source",
        "must name a number among the facts, or a score",
    ),
    (
        'source = "child-pugh"\nrounding = "exact"                # a',
        'source = "ascites"\nrounding = "exact" # a',
        "factors[0].source",
        "must name a number among the facts, or a score",
    ),
    (
        'rounding = "half-up"',
        'rounding = "half-even"',
        "factors[1].rounding",
        "must be 'exact' or 'half-up'",
    ),
    ('rounding = "half-up"', "", "factors[1].rounding", "is missing and must be given"),
    ('kind = "bands"', 'kind = "minimization"', "factors[0].kind", "must be one of"),
    ('code = "cp"', 'code = "meld"', "factors[1].code", "is given twice"),
    ('code = "cp"', 'code = "c;p"', "factors[0].code", "must be 1-48 of"),
    ('code = "11-15"', 'code = "9-10"', "factors[0].bands[1].code", "is given twice"),
    ('code = "11-15"', 'code = "11;15"', "factors[0].bands[1].code", "must be 1-32 of"),
    (
        "at_least = 11,",
        "at_least = 12,",
        "factors[0].bands[1]",
        "leaves a gap after the band before",
    ),
    ("at_least = 11,", "at_least = 10,", "factors[0].bands[1]", "overlaps the band before it"),
    ("at_least = 11,", "above = 11,", "factors[0].bands[1]", "leaves a gap after the band before"),
    ("at_least = 11,", "at_least = 11, above = 10,", "factors[0].bands[1]", "not with both"),
    ("at_most = 10 }", "at_most = 10, below = 11 }", "factors[0].bands[0]", "not with both"),
    (
        "at_least = 9, at_most = 10",
        "at_least = 10, at_most = 10",
        "factors[0].bands[0]",
        "leaves a gap before it: values from 9",
    ),
    (
        "at_least = 11, at_most = 15",
        "at_least = 11, at_most = 14",
        "factors[0].bands[1]",
        "leaves a gap after it: values below 16",
    ),
    (
        "at_least = 9, at_most = 10",
        "at_least = 11, at_most = 10",
        "factors[0].bands[0]",
        "must begin below its end",
    ),
    (", at_least = 9, at_most = 10 }", " }", "factors[0].bands[0]", "must have an end"),
    (CP, "", "factors[0].bands", "must hold at least 1"),
    ("below = 20 }", "at_most = 20 }", "factors[1].bands[1]", "overlaps the band before it"),
    ("below = 20 }", "at_most = 18 }", "factors[1].bands[1]", "leaves a gap"),
    ("below = 20 }", "at_least = 7, below = 20 }", "factors[1].bands[0]", "values from 6 are"),
    (
        "at_least = 20 },\n]",
        "at_least = 20, at_most = 39 },\n]",
        "factors[1].bands[1]",
        "values below 41 are possible",
    ),
    (
        ELIGIBILITY,
        factor('{ code = "a", label = "a", choices = ["none", "mild"] },'),
        "factors[2].levels",
        "leaves a gap: the answer moderate-severe",
    ),
    (
        ELIGIBILITY,
        factor(
            '{ code = "a", label = "a", choices = ["none", "mild"] },\n'
            '{ code = "b", label = "b", choices = ["mild", "moderate-severe"] },'
        ),
        "factors[2].levels[1].choices[0]",
        "overlaps",
    ),
    (
        ELIGIBILITY,
        factor(
            '{ code = "a", label = "a", choices = ["none", "mild"] },\n'
            '{ code = "b", label = "b", choices = ["moderate-severe", "huge"] },'
        ),
        "factors[2].levels[1].choices[1]",
        "must be an answer of the fact",
    ),
    (
        ELIGIBILITY,
        factor(
            '{ code = "a", label = "a", choices = ["none", "mild"] },\n'
            '{ code = "a", label = "b", choices = ["moderate-severe"] },'
        ),
        "factors[2].levels[1].code",
        "is given twice",
    ),
    (
        ELIGIBILITY,
        factor('{ code = "a", label = "a", choices = ["none"] },', "age"),
        "factors[2].source",
        "must name a choice or a yes-no question",
    ),
    (
        ELIGIBILITY,
        factor('{ code = "a", label = "a", choices = ["none"] },', "weight"),
        "factors[2].source",
        "must name a choice or a yes-no question",
    ),
    # bands over numbers: whole, with a fraction, rounded, in two units
    (
        ELIGIBILITY,
        band_factor(
            "age",
            "exact",
            '{ code = "a", label = "a", at_most = 50 },\n'
            '{ code = "b", label = "b", at_least = 52 },',
        ),
        "factors[2].bands[1]",
        "leaves a gap",
    ),
    (
        ELIGIBILITY,
        band_factor("age", "exact", '{ code = "a", label = "a", at_least = 19 },'),
        "factors[2].bands[0]",
        "values from 18 are possible",
    ),
    (
        ELIGIBILITY,
        band_factor(
            "inr",
            "exact",
            '{ code = "a", label = "a", at_most = 1 },\n{ code = "b", label = "b", at_least = 2 },',
        ),
        "factors[2].bands[1]",
        "leaves a gap",
    ),
    (
        ELIGIBILITY,
        band_factor(
            "inr",
            "half-up",
            '{ code = "a", label = "a", at_most = 1 },\n{ code = "b", label = "b", at_least = 3 },',
        ),
        "factors[2].bands[1]",
        "leaves a gap",
    ),
    (
        ELIGIBILITY,
        band_factor("inr", "half-up", '{ code = "a", label = "a", at_least = 2 },'),
        "factors[2].bands[0]",
        "values from 1 are possible",
    ),
    (
        ELIGIBILITY,
        band_factor("bilirubin", "exact", '{ code = "a", label = "a", below = 80 },'),
        "factors[2].bands[0]",
        "values up to 80 are possible",
    ),
    (
        ELIGIBILITY,
        band_factor("meld", "exact", '{ code = "a", label = "a", at_most = 40 },'),
        "factors[2].bands[0]",
        "values up to the highest are possible",
    ),
]


@pytest.mark.parametrize(("old", "new", "path", "rule"), BROKEN)
def test_a_broken_rule_about_strata_is_refused_with_its_place(
    *, break_shipped: Break, old: str, new: str, path: str, rule: str
) -> None:
    problems = break_shipped(old, new)

    assert problems[0][0] == path
    assert rule in problems[0][1]


def test_more_than_a_thousand_strata_are_refused_before_they_are_counted_out(
    break_shipped: Break,
) -> None:
    rows = "\n".join(
        f'{{ code = "{n}", label = "{n}", {"" if n == 0 else f"at_least = {n + 20}, "}'
        f"{'' if n == 31 else f'below = {n + 21}'} }},".replace(",  }", " }")
        for n in range(32)
    )
    factors = "".join(
        band_factor("age", "exact", rows)
        .replace('"more"', f'"more{k}"', 1)
        .replace(ELIGIBILITY, "")
        for k in range(6)
    )

    problems = break_shipped(ELIGIBILITY, factors + ELIGIBILITY)

    assert problems == (("factors", "must not make more than 1,000 strata"),)


def test_a_code_of_a_stratum_that_no_design_can_hold_is_refused(break_shipped: Break) -> None:
    long = "x" * 32
    factors = "".join(
        factor(
            f'{{ code = "{long}", label = "a", choices = ["none", "mild", "moderate-severe"] }},'
        )
        .replace('"more"', f'"{"m" * 40}{k}"', 1)
        .replace(ELIGIBILITY, "")
        for k in range(3)
    )

    problems = break_shipped(ELIGIBILITY, factors + ELIGIBILITY)

    assert problems == (("factors", "must not make a stratum's code longer than 200 characters"),)


def test_bands_that_touch_at_a_fraction_are_taken() -> None:
    rows = '{ code = "a", label = "a", at_most = 1.7 },\n{ code = "b", label = "b", above = 1.7 },'
    text = TEXT.replace(ELIGIBILITY, band_factor("inr", "exact", rows))

    assert len(parse_definition(text, "x.toml").strata) == 8
