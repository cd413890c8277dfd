"""Numbers as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.web.reading import ASKS, read_number


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("3.5", "3.5"),
        ("3,5", "3.5"),
        (" 3,5 ", "3.5"),
        ("0,35", "0.35"),
        ("0,125", "0.125"),  # nobody writes a thousand as 0,125
        ("1234", "1234"),
        ("-1,5", "-1.5"),
        ("\uff13\uff0e\uff15", "3.5"),
        ("\uff13\uff0c\uff15", "3.5"),
        ("\u0663\u0665", "35"),
        ("\u22124", "-4"),
        ("", ""),
        ("forty", "forty"),
        ("3,5,7", "3,5,7"),
        ("1.234,5", "1.234,5"),
    ],
)
def test_a_number_with_one_meaning_is_read(typed: str, read: str) -> None:
    assert read_number(typed) == (read, "")


@pytest.mark.parametrize("typed", ["1,234", "12,345", "1,234,567", "1,234.5", "\uff11,234"])
def test_a_number_with_two_meanings_is_asked_for(typed: str) -> None:
    assert read_number(typed) == (typed, ASKS)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2).map(lambda it: f"{it:f}"))
def test_a_plain_number_stays_as_it_is(typed: str) -> None:
    assert read_number(typed) == (typed, "")
