"""The seed of a list: 64 lower-case hexadecimal digits, as secret as the list itself.

With 32 bits a list of 240 is found from its first 40 known arms by trying every seed. A seed
here is 256 bits from the operating system, or from the ceremony; one that somebody typed is
taken for a test trial only, and one digit repeated is refused even there.
"""

import re
import secrets
from dataclasses import dataclass

from alloc_service.core.design import Design
from alloc_service.core.secret import Secret
from alloc_service.errors import SeedError, TypedSeedError

_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Seed(Secret):
    """A seed; its digits never appear in a repr, a pickle, a log line or an error."""

    digits: str

    def __post_init__(self) -> None:
        if not _HEX32.fullmatch(self.digits):
            raise SeedError(rule="it is not exactly 64 characters of 0-9 and a-f")
        if len(set(self.digits)) == 1:
            raise SeedError(rule="it is one digit repeated")

    @classmethod
    def fresh(cls) -> "Seed":
        """Return 32 bytes from the operating system's generator."""
        return cls(secrets.token_hex(32))

    @classmethod
    def typed(cls, digits: str, design: Design) -> "Seed":
        """Return a seed that somebody chose, for a test trial only.

        Raises:
            TypedSeedError: The design's trial is not a test.
            SeedError: The digits are no seed.
        """
        if not design.is_test:
            raise TypedSeedError(trial=design.trial)
        return cls(digits)
