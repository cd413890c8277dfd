"""Acceptance: every blob of a sealing was opened once, before its list can be activated.

Code that runs as the web user could seal a list of its own to the sealer's public key and log
it. So a new `list.activated` or `list.resealed` is followed only where the sealer itself has
test-opened every blob, and has written down list, sealing, root and wrap. The answer is only
yes, or the first index that fails; never what a blob holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.merkle import root_of
from alloc_service.errors import AcceptError, IntegrityError, NotAcceptedError
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, open_slot
from alloc_service.sealing.files import append_line, read_file, refusing_disk_errors


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One accepted sealing of one list.

    Attributes:
        list: List number.
        sealing: From 1.
        root: HEX32 root of the list.
        wrap_sha256: HEX32 hash of the sealing's wrapped tranche key.
    """

    list: int
    sealing: int
    root: str
    wrap_sha256: str

    @property
    def line(self) -> bytes:
        """Return its one spelling in the file of acceptances."""
        row: dict[str, Json] = {
            "list": self.list,
            "root": self.root,
            "sealing": self.sealing,
            "wrap_sha256": self.wrap_sha256,
        }
        return canon(row)


def open_all(
    acceptance: Acceptance,
    key: TrancheKey,
    places: Iterable[SlotPlace],
    leaves: bytes,
    blobs: Iterable[bytes],
) -> None:
    """Open every blob of a sealing to its commitment.

    Args:
        acceptance: What is to be accepted.
        key: The tranche key.
        places: Every slot of the list, strata in order and slots in order.
        leaves: 32 bytes a slot, in the same order.
        blobs: In the same order.

    Raises:
        AcceptError: The leaves are not the root's, a blob is missing or too many, or one does
            not open; the text names the first index that fails.
    """
    number = acceptance.list
    split = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
    if root_of(split).hex() != acceptance.root:
        raise AcceptError(list=number, rule="its leaves do not give the logged root")
    index = 0
    try:
        for place, leaf, blob in zip(places, split, blobs, strict=True):
            open_slot(key, place, blob, leaf)
            index += 1
    except IntegrityError as error:
        raise AcceptError(list=number, rule=f"slot index {index} does not open: {error}") from None
    except ValueError:
        raise AcceptError(
            list=number, rule=f"slots and blobs differ in number at {index}"
        ) from None


def add_acceptance(path: Path, acceptance: Acceptance) -> None:
    """Write an acceptance down, durably.

    Raises:
        AnchorWriteError: The disk refused it.
    """
    with refusing_disk_errors(path):
        append_line(path, acceptance.line)


def read_acceptances(path: Path) -> list[Acceptance]:
    """Return every sealing that was accepted on this host."""
    rows = [parse_object(line) for line in (read_file(path) or b"").splitlines()]
    return [
        Acceptance(
            int(str(row["list"])), int(str(row["sealing"])), str(row["root"]),
            str(row["wrap_sha256"]),
        )
        for row in rows
    ]  # fmt: skip


def require_acceptance(path: Path, acceptance: Acceptance, origin: str) -> None:
    """Check that this very sealing, of the log of this name, was accepted on this host.

    Raises:
        NotAcceptedError: It was not.
    """
    if acceptance.line not in (read_file(path) or b"").split(b"\n"):
        raise NotAcceptedError(list=acceptance.list, origin=origin, root=acceptance.root)
