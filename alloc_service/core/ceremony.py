"""The seed ceremony `rac-seed/1`: several parties make a seed that none of them can choose.

With D the design's hash, C the ceremony's id and P a party's:

    share      = r, 64 lower-case hexadecimal digits, drawn by the party on its own machine
    commitment = SHA("rac-commit/1|D|C|P|r")
    document   = canonical JSON {"alg":"rac-seed/1","beacon":…,"ceremony":C,"design_sha256":D,
                 "parties":[{"commitment":HEX32,"id":P},… sorted by id]}
    S          = HEX(HMAC-SHA256(key = the 64 characters of SHA(document),
                                 message = "rac-seed/1|r_1|…|r_n|" + (beacon's value or "-")))

`beacon` is null, {"kind":"drand-quicknet","chain":HEX32,"round":N} or
{"kind":"public-string","source":TEXT}. Its value is drand's randomness, or the SHA of the public
string's UTF-8 bytes. Everybody is committed before anybody reveals, so whoever is honest makes
the seed random for all the others; with a beacon not even all of them together can choose it.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.secret import Secret
from alloc_service.core.seed import Seed
from alloc_service.errors import CanonError, CeremonyError, ShareError

ALGORITHM: Final = "rac-seed/1"
COMMITMENT: Final = "rac-commit/1"
LEAST_DICE: Final = 100
MOST_PARTIES: Final = 16

# The League of Entropy's chain `quicknet`: a round every three seconds since its genesis.
QUICKNET_CHAIN: Final = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
_QUICKNET_GENESIS: Final = datetime(2023, 8, 23, 15, 9, 27, tzinfo=UTC)
_QUICKNET_PERIOD: Final = timedelta(seconds=3)
LEAST_AHEAD: Final = timedelta(hours=1)

_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9._/-]{1,64}", re.ASCII)
_DIE = re.compile(r"[1-6]*", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{96}", re.ASCII)
_LONGEST_SOURCE = 500
_LARGEST_ROUND = 10**10  # some 950 years ahead; a calendar ends at the year 9999


@dataclass(frozen=True, slots=True, repr=False)
class Share(Secret):
    """What one party adds to a seed; hidden from reprs.

    Raises:
        ShareError: It is not 64 lower-case hexadecimal digits.
    """

    digits: str

    def __post_init__(self) -> None:
        if not _HEX32.fullmatch(self.digits):
            raise ShareError(rule="it is not exactly 64 characters of 0-9 and a-f")

    @classmethod
    def fresh(cls) -> "Share":
        """Return 32 bytes from the operating system's generator."""
        return cls(secrets.token_hex(32))

    @classmethod
    def of_dice(cls, rolls: str) -> "Share":
        """Return the SHA of at least 100 rolls of a die, white space left out.

        Raises:
            ShareError: Other than 1 to 6 stands there, or fewer rolls.
        """
        digits = "".join(rolls.split())
        if not _DIE.fullmatch(digits):
            raise ShareError(rule="a roll of a die is one of 1 to 6")
        if len(digits) < LEAST_DICE:
            raise ShareError(rule=f"{len(digits)} rolls are too few; it takes {LEAST_DICE}")
        return cls(hashlib.sha256(digits.encode("ascii")).hexdigest())


@dataclass(frozen=True, slots=True)
class Drand:
    """A future round of a public randomness beacon.

    Attributes:
        round: From 1.
        chain: HEX32 hash of the chain.
    """

    round: int
    chain: str = QUICKNET_CHAIN

    def __post_init__(self) -> None:
        if self.chain != QUICKNET_CHAIN:
            raise CeremonyError(rule="the beacon is of another chain than drand's quicknet")
        if not 1 <= self.round <= _LARGEST_ROUND:
            rule = f"a round of the beacon is a whole number from 1 to {_LARGEST_ROUND:,}"
            raise CeremonyError(rule=rule)

    @property
    def time(self) -> datetime:
        """Return when this round is published, UTC."""
        return _QUICKNET_GENESIS + (self.round - 1) * _QUICKNET_PERIOD

    @classmethod
    def after(cls, moment: datetime) -> "Drand":
        """Return the first round that is published at a moment or after it."""
        periods = -(-(moment - _QUICKNET_GENESIS) // _QUICKNET_PERIOD)
        return cls(max(1, periods + 1))

    def require_ahead(self, now: datetime) -> None:
        """Check that nobody can know this round yet.

        Raises:
            CeremonyError: It lies less than an hour ahead.
        """
        if self.time < now + LEAST_AHEAD:
            first = Drand.after(now + LEAST_AHEAD).round
            rule = (
                f"round {self.round} of the beacon is published at {self.time:%Y-%m-%dT%H:%M:%SZ}, "
                f"and it must lie at least an hour ahead: take round {first} or a later one"
            )
            raise CeremonyError(rule=rule)

    def value_of(self, value: str, proof: str) -> str:
        """Return the round's value, as it was typed.

        Args:
            value: drand's `randomness`, HEX32.
            proof: drand's `signature`, 96 hexadecimal digits, or "".

        Raises:
            CeremonyError: A wrong length, or the value is not the signature's hash.
        """
        if not _HEX32.fullmatch(value):
            raise CeremonyError(rule="the beacon's randomness is 64 characters of 0-9 and a-f")
        if proof and not _SIGNATURE.fullmatch(proof):
            raise CeremonyError(rule="the beacon's signature is 96 characters of 0-9 and a-f")
        if proof and hashlib.sha256(bytes.fromhex(proof)).hexdigest() != value:
            raise CeremonyError(rule="the beacon's randomness is not the hash of its signature")
        return value

    def to_json(self) -> dict[str, Json]:
        """Return its part of the document."""
        return {"kind": "drand-quicknet", "chain": self.chain, "round": self.round}


@dataclass(frozen=True, slots=True)
class PublicString:
    """A text that will be public and that nobody here can steer, such as a day's closing prices.

    Attributes:
        source: What text, where and when it is published; 1 to 500 characters.
    """

    source: str

    def __post_init__(self) -> None:
        if not self.source.strip() or len(self.source) > _LONGEST_SOURCE:
            raise CeremonyError(rule="the public string's source has 1 to 500 characters")
        try:
            canon(self.source)
        except CanonError as error:
            raise CeremonyError(rule=f"the public string's source: {error.facts['rule']}") from None

    def require_ahead(self, now: datetime) -> None:
        """Nothing can be checked: when a text is published stands in its source, in words."""

    def value_of(self, value: str, proof: str) -> str:
        """Return the SHA of the text that was published.

        Raises:
            CeremonyError: The value is not the hash of the text.
        """
        if not proof:
            raise CeremonyError(rule="the public string is missing: give the text as published")
        try:
            expected = hashlib.sha256(proof.encode("utf-8")).hexdigest()
        except UnicodeEncodeError:
            raise CeremonyError(rule="the public string is no text in UTF-8") from None
        if value not in {"", expected}:
            raise CeremonyError(rule="the value is not the SHA-256 of the public string")
        return expected

    def to_json(self) -> dict[str, Json]:
        """Return its part of the document."""
        return {"kind": "public-string", "source": self.source}


Beacon: TypeAlias = Drand | PublicString


@dataclass(frozen=True, slots=True)
class CeremonyDocument:
    """What is announced: who is committed to what, for which design, with which beacon.

    Attributes:
        ceremony: Its id, 1-64 of A-Z a-z 0-9 . _ / -.
        design_sha256: D.
        commitments: By party, HEX32.
        beacon: None where the seed is of the parties alone.

    Raises:
        CeremonyError: No party, an odd id, or a commitment that is none or stands twice.
    """

    ceremony: str
    design_sha256: str
    commitments: Mapping[str, str]
    beacon: Beacon | None = None

    def __post_init__(self) -> None:
        require_id(self.ceremony, "ceremony")
        _require_hash(self.design_sha256, "the design's hash")
        if not 1 <= len(self.commitments) <= MOST_PARTIES:
            raise CeremonyError(rule=f"a ceremony has 1 to {MOST_PARTIES} parties")
        for party, commitment in self.commitments.items():
            require_id(party, "party")
            _require_hash(commitment, f"the commitment of {party}")
        if len(set(self.commitments.values())) < len(self.commitments):
            raise CeremonyError(rule="two parties have the same commitment")

    @property
    def parties(self) -> tuple[str, ...]:
        """Return the parties in the document's order."""
        return tuple(sorted(self.commitments))

    def to_bytes(self) -> bytes:
        """Return the canonical bytes; their SHA is what is logged."""
        parties: list[Json] = [
            {"commitment": self.commitments[party], "id": party} for party in self.parties
        ]
        return canon(
            {
                "alg": ALGORITHM,
                "beacon": None if self.beacon is None else self.beacon.to_json(),
                "ceremony": self.ceremony,
                "design_sha256": self.design_sha256,
                "parties": parties,
            }
        )

    @property
    def sha256(self) -> str:
        """Return the hash of the document."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> "CeremonyDocument":
        """Read a document strictly.

        Raises:
            CanonError: The bytes are not canonical JSON.
            CeremonyError: It is not spelled as `to_bytes` spells it, or breaks a rule.
        """
        match parse_object(data, "ceremony"):
            case {
                "ceremony": str(ceremony),
                "design_sha256": str(design_sha256),
                "parties": list(parties),
                "beacon": beacon,
            }:
                commitments = dict(_read_party(party) for party in parties)
                read = cls(ceremony, design_sha256, commitments, _read_beacon(beacon))
                if read.to_bytes() == data:
                    return read
        raise CeremonyError(rule=f"the document is not spelled as {ALGORITHM} demands")


def commit(design_sha256: str, ceremony: str, party: str, share: Share) -> str:
    """Return a party's commitment to its share, HEX32.

    Raises:
        CeremonyError: The design's hash or an id is none.
    """
    _require_hash(design_sha256, "the design's hash")
    require_id(ceremony, "ceremony")
    require_id(party, "party")
    text = f"{COMMITMENT}|{design_sha256}|{ceremony}|{party}|{share.digits}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def require_share(document: CeremonyDocument, party: str, share: Share) -> None:
    """Check that a party reveals what it committed to.

    Raises:
        CeremonyError: It reveals something else, or is no party; the text names it.
    """
    if party not in document.commitments:
        raise CeremonyError(rule=f"{party} is no party of ceremony {document.ceremony}")
    committed = commit(document.design_sha256, document.ceremony, party, share)
    if committed != document.commitments[party]:
        rule = f"{party} reveals another value than it committed to: drop the ceremony, and say so"
        raise CeremonyError(rule=rule)


def combine(document: CeremonyDocument, shares: Mapping[str, Share], beacon: str = "") -> Seed:
    """Return the seed that shares and beacon give.

    Args:
        document: As announced.
        shares: By party; all of them.
        beacon: The beacon's value, HEX32; "" where the document has none.

    Raises:
        CeremonyError: A share is missing, one too many or another than committed to, or the
            beacon's value is missing or one too many.
    """
    if missing := sorted(set(document.parties) - shares.keys()):
        raise CeremonyError(rule=f"{_join(missing)} has not revealed")
    for party in sorted(shares):
        require_share(document, party, shares[party])
    if (document.beacon is None) != (not beacon):
        word = "has no beacon" if document.beacon is None else "waits for its beacon's value"
        raise CeremonyError(rule=f"ceremony {document.ceremony} {word}")
    if beacon:
        _require_hash(beacon, "the beacon's value")
    words = [ALGORITHM, *(shares[party].digits for party in document.parties), beacon or "-"]
    message = "|".join(words).encode("ascii")
    return Seed(hmac.digest(document.sha256.encode("ascii"), message, "sha256").hex())


def require_id(text: str, what: str) -> None:
    """Check the id of a party or a ceremony.

    Raises:
        CeremonyError: It is not 1-64 of A-Z a-z 0-9 . _ / -.
    """
    if not _ID.fullmatch(text):
        raise CeremonyError(rule=f"the id of a {what} is 1-64 of A-Z a-z 0-9 . _ / -")


def _require_hash(text: str, what: str) -> None:
    if not _HEX32.fullmatch(text):
        raise CeremonyError(rule=f"{what} is 64 characters of 0-9 and a-f")


def _read_party(party: Json) -> tuple[str, str]:
    match party:
        case {"commitment": str(commitment), "id": str(name)}:
            return name, commitment
    raise CeremonyError(rule="a party of the document has a commitment and an id")


def _read_beacon(beacon: Json) -> Beacon | None:
    match beacon:
        case None:
            return None
        case {"kind": "drand-quicknet", "chain": str(chain), "round": int(number)}:
            return Drand(int(number), chain)  # `true` is written back as 1, and so refused
        case {"kind": "public-string", "source": str(source)}:
            return PublicString(source)
    raise CeremonyError(rule="the document's beacon is of no known kind")


def _join(names: Sequence[str]) -> str:
    return ", ".join(names)
