"""The reveal: a verified enrolment spends the next slot of its stratum, is logged, then seen."""

from datetime import date, timedelta

import pytest

from alloc_service.core.generate import GeneratedList, generate
from alloc_service.errors import StratumExhaustedError
from alloc_service.log.entry import parse_time
from alloc_service.log.receipt import Receipt
from alloc_service.sealing.escrow import open_escrow
from alloc_service.services import audit, health, records, reveal, trials
from alloc_service.storage import queries
from tests.support.installation import START, Installation, type_shipped, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def regenerate(installation: Installation, number: int = 1) -> GeneratedList:
    """Return the list in clear, as two custodians would have it."""
    with installation.deps.database.read() as session:
        file = queries.list_escrow_files(session, installation.trial, number)[0]
    one, other = installation.identities["archive"], installation.identities["dmc"]
    kept = open_escrow(file.ciphertext, one, other)
    return generate(kept.design, kept.seed)


# --- what a reveal does -----------------------------------------------------------------------


def test_a_reveal_spends_one_slot_logs_it_and_shows_its_arm(active: Installation) -> None:
    draft = active.enrol()
    allocation = active.reveal(draft)

    (entry,) = active.entries("slot.assigned")
    body = dict(entry.body)
    assert (body.pop("list"), body.pop("stratum"), body.pop("slot")) == (1, 0, 0)
    assert body.pop("actor") == {"id": "p-doc", "org": "XA01", "role": "physician"}
    assert body.pop("enrolment") == str(draft.id) == str(allocation.enrolment)
    assert bytes.fromhex(body.pop("leaf")) == regenerate(active).opening(0, 0).leaf
    with active.deps.database.read() as session:
        row = queries.read_enrolment(session, draft.id)
        assigned = queries.read_assignment(session, draft.id)
    assert row.record is not None
    assert body == {"enrolment_sha256": records.hash_record(row.record)}
    assert (assigned.entry_seq, assigned.assigned_at) == (entry.seq, START)
    assert (allocation.trial, allocation.site, allocation.participant) == (
        active.trial,
        "XA01",
        "P-001",
    )
    assert allocation.assigned_at == parse_time(entry.time) == START
    assert allocation.leaf == entry.leaf
    assert allocation.arm == regenerate(active).arms[0][0]
    arm = active.definition.arm(allocation.arm)
    assert (allocation.label, allocation.instruction) == (arm.label, arm.instruction)
    assert allocation.stratum == "severity=mild"


def test_each_stratum_goes_through_its_own_list_in_order_without_a_skip(
    active: Installation,
) -> None:
    seen: dict[str, list[str]] = {"mild": [], "severe": []}
    for index, severity in enumerate(
        ["mild", "severe", "severe", "mild", "severe", "mild", "mild", "severe"]
    ):
        allocation = active.allocate(f"P-{index}", facts={"severity": severity})
        seen[severity].append(allocation.arm)
        assert allocation.randomization_number == index + 1

    made = regenerate(active)
    assert tuple(seen["mild"]) == made.arms[0][:4]
    assert tuple(seen["severe"]) == made.arms[1][:4]
    places = [
        (entry.body["stratum"], entry.body["slot"]) for entry in active.entries("slot.assigned")
    ]
    assert sorted(places) == [(stratum, slot) for stratum in (0, 1) for slot in range(4)]


def test_the_allocation_shows_who_signed_what_and_when(active: Installation) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    active.clock.advance(minutes=5)
    allocation = reveal.reveal(active.deps, active.people["doc"], draft.id, signature)

    assert allocation.signature == {
        "meaning": "I have checked this record and request the allocation of this participant.",
        "name": "Dr doc",
        "person": "p-doc",
        "role": "physician",
        "time": "2026-03-02T02:00:00Z",
    }
    assert allocation.assigned_at == START + timedelta(minutes=5)


@on_sqlite
def test_the_visits_are_counted_from_the_day_at_the_site(active: Installation) -> None:
    active.clock.advance(hours=20)  # 22:00 in London, 06:00 of the next day in Xi'an
    here = active.allocate("P-001")
    there = active.reveal(active.enrol(by="far", site="BE02"), by="far")

    assert [visit.due for visit in here.visits] == [date(2026, 3, 10)]
    assert [visit.due for visit in there.visits] == [date(2026, 3, 9)]


@on_sqlite
def test_the_shipped_trial_is_allocated_by_its_two_scores(shipped: Installation) -> None:
    low = shipped.reveal(shipped.enrol(type_shipped("P-001")))
    facts = {"bilirubin": "20", "inr": "2.5", "creatinine": "300"}
    high = shipped.reveal(shipped.enrol(type_shipped("P-002", facts=facts)))

    assert (low.stratum, high.stratum) == ("cp=9-10;meld=<20", "cp=11-15;meld=>=20")
    made = regenerate(shipped)
    assert (low.arm, high.arm) == (made.arms[0][0], made.arms[3][0])
    assert [visit.code for visit in low.visits][-1] == "year-1"


# --- the receipt ------------------------------------------------------------------------------


def test_the_receipt_proves_that_the_assignment_is_in_the_signed_log(
    active: Installation,
) -> None:
    log = active.deps.sealer.log_key(active.origin)
    for index in range(5):
        allocation = active.allocate(f"P-{index}")
        receipt = Receipt.parse(allocation.receipt)
        checkpoint = receipt.verify(bytes.fromhex(allocation.leaf), log)

        entry = active.entries("slot.assigned")[-1]
        assert (receipt.index, checkpoint.size) == (entry.seq, entry.seq + 1)
        assert checkpoint.origin == active.origin
        assert receipt.extra == bytes.fromhex(allocation.leaf)


def test_the_receipt_of_a_second_look_proves_the_same_entry_in_the_longer_log(
    active: Installation,
) -> None:
    draft = active.enrol()
    first = active.reveal(draft)
    active.allocate("P-002")
    again = reveal.read_again(active.deps, active.people["doc"], draft.id)

    log = active.deps.sealer.log_key(active.origin)
    receipt = Receipt.parse(again.receipt)
    assert receipt.verify(bytes.fromhex(first.leaf), log).size == len(active.entries())
    assert receipt.index == active.entries("slot.assigned")[0].seq


# --- asked again ------------------------------------------------------------------------------


def test_asked_twice_it_opens_the_same_slot_and_logs_the_second_look(
    active: Installation,
) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    doctor = active.people["doc"]
    first = reveal.reveal(active.deps, doctor, draft.id, signature)
    active.clock.advance(hours=3)
    second = reveal.reveal(active.deps, doctor, draft.id, signature)
    third = reveal.read_again(active.deps, doctor, draft.id)

    for again in (second, third):
        assert (again.arm, again.randomization_number) == (first.arm, 1)
        assert (again.assigned_at, again.leaf) == (first.assigned_at, first.leaf)
        assert again.signature == first.signature
    (assigned,) = active.entries("slot.assigned")
    looks = active.entries("slot.reread")
    assert [look.body["of"] for look in looks] == [assigned.seq, assigned.seq]
    assert active.spent() == 1


def test_another_physician_of_the_site_reads_an_allocation_again(active: Installation) -> None:
    draft = active.enrol()
    first = active.reveal(draft)
    again = reveal.read_again(active.deps, active.people["doc2"], draft.id)

    assert (again.arm, again.signature["person"]) == (first.arm, "p-doc")
    assert active.entries("slot.reread")[0].actor_id == "p-doc2"


@pytest.mark.parametrize("change", ["pause", "close"])
def test_an_allocation_is_read_again_while_the_trial_is_paused_or_closed(
    active: Installation, change: str
) -> None:
    draft = active.enrol()
    first = active.reveal(draft)
    active.change_state(change)
    active.change_site(active=False)

    again = reveal.read_again(active.deps, active.people["doc"], draft.id)
    assert again.arm == first.arm


def test_another_process_reads_the_same_allocation(active: Installation) -> None:
    draft = active.enrol()
    first = active.reveal(draft)
    other = active.open_anew()

    assert reveal.read_again(other, active.people["doc"], draft.id).arm == first.arm
    assert active.allocate("P-002").randomization_number == 2
    assert health.start(other) == {}


# --- several lists ----------------------------------------------------------------------------


def test_a_second_list_is_used_where_the_first_ones_stratum_is_exhausted(
    active: Installation,
) -> None:
    manager = active.people["manager"]
    trials.change_cap(active.deps, manager, active.trial, 20)
    for index in range(6):
        active.allocate(f"P-{index}")
    with pytest.raises(StratumExhaustedError):
        active.allocate("P-6")
    active.generate(2)
    active.approve(2)
    with pytest.raises(StratumExhaustedError):
        active.allocate("P-7")
    active.activate(2)

    further = active.allocate("P-8")
    other = active.allocate("P-9", facts={"severity": "severe"})

    assert further.arm == regenerate(active, 2).arms[0][0]
    assert other.arm == regenerate(active, 1).arms[1][0]
    lists = [entry.body["list"] for entry in active.entries("slot.assigned")]
    assert lists == [1] * 6 + [2, 1]
    assert further.randomization_number == 7


@on_sqlite
def test_the_lowest_active_list_comes_first_whichever_was_activated_first(
    approved: Installation,
) -> None:
    approved.generate(2)
    approved.approve(2)
    approved.activate(2)
    approved.change_site(active=True)
    first = approved.allocate("P-001")
    approved.activate(1)
    second = approved.allocate("P-002")

    assert first.arm == regenerate(approved, 2).arms[0][0]
    assert second.arm == regenerate(approved, 1).arms[0][0]
    assert [entry.body["list"] for entry in approved.entries("slot.assigned")] == [2, 1]


# --- two trials -------------------------------------------------------------------------------


@on_sqlite
def test_trials_of_one_installation_do_not_know_of_each_other(active: Installation) -> None:
    other = active.definition.model_copy(update={"id": "TEST-OTHER"})
    trials.create(active.deps, active.people["admin"], other)
    active.allocate()

    with active.deps.database.read() as session:
        state = audit.read_state(session, "TEST-OTHER")
    assert (state.size, state.assigned) == (2, {})


def test_a_draft_is_what_a_signature_is_for(active: Installation) -> None:
    draft = active.enrol()
    signature = active.sign(draft)

    assert (signature.enrolment, signature.draft_sha256) == (draft.id, draft.sha256)
    assert (signature.person, signature.at) == (active.people["doc"], START)
    assert active.sign(active.enrol(type_small("P-002"))).draft_sha256 != draft.sha256
