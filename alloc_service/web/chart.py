"""A picture of counts over time, as the places of its lines and words; a template draws it.

Lines differ by dashes and marks and carry their names at their ends, so that no colour is needed.
The template writes attributes alone, for no inline style may stand in a page, and puts the table
with the same numbers beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 96, 14, 34

_DASHES = ("", "7 4", "2 3", "9 3 2 3")
_MARKS = ("circle", "square", "triangle", "diamond")
_LONGEST_NAME = 12
_MOST_MONTHS_NAMED = 4
_MOST_STEPS = 5
_LINE_OF_TEXT = 16


@dataclass(frozen=True, slots=True)
class Tick:
    """A word on an axis, and where along it."""

    at: float
    word: str


@dataclass(frozen=True, slots=True)
class Line:
    """One arm's counts.

    Attributes:
        name: As it stands at the line's end, perhaps shortened.
        points: Of the line, left to right.
        dashes: As SVG writes them; "" is a whole line.
        mark: Shape at each point.
        tone: Which of the four tones of the style sheet.
        name_at: Height of the name.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    dashes: str
    mark: str
    tone: int
    name_at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines and axes, in units of a box of `WIDTH` by `HEIGHT`."""

    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def draw_counts(months: Sequence[str], counts: Mapping[str, Sequence[int]]) -> Chart:
    """Return the picture of counts that grow by the month.

    Args:
        months: YYYY-MM, at least one, without a gap.
        counts: For each name, one number a month.
    """
    top = max((max(numbers) for numbers in counts.values()), default=0)
    step = _step(top)
    highest = max(step * -(-top // step), step)
    ends = [_up(numbers[-1], highest) for numbers in counts.values()]
    lines = tuple(
        Line(
            name=_shorten(name),
            points=tuple(
                (_across(at, len(months)), _up(number, highest))
                for at, number in enumerate(numbers)
            ),
            dashes=_DASHES[index % 4],
            mark=_MARKS[(index + index // 4) % 4],
            tone=index % 4,
            name_at=height,
        )
        for index, ((name, numbers), height) in enumerate(
            zip(counts.items(), _spread(ends), strict=True)
        )
    )
    every = -(-len(months) // _MOST_MONTHS_NAMED)
    across = tuple(
        Tick(_across(at, len(months)), month) for at, month in enumerate(months) if at % every == 0
    )
    up = tuple(Tick(_up(at, highest), str(at)) for at in range(0, highest + 1, step))
    return Chart(lines, across, up)


def _step(top: int) -> int:
    """Return 1, 2 or 5 times a power of ten, so that few steps reach the top."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * _MOST_STEPS >= top:
                return factor * power
        power *= 10


def _across(at: int, months: int) -> float:
    width = WIDTH - LEFT - RIGHT
    return round(LEFT + (width * at / (months - 1) if months > 1 else width / 2), 1)


def _up(number: int, highest: int) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * number / highest, 1)


def _spread(heights: Sequence[float]) -> list[float]:
    """Return heights for words at the ends of lines, moved apart so that none covers another."""
    order = sorted(range(len(heights)), key=lambda at: heights[at])
    found = list(heights)
    for above, below in pairwise(order):
        found[below] = max(found[below], found[above] + _LINE_OF_TEXT)
    too_low = max(0.0, max(found, default=0.0) - (HEIGHT - BOTTOM))
    return [round(height - too_low, 1) for height in found]


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
