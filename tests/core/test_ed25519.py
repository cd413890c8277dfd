"""Ed25519 in plain Python against the library that the service uses, on good and on bad bytes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core import ed25519
from alloc_service.core.ed25519 import ORDER, PRIME
from alloc_service.log import signature as library

# RFC 8032, section 7.1: tests 1, 2 and 3.
VECTORS = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
            "f9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
            "f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
            "4dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
)

NEUTRAL = (1).to_bytes(32, "little")
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()


def signed(number: int) -> bytes:
    """Return these 32 bytes with the sign of x set."""
    return (number | 1 << 255).to_bytes(32, "little")


def accepts(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell what both say, who must say the same."""
    said = []
    for check in (ed25519.check_signature, library.check_signature):
        try:
            check(public, signature, message)
        except ValueError:
            said.append(False)
        else:
            said.append(True)
    assert said[0] == said[1]
    return said[0]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc_are_accepted(public: str, message: str, signature: str) -> None:
    assert accepts(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200))
def test_what_the_library_signs_is_accepted(seed: bytes, message: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()

    assert accepts(public, private.sign(message), message)
    assert not accepts(public, private.sign(message), message + b"!")


def test_every_flipped_bit_is_refused() -> None:
    good = PRIVATE.sign(b"a checkpoint")

    for bit in range(8 * 64):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert not accepts(PUBLIC, bytes(bad), b"a checkpoint")
    for bit in range(8 * 32):
        key = bytearray(PUBLIC)
        key[bit // 8] ^= 1 << bit % 8
        assert not accepts(bytes(key), good, b"a checkpoint")


@given(key=st.binary(min_size=32, max_size=32), signature=st.binary(min_size=64, max_size=64))
def test_random_bytes_are_refused_by_both(key: bytes, signature: bytes) -> None:
    assert not accepts(key, signature, b"a checkpoint")


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    good = PRIVATE.sign(b"m")

    assert not accepts(PUBLIC, (good + b"\x00")[:length], b"m")


def test_a_scalar_beyond_the_order_is_refused() -> None:
    good = PRIVATE.sign(b"m")
    scalar = int.from_bytes(good[32:], "little")

    assert not accepts(PUBLIC, good[:32] + (scalar + ORDER).to_bytes(32, "little"), b"m")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="canonical point"):
        ed25519.check_signature((PUBLIC + b"\x00")[:length], PRIVATE.sign(b"m"), b"m")


def test_another_spelling_of_a_key_is_refused_although_the_library_takes_it() -> None:
    signature = NEUTRAL + bytes(32)  # fits the neutral point as a key, over any message

    assert accepts(NEUTRAL, signature, b"m")
    assert not accepts((1 + PRIME).to_bytes(32, "little"), signature, b"m")
    assert not accepts(signed(1), signature, b"m")
    assert not accepts(NEUTRAL, (1 + PRIME).to_bytes(32, "little") + bytes(32), b"m")
    assert not accepts(NEUTRAL, signed(1) + bytes(32), b"m")


@pytest.mark.parametrize("y", [0, 1, PRIME - 1, 2, 3])
def test_points_of_small_order_and_none_are_judged_alike(y: int) -> None:
    public = y.to_bytes(32, "little")
    verdicts = {accepts(public, NEUTRAL + bytes(32), bytes([at])) for at in range(30)}

    assert verdicts <= {True, False}
    assert (True in verdicts) == (y in {0, 1, PRIME - 1})
