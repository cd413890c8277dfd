from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alloc_service.trial.bands import (
    HIGHEST,
    LOWEST,
    Band,
    Cut,
    Interval,
    describe_ends,
    find_band_faults,
)

EVERYTHING = (LOWEST, HIGHEST)

limits = st.lists(st.decimals("-50", "50", places=2), min_size=1, max_size=6, unique=True)
values = st.fractions(-60, 60, max_denominator=1000)


def band(code: str, **ends: object) -> Band:
    return Band.model_validate({"code": code, "label": code, **ends})


def chain(marks: Sequence[object], joints: Sequence[bool]) -> list[Band]:
    """Bands that cut the line at the marks; a joint says whether the mark goes to the lower one."""
    pairs = list(zip(marks, joints, strict=True))
    lower = [{"at_most" if joint else "below": mark} for mark, joint in pairs]
    upper = [{"above" if joint else "at_least": mark} for mark, joint in pairs]
    ends = [lower[0], *({**a, **b} for a, b in zip(upper[:-1], lower[1:], strict=True)), upper[-1]]
    return [band(f"b{index}", **end) for index, end in enumerate(ends)]


@given(limits, st.data())
def test_bands_without_a_fault_hold_every_value_exactly_once(
    marks: list[object], data: st.DataObject
) -> None:
    joints = data.draw(st.lists(st.booleans(), min_size=len(marks), max_size=len(marks)))
    bands = chain(sorted(marks, key=Fraction), joints)  # type: ignore[arg-type]  # decimals
    drawn = data.draw(st.lists(values, max_size=20))

    assert list(find_band_faults(bands, EVERYTHING, whole=False)) == []
    for value in [*drawn, *(Fraction(mark) for mark in marks)]:  # type: ignore[call-overload]  # as above
        assert sum(item.holds(value) for item in bands) == 1


intervals = st.builds(
    lambda low, size, kinds: {kinds[0]: low, kinds[1]: low + size},
    st.integers(0, 12),
    st.integers(1, 6),
    st.sampled_from([("at_least", "at_most"), ("at_least", "below"), ("above", "at_most")]),
)


@given(st.lists(intervals, min_size=1, max_size=3))
def test_bands_over_whole_numbers_are_faultless_only_if_each_number_is_in_one(
    ends: list[dict[str, object]],
) -> None:
    bands = [band(f"b{index}", **end) for index, end in enumerate(ends)]
    domain = (Cut(0, Fraction(2), 0), Cut(0, Fraction(9), 0))
    holders = [[b for b in bands if b.holds(Fraction(value))] for value in range(2, 9)]
    everywhere = [[b for b in bands if b.holds(Fraction(value))] for value in range(-1, 20)]
    in_order = all(a.low(whole=True) < b.low(whole=True) for a, b in pairwise(bands))
    joined = all(a.high(whole=True) == b.low(whole=True) for a, b in pairwise(bands))

    faultless = not list(find_band_faults(bands, domain, whole=True))

    exact = all(len(found) == 1 for found in holders) and all(len(f) <= 1 for f in everywhere)
    assert faultless == (exact and in_order and joined)


@pytest.mark.parametrize(
    ("first", "second", "whole", "rule"),
    [
        ({"at_most": 10}, {"at_least": 11}, True, ""),
        ({"at_most": 10}, {"above": 10}, True, ""),
        ({"below": 11}, {"above": 10}, True, ""),
        ({"at_most": 10}, {"at_least": 11}, False, "gap"),
        ({"at_most": 10}, {"above": 10}, False, ""),
        ({"below": 10}, {"at_least": 10}, False, ""),
        ({"below": 10}, {"above": 10}, False, "gap"),
        ({"below": 10}, {"above": 10}, True, "gap"),
        ({"at_most": 10}, {"at_least": 10}, False, "overlaps"),
        ({"at_most": 10}, {"at_least": 10}, True, "overlaps"),
        ({"at_most": 11}, {"at_least": 10}, True, "overlaps"),
        ({"at_most": 10}, {"at_least": 12}, True, "gap"),
        ({"at_least": 10}, {"below": 10}, False, "overlaps"),
    ],
)
def test_gaps_and_overlaps_are_found_at_the_second_band(
    first: dict[str, object], second: dict[str, object], whole: bool, rule: str
) -> None:
    faults = list(
        find_band_faults([band("a", **first), band("b", **second)], EVERYTHING, whole=whole)
    )
    between = [fault for index, fault in faults if index == 1 and "band before" in fault]

    assert len(between) == bool(rule)
    assert rule in "".join(between)


def test_a_band_between_two_whole_numbers_holds_none() -> None:
    bands = [band("a", above=9, below=10)]

    assert (0, "must hold a whole number") in find_band_faults(bands, EVERYTHING, whole=True)


def test_the_ends_of_the_domain_are_named_when_bands_do_not_reach_them() -> None:
    bands = [band("a", at_least=10, at_most=11)]
    domain = (Cut(0, Fraction(9), 0), Cut(0, Fraction(16), 0))
    parts = (Cut(0, Fraction(1, 3), 1), Cut(0, Fraction(31, 2), 1))

    assert list(find_band_faults(bands, domain, whole=True)) == [
        (0, "leaves a gap before it: values from 9 are possible"),
        (0, "leaves a gap after it: values below 16 are possible"),
    ]
    assert [rule for _, rule in find_band_faults(bands, parts, whole=False)] == [
        "leaves a gap before it: values above 0.333333333333 are possible",
        "leaves a gap after it: values up to 15.5 are possible",
    ]
    assert [rule for _, rule in find_band_faults(bands, EVERYTHING, whole=False)] == [
        "leaves a gap before it: values from the lowest are possible",
        "leaves a gap after it: values up to the highest are possible",
    ]


def test_the_ends_of_bands_can_be_told() -> None:
    assert describe_ends([band("a", at_least=9, at_most=10), band("b", at_least=11, below=16)]) == (
        "from 9 below 16"
    )


@pytest.mark.parametrize(
    "ends",
    [
        {},
        {"at_least": 1, "above": 1},
        {"at_most": 1, "below": 1},
        {"at_least": 2, "at_most": 1},
        {"above": 1, "at_most": 1},
        {"at_least": 1, "below": 1},
    ],
)
def test_an_interval_without_sense_is_refused(ends: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Interval.model_validate(ends)


def test_an_interval_may_be_one_value() -> None:
    point = Interval.model_validate({"at_least": "1.5", "at_most": "1.50"})

    assert point.holds(Fraction(3, 2))
    assert not point.holds(Fraction(3, 2) + Fraction(1, 10**30))
