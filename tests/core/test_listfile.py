"""A list as CSV: one spelling, read strictly, compared line by line."""

import csv
import io
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.design import Arm, BlockSize, Design, Stratum, is_stratum_code
from alloc_service.core.generate import GeneratedList, generate
from alloc_service.core.listfile import (
    HEADER,
    check_csv,
    csv_lines,
    read_csv,
    write_csv,
)
from alloc_service.core.seed import Seed
from alloc_service.errors import ListFileError

VECTORS = Path(__file__).parents[1] / "vectors"
SEED = Seed("0123456789abcdef" * 4)
SALT = "5a17" * 16
ARMS = (Arm("ZEBRA", 1), Arm("OKAPI", 1))


def list_of(*codes: str, slots: int = 5, arms: tuple[Arm, ...] = ARMS) -> GeneratedList:
    strata = tuple(Stratum(code, slots) for code in codes)
    size = sum(arm.ratio for arm in arms) * 2
    return generate(Design("EXAMPLE-01", 1, arms, (BlockSize(size, 1),), strata, SALT), SEED)


LIST = list_of("cp=9-10;meld=<20", "cp=9-10;meld=>=20", 'a "quoted", one')
TEXT = "".join(csv_lines(LIST))
LINES = TEXT.splitlines(keepends=True)


def written(generated: GeneratedList) -> bytes:
    out = io.BytesIO()
    write_csv(generated, out)
    return out.getvalue()


# --- writing ----------------------------------------------------------------------------------


def test_the_csv_of_the_first_vector_has_this_spelling() -> None:
    vector = json.loads((VECTORS / "gen1.json").read_text("utf-8"))
    design = Design.from_bytes(vector["design_jcs"].encode("utf-8"))
    generated = generate(design, Seed(vector["seed"]))

    lines = written(generated).decode("ascii").split("\n")

    nonce = vector["expect"]["first_opening"].rpartition("|")[2]
    assert lines[0] == "stratum,slot,arm,stratum_code,nonce"
    assert lines[1] == f"0,0,A,all,{nonce}"
    assert "".join(line.split(",")[2] for line in lines[1:13]) == vector["expect"]["lists"][0]
    assert lines[13:] == [""]


def test_it_is_utf8_with_lf_alone_and_quotes_only_where_needed() -> None:
    data = written(list_of("肝硬化", "a,b", 'say "x"', "x=1;y=2", "=1+1", " space ", "a|b"))

    assert b"\r" not in data
    assert data.endswith(b"\n")
    assert ",肝硬化,".encode() in data
    assert b',"a,b",' in data
    assert b',"say ""x""",' in data
    assert b",x=1;y=2," in data
    assert b",=1+1," in data
    assert b", space ," in data
    assert data.count(b'"') == 5 * (2 + 6)


def test_any_csv_reader_reads_the_same_cells() -> None:
    rows = list(csv.reader(io.StringIO(TEXT, newline=""), strict=True))

    assert rows[0] == HEADER.split(",")
    assert rows[1:] == [
        [
            str(slot.stratum),
            str(slot.slot),
            slot.arm,
            LIST.design.strata[slot.stratum].code,
            slot.nonce,
        ]
        for slot in LIST.openings()
    ]


codes_ = st.lists(
    st.text(min_size=1, max_size=12).filter(is_stratum_code)
    | st.text('",=;ab\u2028\u00e9', min_size=1, max_size=6),
    min_size=1,
    max_size=4,
    unique=True,
).filter(lambda codes: all(map(is_stratum_code, codes)))


@given(codes=codes_)
@settings(deadline=None)
def test_what_is_written_is_read_back_and_checks(codes: list[str]) -> None:
    generated = list_of(*codes, slots=3)
    data = written(generated)

    rows = read_csv(data)

    assert [(row.stratum, row.slot, row.arm, row.nonce) for row in rows] == [
        (slot.stratum, slot.slot, slot.arm, slot.nonce) for slot in generated.openings()
    ]
    assert [row.stratum_code for row in rows] == [code for code in codes for _ in range(3)]
    check_csv(data, generated)


def test_text_bytes_and_lines_are_read_alike(tmp_path: Path) -> None:
    generated = list_of("a\u2028b", "c")
    data = written(generated)
    file = tmp_path / "list.csv"
    file.write_bytes(data)
    rows = read_csv(data)

    assert rows == read_csv(data.decode("utf-8")) == read_csv(csv_lines(generated))
    with file.open("rb") as lines:
        assert read_csv(lines) == rows
    with file.open(encoding="utf-8", newline="") as text_lines:
        assert read_csv(text_lines) == rows
    with file.open("rb") as lines:
        check_csv(lines, generated)
    check_csv(data.decode("utf-8"), generated)


def test_writing_and_checking_a_long_list_keep_no_more_than_a_line() -> None:
    generated = list_of("a", "b", slots=3_000)
    seen = 0

    class Sink:
        def write(self, data: bytes, /) -> None:
            nonlocal seen
            seen += len(data)

    tracemalloc.start()
    try:
        write_csv(generated, Sink())
        check_csv(csv_lines(generated), generated)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert seen > 400_000
    assert peak < 100_000


# --- reading strictly -------------------------------------------------------------------------

NONCE = LINES[3].rstrip("\n").rpartition(",")[2]


def with_line(number: int, line: str) -> str:
    return "".join([*LINES[: number - 1], line, *LINES[number:]])


def edited(number: int, old: str, new: str) -> str:
    line = LINES[number - 1]
    assert old in line
    return with_line(number, line.replace(old, new, 1))


ROW_RULE = "not spelled as stratum,slot"
CODE_RULE = "the stratum code is no code, or is not quoted"
PLACE_RULE = "the strata follow one another"

SPOILT: dict[str, tuple[str | bytes, int, str]] = {
    "nothing": ("", 1, "the header must be"),
    "an empty line": ("\n", 1, "the header must be"),
    "a header alone": (LINES[0], 2, "the list has no slot"),
    "no header": (TEXT.removeprefix(LINES[0]), 1, "the header must be"),
    "another header": (edited(1, "arm", "group"), 1, "the header must be"),
    "a quoted header": (edited(1, "arm", '"arm"'), 1, "the header must be"),
    "columns in another order": (edited(1, "stratum,slot", "slot,stratum"), 1, "the header must"),
    "the header twice": (LINES[0] + TEXT, 2, ROW_RULE),
    "a byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), 1, "a byte order mark"),
    "a byte order mark in text": ("\ufeff" + TEXT, 1, "a byte order mark"),
    "CR LF": (TEXT.replace("\n", "\r\n"), 1, "a CR"),
    "one CR LF": (edited(4, "\n", "\r\n"), 4, "a CR"),
    "CR alone": (TEXT.replace("\n", "\r"), 1, "a CR"),
    "a cut last line": (TEXT[:-1], 16, "no LF at its end"),
    "a cut last row": (TEXT[:-20], 16, "no LF at its end"),
    "an empty line at the end": (TEXT + "\n", 17, ROW_RULE),
    "an empty line within": (with_line(5, "\n" + LINES[4]), 5, ROW_RULE),
    "bytes that are not UTF-8": (edited(3, "cp", "é").encode("latin-1"), 3, "not UTF-8"),
    "a lone surrogate": (edited(3, "cp", "\ud800"), 3, "not UTF-8"),
    "a column more": (edited(3, "\n", ",x\n"), 3, ROW_RULE),
    "a column less": (with_line(3, LINES[2].rpartition(",")[0] + "\n"), 3, ROW_RULE),
    "a space after a comma": (edited(3, ",", ", "), 3, ROW_RULE),
    "a space at the end": (edited(3, "\n", " \n"), 3, ROW_RULE),
    "a semicolon for a comma": (edited(3, ",", ";"), 3, ROW_RULE),
    "a stratum from 1": (TEXT.replace("\n0,", "\n1,"), 2, PLACE_RULE),
    "a stratum with a leading zero": (edited(3, "0,", "00,"), 3, ROW_RULE),
    "a stratum below zero": (edited(3, "0,", "-0,"), 3, ROW_RULE),
    "a stratum of 5,000 digits": (edited(3, "0,", "9" * 5_000 + ","), 3, ROW_RULE),
    "a stratum in digits of another script": (edited(3, "0,", "\u0660,"), 3, ROW_RULE),
    "a stratum left out": (edited(7, "1,0", "2,0"), 7, PLACE_RULE),
    "a stratum that begins at slot 1": (edited(7, "1,0", "1,1"), 7, PLACE_RULE),
    "a list that begins at slot 1": (edited(2, "0,0", "0,1"), 2, PLACE_RULE),
    "a stratum that comes back": (TEXT + LINES[1], 17, PLACE_RULE),
    "a slot left out": ("".join([*LINES[:3], *LINES[4:]]), 4, "slot 2 is expected"),
    "a slot twice": (with_line(4, LINES[2]), 4, "slot 2 is expected"),
    "two rows swapped": (with_line(3, LINES[3] + LINES[2]), 3, "slot 1 is expected"),
    "a slot with a decimal point": (edited(3, "0,1,", "0,1.0,"), 3, ROW_RULE),
    "no arm": (with_line(3, f"0,1,,cp=9-10;meld=<20,{NONCE}\n"), 3, ROW_RULE),
    "a quoted arm": (with_line(3, f'0,1,"ZEBRA",x,{NONCE}\n'), 3, ROW_RULE),
    "an arm with a space": (with_line(3, f"0,1,ZEBRA ,x,{NONCE}\n"), 3, ROW_RULE),
    "an arm too long": (with_line(3, f"0,1,{'Z' * 33},x,{NONCE}\n"), 3, ROW_RULE),
    "no stratum code": (with_line(2, f"0,0,ZEBRA,,{NONCE}\n"), 2, CODE_RULE),
    "an empty quoted stratum code": (with_line(2, f'0,0,ZEBRA,"",{NONCE}\n'), 2, CODE_RULE),
    "quotes without need": (with_line(2, f'0,0,ZEBRA,"x",{NONCE}\n'), 2, CODE_RULE),
    "a quote within, bare": (with_line(2, f'0,0,ZEBRA,x"y,{NONCE}\n'), 2, ROW_RULE),
    "a quote that does not close": (with_line(2, f'0,0,ZEBRA,"x,{NONCE}\n'), 2, ROW_RULE),
    "a comma without quotes": (with_line(2, f"0,0,ZEBRA,x,y,{NONCE}\n"), 2, ROW_RULE),
    "a stratum code too long": (with_line(2, f"0,0,ZEBRA,{'x' * 201},{NONCE}\n"), 2, CODE_RULE),
    "a stratum code outside NFC": (with_line(2, f"0,0,ZEBRA,e\u0301,{NONCE}\n"), 2, CODE_RULE),
    "a control character": (with_line(2, f"0,0,ZEBRA,a\tb,{NONCE}\n"), 2, CODE_RULE),
    "a NUL": (with_line(2, f"0,0,ZEBRA,a\x00b,{NONCE}\n"), 2, CODE_RULE),
    "another code within a stratum": (
        edited(4, "meld", "MELD"),
        4,
        "the stratum's code has changed",
    ),
    "two strata of one code": (
        TEXT.replace("meld=>=20", "meld=<20"),
        7,
        "two strata have the same code",
    ),
    "a nonce in upper case": (edited(3, LINES[2][-65:], LINES[2][-65:].upper()), 3, ROW_RULE),
    "a nonce too short": (with_line(3, LINES[2][:-2] + "\n"), 3, ROW_RULE),
    "a nonce too long": (edited(3, "\n", "0\n"), 3, ROW_RULE),
}


@pytest.mark.parametrize(("source", "number", "rule"), SPOILT.values(), ids=SPOILT.keys())
def test_another_spelling_is_refused_by_its_first_bad_line(
    source: str | bytes, number: int, rule: str
) -> None:
    with pytest.raises(ListFileError) as refusal:
        read_csv(source)

    assert str(refusal.value).startswith(f"List file, line {number}: {rule}")
    assert not any(arm.code in str(refusal.value) for arm in ARMS)


@pytest.mark.parametrize(("source", "number", "rule"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_file_is_never_the_list(source: str | bytes, number: int, rule: str) -> None:
    with pytest.raises(ListFileError, match=r"^List file, line [0-9]+: ") as refusal:
        check_csv(source, LIST)

    assert not any(arm.code in str(refusal.value) for arm in ARMS)
    assert int(str(refusal.value).split()[3].rstrip(":")) <= number, rule


def test_lines_without_their_ends_are_refused() -> None:
    with pytest.raises(ListFileError, match="line 1: no LF"):
        read_csv(TEXT.split("\n"))


# --- comparing with a list --------------------------------------------------------------------


def other_arm(line: str) -> str:
    first, second = ARMS[0].code, ARMS[1].code
    return line.replace(first, second) if first in line else line.replace(second, first)


@pytest.mark.parametrize("number", range(2, 17))
def test_one_changed_arm_is_found_and_neither_arm_is_named(number: int) -> None:
    changed = with_line(number, other_arm(LINES[number - 1]))
    read_csv(changed)  # well spelled, so only the comparison can tell

    with pytest.raises(ListFileError, match=f"line {number}: not as this design") as refusal:
        check_csv(changed, LIST)

    assert not any(arm.code in str(refusal.value) for arm in ARMS)
    assert not any(arm.code in repr(refusal.value.facts) for arm in ARMS)


@pytest.mark.parametrize("number", [2, 9, 16])
def test_one_changed_digit_of_a_nonce_is_found(number: int) -> None:
    line = LINES[number - 1]
    digit = "1" if line[-2] == "0" else "0"

    with pytest.raises(ListFileError, match=f"line {number}: not as this design"):
        check_csv(with_line(number, f"{line[:-2]}{digit}\n"), LIST)


def test_the_first_of_several_differences_is_named() -> None:
    changed = [*LINES[:4], other_arm(LINES[4]), *LINES[5:9], other_arm(LINES[9]), *LINES[10:]]

    with pytest.raises(ListFileError, match="line 5:"):
        check_csv(changed, LIST)


def test_a_file_that_ends_early_or_late_is_refused() -> None:
    with pytest.raises(ListFileError, match="line 16: the file ends before this line"):
        check_csv(LINES[:-1], LIST)
    with pytest.raises(ListFileError, match="line 1: the file ends before this line"):
        check_csv("", LIST)
    with pytest.raises(ListFileError, match="line 17: the list ends before this line"):
        check_csv([*LINES, LINES[1]], LIST)


def test_the_list_of_another_seed_or_salt_differs_at_its_first_slot() -> None:
    other_seed = generate(LIST.design, Seed("fedcba9876543210" * 4))
    other_salt = generate(replace(LIST.design, salt="77" * 31 + "78"), SEED)

    for other in (other_seed, other_salt):
        with pytest.raises(ListFileError, match="line 2: not as this design and seed give it"):
            check_csv(csv_lines(other), LIST)
