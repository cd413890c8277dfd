"""How a fuzzer's bytes become something to check: choices, or a valid example that was changed.

The bytes are a tape, read from its start; behind its end are zeros, so that a shorter input is a
simpler one. A variation is either raw bytes, or the number of a valid example and up to
`MOST_CHANGES` changes of four bytes each: what is done, where (two bytes), and with what.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

MOST_CHANGES = 6
RAW = 0

# What readers of text trip over, put in or in the place of something.
WORDS: Sequence[bytes] = (
    b"", b"null", b"true", b"false", b"0", b"-0", b"01", b"1", b"-1", b"1.0", b"1e3", b"NaN",
    b"9007199254740991", b"9007199254740992", b"1" * 5_000, b'""', b'"x"', b"[]", b"{}",
    b'{"a":1}', b'{"a":1,"a":1}', b'["a"]', b'"\\u0041"', b'"\\ud800"', b'"\\u0000"', b"[" * 40,
    b"[" * 32 + b"]" * 32, b"[" * 33 + b"]" * 33, b"[" * 32 + b"0" + b"]" * 32,
    b"\xef\xbb\xbf", b"\r\n", b"\r", b"\n", b"\n\n", b"\x00", b"\x0b", b"\x0c", b"\x1c", b"\x7f",
    b"\t", b" ", "\u0085".encode(), "\u00a0".encode(), "\u2028".encode(), "\u00e9".encode(),
    "e\u0301".encode(), "\u0660".encode(), "\U0001f600".encode(), b"\xed\xa0\x80", b"\xff",
    b"..", b"../x", b"/", b"\\", b"|", b"+", b"=", b",", b":", b"#", "\u2014 ".encode(), b"none",
    b"24:00:00", b"2026-02-29", b"c2sp.org/tlog-proof@v1\n",
)  # fmt: skip
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9]+|[A-Za-z]+|[\[\]{}]')


class Tape:
    """Choices, read from bytes one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def is_over(self) -> bool:
        """Tell whether every byte was read."""
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """Return the next bytes; zeros behind the end."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken.ljust(count, b"\0")

    def rest(self) -> bytes:
        """Return all that is left."""
        taken = self._data[self._at :]
        self._at = len(self._data)
        return taken

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def below(self, count: int) -> int:
        """Return a number from 0 to before `count`."""
        width = 1 if count <= 256 else 3
        return int.from_bytes(self.take(width), "big") % count


class Variation(NamedTuple):
    """What is to be read, and the valid example that it was made from, if any.

    Attributes:
        data: The bytes.
        example: Index of the example; -1 for raw bytes.
        is_changed: Whether the bytes are other than the example's.
    """

    data: bytes
    example: int
    is_changed: bool


def vary(tape: Tape, examples: Sequence[bytes]) -> Variation:
    """Return what the rest of a tape says: raw bytes, or a changed example."""
    choice = tape.below(len(examples) + 1)
    if choice == RAW:
        return Variation(tape.rest(), -1, is_changed=True)
    original = examples[choice - 1]
    data = original
    for _ in range(MOST_CHANGES):
        if tape.is_over:
            break
        data = change(tape, data, examples)
    return Variation(data, choice - 1, is_changed=data != original)


def change(tape: Tape, data: bytes, examples: Sequence[bytes] = ()) -> bytes:
    """Return bytes after the one change that the next four bytes of a tape name."""
    how = _CHANGES[tape.below(len(_CHANGES))]
    at = int.from_bytes(tape.take(2), "big") % (len(data) + 1)
    return how(data, at, tape.byte(), examples)


Change: TypeAlias = Callable[[bytes, int, int, Sequence[bytes]], bytes]


def _flip(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    return data[:at] + bytes(byte ^ (what or 1) for byte in data[at : at + 1]) + data[at + 1 :]


def _set(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    return data[:at] + bytes([what]) + data[at + 1 :]


def _insert(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    return data[:at] + bytes([what]) + data[at:]


def _delete(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    return data[:at] + data[at + what + 1 :]


def _truncate(data: bytes, at: int, _what: int, _examples: Sequence[bytes]) -> bytes:
    return data[:at]


def _mark(data: bytes, _at: int, _what: int, _examples: Sequence[bytes]) -> bytes:
    return b"\xef\xbb\xbf" + data


def _end_by_cr_lf(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    count = -1 if what & 1 else 1
    return data[:at] + data[at:].replace(b"\n", b"\r\n", count)


def _double(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    return data[: at + what + 1] + data[at:]


def _double_line(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    start = data.rfind(b"\n", 0, at) + 1
    end = data.find(b"\n", at) + 1 or len(data)
    line = data[start:end]
    return data[:start] + line * (what % 3) + data[end:]


def _swap_lines(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    if len(lines) > 1:
        one, two = at % len(lines), what % len(lines)
        lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def _put_word(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    return data[:at] + WORDS[what % len(WORDS)] + data[at:]


def _replace_token(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    token = _TOKEN.search(data, at)
    if token is None:
        return data
    return data[: token.start()] + WORDS[what % len(WORDS)] + data[token.end() :]


def _copy_token(data: bytes, at: int, what: int, _examples: Sequence[bytes]) -> bytes:
    tokens = [*_TOKEN.finditer(data)]
    token = _TOKEN.search(data, at)
    if token is None:
        return data
    other = tokens[what % len(tokens)]
    return data[: token.start()] + other[0] + data[token.end() :]


def _splice(data: bytes, at: int, what: int, examples: Sequence[bytes]) -> bytes:
    if not examples:
        return data
    return data[:at] + examples[what % len(examples)][at:]


_CHANGES: Sequence[Change] = (
    _flip, _set, _insert, _delete, _truncate, _mark, _end_by_cr_lf, _double, _double_line,
    _swap_lines, _put_word, _replace_token, _copy_token, _splice,
)  # fmt: skip
CHANGES: Mapping[str, int] = {how.__name__.removeprefix("_"): n for n, how in enumerate(_CHANGES)}


def script(example: int, *changes: tuple[str, int, int]) -> bytes:
    """Return the tape of a changed example: its index, and what is done, where, with what."""
    spelled = bytes([example + 1])
    for how, at, what in changes:
        spelled += bytes([CHANGES[how]]) + at.to_bytes(2, "big") + bytes([what])
    return spelled
