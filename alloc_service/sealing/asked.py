"""What a followed log says of something that a sealer is asked: a slot, a wrap, a list's places."""

import hashlib
from collections.abc import Iterator

from alloc_service.errors import NotAuthorizedError
from alloc_service.log.state import Assigned, ListState, LogState
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.envelope import SlotPlace


def find_covered(state: LogState, seq: int, enrolment: str) -> Assigned:
    """Return the followed assignment that a followed entry lets somebody look at."""
    assigned = state.assigned.get(enrolment)
    if assigned is None:
        raise NotAuthorizedError(rule="no slot was assigned to this enrolment")
    by_many = state.arms_reads.get(seq, -1) >= assigned.seq
    if assigned.seq == seq or state.rereads.get(seq) == enrolment or by_many:
        return assigned
    raise NotAuthorizedError(rule=f"entry {seq} does not cover this enrolment")


def find_logged_kid(known: ListState, wrap: bytes) -> str:
    """Return the id of the key that a wrap is logged to be sealed to."""
    digest = hashlib.sha256(wrap).hexdigest()
    for logged in known.wraps.values():
        if logged.wrap_sha256 == digest:
            return logged.kid
    raise NotAuthorizedError(rule="the wrapped key is of no logged sealing of this list")


def list_places(known: ListState) -> Iterator[SlotPlace]:
    """Yield every place of a sealed list, strata in order and slots in order."""
    for stratum, slots in enumerate(known.slots):
        for slot in range(slots):
            yield SlotPlace(known.design_sha256, known.root, stratum, slot)


def acceptance_of(number: int, known: ListState, wrap: bytes) -> Acceptance:
    """Return what accepting a wrap would write down: of its sealing, or of the next one."""
    digest = hashlib.sha256(wrap).hexdigest()
    logged = [at for at, sealing in known.wraps.items() if sealing.wrap_sha256 == digest]
    sealing = logged[0] if logged else max(known.wraps) + 1
    return Acceptance(number, sealing, known.root, digest)
