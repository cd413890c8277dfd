"""Changing the keys of the service: on the sealer's host, by an administrator, for every trial.

A new sealing key: each log says `key.rotated`, and `key.rewrapped` for each sealing, whose tranche
key is wrapped anew to the new key; the sealed designs go with it; blobs and roots stay. It is one
transaction a trial, so a run that was interrupted is run again and goes on with the new key that
is there.

A new signing key: each log names the key that signed so far and the next one, and the checkpoint
that ends there is signed by both. Only when every log has changed is the new key the current one.
The older key stays in the folder: what it has signed is checked with it, and a log whose change
was interrupted is signed with it.

A lost sealing key: a new one takes its place, each log says so, and what was sealed to the lost
one is sealed again from its escrow (`lists.reseal`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from alloc_service.config import Settings
from alloc_service.core.canon import Json
from alloc_service.errors import RotationError, UnknownRecordError
from alloc_service.log.note import Verifier
from alloc_service.log.state import LogState
from alloc_service.permissions import Action
from alloc_service.sealing.keys import (
    ServerKeys,
    add_signing_key,
    choose_signing_key,
    load_keys,
    replace_lost_sealing_key,
    rotate_sealing_key,
)
from alloc_service.sealing.register import Register
from alloc_service.sealing.rotating import RotatingSealer
from alloc_service.sealing.wrap import key_id, wrap_digest
from alloc_service.services import accounts, audit, health, web_secret
from alloc_service.services.accounts import Person
from alloc_service.services.audit import OpenLog
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.transactions import Transaction


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a change of a key did.

    Attributes:
        name: Id of the new key.
        trials: Whose logs say so.
        rewrapped: Sealings that were wrapped anew.
        left: Lists, as trial and number, of which a sealing is wrapped to a key that is lost.
    """

    name: str
    trials: tuple[str, ...]
    rewrapped: int = 0
    left: tuple[tuple[str, int], ...] = ()


def rotate_sealing(
    deps: Deps, person: Person, settings: Settings, passphrase: str | None
) -> Rotation:
    """Make a new sealing key, and wrap everything anew to it; finish an interrupted run.

    Args:
        deps: The service's, with the keys in this process.
        person: An administrator in every trial.
        settings: Where keys and anchors are.
        passphrase: What protects the key files; none where they are plain.

    Raises:
        NotAllowedError: The person is no administrator of some trial; nothing was changed.
        RotationError: A log cannot grow, or is not in the database; nothing was changed.
        OperationError: Keys or register refuse; the trials before were changed.
    """
    states = _require_ready(deps, person)
    keys = load_keys(settings.keys, passphrase)
    if not any(_is_pending(state, keys) for state in states.values()):
        keys = rotate_sealing_key(settings.keys, passphrase)
    return _take_sealing_key(deps, person, settings, keys)


def replace_lost(settings: Settings, passphrase: str | None) -> ServerKeys:
    """Make a new sealing key in the place of one that is lost, so that the service can start.

    Raises:
        KeysExistError: The current sealing key is there; nothing was changed.
        OperationError: Keys or register refuse.
    """
    keys = replace_lost_sealing_key(settings.keys, passphrase)
    Register(settings.anchors).add_kid(keys.kid)
    return keys


def log_replaced(
    deps: Deps, person: Person, settings: Settings, passphrase: str | None
) -> Rotation:
    """Say in every log that the sealing key has changed, and what must be sealed again.

    Raises:
        RefusalError: As `rotate_sealing`.
    """
    _require_ready(deps, person)
    return _take_sealing_key(deps, person, settings, load_keys(settings.keys, passphrase))


def rotate_signing(
    deps: Deps, person: Person, settings: Settings, passphrase: str | None
) -> Rotation:
    """Make a new signing key, and change every log to it; finish an interrupted run.

    Args:
        deps: The service's, with the keys in this process.
        person: An administrator in every trial.
        settings: Where keys and anchors are.
        passphrase: What protects the key files; none where they are plain.

    Raises:
        RefusalError: As `rotate_sealing`.
    """
    states = _require_ready(deps, person)
    keys = load_keys(settings.keys, passphrase)
    if settings.sealer_socket is None:  # or the pages' cookies and second factors would be lost
        web_secret.make(settings.web_secret, keys)
    name = _begun(states, keys)
    if not name:
        before, keys = keys, add_signing_key(settings.keys, passphrase)
        (name,) = set(keys.signer_ids) - set(before.signer_ids)
    sealer = RotatingSealer(keys, settings.anchors, settings.host)
    for trial_id in states:
        _change_log_key(replace(deps, sealer=sealer), person, trial_id, keys, name)
        _store_change(deps, sealer, trial_id)
    choose_signing_key(settings.keys, name, passphrase)
    return Rotation(name, tuple(states))


def _require_ready(deps: Deps, person: Person) -> Mapping[str, LogState]:
    """Return every log's state, after it was found that each can grow and the person may."""
    with deps.database.read() as session:
        trials = {trial.id: trial.origin for trial in queries.list_trials(session)}
    refused = health.start(deps)  # a run that was killed may have left a commit unfollowed
    for error in refused.values():
        raise RotationError(rule=str(error).removesuffix("."))
    with deps.database.read() as session:
        for origin in deps.sealer.origins():
            if origin not in trials.values():
                raise RotationError(rule=f"the log {origin} is not in this database")
        states = {}
        for trial_id in trials:
            accounts.require(session, person, Action.ROTATE_KEYS, trial_id)
            states[trial_id] = audit.read_state(session, trial_id)
    return states


def _is_pending(state: LogState, keys: ServerKeys) -> bool:
    """Tell whether a sealing is wrapped to an older key that is still here."""
    kids = {wrap.kid for known in state.lists.values() for wrap in known.wraps.values()}
    return bool((kids & set(keys.kids)) - {keys.kid})


def _begun(states: Mapping[str, LogState], keys: ServerKeys) -> str:
    """Return the id of a signing key that some logs have changed to, and that is not current."""
    for state in states.values():
        for _, key in state.log_keys[-1:]:
            name = key_id(key.public)
            if name in keys.signer_ids and name != key_id(keys.verify_key):
                return name
    return ""


def _take_sealing_key(deps: Deps, person: Person, settings: Settings, keys: ServerKeys) -> Rotation:
    Register(settings.anchors).add_kid(keys.kid)
    sealer = RotatingSealer(keys, settings.anchors, settings.host)
    deps = replace(deps, sealer=sealer)
    with deps.database.read() as session:
        trials = [trial.id for trial in queries.list_trials(session)]
    made, left = 0, []
    for trial_id in trials:
        with audit.writing(deps, trial_id) as tx:
            log = audit.open_log(deps, tx, trial_id)
            actor = accounts.require(tx, person, Action.ROTATE_KEYS, trial_id)
            if log.state.kid != keys.kid and _has_sealed(log.state):
                log.append("key.rotated", actor, {"kid": keys.kid})
            for number in sorted(log.state.lists):
                for body in _rewrap_list(tx, log, sealer, trial_id, number):
                    log.append("key.rewrapped", actor, body)
                    made += 1
                if any(wrap.kid != keys.kid for wrap in log.state.lists[number].wraps.values()):
                    left.append((trial_id, number))
    return Rotation(keys.kid, tuple(trials), made, tuple(left))


def _has_sealed(state: LogState) -> bool:
    return any(known.wraps for known in state.lists.values())


def _rewrap_list(
    tx: Transaction, log: OpenLog, sealer: RotatingSealer, trial_id: str, number: int
) -> Iterator[dict[str, Json]]:
    """Wrap each sealing of a list anew, and its design; yield what the log says of each."""
    known = log.state.lists[number]
    for sealing, wrap in sorted(known.wraps.items()):
        if wrap.kid == sealer.kid or not sealer.holds(wrap.kid):
            continue
        try:
            row = queries.read_sealing(tx, trial_id, number, sealing)
        except UnknownRecordError:  # a restore has lost it, and a later sealing is in use
            continue
        row.wrap = sealer.rewrap(log.state.origin, number, row.wrap)
        row.kid, row.wrap_sha256 = sealer.kid, wrap_digest(row.wrap)
        stored = queries.read_list(tx, trial_id, number)
        stored.design_sealed = sealer.reseal_design(log.state.origin, number, stored.design_sealed)
        tx.flush()
        yield {
            "list": number,
            "sealing": sealing,
            "kid": row.kid,
            "wrap_sha256": row.wrap_sha256,
        }


def _change_log_key(deps: Deps, person: Person, trial_id: str, keys: ServerKeys, name: str) -> None:
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.ROTATE_KEYS, trial_id)
        origin = log.state.origin
        if not log.state.log_keys:
            older = Verifier(origin, keys.verify_key)
            log.append("key.created", actor, {"vkey": older.vkey})
        if key_id(log.state.log_keys[-1][1].public) != name:
            log.append("key.rotated", actor, {"vkey": keys.verifier(name, origin).vkey})


def _store_change(deps: Deps, sealer: RotatingSealer, trial_id: str) -> None:
    """Keep the checkpoint that both keys have signed; others may have appended since."""
    origin = audit.origin_of(deps.host, trial_id)
    size, note = sealer.sign_at_change(origin)
    with deps.database.write() as tx:
        queries.add_checkpoint(tx, trial_id, size, note)
