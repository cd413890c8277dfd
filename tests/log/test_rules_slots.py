"""Slots, trial states, people, keys, the clock and recovery: every demand of their rows."""

from typing import Any

import pytest

from alloc_service.log.note import COSIGNATURE_V1, Verifier
from alloc_service.permissions import Role
from tests.support.chain import (
    ADMINISTRATOR,
    MANAGER,
    PHYSICIAN,
    SECOND,
    Chain,
    as_body,
    hex32,
    uuid,
)

REASON: dict[str, Any] = {"code": "review", "reason_sha256": hex32("reason")}


@pytest.fixture
def running() -> Chain:
    """Return a log with an open trial, cap 4, and list 1 of 3 and 2 slots active."""
    return Chain().create(cap=4).activate(1)


def test_each_stratum_spends_its_own_slots_in_order(running: Chain) -> None:
    first = running.assign("e1", 0, 0)
    running.assign("e2", 1, 0)
    running.assign("e3", 0, 1)

    assert running.state.lists[1].next_slot == [2, 1]
    assert running.state.assigned[uuid("e1")] == (first.seq, 1, 0, 0, hex32("leaf 1 0 0"))
    assert running.state.enrolment_sha256[uuid("e1")] == hex32("record of e1")


@pytest.mark.parametrize(
    ("stratum", "slot", "rule"),
    [
        (0, 0, "not the stratum's next slot"),
        (0, 2, "not the stratum's next slot"),
        (1, 1, "not the stratum's next slot"),
        (2, 0, "no such stratum"),
    ],
)
def test_a_slot_is_neither_skipped_nor_spent_twice(
    running: Chain, stratum: int, slot: int, rule: str
) -> None:
    running.assign("e1", 0, 0)

    running.refuse("slot.assigned", rule, by=PHYSICIAN, **running.slot("e2", stratum, slot))


def test_an_enrolment_spends_one_slot_ever(running: Chain) -> None:
    running.assign("e1", 0, 0)
    running.activate(2)

    for again in (running.slot("e1", 0, 1), running.slot("e1", 1, 0), running.slot("e1", 0, 0, 2)):
        running.refuse("slot.assigned", "has spent a slot already", by=PHYSICIAN, **again)


def test_an_exhausted_stratum_spends_no_slot_and_the_others_do(running: Chain) -> None:
    running.assign("e1", 1, 0)
    running.assign("e2", 1, 1)

    running.refuse("slot.assigned", "is exhausted", by=PHYSICIAN, **running.slot("e3", 1, 2))
    running.assign("e3", 0, 0)


def test_a_list_spends_slots_only_while_it_is_active(chain: Chain) -> None:
    chain.refuse("slot.assigned", "no frozen design", **chain.slot("e1", 0, 0))
    chain.seal(1)
    chain.refuse("slot.assigned", "not active", **chain.slot("e1", 0, 0))
    chain.add("list.approved", by=SECOND, list=1, root=hex32("R1"), root_checked=True)
    chain.refuse("slot.assigned", "not active", **chain.slot("e1", 0, 0))
    chain.add("list.activated", list=1)

    chain.assign("e1", 0, 0)


def test_the_cap_counts_the_slots_of_all_lists(running: Chain) -> None:
    running.activate(2)
    running.assign("e1", 0, 0)
    running.assign("e2", 0, 0, 2)
    running.assign("e3", 0, 1)
    running.assign("e4", 0, 1, 2)

    running.refuse("slot.assigned", "cap is reached", by=PHYSICIAN, **running.slot("e5", 0, 2))
    running.add("cap.changed", cap=5)
    running.assign("e5", 0, 2)


def test_the_cap_changes_but_not_below_what_is_allocated(running: Chain) -> None:
    running.assign("e1", 0, 0)
    running.assign("e2", 0, 1)

    running.refuse("cap.changed", "that already", cap=4)
    running.refuse("cap.changed", "more participants are allocated", cap=1)
    running.add("cap.changed", cap=2)
    running.refuse("slot.assigned", "cap is reached", by=PHYSICIAN, **running.slot("e3", 0, 2))
    running.add("trial.closed", **REASON)
    running.refuse("cap.changed", "the trial is closed", cap=9)


def test_a_trial_pauses_resumes_and_closes_for_good(running: Chain) -> None:
    slot = running.slot("e1", 0, 0)
    running.refuse("trial.resumed", "the trial is open", **REASON)
    running.add("trial.paused", **REASON)
    running.refuse("trial.paused", "the trial is paused", **REASON)
    running.refuse("slot.assigned", "not open", by=PHYSICIAN, **slot)
    running.add("cap.changed", cap=3)
    running.add("trial.resumed", **REASON)
    running.assign("e1", 0, 0)
    running.add("trial.closed", **REASON)

    running.refuse("slot.assigned", "not open", by=PHYSICIAN, **running.slot("e2", 0, 1))
    running.refuse("trial.paused", "the trial is closed", **REASON)
    running.refuse("trial.resumed", "the trial is closed", **REASON)
    running.refuse("trial.closed", "closed already", **REASON)


def test_a_paused_trial_may_be_closed(chain: Chain) -> None:
    chain.add("trial.paused", **REASON)

    chain.add("trial.closed", **REASON)

    assert chain.state.trial == "closed"


def test_a_site_is_activated_and_paused_in_turn(chain: Chain) -> None:
    chain.refuse("site.paused", "not active", site="XA01")
    chain.add("site.activated", site="XA01")
    chain.refuse("site.activated", "active already", site="XA01")
    chain.add("site.activated", site="XB02")
    chain.add("site.paused", site="XA01")
    chain.refuse("site.paused", "not active", site="XA01")

    assert chain.state.sites == {"XA01": False, "XB02": True}
    chain.add("site.activated", site="XA01")


def test_a_slot_is_read_again_by_the_seq_of_its_own_assignment(running: Chain) -> None:
    first = running.assign("e1", 0, 0)
    second = running.assign("e2", 0, 1)

    for of in (0, second.seq, first.seq + 2, first.seq + 3, first.seq + 9):
        running.refuse("slot.reread", "not the seq", by=PHYSICIAN, enrolment=uuid("e1"), of=of)
    running.refuse("slot.reread", "not the seq", by=PHYSICIAN, enrolment=uuid("e3"), of=first.seq)
    again = running.add("slot.reread", by=PHYSICIAN, enrolment=uuid("e1"), of=first.seq)

    assert running.state.rereads == {again.seq: uuid("e1")}


@pytest.mark.parametrize("type_", ["arms.read", "log.exported"])
def test_a_look_at_many_reaches_to_before_itself(chain: Chain, type_: str) -> None:
    body: dict[str, Any] = {"purpose": "dsmb"} if type_ == "arms.read" else {}

    chain.refuse(type_, "before this entry", upto=1, **body)
    chain.refuse(type_, "before this entry", upto=2, **body)
    entry = chain.add(type_, upto=0, **body)

    assert chain.state.arms_reads == ({entry.seq: 0} if body else {})


def test_a_refused_allocation_is_logged_and_spends_nothing(running: Chain) -> None:
    slots = running.state.lists[1].next_slot.copy()

    running.add("allocation.refused", by=PHYSICIAN, enrolment=uuid("e1"), code="trial-paused")

    assert (running.state.lists[1].next_slot, running.state.assigned) == (slots, {})


def test_an_enrolment_is_restored_only_after_a_recovery_and_by_two(running: Chain) -> None:
    running.assign("e1", 0, 0)
    body: dict[str, Any] = {"enrolment": uuid("e1"), "enrolment_sha256": hex32("typed again")}
    two: dict[str, Any] = {**body, "second": as_body(SECOND)}
    running.refuse("enrolment.restored", "never recovered", **two)
    running.recover()

    unknown = {**two, "enrolment": uuid("e9")}
    running.refuse("enrolment.restored", "has spent no slot", **unknown)
    alone = {**body, "second": as_body((MANAGER[0], "XB02", "dmc"))}
    running.refuse("enrolment.restored", "must be another", **alone)
    running.add("enrolment.restored", **two)
    running.add("enrolment.restored", **{**two, "enrolment_sha256": hex32("and again")})

    assert running.state.enrolment_sha256 == {uuid("e1"): hex32("and again")}
    assert running.state.assigned[uuid("e1")].leaf == hex32("leaf 1 0 0")


def test_a_recovery_names_the_entry_before_it_and_two_people(running: Chain) -> None:
    for upto in (0, running.state.size - 2, running.state.size, running.state.size + 1):
        running.refuse("log.recovered", "must be the entry before", **running.recovery(upto=upto))
    alone = running.recovery(second=as_body((MANAGER[0], "XB02", "dmc")))
    running.refuse("log.recovered", "must be another", **alone)

    running.recover()
    running.add("log.recovered", **running.recovery(fork_sha256=hex32("fork")))

    assert running.state.recoveries == 2


def test_a_retired_list_assigns_nothing_more_and_its_slots_still_open(running: Chain) -> None:
    first = running.assign("e1", 0, 0)
    running.activate(2)
    running.seal(3)
    running.refuse("log.recovered", "not there", **running.recovery(1, 4))

    running.recover(1, 3)

    running.refuse("slot.assigned", "is retired", by=PHYSICIAN, **running.slot("e2", 0, 1))
    running.add("slot.reread", by=PHYSICIAN, enrolment=uuid("e1"), of=first.seq)
    running.add("list.resealed", list=1, sealing=2, kid=hex32("k")[:16], wrap_sha256=hex32("w"))
    running.assign("e2", 0, 0, 2)
    running.add("list.approved", by=SECOND, list=3, root=hex32("R3"), root_checked=True)
    running.refuse("list.activated", "is retired", list=3)
    running.recover(1, 2, 3)
    running.refuse("slot.assigned", "is retired", by=PHYSICIAN, **running.slot("e3", 0, 1, 2))


def test_a_rollback_is_reported_only_after_a_recovery(chain: Chain) -> None:
    chain.refuse("rollback.detected", "never recovered", expected=9, found=7)
    chain.recover()

    chain.add("rollback.detected", expected=9, found=7)


def test_a_key_is_logged_by_its_kid_or_by_its_vkey(chain: Chain) -> None:
    vkey = "rac.example.org/EXAMPLE-02/audit+07deaf07+AahdKi7MbXK/mNDV1kaotDmM+AVHnZT8J2EFMJ02qIGu"
    before = chain.state.size
    other = Verifier(chain.state.origin, bytes(range(32))).vkey

    chain.add("key.created", by=ADMINISTRATOR, kid=hex32("k")[:16])
    chain.add("key.rotated", by=ADMINISTRATOR, kid=hex32("l")[:16])
    chain.add("key.created", by=ADMINISTRATOR, vkey=vkey)
    chain.add("key.rotated", by=ADMINISTRATOR, vkey=other)

    assert chain.state.size == before + 4


LATER, EARLIER = "2026-02-02T09:00:00Z", "2026-02-01T09:00:00Z"


@pytest.fixture
def ahead(chain: Chain) -> Chain:
    """Return a log whose last entry is of a clock that was ahead."""
    chain.add("log.exported", at=LATER, upto=0)
    return chain


def test_an_administrator_corrects_a_clock_that_was_ahead(ahead: Chain) -> None:
    body: dict[str, Any] = {"from": LATER, "to": EARLIER}

    ahead.add("clock.corrected", by=ADMINISTRATOR, at=EARLIER, **body)
    ahead.add("log.exported", at=EARLIER, upto=0)

    assert ahead.state.time == EARLIER


@pytest.mark.parametrize(
    ("changed", "at", "rule"),
    [
        ({"from": "2026-02-02T09:00:01Z"}, EARLIER, "`from` is not the time"),
        ({"from": EARLIER}, EARLIER, "`from` is not the time"),
        ({}, "2026-02-01T09:00:01Z", "`to` is not its own time"),
        ({}, LATER, "`to` is not its own time"),
        ({"to": LATER}, LATER, "the clock is not behind"),
        ({"to": "2026-02-03T09:00:00Z"}, "2026-02-03T09:00:00Z", "the clock is not behind"),
        ({"to": "2026-01-99T09:00:00Z"}, EARLIER, "`to` is not its own time"),
    ],
)
def test_a_clock_is_corrected_from_the_last_time_to_its_own_and_backwards(
    ahead: Chain, changed: dict[str, Any], at: str, rule: str
) -> None:
    body: dict[str, Any] = {"from": LATER, "to": EARLIER, **changed}

    ahead.refuse("clock.corrected", rule, by=ADMINISTRATOR, at=at, **body)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_nobody_but_an_administrator_corrects_a_clock(ahead: Chain, role: Role) -> None:
    body: dict[str, Any] = {"from": LATER, "to": EARLIER}

    ahead.refuse(
        "clock.corrected", "takes an administrator", by=("u5", "XA01", role), at=EARLIER, **body
    )


EXCLUDED = [
    (Role.STATISTICIAN, Role.PHYSICIAN),
    (Role.SECOND_STATISTICIAN, Role.PHYSICIAN),
    (Role.STATISTICIAN, Role.ADMINISTRATOR),
    (Role.SECOND_STATISTICIAN, Role.ADMINISTRATOR),
    (Role.PHYSICIAN, Role.ADMINISTRATOR),
    (Role.PHYSICIAN, Role.DMC),
]


@pytest.mark.parametrize(("one", "other"), EXCLUDED + [(b, a) for a, b in EXCLUDED])
def test_roles_that_exclude_each_other_do_so_over_all_time(
    chain: Chain, one: Role, other: Role
) -> None:
    chain.add("grant.added", by=ADMINISTRATOR, subject="p1", role=one, site="")
    chain.add("grant.ended", by=ADMINISTRATOR, subject="p1", role=one, site="")

    chain.refuse("grant.added", f"{other} excludes {one}", subject="p1", role=other, site="XA01")
    chain.add("grant.added", by=ADMINISTRATOR, subject="p2", role=other, site="")

    assert chain.state.roles == {"p1": {one}, "p2": {other}}


def test_roles_that_do_not_exclude_each_other_add_up(chain: Chain) -> None:
    for role in (Role.STATISTICIAN, Role.SECOND_STATISTICIAN, Role.DMC, Role.MANAGER):
        chain.add("grant.added", by=ADMINISTRATOR, subject="p1", role=role, site="")

    assert len(chain.state.roles["p1"]) == 4
    chain.refuse("grant.added", "excludes", subject="p1", role=Role.PHYSICIAN, site="XA01")


def test_the_same_role_is_granted_at_several_sites(chain: Chain) -> None:
    for site in ("XA01", "XB02"):
        chain.add("grant.added", subject="p1", role=Role.PHYSICIAN, site=site)

    assert chain.state.roles == {"p1": {Role.PHYSICIAN}}


def test_only_a_role_that_was_granted_ends(chain: Chain) -> None:
    grant: dict[str, Any] = {"subject": "p1", "role": Role.PHYSICIAN, "site": "XA01"}
    chain.refuse("grant.ended", "never granted", **grant)
    chain.add("grant.added", **{**grant, "role": Role.MANAGER})
    chain.refuse("grant.ended", "never granted", **grant)
    chain.add("grant.added", **grant)

    chain.add("grant.ended", **grant)


@pytest.mark.parametrize("role", ["sponsor", "root", ""])
def test_only_a_role_that_there_is_is_granted(chain: Chain, role: str) -> None:
    for type_ in ("grant.added", "grant.ended"):
        chain.refuse(type_, "no such role", subject="p1", role=role, site="")


def test_a_user_is_changed_with_a_role_that_there_is_or_with_none(chain: Chain) -> None:
    chain.refuse("user.changed", "no such role", subject="p1", role="sponsor", site="")

    chain.add("user.changed", subject="p1", role="", site="")
    chain.add("user.changed", subject="p1", role=Role.MANAGER, site="XA01")

    assert chain.state.roles == {}


def test_a_log_s_own_key_changes_from_a_named_one_to_one_it_never_had(chain: Chain) -> None:
    first, second = (Verifier(chain.state.origin, bytes([at] * 32)) for at in (1, 2))
    stranger = Verifier("rac.example.org/OTHER/audit", bytes(32)).vkey
    witness = Verifier(chain.state.origin, bytes(32), COSIGNATURE_V1).vkey
    by: dict[str, Any] = {"by": ADMINISTRATOR}

    chain.refuse("key.rotated", "was never named", **by, vkey=second.vkey)
    chain.refuse("key.created", "not the log's origin", **by, vkey=stranger)
    chain.refuse("key.created", "a witness's key", **by, vkey=witness)
    wrong_id = first.vkey.replace(first.key_id.hex(), "00000000")
    chain.refuse("key.created", "the verifier key's id", **by, vkey=wrong_id)
    chain.add("key.created", **by, vkey=first.vkey)
    chain.refuse("key.created", "was named before", **by, vkey=second.vkey)
    chain.refuse("key.rotated", "has had this key", **by, vkey=first.vkey)
    rotated = chain.add("key.rotated", **by, vkey=second.vkey)
    chain.refuse("key.rotated", "has had this key", **by, vkey=first.vkey)

    assert chain.state.log_keys == [(rotated.seq - 1, first), (rotated.seq, second)]


def test_a_sealing_key_is_named_once_and_changes_to_another(chain: Chain) -> None:
    by: dict[str, Any] = {"by": ADMINISTRATOR}
    chain.add("key.created", **by, kid=hex32("k")[:16])

    chain.refuse("key.created", "named before", **by, kid=hex32("l")[:16])
    chain.refuse("key.rotated", "named last", **by, kid=hex32("k")[:16])
    chain.add("key.rotated", **by, kid=hex32("l")[:16])
    assert chain.state.kid == hex32("l")[:16]
