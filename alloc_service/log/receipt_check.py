"""A receipt checked offline, by a policy that comes from elsewhere: the quorum must be met."""

from alloc_service.errors import BundleError
from alloc_service.log.evidence import EvidenceReport
from alloc_service.log.policy import NO_QUORUM, Policy
from alloc_service.log.receipt import ListRoot, Receipt, examine_receipt

WHERE = "receipt"


def verify_receipt(
    text: str, policy: Policy, leaf: bytes | None = None, sealed: ListRoot | None = None
) -> EvidenceReport:
    """Check a receipt.

    Args:
        text: The file.
        policy: From a source other than the receipt.
        leaf: The leaf hash that was kept beside it, 32 bytes, if any.
        sealed: Root and slots of the list of a full receipt.

    Raises:
        BundleError: The policy's quorum has not cosigned its checkpoint.
        PolicyError: The policy does not know this log.
        IntegrityError: As `examine_receipt`.
    """
    checkpoint = Receipt.parse(text).checkpoint
    key = policy.key_of(checkpoint.partition("\n")[0])
    found = examine_receipt(text, key, tuple(policy.witnesses.values()), leaf, sealed)
    if not policy.is_met_by(found.cosigners):
        rule = f"its checkpoint lacks the cosignatures of the policy's quorum {policy.quorum}"
        raise BundleError(where=WHERE, rule=rule)
    checked = [f"Entry {found.index} is in the log of {found.size:,} entries that was signed."]
    unchecked = []
    if found.entry is None:
        unchecked.append("What the entry says: the receipt proves that it is there.")
    else:
        checked.append("Its opening is the one that it commits to, under the root of its list.")
    if policy.quorum == NO_QUORUM:
        unchecked.append("The policy asks for no quorum: nobody but the log's key vouches for it.")
    return EvidenceReport(
        origin=found.origin,
        size=found.size,
        root=found.root.hex(),
        checked=tuple(checked),
        told=(),
        unchecked=tuple(unchecked),
    )
