"""The design document of a list: arms, block types, strata; the half of the secret with a shape.

A design is confidential, for it holds the block sizes. Its hash D is public; the random salt
keeps D from confirming a guess of the sizes. Whoever holds design and seed holds the list.

Rules (`rac-gen/1`): 2-16 arms, codes unique, ratio 1-16; 1-16 block types, sizes unique, each a
multiple of the sum of the ratios and at most 256, weight 1-1000; 1-1,000 strata, codes unique;
1-1,000,000 slots a stratum, 2,000,000 a list; list 1-9,999. The order of arms, blocks and
strata is significant.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.errors import DesignError

ALGORITHM = "rac-gen/1"
TEST_PREFIX = "TEST-"

_ID = re.compile(r"[A-Za-z0-9._/-]{1,64}", re.ASCII)
_ARM = re.compile(r"[A-Za-z0-9._+-]{1,32}", re.ASCII)
_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm's code and its integer share of every block."""

    code: str
    ratio: int


@dataclass(frozen=True, slots=True, repr=False)
class BlockSize:
    """A block type: participants in the block, and its weight in the draw of types."""

    size: int
    weight: int

    def __repr__(self) -> str:
        return "BlockSize(…)"


@dataclass(frozen=True, slots=True)
class Stratum:
    """A stratum's code and the length of its list in slots."""

    code: str
    slots: int


@dataclass(frozen=True)
class Design:
    """A design that keeps every rule of rac-gen/1; building a bad one raises `DesignError`.

    Args:
        trial: Trial id; one that starts with `TEST-` is a trial for testing.
        list: List number, 1-9,999; an extension is a new number with a seed of its own.
        arms: 2-16, in an order that matters.
        blocks: 1-16 block types; confidential, hence not in the repr.
        strata: 1-1,000, in an order that matters.
        salt: HEX32, random; confidential, hence not in the repr.
    """

    trial: str
    list: int
    arms: tuple[Arm, ...]
    blocks: tuple[BlockSize, ...] = field(repr=False)
    strata: tuple[Stratum, ...]
    salt: str = field(repr=False, default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        _require(_is_spelled(self.trial, _ID), "trial", "1-64 of A-Z a-z 0-9 . _ / -")
        _require(_between(self.list, 1, 9_999), "list", "an integer from 1 to 9,999")
        _require(_is_spelled(self.salt, _HEX32), "salt", "64 lower-case hexadecimal digits")
        _check_arms(self.arms)
        _check_blocks(self.blocks, self.ratio_sum)
        _check_strata(self.strata)

    @property
    def ratio_sum(self) -> int:
        """Return the smallest possible block: the sum of the arms' ratios."""
        return sum(arm.ratio for arm in self.arms)

    @property
    def slots(self) -> int:
        """Return the slots of all strata together."""
        return sum(stratum.slots for stratum in self.strata)

    @property
    def is_test(self) -> bool:
        """Tell whether this is a trial for testing, which its files and pages must say."""
        return self.trial.startswith(TEST_PREFIX)

    def to_bytes(self) -> bytes:
        """Return the canonical document: confidential, it holds the block sizes."""
        return canon(
            {
                "alg": ALGORITHM,
                "arms": [{"code": arm.code, "ratio": arm.ratio} for arm in self.arms],
                "blocks": [{"size": block.size, "weight": block.weight} for block in self.blocks],
                "list": self.list,
                "salt": self.salt,
                "strata": [{"code": item.code, "slots": item.slots} for item in self.strata],
                "trial": self.trial,
            }
        )

    @cached_property
    def sha256(self) -> str:
        """Return D, the SHA-256 of the document in hexadecimal; public."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Design":
        """Read a design document.

        Raises:
            CanonError: The bytes are not canonical JSON.
            DesignError: A key is unknown or missing, or a value breaks a rule.
        """
        document = parse_object(data, "design")
        names = {"alg", "arms", "blocks", "list", "salt", "strata", "trial"}
        _check_keys(document, names, "document")
        _require(document["alg"] == ALGORITHM, "alg", f"exactly {ALGORITHM}")
        return cls(
            trial=_text(document["trial"], "trial"),
            list=_integer(document["list"], "list"),
            arms=tuple(
                Arm(_text(row["code"], f"{path}.code"), _integer(row["ratio"], f"{path}.ratio"))
                for path, row in _rows(document["arms"], "arms", {"code", "ratio"})
            ),
            blocks=tuple(
                BlockSize(
                    _integer(row["size"], f"{path}.size"),
                    _integer(row["weight"], f"{path}.weight"),
                )
                for path, row in _rows(document["blocks"], "blocks", {"size", "weight"})
            ),
            strata=tuple(
                Stratum(_text(row["code"], f"{path}.code"), _integer(row["slots"], f"{path}.slots"))
                for path, row in _rows(document["strata"], "strata", {"code", "slots"})
            ),
            salt=_text(document["salt"], "salt"),
        )


def _check_arms(arms: Sequence[Arm]) -> None:
    _require(2 <= len(arms) <= 16, "arms", "2 to 16 arms")
    for index, arm in enumerate(arms):
        _require(_is_spelled(arm.code, _ARM), f"arms[{index}].code", "1-32 of A-Z a-z 0-9 . _ + -")
        _require(_between(arm.ratio, 1, 16), f"arms[{index}].ratio", "an integer from 1 to 16")
    _require(len({arm.code for arm in arms}) == len(arms), "arms", "arms of different codes")


def _check_blocks(blocks: Sequence[BlockSize], unit: int) -> None:
    _require(1 <= len(blocks) <= 16, "blocks", "1 to 16 block types")
    for index, block in enumerate(blocks):
        path = f"blocks[{index}]"
        fits = _between(block.size, 1, 256) and block.size % unit == 0
        _require(fits, f"{path}.size", f"a multiple of {unit}, the sum of the ratios, up to 256")
        _require(_between(block.weight, 1, 1_000), f"{path}.weight", "an integer from 1 to 1,000")
    _require(len({block.size for block in blocks}) == len(blocks), "blocks", "different sizes")


def _check_strata(strata: Sequence[Stratum]) -> None:
    _require(1 <= len(strata) <= 1_000, "strata", "1 to 1,000 strata")
    for index, stratum in enumerate(strata):
        path = f"strata[{index}]"
        _require(
            is_stratum_code(stratum.code),
            f"{path}.code",
            "1-200 characters in Unicode NFC, no control character",
        )
        _require(
            _between(stratum.slots, 1, 1_000_000), f"{path}.slots", "an integer from 1 to 1,000,000"
        )
    _require(
        len({item.code for item in strata}) == len(strata), "strata", "strata of different codes"
    )
    total = sum(item.slots for item in strata)
    _require(total <= 2_000_000, "strata", "at most 2,000,000 slots in all")


def is_stratum_code(text: object) -> bool:
    """Tell whether a text may be a stratum's code: 1-200 NFC characters, none a control one."""
    if not isinstance(text, str) or not 1 <= len(text) <= 200:
        return False
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        return False
    return unicodedata.is_normalized("NFC", text)


def _is_spelled(text: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _between(number: object, low: int, high: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and low <= number <= high


def _require(holds: bool, path: str, rule: str) -> None:
    if not holds:
        raise DesignError(path=path, rule=f"must be {rule}")


def _check_keys(row: Mapping[str, Json], names: set[str], path: str) -> None:
    if missing := sorted(names - set(row)):
        raise DesignError(path=path, rule=f"the key {missing[0]!r} is missing")
    if unknown := sorted(set(row) - names):
        raise DesignError(path=path, rule=f"the key {unknown[0]!r} is unknown")


def _rows(value: Json, path: str, names: set[str]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    if not isinstance(value, list):
        raise DesignError(path=path, rule="must be an array")
    for index, row in enumerate(value):
        place = f"{path}[{index}]"
        if not isinstance(row, Mapping):
            raise DesignError(path=place, rule="must be an object")
        _check_keys(row, names, place)
        yield place, row


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise DesignError(path=path, rule="must be a string")
    return value


def _integer(value: Json, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DesignError(path=path, rule="must be an integer")
    return value
