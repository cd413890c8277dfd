"""Bundles of a trial's evidence, and the policy that their reader should have from the beginning.

Making one is logged before anything is opened for it: `log.exported`; with openings `arms.read`
too, and `design.read` for each design. Opened are the slots that were spent before, and no other.
Each bundle is verified as its reader will verify it before it is handed out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice

from alloc_service.core.canon import Json
from alloc_service.core.generate import Opening
from alloc_service.errors import (
    DesignMismatchError,
    NoteError,
    SealerHostError,
    SeedTooEarlyError,
    UnknownSignerError,
)
from alloc_service.log.bundle import BundledList, BundleParts, choose_sizes, write_bundle
from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.bundle_seed import OpenedSeed
from alloc_service.log.entry import Entry
from alloc_service.log.note import open_note
from alloc_service.log.policy import NO_QUORUM, parse_policy, write_policy
from alloc_service.log.state import LogState
from alloc_service.log.verify import verify_log
from alloc_service.permissions import Action
from alloc_service.sealing.escrow import EscrowedList
from alloc_service.sealing.sealer import SlotToOpen
from alloc_service.services import accounts, audit, gate, proofs
from alloc_service.services.accounts import Person
from alloc_service.services.audit import LoggedActor, OpenLog
from alloc_service.services.deps import Deps, SignedCheckpoint
from alloc_service.services.slots import SealingTree
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading, Transaction

PURPOSE = "bundle"


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an unblinded bundle may hold, by list: openings by index, designs, seeds."""

    openings: Mapping[int, Mapping[int, Opening]] = field(default_factory=dict)
    designs: Mapping[int, bytes] = field(default_factory=dict)
    seeds: Mapping[int, OpenedSeed] = field(default_factory=dict)


def read_policy(deps: Deps, trial_id: str) -> str:
    """Return the policy file of a trial's log; it is public.

    Whoever will check bundles or receipts takes it away at the trial's start, and keeps it.

    Raises:
        UnknownRecordError: There is no such trial.
        LogDamagedError: The stored log does not fold.
    """
    with deps.database.read() as session:
        queries.read_trial(session, trial_id)
        state = audit.read_state(session, trial_id)
    return write_policy(deps.sealer.log_key(audit.origin_of(deps.host, trial_id)), state.policy)


def make_blinded(deps: Deps, person: Person, trial_id: str) -> bytes:
    """Return a bundle without openings and designs, after it is logged.

    Raises:
        NotAllowedError: The person may not read the whole log.
        LogDamagedError: The stored log does not fold.
        IntegrityError: What is stored is not what the log says of it.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.READ_LOG, trial_id)
        log.append("log.exported", actor, {"upto": log.state.size - 1})
    return _write(deps, trial_id, _Shown(), unblinded=False)


def make_unblinded(
    deps: Deps, person: Person, trial_id: str, escrowed: Iterable[EscrowedList] = ()
) -> bytes:
    """Return a bundle with the openings of spent slots, after each look is logged.

    Args:
        deps: The service's.
        person: A member of the DMC, or a statistician, who gets the designs too.
        trial_id: Which trial.
        escrowed: After its end: lists' seeds and designs, as their custodians opened them.

    Raises:
        NotAllowedError: The person may not read many arms, or not the whole log.
        SeedTooEarlyError: A seed is given, and the trial is not closed.
        DesignMismatchError: What is given is of no list of this trial.
        IntegrityError: What is stored or given is not what the log says of it.
        GateClosedError: The trial's witnesses have not confirmed the look.
        SealerHostError: The sealer is in a process of its own, and opens designs on its host.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        accounts.require(tx, person, Action.READ_LOG, trial_id)
        actor = accounts.require(tx, person, Action.READ_ARMS, trial_id)
        given = _require_given(log.state, trial_id, escrowed)
        sealed = {number for number, known in log.state.lists.items() if known.root}
        wanted = sealed - given.keys()
        _require_openable(deps, tx, person, trial_id, wanted)
        upto: dict[str, Json] = {"upto": log.state.size - 1}
        look = log.append("arms.read", actor, {"purpose": PURPOSE, **upto})
        reads = _log_design_reads(tx, person, trial_id, log, wanted)
        log.append("log.exported", actor, upto)
        policy = gate.policy_at(log.state, look.seq)
    cosigned = ""
    if policy is not None:
        cosigned = gate.pass_gate(deps, trial_id, policy, look.seq).signed.note
    designs = {number: one.design.to_bytes() for number, one in given.items()}
    designs |= _open_designs(deps, trial_id, reads)
    seeds = {number: OpenedSeed(one.seed, one.reveals, one.beacon) for number, one in given.items()}
    shown = _Shown(open_spent(deps, trial_id, look.seq, cosigned), designs, seeds)
    return _write(deps, trial_id, shown, unblinded=True)


def _require_given(
    state: LogState, trial_id: str, escrowed: Iterable[EscrowedList]
) -> dict[int, EscrowedList]:
    """Return what the custodians opened, by list, if it may be in a bundle now."""
    given = {}
    for one in escrowed:
        design, known = one.design, state.lists.get(one.design.list)
        if state.trial != "closed":
            raise SeedTooEarlyError(list=design.list)
        if design.trial != trial_id or known is None or known.design_sha256 != design.sha256:
            raise DesignMismatchError(what="design", rule="it is of no list of this trial")
        given[design.list] = one
    return given


def _require_openable(
    deps: Deps, tx: Transaction, person: Person, trial_id: str, numbers: Collection[int]
) -> None:
    """Refuse, before any look is logged, designs that the sealer opens on its host alone."""
    if deps.sealer.holds_keys or not numbers:
        return
    if accounts.may(tx, person, Action.READ_DESIGN, trial_id):
        raise SealerHostError(command=f"alloc sealer bundle {trial_id} --out FILE")


def _log_design_reads(
    tx: Transaction, person: Person, trial_id: str, log: OpenLog, numbers: Iterable[int]
) -> dict[int, Entry]:
    """Log a look at each design for a person who may have it; the DMC gets openings alone."""
    if not accounts.may(tx, person, Action.READ_DESIGN, trial_id):
        return {}
    actor: LoggedActor = accounts.require(tx, person, Action.READ_DESIGN, trial_id)
    return {
        number: log.append("design.read", actor, {"list": number}) for number in sorted(numbers)
    }


def _open_designs(deps: Deps, trial_id: str, reads: Mapping[int, Entry]) -> dict[int, bytes]:
    """Open each design that a look was logged at, by list."""
    origin = audit.origin_of(deps.host, trial_id)
    with deps.database.read() as session:
        sealed = {
            number: queries.read_list(session, trial_id, number).design_sealed for number in reads
        }
    return {
        number: deps.sealer.open_design(origin, entry.seq, sealed[number]).to_bytes()
        for number, entry in reads.items()
    }


def open_spent(
    deps: Deps, trial_id: str, look: int, cosigned: str = ""
) -> dict[int, dict[int, Opening]]:
    """Open every slot that was spent before a look was logged, by list and index of its leaf.

    Args:
        deps: The service's.
        trial_id: Which trial.
        look: Seq of the followed `arms.read`.
        cosigned: The checkpoint that a gate asks for, if there is one.

    Raises:
        NotAuthorizedError: There is no such look.
        IntegrityError: A slot does not open to its commitment.
    """
    origin = audit.origin_of(deps.host, trial_id)
    found: dict[int, dict[int, Opening]] = {}
    for number, index, enrolment, sealed in _read_spent(deps, trial_id, look):
        under = replace(sealed, cosigned=cosigned)
        opening = deps.sealer.open(origin, look, enrolment, under).opening
        found.setdefault(number, {})[index] = opening
    return found


def _read_spent(deps: Deps, trial_id: str, look: int) -> list[tuple[int, int, str, SlotToOpen]]:
    """Return (list, index, enrolment, what is opened) of each slot that was spent before."""
    with deps.database.read() as session:
        state = audit.read_state(session, trial_id)
        sealed = {number: known for number, known in state.lists.items() if known.root}
        trees = {number: SealingTree(trial_id, number, known) for number, known in sealed.items()}
        starts = {number: [0, *accumulate(known.slots)] for number, known in sealed.items()}
        found = []
        for enrolment, at in state.assigned.items():
            if at.seq < look:
                _leaf, slot = trees[at.list].read_slot(session, (at.stratum, at.slot))
                found.append((at.list, starts[at.list][at.stratum] + at.slot, enrolment, slot))
    return found


def _write(deps: Deps, trial_id: str, shown: _Shown, *, unblinded: bool) -> bytes:
    """Return the bundle of the log as it is now, once it has passed its own verification."""
    signed = proofs.sign_log(deps, trial_id)
    with deps.database.read() as session:
        parts = _read_parts(deps, session, trial_id, signed, shown, unblinded=unblinded)
    data = write_bundle(parts)
    policy = parse_policy(parts.policy)
    policy.quorum = NO_QUORUM  # its witnesses may sign later; what they have signed must be good
    verify_bundle(data, policy)
    return data


def _read_parts(
    deps: Deps,
    session: Reading,
    trial_id: str,
    signed: SignedCheckpoint,
    shown: _Shown,
    *,
    unblinded: bool,
) -> BundleParts:
    origin = audit.origin_of(deps.host, trial_id)
    rows = tuple(row.data for row in islice(queries.read_entries(session, trial_id), signed.size))
    state = verify_log(rows).state
    notes = {row.size: row.note for row in queries.read_checkpoints(session, trial_id)}
    lines = queries.read_cosignatures(session, trial_id)
    needed = frozenset(_find_needed(state, lines))
    sizes = choose_sizes([size for size in notes if size < signed.size], needed)
    return BundleParts(
        origin=origin,
        entries=rows,
        checkpoint=_cosigned(signed.note, lines.get(signed.size, ()), state),
        checkpoints={size: _cosigned(notes[size], lines.get(size, ()), state) for size in sizes},
        policy=write_policy(deps.sealer.log_key(origin), state.policy),
        lists={
            number: BundledList(
                leaves=_read_leaves(session, trial_id, number, max(known.wraps)),
                ceremony=_find_document(session, trial_id, known.ceremony),
                design=shown.designs.get(number),
                openings=shown.openings.get(number, {}) if unblinded else None,
                seed=shown.seeds.get(number),
            )
            for number, known in state.lists.items()
            if known.root
        },
        unblinded=unblinded,
        needed=needed,
    )


def _find_needed(state: LogState, lines: Mapping[int, list[str]]) -> Iterator[int]:
    """Yield the sizes at which the log's key changed, and the largest with 1, 2 … cosignatures."""
    yield from (seq + 1 for seq, _ in state.log_keys)
    for count in range(1, max(map(len, lines.values()), default=0) + 1):
        yield max(size for size, signed in lines.items() if len(signed) >= count)


def _read_leaves(session: Reading, trial_id: str, number: int, sealing: int) -> bytes:
    leaves = bytearray()
    for row in queries.read_sealed_slots(session, trial_id, number, sealing):
        leaves += row.leaf
    return bytes(leaves)


def _find_document(session: Reading, trial_id: str, ceremony: str) -> bytes | None:
    return queries.find_ceremony_document(session, trial_id, ceremony) if ceremony else None


def _cosigned(note: str, lines: Iterable[str], state: LogState) -> str:
    """Return a note with what its witnesses have signed, and without what somebody put there."""
    ended = (line.rstrip("\n") + "\n" for line in lines)
    return note + "".join(line for line in ended if _is_good(note + line, state))


def _is_good(cosigned: str, state: LogState) -> bool:
    """Tell whether a line is no bad one; a witness that the trial had before cannot be asked."""
    try:
        open_note(cosigned, state.policy.witnesses)
    except UnknownSignerError:
        return True
    except NoteError:
        return False
    return True
