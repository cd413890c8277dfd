import json
import pickle
import re
import tomllib
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest
from pydantic import ValidationError

from alloc_service.core.canon import canon, parse_canonical
from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.errors import CanonError, DefinitionError, DesignError, UnknownSiteError
from alloc_service.trial.definition import (
    SHIPPED,
    TrialDefinition,
    as_test,
    load_definition,
    parse_definition,
    shipped_definition,
)
from alloc_service.trial.questions import ChoiceQuestion, NumberQuestion
from alloc_service.trial.tables import AskedCriterion

SALT = "5c" * 32
SHIPPED_TEXT = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")


def test_the_shipped_trial_is_the_record(definition: TrialDefinition) -> None:
    assert definition.id == "NCT01728727"
    assert definition.other_ids == ("20120912-3",)
    assert definition.title == (
        "Safety and Efficacy of Human Umbilical Cord Derived Mesenchymal Stem Cells "
        "for Treatment of HBV-related Liver Cirrhosis"
    )
    record = definition.record
    assert record.sponsor == record.responsible_party
    assert record.sponsor == "Air Force Military Medical University, China"
    assert record.conditions == ("Liver Cirrhosis", "End Stage Liver Disease")
    assert (record.start, record.primary_completion, record.completion) == (
        "2012-09",
        "2014-09",
        "2015-09",
    )
    assert record.enrolment == definition.cap == 240
    assert [outcome.measure for outcome in record.outcomes] == [
        "One-year survival rate",
        "MELD score",
        "Child-Pugh score",
        "Alpha fetoprotein",
        "Renal function",
    ]


def test_the_shipped_trial_has_two_arms_one_to_one(definition: TrialDefinition) -> None:
    conventional, transplantation = definition.arms

    assert (conventional.code, conventional.ratio) == ("CONV", 1)
    assert conventional.label == "Active comparator: conventional"
    assert conventional.instruction == "Conventional treatment and antiviral treatment."
    assert (transplantation.code, transplantation.ratio) == ("MSC", 1)
    assert transplantation.label == "Experimental: UC-MSC transplantation"
    assert transplantation.instruction == (
        "Umbilical cord derived mesenchymal stem cells at day 1, 1×10⁶ cells/kg via the hepatic "
        "artery, with conventional treatment and antiviral treatment through the one-year visit; "
        "follow-up to one year."
    )


def test_the_shipped_trial_has_one_site_with_its_zone(definition: TrialDefinition) -> None:
    (site,) = definition.sites

    assert site.name == "Xijing Hospital of Digestive Disease"
    assert site.address == "Xi'an, Shaanxi, China, 710032"
    assert site.time_zone == "Asia/Shanghai"
    assert definition.site(site.code) == site
    with pytest.raises(UnknownSiteError, match="trial NCT01728727 has no such site"):
        definition.site("BJ02")


def test_the_shipped_criteria_are_those_of_the_record(definition: TrialDefinition) -> None:
    inclusions = [item.text for item in definition.criteria if item.kind == "inclusion"]
    exclusions = [item.text for item in definition.criteria if item.kind == "exclusion"]

    assert inclusions == [
        "Aged 18–65 years.",
        "HBV-related liver cirrhosis.",
        "Child-Pugh score 9–15.",
        "Written consent.",
    ]
    assert exclusions == [
        "Hepatocellular carcinoma or other malignancies.",
        "Severe problems in other vital organs (e.g. the heart, renal or lungs).",
        "Pregnant or lactating women.",
        "Severe bacterial infection.",
        "Anticipated difficulty of follow-up observation.",
        "Other candidates judged not applicable to this study by doctors.",
    ]
    checked = [i.code for i in definition.criteria if not isinstance(i, AskedCriterion)]
    assert checked == ["age", "child-pugh"]


def test_no_date_of_birth_is_asked(definition: TrialDefinition) -> None:
    for question in definition.facts:
        assert question.kind in {"integer", "decimal", "choice", "yes-no"}
        assert not re.search(r"birth|name|phone|address", question.code + question.label.lower())


def test_labs_are_asked_in_both_unit_systems(definition: TrialDefinition) -> None:
    found = {
        question.code: {unit.code: str(unit.per_base) for unit in question.units}
        for question in definition.facts
        if isinstance(question, NumberQuestion)
    }

    assert found["bilirubin"] == {"mg/dL": "1", "umol/L": "17.1"}
    assert found["albumin"] == {"g/dL": "1", "g/L": "10"}
    assert found["creatinine"] == {"mg/dL": "1", "umol/L": "88.4"}


def test_bounds_of_both_unit_systems_are_the_same_amounts(definition: TrialDefinition) -> None:
    for question in definition.facts:
        if isinstance(question, NumberQuestion):
            base = question.units[0]
            for unit in question.units:
                for ours, theirs in zip(
                    (*unit.possible, *unit.likely), (*base.possible, *base.likely), strict=True
                ):
                    assert ours == theirs * unit.per_base


def test_what_the_record_does_not_say_is_marked(definition: TrialDefinition) -> None:
    marks = [item.sentence for item in definition.to_be_confirmed]

    assert "factors: to be confirmed by the trial statistician" in marks
    assert "design: to be confirmed by the trial statistician" in marks
    assert "scores: to be confirmed by the trial's clinician" in marks


def test_the_shipped_design_has_four_strata_of_240_slots(definition: TrialDefinition) -> None:
    assert definition.design(salt=SALT) == Design(
        trial="NCT01728727",
        list=1,
        arms=(Arm("CONV", 1), Arm("MSC", 1)),
        blocks=(BlockSize(4, 1), BlockSize(6, 1)),
        strata=(
            Stratum("cp=9-10;meld=<20", 240),
            Stratum("cp=9-10;meld=>=20", 240),
            Stratum("cp=11-15;meld=<20", 240),
            Stratum("cp=11-15;meld=>=20", 240),
        ),
        salt=SALT,
    )


def test_a_design_can_be_made_for_another_list(definition: TrialDefinition) -> None:
    design = definition.design(2, SALT)

    assert (design.list, design.salt) == (2, SALT)
    with pytest.raises(DesignError, match="list: must be an integer from 1 to 9,999"):
        definition.design(0)


def test_each_design_has_a_salt_of_its_own(definition: TrialDefinition) -> None:
    assert definition.design().sha256 != definition.design().sha256


def test_public_bytes_are_canonical_and_round_trip(definition: TrialDefinition) -> None:
    data = definition.public_bytes()
    stored = TrialDefinition.from_public_bytes(data)

    assert canon(parse_canonical(data)) == data
    assert stored.public_bytes() == data
    assert stored.design_table is None
    assert stored.model_copy(update={"design_table": definition.design_table}) == definition


def test_public_bytes_hold_decimals_as_strings_and_no_float(definition: TrialDefinition) -> None:
    def refuse(text: str) -> object:
        raise AssertionError(text)

    document = json.loads(definition.public_bytes(), parse_float=refuse)

    unit = document["facts"][1]["units"][1]
    assert unit["per_base"] == "17.1"
    assert unit["possible"] == ["1.71", "1368"]


def test_public_bytes_know_nothing_of_the_design(definition: TrialDefinition) -> None:
    begin = SHIPPED_TEXT.index("\n[design]")
    others = SHIPPED_TEXT[:begin] + (
        "\n[design]\nlist_number = 7\nslots = 31\nblocks = [{ size = 8, weight = 3 }]\n"
    )
    document = json.loads(definition.public_bytes())

    assert parse_definition(others, "x").public_bytes() == definition.public_bytes()
    assert parse_definition(SHIPPED_TEXT[:begin], "x").public_bytes() == definition.public_bytes()
    assert "design" not in document
    assert not re.search(rb'"(size|weight|blocks|slots)"', definition.public_bytes())


def test_a_stored_definition_makes_no_design(definition: TrialDefinition) -> None:
    stored = TrialDefinition.from_public_bytes(definition.public_bytes())

    with pytest.raises(DefinitionError, match="trial NCT01728727, design: is missing"):
        stored.design()


def test_block_sizes_have_no_repr(definition: TrialDefinition) -> None:
    table = definition.design_table

    assert table is not None
    for shown in (repr(definition), str(definition), repr(table), repr(table.blocks)):
        assert not re.search(r"\b(size|weight)=", shown)
    assert "blocks" not in repr(table)
    assert "design_table" not in repr(definition)


def test_stored_bytes_with_a_design_are_refused(definition: TrialDefinition) -> None:
    document = json.loads(definition.public_bytes())
    document["design"] = {"blocks": [{"size": 4, "weight": 1}], "list_number": 1, "slots": 240}

    with pytest.raises(DefinitionError, match="stored definition, design: must not be there"):
        TrialDefinition.from_public_bytes(canon(document))


def test_stored_bytes_that_were_changed_are_refused(definition: TrialDefinition) -> None:
    data = definition.public_bytes()

    with pytest.raises(CanonError):
        TrialDefinition.from_public_bytes(data.replace(b'"cap":240', b'"cap": 240'))
    with pytest.raises(DefinitionError, match="stored definition, cap: must be at least 1"):
        TrialDefinition.from_public_bytes(data.replace(b'"cap":240', b'"cap":0'))
    with pytest.raises(DefinitionError, match=r"per_base: must be a number of up to 12 digits"):
        TrialDefinition.from_public_bytes(data.replace(b'"17.1"', b'"1.71e1"'))


def test_a_definition_cannot_be_changed(definition: TrialDefinition) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        definition.cap = 241  # type: ignore[misc]  # the attempt
    with pytest.raises(ValidationError, match="frozen"):
        definition.arms[0].ratio = 2  # type: ignore[misc]  # the attempt
    assert hash(definition) == hash(shipped_definition())
    assert pickle.loads(pickle.dumps(definition)) == definition  # noqa: S301  # our own bytes


def test_as_test_renames_the_trial_and_nothing_else(definition: TrialDefinition) -> None:
    trial = as_test(definition)

    assert trial.id == "TEST-NCT01728727"
    assert trial.is_test
    assert not definition.is_test
    assert as_test(trial) is trial
    assert trial.design(salt=SALT).strata == definition.design(salt=SALT).strata
    assert trial.public_bytes() == definition.public_bytes().replace(
        b'"id":"NCT01728727"', b'"id":"TEST-NCT01728727"'
    )


def test_as_test_refuses_an_id_that_becomes_too_long() -> None:
    text = SHIPPED_TEXT.replace('id = "NCT01728727"', f'id = "{"N" * 60}"')

    with pytest.raises(DefinitionError, match="id: must be 1-64 of"):
        as_test(parse_definition(text, "x.toml"))


def test_a_definition_is_read_from_a_file(tmp_path: Path, definition: TrialDefinition) -> None:
    path = tmp_path / "trial.toml"
    for prefix in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(prefix + SHIPPED_TEXT.replace("\n", "\r\n").encode())

        assert load_definition(path) == definition


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"none\.toml, the file: cannot be read: no such"):
        load_definition(tmp_path / "none.toml")
    with pytest.raises(DefinitionError, match="cannot be read: is a directory"):
        load_definition(tmp_path)


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trial.toml"

    path.write_bytes(b"\xff\xfe" + SHIPPED_TEXT.encode("utf-16-le"))
    with pytest.raises(DefinitionError, match="must be text in UTF-8"):
        load_definition(path)
    path.write_bytes(b"#" * 1_048_575 + "\u00b5".encode())
    with pytest.raises(DefinitionError, match="must be smaller than 1 MiB"):
        load_definition(path)
    path.write_bytes(b"#" * 2_000_000)
    with pytest.raises(DefinitionError, match="must be smaller than 1 MiB"):
        load_definition(path)


def test_numbers_may_be_written_as_toml_numbers_or_as_text() -> None:
    text = SHIPPED_TEXT.replace("per_base = 17.1", 'per_base = "17.1"')

    assert text != SHIPPED_TEXT
    assert parse_definition(text, "x.toml") == shipped_definition()


def test_a_question_can_be_found(definition: TrialDefinition) -> None:
    ascites = definition.question("ascites")

    assert isinstance(ascites, ChoiceQuestion)
    assert ascites.codes == ("none", "mild", "moderate-severe")
    assert definition.question("weight") is None


def test_the_shipped_file_is_toml_that_any_reader_reads() -> None:
    document = tomllib.loads(SHIPPED_TEXT, parse_float=Decimal)

    assert document["design"] == {
        "list_number": 1,
        "slots": 240,
        "blocks": [{"size": 4, "weight": 1}, {"size": 6, "weight": 1}],
    }
