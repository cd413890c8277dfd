from collections.abc import Callable
from decimal import Decimal
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.errors import FactsMissingError, NoStratumError, UnknownSiteError
from alloc_service.trial.definition import TrialDefinition, parse_definition, shipped_definition
from alloc_service.trial.factors import DerivedStratum, derive_stratum, show_exact
from alloc_service.trial.facts import Facts, read_facts

SHIPPED = shipped_definition()


def derive(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> DerivedStratum:
    return derive_stratum(definition, read_facts(definition, typed, units, set(typed)))


@pytest.mark.parametrize(
    ("changes", "total", "level"),
    [
        ({}, 9, "9-10"),
        ({"ascites": "moderate-severe"}, 10, "9-10"),
        ({"ascites": "moderate-severe", "inr": "1.7"}, 11, "11-15"),
        (
            {
                "bilirubin": "3.1",
                "albumin": "27",
                "inr": "2.4",
                "ascites": "moderate-severe",
                "encephalopathy": "grade-3-4",
            },
            15,
            "11-15",
        ),
    ],
)
def test_child_pugh_falls_in_its_band(
    *,
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    changes: dict[str, str],
    total: int,
    level: str,
) -> None:
    stratum = derive(definition, {**typed, **changes}, units)

    assert stratum.scores[0].rounded == total
    assert stratum.levels[0] == ("cp", level)


def test_a_child_pugh_of_8_has_no_stratum(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    typed["albumin"] = "35.1"

    with pytest.raises(NoStratumError, match="the factor cp, whose bands run from 9 up to 15"):
        derive(definition, typed, units)


@pytest.mark.parametrize(
    ("inr", "rounded", "level"),
    [
        ("3.2093", 19, "<20"),
        ("3.2122", 19, "<20"),
        ("3.2123", 20, ">=20"),
        ("3.3589", 20, ">=20"),
        ("3.6", 21, ">=20"),
    ],
)
def test_the_meld_band_uses_the_rounded_score(
    *,
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    inr: str,
    rounded: int,
    level: str,
) -> None:
    stratum = derive(definition, {**typed, "bilirubin": "1", "inr": inr}, units)

    assert stratum.scores[1].rounded == rounded
    assert stratum.levels[1] == ("meld", level)


def test_a_stratum_knows_its_code_and_its_place_in_every_list(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    stratum = derive(definition, {**typed, "inr": "3"}, units)

    assert stratum.code == "cp=11-15;meld=>=20"
    assert stratum.index == 3
    assert definition.design().strata[stratum.index].code == stratum.code


def test_both_unit_systems_give_the_same_stratum(
    definition: TrialDefinition, typed: dict[str, str]
) -> None:
    american = {**typed, "bilirubin": "3", "albumin": "2.8", "creatinine": "1.5"}
    chinese = {**typed, "bilirubin": "51.3", "albumin": "28", "creatinine": "132.6"}

    ours = derive(
        definition, american, {"bilirubin": "mg/dL", "albumin": "g/dL", "creatinine": "mg/dL"}
    )
    theirs = derive(
        definition, chinese, {"bilirubin": "umol/L", "albumin": "g/L", "creatinine": "umol/L"}
    )

    assert ours == theirs


def test_a_stratum_can_be_kept_as_canonical_bytes(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    record = derive(definition, {**typed, "bilirubin": "2.6", "inr": "1.6"}, units).to_record()

    assert record["code"] == "cp=9-10;meld=<20"
    assert record["levels"] == {"cp": "9-10", "meld": "<20"}
    assert canon(record)


def test_an_exact_score_is_cut_and_never_shown_across_a_half() -> None:
    assert show_exact(Decimal("19.49999999")) == "19.499999"
    assert show_exact(Decimal(9)) == "9.000000"


def test_every_missing_fact_is_named(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    for code in ("inr", "ascites", "dialysis"):
        del typed[code]

    with pytest.raises(FactsMissingError, match="inr, dialysis, ascites") as refusal:
        derive(definition, typed, units)

    assert refusal.value.missing == ("inr", "dialysis", "ascites")


def test_no_fact_at_all_names_all_of_them(definition: TrialDefinition) -> None:
    with pytest.raises(FactsMissingError) as refusal:
        derive_stratum(definition, Facts(()))

    assert refusal.value.missing == tuple(question.code for question in definition.facts)


numbers = {
    "bilirubin": st.decimals("1.71", "1368", places=2),
    "albumin": st.decimals("5", "80", places=1),
    "inr": st.decimals("0.5", "20", places=2),
    "creatinine": st.decimals("8.84", "2652", places=2),
}


@given(
    st.fixed_dictionaries(numbers),
    st.booleans(),
    st.sampled_from(["none", "mild", "moderate-severe"]),
    st.sampled_from(["none", "grade-1-2", "grade-3-4"]),
)
def test_whoever_is_in_the_bands_has_one_stratum_and_nobody_else_has_any(
    labs: dict[str, Decimal], dialysis: bool, ascites: str, encephalopathy: str
) -> None:
    typed = {code: str(value) for code, value in labs.items()}
    typed |= {"age": "40", "dialysis": "yes" if dialysis else "no"}
    typed |= {"ascites": ascites, "encephalopathy": encephalopathy}
    units = {"bilirubin": "umol/L", "albumin": "g/L", "creatinine": "umol/L"}

    try:
        stratum = derive(SHIPPED, typed, units)
    except NoStratumError:
        return

    pugh, meld = (score.rounded for score in stratum.scores)
    assert 9 <= pugh <= 15
    assert stratum.code == (
        f"cp={'9-10' if pugh <= 10 else '11-15'};meld={'<20' if meld < 20 else '>=20'}"
    )
    assert SHIPPED.strata[stratum.index] == stratum.code


@pytest.fixture
def with_factors() -> Callable[[str], TrialDefinition]:
    """The shipped trial with other factors, written in TOML."""

    def build(factors: str) -> TrialDefinition:
        text = text_of_shipped()
        begin, end = text.index("[[factors]]"), text.index("# --- Eligibility")
        return parse_definition(text[:begin] + factors + text[end:], "test.toml")

    return build


def text_of_shipped() -> str:
    return resources.files("alloc_service.trial").joinpath("nct01728727.toml").read_text("utf-8")


def test_without_a_factor_there_is_one_stratum(
    with_factors: Callable[[str], TrialDefinition], typed: dict[str, str], units: dict[str, str]
) -> None:
    definition = with_factors("")
    stratum = derive(definition, typed, units)

    assert (stratum.code, stratum.index, stratum.levels) == ("all", 0, ())
    assert [item.code for item in definition.design().strata] == ["all"]


SITE_FACTOR = """
[[factors]]
code = "site"
kind = "site"
label = "Site"
"""
SECOND_SITE = """
[[sites]]
code = "BJ02"
name = "Second hospital"
organisation = "Second hospital"
address = "Beijing, China"
time_zone = "Asia/Shanghai"
"""


def test_a_site_can_be_a_factor(
    with_factors: Callable[[str], TrialDefinition], typed: dict[str, str], units: dict[str, str]
) -> None:
    definition = with_factors(SITE_FACTOR + SECOND_SITE)
    facts = read_facts(definition, typed, units)

    assert definition.strata == ("site=XA01", "site=BJ02")
    assert derive_stratum(definition, facts, "BJ02").index == 1
    with pytest.raises(UnknownSiteError, match="Its sites are: XA01, BJ02"):
        derive_stratum(definition, facts, "SH03")


def test_a_missing_site_is_named_with_the_missing_facts(
    with_factors: Callable[[str], TrialDefinition], typed: dict[str, str], units: dict[str, str]
) -> None:
    definition = with_factors(SITE_FACTOR)
    del typed["age"]

    with pytest.raises(FactsMissingError) as refusal:
        derive(definition, typed, units)

    assert refusal.value.missing == ("age", "site")


LEVELS_FACTOR = """
[[factors]]
code = "asc"
kind = "levels"
label = "Ascites"
source = "ascites"
levels = [
  { code = "no", label = "none", choices = ["none"] },
  { code = "yes", label = "any", choices = ["mild", "moderate-severe"] },
]
[[factors]]
code = "dia"
kind = "levels"
label = "Dialysis"
source = "dialysis"
levels = [
  { code = "yes", label = "yes", choices = ["yes"] },
  { code = "no", label = "no", choices = ["no"] },
]
"""


@pytest.mark.parametrize(
    ("ascites", "dialysis", "code"),
    [
        ("none", "yes", "asc=no;dia=yes"),
        ("mild", "no", "asc=yes;dia=no"),
        ("moderate-severe", "yes", "asc=yes;dia=yes"),
    ],
)
def test_answers_of_a_choice_can_be_grouped_into_levels(
    *,
    with_factors: Callable[[str], TrialDefinition],
    typed: dict[str, str],
    units: dict[str, str],
    ascites: str,
    dialysis: str,
    code: str,
) -> None:
    definition = with_factors(LEVELS_FACTOR)
    stratum = derive(definition, {**typed, "ascites": ascites, "dialysis": dialysis}, units)

    assert stratum.code == code
    assert definition.strata[stratum.index] == code


BILIRUBIN_FACTOR = """
[[factors]]
code = "bili"
kind = "bands"
label = "Bilirubin, mg/dL"
source = "bilirubin"
rounding = "{rounding}"
bands = [
  {{ code = "<=3", label = "up to 3", at_most = 3 }},
  {{ code = ">3", label = "above 3", above = 3 }},
]
"""


@pytest.mark.parametrize(
    ("value", "unit", "exact", "rounded"),
    [
        ("3", "mg/dL", "<=3", "<=3"),
        ("3.4", "mg/dL", ">3", "<=3"),
        ("3.5", "mg/dL", ">3", ">3"),
        ("51.3", "umol/L", "<=3", "<=3"),
        ("51.3001", "umol/L", ">3", "<=3"),
        ("59.8499", "umol/L", ">3", "<=3"),
        ("59.85", "umol/L", ">3", ">3"),
    ],
)
def test_a_number_is_compared_exactly_in_its_first_unit(
    *,
    with_factors: Callable[[str], TrialDefinition],
    typed: dict[str, str],
    units: dict[str, str],
    value: str,
    unit: str,
    exact: str,
    rounded: str,
) -> None:
    typed, units = {**typed, "bilirubin": value}, {**units, "bilirubin": unit}

    for rounding, level in (("exact", exact), ("half-up", rounded)):
        definition = with_factors(BILIRUBIN_FACTOR.format(rounding=rounding))
        assert derive(definition, typed, units).levels == (("bili", level),)
