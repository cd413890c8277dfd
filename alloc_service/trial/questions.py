"""The facts that a trial asks about a participant: what is asked, in which units, within what.

A number has bounds for each unit, so that 68 typed beside the wrong unit is noticed: outside
`possible` it is refused, outside `likely` it must be confirmed. Both bounds belong to the range.
Values are compared across units exactly, as fractions of the first unit; nothing is rounded.
"""

from fractions import Fraction
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from alloc_service.trial.fields import (
    ChoiceCode,
    Line,
    Name,
    Number,
    Table,
    UnitCode,
    broken_rule,
)
from alloc_service.trial.scores import YES_NO


class Unit(Table):
    """A unit in which a number may be typed.

    Attributes:
        code: As in UCUM, such as `umol/L`; `1` for a number without a dimension.
        label: As it is shown.
        per_base: How many of this unit make one of the fact's first unit, exactly.
        possible: Outside of it a value is refused.
        likely: Outside of it a value must be confirmed.
    """

    code: UnitCode
    label: Line
    per_base: Number
    possible: tuple[Number, Number]
    likely: tuple[Number, Number]

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.per_base <= 0:
            raise broken_rule("must be above 0", "per_base")
        for name, (low, high) in (("possible", self.possible), ("likely", self.likely)):
            if low > high:
                raise broken_rule("must run from the smaller to the larger value", name)
        if self.likely[0] < self.possible[0] or self.likely[1] > self.possible[1]:
            raise broken_rule("must lie within what is possible", "likely")
        return self


class NumberQuestion(Table):
    """A number, whole or with a fraction; the first unit is the one that bounds are told in."""

    kind: Literal["integer", "decimal"]
    code: Name
    label: Line
    units: Annotated[tuple[Unit, ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _has_a_base_unit(self) -> Self:
        if self.units[0].per_base != 1:
            raise broken_rule("must be 1 for the first unit", "units[0].per_base")
        if self.kind == "integer" and len(self.units) > 1:
            raise broken_rule("must hold one unit: a whole number is not converted", "units")
        return self

    @property
    def whole(self) -> bool:
        """Tell whether the values are whole numbers."""
        return self.kind == "integer"

    def limits(self) -> tuple[Fraction, Fraction]:
        """Return the smallest and the largest possible value of all units, in the first one."""
        lows = [Fraction(unit.possible[0]) / Fraction(unit.per_base) for unit in self.units]
        highs = [Fraction(unit.possible[1]) / Fraction(unit.per_base) for unit in self.units]
        return min(lows), max(highs)


class Choice(Table):
    """One answer among those of a choice."""

    code: ChoiceCode
    label: Line


class ChoiceQuestion(Table):
    """One of a few answers."""

    kind: Literal["choice"]
    code: Name
    label: Line
    choices: Annotated[tuple[Choice, ...], Field(min_length=2, max_length=32)]

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes of the answers, in the order of the file."""
        return tuple(choice.code for choice in self.choices)


class YesNoQuestion(Table):
    """A question that is answered by yes or no."""

    kind: Literal["yes-no"]
    code: Name
    label: Line

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the two answers."""
        return YES_NO


Question: TypeAlias = NumberQuestion | ChoiceQuestion | YesNoQuestion
AnyQuestion = Annotated[Question, Field(discriminator="kind")]
