"""What a trial's witnesses remember of its log: shown to the sealer, and never gone below.

Whoever puts a whole machine back, database, anchors and keys, leaves nothing on it that could tell.
The witnesses can: each holds the last note that it cosigned, signed by the log's own key. At each
start the sealer is shown what they hold, and a recovery gives nothing back that is less than that.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import (
    NoteError,
    WitnessAheadError,
    WitnessNoteError,
    WitnessSilentError,
    WitnessUnheardError,
)
from alloc_service.log.entry import read_entry
from alloc_service.log.note import Checkpoint, Verifier, open_cosigned
from alloc_service.log.rotation import KeyFrom, follow_keys
from alloc_service.log.state import WitnessPolicy
from alloc_service.services import audit, cosigning
from alloc_service.services.deps import Deps
from alloc_service.services.witness_client import Reply, ask_all, get_last_note
from alloc_service.storage import queries

_NOTHING_SEEN = 404


def show_held(deps: Deps, trial_id: str) -> None:
    """Show the sealer what the witnesses of a trial hold of its log; who is silent is left out.

    Raises:
        FrozenError: One of them has seen more of this log, or another one.
    """
    log = cosigning.log_key_of(deps, trial_id)
    replies = _ask(deps, trial_id)
    held = [
        reply.text
        for reply in replies.values()
        if isinstance(reply, Reply) and cosigning.read_held_note(reply.text, log)
    ]
    if held:
        audit.follow(deps, trial_id, seen=held)


def require_no_further(
    deps: Deps,
    trial_id: str,
    policy: WitnessPolicy,
    entries: Sequence[bytes],
    seen: Sequence[str],
) -> None:
    """Check that no witness has seen more of a log than these entries, nor another log.

    So many of them must say what they have seen that no quorum can be among the others.

    Args:
        deps: The service's.
        trial_id: Whose log.
        policy: Its witnesses, as these entries say.
        entries: What would be given back.
        seen: Notes that witnesses gave as files.

    Raises:
        WitnessNoteError: One of these is not signed by the log's key.
        WitnessAheadError: A witness has seen more, or another log.
        WitnessUnheardError: Too few of them say what they have seen.
    """
    log = cosigning.log_key_of(deps, trial_id)
    keys = follow_keys(map(read_entry, entries), log)
    leaves = [leaf_hash(data) for data in entries]
    heard: set[str] = set()
    for note in seen:
        checkpoint, names = _read_given(note, keys, policy)
        heard.update(names)
        _compare(" and ".join(names) or "of another policy", leaves, checkpoint)
    if policy.mode == "off":
        return
    with deps.database.read() as session:
        cosigned = queries.list_cosigned_sizes(session, trial_id)
    for name, reply in _ask(deps, trial_id).items():
        if not isinstance(reply, Reply):
            continue
        held = _read_held(reply.text, keys)
        if held is not None:
            _compare(name, leaves, held)
        # "Nothing yet" is no word of a witness that has signed before: it is another server's.
        if held is not None or (reply.status == _NOTHING_SEEN and name not in cosigned):
            heard.add(name)
    unheard = [key.name for key in policy.witnesses if key.name not in heard]
    if len(unheard) >= policy.quorum:
        needed = len(policy.witnesses) - policy.quorum + 1
        raise WitnessUnheardError(unheard=", ".join(unheard), needed=needed)


def _ask(deps: Deps, trial_id: str) -> Mapping[str, Reply | WitnessSilentError]:
    with deps.database.read() as session:
        urls = queries.list_witness_addresses(session, trial_id)
    origin = audit.origin_of(deps.host, trial_id)
    return ask_all({name: partial(get_last_note, url, origin) for name, url in urls.items() if url})


def _read_given(
    note: str, keys: Sequence[KeyFrom], policy: WitnessPolicy
) -> tuple[Checkpoint, tuple[str, ...]]:
    try:
        return _open_held(note, keys, policy.witnesses)
    except NoteError as error:
        raise WitnessNoteError(rule=error.facts["rule"]) from None


def _read_held(note: str, keys: Sequence[KeyFrom]) -> Checkpoint | None:
    try:
        return _open_held(note, keys, ())[0]
    except NoteError:
        return None


def _open_held(
    note: str, keys: Sequence[KeyFrom], witnesses: Sequence[Verifier]
) -> tuple[Checkpoint, tuple[str, ...]]:
    """Read a note that is signed by the log's key of now, or by an older one up to its change.

    A witness that nobody has told the new key holds what the older one signed.
    """
    ends = [*(one.size for one in keys[1:]), None]
    refusals = []
    for one, end in reversed(list(zip(keys, ends, strict=True))):
        try:
            checkpoint, names = open_cosigned(note, one.key, witnesses)
        except NoteError as error:
            refusals.append(error)
            continue
        if end is not None and checkpoint.size > end:
            raise NoteError(rule="an older key of the log has signed it, after it was changed")
        return checkpoint, names
    raise refusals[0]


def _compare(witness: str, leaves: Sequence[bytes], checkpoint: Checkpoint) -> None:
    size = checkpoint.size
    if size > len(leaves) or root_of(leaves[:size]) != checkpoint.root:
        raise WitnessAheadError(witness=witness, seen=size)
