"""Targets: canonical JSON, and every document that is read strictly on its own.

Canonical JSON is compared with another reading of the same rules, written here. A document that
is accepted is written again to the same bytes; another one is refused by its own class, and the
refusal repeats nothing that is secret.
"""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from alloc_service.core import canon as canon_module
from alloc_service.core.canon import DEEPEST_NESTING, LARGEST_INTEGER
from alloc_service.core.ceremony import CeremonyDocument, Drand, PublicString, Share
from alloc_service.core.design import Design
from alloc_service.core.generate import Opening
from alloc_service.core.listfile import HEADER, csv_lines, read_csv
from alloc_service.errors import (
    BundleError,
    CanonError,
    CeremonyError,
    DesignError,
    DrillError,
    EscrowError,
    ListFileError,
    RefusalError,
    ShareFileError,
)
from alloc_service.log import bundle_seed
from alloc_service.sealing.escrow import EscrowedList, parse_escrow_text
from alloc_service.sealing.shares import OwnShare
from alloc_service.services.drills import Drill
from tests.fuzz.tape import Tape, vary
from tests.support.bundles import full_evidence
from tests.support.chain import ORIGIN, hex32

FULL = full_evidence()
LIST = FULL.lists[1]
NOW = datetime(2026, 1, 2, 9, tzinfo=UTC)
SECRET = hex32("the share")

_SPECIAL = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
            "\t": "\\t"}  # fmt: skip

VALUES: Sequence[bytes] = (
    *(row for row in FULL.rows[:3]),
    LIST.design.to_bytes(),
    b'{"a":[{"b":[null,true,false,-9007199254740991,9007199254740991,"\\u0000\\n\\"\\\\/"]}]}',
    '{"A":"\u00e9\U0001f600\u007f\u2028","a":""}'.encode(),
    b"[" * 33 + b"]" * 33,
    b"-1",
)


def check_canon(data: bytes) -> str:
    """Check that the reader accepts just what RFC 8785 with our limits spells, and no more."""
    found = vary(Tape(data), VALUES).data
    try:
        value = canon_module.parse_canonical(found)
    except CanonError as error:
        assert error.facts["rule"]
        assert not _is_canonical(found)
        return "refused"
    assert _is_canonical(found)
    assert canon_module.canon(value) == found
    assert json.loads(found) == value
    return "accepted"


def check_spelling(data: bytes) -> str:
    """Check that a value, however it was spelled before, has one spelling or none."""
    found = vary(Tape(data), VALUES).data
    try:
        value = json.loads(found)
    except (ValueError, RecursionError):
        return "no JSON"
    try:
        written = canon_module.canon(value)
    except CanonError:
        assert _spell_or_none(value) is None
        return "refused"
    assert written.decode() == _spell_or_none(value)
    assert canon_module.parse_canonical(written) == value
    return "accepted"


def _is_canonical(data: bytes) -> bool:
    """Tell it by reading loosely, and spelling anew by a writer of our own."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    spelled = _spell_or_none(value)
    return spelled is not None and spelled.encode("utf-8", "surrogatepass") == data


def _spell_or_none(value: object) -> str | None:
    try:
        return _spell(value, 0)
    except (ValueError, RecursionError):
        return None


def _spell(value: object, depth: int) -> str:
    if depth > DEEPEST_NESTING:
        raise ValueError
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if abs(value) <= LARGEST_INTEGER:
            return f"{value:d}"
        case str():
            return _spell_text(value)
        case list():
            return f"[{','.join(_spell(item, depth + 1) for item in value)}]"
        case dict() if all(key.isascii() for key in value):
            items = sorted(value.items())
            return f"{{{','.join(_spell_text(k) + ':' + _spell(v, depth + 1) for k, v in items)}}}"
    raise ValueError


def _spell_text(text: str) -> str:
    text.encode("utf-8")  # a lone surrogate is a ValueError
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError
    spelled = (
        _SPECIAL.get(char) or (f"\\u{ord(char):04x}" if char < " " else char) for char in text
    )
    return f'"{"".join(spelled)}"'


class Document(NamedTuple):
    """A document: valid examples, its reader, what writes it again, and what refuses it."""

    examples: Sequence[bytes]
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    refusals: tuple[type[RefusalError], ...]


def _ceremony(beacon: Drand | PublicString | None) -> bytes:
    commitments = {party: hex32(party) for party in ("dmc", "sponsor", "stat")}
    return CeremonyDocument("c-1", hex32("D"), commitments, beacon).to_bytes()


def _read_ceremony(data: bytes) -> CeremonyDocument:
    """Read it as the service does, and as a bundle's verifier does: where one accepts, both do."""
    document = CeremonyDocument.from_bytes(data)
    bundled = bundle_seed.parse_ceremony(data, "ceremony")
    assert bundled.sha256 == document.sha256 == hashlib.sha256(data).hexdigest()
    assert dict(bundled.parties) == document.commitments
    if document.beacon is not None:
        try:
            document.beacon.require_ahead(NOW)
        except CeremonyError as error:
            assert "an hour ahead" in str(error)
    return document


def _read_share(data: bytes) -> OwnShare:
    own = OwnShare.from_bytes(data, "share.json")
    assert own.share.digits not in repr(own)
    return own


def _read_rows(data: bytes) -> bytes:
    lines = [HEADER]
    for row in read_csv(data):
        code = row.stratum_code
        if set(code) & set(',"'):
            code = '"' + code.replace('"', '""') + '"'
        lines.append(f"{row.stratum},{row.slot},{row.arm},{code},{row.nonce}")
    return "".join(f"{line}\n" for line in lines).encode()


DOCUMENTS: Sequence[Document] = (
    Document(
        [_ceremony(None), _ceremony(Drand(30_000_000)), _ceremony(PublicString("a price"))],
        _read_ceremony,
        CeremonyDocument.to_bytes,
        (CanonError, CeremonyError),
    ),
    Document(
        [OwnShare("c-1", hex32("D"), "dmc", Share(SECRET)).to_bytes()],
        _read_share,
        OwnShare.to_bytes,
        (ShareFileError,),
    ),
    Document(
        [
            EscrowedList(LIST.design, LIST.opened.seed).to_bytes(),
            EscrowedList(LIST.design, LIST.opened.seed, (SECRET,), hex32("b")).to_bytes(),
        ],
        parse_escrow_text,
        EscrowedList.to_bytes,
        (EscrowError,),
    ),
    Document(
        [Drill(ORIGIN, 1, hex32("R"), 17, True, True, False).to_bytes()],
        Drill.from_bytes,
        Drill.to_bytes,
        (DrillError,),
    ),
    Document(
        [LIST.opened.to_bytes(), bundle_seed.OpenedSeed(LIST.opened.seed).to_bytes()],
        lambda data: bundle_seed.parse_opened_seed(data, "seed.json"),
        bundle_seed.OpenedSeed.to_bytes,
        (BundleError,),
    ),
    Document(
        [FULL.lists[1].design.to_bytes(), FULL.lists[2].design.to_bytes()],
        Design.from_bytes,
        Design.to_bytes,
        (CanonError, DesignError),
    ),
    Document(
        [LIST.generated.opening(0, 0).text.encode(), LIST.generated.opening(1, 5).text.encode()],
        lambda data: Opening.parse(data.decode("utf-8", "replace")),
        lambda opening: opening.text.encode(),
        (ListFileError,),
    ),
    Document(
        ["".join(csv_lines(LIST.generated)).encode()],
        _read_rows,
        bytes,
        (ListFileError,),
    ),
)
# No refusal may repeat them: a share, and the seed that it is part of.
SECRETS = (SECRET, LIST.opened.seed.digits)


def check_documents(data: bytes) -> str:
    """Check one of the documents: the same bytes again, or its own refusal without a secret."""
    tape = Tape(data)
    document = DOCUMENTS[tape.below(len(DOCUMENTS))]
    found = vary(tape, document.examples)
    try:
        read = document.read(found.data)
    except document.refusals as error:
        assert found.is_changed, error
        assert not any(secret in str(error) for secret in SECRETS)
        return "refused"
    assert document.write(read) == found.data
    return "accepted"
