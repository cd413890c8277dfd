"""Receipts: `c2sp.org/tlog-proof@v1` of one entry, a proof that a person can keep and check.

Lines: `c2sp.org/tlog-proof@v1`, optionally `extra <base64>`, `index <seq>`, the inclusion
proof's hashes in base64, a blank line, and the signed checkpoint. `extra` is one of

- nothing: whoever checks it brings the entry's leaf hash;
- 32 bytes: the entry's leaf hash. This is the site's receipt during the trial: it tells neither
  arm nor slot number;
- canonical JSON {"entry":base64,"opening":text,"proof":[HEX32,…]}: the full receipt, for the data
  monitoring committee, and for the site after the end. `proof` leads from the opening's leaf to
  the root of its list.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from alloc_service.core.canon import canon, parse_object
from alloc_service.core.generate import Opening, leaf_index
from alloc_service.core.merkle import verify_inclusion
from alloc_service.errors import CanonError, ListFileError, NoteError
from alloc_service.log.entry import Entry, read_entry
from alloc_service.log.note import (
    Checkpoint,
    Verifier,
    decode_base64,
    encode_base64,
    open_cosigned,
    require_plain,
)

HEADER = "c2sp.org/tlog-proof@v1"
LONGEST_PROOF = 63
LEAF_BYTES = 32

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it is spelled, before anything of it is believed.

    Attributes:
        index: The entry's seq.
        proof: Inclusion proof, 32 bytes each, lowest first.
        checkpoint: A signed note.
        extra: Opaque bytes, or none.
    """

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def text(self) -> str:
        """Return the receipt's one spelling."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [encode_base64(sibling) for sibling in self.proof]
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @classmethod
    def parse(cls, text: str) -> "Receipt":
        """Read a receipt strictly.

        Raises:
            NoteError: A line is not what the format demands.
        """
        require_plain(text)
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != HEADER:
            raise NoteError(rule=f"line 1: a receipt begins with {HEADER} and holds a checkpoint")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), "the receipt's extra")
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None:
            raise NoteError(rule="the receipt's index is no whole number")
        proof = tuple(decode_base64(line, "a proof hash") for line in lines)
        if len(proof) > LONGEST_PROOF or any(len(sibling) != 32 for sibling in proof):
            raise NoteError(rule="the receipt's proof is not of 32-byte hashes")
        return cls(int(index[1]), proof, checkpoint, extra)

    def verify(
        self, leaf: bytes, log: Verifier, witnesses: Collection[Verifier] = ()
    ) -> Checkpoint:
        """Check that an entry is in the log that the checkpoint was signed for.

        Args:
            leaf: The entry's leaf hash, 32 bytes, kept beside the receipt.
            log: The log's public key, from a source other than the receipt.
            witnesses: Keys whose cosignatures must be good where they are there.

        Raises:
            NoteError: The checkpoint is not signed by the log's key, or is spelled wrongly.
            TreeError: The entry is not under the checkpoint's root.
        """
        return self.verify_cosigned(leaf, log, witnesses)[0]

    def verify_cosigned(
        self, leaf: bytes, log: Verifier, witnesses: Collection[Verifier]
    ) -> tuple[Checkpoint, tuple[str, ...]]:
        """Check as `verify`, and say which of the witnesses have cosigned it.

        Raises:
            NoteError: As `verify`.
            TreeError: As `verify`.
        """
        checkpoint, cosigners = open_cosigned(self.checkpoint, log, witnesses)
        verify_inclusion(leaf, self.index, checkpoint.size, self.proof, checkpoint.root)
        return checkpoint, cosigners


def write_extra(entry: bytes, opening: str, proof: Sequence[bytes]) -> bytes:
    """Return the extra of a full receipt: entry, opening, and the opening's proof in its list."""
    hashes = [sibling.hex() for sibling in proof]
    return canon({"entry": encode_base64(entry), "opening": opening, "proof": hashes})


def read_extra(extra: bytes) -> tuple[bytes, str, tuple[bytes, ...]]:
    """Read the extra of a full receipt strictly: entry, opening, proof.

    Raises:
        NoteError: It is not spelled as `write_extra` spells it.
    """
    try:
        document = parse_object(extra, "the receipt's extra")
    except CanonError as error:
        raise NoteError(rule=str(error)) from None
    entry, opening, proof = (document.pop(name, None) for name in ("entry", "opening", "proof"))
    texts = isinstance(entry, str) and isinstance(opening, str) and isinstance(proof, list)
    hashes = [str(sibling) for sibling in proof] if isinstance(proof, list) else []
    spelled = all(re.fullmatch("[0-9a-f]{64}", sibling) for sibling in hashes)
    if document or not texts or not spelled:
        raise NoteError(rule="the receipt's extra holds other than entry, opening and proof")
    siblings = tuple(bytes.fromhex(sibling) for sibling in hashes)
    return decode_base64(str(entry), "the receipt's entry"), str(opening), siblings


@dataclass(frozen=True, slots=True)
class ListRoot:
    """What a list's `list.sealed` says of its tree, from a log that was verified.

    Attributes:
        root: 32 bytes.
        slots: Of each stratum.
    """

    root: bytes
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CheckedReceipt:
    """A receipt that was found good, and what was not there to check.

    Attributes:
        origin: Of the log.
        size: Entries of the log that the checkpoint covers.
        root: Of its tree, 32 bytes.
        index: The entry's seq.
        leaf: Its leaf hash, 32 bytes.
        entry: The entry, in a full receipt alone.
        opening: The opening of its slot, in a full receipt alone.
        cosigners: Names of the known witnesses that have cosigned the checkpoint.
        unchecked: What was not there to check, a sentence each.
    """

    origin: str
    size: int
    root: bytes
    index: int
    leaf: bytes
    entry: Entry | None
    opening: Opening | None
    cosigners: tuple[str, ...]
    unchecked: tuple[str, ...]


def check_receipt(
    text: str,
    log: Verifier,
    witnesses: Collection[Verifier] = (),
    leaf: bytes | None = None,
    sealed: ListRoot | None = None,
) -> CheckedReceipt:
    """Check a receipt from its text alone: no service and no network is asked.

    Args:
        text: The receipt.
        log: The log's public key, from a source other than the receipt.
        witnesses: Keys whose cosignatures must be there, and good.
        leaf: The entry's leaf hash, where the receipt has none.
        sealed: The list of a full receipt's slot; without it no full receipt is good.

    Raises:
        NoteError: As `examine_receipt`, or a witness has not cosigned it.
        IntegrityError: As `examine_receipt`.
    """
    found = examine_receipt(text, log, witnesses, leaf, sealed)
    for witness in witnesses:
        if witness.name not in found.cosigners:
            raise NoteError(rule=f"{witness.name} has not cosigned it")
    return found


def examine_receipt(
    text: str,
    log: Verifier,
    witnesses: Collection[Verifier],
    leaf: bytes | None,
    sealed: ListRoot | None,
) -> CheckedReceipt:
    """Check a receipt as `check_receipt`, whichever of the witnesses have cosigned it.

    Raises:
        NoteError: A line is not what the format demands, a signature is bad, or the receipt and
            the leaf that was brought are of two entries.
        TreeError: The entry is not under the checkpoint's root, or the opening not under the
            list's.
        ListFileError: The list has no such slot.
        EntryError: The entry of a full receipt is none.
    """
    receipt = Receipt.parse(text)
    own, entry, opening, proof = _read_extra(receipt)
    if leaf is not None and own not in {None, leaf}:
        raise NoteError(rule="the receipt is of another entry than the leaf hash that was given")
    wanted = own or leaf
    if wanted is None:
        raise NoteError(rule="the receipt has no leaf hash in it: give the one kept beside it")
    checkpoint, cosigners = receipt.verify_cosigned(wanted, log, witnesses)
    if entry is not None and opening is not None:
        _require_opening(entry, opening, receipt.index)
        _require_in_list(entry, opening, proof, sealed)
    return CheckedReceipt(
        log.name, checkpoint.size, checkpoint.root, receipt.index, wanted, entry, opening,
        cosigners, tuple(_list_unchecked(entry, cosigners)),
    )  # fmt: skip


def _read_extra(
    receipt: Receipt,
) -> tuple[bytes | None, Entry | None, Opening | None, tuple[bytes, ...]]:
    if receipt.extra is None:
        return None, None, None, ()
    if len(receipt.extra) == LEAF_BYTES:
        return receipt.extra, None, None, ()
    data, text, proof = read_extra(receipt.extra)
    try:
        entry, opening = read_entry(data), Opening.parse(text)
    except (CanonError, ListFileError) as error:
        where, rule = error.facts["where"], error.facts["rule"]
        raise NoteError(rule=f"the receipt's {where}: {rule}") from None
    return bytes.fromhex(entry.leaf), entry, opening, proof


def _require_opening(entry: Entry, opening: Opening, index: int) -> None:
    if entry.type != "slot.assigned" or entry.seq != index:
        raise NoteError(rule=f"the receipt's entry is not the slot.assigned of seq {index}")
    body = entry.body
    same = (opening.stratum, opening.slot) == (body["stratum"], body["slot"])
    if not same or opening.leaf.hex() != body["leaf"]:
        raise NoteError(rule="the receipt's opening is not the one that its entry commits to")


def _require_in_list(
    entry: Entry, opening: Opening, proof: Sequence[bytes], sealed: ListRoot | None
) -> None:
    if sealed is None:
        number = entry.body["list"]
        rule = "a full receipt is good under its list's root alone: give root and slots of list "
        raise NoteError(rule=f"{rule}{number}, as its list.sealed in the log says them")
    index = leaf_index(sealed.slots, opening.stratum, opening.slot)
    verify_inclusion(opening.leaf, index, sum(sealed.slots), proof, sealed.root)


def _list_unchecked(entry: Entry | None, cosigners: Collection[str]) -> Iterator[str]:
    if entry is None:
        yield "The receipt holds no entry: it proves that the entry is there, not what it says."
    if not cosigners:
        yield "No known witness has cosigned it: the log's key alone vouches for the log."
