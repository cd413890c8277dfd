"""The frame of `fold`: the chain, the start, the cost, and that a refusal changes nothing."""

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import RuleError
from alloc_service.log.entry import FIELDS, Entry, read_entry
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from tests.support.chain import (
    ADMINISTRATOR,
    MANAGER,
    ORIGIN,
    PHYSICIAN,
    SECOND,
    STATISTICIAN,
    Chain,
    as_body,
    hex32,
    uuid,
    witness,
)


def test_the_ten_entries_of_the_vector_fold(rows: list[bytes]) -> None:
    state = LogState()

    for row in rows:
        fold(state, read_entry(row))

    assert (state.size, state.origin, state.cap, state.trial) == (10, ORIGIN, 12, "open")
    assert state.last == read_entry(rows[-1]).leaf
    assert state.lists[1].next_slot == [3, 2]
    assert state.lists[1].active
    assert [found.seq for found in state.assigned.values()] == [5, 6, 7, 8, 9]


def test_a_log_begins_with_the_creation_of_the_trial() -> None:
    chain = Chain()

    chain.refuse("design.frozen", "begins with", list=1, design_sha256=hex32("D"))
    chain.create(cap=7)

    assert (chain.state.origin, chain.state.cap, chain.state.trial) == (ORIGIN, 7, "open")


def test_a_trial_is_created_once(chain: Chain) -> None:
    chain.refuse("trial.created", "once", origin=ORIGIN, cap=12, salt=hex32("salt"))


@pytest.mark.parametrize("changed", [{"seq": 0}, {"seq": 2}, {"seq": 7}])
def test_an_entry_has_the_next_seq(chain: Chain, changed: dict[str, Any]) -> None:
    refuse_changed(chain, changed, "seq must be 1")


@pytest.mark.parametrize("prev", ["", hex32("another")])
def test_an_entry_follows_the_leaf_of_the_one_before(chain: Chain, prev: str) -> None:
    refuse_changed(chain, {"prev": prev}, "prev is not the leaf")


def test_the_first_entry_follows_nothing() -> None:
    chain = Chain()
    entry = chain.write("trial.created", origin=ORIGIN, cap=12, salt=hex32("salt"))

    with pytest.raises(RuleError, match="prev is not the leaf"):
        fold(chain.state, entry._replace(prev=hex32("another")))

    assert chain.state == LogState()


def refuse_changed(chain: Chain, changed: dict[str, Any], rule: str) -> None:
    entry = chain.write("log.exported", upto=0)
    before = copy.deepcopy(chain.state)
    with pytest.raises(RuleError, match=rule):
        fold(chain.state, entry._replace(**changed))
    assert chain.state == before


def test_time_stands_still_or_goes_on_and_never_back(chain: Chain) -> None:
    chain.add("log.exported", at="2026-01-02T09:00:00Z", upto=0)
    chain.add("log.exported", at="2026-01-03T00:00:00Z", upto=0)

    chain.refuse("log.exported", "time lies before", at="2026-01-02T23:59:59Z", upto=0)

    assert chain.state.time == "2026-01-03T00:00:00Z"


def test_the_state_knows_how_far_it_is(chain: Chain) -> None:
    entry = chain.add("log.exported", at="2026-01-02T10:00:00Z", upto=0)

    assert (chain.state.size, chain.state.last) == (2, entry.leaf)
    assert chain.state.time == "2026-01-02T10:00:00Z"


class Unread(dict[Any, Any]):
    """A dict that is looked up and written, and that nobody may walk through."""

    def _no(self, *_: object) -> NoReturn:
        raise AssertionError("a rule walks through the history")

    __iter__ = __reversed__ = __or__ = __ror__ = __eq__ = __ne__ = _no
    keys = values = items = copy = _no


class UnreadSet(set[Any]):
    """A set that is asked and added to, and that nobody may walk through."""

    def _no(self, *_: object) -> NoReturn:
        raise AssertionError("a rule walks through the history")

    __iter__ = __or__ = __and__ = __sub__ = __xor__ = __rsub__ = __ror__ = _no
    __le__ = __lt__ = __ge__ = __gt__ = __eq__ = __ne__ = _no
    union = difference = intersection = copy = issubset = issuperset = _no


def guard(state: LogState) -> None:
    """Replace what grows with the log by what cannot be walked through."""
    for name in LogState.__dataclass_fields__:
        value = getattr(state, name)
        if type(value) is dict:
            setattr(state, name, Unread(value))
        elif type(value) is set:
            setattr(state, name, UnreadSet(value))
    for ceremony in dict.values(state.ceremonies):
        ceremony.commitments = Unread(dict(dict.items(ceremony.commitments)))
        ceremony.hashes = UnreadSet(set.union(set(), ceremony.hashes))
        ceremony.deposited = UnreadSet(set.union(set(), ceremony.deposited))
        ceremony.revealed = UnreadSet(set.union(set(), ceremony.revealed))
        ceremony.people = Unread(dict(dict.items(ceremony.people)))


def life() -> list[Entry]:
    """Return a log that holds every type of entry."""
    chain = Chain().create().freeze()
    ceremony: dict[str, Any] = {"ceremony": "c/1"}
    parties = (("dmc", SECOND), ("sponsor", MANAGER))
    for party, person in parties:
        committed: dict[str, Any] = {"list": 1, "party": party, "commitment": hex32(party)}
        chain.add("seed.committed", by=person, **ceremony, **committed)
    for party, person in parties:
        chain.add("seed.deposited", by=person, **ceremony, party=party)
    chain.add("seed.announced", **ceremony, list=1, doc_sha256=hex32("doc"))
    chain.add("seed.beacon", **ceremony, value=hex32("beacon"))
    for party, person in parties:
        chain.add("seed.revealed", by=person, **ceremony, party=party)
    chain.add("seed.aborted", **ceremony, code="dropped")
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    chain.add("list.approved", by=SECOND, list=1, root=hex32("R1"), root_checked=True)
    chain.add("list.activated", list=1)
    wrap: dict[str, Any] = {"list": 1, "kid": hex32("new")[:16], "wrap_sha256": hex32("new")}
    chain.add("list.resealed", sealing=2, **wrap)
    chain.add("key.rewrapped", sealing=2, **wrap)
    chain.add("key.created", kid=hex32("k")[:16])
    chain.add("key.rotated", kid=hex32("l")[:16])
    chain.add("site.activated", site="XA01")
    chain.add("site.paused", site="XA01")
    reason: dict[str, Any] = {"code": "review", "reason_sha256": hex32("reason")}
    chain.add("trial.paused", **reason)
    chain.add("trial.resumed", **reason)
    chain.add("cap.changed", cap=20)
    for change in ("user.changed", "grant.added", "grant.ended"):
        chain.add(change, subject="u9", role="physician", site="XA01")
    chain.assign("e1", 0, 0)
    chain.assign("e2", 1, 0)
    chain.add("slot.reread", by=PHYSICIAN, enrolment=uuid("e2"), of=chain.state.size - 1)
    chain.add("arms.read", purpose="dsmb", upto=chain.state.size - 1)
    chain.add("allocation.refused", enrolment=uuid("e3"), code="capped")
    chain.add("design.read", by=STATISTICIAN, list=1)
    chain.add("log.exported", upto=chain.state.size - 1)
    chain.add("list.regenerated", list=1, root_equal=True)
    chain.recover(1)
    restored: dict[str, Any] = {"enrolment": uuid("e1"), "enrolment_sha256": hex32("again")}
    chain.add("enrolment.restored", **restored, second=as_body(SECOND))
    chain.add("rollback.detected", expected=9, found=7)
    times: dict[str, Any] = {"from": chain.state.time, "to": "2026-01-01T00:00:00Z"}
    chain.add("clock.corrected", by=ADMINISTRATOR, at=times["to"], **times)
    witnesses: dict[str, Any] = {"quorum": 1, "witnesses": [witness("w.example.org/1").vkey]}
    chain.add("witness.policy", mode="gate", second=as_body(SECOND), **witnesses)
    until: dict[str, Any] = {"until": "2026-01-01T12:00:00Z", "second": as_body(SECOND)}
    chain.add("gate.suspended", **reason, **until)
    chain.add("gate.resumed")
    drill: dict[str, Any] = {"root_equal": True, "blob_opened": True, "log_verified": True}
    chain.add("drill.done", list=1, second=as_body(SECOND), **drill)
    chain.add("trial.closed", **reason)
    return chain.entries


def test_no_rule_walks_through_the_history() -> None:
    entries = life()
    state = LogState()

    for entry in entries:
        guard(state)
        fold(state, entry)

    assert {entry.type for entry in entries} == FIELDS.keys()
    assert state.size == len(entries)


def test_every_entry_of_a_whole_life_is_refused_out_of_turn_and_changes_nothing() -> None:
    entries = life()
    state = LogState()

    for entry in entries:
        before = copy.deepcopy(state)
        for other in entries:
            if other is not entry:
                with pytest.raises(RuleError):
                    fold(state, other)
        assert state == before
        fold(state, entry)


STATES = {"trial.paused": "paused", "trial.resumed": "open", "trial.closed": "closed"}

enrolments = st.integers(0, 4).map(uuid)
lists = st.integers(1, 3)
STEPS = st.one_of(
    st.tuples(
        st.just("slot.assigned"),
        st.fixed_dictionaries(
            {
                "list": lists,
                "stratum": st.integers(0, 2),
                "slot": st.integers(0, 3),
                "leaf": st.just(hex32("leaf")),
                "enrolment": enrolments,
                "enrolment_sha256": st.just(hex32("record")),
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["trial.paused", "trial.resumed", "trial.closed"]),
        st.just({"code": "x", "reason_sha256": ""}),
    ),
    st.tuples(st.just("cap.changed"), st.fixed_dictionaries({"cap": st.integers(1, 5)})),
    st.tuples(
        st.just("slot.reread"),
        st.fixed_dictionaries({"enrolment": enrolments, "of": st.integers(0, 20)}),
    ),
    st.tuples(
        st.just("log.recovered"),
        st.fixed_dictionaries(
            {
                "upto": st.integers(10, 20),
                "fork_sha256": st.just(""),
                "retired": st.lists(lists, max_size=1),
                "second": st.just(as_body(SECOND)),
            }
        ),
    ),
)


@given(st.lists(STEPS, max_size=30))
def test_whatever_is_tried_the_slots_of_what_was_accepted_are_spent_by_the_rules(
    steps: Sequence[tuple[str, dict[str, Any]]],
) -> None:
    chain = Chain().create(cap=3).activate(1).activate(2).seal(3)

    for type_, body in steps:
        before = copy.deepcopy(chain.state)
        try:
            chain.add(type_, **body)
        except RuleError:
            assert chain.state == before

    check_slots(chain.entries, {1: [3, 2], 2: [3, 2]}, cap=3)


def check_slots(entries: Sequence[Entry], active: dict[int, list[int]], cap: int) -> None:
    """Judge a log anew, from its whole history at each entry."""
    assigned: list[Entry] = []
    trial, retired = "open", set[int]()
    for entry in entries:
        body = entry.body
        match entry.type:
            case "slot.assigned":
                assert trial == "open"
                assert body["list"] in active.keys() - retired
                assert body["slot"] < active[body["list"]][body["stratum"]]
                assigned.append(entry)
                assert len(assigned) <= cap
            case "trial.paused" | "trial.resumed" | "trial.closed":
                assert trial != "closed"
                trial = STATES[entry.type]
            case "cap.changed":
                cap = body["cap"]
                assert cap >= len(assigned)
            case "log.recovered":
                assert body["upto"] == entry.seq - 1
                retired.update(body["retired"])
            case "slot.reread":
                (of,) = (one for one in assigned if one.body["enrolment"] == body["enrolment"])
                assert of.seq == body["of"]
    places = Counter((one.body["list"], one.body["stratum"]) for one in assigned)
    for (number, stratum), count in places.items():
        here = [e for e in assigned if (e.body["list"], e.body["stratum"]) == (number, stratum)]
        assert [one.body["slot"] for one in here] == list(range(count))
    assert len({one.body["enrolment"] for one in assigned}) == len(assigned)
