"""The bytes of an entry: what is read, and that nothing else is."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import Json
from alloc_service.errors import (
    CanonError,
    EntryError,
    EntryTypeError,
    RefusalError,
    VersionError,
)
from alloc_service.log.entry import (
    FIELDS,
    LONGEST,
    format_time,
    parse_time,
    read_entry,
    write_entry,
)
from tests.support.entries import HEX, PERSON, TIME, good, raw, spell

WRONG_TIMES = (
    '"2026-01-02T09:00:00+00:00"',
    '"2026-01-02 09:00:00Z"',
    '"2026-01-02T09:00:00.0Z"',
    '"2026-01-02T24:00:00Z"',
    '"2026-01-02T23:59:60Z"',
    "1767344400",
    "null",
)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        *(("prev", wrong) for wrong in (f'"{HEX[1:]}"', f'"{HEX.upper()}"', "null", "0")),
        *(("seq", wrong) for wrong in ('"0"', "-1", "1.0", "00", "true", "null", str(10**15))),
        *(("time", wrong) for wrong in WRONG_TIMES),
        *(("v", wrong) for wrong in ("1", "null", '["rac-log/1"]')),
        *(("body", wrong) for wrong in ("[]", "null", '"body"', "7")),
        ("extra", "1"),
    ],
)
def test_each_part_of_the_frame_is_refused_where_it_is_of_another_kind(
    part: str, wrong: str
) -> None:
    data = spell("design.read", good(FIELDS["design.read"][0]), **{part: wrong})

    with pytest.raises((EntryError, CanonError)):
        read_entry(data)


@pytest.mark.parametrize("part", ["body", "prev", "seq", "time", "type", "v"])
def test_each_part_of_the_frame_is_refused_where_it_is_missing(part: str) -> None:
    document = json.loads(spell("design.read", good(FIELDS["design.read"][0])))
    del document[part]

    with pytest.raises(EntryError, match=f"missing field {part}"):
        read_entry(raw(document).encode())


@pytest.mark.parametrize("type_", ["slot.revealed", "", "SLOT.ASSIGNED", "slot_assigned"])
def test_a_type_that_this_version_does_not_know_is_named(type_: str) -> None:
    with pytest.raises(EntryTypeError) as refusal:
        read_entry(spell(type_, {"actor": raw(PERSON)}))

    assert refusal.value.facts["type"] == repr(type_)
    assert "entry 0" in str(refusal.value)


@pytest.mark.parametrize("wrong", ["7", "null", '["design.read"]', '{"a":1}'])
def test_a_type_that_is_no_text_is_refused(wrong: str) -> None:
    with pytest.raises(EntryTypeError):
        read_entry(spell("design.read", good(FIELDS["design.read"][0]), type=wrong))


@pytest.mark.parametrize("frame", [{}, {"then": "1"}, {"seq": '"new"'}, {"body": "[]"}])
def test_another_version_is_named_even_where_its_frame_is_another(frame: dict[str, str]) -> None:
    data = spell("design.read", good(FIELDS["design.read"][0]), **{"v": '"rac-log/2"', **frame})

    with pytest.raises(VersionError, match="rac-log/2") as refusal:
        read_entry(json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode())

    assert isinstance(refusal.value, EntryError)


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(lambda text: " " + text, id="space before"),
        pytest.param(lambda text: text + " ", id="space after"),
        pytest.param(lambda text: text + "\n", id="newline after"),
        pytest.param(lambda text: text + "\r\n", id="carriage return after"),
        pytest.param(lambda text: text + "\x00", id="NUL after"),
        pytest.param(lambda text: text + text, id="twice"),
        pytest.param(lambda text: text + "x", id="trailing bytes"),
        pytest.param(lambda text: "\ufeff" + text, id="byte order mark"),
        pytest.param(lambda text: text.replace(":", ": "), id="space after colons"),
        pytest.param(lambda text: text.replace(",", ", "), id="space after commas"),
        pytest.param(lambda text: text.replace("{", "{\n"), id="lines"),
        pytest.param(lambda text: text.replace("manager", "manage\\u0072"), id="escape"),
        pytest.param(lambda text: text.replace("/audit", "\\/audit"), id="escaped slash"),
        pytest.param(lambda text: text.replace('"cap":12', '"cap":12.0'), id="float"),
        pytest.param(lambda text: text.replace('"cap":12', '"cap":1.2e1'), id="exponent"),
        pytest.param(lambda text: text.replace('"cap":12', '"cap":012'), id="leading zero"),
        pytest.param(lambda text: text.replace('"cap":12', '"cap":12,"cap":12'), id="twice a key"),
        pytest.param(lambda text: text.replace('"seq":0', '"seq":0,"seq":0'), id="twice a part"),
        pytest.param(lambda text: text[:-1] + ',"v":"rac-log/1"}', id="twice the version"),
        pytest.param(lambda text: json.dumps(dict(reversed(json.loads(text).items())),
                                             separators=(",", ":")), id="order"),
        pytest.param(lambda text: text[:-1], id="cut"),
        pytest.param(lambda text: text[1:], id="begun late"),
        pytest.param(lambda text: "[" + text + "]", id="in an array"),
        pytest.param(json.dumps, id="in a string"),
    ],
)  # fmt: skip
def test_any_other_spelling_is_refused(rows: list[bytes], spelling: Callable[[str], str]) -> None:
    text = rows[0].decode()
    assert spelling(text) != text

    with pytest.raises((EntryError, CanonError)):
        read_entry(spelling(text).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"7", b"[]", b"{}", b'""', b"NaN", b"[" * 60_000, b"9" * 60_000, b'{"type":[]}'],
    ids=lambda data: data[:9].decode(),
)
def test_what_is_no_entry_at_all_is_refused(data: bytes) -> None:
    with pytest.raises((EntryError, CanonError)):
        read_entry(data)


def test_bytes_that_are_no_text_are_refused(rows: list[bytes]) -> None:
    for data in (b"\xff" + rows[0], rows[0].replace(b"u1", b"\xc3\x28"), rows[0][:-1] + b"\x80"):
        with pytest.raises(CanonError):
            read_entry(data)


@pytest.mark.parametrize(
    "time",
    [
        "2026-02-29T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_date_that_does_not_exist_is_refused(time: str) -> None:
    fields = good(FIELDS["design.read"][0])

    with pytest.raises(EntryError, match="real UTC date"):
        read_entry(spell("design.read", fields, time=raw(time)))


def test_the_last_second_of_a_leap_day_is_a_real_time() -> None:
    fields = good(FIELDS["design.read"][0])

    entry = read_entry(spell("design.read", fields, time='"2028-02-29T23:59:59Z"'))

    assert parse_time(entry.time) == datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)


def of_length(length: int) -> bytes:
    """Return a well-formed `log.recovered` of exactly so many bytes."""
    fields = good(FIELDS["log.recovered"][0])
    bare = len(spell("log.recovered", {**fields, "retired": "[9999]"}))
    several, rest = divmod(length - bare, 5)
    numbers = "[" + ",".join(["9999"] * (1 + several)) + "]"
    longer = {**fields, "retired": numbers, "actor": raw({**PERSON, "id": "u" * (2 + rest)})}
    return spell("log.recovered", longer)


def test_an_entry_may_be_65535_bytes_long_and_not_one_more() -> None:
    longest, too_long = of_length(65_535), of_length(65_536)
    assert (len(longest), len(too_long), LONGEST) == (65_535, 65_536, 65_535)

    assert read_entry(longest).data == longest
    with pytest.raises(EntryError, match="longer than 65,535 bytes"):
        read_entry(too_long)


def test_an_entry_is_written_as_it_is_read(rows: list[bytes]) -> None:
    for data in rows:
        entry = read_entry(data)

        written = write_entry(entry.seq, entry.prev, entry.time, entry.type, entry.body)

        assert written == entry
        assert written.data == data


@pytest.mark.parametrize(
    "body",
    [
        {"actor": PERSON},
        {"actor": PERSON, "list": True},
        {"actor": PERSON, "list": "1"},
        {"actor": PERSON, "list": 1, "note": "text"},
        {"actor": {**PERSON, "name": "Wang"}, "list": 1},
        {"list": 1},
    ],
)
def test_an_entry_is_not_written_where_it_could_not_be_read(body: dict[str, Json]) -> None:
    with pytest.raises(EntryError):
        write_entry(0, "", TIME, "design.read", body)


def test_a_float_is_not_written() -> None:
    body: Any = {"actor": PERSON, "list": 1.0}

    with pytest.raises(CanonError):
        write_entry(0, "", TIME, "design.read", body)


def test_a_refusal_names_the_entry_the_type_and_the_field() -> None:
    fields = good(FIELDS["slot.assigned"][0])

    with pytest.raises(EntryError) as refusal:
        read_entry(spell("slot.assigned", {**fields, "stratum": "true"}, seq="17"))

    assert refusal.value.facts["where"] == "entry 17, slot.assigned"
    assert "stratum" in str(refusal.value.facts["rule"])


@given(
    st.integers(-30_000_000_000, 250_000_000_000),
    st.integers(0, 999_999),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_is_spelled_in_whole_seconds_of_utc(
    seconds: int, microseconds: int, minutes: int
) -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    moment = start + timedelta(seconds=seconds, microseconds=microseconds)
    moment = moment.astimezone(timezone(timedelta(minutes=minutes)))

    text = format_time(moment)

    assert parse_time(text) <= moment < parse_time(text) + timedelta(seconds=1)
    assert parse_time(text).utcoffset() == timedelta(0)
    assert (len(text), text[10], text[-1]) == (20, "T", "Z")


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        format_time(datetime(2026, 1, 2, 9))  # noqa: DTZ001  # the very thing that is refused


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.binary() | st.text().map(str.encode) | json_values.map(lambda v: json.dumps(v).encode()))
def test_whatever_bytes_come_only_a_refusal_is_raised(data: bytes) -> None:
    with pytest.raises(RefusalError):
        read_entry(data)


@given(st.dictionaries(st.sampled_from(["body", "prev", "seq", "time", "type", "v"]), json_values))
def test_whatever_stands_in_the_frame_only_a_refusal_is_raised(frame: dict[str, Any]) -> None:
    document = {**json.loads(spell("design.read", good(FIELDS["design.read"][0]))), **frame}
    data = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    try:
        entry = read_entry(data.encode("utf-8", "surrogatepass"))
    except RefusalError:
        return
    assert entry.data.decode() == data
