"""Receipts: `c2sp.org/tlog-proof@v1` of one entry, a proof that a person can keep and check.

Lines: `c2sp.org/tlog-proof@v1`, optionally `extra <base64>`, `index <seq>`, the inclusion
proof's hashes in base64, a blank line, and the signed checkpoint. The site's receipt during the
trial has no extra: beside it the site keeps the entry's leaf hash alone, which tells no slot
number. The full one holds in `extra` canonical JSON {"entry","opening","proof"}, and is for the
data monitoring committee, and for the site after the end.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from alloc_service.core.canon import canon, parse_object
from alloc_service.core.merkle import verify_inclusion
from alloc_service.errors import CanonError, NoteError
from alloc_service.log.note import (
    Checkpoint,
    Verifier,
    decode_base64,
    encode_base64,
    open_checkpoint,
)

HEADER = "c2sp.org/tlog-proof@v1"
LONGEST_PROOF = 63

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
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != HEADER:
            raise NoteError(rule=f"a receipt begins with {HEADER} and holds a checkpoint")
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
        checkpoint = open_checkpoint(self.checkpoint, log, witnesses)
        verify_inclusion(leaf, self.index, checkpoint.size, self.proof, checkpoint.root)
        return checkpoint


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
