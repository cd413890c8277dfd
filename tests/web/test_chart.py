"""The picture of counts: everything inside its box, names apart, steps that people count in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.web.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_counts

MONTHS = [f"{2026 + month // 12}-{month % 12 + 1:02}" for month in range(60)]


def counts_of(arms: int, months: int) -> st.SearchStrategy[dict[str, list[int]]]:
    numbers = st.lists(st.integers(0, 100_000), min_size=months, max_size=months).map(sorted)
    return st.lists(numbers, min_size=arms, max_size=arms).map(
        lambda rows: {f"ARM-{index}": row for index, row in enumerate(rows)}
    )


@given(st.data(), st.integers(2, 6), st.integers(1, 60))
def test_everything_stands_inside_the_box_and_no_name_covers_another(
    data: st.DataObject, arms: int, months: int
) -> None:
    chart = draw_counts(MONTHS[:months], data.draw(counts_of(arms, months)))

    for line in chart.lines:
        assert len(line.points) == months
        for x, y in line.points:
            assert LEFT <= x <= WIDTH - RIGHT
            assert TOP <= y <= HEIGHT - BOTTOM
    heights = sorted(line.name_at for line in chart.lines)
    assert all(below - above >= 15.8 for above, below in pairwise(heights))
    assert heights[-1] <= HEIGHT - BOTTOM
    assert len(chart.across) <= 4
    assert 2 <= len(chart.up) <= 6


def test_lines_differ_without_colour() -> None:
    chart = draw_counts(["2026-03"], {f"ARM-{index}": [index] for index in range(16)})

    assert len({(line.dashes, line.mark) for line in chart.lines}) == 16


@pytest.mark.parametrize(
    ("top", "words"),
    [
        (0, ["0", "1"]),
        (1, ["0", "1"]),
        (7, ["0", "2", "4", "6", "8"]),
        (18, ["0", "5", "10", "15", "20"]),
        (240, ["0", "50", "100", "150", "200", "250"]),
    ],
)
def test_the_axis_goes_up_in_steps_of_1_2_or_5(top: int, words: list[str]) -> None:
    assert [tick.word for tick in draw_counts(["2026-03"], {"A": [top]}).up] == words


def test_a_long_name_is_shortened_in_the_picture_alone() -> None:
    chart = draw_counts(["2026-03"], {"CONVENTIONAL-TREATMENT": [1]})

    assert chart.lines[0].name == "CONVENTIONA…"
