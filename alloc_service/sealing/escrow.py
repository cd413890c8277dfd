"""Seed and design in escrow: any two of three custodians open it, none of them alone.

The text is canonical JSON; seed and design together are the only secret that must survive, for
they give the whole list again, and any lost key is answered by sealing the list anew.

    {"alg":"rac-escrow/1","beacon":HEX32|null,"design":{the whole document},
     "reveals":[HEX32, …],"seed":HEX32}

`reveals` and `beacon` are what the parties and the beacon gave to a seed ceremony, in the
order of its document; without a ceremony they are empty and null.

For each pair (A, B) of the three custodians, in sorted order, one binary age file
`seed.A+B.age` = age(to A, age(to B, text)), which two people open by hand with
`age -d -i A.key seed.A+B.age | age -d -i B.key`: A takes the outer layer off, B the inner one.
Custodians keep their X25519 identities on their own machines; only recipients come here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.design import Design
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    AgeError,
    CanonError,
    CustodiansError,
    DesignError,
    EscrowError,
    SeedError,
)
from alloc_service.sealing import age
from alloc_service.sealing.envelope import HEX32

ALGORITHM = "rac-escrow/1"
CUSTODIANS = 3

_KEYS = frozenset({"alg", "beacon", "design", "reveals", "seed"})
_NAME = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_TEXT = "text"


@dataclass(frozen=True, slots=True, repr=False)
class EscrowedList:
    """What an escrow keeps: everything that makes a list again; hidden from reprs.

    Args:
        design: The design document.
        seed: The seed.
        reveals: What each party of the ceremony gave, HEX32 each; empty without one.
        beacon: The ceremony's beacon value, HEX32; none without one.

    Raises:
        EscrowError: A reveal or the beacon's value is no HEX32.
    """

    design: Design
    seed: Seed
    reveals: tuple[str, ...] = ()
    beacon: str | None = None

    def __post_init__(self) -> None:
        values = (*self.reveals, *([] if self.beacon is None else [self.beacon]))
        if not all(HEX32.fullmatch(value) for value in values):
            rule = "each reveal and the beacon's value must be 64 lower-case hexadecimal digits"
            raise EscrowError(name=_TEXT, rule=rule)

    def __repr__(self) -> str:
        return "EscrowedList(…)"

    def to_bytes(self) -> bytes:
        """Return the canonical text: as secret as the list."""
        return canon(
            {
                "alg": ALGORITHM,
                "beacon": self.beacon,
                "design": parse_object(self.design.to_bytes()),
                "reveals": list(self.reveals),
                "seed": self.seed.digits,
            }
        )


def escrow_text(
    design: Design, seed: Seed, reveals: Sequence[str] = (), beacon: str | None = None
) -> bytes:
    """Return the canonical text to put in escrow; as secret as the list.

    Raises:
        EscrowError: A reveal or the beacon's value is no HEX32.
    """
    return EscrowedList(design, seed, tuple(reveals), beacon).to_bytes()


def parse_escrow_text(text: bytes, name: str = _TEXT) -> EscrowedList:
    """Read an escrow text strictly; a refusal names the rule and never a content.

    Args:
        text: The bytes.
        name: What they came from, for the text of a refusal.

    Raises:
        EscrowError: The bytes are no escrow text, or its design or seed breaks a rule.
    """
    try:
        document = parse_object(text)
    except CanonError as error:
        rule = f"what it holds is not canonical JSON {error.facts.get('at', '')}".rstrip()
        raise EscrowError(name=name, rule=rule) from None
    if document.keys() != _KEYS or document["alg"] != ALGORITHM:
        raise EscrowError(name=name, rule=f"what it holds is not spelled as {ALGORITHM}")
    try:
        return EscrowedList(
            design=Design.from_bytes(canon(document["design"])),
            seed=Seed(_text(document["seed"], name)),
            reveals=_texts(document["reveals"], name),
            beacon=None if document["beacon"] is None else _text(document["beacon"], name),
        )
    except (CanonError, DesignError):  # their texts quote a confidential document
        raise EscrowError(name=name, rule="its design breaks a rule of rac-gen/1") from None
    except SeedError:
        raise EscrowError(name=name, rule="its seed is none") from None


def write_escrow(text: bytes, custodians: Mapping[str, str]) -> dict[str, bytes]:
    """Return the three escrow files of a text, by name, each for a pair of custodians.

    Args:
        text: An escrow text; another one is refused, for it would be of no use later.
        custodians: Three names, 1-32 of a-z 0-9 -, each with its own X25519 recipient.

    Raises:
        EscrowError: The text is no escrow text.
        CustodiansError: Not three names, an odd name, no recipient, or one for two names.
    """
    parse_escrow_text(text)
    files = encrypt_to_pairs(text, require_custodians(custodians))
    return {escrow_name(*pair): data for pair, data in files.items()}


def escrow_name(first: str, second: str) -> str:
    """Return the file name of a pair; the outer layer is for the first."""
    return f"seed.{pair_name(first, second)}"


def pair_name(first: str, second: str) -> str:
    """Return what the names of a pair's files end in."""
    return f"{first}+{second}.age"


def encrypt_to_pairs(text: bytes, recipients: Mapping[str, str]) -> dict[tuple[str, str], bytes]:
    """Return a text for each pair of custodians; the outer layer is the first's."""
    return {
        (first, second): age.encrypt_to(recipients[first], age.encrypt_to(recipients[second], text))
        for first, second in combinations(sorted(recipients), 2)
    }


def open_escrow(data: bytes, identity_a: str, identity_b: str, name: str = "file") -> EscrowedList:
    """Open one escrow file with the identities of its two custodians.

    Args:
        data: The file `seed.A+B.age`.
        identity_a: The identity of A, or the text of A's identity file.
        identity_b: Likewise, of B.
        name: The file's name, for the text of a refusal.

    Raises:
        EscrowError: A layer did not open, and whose; or it holds no escrow text.
    """
    return parse_escrow_text(open_for_two(data, identity_a, identity_b, name), name)


def open_for_two(data: bytes, identity_a: str, identity_b: str, name: str) -> bytes:
    """Return what a pair's file holds, opened with both identities.

    Raises:
        EscrowError: A layer did not open, and whose.
    """
    inner = _open_layer(data, identity_a, name, "outer layer, for the custodian named first")
    return _open_layer(inner, identity_b, name, "inner layer, for the custodian named second")


def _open_layer(data: bytes, identity: str, name: str, layer: str) -> bytes:
    try:
        return age.decrypt_with(identity, data)
    except AgeError as error:
        raise EscrowError(
            name=name, rule=f"its {layer}, did not open: {error.facts['rule']}"
        ) from None


def require_custodians(custodians: Mapping[str, str]) -> dict[str, str]:
    """Return each custodian's recipient in its one spelling.

    Raises:
        CustodiansError: Not three names, an odd name, no recipient, or one for two names.
    """
    if len(custodians) != CUSTODIANS:
        raise CustodiansError(rule=f"there must be {CUSTODIANS}, any two of whom open the escrow")
    recipients = {}
    for name, recipient in custodians.items():
        if not _NAME.fullmatch(name):
            raise CustodiansError(rule=f"the name {name!r} must be 1-32 of a-z 0-9 -")
        try:
            recipients[name] = age.read_recipient(recipient)
        except AgeError as error:
            raise CustodiansError(rule=f"{name}: {error.facts['rule']}") from None
    if len(set(recipients.values())) != CUSTODIANS:
        raise CustodiansError(rule="two of them have the same recipient, which is one key for two")
    return recipients


def _text(value: Json, name: str) -> str:
    if not isinstance(value, str):
        raise EscrowError(name=name, rule="seed, reveals and beacon must be texts")
    return value


def _texts(values: Json, name: str) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise EscrowError(name=name, rule="its reveals must be an array")
    return tuple(_text(value, name) for value in values)
