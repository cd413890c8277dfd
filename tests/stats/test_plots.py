import re
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import FigureError
from alloc_service.stats.plots import Picture, draw_final_difference, draw_guess_rate

TWO_ARMS = (Arm("A", 1), Arm("B", 1))
FOUR_AND_SIX = (BlockSize(4, 1), BlockSize(6, 1))
# Sizes that no tick, percentage or standard deviation of the pictures happens to be.
ODD_SIZES = (BlockSize(146, 1), BlockSize(178, 1))


@cache
def guess_picture(*, name_sizes: bool = False) -> Picture:
    return draw_guess_rate(FOUR_AND_SIX, TWO_ARMS, name_sizes=name_sizes)


@cache
def difference_picture(*, name_sizes: bool = False) -> Picture:
    return draw_final_difference(FOUR_AND_SIX, TWO_ARMS, 240, [1, 1, 1, 1], name_sizes=name_sizes)


def drawn(picture: Picture) -> tuple[bytes, bytes, str]:
    """Everything that a picture gives."""
    return picture.png, picture.svg, picture.alt


def read_drawing(svg: bytes) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - drawn a moment ago, by us


def words_in(svg: bytes) -> str:
    """The texts of a drawing: matplotlib writes each as a comment before its outlines."""
    comments = re.findall(r"<!--(.*?)-->", svg.decode(), flags=re.DOTALL)
    return "\n".join([*comments, *read_drawing(svg).itertext()])


PICTURES = [guess_picture, difference_picture]


@pytest.mark.parametrize("draw", PICTURES)
def test_a_picture_comes_in_both_formats_with_its_words(draw: Callable[[], Picture]) -> None:
    picture = draw()

    assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture.png[16:24]) == (1200, 675)
    assert read_drawing(picture.svg).tag.endswith("svg")
    assert "Simple" in words_in(picture.svg)
    assert "Permuted blocks" in words_in(picture.svg)
    assert picture.alt in words_in(picture.svg)


def test_the_same_figures_give_the_same_bytes_whatever_others_have_set() -> None:
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": "another", "axes.grid": True}):
        before = dict(mpl.rcParams)
        again = draw_guess_rate(FOUR_AND_SIX, TWO_ARMS)
        png, svg = again.png, again.svg
        after = dict(mpl.rcParams)

    assert (png, svg, again.alt) == drawn(guess_picture())
    assert before == after
    assert b"Matplotlib" not in png
    assert b"Matplotlib" not in svg


def test_threads_draw_the_same_pictures() -> None:
    def draw(_: int) -> tuple[bytes, bytes, str]:
        return drawn(draw_final_difference(FOUR_AND_SIX, TWO_ARMS, 240, [1, 1, 1, 1]))

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(draw, range(2)))

    assert both == [drawn(difference_picture())] * 2


def test_the_words_say_what_the_guess_picture_shows() -> None:
    alt = guess_picture().alt

    assert "first 40 slots" in alt
    assert "in the long run at 69.3%" in alt
    assert "simple randomization at 50.0%" in alt


def test_the_words_say_what_the_difference_picture_shows() -> None:
    alt = difference_picture().alt

    assert "240 participants in 4 strata" in alt
    assert "2.0 with permuted blocks and 15.5 under simple randomization" in alt


def test_no_picture_names_a_block_size_unless_asked() -> None:
    for picture in (
        draw_guess_rate(ODD_SIZES, TWO_ARMS, 60),
        draw_final_difference(ODD_SIZES, TWO_ARMS, 240, [1]),
    ):
        text = words_in(picture.svg) + picture.alt
        assert "146" not in text
        assert "178" not in text
        assert "estricted" not in text


@pytest.mark.parametrize("draw", PICTURES)
def test_a_picture_that_names_its_sizes_says_that_it_is_restricted(
    draw: Callable[..., Picture],
) -> None:
    picture = draw(name_sizes=True)

    assert "Restricted: block sizes 4 (50%), 6 (50%)" in picture.alt
    assert "Restricted: block sizes 4 (50%), 6 (50%)" in words_in(picture.svg)


def test_a_picture_does_not_spill_its_bytes_into_a_log() -> None:
    assert len(repr(guess_picture())) < 1000


def test_unequal_ratios_and_long_lists_have_their_pictures_too() -> None:
    arms, blocks = (Arm("A", 2), Arm("B", 1)), [BlockSize(3, 1), BlockSize(6, 3)]

    difference = draw_final_difference(blocks, arms, 500, [1])
    guesses = draw_guess_rate(blocks, arms, 200)

    assert "for each unit of the ratio" in words_in(difference.svg)
    assert "in 1 stratum." in difference.alt
    assert "simple randomization at 66.7%" in guesses.alt


def test_an_impossible_picture_is_refused() -> None:
    with pytest.raises(FigureError, match="slots in a picture"):
        draw_guess_rate(FOUR_AND_SIX, TWO_ARMS, 241)
    with pytest.raises(FigureError, match="participants"):
        draw_final_difference(FOUR_AND_SIX, TWO_ARMS, 0, [1])
