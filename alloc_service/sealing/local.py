"""The sealer in the service's own process.

It holds the two server keys and, for each trial, an anchor. What it stops, and what it does
not: a reader or an administrator of the database or of a stolen backup learns no next arm, and
edited, dropped, swapped or rolled-back rows open nothing; whoever runs code as the service is
not stopped.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from alloc_service.core.design import Design
from alloc_service.core.generate import leaf_index
from alloc_service.core.merkle import verify_inclusion
from alloc_service.errors import (
    AnchorDamagedError,
    AnchorMissingError,
    FrozenError,
    NotAuthorizedError,
    ProtocolError,
    RefusalError,
    RegisterError,
    SealedDesignError,
)
from alloc_service.log.note import Checkpoint, Verifier, open_by_one_of, sign_checkpoint
from alloc_service.log.state import ListState
from alloc_service.sealing import follow
from alloc_service.sealing.accept import (
    Acceptance,
    add_acceptance,
    open_all,
    read_acceptances,
    require_acceptance,
)
from alloc_service.sealing.anchor import Anchor, Register
from alloc_service.sealing.asked import (
    acceptance_of,
    find_covered,
    find_logged_kid,
    list_places,
)
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, open_slot
from alloc_service.sealing.files import refusing_disk_errors
from alloc_service.sealing.gate import Gate
from alloc_service.sealing.keys import ServerKeys
from alloc_service.sealing.sealer import Opened, SlotToOpen, Status
from alloc_service.sealing.wrap import open_design, require_origin, unwrap_tranche_key

LEAST_FREE_BYTES = 1 << 20


class LocalSealer:
    """The sealer in this process.

    Args:
        keys: The two server keys.
        directory: Where the register and the anchors lie.
        host: First part of every origin that may begin here.

    Raises:
        RegisterError: The register is missing beside these keys, or is of other keys.
        AnchorsExposedError: Others can reach the directory.
    """

    holds_keys = True

    def __init__(self, keys: ServerKeys, directory: Path, host: str) -> None:
        self._keys = keys
        self._directory = directory
        self._host = host
        self._register = Register(directory)
        self._register.check(*keys.kids)
        self._registered: set[str] = set()
        self._anchors: dict[str, Anchor] = {}
        self._asked_for: WeakValueDictionary[str, Anchor] = WeakValueDictionary()
        self._gates: dict[str, Gate] = {}
        self._tranche_keys: dict[tuple[str, str, str], TrancheKey] = {}

    @property
    def kid(self) -> str:
        """Return the id of the key that new lists are sealed to."""
        return self._keys.kid

    @property
    def public_key(self) -> bytes:
        """Return that key's raw X25519 public key; a list made offline is sealed to it."""
        return self._keys.public_key

    def origins(self) -> list[str]:
        """Return every trial that was ever followed here."""
        return self._register.origins()

    def log_key(self, origin: str) -> Verifier:
        """Return the public key that this trial's checkpoints are signed with."""
        return self.log_keys(origin)[0]

    def log_keys(self, origin: str) -> tuple[Verifier, ...]:
        """Return that key, and after it the older ones that this log has named."""
        anchor = self._anchor(origin)
        if not anchor.state.size and self._is_registered(origin):
            with contextlib.suppress(RefusalError), anchor.held():
                anchor.refresh()
        named = [key for _, key in anchor.state.log_keys]
        return tuple(reversed(named)) or (self._keys.log_key(origin),)

    def accepted(self, origin: str) -> tuple[Acceptance, ...]:
        """Return the sealings of a trial that were test-opened here."""
        path = self._anchor(origin).accepted_path
        with refusing_disk_errors(path):
            return tuple(read_acceptances(path))

    def status(self, origin: str) -> Status:
        """Tell how the sealer stands, without a lock."""
        anchor = self._anchor(origin)
        with refusing_disk_errors(anchor.path):
            frozen = anchor.why_frozen() or anchor.why_damaged()
            try:
                size, last = anchor.tail()
            except AnchorDamagedError as error:
                size, last, frozen = 0, "", frozen or str(error)
            if not frozen and self._is_registered(origin) != bool(size):
                frozen = f"its anchor {anchor.path} is missing or empty"
                if size:
                    frozen = f"the register does not know its anchor {anchor.path}"
            return Status(frozen, anchor.why_blocked(), self._why_unwritable(anchor), size, last)

    def follow(
        self, origin: str, since: int, entries: Sequence[bytes], seen: Sequence[str] = ()
    ) -> str:
        """Compare, fold and keep entries; only then move on and sign.

        Args:
            origin: The log's.
            since: A size that this sealer gave, read before the entries were; 0 for a log
                that it has never seen.
            entries: The log from entry `since` - 1 on, so that the two overlap.
            seen: Checkpoints of this log that somebody outside holds, such as a witness.

        Returns:
            A signed checkpoint of everything followed so far.

        Raises:
            FrozenError: The trial is frozen, or is from now on.
            BlockedError: An entry was refused; those before it were followed.
            ProtocolError: `since` or the entries are no continuation; nothing is frozen.
            AnchorWriteError: The disk refused; nothing was followed.
        """
        anchor = self._anchor(origin)
        if since != 0:
            self._require_registered(anchor)  # before a lock's file is made
        with anchor.held():
            if since == 0:
                follow.begin(anchor, self._register, self._host, entries)
            else:
                self._refresh(anchor)
                follow.advance(anchor, since, entries)
            follow.compare_seen(anchor, self._read_seen(origin, seen))
            return self._sign(anchor)

    def open(self, origin: str, seq: int, enrolment: str, sealed: SlotToOpen) -> Opened:
        """Open the slot that a followed entry assigned to this enrolment.

        Args:
            origin: The log's.
            seq: A followed `slot.assigned` or `slot.reread` of the enrolment, or an
                `arms.read` that covers it.
            enrolment: Its id.
            sealed: What the database holds; its wrap must be of a logged sealing of the list.

        Raises:
            FrozenError: The trial is frozen.
            NotAuthorizedError: No followed entry says so, or the wrap is of no logged sealing.
            GateClosedError: The trial's witnesses have not confirmed the entry.
            IntegrityError: Proof, wrap or blob are not what was committed to.
        """
        anchor = self._anchor(origin)
        self._require_registered(anchor)
        with anchor.held():
            self._refresh(anchor)
            assigned = find_covered(anchor.state, seq, enrolment)
            gate = self._gates.setdefault(origin, Gate())
            gate.require_cosigned(anchor, seq, sealed.cosigned, self.log_key(origin))
            known = anchor.state.lists[assigned.list]
            record = anchor.state.enrolment_sha256[enrolment]
            kid = find_logged_kid(known, sealed.wrap)
        leaf = bytes.fromhex(assigned.leaf)
        index = leaf_index(known.slots, assigned.stratum, assigned.slot)
        size, root = sum(known.slots), bytes.fromhex(known.root)
        verify_inclusion(leaf, index, size, sealed.proof, root)
        key = self._tranche_key(origin, sealed.wrap, kid, known)
        place = SlotPlace(known.design_sha256, known.root, assigned.stratum, assigned.slot)
        return Opened(open_slot(key, place, sealed.blob, leaf), record)

    def open_design(self, origin: str, seq: int, sealed: bytes) -> Design:
        """Open a sealed design for a followed `design.read` of its list.

        Raises:
            FrozenError: The trial is frozen.
            NotAuthorizedError: No such entry was followed.
            IntegrityError: It is not the design that was frozen.
        """
        anchor = self._anchor(origin)
        with anchor.held():
            self._refresh(anchor)
            number = anchor.state.design_reads.get(seq)
            if number is None:
                raise NotAuthorizedError(rule=f"entry {seq} is no followed design.read")
            known = anchor.state.lists[number]
        return self._open_design(origin, sealed, known.design_sha256)

    def accept(
        self, origin: str, number: int, wrap: bytes, leaves: bytes, blobs: Iterable[bytes]
    ) -> Acceptance:
        """Test-open every blob of a sealing and write its acceptance down, durably.

        As `test_open`, and:

        Raises:
            AnchorWriteError: The disk refused the acceptance.
        """
        acceptance = self.test_open(origin, number, wrap, leaves, blobs)
        anchor = self._anchor(origin)
        with anchor.held():
            add_acceptance(anchor.accepted_path, acceptance)
        return acceptance

    def test_open(
        self, origin: str, number: int, wrap: bytes, leaves: bytes, blobs: Iterable[bytes]
    ) -> Acceptance:
        """Test-open every blob of a sealing; tell only that all open, or the first that fails.

        Nothing is written down: what could be accepted is returned.

        Args:
            origin: The log's.
            number: The list's.
            wrap: The sealing's wrapped tranche key, logged already or about to be.
            leaves: All leaves of the list, 32 bytes each.
            blobs: All blobs, strata in order and slots in order.

        Raises:
            AcceptError: A blob does not open, or the leaves are not the logged root's.
            NotAuthorizedError: The list is not sealed in the followed log.
        """
        anchor = self._anchor(origin)
        with anchor.held():
            known = self._sealed(anchor, number)
            acceptance = acceptance_of(number, known, wrap)
            logged = known.wraps.get(acceptance.sealing)
            kid = logged.kid if logged else self._keys.kid
        # A sealed list's design, root and slots never change, and this takes a while: no lock.
        key = self._tranche_key(origin, wrap, kid, known)
        open_all(acceptance, key, list_places(known), leaves, blobs)
        return acceptance

    def require_accepted(self, origin: str, acceptance: Acceptance) -> None:
        """Check that a sealing was test-opened, before what needs it is appended.

        Raises:
            NotAcceptedError: It was not.
        """
        path = self._anchor(origin).accepted_path
        with refusing_disk_errors(path):
            require_acceptance(path, acceptance, origin)

    def followed(self, origin: str) -> list[bytes]:
        """Return every followed entry, frozen or not: for recovery, on this host alone.

        Raises:
            AnchorMissingError: The anchor is lost.
        """
        anchor = self._anchor(origin)
        with anchor.held():
            anchor.refresh()
            return anchor.entries()

    def resume(self, origin: str, entries: Sequence[bytes]) -> str:
        """Follow the end of a recovery and clear the freeze; on this host alone.

        Args:
            origin: The log's.
            entries: As `alloc_service.sealing.follow.resume` takes them.

        Raises:
            ProtocolError: This is no end of a recovery.
        """
        anchor = self._anchor(origin)
        with anchor.held():
            try:
                anchor.refresh()
            except AnchorMissingError:
                self._require_registered(anchor)
            follow.resume(anchor, entries)
            return self._sign(anchor)

    def _sealed(self, anchor: Anchor, number: int) -> ListState:
        """Return a sealed list of the followed log; under the anchor's lock."""
        self._refresh(anchor)
        known = anchor.state.lists.get(number)
        if known is None or not known.root:
            raise NotAuthorizedError(rule=f"list {number} is not sealed in the followed log")
        return known

    def _anchor(self, origin: str) -> Anchor:
        """Return an anchor; of a trial that was never followed only for as long as it is used.

        Anybody may ask for any name, and what nobody uses any more must cost nothing.
        """
        found = self._anchors.get(origin)
        if found is None:
            require_origin(origin)
            found = self._asked_for.setdefault(origin, Anchor(self._directory, origin))
            if self._is_registered(origin):
                found = self._anchors.setdefault(origin, found)
        return found

    def _is_registered(self, origin: str) -> bool:
        if origin not in self._registered:  # what is registered once stays so
            self._registered.update(self._register.origins())
        return origin in self._registered

    def _require_registered(self, anchor: Anchor) -> None:
        if self._is_registered(anchor.origin):
            return
        if anchor.path.exists():
            raise RegisterError(path=anchor.path, rule="the register does not know this anchor")
        raise ProtocolError(rule=f"{anchor.origin} was never followed here")

    def _sign(self, anchor: Anchor) -> str:
        """Sign with the log's key; at the entry that changes it, with the older one before."""
        size, named = anchor.tree.size, anchor.state.log_keys
        first = len(named) - (2 if len(named) > 1 and named[-1][0] + 1 == size else 1)
        signers = [self._keys.signer_of(key) for _, key in named[max(first, 0) :]]
        checkpoint = Checkpoint(anchor.origin, size, anchor.tree.root())
        return sign_checkpoint(checkpoint, *(signers or [self._keys.signer(anchor.origin)]))

    def _read_seen(self, origin: str, seen: Sequence[str]) -> list[Checkpoint]:
        keys = self.log_keys(origin)
        return [open_by_one_of(note, keys) for note in seen]

    def _refresh(self, anchor: Anchor) -> None:
        self._require_registered(anchor)
        if reason := anchor.why_frozen():
            raise FrozenError(reason=reason)
        try:
            anchor.refresh()
        except AnchorMissingError:
            raise FrozenError(reason=f"its anchor {anchor.path} is missing or empty") from None

    def _open_design(self, origin: str, sealed: bytes, design_sha256: str) -> Design:
        """Open with the current key, or with an older one that the design was sealed to."""
        for kid in self._keys.kids:
            if kid != self._keys.kid:
                with contextlib.suppress(SealedDesignError):
                    return open_design(self._keys.unwrap_key(kid), sealed, origin, design_sha256)
        return open_design(self._keys.unwrap_key(self._keys.kid), sealed, origin, design_sha256)

    def _why_unwritable(self, anchor: Anchor) -> str:
        if not os.access(self._directory, os.W_OK | os.X_OK):
            return f"{self._directory} is not writable"
        if shutil.disk_usage(self._directory).free < LEAST_FREE_BYTES:
            return f"the disk of {self._directory} is full"
        return anchor.why_doubtful()

    def _tranche_key(self, origin: str, wrap: bytes, kid: str, known: ListState) -> TrancheKey:
        # Held like the private key that opens it, and for as long; unwrapping costs an X25519.
        name = origin, known.root, hashlib.sha256(wrap).hexdigest()
        if name not in self._tranche_keys:
            self._tranche_keys[name] = unwrap_tranche_key(
                self._keys.unwrap_key(kid), wrap, origin, known.design_sha256, known.root, kid
            )
        return self._tranche_keys[name]
