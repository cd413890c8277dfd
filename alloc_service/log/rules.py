"""`fold`: the one state machine that says which entry may follow which.

It is read by three: the service before it appends, the sealer before it opens, the verifier
afterwards. It costs O(1) an entry and changes nothing when it fails: every rule makes all its
demands before its first change. It chains `seq`, `prev` and `time`, and knows no stratum codes,
no arms and no clock.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from alloc_service.errors import DisjointRolesError, NoteError
from alloc_service.log.ceremony_rules import CEREMONY_RULES, demand_ceremony_done
from alloc_service.log.demands import Rule, demand, demand_second, list_of, refusal, sealed_of
from alloc_service.log.entry import Body, Entry
from alloc_service.log.gate_rules import GATE_RULES, note_look
from alloc_service.log.note import ED25519, Verifier
from alloc_service.log.state import Assigned, ListState, LogState, Wrap
from alloc_service.permissions import Role, require_disjoint


def fold(state: LogState, entry: Entry) -> None:
    """Move the state by one entry, or refuse the entry and change nothing.

    Raises:
        RuleError: The entry may not stand here; the text names its seq, its type and the rule.
    """
    if entry.seq != state.size:
        raise refusal(entry, f"its seq must be {state.size}")
    if entry.prev != state.last:
        raise refusal(entry, "its prev is not the leaf of the entry before")
    if entry.time < state.time and entry.type != "clock.corrected":
        raise refusal(entry, "its time lies before that of the entry before")
    if (entry.seq == 0) != (entry.type == "trial.created"):
        raise refusal(entry, "a log begins with trial.created, once")
    _RULES[entry.type](state, entry, entry.body)
    state.size += 1
    state.last = entry.leaf
    state.time = entry.time


def _trial_created(state: LogState, _entry: Entry, body: Body) -> None:
    state.origin = body["origin"]
    state.cap = body["cap"]


def _design_frozen(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["list"] not in state.lists, entry, f"list {body['list']} has a design already")
    demand(body["design_sha256"] not in state.designs, entry, "this design was used before")
    state.lists[body["list"]] = ListState(body["design_sha256"])
    state.designs.add(body["design_sha256"])


def _list_sealed(state: LogState, entry: Entry, body: Body) -> None:
    frozen = list_of(state, entry, body)
    demand(not frozen.root, entry, f"list {body['list']} is sealed already")
    demand(body["design_sha256"] == frozen.design_sha256, entry, "another design was frozen")
    demand(body["root"] not in state.roots, entry, "a list with this root was sealed before")
    demand(body["sealing"] == 1, entry, "the first sealing of a list is 1")
    demand_ceremony_done(state, entry, body)
    demand(max(body["slots"]) <= 1_000_000, entry, "more than 1,000,000 slots in a stratum")
    demand(sum(body["slots"]) <= 2_000_000, entry, "more than 2,000,000 slots")
    frozen.root = body["root"]
    frozen.slots = tuple(body["slots"])
    frozen.wraps[1] = Wrap(body["kid"], body["wrap_sha256"])
    frozen.sealed_by = entry.actor_id
    frozen.next_slot = [0] * len(frozen.slots)
    state.roots.add(body["root"])


def _list_approved(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    demand(body["root"] == sealed.root, entry, "the list was sealed with another root")
    demand(not sealed.approved_by, entry, f"list {body['list']} is approved already")
    demand(entry.actor_id != sealed.sealed_by, entry, "nobody approves a list that they sealed")
    sealed.approved_by = entry.actor_id
    sealed.root_checked = body["root_checked"]


def _list_activated(state: LogState, entry: Entry, body: Body) -> None:
    approved = list_of(state, entry, body)
    demand(bool(approved.approved_by), entry, f"list {body['list']} is not approved")
    demand(not approved.active, entry, f"list {body['list']} is active already")
    demand(not approved.retired, entry, f"list {body['list']} is retired")
    approved.active = True


def _list_resealed(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    following = len(sealed.wraps) + 1
    demand(body["sealing"] == following, entry, f"the next sealing is {following}")
    sealed.wraps[following] = Wrap(body["kid"], body["wrap_sha256"])


def _site_activated(state: LogState, entry: Entry, body: Body) -> None:
    demand(not state.sites.get(body["site"], False), entry, "the site is active already")
    state.sites[body["site"]] = True


def _site_paused(state: LogState, entry: Entry, body: Body) -> None:
    demand(state.sites.get(body["site"], False), entry, "the site is not active")
    state.sites[body["site"]] = False


def _trial_paused(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.trial == "open", entry, f"the trial is {state.trial}")
    state.trial = "paused"


def _trial_resumed(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.trial == "paused", entry, f"the trial is {state.trial}")
    state.trial = "open"


def _trial_closed(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.trial != "closed", entry, "the trial is closed already")
    state.trial = "closed"


def _cap_changed(state: LogState, entry: Entry, body: Body) -> None:
    demand(state.trial != "closed", entry, "the trial is closed")
    demand(body["cap"] != state.cap, entry, "the cap is that already")
    demand(body["cap"] >= len(state.assigned), entry, "more participants are allocated already")
    state.cap = body["cap"]


def _slot_assigned(state: LogState, entry: Entry, body: Body) -> None:
    found = list_of(state, entry, body)
    stratum, slot, enrolment = body["stratum"], body["slot"], body["enrolment"]
    demand(found.active, entry, "the list is not active")
    demand(not found.retired, entry, "the list is retired")
    demand(state.trial == "open", entry, "the trial is not open")
    demand(len(state.assigned) < state.cap, entry, "the cap is reached")
    demand(enrolment not in state.assigned, entry, "the enrolment has spent a slot already")
    demand(stratum < len(found.slots), entry, "the list has no such stratum")
    demand(slot == found.next_slot[stratum], entry, "it is not the stratum's next slot")
    demand(slot < found.slots[stratum], entry, "the stratum is exhausted")
    found.next_slot[stratum] += 1
    state.assigned[enrolment] = Assigned(entry.seq, body["list"], stratum, slot, body["leaf"])
    state.enrolment_sha256[enrolment] = body["enrolment_sha256"]
    note_look(state, entry)


def _slot_reread(state: LogState, entry: Entry, body: Body) -> None:
    assigned = state.assigned.get(body["enrolment"])
    demand(
        assigned is not None and assigned.seq == body["of"],
        entry,
        "`of` is not the seq of that enrolment's slot.assigned",
    )
    state.rereads[entry.seq] = body["enrolment"]
    note_look(state, entry)


def _arms_read(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["upto"] < entry.seq, entry, "`upto` must lie before this entry")
    state.arms_reads[entry.seq] = body["upto"]
    note_look(state, entry)


def _enrolment_restored(state: LogState, entry: Entry, body: Body) -> None:
    demand(state.recoveries > 0, entry, "the log was never recovered")
    demand(body["enrolment"] in state.assigned, entry, "the enrolment has spent no slot")
    demand_second(entry, body)
    state.enrolment_sha256[body["enrolment"]] = body["enrolment_sha256"]


def _allocation_refused(_state: LogState, _entry: Entry, _body: Body) -> None:
    """Record a refusal; it demands and changes nothing."""


def _design_read(state: LogState, entry: Entry, body: Body) -> None:
    list_of(state, entry, body)
    state.design_reads[entry.seq] = body["list"]


def _log_exported(_state: LogState, entry: Entry, body: Body) -> None:
    demand(body["upto"] < entry.seq, entry, "`upto` must lie before this entry")


def _list_regenerated(state: LogState, entry: Entry, body: Body) -> None:
    sealed_of(state, entry, body)


def _user_changed(_state: LogState, entry: Entry, body: Body) -> None:
    demand(not body["role"] or body["role"] in _ROLES, entry, "there is no such role")


def _grant_added(state: LogState, entry: Entry, body: Body) -> None:
    role = _role(entry, body)
    held = state.roles.get(body["subject"], set())
    try:
        require_disjoint(held, role)
    except DisjointRolesError as error:
        raise refusal(entry, _disjoint(error)) from None
    state.roles.setdefault(body["subject"], set()).add(role)


def _grant_ended(state: LogState, entry: Entry, body: Body) -> None:
    role = _role(entry, body)
    demand(role in state.roles.get(body["subject"], set()), entry, "the role was never granted")


def _key_created(state: LogState, entry: Entry, body: Body) -> None:
    if "kid" in body:
        demand(not state.kid, entry, "a sealing key was named before")
        state.kid = body["kid"]
    else:
        demand(not state.log_keys, entry, "the log's key was named before")
        state.log_keys.append((entry.seq, _log_key(state, entry, body)))


def _key_rotated(state: LogState, entry: Entry, body: Body) -> None:
    if "kid" in body:
        demand(body["kid"] != state.kid, entry, "it is the key that was named last")
        state.kid = body["kid"]
    else:
        demand(bool(state.log_keys), entry, "the log's key before was never named")
        key = _log_key(state, entry, body)
        used = [known.public for _, known in state.log_keys]
        demand(key.public not in used, entry, "the log has had this key already")
        state.log_keys.append((entry.seq, key))


def _log_key(state: LogState, entry: Entry, body: Body) -> Verifier:
    """Return the key that an entry names: a log's own, under the name of this log."""
    try:
        key = Verifier.parse(body["vkey"])
    except NoteError as error:
        raise refusal(entry, str(error.facts["rule"])) from None
    demand(key.name == state.origin, entry, "the key's name is not the log's origin")
    demand(key.kind == ED25519, entry, "it is a witness's key")
    return key


def _key_rewrapped(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    demand(body["sealing"] in sealed.wraps, entry, "there is no such sealing")
    sealed.wraps[body["sealing"]] = Wrap(body["kid"], body["wrap_sha256"])


def _clock_corrected(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["actor"]["role"] == Role.ADMINISTRATOR, entry, "it takes an administrator")
    demand(body["from"] == state.time, entry, "`from` is not the time of the entry before")
    demand(body["to"] == entry.time, entry, "`to` is not its own time")
    demand(body["to"] < body["from"], entry, "the clock is not behind")
    state.gate_suspended_until = ""  # else one person could prolong what two have set


def _log_recovered(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["upto"] == entry.seq - 1, entry, "`upto` must be the entry before")
    demand_second(entry, body)
    retired: Sequence[int] = body["retired"]
    demand(
        all(number in state.lists for number in retired),
        entry,
        "it retires a list that is not there",
    )
    for number in retired:
        state.lists[number].retired = True
    state.recoveries += 1


def _rollback_detected(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.recoveries > 0, entry, "the log was never recovered")


def _drill_done(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    demand_second(entry, body)
    if body["root_equal"] and body["blob_opened"] and body["log_verified"]:
        sealed.drilled_at = entry.time


def _role(entry: Entry, body: Body) -> Role:
    demand(body["role"] in _ROLES, entry, "there is no such role")
    return Role(body["role"])


def _disjoint(error: DisjointRolesError) -> str:
    return f"{error.facts['added']} excludes {error.facts['held']}, over all time"


_ROLES: Final = frozenset(str(role) for role in Role)

_RULES: Final[Mapping[str, Rule]] = {
    "trial.created": _trial_created,
    "design.frozen": _design_frozen,
    **CEREMONY_RULES,
    "list.sealed": _list_sealed,
    "list.approved": _list_approved,
    "list.activated": _list_activated,
    "list.resealed": _list_resealed,
    "site.activated": _site_activated,
    "site.paused": _site_paused,
    "trial.paused": _trial_paused,
    "trial.resumed": _trial_resumed,
    "trial.closed": _trial_closed,
    "cap.changed": _cap_changed,
    "slot.assigned": _slot_assigned,
    "slot.reread": _slot_reread,
    "arms.read": _arms_read,
    "enrolment.restored": _enrolment_restored,
    "allocation.refused": _allocation_refused,
    "design.read": _design_read,
    "log.exported": _log_exported,
    "list.regenerated": _list_regenerated,
    "user.changed": _user_changed,
    "grant.added": _grant_added,
    "grant.ended": _grant_ended,
    "key.created": _key_created,
    "key.rotated": _key_rotated,
    "key.rewrapped": _key_rewrapped,
    "clock.corrected": _clock_corrected,
    "log.recovered": _log_recovered,
    "rollback.detected": _rollback_detected,
    "drill.done": _drill_done,
    **GATE_RULES,
}
