"""Following: what an anchor takes from the log that it is shown, and when it freezes or blocks.

Entries that the anchor has already are compared; equal ones change nothing. New ones are
folded, written and fsynced, and only then do the state move and a signature get made. The log
is shorter than the anchor, or contradicts it in a well-formed entry: frozen, lastingly. An
entry that the rules refuse, that was not accepted, or that a newer version wrote: blocked, and
nothing after it is followed; it ends when that very entry can be followed, or by a recovery.
A recovery itself is followed by `resume` alone. Malformed input is an error, and freezes nothing.
"""

import contextlib
from collections.abc import Sequence

from alloc_service.core.canon import parse_object
from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import (
    BlockedError,
    EntryTypeError,
    FrozenError,
    NotAcceptedError,
    ProtocolError,
    RecoveryUnknownError,
    RefusalError,
    RegisterError,
    RuleError,
    VersionError,
)
from alloc_service.log.entry import Entry, read_entry
from alloc_service.log.note import Checkpoint
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from alloc_service.sealing.accept import Acceptance, require_acceptance
from alloc_service.sealing.anchor import Anchor, Register

_BLOCKING = (
    RuleError,
    NotAcceptedError,
    VersionError,
    EntryTypeError,
    RecoveryUnknownError,
)


def begin(anchor: Anchor, register: Register, host: str, entries: Sequence[bytes]) -> None:
    """Register an origin and make its anchor, when `trial.created` is the whole log.

    Raises:
        ProtocolError: The origin was followed before, is of another host, or this is no begin.
        RegisterError: There is an anchor that the register does not know.
        AnchorWriteError: The disk refused; the next try may begin anew.
    """
    origin = anchor.origin
    if origin in register.origins():
        raise ProtocolError(rule=f"{origin} was followed before; its log does not begin anew")
    if anchor.path.exists():
        raise RegisterError(path=anchor.path, rule="the register does not know this anchor")
    if len(entries) != 1:
        raise ProtocolError(rule="a new log is shown when trial.created is all of it")
    entry = read_entry(entries[0])
    fold(LogState(), entry)
    if entry.body["origin"] != origin:
        raise ProtocolError(rule=f"this trial.created is not of {origin}")
    if origin.partition("/")[0] != host:
        raise ProtocolError(rule=f"a log of {origin} does not begin on {host}")
    prepared = anchor.prepare(entry)
    register.add_origin(origin)
    anchor.create(prepared)


def advance(anchor: Anchor, since: int, entries: Sequence[bytes]) -> None:
    """Follow what is new, after all the rest proved equal to the anchor.

    Raises:
        FrozenError: The trial is frozen from here on.
        BlockedError: An entry was refused; those before it were followed.
        ProtocolError: The entries are no continuation.
        EntryError: An entry is malformed; those before it were followed.
    """
    new = compare(anchor, since, entries)
    taken: list[Entry] = []
    fault: RefusalError | None = None
    for data in new:
        try:
            taken.append(_take(anchor, data))
        except RefusalError as error:
            fault = error
            break
    if taken:
        anchor.write(taken)
    anchor.unblock()
    if isinstance(fault, _BLOCKING):
        anchor.block(leaf_hash(new[len(taken)]), f"entry {anchor.state.size}: {fault}")
        raise BlockedError(reason=anchor.why_blocked())
    if fault is not None:
        raise fault


def compare(anchor: Anchor, since: int, entries: Sequence[bytes]) -> Sequence[bytes]:
    """Return the entries past the anchor; freeze where the log contradicts it.

    Raises:
        FrozenError: The log is shorter than the anchor, or another one.
        ProtocolError: The sealer never gave `since`, or an entry stands in a wrong place.
    """
    size = anchor.state.size
    if not 1 <= since <= size:
        raise ProtocolError(rule=f"since is {since}, a size that the sealer never gave")
    if not entries:
        raise _freeze(anchor, f"the log has no entry {since - 1}, which the sealer followed")
    known = size - since + 1
    for seq, data in enumerate(entries[:known], since - 1):
        if leaf_hash(data) != anchor.leaves[seq]:
            with contextlib.suppress(VersionError, EntryTypeError):  # well-formed, if not ours
                _read_at(data, seq)
            raise _freeze(anchor, f"the log's entry {seq} is not the one that the sealer followed")
    return entries[known:]


def compare_seen(anchor: Anchor, seen: Sequence[Checkpoint]) -> None:
    """Freeze where a checkpoint that this sealer's key has signed is not of this anchor's log.

    It is proof that there was more of the log, or another one, than is here: the machine was
    restored from an older state, or somebody else runs with these keys.

    Raises:
        FrozenError: One of them is.
    """
    for checkpoint in seen:
        size = checkpoint.size
        if size > anchor.state.size:
            rule = f"a checkpoint of size {size} was signed, and the anchor has less"
            raise _freeze(anchor, rule)
        if root_of(anchor.leaves[:size]) != checkpoint.root:
            rule = f"a checkpoint of size {size} was signed for another log than the anchor"
            raise _freeze(anchor, rule)


def resume(anchor: Anchor, entries: Sequence[bytes]) -> None:
    """Follow the `log.recovered` that ends a recovery, and only then clear the freeze.

    Args:
        anchor: Under its lock, read anew, or lost.
        entries: The last followed entry and the `log.recovered`; after a lost anchor the
            whole log, whose `log.recovered` retires every list.

    Raises:
        ProtocolError: They are not that.
    """
    lost = anchor.state.size == 0
    new = entries if lost else compare(anchor, anchor.state.size, entries)
    read = [read_entry(data) for data in new]
    if not read or read[-1].type != "log.recovered" or not (lost or len(read) == 1):
        raise ProtocolError(rule="a recovery ends in log.recovered, and shows nothing else new")
    for entry in read:
        anchor.take(entry)
    if anchor.state.origin != anchor.origin:
        raise ProtocolError(rule=f"this log is not of {anchor.origin}")
    if lost and not all(known.retired for known in anchor.state.lists.values()):
        raise ProtocolError(rule="after a lost anchor every list is retired")
    anchor.write(read)
    anchor.thaw()


def _take(anchor: Anchor, data: bytes) -> Entry:
    entry = _read_at(data, anchor.state.size)
    anchor.require_unblocked(entry)
    if entry.type == "log.recovered":
        raise RecoveryUnknownError(seq=entry.seq)
    if acceptance := _needs_acceptance(anchor.state, entry):
        require_acceptance(anchor.accepted_path, acceptance, anchor.origin)
    anchor.take(entry)
    return entry


def _needs_acceptance(state: LogState, entry: Entry) -> Acceptance | None:
    """Return what must have been accepted before this entry, if anything."""
    if entry.type not in {"list.activated", "list.resealed"}:
        return None
    number = entry.body["list"]
    known = state.lists.get(number)
    if known is None or not known.wraps:
        return None  # the rules refuse it, in better words
    if entry.type == "list.resealed":
        return Acceptance(number, entry.body["sealing"], known.root, entry.body["wrap_sha256"])
    sealing = max(known.wraps)
    return Acceptance(number, sealing, known.root, known.wraps[sealing].wrap_sha256)


def _read_at(data: bytes, seq: int) -> Entry:
    """Read an entry, after its frame says that it stands at this seq, whatever wrote it."""
    try:
        entry = read_entry(data)
    except (VersionError, EntryTypeError):
        _require_seq(parse_object(data)["seq"], seq)
        raise
    _require_seq(entry.seq, seq)
    return entry


def _require_seq(found: object, seq: int) -> None:
    if found != seq:
        raise ProtocolError(rule=f"entry {found} was shown in the place of entry {seq}")


def _freeze(anchor: Anchor, reason: str) -> FrozenError:
    anchor.freeze(reason)
    return FrozenError(reason=reason)
