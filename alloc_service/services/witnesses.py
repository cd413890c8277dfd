"""A trial's witnesses: who they are, what waits for them, and for how long nothing does.

Two people set the policy and two suspend the gate, each with a role for it; the log names both.
What the log says counts: where a witness answers is beside it in the database, and an address that
somebody changed there gives no signature of the right key.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from alloc_service.core.canon import Json
from alloc_service.errors import (
    InputError,
    LoggedFieldError,
    NoteError,
    NoWitnessError,
    WitnessNoteError,
    WitnessPlaceError,
)
from alloc_service.log.entry import Entry, format_time
from alloc_service.log.note import COSIGNATURE_V1, Verifier, open_checkpoint
from alloc_service.log.state import WitnessPolicy
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, cosigning, names, proofs, trials
from alloc_service.services.accounts import Person
from alloc_service.services.cosigning import Collected
from alloc_service.services.deps import Deps, SignedCheckpoint
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.witness_client import check_url
from alloc_service.storage import queries
from alloc_service.storage.models import Reason
from alloc_service.storage.transactions import Transaction

MODES = ("off", "follow", "gate")
LONGEST_HOURS = 72

Mode = Literal["off", "follow", "gate"]


@dataclass(frozen=True, slots=True)
class WitnessPlace:
    """A witness and where it answers.

    Attributes:
        vkey: Its public key, `name+id+base64`, as `alloc witness status` shows it.
        url: Where its `add-checkpoint` is; "" for one that is reached by file alone.
    """

    vkey: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """What two people want a trial's witnesses to be.

    Attributes:
        mode: off, follow or gate.
        quorum: How many must cosign; 0 with `off`.
        places: The witnesses; none with `off`.
    """

    mode: str
    quorum: int
    places: tuple[WitnessPlace, ...] = ()


def set_policy(deps: Deps, people: TwoPeople, trial_id: str, new: NewPolicy) -> Entry:
    """Set a trial's witnesses, and what waits for them; a suspension of the gate ends with it.

    Raises:
        WitnessPlaceError: A key or an address is spelled wrongly.
        NotAllowedError: One of the two has no role for it.
        RuleError: No witness could fulfil this policy.
    """
    if new.mode not in MODES:
        raise LoggedFieldError(field="mode", rule=f"it must be one of {', '.join(MODES)}")
    urls = dict(_read_place(place) for place in new.places)
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        vkeys: list[Json] = [place.vkey for place in new.places]
        body: dict[str, Json] = {"mode": new.mode, "quorum": new.quorum, "witnesses": vkeys}
        actor, second = _sign(tx, people, trial_id)
        entry = log.append("witness.policy", actor, {**body, "second": second.to_body()})
        queries.replace_witness_addresses(tx, trial_id, urls)
        return entry


def suspend(
    deps: Deps, people: TwoPeople, trial_id: str, *, hours: int, code: str, reason: str
) -> Entry:
    """Let allocations go on without the witnesses, for some hours from now on.

    Args:
        deps: The service's.
        people: Two, each with a role for it.
        trial_id: Which trial.
        hours: 1 to 72.
        code: Reason code, 1-64 of a-z 0-9 . -.
        reason: Free text without personal identifiers; it stays in the database.

    Raises:
        LoggedFieldError: The hours or the code break their rule.
        FreeTextError: The reason holds what no text may hold.
        NotAllowedError: One of the two has no role for it.
        RuleError: The trial has no gate.
    """
    for fault in find_faults(hours, code, reason).values():
        raise fault
    salt, reason_sha256 = trials.salt_reason(reason)
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor, second = _sign(tx, people, trial_id)
        until = format_time(deps.clock() + timedelta(hours=hours))
        body: dict[str, Json] = {"until": until, "code": code, "reason_sha256": reason_sha256}
        entry = log.append("gate.suspended", actor, {**body, "second": second.to_body()})
        tx.add(Reason(trial_id=trial_id, entry_seq=entry.seq, salt=salt, text=reason))
        return entry


def find_faults(hours: int, code: str, reason: str) -> dict[str, InputError]:
    """Return what is wrong with what a suspension is given, by field."""
    return {**_find_hours_fault(hours), **trials.find_faults(code, reason)}


def resume(deps: Deps, person: Person, trial_id: str) -> Entry:
    """End a suspension of the gate before its time; one person is enough to be stricter.

    Raises:
        NotAllowedError: The person has no role for it.
        RuleError: The gate is not suspended.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.CHANGE_WITNESSES, trial_id)
        return log.append("gate.resumed", actor, {})


def collect(deps: Deps, person: Person, trial_id: str) -> tuple[SignedCheckpoint, Collected]:
    """Ask every witness to cosign the log as it is now.

    Raises:
        NotAllowedError: The person has no role for it.
        NoWitnessError: The trial has no witness.
        FrozenError: A witness has seen more of this log, or another one.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.CHANGE_WITNESSES, trial_id)
    return collect_for_all(deps, trial_id)


def collect_for_all(deps: Deps, trial_id: str) -> tuple[SignedCheckpoint, Collected]:
    """Ask every witness to cosign the log as it is now; for whoever was asked who they are.

    Raises:
        NoWitnessError: The trial has no witness.
        FrozenError: A witness has seen more of this log, or another one.
    """
    policy = _read_policy(deps, trial_id)
    signed = proofs.sign_log(deps, trial_id)
    got = cosigning.collect(deps, trial_id, policy, signed, all_=True)
    if got.held:
        cosigning.show_held(deps, trial_id, policy, got.held)
    return signed, got


def write_request(
    deps: Deps, person: Person, trial_id: str, name: str, old: int | None = None
) -> bytes:
    """Return what is carried to a witness as a file: to cosign the log as it is now.

    Args:
        deps: The service's.
        person: Somebody with a role for it.
        trial_id: Whose log.
        name: The witness's.
        old: How much of the log it has seen; none where its last response is here.

    Raises:
        NotAllowedError: The person has no role for it.
        NoWitnessError: The trial has no witness of this name.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.CHANGE_WITNESSES, trial_id)
        seen = queries.list_cosigned_sizes(session, trial_id).get(name, 0)
    _find_witness(_read_policy(deps, trial_id), trial_id, name)
    signed = proofs.sign_log(deps, trial_id)
    start = min(seen if old is None else old, signed.size)
    with deps.database.read() as session:
        return cosigning.write_request(session, trial_id, signed, start)


def take_response(deps: Deps, person: Person, trial_id: str, note: str) -> tuple[int, list[str]]:
    """Take what a witness gave as a file: the last note that it has cosigned.

    Returns:
        Its size, and the witnesses of the trial that have cosigned it.

    Raises:
        NotAllowedError: The person has no role for it.
        WitnessNoteError: It is no note of this log, or no witness of the trial has cosigned it.
        FrozenError: The witness has seen more of this log, or another one.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.CHANGE_WITNESSES, trial_id)
    policy, log = _read_policy(deps, trial_id), cosigning.log_key_of(deps, trial_id)
    try:
        lines = cosigning.take_lines(note, log, policy.witnesses)
        checkpoint = open_checkpoint(note, log)
    except NoteError as error:
        raise WitnessNoteError(rule=error.facts["rule"]) from None
    if not lines:
        raise WitnessNoteError(rule="no witness of this trial has cosigned it")
    audit.follow(deps, trial_id, seen=[note])
    cosigning.keep_note(deps, trial_id, note, lines)
    return checkpoint.size, sorted(lines)


def _read_place(place: WitnessPlace) -> tuple[str, str]:
    name = place.vkey.partition("+")[0][:100]
    try:
        key = Verifier.parse(place.vkey)
    except NoteError as error:
        raise WitnessPlaceError(name=name, rule=error.facts["rule"]) from None
    if key.kind != COSIGNATURE_V1:
        raise WitnessPlaceError(name=name, rule="this is no witness's key")
    return key.name, check_url(key.name, place.url)


def _sign(
    tx: Transaction, people: TwoPeople, trial_id: str
) -> tuple[audit.LoggedActor, audit.LoggedActor]:
    first = accounts.require(tx, people.first, Action.CHANGE_WITNESSES, trial_id)
    return first, accounts.require(tx, people.second, Action.CHANGE_WITNESSES, trial_id)


def _find_hours_fault(hours: int) -> dict[str, InputError]:
    def check() -> None:
        if not 1 <= hours <= LONGEST_HOURS:
            rule = f"it must be from 1 to {LONGEST_HOURS}"
            raise LoggedFieldError(field="hours", rule=rule)

    return names.find_faults({"hours": check})


def _read_policy(deps: Deps, trial_id: str) -> WitnessPolicy:
    with deps.database.read() as session:
        policy = audit.read_state(session, trial_id).policy
    if policy.mode == "off":
        raise NoWitnessError(trial=trial_id, rule="it has no witness")
    return policy


def _find_witness(policy: WitnessPolicy, trial_id: str, name: str) -> Verifier:
    found = next((key for key in policy.witnesses if key.name == name), None)
    if found is None:
        known = ", ".join(key.name for key in policy.witnesses)
        raise NoWitnessError(trial=trial_id, rule=f"it has no such witness; they are {known}")
    return found
