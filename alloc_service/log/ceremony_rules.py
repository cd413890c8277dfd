"""The rules of the seed ceremony `rac-seed/1`: commit, deposit, announce, beacon, reveal.

A ceremony belongs to one list, whose design is frozen and which is not sealed. One runs at a
time: the next begins when the one before was dropped, which stays in the log with its reason. A
party is one person's, from its commitment to its reveal, and a person is one party's. A list
whose ceremony was begun is sealed only once that is announced and every party has deposited;
whether a beacon is awaited is in the announced document, not in the log.
"""

from collections.abc import Mapping
from typing import Final

from alloc_service.log.demands import Rule, demand, list_of, refusal
from alloc_service.log.entry import Body, Entry
from alloc_service.log.state import Ceremony, LogState


def demand_ceremony_done(state: LogState, entry: Entry, body: Body) -> None:
    """Refuse to seal a list whose ceremony was begun and is neither complete nor dropped.

    Raises:
        RuleError: It is still running.
    """
    name = state.lists[body["list"]].ceremony
    if not name:
        return
    ceremony = state.ceremonies[name]
    demand(bool(ceremony.announced), entry, f"its ceremony {name} is not announced")
    _demand_deposits(ceremony, entry)


def _ceremony(state: LogState, entry: Entry, body: Body) -> Ceremony:
    found = state.ceremonies.get(body["ceremony"])
    if found is None:
        raise refusal(entry, "no party has begun this ceremony")
    demand(not found.aborted, entry, "this ceremony was aborted")
    demand(not state.lists[found.list].root, entry, "its list is sealed: the ceremony is over")
    return found


def _seed_committed(state: LogState, entry: Entry, body: Body) -> None:
    frozen = list_of(state, entry, body)
    name, party, commitment = body["ceremony"], body["party"], body["commitment"]
    demand(not frozen.root, entry, "the list is sealed already")
    ceremony = state.ceremonies.get(name, Ceremony(body["list"]))
    demand(ceremony.list == body["list"], entry, "the ceremony is for another list")
    demand(not ceremony.aborted, entry, "this ceremony was aborted")
    running = frozen.ceremony in {"", name}
    demand(running, entry, f"the ceremony {frozen.ceremony} of this list is still running")
    demand(not ceremony.announced, entry, f"{party} is too late: the ceremony is announced")
    demand(not ceremony.deposited, entry, f"{party} is too late: a party has deposited already")
    demand(party not in ceremony.commitments, entry, f"{party} has committed already")
    demand(commitment not in ceremony.hashes, entry, f"{party} repeats another's commitment")
    other = ceremony.people.get(entry.actor_id)
    demand(other is None, entry, f"{party} and {other} are one person")
    ceremony.commitments[party] = commitment
    ceremony.hashes.add(commitment)
    ceremony.people[entry.actor_id] = party
    state.ceremonies[name] = ceremony
    frozen.ceremony = name


def _seed_deposited(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    party = _own_party(ceremony, entry, body)
    demand(party not in ceremony.deposited, entry, f"{party} has deposited already")
    ceremony.deposited.add(party)


def _seed_announced(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    demand(ceremony.list == body["list"], entry, "the ceremony is for another list")
    demand(not ceremony.announced, entry, "the ceremony is announced already")
    ceremony.announced = body["doc_sha256"]


def _seed_beacon(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    demand(bool(ceremony.announced), entry, "the ceremony is not announced")
    demand(not ceremony.beacon, entry, "the ceremony has its beacon already")
    _demand_deposits(ceremony, entry)
    ceremony.beacon = body["value"]


def _seed_revealed(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    party = _own_party(ceremony, entry, body)
    demand(bool(ceremony.announced), entry, f"{party} is too early: nothing is announced")
    _demand_deposits(ceremony, entry)
    demand(party not in ceremony.revealed, entry, f"{party} has revealed already")
    ceremony.revealed.add(party)


def _seed_aborted(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    ceremony.aborted = True
    state.lists[ceremony.list].ceremony = ""


def _own_party(ceremony: Ceremony, entry: Entry, body: Body) -> str:
    """Return the party that an entry acts for: its person committed for it, and nobody else."""
    party = str(body["party"])
    demand(party in ceremony.commitments, entry, f"{party} has not committed")
    own = ceremony.people.get(entry.actor_id) == party
    demand(own, entry, f"another person committed for {party}")
    return party


def _demand_deposits(ceremony: Ceremony, entry: Entry) -> None:
    if len(ceremony.deposited) < len(ceremony.commitments):
        missing = sorted(ceremony.commitments.keys() - ceremony.deposited)
        raise refusal(entry, f"{', '.join(missing)} has not deposited")


CEREMONY_RULES: Final[Mapping[str, Rule]] = {
    "seed.committed": _seed_committed,
    "seed.deposited": _seed_deposited,
    "seed.announced": _seed_announced,
    "seed.beacon": _seed_beacon,
    "seed.revealed": _seed_revealed,
    "seed.aborted": _seed_aborted,
}
