"""A receipt checked offline, by a policy that comes from elsewhere.

The site's receipt holds the leaf hash of its entry, or the site gives the one that it kept beside
it. A full receipt holds
the entry itself and the opening: then the entry's leaf is proved, the entry is read, and the
opening must be the one that the entry's `slot.assigned` committed to.
"""

from alloc_service.core.generate import Opening
from alloc_service.core.merkle import leaf_hash, verify_inclusion
from alloc_service.errors import BundleError, ListFileError
from alloc_service.log.entry import read_entry
from alloc_service.log.evidence import EvidenceReport
from alloc_service.log.note import open_cosigned
from alloc_service.log.policy import NO_QUORUM, Policy
from alloc_service.log.receipt import LEAF_BYTES, Receipt, read_extra

WHERE = "receipt"


def verify_receipt(text: str, policy: Policy, leaf: bytes | None = None) -> EvidenceReport:
    """Check a receipt.

    Args:
        text: The file.
        policy: From a source other than the receipt.
        leaf: The leaf hash that was kept beside it, 32 bytes; a full receipt needs none.

    Raises:
        BundleError: There is no leaf to prove, or what the receipt holds contradicts itself.
        PolicyError: The policy does not know this log.
        IntegrityError: The note is not signed, or the entry is not under its root.
    """
    receipt = Receipt.parse(text)
    origin = receipt.checkpoint.partition("\n")[0]
    key, witnesses = policy.key_of(origin), tuple(policy.witnesses.values())
    checkpoint, cosigners = open_cosigned(receipt.checkpoint, key, witnesses)
    rule = f"its checkpoint lacks the cosignatures of the policy's quorum {policy.quorum}"
    _require(policy.is_met_by(cosigners), rule)
    checked, unchecked = [], []
    if receipt.extra is not None and len(receipt.extra) == LEAF_BYTES:
        _require(leaf in {None, receipt.extra}, "the leaf that was given is not the one in it")
        leaf = receipt.extra
    elif receipt.extra is not None:
        found = _check_extra(receipt)
        _require(leaf in {None, found}, "the leaf that was given is not that of its entry")
        leaf = found
        checked.append("Its opening is the one that its slot.assigned committed to.")
        unchecked.append("The opening's place in its list: a bundle proves that.")
    if leaf is None:
        raise BundleError(where=WHERE, rule="it holds no entry: give the leaf that you kept")
    verify_inclusion(leaf, receipt.index, checkpoint.size, receipt.proof, checkpoint.root)
    told = f"Entry {receipt.index} is in the log of {checkpoint.size:,} entries that was signed."
    if policy.quorum == NO_QUORUM:
        unchecked.append("The policy asks for no quorum: nobody but the log's key vouches for it.")
    return EvidenceReport(
        origin=origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        checked=(told, *checked),
        told=(),
        unchecked=tuple(unchecked),
    )


def _check_extra(receipt: Receipt) -> bytes:
    """Check a full receipt's entry and opening against each other; return the entry's leaf."""
    data, text, _proof = read_extra(receipt.extra or b"")
    entry = read_entry(data)
    _require(entry.seq == receipt.index, "its entry has another number than its index")
    _require(entry.type == "slot.assigned", "its entry is no slot.assigned")
    try:
        opening = Opening.parse(text)
    except ListFileError:
        raise BundleError(where=WHERE, rule="it holds no opening (rac-slot/1)") from None
    place = (opening.stratum, opening.slot) == (entry.body["stratum"], entry.body["slot"])
    same = place and opening.leaf.hex() == entry.body["leaf"]
    _require(same, "its opening is not the one that its entry committed to")
    return leaf_hash(data)


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise BundleError(where=WHERE, rule=rule)
