"""Proofs to keep: the log signed as it is now, and where an entry stands in it."""

from alloc_service.core.merkle import inclusion_proof, leaf_hash
from alloc_service.log.receipt import Receipt
from alloc_service.services import audit
from alloc_service.services.deps import Deps, SignedCheckpoint
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading


def sign_log(deps: Deps, trial_id: str) -> SignedCheckpoint:
    """Have the sealer sign the log as it is now, and keep what it signed.

    Whoever asks for it has been found to be allowed to.

    Raises:
        FrozenError: The sealer signs nothing more.
        UnknownRecordError: There is no such trial.
    """
    # The sealer first: a log that grows meanwhile is only longer than what was followed.
    status = deps.sealer.status(audit.origin_of(deps.host, trial_id))
    with audit.showing(deps, trial_id), deps.database.read() as session:
        head = queries.read_log_head(session, trial_id)
        audit.require_well(session, trial_id, head, status)
    signed = audit.follow(deps, trial_id)
    # Somebody takes it away: it is stored durably, and left to nobody else.
    with deps.database.write() as tx:
        queries.add_checkpoint(tx, trial_id, signed.size, signed.note)
    deps.logs.of(trial_id).stored(signed)
    return signed


def prove_entry(deps: Deps, trial_id: str, seq: int) -> str:
    """Return the receipt of one entry, under a checkpoint signed now.

    Raises:
        FrozenError: The sealer signs nothing more.
    """
    signed = sign_log(deps, trial_id)
    with deps.database.read() as session:
        return receipt_of(session, trial_id, seq, signed).text


def receipt_of(session: Reading, trial_id: str, seq: int, signed: SignedCheckpoint) -> Receipt:
    """Return the site's receipt of an entry: its leaf, and its proof under a signed checkpoint.

    Args:
        session: A read that began after the checkpoint was signed.
        trial_id: Whose log.
        seq: The entry's.
        signed: The checkpoint.
    """
    proof = inclusion_proof(
        seq, signed.size, lambda places: queries.read_log_nodes(session, trial_id, places)
    )
    leaf = leaf_hash(queries.read_entry(session, trial_id, seq).data)
    return Receipt(seq, tuple(proof), signed.note, leaf)
