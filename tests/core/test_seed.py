"""Seeds: 256 random bits, typed for a test trial only, never in an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.seed import Seed
from alloc_service.errors import SeedError, TypedSeedError

GOOD = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


def design_of(trial: str) -> Design:
    return Design(trial, 1, (Arm("A", 1), Arm("B", 1)), (BlockSize(4, 1),), (Stratum("all", 12),))


BAD = {
    "nothing": "",
    "63 digits": GOOD[:-1],
    "65 digits": GOOD + "0",
    "32 digits": GOOD[:32],
    "upper case": GOOD.upper(),
    "one digit in upper case": GOOD[:-1] + "F",
    "a letter past f": GOOD[:-1] + "g",
    "a line end": GOOD + "\n",
    "a line end for a digit": GOOD[:-1] + "\n",
    "a space before it": " " + GOOD[:-1],
    "a prefix": "0x" + GOOD[:-2],
    "digits of another script": GOOD[:-1] + "\u0661",
    "full-width digits": GOOD[:-1] + "\uff11",
    "a word": "my favourite seed",
    "a NUL": GOOD[:-1] + "\x00",
}


@pytest.mark.parametrize("digits", BAD.values(), ids=BAD.keys())
def test_what_is_not_64_lower_case_hexadecimal_digits_is_refused(digits: str) -> None:
    with pytest.raises(SeedError, match="64 characters of 0-9 and a-f") as refusal:
        Seed(digits)

    assert GOOD[:16] not in str(refusal.value)
    assert refusal.value.code == "bad-seed"


@pytest.mark.parametrize("digit", "0123456789abcdef")
def test_one_digit_repeated_is_refused(digit: str) -> None:
    with pytest.raises(SeedError, match="one digit repeated") as refusal:
        Seed(digit * 64)

    assert digit * 8 not in str(refusal.value)


@given(raw=st.binary(min_size=32, max_size=32).filter(lambda raw: len(set(raw.hex())) > 1))
def test_any_other_32_bytes_are_a_seed(raw: bytes) -> None:
    assert Seed(raw.hex()).digits == raw.hex()


def test_a_fresh_seed_is_never_the_same() -> None:
    assert len({Seed.fresh().digits for _ in range(50)}) == 50


def test_a_typed_seed_is_taken_for_a_test_trial() -> None:
    assert Seed.typed(GOOD, design_of("TEST-NCT01728727")) == Seed(GOOD)


@pytest.mark.parametrize("trial", ["NCT01728727", "test-1", "TEST", "MY-TEST-1", "TESTING-1"])
def test_a_typed_seed_is_refused_for_any_other_trial(trial: str) -> None:
    with pytest.raises(TypedSeedError, match="starts with TEST-") as refusal:
        Seed.typed(GOOD, design_of(trial))

    assert GOOD[:16] not in str(refusal.value)
    assert trial in str(refusal.value)


@pytest.mark.parametrize("digits", ["0" * 64, GOOD.upper(), "password", GOOD[:40]])
def test_a_bad_typed_seed_is_refused_even_for_a_test_trial(digits: str) -> None:
    with pytest.raises(SeedError):
        Seed.typed(digits, design_of("TEST-1"))
