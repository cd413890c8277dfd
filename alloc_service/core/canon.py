"""Canonical JSON: the one spelling of everything that is hashed, signed or sealed.

RFC 8785 (JCS), limited to objects with ASCII keys, arrays, NFC strings without lone
surrogates, integers of at most 2^53-1 in size, true, false and null. Floats and duplicate keys
are refused: a lab value or a score is a string, as typed. What is hashed is the stored bytes;
a reader checks that writing what it read gives the same bytes again.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from alloc_service.errors import CanonError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | bool | None"

LARGEST_INTEGER = 2**53 - 1
DEEPEST_NESTING = 32


def canon(value: Json) -> bytes:
    """Return the canonical bytes of a JSON value.

    Raises:
        CanonError: The value has no canonical spelling; the text names the place and the rule.

    Source: RFC 8785, sections 3.2.2 and 3.2.3; for ASCII keys its order is plain byte order.
    """
    if not _is_plain(value, 0):
        _check(value, "$", 0)
    return _write(value, "$")


def parse_canonical(data: bytes, where: str = "document") -> Json:
    """Read canonical bytes strictly: any other spelling of the same value is refused.

    Args:
        data: The bytes, as stored or received.
        where: What the bytes are, for the text of a refusal.

    Raises:
        CanonError: The bytes are not the canonical spelling of a value.
    """
    value = _read(data, where)
    # Duplicate keys, white space, escapes and key order all show as a difference here; floats
    # and long integers are stopped while reading. Only what lies outside ASCII needs a walk,
    # and what could be nested too deep: how deep Python itself reads depends on its version.
    if not data.isascii() or data.count(b"[") + data.count(b"{") > DEEPEST_NESTING:
        _check(value, where, 0)
    if (wanted := _write(value, where)) != data:
        at = f"at byte {_first_difference(wanted, data)}"
        raise CanonError(where=where, rule=f"{at} it leaves the canonical spelling", at=at)
    return value


def parse_object(data: bytes, where: str = "document") -> dict[str, Json]:
    """Read canonical bytes that hold an object, as `parse_canonical` does."""
    value = parse_canonical(data, where)
    if not isinstance(value, dict):
        raise CanonError(where=where, rule="an object is expected")
    return value


def _no_float(_text: str) -> Json:
    raise ValueError("a number with a fraction or an exponent; write it as a string")


def _bounded(text: str) -> int:
    number = int(text) if len(text) <= 17 else LARGEST_INTEGER + 1
    if not -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
        raise ValueError("an integer beyond 2^53-1")
    return number


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_int=_bounded, parse_constant=_no_float)
_ENCODER = json.JSONEncoder(
    # `dict` spells a Mapping that is none, such as a frozen view; `_check` has seen its type.
    ensure_ascii=False,
    allow_nan=False,
    sort_keys=True,
    separators=(",", ":"),
    default=dict,
)


def _read(data: bytes, where: str) -> Json:
    try:
        return cast("Json", _DECODER.decode(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        at = f"at byte {error.start}"
        raise CanonError(where=where, rule=f"{at} it is no text in UTF-8", at=at) from None
    except json.JSONDecodeError as error:
        at = f"at byte {len(error.doc[: error.pos].encode())}"
        raise CanonError(where=where, rule=f"{at} it is no JSON: {error.msg}", at=at) from None
    except (ValueError, RecursionError) as error:
        reason = str(error) or "nested too deep"
        raise CanonError(where=where, rule=f"not readable as JSON: {reason}") from None


def _first_difference(wanted: bytes, data: bytes) -> int:
    pairs = enumerate(zip(wanted, data, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(wanted), len(data)))


def _write(value: Json, where: str) -> bytes:
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise CanonError(where=where, rule="a lone surrogate") from None


def _is_plain(value: Any, depth: int) -> bool:
    """Tell at once of most values that they are fine; of the others, `_check` names the place."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or not _is_plain(item, depth + 1):
                return False
        return depth < DEEPEST_NESTING
    if kind is int:
        return bool(-LARGEST_INTEGER <= value <= LARGEST_INTEGER)
    return value is None or kind is bool


def _check(value: object, path: str, depth: int) -> None:
    if depth > DEEPEST_NESTING:
        raise CanonError(where=path, rule=f"nested deeper than {DEEPEST_NESTING} levels")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            raise CanonError(where=path, rule="an integer beyond 2^53-1")
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise CanonError(where=path, rule="a key that is not ASCII text")
            _check(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    else:
        raise CanonError(where=path, rule=f"a value of type {type(value).__name__}")


def _check_text(text: str, path: str) -> None:
    if text.isascii():
        return
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise CanonError(where=path, rule="a lone surrogate")
    if not unicodedata.is_normalized("NFC", text):
        raise CanonError(where=path, rule="text that is not in Unicode NFC")
