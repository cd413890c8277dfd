from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import Json, canon
from alloc_service.errors import FactsError, FactsMissingError
from alloc_service.trial.definition import TrialDefinition, shipped_definition
from alloc_service.trial.facts import (
    Facts,
    find_missing,
    read_facts,
    require_complete,
    reread_facts,
)

SHIPPED = shipped_definition()


def problems_of(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], *confirmed: str
) -> dict[str, str]:
    with pytest.raises(FactsError) as refusal:
        read_facts(definition, typed, units, confirmed)
    return {problem.field: problem.code for problem in refusal.value.problems}


def test_facts_keep_what_was_typed_with_its_unit(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    facts = read_facts(definition, {**typed, "bilirubin": " 2.40 "}, units)

    fact = facts.find("bilirubin")
    assert fact is not None
    assert (fact.typed, fact.unit, fact.value) == (" 2.40 ", "mg/dL", Decimal("2.40"))
    assert str(fact.value) == "2.40"
    age, ascites = facts.find("age"), facts.find("ascites")
    assert age is not None
    assert ascites is not None
    assert (age.unit, ascites.unit, ascites.text) == ("a", "", "mild")
    assert [item.code for item in facts.given] == [item.code for item in definition.facts]


def test_facts_go_to_canonical_bytes_and_back(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    facts = read_facts(definition, {**typed, "inr": "9.10"}, units, ["inr"])

    assert canon(facts.to_record())
    assert reread_facts(definition, facts.to_record()) == facts
    assert facts.to_record()["inr"] == {"confirmed": True, "typed": "9.10", "unit": "1"}


@pytest.mark.parametrize(
    "row",
    [
        "52",
        None,
        {"typed": "52", "unit": "a"},
        {"typed": 52, "unit": "a", "confirmed": False},
        {"typed": "52", "unit": "a", "confirmed": "no"},
        {"typed": "52", "unit": "a", "confirmed": False, "by": "me"},
    ],
)
def test_a_record_of_another_shape_is_no_fact(definition: TrialDefinition, row: Json) -> None:
    with pytest.raises(FactsError, match="age: no typed fact is recorded here"):
        reread_facts(definition, {"age": row})


def test_a_record_is_read_by_the_same_rules_as_a_form(definition: TrialDefinition) -> None:
    with pytest.raises(FactsError, match="age: it must be 0 to 120 years"):
        reread_facts(definition, {"age": {"typed": "521", "unit": "a", "confirmed": True}})


def test_facts_do_not_show_what_was_typed(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    assert "2.4" not in repr(read_facts(definition, typed, units))


@pytest.mark.parametrize("blank", ["", " ", "   "])
def test_a_blank_field_is_missing_and_no_fault(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], blank: str
) -> None:
    facts = read_facts(definition, {**typed, "inr": blank, "ascites": blank}, units)

    assert find_missing(definition, facts) == ("inr", "ascites")
    with pytest.raises(FactsMissingError, match="Facts are missing: inr, ascites"):
        require_complete(definition, facts)


def test_complete_facts_are_complete(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    require_complete(definition, read_facts(definition, typed, units))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1e3", "exponent"),
        ("1E3", "exponent"),
        ("1.5e-2", "exponent"),
        ("1,5", "decimal-comma"),
        ("1,234.5", "decimal-comma"),
        ("1.234,5", "decimal-comma"),
        ("１.5", "wide-digits"),
        ("１２", "wide-digits"),
        ("1．5", "wide-digits"),
        ("1。5", "wide-digits"),
        ("1，5", "wide-digits"),
        ("٣", "wide-digits"),
        ("²", "wide-digits"),
        ("NaN", "not-finite"),
        ("nan", "not-finite"),
        ("Infinity", "not-finite"),
        ("-inf", "not-finite"),
        ("two", "not-a-number"),
        ("<0.3", "not-a-number"),
        ("+2", "not-a-number"),
        (".5", "not-a-number"),
        ("2.", "not-a-number"),
        ("02", "not-a-number"),
        ("2 4", "not-a-number"),
        ("1_0", "not-a-number"),
        ("0x10", "not-a-number"),
        ("−2", "not-a-number"),
        ("2.4 mg/dL", "not-a-number"),
        ("--2", "not-a-number"),
        ("-0", "not-a-number"),
        ("-0.0", "not-a-number"),
        ("2.4\x00", "control-characters"),
        ("2\t", "control-characters"),
        ("2\n", "control-characters"),
        ("\x1b[31m2", "control-characters"),
        ("\u202e2", "control-characters"),
        ("2\ud800", "control-characters"),
        ("e\u0301", "control-characters"),
        ("9" * 10_240, "too-long"),
        ("\x00" * 10_240, "too-long"),
        ("1234567", "too-many-digits"),
        ("1.23456", "too-many-digits"),
        ("9" * 60, "too-many-digits"),
        ("-1", "impossible"),
        ("0", "impossible"),
        ("0.0999", "impossible"),
        ("80.0001", "impossible"),
        ("0.1999", "unlikely"),
        ("25.0001", "unlikely"),
    ],
)
def test_a_number_is_typed_plainly(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], text: str, code: str
) -> None:
    wrong = {**typed, "bilirubin": text}

    with pytest.raises(FactsError) as refusal:
        read_facts(definition, wrong, units)

    assert [(item.field, item.code) for item in refusal.value.problems] == [("bilirubin", code)]
    assert refusal.value.typed == wrong
    assert refusal.value.units == units
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("text", ["0.1", "0.2", "2", "2.4", "2.4000", "25", "25.0000", "80"])
def test_a_plain_number_within_what_is_possible_is_taken(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], text: str
) -> None:
    facts = read_facts(definition, {**typed, "bilirubin": text}, units, ["bilirubin"])

    assert facts.confirmed == (("bilirubin",) if text in {"0.1", "80"} else ())


@pytest.mark.parametrize("text", ["52.0", "52.5", "0.5"])
def test_an_age_is_a_whole_number_of_years(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], text: str
) -> None:
    assert problems_of(definition, {**typed, "age": text}, units) == {"age": "not-whole"}


@pytest.mark.parametrize(("text", "code"), [("121", "impossible"), ("-1", "impossible")])
def test_an_impossible_age_is_refused_even_if_confirmed(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], text: str, code: str
) -> None:
    assert problems_of(definition, {**typed, "age": text}, units, "age") == {"age": code}


@pytest.mark.parametrize(
    ("text", "unit", "asked"),
    [
        ("30", "mg/dL", "is it 30 \u00b5mol/L?"),
        ("0.1", "mg/dL", ""),
        ("2.4", "umol/L", "is it 2.4 mg/dL?"),
    ],
)
def test_a_value_that_fits_another_unit_better_is_asked_about(
    *,
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    text: str,
    unit: str,
    asked: str,
) -> None:
    with pytest.raises(FactsError) as refusal:
        read_facts(definition, {**typed, "bilirubin": text}, {**units, "bilirubin": unit})

    (problem,) = refusal.value.problems
    assert problem.code == "unlikely"
    assert asked in problem.message
    assert bool(asked) == ("is it" in problem.message.replace("it is", ""))


@pytest.mark.parametrize(
    ("text", "sure"), [("15", False), ("16", True), ("85", True), ("86", False)]
)
def test_an_unlikely_age_must_be_confirmed_and_the_confirmation_is_kept(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], text: str, sure: bool
) -> None:
    aged = {**typed, "age": text}
    if sure:
        assert read_facts(definition, aged, units).confirmed == ()
        return

    assert problems_of(definition, aged, units) == {"age": "unlikely"}
    assert read_facts(definition, aged, units, ["age"]).confirmed == ("age",)


def test_a_confirmation_that_nobody_needed_is_not_recorded(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    facts = read_facts(definition, typed, units, ["age", "ascites", "bilirubin"])

    assert facts.confirmed == ()


def test_bounds_are_those_of_the_unit_that_was_chosen(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    micromoles = {**units, "bilirubin": "umol/L"}

    # 60 µmol/L beside mg/dL, and 1.2 mg/dL beside µmol/L: what bounds for each unit are for.
    assert problems_of(definition, {**typed, "bilirubin": "60"}, units) == {"bilirubin": "unlikely"}
    assert problems_of(definition, {**typed, "bilirubin": "1.2"}, micromoles) == {
        "bilirubin": "impossible"
    }
    assert read_facts(definition, {**typed, "bilirubin": "60"}, micromoles).confirmed == ()


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"bilirubin": ""}, "bilirubin", "unit-missing"),
        ({"bilirubin": "g/L"}, "bilirubin", "unknown-unit"),
        ({"bilirubin": "µmol/L"}, "bilirubin", "unknown-unit"),
        ({"bilirubin": "\x00" * 10_240}, "bilirubin", "unknown-unit"),
        ({"age": "months"}, "age", "unknown-unit"),
        ({"ascites": "mg/dL"}, "ascites", "unknown-unit"),
        ({"weight": "kg"}, "weight", "unknown-field"),
    ],
)
def test_a_unit_is_one_of_the_fact(
    *,
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    changes: dict[str, str],
    field: str,
    code: str,
) -> None:
    assert problems_of(definition, typed, {**units, **changes}) == {field: code}


def test_a_unit_beside_a_blank_number_is_no_fault(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    assert read_facts(definition, {**typed, "bilirubin": ""}, units).find("bilirubin") is None


@pytest.mark.parametrize("text", ["Mild", "MILD", "mild ascites", "1", "'; DROP TABLE slot; --"])
def test_a_choice_is_one_of_its_codes(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str], text: str
) -> None:
    assert problems_of(definition, {**typed, "ascites": text}, units) == {
        "ascites": "unknown-choice"
    }
    assert problems_of(definition, {**typed, "dialysis": text}, units) == {
        "dialysis": "unknown-choice"
    }


def test_every_problem_is_told_at_once_in_the_order_of_the_questions(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    wrong = {
        **typed,
        "birthday": "1970-01-01",
        "encephalopathy": "asleep",
        "age": "fifty",
        "inr": "1,5",
        "bilirubin": "1e3",
    }

    with pytest.raises(FactsError) as refusal:
        read_facts(definition, wrong, {**units, "albumin": "stone"}, ["nothing"])

    assert [(item.field, item.code) for item in refusal.value.problems] == [
        ("age", "not-a-number"),
        ("bilirubin", "exponent"),
        ("albumin", "unknown-unit"),
        ("inr", "decimal-comma"),
        ("encephalopathy", "unknown-choice"),
        ("birthday", "unknown-field"),
        ("nothing", "unknown-field"),
    ]
    assert refusal.value.typed == wrong
    assert refusal.value.confirmed == ("nothing",)
    assert all(item.message in str(refusal.value) for item in refusal.value.problems)


def test_a_field_with_a_hostile_name_is_told_without_it(definition: TrialDefinition) -> None:
    name = "<script>\x00" * 2_000

    with pytest.raises(FactsError) as refusal:
        read_facts(definition, {name: "1"}, {})

    assert refusal.value.problems[0].field == "unknown field"
    assert "script" not in str(refusal.value)
    assert refusal.value.typed == {name: "1"}


def test_a_flood_of_invented_fields_does_not_flood_the_refusal(definition: TrialDefinition) -> None:
    with pytest.raises(FactsError) as refusal:
        read_facts(definition, {f"field-{number}": "1" for number in range(5_000)}, {})

    assert len(refusal.value.problems) == 16


def test_a_refusal_never_repeats_what_was_typed(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    secret = "13812345678"

    with pytest.raises(FactsError) as refusal:
        read_facts(definition, dict.fromkeys(typed, secret), {**units, "inr": secret}, [])

    assert secret not in str(refusal.value)
    assert secret not in repr(refusal.value.facts)


@given(st.dictionaries(st.sampled_from([q.code for q in SHIPPED.facts]), st.text(max_size=80)))
def test_no_text_whatever_breaks_the_reading(typed: dict[str, str]) -> None:
    units = {"bilirubin": "umol/L", "albumin": "g/L", "creatinine": "umol/L"}

    outcome = attempt(typed, units)

    if isinstance(outcome, FactsError):
        assert outcome.typed == typed
        assert str(outcome).isprintable()
    else:
        assert all(fact.typed == typed[fact.code] for fact in outcome.given)
        assert reread_facts(SHIPPED, outcome.to_record()) == outcome


def attempt(typed: dict[str, str], units: dict[str, str]) -> Facts | FactsError:
    try:
        return read_facts(SHIPPED, typed, units, set(typed))
    except FactsError as refusal:
        return refusal


@given(st.decimals("0.1", "80", places=4))
def test_every_decimal_within_its_bounds_is_read_exactly(value: Decimal) -> None:
    facts = read_facts(SHIPPED, {"bilirubin": str(value)}, {"bilirubin": "mg/dL"}, ["bilirubin"])

    fact = facts.find("bilirubin")
    assert fact is not None
    assert fact.value == value
