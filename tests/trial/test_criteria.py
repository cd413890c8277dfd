import pytest

from alloc_service.errors import AnswersError, NotEligibleError
from alloc_service.trial.criteria import Eligibility, check_eligibility
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.facts import Facts, read_facts
from alloc_service.trial.tables import AskedCriterion


def check(
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    answers: dict[str, str],
) -> Eligibility:
    return check_eligibility(definition, read_facts(definition, typed, units, set(typed)), answers)


def test_a_participant_with_every_criterion_satisfied_is_eligible(
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    answers: dict[str, str],
) -> None:
    eligibility = check(definition, typed, units, answers)

    eligibility.require()
    assert eligibility.reasons == ()
    assert [item.code for item in eligibility.results] == [c.code for c in definition.criteria]


@pytest.mark.parametrize(
    ("age", "eligible"),
    [("0", False), ("17", False), ("18", True), ("65", True), ("66", False), ("120", False)],
)
def test_the_system_checks_the_age(
    *,
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    answers: dict[str, str],
    age: str,
    eligible: bool,
) -> None:
    eligibility = check(definition, {**typed, "age": age}, units, answers)

    assert eligibility.reasons == (() if eligible else ("failed:age",))


@pytest.mark.parametrize(
    ("changes", "eligible"),
    [
        ({"albumin": "35.1"}, False),  # 8
        ({}, True),  # 9
        ({"inr": "1.7"}, True),  # 10
        ({"inr": "2.31"}, True),  # 11
        (
            {
                "bilirubin": "3.1",
                "albumin": "27.9",
                "inr": "2.31",
                "ascites": "moderate-severe",
                "encephalopathy": "grade-3-4",
            },
            True,  # 15
        ),
        ({"albumin": "35.1", "ascites": "none", "encephalopathy": "none"}, False),  # 6
    ],
)
def test_the_system_checks_the_child_pugh_score(
    *,
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    answers: dict[str, str],
    changes: dict[str, str],
    eligible: bool,
) -> None:
    eligibility = check(definition, {**typed, **changes}, units, answers)

    assert eligibility.reasons == (() if eligible else ("failed:child-pugh",))


def test_each_asked_criterion_fails_by_its_wrong_answer_and_waits_for_a_missing_one(
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    answers: dict[str, str],
) -> None:
    asked = [item for item in definition.criteria if isinstance(item, AskedCriterion)]
    assert {item.code for item in asked} == set(answers)
    for item in asked:
        wrong = {**answers, item.code: "no" if item.kind == "inclusion" else "yes"}
        without = {code: answer for code, answer in answers.items() if code != item.code}

        assert check(definition, typed, units, wrong).reasons == (f"failed:{item.code}",)
        for none in (without, {**answers, item.code: ""}):
            assert check(definition, typed, units, none).reasons == (f"unanswered:{item.code}",)


def test_a_checked_criterion_waits_for_its_facts(
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    answers: dict[str, str],
) -> None:
    without = {code: text for code, text in typed.items() if code not in {"age", "inr"}}

    eligibility = check(definition, without, units, answers)

    assert eligibility.unanswered == ("age", "child-pugh")
    assert eligibility.failed == ()


def test_everything_that_does_not_hold_is_told_at_once(
    definition: TrialDefinition, typed: dict[str, str], units: dict[str, str]
) -> None:
    eligibility = check(
        definition,
        {**typed, "age": "66"},
        units,
        {"hbv-cirrhosis": "yes", "written-consent": "no", "malignancy": "yes"},
    )

    assert eligibility.failed == ("age", "written-consent", "malignancy")
    assert len(eligibility.unanswered) == 5
    with pytest.raises(NotEligibleError, match=r"Not satisfied: age, .* Not answered: ") as refusal:
        eligibility.require()
    assert refusal.value.reasons == eligibility.reasons
    assert len(eligibility.reasons) == 8


def test_nothing_known_is_nothing_answered(definition: TrialDefinition) -> None:
    eligibility = check_eligibility(definition, Facts(()), {})

    assert len(eligibility.unanswered) == len(definition.criteria)


@pytest.mark.parametrize(
    ("code", "answer", "problem"),
    [
        ("malignancy", "maybe", "unknown-choice"),
        ("malignancy", "YES", "unknown-choice"),
        ("malignancy", "no ", "unknown-choice"),
        ("malignancy", "\x00" * 10_240, "unknown-choice"),
        ("age", "yes", "checked-by-system"),
        ("height", "yes", "unknown-field"),
        ("<script>", "yes", "unknown-field"),
    ],
)
def test_an_answer_is_yes_or_no_to_what_was_asked(
    definition: TrialDefinition, answers: dict[str, str], code: str, answer: str, problem: str
) -> None:
    wrong = {**answers, code: answer}

    with pytest.raises(AnswersError) as refusal:
        check_eligibility(definition, Facts(()), wrong)

    assert [item.code for item in refusal.value.problems] == [problem]
    assert refusal.value.typed == wrong
    assert str(refusal.value).isprintable()
    assert "script" not in str(refusal.value)


def test_an_exclusion_can_be_checked_and_holds_outside_its_interval(
    *,
    definition: TrialDefinition,
    typed: dict[str, str],
    units: dict[str, str],
    answers: dict[str, str],
) -> None:
    document = definition.model_dump(by_alias=True, exclude_none=True)
    rule = {"source": "creatinine", "rounding": "exact", "above": 2}
    renal = {"code": "renal", "kind": "exclusion", "how": "checked", "text": "Creatinine above 2."}
    document["criteria"] = [*document["criteria"], {**renal, **rule}]
    trial = TrialDefinition.model_validate(document)

    for creatinine, reasons in (("176.8", ()), ("176.9", ("failed:renal",))):
        changed = {**typed, "creatinine": creatinine}
        assert check(trial, changed, units, answers).reasons == reasons
