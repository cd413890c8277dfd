"""The gate of a trial, from the service's side: what is opened waits for the trial's witnesses.

The sealer holds the gate; here its checkpoint is fetched. The entry is committed and followed
before anybody is asked, so nothing is lost where a witness cannot be reached: who asks again is
given the same slot, once the witnesses have confirmed the log. Of many at once one asks, for all
whose entries the checkpoint covers.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from alloc_service.errors import GateClosedError
from alloc_service.log.state import LogState, WitnessPolicy
from alloc_service.sealing.gate import has_gate
from alloc_service.services import audit, cosigning
from alloc_service.services.deps import Deps, SignedCheckpoint
from alloc_service.storage import queries

MOST_TRIES: Final = 6
TRIES_WITHIN: Final = 12.0
WAITS_FOR_ITS_TURN: Final = 10.0


class Passed(NamedTuple):
    """What opens a gate: the entry to open for, and the cosigned checkpoint that covers it."""

    seq: int
    signed: SignedCheckpoint


def policy_at(state: LogState, seq: int) -> WitnessPolicy | None:
    """Return the witnesses that an entry waits for, or none where it waits for nobody."""
    return state.policy if has_gate(state, seq) else None


def pass_gate(
    deps: Deps,
    trial_id: str,
    policy: WitnessPolicy,
    seq: int,
    *,
    assigned: int | None = None,
    signed: SignedCheckpoint | None = None,
) -> Passed:
    """Have the witnesses confirm the log up to an entry, and keep what they sign.

    Where too few of them can be asked over the network, a response that came by file covers the
    assignment, and not the look that was logged just now: then it is opened for the assignment.

    Args:
        deps: The service's.
        trial_id: Whose log.
        policy: Its witnesses.
        seq: A followed entry that something is opened for.
        assigned: The seq of the `slot.assigned` behind it.
        signed: What the sealer signed when it followed the entry, where that is at hand.

    Raises:
        GateClosedError: They have not; ask again.
        FrozenError: A witness has seen more of this log, or another one.
    """
    with _turn(deps, trial_id):
        found = _find(deps, trial_id, policy, seq, assigned)
        if found is not None:
            return found
        signed, ends = signed or audit.follow(deps, trial_id), time.monotonic() + TRIES_WITHIN
        for _ in range(MOST_TRIES):
            got = cosigning.collect(deps, trial_id, policy, signed, all_=False)
            if len(got.lines) >= policy.quorum:
                return Passed(seq, cosigning.cosigned_by(signed, got.lines))
            if not got.held or time.monotonic() > ends:
                break
            # Others were faster, or the log here is not the one that the witness has seen.
            signed = cosigning.show_held(deps, trial_id, policy, got.held)
    raise GateClosedError(rule=_tell(got, policy))


def _find(
    deps: Deps, trial_id: str, policy: WitnessPolicy, seq: int, assigned: int | None
) -> Passed | None:
    log = cosigning.log_key_of(deps, trial_id)
    with deps.database.read() as session:
        found = cosigning.find_cosigned(session, trial_id, log, policy, seq)
        if found is not None:
            return Passed(seq, found)
        urls = queries.list_witness_addresses(session, trial_id)
        if assigned is None or sum(map(bool, urls.values())) >= policy.quorum:
            return None
        found = cosigning.find_cosigned(session, trial_id, log, policy, assigned)
    return None if found is None else Passed(assigned, found)


def _tell(got: cosigning.Collected, policy: WitnessPolicy) -> str:
    told = "; ".join(f"{name}: {why}" for name, why in sorted(got.troubles.items()))
    return f"{len(got.lines)} of the {policy.quorum} needed have confirmed it ({told})"


@contextmanager
def _turn(deps: Deps, trial_id: str) -> Iterator[None]:
    lock = deps.logs.of(trial_id).cosigning
    if not lock.acquire(timeout=WAITS_FOR_ITS_TURN):
        raise GateClosedError(rule="others are waiting for the witness too")
    try:
        yield
    finally:
        lock.release()
