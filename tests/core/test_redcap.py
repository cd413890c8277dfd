"""A list as REDCap's allocation table, held against the rules of REDCap's own check."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.generate import GeneratedList, generate
from alloc_service.core.listfile import write_redcap, write_redcap_key
from alloc_service.core.seed import Seed
from alloc_service.errors import ListFileError

SEED = Seed("0123456789abcdef" * 4)
SALT = "5a17" * 16
ARMS = (Arm("ZEBRA", 1), Arm("OKAPI", 1))


def list_of(*codes: str, slots: int = 5, arms: tuple[Arm, ...] = ARMS) -> GeneratedList:
    strata = tuple(Stratum(code, slots) for code in codes)
    size = sum(arm.ratio for arm in arms) * 2
    return generate(Design("EXAMPLE-01", 1, arms, (BlockSize(size, 1),), strata, SALT), SEED)


def redcap(generated: GeneratedList, **options: Any) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of the table and the rows of its key, read by a CSV reader."""
    table, key = io.BytesIO(), io.BytesIO()
    write_redcap_key(write_redcap(generated, table, **options), key)
    read = [
        list(csv.reader(io.StringIO(out.getvalue().decode("utf-8"), newline=""), strict=True))
        for out in (table, key)
    ]
    return read[0], read[1]


def check_as_redcap(table: Sequence[list[str]], key: Sequence[list[str]], strata: int) -> None:
    """The rules of REDCap's check of an upload, open model: header, no blank, known codes."""
    header, *rows = table
    choices: dict[str, set[str]] = {}
    for column, code, _ in key[1:]:
        choices.setdefault(column, set()).add(code)
    assert header[:2] == ["redcap_randomization_group", "redcap_randomization_number"]
    assert len(set(header)) == len(header) == 2 + strata
    assert rows
    for row in rows:
        assert len(row) == len(header)
        for column, cell in zip(header, row, strict=True):
            assert cell == cell.strip() != ""
            assert column == "redcap_randomization_number" or cell in choices[column]
    numbers = [row[1] for row in rows]
    assert len(set(numbers)) == len(numbers)


FACTORS = [f"cp={cp};meld={meld}" for cp in ("9-10", "11-15") for meld in ("<20", ">=20")]


def test_the_table_has_redcaps_columns_and_raw_codes() -> None:
    generated = list_of(*FACTORS, slots=6)
    table, key = redcap(generated, names={"cp": "cp_band", "meld": "meld_band"})

    check_as_redcap(table, key, strata=2)
    assert table[0] == [
        "redcap_randomization_group",
        "redcap_randomization_number",
        "cp_band",
        "meld_band",
    ]
    assert [row[2:] for row in table[1::6]] == [["1", "1"], ["1", "2"], ["2", "1"], ["2", "2"]]
    assert key == [
        ["column", "code", "label"],
        ["redcap_randomization_group", "1", "ZEBRA"],
        ["redcap_randomization_group", "2", "OKAPI"],
        ["cp_band", "1", "9-10"],
        ["cp_band", "2", "11-15"],
        ["meld_band", "1", "<20"],
        ["meld_band", "2", ">=20"],
    ]


def test_the_rows_keep_the_order_of_the_list() -> None:
    arms = (Arm("C", 1), Arm("A", 2), Arm("B", 1))
    generated = list_of(*FACTORS, slots=30, arms=arms)
    table, _ = redcap(generated)

    assert [row[0] for row in table[1:]] == [
        {"C": "1", "A": "2", "B": "3"}[slot.arm] for slot in generated.openings()
    ]
    assert [row[1] for row in table[1:]] == [f"R-{number:04d}" for number in range(1, 121)]


def test_the_table_is_utf8_with_lf_and_no_quotes() -> None:
    out = io.BytesIO()
    write_redcap(list_of("site=西京;sex=F", "site=西京;sex=M"), out)

    assert out.getvalue().startswith(
        b"redcap_randomization_group,redcap_randomization_number,site,sex\n"
    )
    assert out.getvalue().isascii()
    assert not set(b'\r" ') & set(out.getvalue())
    assert out.getvalue().endswith(b",R-0010,1,2\n")


def test_the_numbers_go_on_past_four_digits() -> None:
    table, _ = redcap(list_of("all", slots=10_001))

    assert [row[1] for row in table[-2:]] == ["R-10000", "R-10001"]


def test_levels_are_coded_in_order_of_first_appearance() -> None:
    table, key = redcap(list_of("a=z", "a=m", "a=a", slots=1))

    assert [row[2] for row in table[1:]] == ["1", "2", "3"]
    assert [row[1:] for row in key if row[0] == "a"] == [["1", "z"], ["2", "m"], ["3", "a"]]


NOT_FACTORS = {
    "one stratum without a factor": ["all"],
    "a code without a level": ["a=1", "b"],
    "an empty level": ["a=1;b=", "a=2;b=1"],
    "an empty factor": ["=1", "=2"],
    "a trailing semicolon": ["a=1;", "a=2;"],
    "other factors": ["a=1", "b=1"],
    "a factor more": ["a=1", "a=1;b=1"],
    "factors in another order": ["a=1;b=1", "b=1;a=2"],
    "a factor twice": ["a=1;a=2", "a=1;a=3"],
    "a comma and quotes": ['one, "two"', "three"],
}


@pytest.mark.parametrize("codes", NOT_FACTORS.values(), ids=NOT_FACTORS.keys())
def test_codes_that_are_not_all_factors_stand_in_one_column(codes: list[str]) -> None:
    table, key = redcap(list_of(*codes, slots=2))

    check_as_redcap(table, key, strata=1)
    assert table[0][2] == "stratum"
    assert [row[2] for row in table[1::2]] == [str(n) for n, _ in enumerate(codes, 1)]
    assert [row[2] for row in key if row[0] == "stratum"] == codes


def test_the_one_column_may_have_the_projects_name() -> None:
    table, _ = redcap(list_of("mild", "severe"), names={"stratum": "severity"})

    assert table[0][2] == "severity"


def test_the_longest_name_that_redcap_takes_is_taken() -> None:
    table, _ = redcap(list_of("a=1", "a=2"), names={"a": "x" * 100})

    assert table[0][2] == "x" * 100


BAD_NAMES: dict[str, tuple[list[str], dict[str, str], str]] = {
    "upper case": (["Sex=F", "Sex=M"], {}, "'Sex' is no variable name"),
    "a space": (["age band=1", "age band=2"], {}, "'age band' is no variable name"),
    "a hyphen": (["child-pugh=B", "child-pugh=C"], {}, "is no variable name"),
    "a digit first": (["1a=B", "1a=C"], {}, "is no variable name"),
    "two underscores": (["a__b=B", "a__b=C"], {}, "is no variable name"),
    "an underscore at the end": (["a_=B", "a_=C"], {}, "is no variable name"),
    "a line end": (["a=1", "a=2"], {"a": "a\n"}, "is no variable name"),
    "a comma": (["a=1", "a=2"], {"a": "a,b"}, "is no variable name"),
    "letters past ASCII": (["性别=F", "性别=M"], {}, "is no variable name"),
    "nothing": (["a=1", "a=2"], {"a": ""}, "is no variable name"),
    "101 letters": (["a=1", "a=2"], {"a": "x" * 101}, "is no variable name"),
    "redcap's own": (["a=1", "a=2"], {"a": "redcap_data_access_group"}, "is no variable name"),
    "one name for two": (["a=1;b=1", "a=2;b=1"], {"a": "b"}, "two factors have the column 'b'"),
    "a factor that is not there": (["a=1", "a=2"], {"c": "x"}, "there is no such factor"),
}


@pytest.mark.parametrize(("codes", "names", "rule"), BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_column_that_redcap_would_not_take_is_refused_before_anything_is_written(
    codes: list[str], names: dict[str, str], rule: str
) -> None:
    out = io.BytesIO()

    with pytest.raises(ListFileError, match=rule) as refusal:
        write_redcap(list_of(*codes), out, names)

    assert str(refusal.value).startswith("REDCap table, factor ")
    assert out.getvalue() == b""


def orders(generated: GeneratedList) -> Iterator[str]:
    yield from ("".join(arms) for arms in generated.arms)


def test_the_key_is_the_same_whatever_the_seed() -> None:
    first = list_of(*FACTORS, slots=40)
    second = generate(first.design, Seed("fedcba9876543210" * 4))

    assert list(orders(first)) != list(orders(second))
    assert redcap(first)[1] == redcap(second)[1]
    assert redcap(first)[0] != redcap(second)[0]
