"""Canonical JSON: the vectors, round trips, and every other spelling refused."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.canon import (
    DEEPEST_NESTING,
    LARGEST_INTEGER,
    Json,
    canon,
    parse_canonical,
    parse_object,
)
from alloc_service.errors import CanonError

SMALL = json.loads((Path(__file__).parents[1] / "vectors" / "small.json").read_text("utf-8"))
GOOD = [row for row in SMALL["jcs"] if "error" not in row]
BAD = [row for row in SMALL["jcs"] if "error" in row]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(
    lambda text: unicodedata.normalize("NFC", text)
)
keys = st.text(st.characters(max_codepoint=127), max_size=6)
integers = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize("row", GOOD)
def test_the_vector_has_this_spelling_and_this_hash(row: dict[str, str]) -> None:
    data = canon(json.loads(row["in_json"]))

    assert data.hex() == row["out_utf8_hex"]
    assert hashlib.sha256(data).hexdigest() == row["sha256"]
    assert parse_canonical(data) == json.loads(row["in_json"])


@pytest.mark.parametrize("row", BAD, ids=lambda row: row["error"])
def test_a_vector_that_must_fail_fails_in_writing_and_in_reading(row: dict[str, str]) -> None:
    with pytest.raises(CanonError):
        canon(json.loads(row["in_json"]))
    with pytest.raises(CanonError):
        parse_canonical(row["in_json"].encode("utf-8"))


def test_the_vectors_hold_both_kinds() -> None:
    assert len(GOOD) == 1
    assert len(BAD) == 3


@given(value=values)
@settings(deadline=None)
def test_what_is_written_is_read_back_and_written_the_same(value: Json) -> None:
    data = canon(value)

    assert parse_canonical(data) == value
    assert canon(parse_canonical(data)) == data


@given(value=values, indent=st.sampled_from([None, 0, 2]), ascii_only=st.booleans())
@settings(deadline=None)
def test_of_all_spellings_only_the_canonical_one_is_read(
    value: Json, indent: int | None, ascii_only: bool
) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8")

    if data == canon(value):
        assert parse_canonical(data) == value
    else:
        with pytest.raises(CanonError):
            parse_canonical(data)


@given(data=st.binary(max_size=40) | st.text('{}[]",:01-e.tfn\\u ', max_size=12).map(str.encode))
@settings(deadline=None)
def test_any_bytes_are_read_as_written_or_refused(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except CanonError:
        return
    assert canon(value) == data


OTHER_SPELLINGS = {
    "nothing": b"",
    "white space": b'{"a": 1}',
    "a line end at the end": b'{"a":1}\n',
    "a CR LF at the end": b'{"a":1}\r\n',
    "trailing bytes": b'{"a":1}x',
    "a second document": b'{"a":1}{"a":1}',
    "a NUL at the end": b'{"a":1}\x00',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "Latin-1": '{"a":"é"}'.encode("latin-1"),
    "a key twice": b'{"a":1,"a":2}',
    "a key twice with one value": b'{"a":1,"a":1}',
    "keys out of order": b'{"b":1,"a":1}',
    "a key that is not ASCII": '{"é":1}'.encode(),
    "a key that is not ASCII, escaped": b'{"\\u00e9":1}',
    "a float": b'{"a":1.5}',
    "a float of integer value": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "a negative zero": b'{"a":-0}',
    "a leading zero": b'{"a":01}',
    "a plus sign": b'{"a":+1}',
    "not a number": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "2^53": b'{"a":9007199254740992}',
    "-2^53": b'{"a":-9007199254740992}',
    "an integer of 5,000 digits": b'{"a":' + b"9" * 5_000 + b"}",
    "a letter escaped": b'{"a":"\\u0041"}',
    "a solidus escaped": b'{"a":"\\/"}',
    "an escape in upper case": b'{"a":"\\u001F"}',
    "a raw control character": b'{"a":"\x01"}',
    "an unknown escape": b'{"a":"\\x41"}',
    "text outside NFC": '{"a":"e\u0301"}'.encode(),
    "text outside NFC, escaped": b'{"a":"e\\u0301"}',
    "a compatibility form outside NFC": '{"a":"\u212b"}'.encode(),
    "a lone surrogate, escaped": b'{"a":"\\ud800"}',
    "a lone surrogate, encoded": b'{"a":"\xed\xa0\x80"}',
    "a surrogate pair, escaped": b'{"a":"\\ud83d\\ude00"}',
    "an overlong encoding": b'{"a":"\xc0\xaf"}',
    "single quotes": b"{'a':1}",
    "a comment": b'{"a":1/**/}',
    "a trailing comma": b'{"a":1,}',
    "an open end": b'{"a":1',
    "one level too many": nested(DEEPEST_NESTING + 2),
    "a level too many around text that is not ASCII": b"[" * 33 + '"é"'.encode() + b"]" * 33,
    "500 levels": nested(500),
    "100,000 levels": nested(100_000),
    "100,000 levels without an end": b"[" * 100_000,
}


@pytest.mark.parametrize("data", OTHER_SPELLINGS.values(), ids=OTHER_SPELLINGS.keys())
def test_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(CanonError, match="the design"):
        parse_canonical(data, "the design")


def test_thirty_two_levels_are_written_and_read_and_one_more_is_not() -> None:
    value: Json = 1
    for _ in range(DEEPEST_NESTING):
        value = [value]
    data = b"[" * DEEPEST_NESTING + b"1" + b"]" * DEEPEST_NESTING

    assert canon(value) == data
    assert parse_canonical(data) == value
    with pytest.raises(CanonError, match="deeper than 32"):
        canon([value])
    with pytest.raises(CanonError, match="deeper than 32"):
        parse_canonical(b"[" + data + b"]")


def test_many_brackets_side_by_side_are_not_deep() -> None:
    value = [[number] for number in range(200)]

    assert parse_canonical(canon(value)) == value


def test_the_largest_integers_are_written_and_read() -> None:
    value = [LARGEST_INTEGER, -LARGEST_INTEGER, 0, -1]

    assert canon(value) == b"[9007199254740991,-9007199254740991,0,-1]"
    assert parse_canonical(canon(value)) == value


def test_a_view_of_a_mapping_and_a_tuple_are_spelled_like_a_dict_and_a_list() -> None:
    empty: Mapping[str, Json] = MappingProxyType({})
    view: Mapping[str, Json] = MappingProxyType({"b": (1, 2), "a": empty})

    assert canon(view) == b'{"a":{},"b":[1,2]}'


CYCLE: list[Any] = []
CYCLE.append(CYCLE)

UNSPELLABLE: dict[str, tuple[object, str, str]] = {
    "a float": ({"a": {"b": 1.0}}, r"\$\.a\.b", "type float"),
    "a decimal": ({"a": Decimal(1)}, r"\$\.a", "type Decimal"),
    "bytes": ([b"x"], r"\$\[0\]", "type bytes"),
    "a set": ({"a": {1}}, r"\$\.a", "type set"),
    "an integer beyond the range": ([0, 2**53], r"\$\[1\]", "2\\^53-1"),
    "an integer below the range": ([-(2**53)], r"\$\[0\]", "2\\^53-1"),
    "a key that is an integer": ({"a": {1: 2}}, r"\$\.a", "a key that is not ASCII"),
    "a key that is not ASCII": ({"é": 1}, r"\$", "a key that is not ASCII"),
    "text outside NFC": ({"a": ["e\u0301"]}, r"\$\.a\[0\]", "not in Unicode NFC"),
    "a lone surrogate": ({"a": "x\udc00"}, r"\$\.a", "a lone surrogate"),
    "a cycle": (CYCLE, r"\$(\[0\])+", "deeper than 32"),
}


@pytest.mark.parametrize(("value", "place", "rule"), UNSPELLABLE.values(), ids=UNSPELLABLE.keys())
def test_a_value_without_a_spelling_is_refused_by_place_and_rule(
    value: object, place: str, rule: str
) -> None:
    with pytest.raises(CanonError, match=f"^{place}: .*{rule}"):
        canon(cast("Json", value))


def test_a_refusal_in_reading_names_document_and_place() -> None:
    with pytest.raises(CanonError, match=r"^entry 7\.a\[0\]: text that is not in Unicode NFC"):
        parse_canonical('{"a":["e\u0301"]}'.encode(), "entry 7")


def test_an_object_is_read_as_an_object() -> None:
    assert parse_object(b'{"a":1}') == {"a": 1}


@pytest.mark.parametrize("data", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_what_is_no_object_is_refused_where_one_is_expected(data: bytes) -> None:
    assert canon(parse_canonical(data)) == data
    with pytest.raises(CanonError, match="an object is expected"):
        parse_object(data)
