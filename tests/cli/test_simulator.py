"""Simulated participants: plausible, the same each time, and answered by the trial's own rules."""

from collections import Counter
from decimal import Decimal
from itertools import islice

import pytest

from alloc_service.cli.demo.simulator import HABITS, Arrival, arrivals
from alloc_service.trial.criteria import check_eligibility
from alloc_service.trial.definition import as_test, shipped_definition
from alloc_service.trial.factors import derive_stratum
from alloc_service.trial.facts import read_facts
from alloc_service.trial.identifiers import check_participant_number

DEFINITION = as_test(shipped_definition())


def first(count: int, seed_text: str = "a test") -> list[Arrival]:
    return list(islice(arrivals(DEFINITION, seed_text), count))


def values(people: list[Arrival], code: str, unit: str) -> list[Decimal]:
    return [Decimal(item.facts[code]) for item in people if item.units[code] == unit]


@pytest.fixture(scope="module")
def people() -> list[Arrival]:
    return first(600)


def test_the_same_text_gives_the_same_participants_and_another_one_others() -> None:
    assert first(20) == first(20)
    assert first(20) != first(20, "another test")


def test_a_participant_does_not_depend_on_how_many_came_before() -> None:
    assert first(5) == first(20)[:5]


def test_everything_typed_is_accepted_and_every_stratum_can_be_derived(
    people: list[Arrival],
) -> None:
    for item in people:
        check_participant_number(DEFINITION, item.participant)
        facts = read_facts(DEFINITION, item.facts, item.units, item.confirmed)
        if check_eligibility(DEFINITION, facts, item.answers).reasons:
            continue
        assert derive_stratum(DEFINITION, facts, "XA01").code in DEFINITION.strata


def test_most_are_eligible_and_some_are_not_for_several_reasons(people: list[Arrival]) -> None:
    reasons: Counter[str] = Counter()
    eligible = 0
    for item in people:
        facts = read_facts(DEFINITION, item.facts, item.units, item.confirmed)
        found = check_eligibility(DEFINITION, facts, item.answers).reasons
        eligible += not found
        reasons.update(found)

    assert 0.7 < eligible / len(people) < 0.9
    assert len(reasons) >= 6
    assert reasons["failed:child-pugh"] > reasons["failed:age"] > 0


def test_every_stratum_has_its_participants(people: list[Arrival]) -> None:
    strata: Counter[str] = Counter()
    for item in people:
        facts = read_facts(DEFINITION, item.facts, item.units, item.confirmed)
        if not check_eligibility(DEFINITION, facts, item.answers).reasons:
            strata[derive_stratum(DEFINITION, facts, "XA01").code] += 1

    assert set(strata) == set(DEFINITION.strata)


def test_laboratory_values_are_typed_in_either_unit_system(people: list[Arrival]) -> None:
    in_mg, in_umol = values(people, "bilirubin", "mg/dL"), values(people, "bilirubin", "umol/L")

    assert 0.5 < len(in_umol) / len(people) < 0.7
    assert len(in_mg) + len(in_umol) == len(people)
    assert Decimal(2) < sorted(in_mg)[len(in_mg) // 2] < Decimal(8)
    assert Decimal(34) < sorted(in_umol)[len(in_umol) // 2] < Decimal(140)
    assert all(value == value.to_integral_value() for value in in_umol)


def test_the_sicker_are_sicker_in_every_value(people: list[Arrival]) -> None:
    by_ascites = {
        grade: [Decimal(item.facts["inr"]) for item in people if item.facts["ascites"] == grade]
        for grade in ("none", "moderate-severe")
    }
    means = {grade: sum(found) / len(found) for grade, found in by_ascites.items()}

    assert means["none"] < means["moderate-severe"]


def test_an_unlikely_value_comes_confirmed() -> None:
    people = first(3_000)

    assert any(item.confirmed for item in people)
    for item in people:
        read_facts(DEFINITION, item.facts, item.units, item.confirmed)


def test_each_way_of_asking_has_about_its_share(people: list[Arrival]) -> None:
    found = Counter(item.habit for item in people)

    assert set(found) == set(HABITS)
    for habit, share in HABITS.items():
        expected = len(people) * share / sum(HABITS.values())
        assert 0.5 * expected < found[habit] < 1.6 * expected


def test_they_arrive_one_after_another(people: list[Arrival]) -> None:
    assert [item.participant for item in people[:3]] == ["S-001", "S-002", "S-003"]
    assert all(60 <= item.minutes < 60 + 72 * 60 for item in people)


def test_no_repr_shows_what_was_typed(people: list[Arrival]) -> None:
    assert people[0].facts["bilirubin"] not in repr(people[0]).replace(people[0].participant, "")
