"""A party's share of a seed in files: its own, the escrow's, and the one that it hands in.

    share file              canonical JSON {"alg":"rac-share/1","ceremony":C,"design_sha256":D,
                            "party":P,"share":r}; on the party's own machine, mode 0600
    deposit.P.A+B.age       for each pair of the three custodians: age(to A, age(to B, share file))
    reveal.P.age            age(to the ceremony's recipient, share file)

A deposit lies with the escrow's custodians before anything is announced, so that a party which
then stays away can neither stop a ceremony nor choose between two outcomes. Nobody at the
service opens it; a reveal is opened once, when the list is made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from alloc_service.core.canon import canon, parse_object
from alloc_service.core.ceremony import CeremonyDocument, Share, commit, require_share
from alloc_service.core.secret import Secret
from alloc_service.errors import AgeError, CanonError, CeremonyError, ShareError, ShareFileError
from alloc_service.sealing import age
from alloc_service.sealing.escrow import (
    encrypt_to_pairs,
    open_for_two,
    pair_name,
    require_custodians,
)

ALGORITHM = "rac-share/1"
LONGEST_FILE = 4_096

_PARTY = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_KEYS = frozenset({"alg", "ceremony", "design_sha256", "party", "share"})


@dataclass(frozen=True, slots=True, repr=False)
class OwnShare(Secret):
    """A share, and what it was drawn for; hidden from reprs.

    Attributes:
        ceremony: The ceremony's id.
        design_sha256: D.
        party: 1-32 of a-z 0-9 -.
        share: What the party adds to the seed.

    Raises:
        CeremonyError: An id or the hash is none.
    """

    ceremony: str
    design_sha256: str
    party: str
    share: Share

    def __post_init__(self) -> None:
        require_party(self.party)
        commit(self.design_sha256, self.ceremony, self.party, self.share)

    @property
    def commitment(self) -> str:
        """Return what is logged for it, HEX32."""
        return commit(self.design_sha256, self.ceremony, self.party, self.share)

    def to_bytes(self) -> bytes:
        """Return the canonical text; as secret as the share."""
        return canon(
            {
                "alg": ALGORITHM,
                "ceremony": self.ceremony,
                "design_sha256": self.design_sha256,
                "party": self.party,
                "share": self.share.digits,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> "OwnShare":
        """Read a share file strictly; a refusal never repeats what it holds.

        Raises:
            ShareFileError: It is spelled otherwise.
        """
        try:
            document = parse_object(data, name)
        except CanonError as error:
            rule = f"what it holds is not canonical JSON {error.facts.get('at', '')}".rstrip()
            raise ShareFileError(name=name, rule=rule) from None
        texts = {key: value for key, value in document.items() if isinstance(value, str)}
        if texts.keys() != _KEYS or len(document) != len(_KEYS) or texts["alg"] != ALGORITHM:
            raise ShareFileError(name=name, rule=f"what it holds is not spelled as {ALGORITHM}")
        try:
            share = Share(texts["share"])
            return cls(texts["ceremony"], texts["design_sha256"], texts["party"], share)
        except (CeremonyError, ShareError) as error:
            raise ShareFileError(name=name, rule=error.facts["rule"]) from None


def require_party(party: str) -> None:
    """Check the name of a party, which stands in the names of files.

    Raises:
        CeremonyError: It is not 1-32 of a-z 0-9 -.
    """
    if not _PARTY.fullmatch(party):
        raise CeremonyError(rule="the name of a party is 1-32 of a-z 0-9 -, such as dmc")


def deposit_names(party: str, custodians: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of a party's deposit, a file for each pair of custodians."""
    pairs = combinations(sorted(custodians), 2)
    return tuple(f"deposit.{party}.{pair_name(*pair)}" for pair in pairs)


def reveal_name(party: str) -> str:
    """Return the name of what a party hands in."""
    return f"reveal.{party}.age"


def write_deposit(own: OwnShare, custodians: Mapping[str, str]) -> dict[str, bytes]:
    """Return a party's deposit, by name.

    Raises:
        CustodiansError: Not three names, an odd name, no recipient, or one for two names.
    """
    recipients = require_custodians(custodians)
    files = encrypt_to_pairs(own.to_bytes(), recipients)
    return {f"deposit.{own.party}.{pair_name(*pair)}": data for pair, data in files.items()}


def write_reveal(own: OwnShare, recipient: str) -> bytes:
    """Return what a party hands in: its share, for the ceremony's recipient alone.

    Raises:
        AgeError: The recipient is none.
    """
    return age.encrypt_to(recipient, own.to_bytes())


def open_reveal(data: bytes, identity: str, name: str) -> OwnShare:
    """Open what a party handed in.

    Args:
        data: The file.
        identity: The ceremony's.
        name: The file's name, for the text of a refusal.

    Raises:
        ShareFileError: It does not open, or holds no share.
    """
    try:
        text = age.decrypt_with(identity, data)
    except AgeError as error:
        raise ShareFileError(name=name, rule=error.facts["rule"]) from None
    return OwnShare.from_bytes(text, name)


def open_deposit(data: bytes, identity_a: str, identity_b: str, name: str) -> OwnShare:
    """Open a party's deposit with the identities of its two custodians.

    Raises:
        EscrowError: A layer did not open, and whose.
        ShareFileError: It holds no share.
    """
    return OwnShare.from_bytes(open_for_two(data, identity_a, identity_b, name), name)


def require_of(document: CeremonyDocument, own: OwnShare, party: str, name: str) -> Share:
    """Return a share, after it was found to be the one that a party of a ceremony committed to.

    Raises:
        ShareFileError: It was drawn for another ceremony, design or party.
        CeremonyError: The party committed to another value.
    """
    wanted = document.ceremony, document.design_sha256, party
    if (own.ceremony, own.design_sha256, own.party) != wanted:
        rule = f"it was drawn for another ceremony, design or party than {party}'s here"
        raise ShareFileError(name=name, rule=rule)
    require_share(document, party, own.share)
    return own.share


def require_sealed_file(data: bytes, name: str) -> None:
    """Check that a file can be what it is said to be, without opening it.

    Raises:
        ShareFileError: It is no binary age file, or longer than a share can be.
    """
    if not data.startswith(age.MAGIC):
        raise ShareFileError(name=name, rule="it is no binary age file")
    if len(data) > LONGEST_FILE:
        raise ShareFileError(name=name, rule=f"it is longer than {LONGEST_FILE:,} bytes")
