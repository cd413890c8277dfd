"""Cosignatures of a trial's log: asked of its witnesses, checked, and kept with the log.

A witness signs that a checkpoint continues what it has seen. Where it refuses, it holds a note of
another size or of another history: that note is evidence, for the log's own key has signed it, and
the sealer is shown it. It freezes the trial where the note is not of its anchor's log.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from alloc_service.core.merkle import consistency_proof
from alloc_service.errors import NoteError, WitnessSilentError
from alloc_service.log.note import (
    Checkpoint,
    Verifier,
    join_note,
    open_checkpoint,
    open_cosigned,
    split_note,
)
from alloc_service.log.state import WitnessPolicy
from alloc_service.log.witness import AddCheckpoint
from alloc_service.services import audit
from alloc_service.services.deps import Deps, SignedCheckpoint
from alloc_service.services.witness_client import Reply, add_checkpoint, ask_all, get_last_note
from alloc_service.storage import queries
from alloc_service.storage.queries import CosignatureRow
from alloc_service.storage.transactions import Reading

BY_FILE = "it is reached by file alone"
_OTHER_KEY = (
    "it refused (403), for it knows another key of this log: whoever keeps it adds the one that "
    "`alloc status --json` shows, with `alloc witness add-log FOLDER VKEY --changed`"
)


@dataclass(slots=True)
class Collected:
    """What the witnesses said of one checkpoint.

    Attributes:
        lines: Good signature lines over it, by witness.
        held: Notes of this log that witnesses hold instead, each signed by the log's own key.
        troubles: By witness, why there is no signature of it.
    """

    lines: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)


def collect(
    deps: Deps, trial_id: str, policy: WitnessPolicy, signed: SignedCheckpoint, *, all_: bool
) -> Collected:
    """Ask a trial's witnesses to cosign a checkpoint, and keep what they sign, durably.

    Args:
        deps: The service's.
        trial_id: Whose log.
        policy: Its witnesses, as the log says.
        signed: What the sealer has signed.
        all_: Whether to wait for every witness, and not only for a quorum.
    """
    asking = _Asking(deps, trial_id, policy, signed)
    found = asking.ask(0 if all_ else policy.quorum)
    store(deps, trial_id, signed, found.lines)
    return found


def store(deps: Deps, trial_id: str, signed: SignedCheckpoint, lines: Mapping[str, str]) -> None:
    """Keep a checkpoint and signature lines over it, durably; nothing where there are none."""
    if not lines:
        return
    with deps.database.write() as tx:
        queries.add_checkpoint(tx, trial_id, signed.size, signed.note)
        for name, line in lines.items():
            queries.add_cosignature(tx, trial_id, CosignatureRow(signed.size, name, line))
    deps.logs.of(trial_id).stored(signed)


def write_request(session: Reading, trial_id: str, signed: SignedCheckpoint, old: int) -> bytes:
    """Return what a witness that has seen `old` entries is asked: to cosign this checkpoint."""
    return AddCheckpoint(old, _prove(session, trial_id, old, signed.size), signed.note).data


def take_lines(note: str, log: Verifier, witnesses: Sequence[Verifier]) -> dict[str, str]:
    """Return the signature lines of known witnesses in a note that the log has signed, by name.

    Raises:
        NoteError: The note is not as it must be, or a known key's signature is bad.
    """
    names = open_cosigned(note, log, witnesses)[1]
    known = {_id_of(key) for key in witnesses if key.name in names}
    text, signatures = split_note(note)
    start = len(join_note(text, ()))
    return {
        name: join_note(text, [(name, signature)])[start:]
        for name, signature in signatures
        if (name, signature[:4]) in known
    }


def keep_note(deps: Deps, trial_id: str, note: str, lines: Mapping[str, str]) -> None:
    """Keep a note that a witness holds, once the sealer has found it to be of its anchor's log."""
    log = log_key_of(deps, trial_id)
    checkpoint = open_checkpoint(note, log)
    own = _take_own_note(note, log)
    store(deps, trial_id, SignedCheckpoint(checkpoint.size, own, checkpoint.root), lines)


def show_held(
    deps: Deps, trial_id: str, policy: WitnessPolicy, held: Sequence[str]
) -> SignedCheckpoint:
    """Show the sealer what witnesses hold, and keep what they have signed of it.

    Raises:
        FrozenError: One of the notes is not of the anchor's log.
    """
    signed = audit.follow(deps, trial_id, seen=held)
    log = log_key_of(deps, trial_id)
    for note in held:
        with contextlib.suppress(NoteError):
            keep_note(deps, trial_id, note, take_lines(note, log, policy.witnesses))
    return signed


def _take_own_note(note: str, log: Verifier) -> str:
    """Return a note that the log has signed with the log's own signature alone."""
    text, signatures = split_note(note)
    own = [(name, signed) for name, signed in signatures if (name, signed[:4]) == _id_of(log)]
    return join_note(text, own[:1])


def find_cosigned(
    session: Reading, trial_id: str, log: Verifier, policy: WitnessPolicy, seq: int
) -> SignedCheckpoint | None:
    """Return a stored checkpoint that a quorum has cosigned and that covers an entry, or none.

    Rows that somebody changed are no checkpoint; the sealer checks what is found once more.
    """
    lines: dict[int, dict[str, str]] = {}
    for row in queries.list_cosignatures(session, trial_id, above=seq):
        lines.setdefault(row.size, {})[row.name] = row.line
    for size, by_name in lines.items():
        found = _assemble(session, trial_id, size, by_name)
        try:
            checkpoint, names = open_cosigned(found, log, policy.witnesses)
        except NoteError:
            continue
        if checkpoint.size == size and len(names) >= policy.quorum:
            return SignedCheckpoint(size, found, checkpoint.root)
    return None


def with_cosignatures(session: Reading, trial_id: str, signed: SignedCheckpoint) -> str:
    """Return a checkpoint's note with the cosignatures that are stored for its size."""
    rows = queries.list_cosignatures(session, trial_id, above=signed.size - 1)
    return signed.note + "".join(row.line for row in rows if row.size == signed.size)


def cosigned_by(signed: SignedCheckpoint, lines: Mapping[str, str]) -> SignedCheckpoint:
    """Return a checkpoint whose note carries these signature lines."""
    return signed._replace(note=signed.note + "".join(lines.values()))


def log_key_of(deps: Deps, trial_id: str) -> Verifier:
    """Return the key that a trial's checkpoints are signed with."""
    return deps.sealer.log_key(audit.origin_of(deps.host, trial_id))


def read_held_note(text: str, log: Verifier) -> Checkpoint | None:
    """Return the checkpoint of a note that somebody holds, or none where the log never signed it.

    A witness could invent one; without the log's own signature it proves nothing.
    """
    try:
        return open_checkpoint(text, log)
    except NoteError:
        return None


class _Asking:
    """One round with the witnesses of a trial, over one checkpoint."""

    def __init__(
        self, deps: Deps, trial_id: str, policy: WitnessPolicy, signed: SignedCheckpoint
    ) -> None:
        self._deps, self._trial_id, self._signed = deps, trial_id, signed
        self._log = log_key_of(deps, trial_id)
        self._keys = {key.name: key for key in policy.witnesses}
        self._found = Collected()
        with deps.database.read() as session:
            self._urls = queries.list_witness_addresses(session, trial_id)
            self._seen = queries.list_cosigned_sizes(session, trial_id)
            rows = queries.list_cosignatures(session, trial_id, above=signed.size - 1)
        for row in rows:
            if row.size == signed.size and row.name in self._keys:
                self._take(row.name, row.line)

    def ask(self, enough: int) -> Collected:
        """Ask whoever has not signed yet; with `enough` given, until so many have."""
        sizes = {}
        for name in self._keys.keys() - self._found.lines.keys():
            if self._urls.get(name):
                sizes[name] = min(self._seen.get(name, 0), self._signed.size)
            else:
                self._found.troubles[name] = BY_FILE
        behind = self._ask_from(sizes, enough)
        refused = self._ask_from(behind, enough)
        if not enough or len(self._found.lines) < enough:
            self._ask_what_they_hold(refused)
        return self._found

    def _ask_from(self, sizes: Mapping[str, int], enough: int) -> dict[str, int]:
        """Ask each from the size that it is thought to have seen; return whom to ask otherwise.

        That is who has seen another size, which it says, or does not believe the proof.
        """
        if enough and len(self._found.lines) >= enough:
            return {}
        with self._deps.database.read() as session:
            requests = {
                name: AddCheckpoint(
                    old,
                    _prove(session, self._trial_id, old, self._signed.size),
                    self._signed.note,
                )
                for name, old in sizes.items()
            }
        jobs = {
            name: partial(add_checkpoint, self._urls[name], request)
            for name, request in requests.items()
        }
        missing = enough - len(self._found.lines)
        again = {}
        for name, reply in ask_all(jobs, lambda came: 0 < missing <= _signed_in(came)).items():
            other = self._read_reply(name, reply)
            if other is not None:
                again[name] = other
        return again

    def _read_reply(self, name: str, reply: Reply | WitnessSilentError) -> int | None:
        """Take a signature or note a trouble; return the size of a witness that refuses."""
        if isinstance(reply, WitnessSilentError):
            self._found.troubles[name] = str(reply.facts["rule"])
            return None
        if reply.status == 200:
            self._take(name, reply.text)
            return None
        size = reply.text.removesuffix("\n")
        why = _OTHER_KEY if reply.status == 403 else f"it refused ({reply.status})"
        self._found.troubles[name] = why
        if reply.status == 409 and size.isascii() and size.isdecimal() and len(size) <= 16:
            return min(int(size), self._signed.size)
        return self._signed.size if reply.status == 422 else None

    def _take(self, name: str, lines: str) -> None:
        try:
            taken = take_lines(self._signed.note + lines, self._log, [self._keys[name]])
        except NoteError:
            taken = {}
        if name in taken:
            self._found.lines[name] = taken[name]
            self._found.troubles.pop(name, None)
        else:
            self._found.troubles[name] = "its answer holds no signature of its key"

    def _ask_what_they_hold(self, names: Mapping[str, int]) -> None:
        origin = self._signed.note.partition("\n")[0]
        jobs = {name: partial(get_last_note, self._urls[name], origin) for name in names}
        for reply in ask_all(jobs).values():
            if isinstance(reply, Reply) and read_held_note(reply.text, self._log):
                self._found.held.append(reply.text)


def _id_of(key: Verifier) -> tuple[str, bytes]:
    return key.name, key.key_id


def _signed_in(came: Mapping[str, Reply | WitnessSilentError]) -> int:
    return sum(isinstance(reply, Reply) and reply.status == 200 for reply in came.values())


def _prove(session: Reading, trial_id: str, old: int, size: int) -> tuple[bytes, ...]:
    if not old:
        return ()
    read = partial(queries.read_log_nodes, session, trial_id)
    return tuple(consistency_proof(old, size, read))


def _assemble(session: Reading, trial_id: str, size: int, lines: Mapping[str, str]) -> str:
    stored = queries.find_checkpoint(session, trial_id, size)
    return "" if stored is None else stored.note + "".join(lines.values())
