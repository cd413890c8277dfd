"""Targets: the bytes of an entry, and the state machine that says which entry may follow.

An accepted entry is written to the same bytes by another way, its time is a real one, and the
stand-alone verifier reads it alike. A log is grown by entries of every type, whose fields are
taken from what real logs hold: what is refused leaves the state as it was, and what is accepted
keeps the rules that never bend, counted here anew from the entries alone.
"""

import copy
import re
from calendar import monthrange
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from alloc_service.core.canon import Json, canon
from alloc_service.errors import CanonError, EntryError, EntryTypeError, RuleError, VersionError
from alloc_service.log import entry as grammar
from alloc_service.log import rules
from alloc_service.log.entry import FIELDS, Entry, read_entry, write_entry
from alloc_service.log.note import Signer
from alloc_service.log.state import LogState
from alloc_service.log.verify import verify_log
from alloc_service.permissions import Role
from tests.fuzz.tape import Tape, vary
from tests.support.alone import alone
from tests.support.bundles import LOG, WITNESSES, full_evidence, private, small_evidence
from tests.support.chain import (
    ADMINISTRATOR,
    MANAGER,
    PHYSICIAN,
    SECOND,
    STATISTICIAN,
    Chain,
    as_body,
    hex32,
    uuid,
)
from tests.support.entries import good, spell

ROWS: Sequence[bytes] = (
    *(spell(type_, good(form)) for type_, forms in FIELDS.items() for form in forms),
    *small_evidence().rows[5:8],
)


def check_entry(data: bytes) -> str:
    """Check that an entry is refused, or is what its own fields are written as."""
    found = vary(Tape(data), ROWS)
    try:
        entry = read_entry(found.data)
    except (CanonError, EntryError) as error:
        assert found.is_changed, error
        special = isinstance(error, (EntryTypeError, VersionError))
        assert special or error.facts["rule"]
        assert _told_alone(found.data) == str(error)
        return "refused"
    assert entry.data == found.data
    again = write_entry(entry.seq, entry.prev, entry.time, entry.type, entry.body)
    assert again == entry
    assert _is_real(entry.time)
    assert _told_alone(found.data) == ""
    return "accepted"


def _is_real(time: str) -> bool:
    year, month, day, hour, minute, second = map(int, re.split("[-T:]", time.removesuffix("Z")))
    days = monthrange(year, month)[1] if year and 1 <= month <= 12 else 0
    return 1 <= day <= days and hour < 24 and minute < 60 and second < 60


def _told_alone(data: bytes) -> str:
    """Return why the stand-alone verifier refuses an entry, or ""."""
    file = alone()
    try:
        assert file.read_entry(data).data == data
    except (file.CanonError, file.EntryError) as error:
        return str(error)
    return ""


def _lively() -> Chain:
    """Return a log in which ceremonies, keys, roles, gates and recoveries come about."""
    chain = Chain().create(cap=9)
    chain.add("site.activated", site="XA01")
    chain.add("grant.added", subject="u4", role="physician", site="XA01")
    chain.add("key.created", kid=hex32("kid")[:16])
    chain.add("key.created", vkey=LOG.verifier.vkey)
    chain.freeze()
    for person, party in ((STATISTICIAN, "stat"), (SECOND, "dmc")):
        commitment = hex32(party)
        chain.add("seed.committed", by=person, ceremony="c-1", list=1, party=party,
                  commitment=commitment)  # fmt: skip
    for person, party in ((STATISTICIAN, "stat"), (SECOND, "dmc")):
        chain.add("seed.deposited", by=person, ceremony="c-1", party=party)
    chain.add("seed.announced", ceremony="c-1", list=1, doc_sha256=hex32("document"))
    chain.add("seed.beacon", ceremony="c-1", value=hex32("beacon"))
    chain.add("seed.revealed", by=SECOND, ceremony="c-1", party="dmc")
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    chain.add("list.approved", by=SECOND, list=1, root=hex32("R1"), root_checked=True)
    chain.add("list.activated", list=1)
    vkeys: list[Json] = [one.verifier.vkey for one in WITNESSES[:2]]
    second = as_body(SECOND)
    chain.add("witness.policy", mode="gate", quorum=1, witnesses=vkeys, second=second)
    chain.assign("a", 0, 0)
    chain.add("gate.suspended", until="2026-01-03T09:00:00Z", code="witness-lost",
              reason_sha256="", second=second)  # fmt: skip
    chain.assign("b", 0, 1)
    read = chain.state.assigned[uuid("b")].seq
    chain.add("slot.reread", by=PHYSICIAN, enrolment=uuid("b"), of=read)
    chain.add("gate.resumed")
    chain.activate(2)
    chain.recover(1)
    chain.add("enrolment.restored", enrolment=uuid("a"), enrolment_sha256=hex32("anew"),
              second=second)  # fmt: skip
    chain.assign("c", 1, 0, number=2)
    chain.add("trial.paused", code="safety", reason_sha256="")
    chain.add("trial.resumed", code="safety", reason_sha256="")
    return chain


HISTORIES: Sequence[Sequence[Entry]] = (
    _lively().entries,
    small_evidence().chain.entries,
    full_evidence().chain.entries,
)
PEOPLE = (MANAGER, STATISTICIAN, SECOND, PHYSICIAN, ADMINISTRATOR)
TYPES = sorted(FIELDS)
TIMES = (
    "", "", "", "2026-01-02T08:59:59Z", "2026-01-02T09:00:00Z", "2026-01-02T10:00:00Z",
    "2026-01-03T09:00:00Z", "2026-01-05T09:00:00Z", "2026-01-05T09:00:01Z", "2031-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
)  # fmt: skip
# Beside what real logs hold: what is new, what is at an edge, and what is another's.
MORE: Mapping[str, Sequence[Json]] = {
    "list": [1, 2, 3, 9_999],
    "cap": [1, 2, 3, 500],
    "stratum": [0, 1, 2],
    "slot": [0, 1, 2, 3, 4, 5, 8, 10**15 - 1],
    "sealing": [1, 2, 3],
    "slots": [[3, 2], [1], [1_000_000, 1_000_000], [1_000_001], [1_000_000, 1_000_000, 1]],
    "enrolment": [uuid(name) for name in "abcdefgh"],
    "ceremony": ["c-1", "c-2"],
    "party": ["stat", "dmc", "sponsor"],
    "role": ["", "nobody", *map(str, Role)],
    "subject": ["u1", "u2", "u4"],
    "site": ["", "XA01", "XA02"],
    "mode": ["off", "follow", "gate"],
    "quorum": [0, 1, 2, 3],
    "witnesses": [
        [],
        [WITNESSES[0].verifier.vkey],
        [one.verifier.vkey for one in WITNESSES],
        [WITNESSES[0].verifier.vkey] * 2,
        [LOG.verifier.vkey],
    ],
    "vkey": [
        LOG.verifier.vkey,
        Signer(LOG.name, private("the next log key")).verifier.vkey,
        Signer(LOG.name, private("the one after")).verifier.vkey,
        WITNESSES[0].verifier.vkey,
        Signer("elsewhere/x/audit", private("log")).verifier.vkey,
    ],
    "retired": [[], [1], [2], [1, 2], [3], [1, 1]],
    "until": list(TIMES[3:]),
    "from": list(TIMES[3:]),
    "to": list(TIMES[3:]),
    "kid": [hex32("kid")[:16], hex32("another kid")[:16]],
    "second": [as_body(person) for person in PEOPLE],
}


def _harvest() -> Mapping[str, Sequence[Json]]:
    """Return, for each field, values that real logs hold, and more."""
    pools: dict[str, list[Json]] = {name: list(values) for name, values in MORE.items()}
    for history in HISTORIES:
        for entry in history:
            for name, value in entry.body.items():
                pool = pools.setdefault(name, [])
                if value not in pool and len(pool) < 64:
                    pool.append(value)
    for forms in FIELDS.values():
        for name, kind in ((name, kind) for form in forms for name, kind in form.items()):
            if kind in {grammar.HEX32, grammar.HEX32_OR_EMPTY}:
                pools.setdefault(name, []).append(hex32(f"fresh {name}"))
            elif kind == grammar.FLAG:
                pools[name] = [False, True]
            elif kind == grammar.CODE:
                pools[name] = ["other"]
            elif kind == grammar.COUNT:
                pools.setdefault(name, []).append(0)
    return pools


POOLS = _harvest()
# Fields that name an entry: counted back from where the log is.
BACK = frozenset({"of", "upto", "expected", "found"})


@dataclass
class Count:
    """What never bends, counted from the entries that were accepted, and from nothing else."""

    slots: dict[tuple[int, int], int] = field(default_factory=dict)
    enrolments: set[str] = field(default_factory=set)
    roots: list[str] = field(default_factory=list)
    sealers: dict[int, str] = field(default_factory=dict)
    approved: set[int] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    retired: set[int] = field(default_factory=set)
    cap: int = 0
    trial: str = "open"
    recoveries: int = 0
    time: str = ""

    def add(self, entry: Entry) -> None:
        """Take in an accepted entry; whatever it breaks is an AssertionError."""
        body = entry.body
        assert entry.time >= self.time or entry.type == "clock.corrected"
        self.time = entry.time
        if "second" in body:
            assert body["second"]["id"] != entry.actor_id
        take = getattr(self, "_take_" + entry.type.replace(".", "_"), None)
        if take is not None:
            take(entry, body)

    def _take_trial_created(self, entry: Entry, body: Mapping[str, Any]) -> None:
        assert entry.seq == 0
        self.cap = body["cap"]

    def _take_cap_changed(self, _entry: Entry, body: Mapping[str, Any]) -> None:
        assert self.trial != "closed"
        self.cap = body["cap"]
        assert self.cap >= len(self.enrolments)

    def _take_list_sealed(self, entry: Entry, body: Mapping[str, Any]) -> None:
        assert body["list"] not in self.sealers
        assert body["root"] not in self.roots
        self.roots.append(body["root"])
        self.sealers[body["list"]] = entry.actor_id
        for stratum, slots in enumerate(body["slots"]):
            self.slots[body["list"], stratum] = slots

    def _take_list_approved(self, entry: Entry, body: Mapping[str, Any]) -> None:
        assert self.sealers[body["list"]] != entry.actor_id
        self.approved.add(body["list"])

    def _take_list_activated(self, _entry: Entry, body: Mapping[str, Any]) -> None:
        assert body["list"] in self.approved - self.retired
        self.active.add(body["list"])

    def _take_trial_paused(self, _entry: Entry, _body: Mapping[str, Any]) -> None:
        assert self.trial == "open"
        self.trial = "paused"

    def _take_trial_resumed(self, _entry: Entry, _body: Mapping[str, Any]) -> None:
        assert self.trial == "paused"
        self.trial = "open"

    def _take_trial_closed(self, _entry: Entry, _body: Mapping[str, Any]) -> None:
        assert self.trial != "closed"
        self.trial = "closed"

    def _take_log_recovered(self, entry: Entry, body: Mapping[str, Any]) -> None:
        assert body["upto"] == entry.seq - 1
        self.recoveries += 1
        self.retired |= set(body["retired"])

    def _take_enrolment_restored(self, _entry: Entry, body: Mapping[str, Any]) -> None:
        assert self.recoveries
        assert body["enrolment"] in self.enrolments

    def _take_slot_reread(self, _entry: Entry, body: Mapping[str, Any]) -> None:
        assert body["enrolment"] in self.enrolments

    def _take_slot_assigned(self, _entry: Entry, body: Mapping[str, Any]) -> None:
        number, stratum = body["list"], body["stratum"]
        assert number in self.active - self.retired
        assert self.trial == "open"
        assert body["enrolment"] not in self.enrolments
        self.enrolments.add(body["enrolment"])
        assert len(self.enrolments) <= self.cap
        spent = self._spent[number, stratum]
        assert body["slot"] == spent < self.slots[number, stratum]
        self._spent[number, stratum] += 1

    _spent: Counter[tuple[int, int]] = field(default_factory=Counter)


def check_fold(data: bytes) -> str:
    """Check a log that grows: what is refused changes nothing, what is accepted keeps the rules."""
    tape = Tape(data)
    history = HISTORIES[tape.below(len(HISTORIES))]
    entries = list(history[: tape.below(len(history) + 1)])
    state, counted = LogState(), Count()
    for entry in entries:
        rules.fold(state, entry)
        counted.add(entry)
    outcomes = Counter[str]()
    while not tape.is_over and len(entries) < 80 and outcomes.total() < 40:
        entry = _next_entry(tape, state)
        before = copy.deepcopy(state)
        try:
            rules.fold(state, entry)
        except RuleError as error:
            assert state == before
            assert error.facts["rule"]
            assert (error.facts["seq"], error.facts["type"]) == (entry.seq, entry.type)
            outcomes["refused"] += 1
            continue
        assert (state.size, state.last, state.time) == (before.size + 1, entry.leaf, entry.time)
        counted.add(entry)
        entries.append(entry)
        outcomes["accepted"] += 1
    if outcomes["accepted"]:
        verified = verify_log([entry.data for entry in entries])
        assert verified.state == state
    return " and ".join(sorted(outcomes)) or "nothing"


def _next_entry(tape: Tape, state: LogState) -> Entry:
    """Return an entry that is well spelled; whether it may stand here is another matter."""
    type_ = TYPES[tape.below(len(TYPES))]
    head = tape.byte()
    person, late, wrong = PEOPLE[head % 5], (head // 5) % len(TIMES), head // 60
    forms = FIELDS[type_]
    form = forms[tape.below(len(forms))] if len(forms) > 1 else forms[0]
    body: dict[str, Json] = {"actor": as_body(person)}
    for name in form:
        body[name] = _draw(tape, name, form[name], state)
    seq, prev = state.size, state.last
    if wrong == 3:
        seq += 1
    elif wrong == 4:
        prev = hex32("another entry")
    time = TIMES[late] or state.time or "2026-01-02T09:00:00Z"
    if type_ == "clock.corrected" and tape.byte() % 2:
        body["from"], body["to"] = state.time or time, time
    return write_entry(seq, prev, time, type_, body)


def _draw(tape: Tape, name: str, kind: str, state: LogState) -> Json:
    if name in BACK:
        return max(0, state.size - tape.below(64))
    pool = _pool(name, kind)
    return pool[tape.below(len(pool))]


@cache
def _pool(name: str, kind: str) -> Sequence[Json]:
    """Return what a field may hold where it is of one kind."""
    return [value for value in POOLS[name] if re.fullmatch(kind, canon(value).decode())]
