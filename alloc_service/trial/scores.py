"""Child-Pugh and MELD from laboratory values as typed; exact decimals, never floats.

A laboratory value arrives as the decimal that was typed, with the unit in which it was typed.
Child-Pugh compares it in that unit, with the limits as published for that unit; nothing is
converted, so a value on a limit stays on it. MELD needs mg/dL and converts by the exact factors
1 mg/dL = 17.1 µmol/L of bilirubin and 88.4 µmol/L of creatinine. Both formulas are to be
confirmed by a trial's clinician before its first participant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, TypeAlias

from alloc_service.errors import ScoreError

CHILD_PUGH = "child-pugh"
MELD = "meld"

BILIRUBIN_UNITS: Mapping[str, Decimal] = {"mg/dL": Decimal(1), "umol/L": Decimal("17.1")}
CREATININE_UNITS: Mapping[str, Decimal] = {"mg/dL": Decimal(1), "umol/L": Decimal("88.4")}
ALBUMIN_UNITS: Mapping[str, Decimal] = {"g/dL": Decimal(1), "g/L": Decimal(10)}
INR_UNITS: Mapping[str, Decimal] = {"1": Decimal(1)}
ASCITES = ("none", "mild", "moderate-severe")
ENCEPHALOPATHY = ("none", "grade-1-2", "grade-3-4")
YES_NO = ("yes", "no")

# Both ends of the middle band belong to it.
_BILIRUBIN_BAND = {
    "mg/dL": (Decimal(2), Decimal(3)),
    "umol/L": (Decimal("34.2"), Decimal("51.3")),
}
_ALBUMIN_BAND = {"g/dL": (Decimal("2.8"), Decimal("3.5")), "g/L": (Decimal(28), Decimal(35))}
_INR_BAND = {"1": (Decimal("1.7"), Decimal("2.3"))}

# A MELD of typed decimals is never exactly a half (a rational power of e is no rational number),
# and with 60 digits no value of a dozen digits comes near enough to one to be misjudged.
_PRECISION = 60
_ONE = Decimal(1)
_CREATININE_CAP = Decimal(4)


@dataclass(frozen=True, slots=True)
class Lab:
    """A laboratory value: the decimal as typed, and the unit in which it was typed."""

    value: Decimal = field(repr=False)
    unit: str


@dataclass(frozen=True, slots=True)
class ChildPugh:
    """A Child-Pugh score: 1 to 3 points for each item; the total, 5-15, is whole already."""

    code: ClassVar[str] = CHILD_PUGH

    bilirubin: int
    albumin: int
    inr: int
    ascites: int
    encephalopathy: int

    @property
    def rounded(self) -> int:
        """Return the sum of the points, 5-15."""
        return self.bilirubin + self.albumin + self.inr + self.ascites + self.encephalopathy

    @property
    def exact(self) -> Decimal:
        """Return the sum as a decimal; a sum of points is whole."""
        return Decimal(self.rounded)

    @property
    def grade(self) -> str:
        """Return the class: A for 5-6, B for 7-9, C for 10-15."""
        return "A" if self.rounded <= 6 else "B" if self.rounded <= 9 else "C"


@dataclass(frozen=True, slots=True)
class Meld:
    """A MELD score: `exact` to 60 digits, neither rounded nor bounded."""

    code: ClassVar[str] = MELD

    exact: Decimal

    @property
    def rounded(self) -> int:
        """Return the nearest integer, halves up, bounded to 6-40."""
        return min(max(round_half_up(self.exact), 6), 40)


Score: TypeAlias = ChildPugh | Meld


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """What a score asks for, and what it can be.

    Attributes:
        labs: For each laboratory value its units, as how many of them make one of the first.
        choices: For each graded item its codes, mildest first, or `yes` and `no`.
        lowest: The smallest rounded score.
        highest: The largest rounded score.
        whole: Whether the score is whole before any rounding.
    """

    labs: Mapping[str, Mapping[str, Decimal]]
    choices: Mapping[str, tuple[str, ...]]
    lowest: int
    highest: int
    whole: bool


SCORE_RULES: Mapping[str, ScoreRule] = {
    CHILD_PUGH: ScoreRule(
        labs={"bilirubin": BILIRUBIN_UNITS, "albumin": ALBUMIN_UNITS, "inr": INR_UNITS},
        choices={"ascites": ASCITES, "encephalopathy": ENCEPHALOPATHY},
        lowest=5,
        highest=15,
        whole=True,
    ),
    MELD: ScoreRule(
        labs={"bilirubin": BILIRUBIN_UNITS, "inr": INR_UNITS, "creatinine": CREATININE_UNITS},
        choices={"dialysis": YES_NO},
        lowest=6,
        highest=40,
        whole=False,
    ),
}


def child_pugh(
    *, bilirubin: Lab, albumin: Lab, inr: Lab, ascites: str, encephalopathy: str
) -> ChildPugh:
    """Score the five items of Child-Pugh, each compared in the unit in which it was typed.

    Args:
        bilirubin: mg/dL: < 2, 2-3, > 3 for 1, 2, 3 points; umol/L: < 34.2, 34.2-51.3, > 51.3.
        albumin: g/dL: > 3.5, 2.8-3.5, < 2.8; g/L: > 35, 28-35, < 28.
        inr: < 1.7, 1.7-2.3, > 2.3; its unit is `1`.
        ascites: `none`, `mild` (or controlled by drugs), `moderate-severe` (or refractory).
        encephalopathy: `none`, `grade-1-2` (or controlled), `grade-3-4` (or refractory).

    Raises:
        ScoreError: A value is not above 0, or a unit or a grade is unknown.

    Source: Pugh 1973, Br J Surg 60:646, with INR for the prothrombin time, as in common use.
    """
    rule = SCORE_RULES[CHILD_PUGH]
    labs = {"bilirubin": bilirubin, "albumin": albumin, "inr": inr}
    _check_labs(CHILD_PUGH, labs)
    low, high = _ALBUMIN_BAND[albumin.unit]
    return ChildPugh(
        bilirubin=_rising(bilirubin, _BILIRUBIN_BAND),
        albumin=1 if albumin.value > high else 2 if albumin.value >= low else 3,
        inr=_rising(inr, _INR_BAND),
        ascites=_grade("ascites", ascites, rule.choices["ascites"]),
        encephalopathy=_grade("encephalopathy", encephalopathy, rule.choices["encephalopathy"]),
    )


def meld(*, bilirubin: Lab, inr: Lab, creatinine: Lab, dialysis: bool) -> Meld:
    """Compute MELD: 3.78 ln(bilirubin) + 11.2 ln(INR) + 9.57 ln(creatinine) + 6.43.

    Bilirubin and creatinine count in mg/dL. Each value below 1.0 counts as 1.0; creatinine above
    4.0 mg/dL, or dialysis, counts as 4.0. The rounded score is bounded to 6-40.

    Args:
        bilirubin: mg/dL, or umol/L at 17.1 to one mg/dL.
        inr: Its unit is `1`.
        creatinine: mg/dL, or umol/L at 88.4 to one mg/dL.
        dialysis: Whether there was dialysis at least twice in the week before.

    Raises:
        ScoreError: A value is not above 0, or a unit is unknown.

    Source: Kamath 2001, Hepatology 33:464, with the bounds that UNOS used before 2016.
    """
    _check_labs(MELD, {"bilirubin": bilirubin, "inr": inr, "creatinine": creatinine})
    with localcontext(Context(prec=_PRECISION)):
        kidney = min(_at_least_one(creatinine, CREATININE_UNITS), _CREATININE_CAP)
        exact = (
            Decimal("3.78") * _ln(_at_least_one(bilirubin, BILIRUBIN_UNITS))
            + Decimal("11.2") * _ln(_at_least_one(inr, INR_UNITS))
            + Decimal("9.57") * _ln(_CREATININE_CAP if dialysis else kidney)
            + Decimal("6.43")
        )
    return Meld(exact=exact)


def round_half_up(value: Decimal | Fraction) -> int:
    """Round to the nearest integer, halves up, as clinicians do: 2.5 is 3, -2.5 is -2."""
    over, under = value.as_integer_ratio()
    return (2 * over + under) // (2 * under)


@lru_cache(maxsize=1_024)
def _ln(value: Decimal) -> Decimal:
    # A record is scored several times on its way, and 60 digits take their time.
    return value.ln(Context(prec=_PRECISION))


def _rising(lab: Lab, band: Mapping[str, tuple[Decimal, Decimal]]) -> int:
    low, high = band[lab.unit]
    return 1 if lab.value < low else 2 if lab.value <= high else 3


def _grade(name: str, code: str, codes: tuple[str, ...]) -> int:
    if code not in codes:
        rule = f"must be one of {', '.join(codes)}"
        raise ScoreError(score=CHILD_PUGH, field=name, rule=rule)
    return codes.index(code) + 1


def _at_least_one(lab: Lab, units: Mapping[str, Decimal]) -> Decimal:
    return max(lab.value / units[lab.unit], _ONE)


def _check_labs(score: str, labs: Mapping[str, Lab]) -> None:
    for name, lab in labs.items():
        units = SCORE_RULES[score].labs[name]
        if lab.unit not in units:
            rule = f"the unit must be one of {', '.join(units)}"
            raise ScoreError(score=score, field=name, rule=rule)
        if not (lab.value.is_finite() and lab.value > 0):
            raise ScoreError(score=score, field=name, rule="the value must be above 0")
