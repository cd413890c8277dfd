"""Ed25519 verification in plain Python, for who has nothing but an interpreter.

It signs nothing and holds no secret, so that its running time may depend on what it is given.
The equation is checked without the cofactor, R = [S]B - [h]A as bytes, S is below the order of
the group, and the key is a canonical point: what the library that the service itself uses
accepts, this accepts, and nothing more.

Source: RFC 8032, sections 5.1.3 and 5.1.7; the curve's formulas are of Hisil, Wong, Carter and
Dawson 2008 (extended coordinates, a = -1).
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

# (X, Y, Z, T) of the point (X/Z, Y/Z), with T = XY/Z.
Point: TypeAlias = tuple[int, int, int, int]

PRIME: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
CURVE_D: Final = -121665 * pow(121666, -1, PRIME) % PRIME

_SIGN: Final = 1 << 255
_ROOT_OF_MINUS_ONE: Final = pow(2, (PRIME - 1) // 4, PRIME)
_BASE_BYTES: Final = bytes([0x58]) + bytes([0x66]) * 31
_NEUTRAL: Final = (0, 1, 1, 0)
_WINDOW: Final = 5


def require_canonical_key(public: bytes) -> None:
    """Check that a public key is spelled as RFC 8032 spells a point.

    Raises:
        ValueError: Its y is not below the prime, or its x is 0 and it says that x is odd.
    """
    number = int.from_bytes(public, "little")
    y = number & (_SIGN - 1)
    if len(public) != 32 or y >= PRIME or (number & _SIGN and y in {1, PRIME - 1}):
        raise ValueError("the key is no canonical point")


def check_signature(public: bytes, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature.

    Args:
        public: Raw public key, 32 bytes.
        signature: 64 bytes.
        message: What was signed.

    Raises:
        ValueError: The signature is not this key's over this message, or the key is none.
    """
    require_canonical_key(public)
    multiples = _odd_multiples_against(public)
    scalar = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or scalar >= ORDER:
        raise ValueError("the signature is not canonical")
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    point = _add_multiples(
        (_digits(scalar), _odd_multiples_against(_BASE_BYTES, negated=False)),
        (_digits(int.from_bytes(hashed, "little") % ORDER), multiples),
    )
    if _encode(point) != signature[:32]:
        raise ValueError("the signature is not this key's")


@lru_cache(maxsize=64)
def _odd_multiples_against(public: bytes, *, negated: bool = True) -> Sequence[Point]:
    """Return 1, 3, 5 … 15 times a point, or times its negative."""
    x, y, z, t = _decode(public)
    point = (PRIME - x, y, z, PRIME - t) if negated else (x, y, z, t)
    double = _double(point)
    found = [point]
    while len(found) < 1 << (_WINDOW - 2):
        found.append(_add(found[-1], double))
    return tuple(found)


def _decode(public: bytes) -> Point:
    number = int.from_bytes(public, "little")
    y = number & (_SIGN - 1)
    over, under = (y * y - 1) % PRIME, (CURVE_D * y * y + 1) % PRIME
    cubed = under * under * under
    x = over * cubed * pow(over * cubed * cubed * under, (PRIME - 5) // 8, PRIME) % PRIME
    if (under * x * x + over) % PRIME == 0:
        x = x * _ROOT_OF_MINUS_ONE % PRIME
    if (under * x * x - over) % PRIME:
        raise ValueError("the key is no point of the curve")
    if x & 1 != number >> 255:
        x = PRIME - x
    return x, y, 1, x * y % PRIME


def _encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, PRIME)
    x, y = x * inverse % PRIME, y * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _digits(scalar: int) -> list[int]:
    """Return a scalar in digits of base 2, lowest first: 0, or odd and below 16 in size."""
    digits = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & ((1 << _WINDOW) - 1)
            if digit >= 1 << (_WINDOW - 1):
                digit -= 1 << _WINDOW
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    return digits


def _add_multiples(*terms: tuple[Sequence[int], Sequence[Point]]) -> Point:
    """Return the sum of points, each given by its scalar's digits and its odd multiples."""
    total = _NEUTRAL
    for place in reversed(range(max(len(digits) for digits, _ in terms))):
        total = _double(total)
        for digits, multiples in terms:
            digit = digits[place] if place < len(digits) else 0
            if digit > 0:
                total = _add(total, multiples[digit >> 1])
            elif digit:
                x, y, z, t = multiples[-digit >> 1]
                total = _add(total, (-x, y, z, -t))
    return total


def _add(one: Point, other: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % PRIME
    b = (y1 + x1) * (y2 + x2) % PRIME
    c = 2 * CURVE_D * t1 % PRIME * t2 % PRIME
    d = 2 * z1 * z2 % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _double(point: Point) -> Point:
    x, y, z, _ = point
    a, b = x * x % PRIME, y * y % PRIME
    c = 2 * z * z % PRIME
    h = a + b
    e = h - (x + y) * (x + y) % PRIME
    g = a - b
    f = c + g
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME
