"""The rules of witnesses: a trial's policy, and the gate that two people may hold open for a time.

With the mode `gate` nothing opens without a checkpoint that a quorum of the trial's witnesses
has cosigned and that covers the entry it is opened for. With `follow` they cosign later. Where a
gate cannot be reached, two people may suspend it until a stated time, at most three days ahead;
what is logged meanwhile may be opened without a cosignature, then and ever after. Another policy
ends it, and so does a clock that is set back (in `rules`): else one person could prolong it.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from alloc_service.errors import NoteError
from alloc_service.log.demands import Rule, demand, demand_second, refusal
from alloc_service.log.entry import Body, Entry, parse_time
from alloc_service.log.note import COSIGNATURE_V1, Verifier
from alloc_service.log.state import LogState, WitnessPolicy

LONGEST_SUSPENSION: Final = timedelta(days=3)


def note_look(state: LogState, entry: Entry) -> None:
    """Remember an entry that opens slots while the gate is suspended."""
    if entry.time < state.gate_suspended_until:
        state.ungated.add(entry.seq)


def _witness_policy(state: LogState, entry: Entry, body: Body) -> None:
    demand_second(entry, body)
    witnesses = tuple(_read_witness(entry, vkey) for vkey in body["witnesses"])
    mode, quorum, count = body["mode"], body["quorum"], len(witnesses)
    demand(len({key.name for key in witnesses}) == count, entry, "a witness's name stands twice")
    demand(len({key.public for key in witnesses}) == count, entry, "a witness's key stands twice")
    if mode == "off":
        demand(quorum == count == 0, entry, "without witnesses there is no quorum")
    else:
        demand(1 <= quorum <= count, entry, "the quorum must be from 1 to the number of witnesses")
    state.policy = WitnessPolicy(mode, quorum, witnesses)
    state.gate_suspended_until = ""


def _read_witness(entry: Entry, vkey: str) -> Verifier:
    try:
        witness = Verifier.parse(vkey)
    except NoteError as error:
        raise refusal(entry, str(error.facts["rule"])) from None
    demand(witness.kind == COSIGNATURE_V1, entry, f"the key of {witness.name} is no witness's")
    return witness


def _gate_suspended(state: LogState, entry: Entry, body: Body) -> None:
    demand_second(entry, body)
    demand(state.policy.mode == "gate", entry, "the trial has no gate")
    demand(body["until"] > entry.time, entry, "`until` must lie ahead")
    ahead = parse_time(body["until"]) - parse_time(entry.time)
    demand(ahead <= LONGEST_SUSPENSION, entry, "`until` lies more than three days ahead")
    state.gate_suspended_until = body["until"]


def _gate_resumed(state: LogState, entry: Entry, _body: Body) -> None:
    demand(entry.time < state.gate_suspended_until, entry, "the gate is not suspended")
    state.gate_suspended_until = ""


GATE_RULES: Final[Mapping[str, Rule]] = {
    "witness.policy": _witness_policy,
    "gate.suspended": _gate_suspended,
    "gate.resumed": _gate_resumed,
}
