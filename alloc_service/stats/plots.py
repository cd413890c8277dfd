"""Two pictures of a design: how well it can be guessed, and how far apart its arms can end.

**For the statistician who knows the design, never for a page that enrolling staff can open.**
A picture names no block size unless `name_sizes` is set, so that it does not give them away in
passing, over a shoulder or in an alternative text. But its shape does give them away to anybody
who studies it: the curve of a single block size repeats with that size.

Made to be read by everybody: two colours that differ for every kind of colour vision (after
Okabe and Ito 2008, the orange darker, so that words in it can be read), and line, marker and
words beside the colour; the words stand at what they mean, not in a legend; each picture comes
with a text that says what it shows.

The same figures give the same bytes: no date, a fixed salt for the names inside the SVG, and
matplotlib's own defaults in place of anybody's settings. Those settings are global to the
process, so pictures are drawn one at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from textwrap import wrap
from threading import Lock

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from alloc_service.core.design import Arm, BlockSize
from alloc_service.stats.difference import Difference, final_difference, simple_difference
from alloc_service.stats.predict import guess_chances, guess_rate, simple_guess_rate
from alloc_service.stats.scheme import Floats, Scheme, check_count

# Contrast with white 5.2 and 5.5 to 1; words in them pass WCAG 2.2, 1.4.3 (AA).
BLUE = "#0072B2"
ORANGE = "#B04A00"
INCHES = (8.0, 4.5)
DOTS_PER_INCH = 150
MOST_SLOTS_SHOWN = 240
MARKED_UP_TO = 60
TITLE_COLUMNS = 66
SALT = "alloc-service"

_one_at_a_time = Lock()


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, drawn in the format that is asked for, and the words for who does not see it.

    Attributes:
        alt: Alternative text, to stand wherever the picture stands.
    """

    alt: str
    _draw_as: Callable[[str], bytes] = field(repr=False)

    @property
    def png(self) -> bytes:
        """Return the picture as PNG, 1200 × 675 pixels."""
        return self._draw_as("png")

    @property
    def svg(self) -> bytes:
        """Return the same drawing as SVG; its text is drawn as outlines."""
        return self._draw_as("svg")


def draw_guess_rate(
    blocks: Sequence[BlockSize], arms: Sequence[Arm], slots: int = 40, *, name_sizes: bool = False
) -> Picture:
    """Draw the chance that each slot of a stratum's list is guessed. Confidential.

    Args:
        blocks: The design's block types.
        arms: The design's arms.
        slots: How many slots from the first on, up to 240.
        name_sizes: Name the block sizes in title and alternative text.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `slots` is out of bounds.
    """
    check_count("the number of slots in a picture", slots, MOST_SLOTS_SHOWN, least=2)
    chances = guess_chances(blocks, arms, slots)
    long_run, simple = float(guess_rate(blocks, arms)), float(simple_guess_rate(arms))
    alt = (
        "Line chart: the chance that the next allocation of a stratum is guessed, for its first "
        f"{slots} slots. It lies between {chances.min():.1%} and {chances.max():.1%}, in "
        f"the long run at {long_run:.1%}; under simple randomization at {simple:.1%} throughout."
    )

    def draw(axes: Axes) -> None:
        _draw_guesses(axes, chances, long_run, simple)

    restricted = _name_sizes(blocks, arms) if name_sizes else ""
    return _render(draw, "How often the next allocation is guessed", alt, restricted)


def draw_final_difference(
    blocks: Sequence[BlockSize],
    arms: Sequence[Arm],
    participants: int,
    shares: Sequence[float],
    *,
    name_sizes: bool = False,
) -> Picture:
    """Draw the distribution of the difference between two arms at the end. Confidential.

    Args:
        blocks: The design's block types.
        arms: The design's arms; of more than two, the two with the smallest ratios are shown.
        participants: In the whole trial, up to 20,000; each enters a stratum by chance.
        shares: The strata's relative frequencies, one number a stratum.
        name_sizes: Name the block sizes in title and alternative text.

    Raises:
        DesignError: An arm or a block breaks a rule of rac-gen/1.
        FigureError: `participants` or a share is out of bounds.
    """
    design = final_difference(blocks, arms, participants, shares)
    simple = simple_difference(arms, participants)
    strata = "1 stratum" if len(shares) == 1 else f"{len(shares)} strata"
    alt = (
        f"Bar chart: the final difference between two arms after {participants} participants in "
        f"{strata}. Its standard deviation is {design.deviation:.1f} with permuted blocks "
        f"and {simple.deviation:.1f} under simple randomization; no difference at all has a "
        f"chance of {_chance_of_none(design):.1%} and {_chance_of_none(simple):.1%}."
    )
    unit = "participants"
    if {arm.ratio for arm in arms} != {1}:
        unit += " for each unit of the ratio"

    def draw(axes: Axes) -> None:
        axes.set_xlabel(f"Difference between the arms ({unit})")
        _draw_differences(axes, design, simple)

    title = f"How far apart two arms end: {participants} participants, {strata}"
    return _render(draw, title, alt, _name_sizes(blocks, arms) if name_sizes else "")


def _draw_guesses(axes: Axes, chances: Floats, long_run: float, simple: float) -> None:
    slots = np.arange(1, len(chances) + 1)
    marker = "o" if len(slots) <= MARKED_UP_TO else ""
    axes.plot(slots, chances, color=BLUE, marker=marker, markersize=4, linewidth=1.5)
    axes.axhline(long_run, color=BLUE, linestyle=":", linewidth=1.5)
    axes.axhline(simple, color=ORANGE, linestyle="--", linewidth=2)
    # Outside the axes, one above its line and one below: so they meet neither curve nor each other.
    for level, words, colour, side in (
        (long_run, f"Permuted blocks\nlong run {long_run:.1%}", BLUE, "bottom"),
        (simple, f"Simple\nrandomization\n{simple:.1%}", ORANGE, "top"),
    ):
        axes.annotate(
            words,
            xy=(1.01, level),
            xycoords=axes.get_yaxis_transform(),
            color=colour,
            va=side,
            fontweight="bold",
        )
    axes.set_xlim(0.5, len(slots) + 0.5)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("Slot in the stratum's list")
    axes.set_ylabel("Chance of a correct guess")


def _draw_differences(axes: Axes, design: Difference, simple: Difference) -> None:
    reach = 3 * max(design.deviation, simple.deviation)
    gaps = np.diff(design.values)
    width = 0.8 * (gaps.min() if gaps.size else 1.0)
    axes.bar(design.values, design.chances, width=width, color=BLUE, edgecolor="black")
    shown = np.abs(simple.values) <= reach
    axes.plot(
        simple.values,
        simple.chances,
        color=ORANGE,
        marker="o" if shown.sum() <= MARKED_UP_TO else "",
        markersize=5,
        markeredgecolor="white",
        linestyle="--",
        linewidth=2,
    )
    highest = max(design.chances.max(), simple.chances.max())
    for height, words, colour in (
        (0.85, f"Permuted blocks\n(bars)\nSD {design.deviation:.1f}", BLUE),
        (0.25, f"Simple\nrandomization\n(dashed line)\nSD {simple.deviation:.1f}", ORANGE),
    ):
        axes.annotate(
            words, xy=(1.01, height), xycoords="axes fraction", color=colour, fontweight="bold"
        )
    axes.set_xlim(-reach, reach)
    axes.set_ylim(0, highest * 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel("Chance")


def _chance_of_none(difference: Difference) -> float:
    return float(difference.chances[difference.values == 0].sum())


def _name_sizes(blocks: Sequence[BlockSize], arms: Sequence[Arm]) -> str:
    """Return the words for the block sizes; only for a picture that was asked to name them."""
    scheme = Scheme.of(blocks, arms)
    named = sorted(zip(scheme.sizes, scheme.chances, strict=True))
    words = ", ".join(f"{size} ({float(chance):.0%})" for size, chance in named)
    return f"Restricted: block sizes {words}"


def _render(draw: Callable[[Axes], None], title: str, alt: str, restricted: str) -> Picture:
    """Return a picture that is drawn on a fresh figure, to the same bytes every time."""
    words = f"{alt} {restricted}." if restricted else alt
    about: Mapping[str, Mapping[str, str | None]] = {
        "png": {"Software": None, "Title": title},
        "svg": {"Title": title, "Description": words, "Date": None, "Creator": None},
    }

    def draw_as(kind: str) -> bytes:
        with _one_at_a_time, mpl.rc_context():
            _settle()
            figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
            axes = figure.add_subplot()
            axes.set_title("\n".join([title, *wrap(restricted, TITLE_COLUMNS)]), loc="left")
            draw(axes)
            file = BytesIO()
            figure.savefig(file, format=kind, metadata=about[kind])
        return file.getvalue()

    return Picture(words, draw_as)


def _settle() -> None:
    """Set matplotlib's defaults and what all pictures share; only inside `rc_context`."""
    mpl.rcdefaults()
    mpl.rc("font", family="DejaVu Sans", size=11)  # ships with matplotlib: the same everywhere
    mpl.rc("axes.spines", top=False, right=False)
    mpl.rc("svg", fonttype="path", hashsalt=SALT)
