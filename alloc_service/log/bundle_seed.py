"""What a bundle holds of a list's seed: the announced ceremony, and at the end the seed itself.

The document `rac-seed/1` of a ceremony is public. The seed is not, before the trial is over; then
`seed.json` is canonical JSON, the escrow's text without the design, which stands beside it:

    {"alg":"rac-seed-opened/1","beacon":HEX32|null,"reveals":[HEX32, …],"seed":HEX32}

Without a ceremony `reveals` is empty and `beacon` null. With one, each reveal is what a party had
committed to, in the order of the document, and all of them together give the seed.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.ceremony_hashes import CEREMONY, hash_share, hash_shares
from alloc_service.core.secret import Secret
from alloc_service.core.seed import Seed
from alloc_service.errors import BundleError, CanonError, SeedError
from alloc_service.log.state import Ceremony

OPENED = "rac-seed-opened/1"
DRAND, PUBLIC_STRING = "drand-quicknet", "public-string"

_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ROUND = 2**53 - 1
_FORMS: Mapping[str, frozenset[str]] = {
    DRAND: frozenset({"kind", "chain", "round"}),
    PUBLIC_STRING: frozenset({"kind", "source"}),
}


@dataclass(frozen=True, slots=True)
class CeremonyDocument:
    """The announced document of a ceremony, as it is spelled.

    Attributes:
        sha256: HEX32 of its bytes.
        name: The ceremony's.
        design_sha256: D.
        parties: (id, commitment), sorted by id.
        beacon: As spelled, or none.
    """

    sha256: str
    name: str
    design_sha256: str
    parties: tuple[tuple[str, str], ...]
    beacon: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True, repr=False)
class OpenedSeed(Secret):
    """A list's seed and what it was made of; hidden from reprs."""

    seed: Seed
    reveals: tuple[str, ...] = ()
    beacon: str | None = None

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of `seed.json`."""
        return canon(
            {
                "alg": OPENED,
                "beacon": self.beacon,
                "reveals": list(self.reveals),
                "seed": self.seed.digits,
            }
        )


def parse_opened_seed(data: bytes, where: str) -> OpenedSeed:
    """Read `seed.json` strictly; a refusal repeats nothing of it.

    Raises:
        BundleError: It is spelled otherwise.
    """
    document = _parse(data, where, {"alg", "beacon", "reveals", "seed"}, OPENED)
    beacon, reveals = document["beacon"], document["reveals"]
    _require(beacon is None or _is_hex(beacon), where, "its beacon is no HEX32")
    values = reveals if isinstance(reveals, list) else [None]
    _require(all(map(_is_hex, values)), where, "a reveal is no HEX32")
    try:
        seed = Seed(str(document["seed"]))
    except SeedError:
        raise BundleError(where=where, rule="its seed is none") from None
    return OpenedSeed(seed, tuple(map(str, values)), None if beacon is None else str(beacon))


def parse_ceremony(data: bytes, where: str) -> CeremonyDocument:
    """Read the document of a ceremony strictly.

    Raises:
        BundleError: It is spelled otherwise.
    """
    names = {"alg", "beacon", "ceremony", "design_sha256", "parties"}
    document = _parse(data, where, names, CEREMONY)
    parties = tuple(_read_parties(document["parties"], where))
    ids = [party for party, _ in parties]
    _require(ids == sorted(set(ids)), where, "its parties are not sorted, each once")
    beacon = document["beacon"]
    return CeremonyDocument(
        sha256=hashlib.sha256(data).hexdigest(),
        name=str(document["ceremony"]),
        design_sha256=str(document["design_sha256"]),
        parties=parties,
        beacon=None if beacon is None else _read_beacon(beacon, where),
    )


def check_ceremony(
    document: CeremonyDocument, name: str, logged: Ceremony, design_sha256: str, where: str
) -> None:
    """Compare a ceremony's document with what the log says of that ceremony.

    Raises:
        BundleError: They differ, or a public string's value is not its hash.
    """
    announced = document.sha256 == logged.announced
    _require(announced, where, "its hash is not the doc_sha256 that seed.announced logged")
    _require(document.name == name, where, f"it is not of the logged ceremony {name}")
    _require(document.design_sha256 == design_sha256, where, "it is for another design")
    same = dict(document.parties) == logged.commitments
    _require(same, where, "its parties and commitments are not those that seed.committed logged")
    if document.beacon is None:
        _require(not logged.beacon, where, "it awaits no beacon, and the log holds one")
        return
    _require(bool(logged.beacon), where, "it awaits a beacon, and none is logged")
    if document.beacon["kind"] == PUBLIC_STRING:
        value = hashlib.sha256(str(document.beacon["source"]).encode()).hexdigest()
        _require(value == logged.beacon, where, "the logged beacon is not the hash of its source")


def check_seed(
    opened: OpenedSeed, name: str, logged: Ceremony | None, design_sha256: str, where: str
) -> None:
    """Compare a seed with the ceremony that gave it; without one there is nothing it came from.

    Commitments, beacon and the document's hash are the log's, so that who leaves the document out
    hides nothing by it.

    Raises:
        BundleError: A reveal is not what its party had committed to, the beacon is not the
            logged one, or together they give another seed.
    """
    if logged is None:
        alone = not opened.reveals and opened.beacon is None
        _require(alone, where, "it has reveals or a beacon, and the list had no ceremony")
        return
    _require(opened.beacon == (logged.beacon or None), where, "its beacon is not the logged one")
    _require(len(opened.reveals) == len(logged.commitments), where, "a reveal is missing or extra")
    for party, reveal in zip(sorted(logged.commitments), opened.reveals, strict=False):
        found = hash_share(design_sha256, name, party, reveal)
        rule = f"the reveal of {party} is not what {party} had committed to (rac-commit/1)"
        _require(found == logged.commitments[party], where, rule)
    combined = hash_shares(logged.announced, opened.reveals, opened.beacon)
    rule = "it is not the one that reveals and beacon give (rac-seed/1)"
    _require(combined == opened.seed.digits, where, rule)


def _parse(data: bytes, where: str, names: set[str], alg: str) -> dict[str, Json]:
    try:
        document = parse_object(data, where)
    except CanonError:
        raise BundleError(where=where, rule="it is not canonical JSON") from None
    spelled = document.keys() == names and document["alg"] == alg
    _require(spelled, where, f"it is not spelled as {alg} demands")
    return document


def _read_parties(rows: Json, where: str) -> Iterator[tuple[str, str]]:
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, dict) or row.keys() != {"commitment", "id"}:
            raise BundleError(where=where, rule="a party is not of an id and a commitment")
        _require(_is_hex(row["commitment"]), where, "a party's commitment is no HEX32")
        _require(isinstance(row["id"], str), where, "a party's id is no text")
        yield str(row["id"]), str(row["commitment"])


def _read_beacon(beacon: Json, where: str) -> Mapping[str, Json]:
    rule = "its beacon is of no kind that rac-seed/1 has"
    if not isinstance(beacon, dict) or beacon.keys() != _FORMS.get(str(beacon.get("kind"))):
        raise BundleError(where=where, rule=rule)
    if beacon["kind"] == DRAND:
        number = beacon["round"]
        counted = isinstance(number, int) and not isinstance(number, bool) and 0 < number <= _ROUND
        _require(counted and _is_hex(beacon["chain"]), where, rule)
    else:
        _require(isinstance(beacon["source"], str), where, rule)
    return beacon


def _is_hex(value: Json) -> bool:
    return isinstance(value, str) and _HEX32.fullmatch(value) is not None


def _require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)
