"""The sealer while its keys are changed, on its host alone.

It wraps anew only what is logged, under the same origin, design, root and part, and only to the
current key of its own folder; nobody hands it a key.
"""

from dataclasses import replace

from alloc_service.core.merkle import root_of
from alloc_service.errors import NotAuthorizedError
from alloc_service.log.note import Checkpoint, sign_checkpoint
from alloc_service.sealing.accept import add_acceptance
from alloc_service.sealing.asked import acceptance_of, find_logged_kid
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.wrap import seal_design, wrap_digest, wrap_tranche_key


class RotatingSealer(LocalSealer):
    """A sealer in this process that also wraps anew and signs a change of its key."""

    def holds(self, kid: str) -> bool:
        """Tell whether the sealing key of this id is here."""
        return kid in self._keys.kids

    def rewrap(self, origin: str, number: int, wrap: bytes) -> bytes:
        """Wrap a logged sealing's tranche key to the current key, for the same log and list.

        Whoever accepted the sealing has accepted it under the new wrap: it is the same key.

        Raises:
            NotAuthorizedError: The wrap is of no logged sealing of a followed list.
            UnknownKidError: The key that it is wrapped to is not here.
        """
        anchor = self._anchor(origin)
        with anchor.held():
            known = self._sealed(anchor, number)
            before = acceptance_of(number, known, wrap)
            kid = find_logged_kid(known, wrap)
            key = self._tranche_key(origin, wrap, kid, known)
            public = self._keys.public_key
            made = wrap_tranche_key(key, public, origin, known.design_sha256, known.root)
            if before in self.accepted(origin):
                after = replace(before, wrap_sha256=wrap_digest(made))
                add_acceptance(anchor.accepted_path, after)
        return made

    def reseal_design(self, origin: str, number: int, sealed: bytes) -> bytes:
        """Seal a list's design to the current key, for the same log.

        Raises:
            NotAuthorizedError: The list is not in the followed log.
            SealedDesignError: It does not open with any key here, or is not the frozen design.
        """
        anchor = self._anchor(origin)
        with anchor.held():
            known = self._sealed(anchor, number)
        design = self._open_design(origin, sealed, known.design_sha256)
        return seal_design(design, self._keys.public_key, origin)

    def sign_at_change(self, origin: str) -> tuple[int, str]:
        """Sign the checkpoint that ends in the last `key.rotated`, with both keys.

        Returns:
            Its size, and the note.

        Raises:
            NotAuthorizedError: The followed log names no change of its key.
            SigningKeyLostError: One of the two keys is not here.
        """
        anchor = self._anchor(origin)
        with anchor.held():
            self._refresh(anchor)
            named = anchor.state.log_keys
            if len(named) < 2:
                raise NotAuthorizedError(rule="the followed log names no change of its key")
            size = named[-1][0] + 1
            checkpoint = Checkpoint(origin, size, root_of(anchor.leaves[:size]))
            signers = [self._keys.signer_of(key) for _, key in named[-2:]]
        return size, sign_checkpoint(checkpoint, *signers)
