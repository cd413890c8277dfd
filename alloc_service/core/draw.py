"""Seeded words and what is drawn from them: the only randomness that a list has.

A word is a uniform integer of 32 bits. A block reads its words from a stream of its own,
HMAC-SHA256 under the list key, so that no block depends on how many words another one used.
A draw below m rejects the words past the last multiple of m, so that it is exactly uniform.
The words are an argument everywhere: a test injects its own.
"""

import hmac
import struct
from collections.abc import Iterator, Sequence
from typing import Protocol, Self, TypeAlias

from alloc_service.core.design import Arm, BlockSize
from alloc_service.errors import BlockSizeError

Words: TypeAlias = Iterator[int]

WORD_RANGE = 2**32
# The rejection limit of every bound that a shuffle of a block can need; more are computed.
_LIMITS = (0, *(WORD_RANGE - WORD_RANGE % bound for bound in range(1, 257)))


class Mac(Protocol):
    """A keyed HMAC-SHA256 that is copied for each message, which spares the key schedule."""

    def copy(self) -> Self:
        """Return an independent copy."""
        ...

    def update(self, data: bytes, /) -> None:
        """Add message bytes."""
        ...

    def digest(self) -> bytes:
        """Return the 32 bytes of the code."""
        ...

    def hexdigest(self) -> str:
        """Return the code as 64 hexadecimal digits."""
        ...


def keyed_mac(key: str) -> Mac:
    """Return HMAC-SHA256 under the 64 ASCII characters of a key.

    The characters, not the bytes they stand for, are the key: `openssl dgst -sha256 -hmac`
    then repeats every step by hand.
    """
    return hmac.new(key.encode("ascii"), digestmod="sha256")


def seeded_words(list_key: Mac, stratum: int, block: int) -> Words:
    """Yield the 32-bit words of one block, eight from each code, big-endian, first to last."""
    counter = 0
    while True:
        mac = list_key.copy()
        mac.update(b"rac-gen/1|block|%d|%d|%d" % (stratum, block, counter))
        yield from struct.unpack(">8I", mac.digest())
        counter += 1


def below(bound: int, words: Words) -> int:
    """Return a uniform integer from 0 to bound-1; a bound of 1 reads no word.

    Raises:
        ValueError: `bound` is below 1 or above 2^32; no word would ever be taken.

    Source: rejection sampling; the words past the last multiple of `bound` are thrown away.
    """
    if bound == 1:
        return 0
    if not 1 < bound <= WORD_RANGE:
        raise ValueError("a bound is from 1 to 2^32")
    limit = _LIMITS[bound] if bound < len(_LIMITS) else WORD_RANGE - WORD_RANGE % bound
    word = next(words)
    while word >= limit:
        word = next(words)
    return word % bound


def draw_block_size(blocks: Sequence[BlockSize], words: Words) -> int:
    """Return the size of the next block, each type with its weight."""
    rest = below(sum(block.weight for block in blocks), words)
    at = 0
    while rest >= blocks[at].weight:
        rest -= blocks[at].weight
        at += 1
    return blocks[at].size


def permuted_block(arms: Sequence[Arm], size: int, words: Words) -> list[str]:
    """Return the arm codes of one block, every order equally likely.

    Args:
        arms: At least two arms, each weighted by its integer ratio.
        size: Participants in the block; a multiple of the sum of the ratios.
        words: Uniform 32-bit words; rejection sampling makes the draw unbiased.

    Raises:
        BlockSizeError: `size` is no positive multiple of that sum.

    Source: Durstenfeld 1964, CACM 7(7):420 (shuffle); ICH E9 2.3.2 (blocks).
    """
    unit = sum(arm.ratio for arm in arms)
    if size <= 0 or size % unit:
        raise BlockSizeError(size=size, unit=unit)
    block = [arm.code for arm in arms for _ in range(arm.ratio * size // unit)]
    for last in range(size - 1, 0, -1):
        pick = below(last + 1, words)
        block[last], block[pick] = block[pick], block[last]
    return block
