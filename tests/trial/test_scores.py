import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alloc_service.errors import ScoreError
from alloc_service.trial.scores import (
    ASCITES,
    ENCEPHALOPATHY,
    SCORE_RULES,
    ChildPugh,
    Lab,
    Meld,
    child_pugh,
    meld,
    round_half_up,
)


def lab(text: str, unit: str = "1") -> Lab:
    return Lab(Decimal(text), unit)


def pugh(**changes: Any) -> ChildPugh:
    """Child-Pugh of someone without any disease, apart from the changes."""
    items: dict[str, Any] = {
        "bilirubin": lab("1", "mg/dL"),
        "albumin": lab("4", "g/dL"),
        "inr": lab("1"),
        "ascites": "none",
        "encephalopathy": "none",
    }
    return child_pugh(**{**items, **changes})


def model(bilirubin: str, inr: str, creatinine: str, *, dialysis: bool = False) -> Meld:
    return meld(
        bilirubin=lab(bilirubin, "mg/dL"),
        inr=lab(inr),
        creatinine=lab(creatinine, "mg/dL"),
        dialysis=dialysis,
    )


def exact_ln(value: Fraction) -> tuple[Fraction, Fraction]:
    """Bounds of ln by rational arithmetic alone: 2^k times a value near 1, and the atanh series."""

    def series(ratio: Fraction) -> tuple[Fraction, Fraction]:
        z = (ratio - 1) / (ratio + 1)
        total, power, terms = Fraction(0), z, 90
        for n in range(terms):
            total += power / (2 * n + 1)
            power = Fraction(int(power * z * z * 10**60), 10**60)
        slack = abs(z) ** (2 * terms) + Fraction(terms, 10**59)
        return 2 * (total - slack), 2 * (total + slack)

    k = 0
    while value >= Fraction(4, 3):
        value, k = value / 2, k + 1
    two, rest = series(Fraction(2)), series(value)
    return k * two[0] + rest[0], k * two[1] + rest[1]


def meld_bounds(bilirubin: Fraction, inr: Fraction, creatinine: Fraction) -> tuple[Fraction, ...]:
    parts = [
        (Fraction("3.78"), max(bilirubin, Fraction(1))),
        (Fraction("11.2"), max(inr, Fraction(1))),
        (Fraction("9.57"), min(max(creatinine, Fraction(1)), Fraction(4))),
    ]
    ends = [(weight * low, weight * high) for weight, v in parts for low, high in [exact_ln(v)]]
    return tuple(Fraction("6.43") + sum(end[side] for end in ends) for side in (0, 1))


@pytest.mark.parametrize(
    ("value", "unit", "points"),
    [
        ("1.9", "mg/dL", 1),
        ("1.9999", "mg/dL", 1),
        ("2", "mg/dL", 2),
        ("2.0", "mg/dL", 2),
        ("3", "mg/dL", 2),
        ("3.0001", "mg/dL", 3),
        ("34.1", "umol/L", 1),
        ("34.1999", "umol/L", 1),
        ("34.2", "umol/L", 2),
        ("51.3", "umol/L", 2),
        ("51.3001", "umol/L", 3),
    ],
)
def test_bilirubin_scores_its_points_in_its_own_unit(value: str, unit: str, points: int) -> None:
    assert pugh(bilirubin=lab(value, unit)).bilirubin == points


@pytest.mark.parametrize(
    ("value", "unit", "points"),
    [
        ("3.5001", "g/dL", 1),
        ("3.5", "g/dL", 2),
        ("2.8", "g/dL", 2),
        ("2.7999", "g/dL", 3),
        ("35.1", "g/L", 1),
        ("35", "g/L", 2),
        ("28.0", "g/L", 2),
        ("27.9", "g/L", 3),
    ],
)
def test_albumin_scores_its_points_in_its_own_unit(value: str, unit: str, points: int) -> None:
    assert pugh(albumin=lab(value, unit)).albumin == points


@pytest.mark.parametrize(
    ("value", "points"),
    [("0.9", 1), ("1.69", 1), ("1.7", 2), ("1.70", 2), ("2.3", 2), ("2.31", 3), ("9", 3)],
)
def test_inr_scores_its_points(value: str, points: int) -> None:
    assert pugh(inr=lab(value)).inr == points


def test_grades_score_one_to_three_points() -> None:
    assert [pugh(ascites=code).ascites for code in ASCITES] == [1, 2, 3]
    assert [pugh(encephalopathy=code).encephalopathy for code in ENCEPHALOPATHY] == [1, 2, 3]


def test_a_value_on_a_limit_is_never_moved_by_a_conversion() -> None:
    # 51.3 µmol/L is 3 mg/dL exactly; in binary floating point 51.3 / 17.1 is below 3.
    assert pugh(bilirubin=lab("51.3", "umol/L")).bilirubin == 2
    assert pugh(bilirubin=lab("51.30", "umol/L")).bilirubin == 2


@pytest.mark.parametrize(
    ("changes", "total", "grade"),
    [
        ({}, 5, "A"),
        ({"inr": lab("2")}, 6, "A"),
        ({"inr": lab("3")}, 7, "B"),
        ({"inr": lab("3"), "ascites": "mild"}, 8, "B"),
        ({"inr": lab("3"), "ascites": "moderate-severe"}, 9, "B"),
        ({"inr": lab("3"), "ascites": "moderate-severe", "encephalopathy": "grade-1-2"}, 10, "C"),
        ({"inr": lab("3"), "ascites": "moderate-severe", "encephalopathy": "grade-3-4"}, 11, "C"),
        (
            {
                "bilirubin": lab("60", "umol/L"),
                "albumin": lab("20", "g/L"),
                "inr": lab("3"),
                "ascites": "moderate-severe",
                "encephalopathy": "grade-3-4",
            },
            15,
            "C",
        ),
    ],
)
def test_child_pugh_sums_to_its_total_and_class(
    changes: dict[str, Any], total: int, grade: str
) -> None:
    score = pugh(**changes)

    assert (score.rounded, score.exact, score.grade) == (total, Decimal(total), grade)


positive = st.decimals("0.0001", "2000", places=4)


@given(positive, positive, positive, st.sampled_from(ASCITES), st.sampled_from(ENCEPHALOPATHY))
def test_child_pugh_always_lies_in_5_to_15(
    bilirubin: Decimal, albumin: Decimal, inr: Decimal, ascites: str, encephalopathy: str
) -> None:
    score = child_pugh(
        bilirubin=Lab(bilirubin, "umol/L"),
        albumin=Lab(albumin, "g/L"),
        inr=Lab(inr, "1"),
        ascites=ascites,
        encephalopathy=encephalopathy,
    )

    rule = SCORE_RULES[score.code]
    assert rule.lowest <= score.rounded <= rule.highest


@given(st.integers(1, 20_000), st.integers(1, 2_000))
def test_both_units_give_the_same_points_for_the_same_sample(bile: int, protein: int) -> None:
    milligrams, grams = Decimal(bile) / 100, Decimal(protein) / 100

    ours = pugh(bilirubin=Lab(milligrams, "mg/dL"), albumin=Lab(grams, "g/dL"))
    theirs = pugh(
        bilirubin=Lab(milligrams * Decimal("17.1"), "umol/L"), albumin=Lab(grams * 10, "g/L")
    )

    assert ours == theirs


def test_meld_of_normal_values_is_its_constant_and_rounds_to_the_lower_bound() -> None:
    for low in ("0.1", "0.9999", "1", "1.0"):
        score = model(low, low, low)
        assert (score.exact, score.rounded) == (Decimal("6.43"), 6)


@pytest.mark.parametrize(
    ("bilirubin", "inr", "creatinine", "start", "rounded"),
    [
        # Worked by hand from tables of logarithms: ln 2 = 0.693147, ln 3 = 1.098612.
        ("2", "1", "1", "9.050096", 9),
        ("1", "2", "1", "14.193248", 14),
        ("1", "1", "2", "13.063418", 13),
        ("3", "2", "2", "24.979420", 25),
        ("1", "1", "3", "16.943719", 17),
    ],
)
def test_meld_follows_its_formula(
    bilirubin: str, inr: str, creatinine: str, start: str, rounded: int
) -> None:
    score = model(bilirubin, inr, creatinine)

    assert abs(score.exact - Decimal(start)) < Decimal("0.00002")
    assert score.rounded == rounded


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ("19.49", 19),
        ("19.4999999999999999999999999999999999", 19),
        ("19.5", 20),
        ("20", 20),
        ("20.5", 21),
        ("5.9", 6),
        ("6.43", 6),
        ("39.5", 40),
        ("40.5", 40),
        ("71.2", 40),
    ],
)
def test_meld_rounds_halves_up_and_is_bounded_to_6_and_40(exact: str, rounded: int) -> None:
    assert Meld(Decimal(exact)).rounded == rounded


@pytest.mark.parametrize(
    ("inr", "exact", "rounded"),
    [
        # INRs with four decimals next to 19.5 and 20, all else normal: ln INR = 13.07 / 11.2.
        ("3.2093", "19.4897", 19),
        ("3.2122", "19.4999", 19),
        ("3.2123", "19.5002", 20),
        ("3.3588", "19.9997", 20),
        ("3.3589", "20.0000", 20),
    ],
)
def test_labs_next_to_19_5_fall_on_their_side(inr: str, exact: str, rounded: int) -> None:
    score = model("1", inr, "1")
    low, high = meld_bounds(Fraction(1), Fraction(inr), Fraction(1))

    assert str(score.exact)[:7] == exact
    assert score.rounded == rounded
    assert low <= Fraction(score.exact) <= high


def test_a_score_that_four_decimals_would_show_as_19_5_is_still_19() -> None:
    score = model("2.6", "1.6", "1.55")

    assert f"{float(score.exact):.4f}" == "19.5000"
    assert score.exact < Decimal("19.5")
    assert score.rounded == 19


@pytest.mark.parametrize("creatinine", ["4.0", "4.1", "12"])
def test_creatinine_above_four_counts_as_four(creatinine: str) -> None:
    assert model("1", "1", creatinine) == model("1", "1", "4")


@pytest.mark.parametrize("creatinine", ["0.5", "1.2", "4", "9"])
def test_dialysis_counts_as_creatinine_of_four(creatinine: str) -> None:
    assert model("2", "1.5", creatinine, dialysis=True) == model("2", "1.5", "4")


def test_creatinine_limits_are_exact_in_micromoles_too() -> None:
    def kidney(value: str) -> Meld:
        return meld(
            bilirubin=lab("1", "mg/dL"),
            inr=lab("1"),
            creatinine=lab(value, "umol/L"),
            dialysis=False,
        )

    assert kidney("353.6") == kidney("353.7") == model("1", "1", "4")
    assert kidney("353.5").exact < model("1", "1", "4").exact
    assert kidney("88.4") == kidney("40") == model("1", "1", "1")
    assert kidney("88.5").exact > Decimal("6.43")


def test_bilirubin_below_its_limit_in_micromoles_counts_as_one() -> None:
    for value in ("5", "17.0999", "17.1"):
        score = meld(
            bilirubin=lab(value, "umol/L"),
            inr=lab("1"),
            creatinine=lab("1", "mg/dL"),
            dialysis=False,
        )
        assert score.exact == Decimal("6.43")


labs = st.decimals("0.1", "80", places=4)


@given(labs, st.decimals("0.5", "20", places=2), labs)
def test_meld_agrees_with_double_precision(
    bilirubin: Decimal, inr: Decimal, creatinine: Decimal
) -> None:
    b, i, c = (max(float(value), 1.0) for value in (bilirubin, inr, creatinine))
    expected = 3.78 * math.log(b) + 11.2 * math.log(i) + 9.57 * math.log(min(c, 4.0)) + 6.43

    assert float(model(str(bilirubin), str(inr), str(creatinine)).exact) == pytest.approx(expected)


@given(
    st.decimals("1.71", "1368", places=2),
    st.decimals("0.5", "20", places=2),
    st.decimals("8.84", "2652", places=2),
)
@example(Decimal("17.1"), Decimal("3.2121"), Decimal("88.4"))
def test_meld_in_micromoles_agrees_with_rational_arithmetic(
    bilirubin: Decimal, inr: Decimal, creatinine: Decimal
) -> None:
    score = meld(
        bilirubin=Lab(bilirubin, "umol/L"),
        inr=Lab(inr, "1"),
        creatinine=Lab(creatinine, "umol/L"),
        dialysis=False,
    )
    low, high = meld_bounds(
        Fraction(bilirubin) / Fraction("17.1"),
        Fraction(inr),
        Fraction(creatinine) / Fraction("88.4"),
    )

    assert high - low < Fraction(1, 10**25)
    assert low <= Fraction(score.exact) <= high
    assert min(max(math.floor(low + Fraction(1, 2)), 6), 40) == score.rounded


@given(st.decimals("-1000", "1000", places=3))
def test_rounding_half_up_picks_the_nearest_and_the_upper_of_two(value: Decimal) -> None:
    rounded = round_half_up(value)

    assert Fraction(-1, 2) < rounded - Fraction(value) <= Fraction(1, 2)


def test_rounding_is_neither_to_even_nor_away_from_zero() -> None:
    halves = ["0.5", "1.5", "2.5", "-0.5", "-1.5", "-2.5"]

    assert [round_half_up(Decimal(text)) for text in halves] == [1, 2, 3, 0, -1, -2]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bilirubin": lab("2", "g/L")}, "bilirubin"),
        ({"albumin": lab("2", "mg/dL")}, "albumin"),
        ({"inr": lab("0")}, "inr"),
        ({"inr": lab("-1")}, "inr"),
        ({"inr": lab("NaN")}, "inr"),
        ({"inr": lab("Infinity")}, "inr"),
        ({"ascites": "some"}, "ascites"),
        ({"encephalopathy": "grade 2"}, "encephalopathy"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ScoreError, match=f"child-pugh, {field}: "):
        pugh(**changes)


def test_meld_refuses_a_unit_it_does_not_know() -> None:
    with pytest.raises(ScoreError, match="meld, creatinine: the unit must be one of mg/dL, umol/L"):
        meld(
            bilirubin=lab("1", "mg/dL"),
            inr=lab("1"),
            creatinine=lab("1", "g/dL"),
            dialysis=False,
        )


def test_a_lab_does_not_show_its_value() -> None:
    assert "2.4" not in repr(lab("2.4", "mg/dL"))
