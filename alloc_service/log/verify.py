"""Verification of a whole log: each entry, each rule, each checkpoint, and what was not there.

The entries are read strictly and folded, the tree grows, and its root is compared wherever a
signed checkpoint is at hand. A log that fails is refused with its first bad entry:

- An entry that cannot be read, or that breaks a rule, is bad itself.
- A wrong `seq`: the first place where an entry is missing, doubled or out of order.
- A `prev` that is not the leaf of the entry before: one of the two was changed. A checkpoint says
  which, where one is near. Otherwise the entry after the two does, by its own `prev`: where it
  fits the second of them, the first was changed, else the second. At the end of the log there is
  no such entry, and both are named.
- A root that is not a checkpoint's: an entry after the last good checkpoint, and before this one.
  The `prev` of the next entry may prove that it is the last of these; else they are all named.
- A checkpoint beyond the end: the tail is missing.

Without a checkpoint nobody vouches for the end of a log, nor for one that was written anew from
some entry on: the result says so.
"""

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alloc_service.core.merkle import Frontier, root_of
from alloc_service.errors import (
    LogFaultError,
    LogFileError,
    RefusalError,
    SplitViewError,
)
from alloc_service.log.checkpoints import SignedRoots
from alloc_service.log.entry import Entry, read_entry
from alloc_service.log.note import Verifier
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """A log that was found whole.

    Attributes:
        size: Entries.
        root: 32-byte root over all of them.
        origin: As its `trial.created` says, and its key, where one was given.
        state: What the entries mean, after the last one.
        checkpoints_checked: How many checkpoints were opened and compared.
        log_keys: The log's keys, the given one first, then those that took its place.
        cosigners: By size of each checkpoint, which witnesses have cosigned it.
        unchecked: What was not there to check, a sentence each; empty if nothing was missing.
    """

    size: int
    root: bytes
    origin: str
    state: LogState
    checkpoints_checked: int
    log_keys: tuple[Verifier, ...]
    cosigners: Mapping[int, frozenset[str]]
    unchecked: tuple[str, ...]


@dataclass(slots=True)
class _Walk:
    """How far the verification is: what was read stands, and `rows` has what follows."""

    rows: Iterator[bytes]
    checkpoints: SignedRoots
    state: LogState = field(default_factory=LogState)
    tree: Frontier = field(default_factory=Frontier)
    leaves: list[bytes] = field(default_factory=list)
    good: int = 0  # the largest size whose checkpoint agrees

    @property
    def signed(self) -> Mapping[int, frozenset[bytes]]:
        return self.checkpoints.roots


def verify_log(
    entries: Iterable[bytes],
    checkpoints: Iterable[str] = (),
    log_key: Verifier | None = None,
    witnesses: Collection[Verifier] = (),
    see: Callable[[Entry], object] | None = None,
) -> VerifiedLog:
    """Check a whole log, from its first entry on.

    Args:
        entries: The stored bytes of each entry, in order; read once.
        checkpoints: Signed notes, in any order.
        log_key: The log's public key, from a source other than the log.
        witnesses: Keys whose cosignatures must be good where they are there.
        see: Is shown each entry once it is folded, for what the state does not keep.

    Raises:
        LogFaultError: The log is not whole; `seq` is its first bad entry, or the first that may
            be it, and `last` the last that may be.
        SplitViewError: Two signed checkpoints of one size have different roots.
        NoteError: A checkpoint is not signed by the log's key, nor by one that took its place, or
            there is no key to check it.
    """
    signed = SignedRoots(checkpoints, log_key, witnesses)
    walk = _Walk(iter(entries), signed)
    origin = log_key.name if log_key else None
    state, tree, leaves = walk.state, walk.tree, walk.leaves
    for data in walk.rows:
        try:
            entry = read_entry(data)
            fold(state, entry)
        except RefusalError as error:
            raise _blame_refused(walk, data, error) from error
        leaf = bytes.fromhex(entry.leaf)
        leaves.append(leaf)
        tree.append(leaf)
        if entry.seq == 0 and origin not in {None, state.origin}:
            raise _fault(0, 0, f"it is the log {state.origin}, and the key is of {origin}")
        if entry.type == "key.rotated":
            signed.note_rotation(entry)
        if see is not None:
            see(entry)
        if state.size in signed.roots:
            _compare_root(walk)
    _check_end(walk)
    older = signed.count_older()
    return VerifiedLog(
        size=state.size,
        root=tree.root(),
        origin=state.origin,
        state=state,
        checkpoints_checked=signed.count,
        log_keys=tuple(signed.keys),
        cosigners=signed.cosigners,
        unchecked=tuple(_list_unchecked(walk, log_key, older)),
    )


def read_ndjson(data: bytes) -> Iterator[bytes]:
    """Yield the entries of an exported `entries.ndjson`, their exact bytes, a line each.

    Raises:
        LogFileError: A byte order mark, an empty line, a line ended by CR LF, or a last line
            that is not ended; the text names the line, counted from 1.
    """
    if data.startswith(b"\xef\xbb\xbf"):
        raise LogFileError(line=1, rule="the file begins with a byte order mark")
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.endswith(b"\n"):
            raise LogFileError(line=number, rule="the last line is not ended by LF")
        if line.endswith(b"\r\n"):
            raise LogFileError(line=number, rule="it ends in CR LF, not in LF alone")
        if line == b"\n":
            raise LogFileError(line=number, rule="it is empty")
        yield line[:-1]


def _fault(first: int, last: int, rule: str) -> LogFaultError:
    return LogFaultError(seq=first, last=last, rule=rule)


def _blame_refused(walk: _Walk, data: bytes, error: RefusalError) -> LogFaultError:
    """Return which entry is bad where one could not be read or may not stand here."""
    at = walk.state.size
    entry = _try_read(data)
    if entry is None:
        reason = str(error).removesuffix(".")
        return _fault(at, at, f"it cannot be read. {reason}")
    if entry.seq > at:
        return _fault(at, at, f"it is missing or out of order: entry {entry.seq} stands here")
    if entry.seq < at:
        rule = f"entry {entry.seq} stands here a second time, or out of order"
        return _fault(at, at, rule)
    if at and entry.prev != walk.state.last:
        return _blame_link(walk, entry)
    return _fault(at, at, str(error.facts["rule"]))


def _blame_link(walk: _Walk, entry: Entry) -> LogFaultError:
    """Return which of two entries was changed, where the second does not follow the first."""
    at, before = entry.seq, entry.seq - 1
    if walk.good == at:
        rule = f"its prev is not the leaf of entry {before}, which a checkpoint vouches for"
        return _fault(at, at, rule)
    following = _read_next(walk, at + 1)
    proven = _prove_changed(walk, entry, following)
    if proven is not None:
        return _fault(proven, proven, f"it was changed: the checkpoint of size {at + 1} proves it")
    if following is not None and following.prev == entry.leaf:
        if at + 1 in walk.signed:
            rule = f"the first bad entry is one of {walk.good} to {at}, where the chain breaks"
            return _fault(walk.good, at, rule)
        return _fault(before, before, f"it was changed: entry {at} follows other bytes than these")
    if following is None and at + 1 not in walk.signed:
        rule = f"it or entry {at} was changed: the second does not follow the first"
        return _fault(before, at, rule)
    return _fault(at, at, f"it was changed: it does not follow entry {before}, nor the next it")


def _prove_changed(walk: _Walk, entry: Entry, following: Entry | None) -> int | None:
    """Return the first changed of two entries, if a checkpoint of just that size proves it.

    The leaf that a changed entry had is what the next entry's `prev` still says.
    """
    *older, own = walk.leaves
    leaf, had = bytes.fromhex(entry.leaf), bytes.fromhex(entry.prev)
    guesses: list[tuple[int, list[bytes]]] = [(entry.seq - 1, [had, leaf])]
    if following is not None:
        next_had = bytes.fromhex(following.prev)
        guesses += [(entry.seq, [own, next_had]), (entry.seq - 1, [had, next_had])]
    signed = walk.signed.get(entry.seq + 1, frozenset())
    return next((seq for seq, two in guesses if _agrees(signed, [*older, *two])), None)


def _agrees(signed: frozenset[bytes], leaves: Sequence[bytes]) -> bool:
    return bool(signed) and root_of(leaves) in signed


def _compare_root(walk: _Walk) -> None:
    """Compare the tree with the checkpoint of its size.

    Raises:
        LogFaultError: They differ.
        SplitViewError: There are two such checkpoints, with different roots.
    """
    size, last = walk.state.size, walk.state.size - 1
    signed = walk.signed[size]
    if len(signed) > 1:
        raise _split_view(walk.good, size)
    if walk.tree.root() in signed:
        walk.good = size
        for earlier in walk.checkpoints.trust_upto(size):
            _compare_earlier(walk, earlier)
        return
    if walk.good == last:
        raise _fault(last, last, f"it was changed: the checkpoint of size {size} is of another")
    following = _read_next(walk, size)
    if following and _agrees(signed, [*walk.leaves[:-1], bytes.fromhex(following.prev)]):
        raise _fault(last, last, f"it was changed: the checkpoint of size {size} proves it")
    rule = f"the first bad entry is one of {walk.good} to {last}, by the checkpoint of size {size}"
    raise _fault(walk.good, last, rule)


def _compare_earlier(walk: _Walk, size: int) -> None:
    """Compare a checkpoint that could not be opened before with the entries that were read.

    Raises:
        SplitViewError: It is of another history than the one that is vouched for since.
    """
    if size <= walk.state.size and walk.signed[size] != {root_of(walk.leaves[:size])}:
        raise _split_view(0, size)


def _split_view(first: int, size: int) -> SplitViewError:
    rule = f"the log's key has signed two checkpoints of size {size} with different roots"
    return SplitViewError(seq=first, last=size - 1, size=size, rule=rule)


def _check_end(walk: _Walk) -> None:
    size = walk.state.size
    beyond = sorted(number for number in walk.signed if number > size)
    for number in beyond:
        if len(walk.signed[number]) > 1:
            raise _split_view(walk.good, number)
    if beyond:
        last = beyond[-1] - 1
        rule = f"it is missing: a checkpoint vouches for entries up to {last}"
        raise _fault(size, last, rule)
    if not size:
        raise _fault(0, 0, "there is no entry at all")


def _list_unchecked(walk: _Walk, log_key: Verifier | None, older: int) -> Iterator[str]:
    signed = walk.checkpoints
    if log_key is None:
        yield "No key of the log was given: nobody vouches that it is the log it says it is."
    if not walk.good:
        yield (
            "No checkpoint was given: entries that are missing at the end do not show, nor does "
            "a log that was written anew from some entry on."
        )
    elif walk.good < walk.state.size:
        yield (
            f"No checkpoint covers the entries from {walk.good} on: what is missing at the end "
            "does not show, nor whether these were written anew."
        )
    if older:
        yield f"Checkpoints of an older key than the one that was given, not opened: {older}."
    if not signed.witnesses:
        yield "No witness's key was given: two histories for two readers would not show."
    for name in sorted(signed.witnesses):
        size = signed.cosigned_upto(name)
        if size < walk.state.size:
            yield f"No checkpoint that {name} has cosigned covers the entries from {size} on."


def _read_next(walk: _Walk, seq: int) -> Entry | None:
    """Return the next entry, where it can be read and is the one of this seq."""
    try:
        data = next(walk.rows, None)
        entry = None if data is None else read_entry(data)
    except RefusalError:
        return None
    return entry if entry is not None and entry.seq == seq else None


def _try_read(data: bytes) -> Entry | None:
    try:
        return read_entry(data)
    except RefusalError:
        return None
