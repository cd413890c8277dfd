"""Bands over a number: exact inequalities, and the proof that no value falls between or twice.

A band says each end in words: `at_least` or `above`, `at_most` or `below`; a missing end is
open. Bands follow one another upwards. Over whole numbers `at_most = 10` and then
`at_least = 11` leave no gap, for no whole number lies between; over decimals they do.
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple, Self

from pydantic import model_validator

from alloc_service.trial.fields import LevelCode, Line, Number, Table, broken_rule


class Cut(NamedTuple):
    """A place between numbers: just below `value` (side 0) or just above it (side 1).

    A band runs from one cut to the next, so two bands meet exactly where one's upper cut is
    the other's lower one. `infinity` is -1 or 1 for the ends of the line, else 0.
    """

    infinity: int
    value: Fraction
    side: int


LOWEST = Cut(-1, Fraction(0), 0)
HIGHEST = Cut(1, Fraction(0), 0)


class Interval(Table):
    """Numbers from one end to another; a missing end is open."""

    at_least: Number | None = None
    above: Number | None = None
    at_most: Number | None = None
    below: Number | None = None

    @model_validator(mode="after")
    def _has_ends_in_order(self) -> Self:
        if self.at_least is not None and self.above is not None:
            raise broken_rule("must begin with at_least or with above, not with both")
        if self.at_most is not None and self.below is not None:
            raise broken_rule("must end with at_most or with below, not with both")
        if self.low() == LOWEST and self.high() == HIGHEST:
            raise broken_rule("must have an end: at_least, above, at_most or below")
        if self.low() >= self.high():
            raise broken_rule("must begin below its end")
        return self

    def low(self, *, whole: bool = False) -> Cut:
        """Return the cut where the interval begins; among whole numbers only, if `whole`."""
        if self.at_least is not None:
            return _cut(Fraction(self.at_least), 0, whole)
        return LOWEST if self.above is None else _cut(Fraction(self.above), 1, whole)

    def high(self, *, whole: bool = False) -> Cut:
        """Return the cut where the interval ends; among whole numbers only, if `whole`."""
        if self.at_most is not None:
            return _cut(Fraction(self.at_most), 1, whole)
        return HIGHEST if self.below is None else _cut(Fraction(self.below), 0, whole)

    def holds(self, value: Fraction) -> bool:
        """Tell whether the value lies inside, by exact comparison."""
        low, high = self._ends
        above = low.infinity < 0 or low.value < value or (low.value == value and not low.side)
        below = high.infinity > 0 or value < high.value or (high.value == value and high.side)
        return bool(above and below)

    @cached_property
    def _ends(self) -> tuple[Cut, Cut]:
        return self.low(), self.high()


class Band(Interval):
    """A named level of a factor: the values of an interval."""

    code: LevelCode
    label: Line


def _cut(value: Fraction, side: int, whole: bool) -> Cut:
    if not whole:
        return Cut(0, value, side)
    # Just below v is just below the first whole number from v on; just above v, after v.
    return Cut(0, Fraction(math.floor(value) + 1 if side else math.ceil(value)), 0)


def find_band_faults(
    bands: Sequence[Band], domain: tuple[Cut, Cut], *, whole: bool
) -> Iterator[tuple[int, str]]:
    """Find where the bands leave a value out or hold it twice: (index of the band, rule).

    Args:
        bands: In the order of the file.
        domain: The cuts between which every value must have a band.
        whole: Whether the values are whole numbers.
    """
    for index, band in enumerate(bands):
        if band.low(whole=whole) >= band.high(whole=whole):
            yield index, "must hold a whole number"
    for index in range(1, len(bands)):
        end, begin = bands[index - 1].high(whole=whole), bands[index].low(whole=whole)
        if begin > end:
            yield index, "leaves a gap after the band before it: it must begin where that one ends"
        if begin < end:
            yield index, "overlaps the band before it: bands go upwards, each value in one alone"
    if bands[0].low(whole=whole) > domain[0]:
        yield 0, f"leaves a gap before it: values {_begin(domain[0])} are possible"
    if bands[-1].high(whole=whole) < domain[1]:
        yield len(bands) - 1, f"leaves a gap after it: values {_end(domain[1])} are possible"


def describe_ends(bands: Sequence[Band]) -> str:
    """Say where the bands begin and end, for a refusal."""
    return f"{_begin(bands[0].low())} {_end(bands[-1].high())}"


def _begin(cut: Cut) -> str:
    if cut == LOWEST:
        return "from the lowest"
    return f"{'above' if cut.side else 'from'} {_digits(cut.value)}"


def _end(cut: Cut) -> str:
    if cut == HIGHEST:
        return "up to the highest"
    return f"{'up to' if cut.side else 'below'} {_digits(cut.value)}"


def _digits(value: Fraction) -> str:
    # A limit that was converted between units may have no end; twelve digits name the place.
    with localcontext(Context(prec=12)):
        return format(Decimal(value.numerator) / Decimal(value.denominator), "f")
