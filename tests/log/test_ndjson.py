"""An exported `entries.ndjson`: its exact bytes, a line each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import IntegrityError, LogFaultError, LogFileError
from alloc_service.log.verify import read_ndjson, verify_log


def test_an_exported_log_is_read_back_byte_for_byte(rows: list[bytes]) -> None:
    data = b"".join(row + b"\n" for row in rows)

    assert list(read_ndjson(data)) == rows
    assert verify_log(read_ndjson(data)).size == len(rows)


def test_an_empty_file_is_a_log_without_entries() -> None:
    assert list(read_ndjson(b"")) == []
    with pytest.raises(LogFaultError, match="no entry at all"):
        verify_log(read_ndjson(b""))


@pytest.mark.parametrize(
    ("data", "line", "rule"),
    [
        (b"\xef\xbb\xbfa\n", 1, "byte order mark"),
        (b"\xef\xbb\xbf", 1, "byte order mark"),
        (b"a\r\nb\n", 1, "CR LF"),
        (b"a\nb\r\n", 2, "CR LF"),
        (b"a\n\r\n", 2, "CR LF"),
        (b"\na\n", 1, "empty"),
        (b"a\n\nb\n", 2, "empty"),
        (b"a\nb\n\n", 3, "empty"),
        (b"a", 1, "not ended by LF"),
        (b"a\nb", 2, "not ended by LF"),
        (b"a\nb\r", 2, "not ended by LF"),
    ],
)
def test_a_file_that_was_spelled_anew_is_refused_with_its_line(
    data: bytes, line: int, rule: str
) -> None:
    with pytest.raises(LogFileError, match=rule) as refusal:
        list(read_ndjson(data))

    assert refusal.value.facts["line"] == line
    assert isinstance(refusal.value, IntegrityError)


def test_a_broken_line_does_not_hide_an_entry_that_is_bad_before_it(rows: list[bytes]) -> None:
    edited = [*rows[:3], rows[3].replace(b'"u3"', b'"u9"'), *rows[4:]]
    data = b"".join(row + b"\n" for row in edited)
    start = len(b"\n".join(edited[:5])) + 1

    with pytest.raises(LogFaultError) as refusal:
        verify_log(read_ndjson(data[:start] + b"\n" + data[start:]))

    assert (refusal.value.facts["seq"], refusal.value.facts["last"]) == (3, 4)


def test_a_broken_line_stops_a_verification_that_found_nothing_before_it(
    rows: list[bytes],
) -> None:
    data = b"".join(row + b"\r\n" if seq == 6 else row + b"\n" for seq, row in enumerate(rows))

    with pytest.raises(LogFileError, match="line 7"):
        verify_log(read_ndjson(data))


lines = st.binary(min_size=1).filter(lambda line: b"\n" not in line and line[-1:] != b"\r")


@given(st.lists(lines))
def test_any_lines_are_read_back_as_they_were_written(written: list[bytes]) -> None:
    data = b"".join(line + b"\n" for line in written)

    if data.startswith(b"\xef\xbb\xbf"):
        return
    assert list(read_ndjson(data)) == written
