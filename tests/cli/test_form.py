"""A participant's form: files in TOML and JSON, options over them, and what is kept of it."""

import json
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.cli.form import LARGEST_FORM, Form, read_form, write_kept
from alloc_service.errors import InputFileError
from alloc_service.trial.definition import shipped_definition
from tests.support.shell import (
    ANSWERS,
    CONSENT,
    FACTS,
)

TOML = """
participant = "P-001"
confirmed = ["bilirubin"]

[consent]
time = 2020-01-02T09:15:00+08:00
version = "1"

[facts]
age = 45
bilirubin = "45.50 mg/dL"
inr = 1.80

[answers]
hbv-cirrhosis = "yes"
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_toml_form_keeps_every_value_as_it_was_typed(tmp_path: Path) -> None:
    form = read_form(write(tmp_path / "p.toml", TOML))

    assert form == Form(
        participant="P-001",
        consent_time="2020-01-02 09:15:00+08:00",
        consent_version="1",
        facts={"age": "45", "bilirubin": "45.50 mg/dL", "inr": "1.80"},
        answers={"hbv-cirrhosis": "yes"},
        confirmed=("bilirubin",),
    )


def test_a_json_form_is_the_same(tmp_path: Path) -> None:
    text = (
        '{"participant": "P-001", "consent": {"time": "2020-01-02 09:15", "version": 1},'
        ' "facts": {"inr": 1.80, "age": 45}}'
    )
    form = read_form(write(tmp_path / "p.json", text))

    assert form.consent_version == "1"
    assert form.facts == {"inr": "1.80", "age": "45"}


def test_an_empty_form_is_a_form(tmp_path: Path) -> None:
    assert read_form(write(tmp_path / "p.toml", "")) == Form()


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("p.toml", "participant = ", "it is no TOML: invalid value"),
        ("p.toml", "[facts]\nage = '4'\nage = '5'\n", "a key or a table is given twice"),
        ("p.toml", f"a = {'[' * 30_000}", "it is no TOML"),
        ("p.json", "{", "it is no JSON: expecting"),
        ("p.json", '{"participant": "a", "participant": "b"}', "a name stands twice"),
        ("p.json", "[" * 60_000, "it is no JSON"),
        ("p.json", "[]", "the file must be a table"),
        ("p.toml", 'stratum = "cp=9-10"', "the file has no key 'stratum'"),
        ("p.toml", '[consent]\nwhen = "now"', "consent has no key 'when'"),
        ("p.toml", 'facts = "age"', "facts must be a table"),
        ("p.toml", "[facts]\ndialysis = true", "facts.dialysis must be text in quotes"),
        ("p.toml", "[facts]\nage = [45]", "facts.age must be text in quotes"),
        ("p.toml", 'confirmed = "age"', "confirmed must be a list"),
        ("p.toml", "confirmed = [true]", "confirmed must be text in quotes"),
        ("p.toml", "#" * (LARGEST_FORM + 1), "it is larger than 65,536 bytes"),
    ],
)
def test_a_file_that_is_no_form_is_refused_with_the_place_and_the_rule(
    tmp_path: Path, name: str, text: str, rule: str
) -> None:
    with pytest.raises(InputFileError) as refused:
        read_form(write(tmp_path / name, text))

    assert rule in str(refused.value)
    assert str(tmp_path / name) in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such file"):
        read_form(tmp_path / "missing.toml")


def test_what_is_laid_over_counts_and_the_rest_stays() -> None:
    below = Form(
        "P-1", "2020-01-02 09:15", "1", {"age": "44", "inr": "1.8"}, {"a": "yes"}, ("age",)
    )
    above = Form(facts={"age": "45"}, answers={"b": "no"}, confirmed=("inr", "age"))

    assert above.over(below) == Form(
        "P-1",
        "2020-01-02 09:15",
        "1",
        {"age": "45", "inr": "1.8"},
        {"a": "yes", "b": "no"},
        ("age", "inr"),
    )


def test_a_number_is_parted_from_its_unit_and_a_choice_is_left_whole() -> None:
    form = Form(facts={**FACTS, "ascites": "mild or none", "unknown": "3 mg"})

    typed = form.to_typed(shipped_definition())

    assert typed.facts["bilirubin"] == "3.5"
    assert typed.units == {"bilirubin": "mg/dL", "albumin": "g/dL", "creatinine": "mg/dL"}
    assert typed.facts["ascites"] == "mild or none"
    assert typed.facts["unknown"] == "3 mg"


@given(
    number=st.decimals(min_value=0, max_value=100, places=2, allow_nan=False),
    unit=st.sampled_from(["mg/dL", "umol/L", "mmol/L"]),
    spaces=st.integers(0, 3),
)
def test_any_number_and_unit_come_apart_again(number: Decimal, unit: str, spaces: int) -> None:
    text = f"{' ' * spaces}{number}{' ' * (spaces + 1)}{unit}{' ' * spaces}"

    typed = Form(facts={"bilirubin": text}).to_typed(shipped_definition())

    assert typed.facts["bilirubin"] == str(number)
    assert typed.units["bilirubin"] == unit


def test_what_is_kept_can_be_handed_in_again(tmp_path: Path) -> None:
    form = Form("P-001", CONSENT, "1", {**FACTS, "age": "45\x00µ"}, ANSWERS, ("bilirubin",))

    path = write_kept(form, [tmp_path])

    assert path is not None
    assert read_form(path) == form
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("number", ["11010119900307001X", "13912345678", "+86 139 1234 5678"])
def test_identity_numbers_are_not_kept(tmp_path: Path, number: str) -> None:
    form = Form(number, CONSENT, "1", {"age": number}, {"pregnancy-lactation": number})

    path = write_kept(form, [tmp_path])

    assert path is not None
    kept = json.loads(path.read_text())
    assert kept["participant"] == ""
    assert kept["facts"] == {"age": ""}
    assert kept["answers"] == {"pregnancy-lactation": ""}
    assert kept["consent"]["time"] == CONSENT


def test_the_first_folder_that_can_be_written_gets_it(tmp_path: Path) -> None:
    path = write_kept(Form("P-001"), [tmp_path / "missing", tmp_path])

    assert path is not None
    assert path.parent == tmp_path
    assert write_kept(Form("P-001"), [tmp_path / "missing"]) is None


def test_a_form_shows_no_fact_in_its_repr() -> None:
    assert "45" not in repr(Form(facts={"age": "45"}))
