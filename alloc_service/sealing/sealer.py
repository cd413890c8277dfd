"""What the service asks of a sealer, in this process or in one of its own.

The sealer follows the log, keeps an anchor of it, and opens only what the log assigned. List,
stratum, slot and leaf of an opening come from the followed `slot.assigned` alone: nobody can
name a slot, bring a key or bring a list.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from alloc_service.core.design import Design
from alloc_service.core.generate import Opening
from alloc_service.log.note import Verifier
from alloc_service.sealing.accept import Acceptance


@dataclass(frozen=True, slots=True)
class Status:
    """How the sealer stands towards one trial.

    Attributes:
        frozen: Why nothing opens and nothing is appended, or "".
        blocked: Which entry is not followed, and why, or "".
        unwritable: Why the anchor cannot be written, or "".
        size: Entries followed; 0 for a log that was never followed.
        last: HEX leaf hash of the last one, or "".
    """

    frozen: str
    blocked: str
    unwritable: str
    size: int
    last: str


@dataclass(frozen=True, slots=True)
class SlotToOpen:
    """What the database holds of one slot, and the proof that its leaf is under the root.

    Attributes:
        blob: 285 bytes.
        wrap: The wrapped tranche key of the sealing that the blob belongs to.
        proof: Inclusion proof of the slot's leaf in the list's tree, 32 bytes each.
        cosigned: A checkpoint that covers the entry it is opened for, with the cosignatures of
            the trial's witnesses; empty where the trial has no gate.
    """

    blob: bytes
    wrap: bytes
    proof: tuple[bytes, ...]
    cosigned: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """An opening, and the hash of the enrolment record that the sealer followed."""

    opening: Opening = field(repr=False)
    enrolment_sha256: str


class Sealer(Protocol):
    """What the services ask: of a sealer in this process, or of one behind a socket.

    The part after `require_accepted` is for the sealer's host alone: behind a socket each of them
    is refused with the command that does it there.

    Attributes:
        holds_keys: Whether this process has the keys, and so the part for the host.
    """

    holds_keys: bool

    @property
    def kid(self) -> str:
        """Return the id of the key that new lists are sealed to."""
        ...

    @property
    def public_key(self) -> bytes:
        """Return that key's raw X25519 public key."""
        ...

    def origins(self) -> list[str]:
        """Return every trial that was ever followed."""
        ...

    def log_key(self, origin: str) -> Verifier:
        """Return the public key that this trial's checkpoints are signed with."""
        ...

    def log_keys(self, origin: str) -> tuple[Verifier, ...]:
        """Return that key, and after it the older ones that the log has named."""
        ...

    def status(self, origin: str) -> Status:
        """Tell how the sealer stands, without a lock."""
        ...

    def follow(
        self, origin: str, since: int, entries: Sequence[bytes], seen: Sequence[str] = ()
    ) -> str:
        """Compare, fold and keep entries; return a signed checkpoint."""
        ...

    def open(self, origin: str, seq: int, enrolment: str, sealed: SlotToOpen) -> Opened:
        """Open the slot that a followed entry assigned to this enrolment."""
        ...

    def accepted(self, origin: str) -> tuple[Acceptance, ...]:
        """Return the sealings of a trial that were test-opened."""
        ...

    def require_accepted(self, origin: str, acceptance: Acceptance) -> None:
        """Check that a sealing was test-opened, before what needs it is appended."""
        ...

    def open_design(self, origin: str, seq: int, sealed: bytes) -> Design:
        """Open a sealed design for a followed `design.read`."""
        ...

    def accept(
        self, origin: str, number: int, wrap: bytes, leaves: bytes, blobs: Iterable[bytes]
    ) -> Acceptance:
        """Test-open every blob of a sealing, and write that down."""
        ...

    def test_open(
        self, origin: str, number: int, wrap: bytes, leaves: bytes, blobs: Iterable[bytes]
    ) -> Acceptance:
        """Test-open every blob of a sealing."""
        ...

    def followed(self, origin: str) -> list[bytes]:
        """Return every followed entry, for a recovery."""
        ...

    def resume(self, origin: str, entries: Sequence[bytes]) -> str:
        """Follow the end of a recovery."""
        ...
