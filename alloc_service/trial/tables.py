"""The tables of a trial definition, apart from the facts it asks and the whole it makes.

Each table knows the rules that it can check alone; what holds between tables stands in
`consistency`.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from alloc_service.trial.bands import Band, Interval
from alloc_service.trial.fields import (
    ArmCode,
    ChoiceCode,
    LevelCode,
    Line,
    Month,
    Name,
    Passage,
    SiteCode,
    Table,
    Whole,
    ZoneName,
    broken_rule,
)

# Exact: the value as it is. Half-up: the nearest whole number, halves up, as clinicians round.
Rounding: TypeAlias = Literal["exact", "half-up"]


class TrialArm(Table):
    """An arm: its code and share in the list, its name and what is done for the participant."""

    code: ArmCode
    ratio: Annotated[Whole, Field(ge=1, le=16)]
    label: Line
    instruction: Passage


class Site(Table):
    """A place where participants are enrolled; its zone dates their visits."""

    code: SiteCode
    name: Line
    organisation: Line
    address: Line
    time_zone: ZoneName


class Outcome(Table):
    """An outcome and the times at which it is measured, in the words of the record."""

    measure: Line
    time_frame: Line


class Record(Table):
    """What the public registry says about the trial; shown, never computed with."""

    source: Line
    last_update: Line
    sponsor: Line
    responsible_party: Line
    conditions: Annotated[tuple[Line, ...], Field(min_length=1, max_length=32)]
    study_type: Line
    phase: Line
    allocation: Line
    intervention_model: Line
    masking: Line
    primary_purpose: Line
    enrolment: Annotated[Whole, Field(ge=1)]
    start: Month
    primary_completion: Month
    completion: Month
    ages: Line
    sexes: Line
    healthy_volunteers: Annotated[bool, Field(strict=True)]
    outcomes: Annotated[tuple[Outcome, ...], Field(min_length=1, max_length=64)]


class ChildPughTable(Table):
    """Which fact feeds which item of Child-Pugh."""

    code: Literal["child-pugh"]
    label: Line
    bilirubin: Name
    albumin: Name
    inr: Name
    ascites: Name
    encephalopathy: Name


class MeldTable(Table):
    """Which fact feeds which part of MELD."""

    code: Literal["meld"]
    label: Line
    bilirubin: Name
    inr: Name
    creatinine: Name
    dialysis: Name


_NAMES = {"code", "label"}
ScoreTable: TypeAlias = ChildPughTable | MeldTable
AnyScore = Annotated[ScoreTable, Field(discriminator="code")]


def score_inputs(score: ScoreTable) -> dict[str, str]:
    """Return the code of the fact that feeds each input of a score."""
    return {name: getattr(score, name) for name in type(score).model_fields if name not in _NAMES}


class BandsFactor(Table):
    """A factor whose levels are bands over a number or a score, after rounding."""

    kind: Literal["bands"]
    code: Name
    label: Line
    source: Name
    rounding: Rounding
    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=32)]

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes of the levels, in the order of the file."""
        return tuple(band.code for band in self.bands)


class Level(Table):
    """A level of a factor: one or several answers of a choice."""

    code: LevelCode
    label: Line
    choices: Annotated[tuple[ChoiceCode, ...], Field(min_length=1, max_length=32)]


class LevelsFactor(Table):
    """A factor whose levels are the answers of a choice, or groups of them."""

    kind: Literal["levels"]
    code: Name
    label: Line
    source: Name
    levels: Annotated[tuple[Level, ...], Field(min_length=1, max_length=32)]

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes of the levels, in the order of the file."""
        return tuple(level.code for level in self.levels)


class SiteFactor(Table):
    """A factor whose levels are the sites, in the order of the file."""

    kind: Literal["site"]
    code: Name
    label: Line


Factor: TypeAlias = BandsFactor | LevelsFactor | SiteFactor
AnyFactor = Annotated[Factor, Field(discriminator="kind")]


class AskedCriterion(Table):
    """A criterion that the physician answers by yes or no."""

    how: Literal["asked"]
    kind: Literal["inclusion", "exclusion"]
    code: Name
    text: Passage


class CheckedCriterion(Interval):
    """A criterion that the system checks: a number or a score, after rounding, in an interval.

    An inclusion holds inside the interval, an exclusion outside of it.
    """

    how: Literal["checked"]
    kind: Literal["inclusion", "exclusion"]
    code: Name
    text: Passage
    source: Name
    rounding: Rounding


Criterion: TypeAlias = AskedCriterion | CheckedCriterion
AnyCriterion = Annotated[Criterion, Field(discriminator="how")]


class ConsentTable(Table):
    """The wording of the consent, and its version."""

    version: SiteCode
    wording: Passage


class Visit(Table):
    """A follow-up visit, so many days, weeks, months or years after the allocation."""

    code: Name
    label: Line
    days: Annotated[Whole, Field(ge=1, le=3_660)] | None = None
    weeks: Annotated[Whole, Field(ge=1, le=520)] | None = None
    months: Annotated[Whole, Field(ge=1, le=120)] | None = None
    years: Annotated[Whole, Field(ge=1, le=10)] | None = None

    @model_validator(mode="after")
    def _has_one_offset(self) -> Self:
        offsets = [self.days, self.weeks, self.months, self.years]
        if sum(offset is not None for offset in offsets) != 1:
            raise broken_rule("must give exactly one of days, weeks, months and years")
        return self

    @property
    def in_days(self) -> int:
        """Return the offset where it counts days."""
        return (self.days or 0) + 7 * (self.weeks or 0)

    @property
    def in_months(self) -> int:
        """Return the offset where it counts calendar months."""
        return (self.months or 0) + 12 * (self.years or 0)


class Unconfirmed(Table):
    """A part of the definition that somebody has still to confirm, and who."""

    path: Line
    by: Line

    @property
    def sentence(self) -> str:
        """Return the mark as it is shown beside that part."""
        return f"{self.path}: to be confirmed by {self.by}"


class BlockTable(Table):
    """A block type: participants in the block, and its weight in the draw of types."""

    size: Annotated[Whole, Field(ge=1, le=256, repr=False)]
    weight: Annotated[Whole, Field(ge=1, le=1_000, repr=False)]


class DesignTable(Table):
    """What only the statistician may read: never in the stored definition, never in a repr."""

    list_number: Annotated[Whole, Field(ge=1, le=9_999)]
    slots: Annotated[Whole, Field(ge=1, le=1_000_000)]
    blocks: Annotated[tuple[BlockTable, ...], Field(min_length=1, max_length=16, repr=False)]
