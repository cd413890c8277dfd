"""The gate: what a sealer wants to see of the trial's witnesses before it opens a slot.

With the policy `gate`, an entry opens nothing before a quorum of the trial's witnesses has cosigned
a checkpoint that covers it. The policy is that of the followed log, and so are the witnesses' keys;
the service brings the checkpoint, and nothing of it is believed: it must be signed by the log's own
key, be no longer than what was followed, and have the root of the anchor's own entries.
"""

from alloc_service.core.merkle import root_of
from alloc_service.errors import GateClosedError, NoteError
from alloc_service.log.note import Verifier, open_cosigned
from alloc_service.log.state import LogState
from alloc_service.sealing.anchor import Anchor


def has_gate(state: LogState, seq: int) -> bool:
    """Tell whether an entry of this log opens nothing without the witnesses."""
    return state.policy.mode == "gate" and seq not in state.ungated


class Gate:
    """Compares checkpoints with an anchor; remembers the root that it computed last."""

    def __init__(self) -> None:
        self._known = (0, b"", b"")  # size, leaf of the last entry, root

    def require_cosigned(self, anchor: Anchor, seq: int, cosigned: str, log: Verifier) -> None:
        """Check that the witnesses have seen an entry, where its trial has a gate.

        Args:
            anchor: Held and refreshed.
            seq: The followed entry that something is opened for.
            cosigned: A checkpoint with cosignatures, or "".
            log: The log's own key.

        Raises:
            GateClosedError: They have not, or this does not prove it.
        """
        state = anchor.state
        if not has_gate(state, seq):
            return
        if not cosigned:
            raise GateClosedError(rule="no witness has confirmed it yet")
        try:
            checkpoint, names = open_cosigned(cosigned, log, state.policy.witnesses)
        except NoteError as error:
            raise GateClosedError(rule=error.facts["rule"]) from None
        if checkpoint.size <= seq:
            raise GateClosedError(rule="what the witness has confirmed ends before it")
        if checkpoint.size > state.size or self._root(anchor, checkpoint.size) != checkpoint.root:
            raise GateClosedError(rule="what the witness has confirmed is not this log")
        if len(names) < state.policy.quorum:
            needed = state.policy.quorum
            raise GateClosedError(rule=f"{len(names)} of the {needed} needed have confirmed it")

    def _root(self, anchor: Anchor, size: int) -> bytes:
        if size == anchor.state.size:
            return anchor.tree.root()
        # An entry holds the hash of the one before it, so the last leaf stands for all of them.
        known, last = self._known, anchor.leaves[size - 1]
        if known[:2] != (size, last):
            known = self._known = (size, last, root_of(anchor.leaves[:size]))
        return known[2]
