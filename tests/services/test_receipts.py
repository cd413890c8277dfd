"""Full receipts: who gets one and when, what is logged before, and that they are good."""

from uuid import UUID

import pytest

from alloc_service.errors import (
    EnrolmentChangedError,
    NotAllocatedError,
    NotAllowedError,
    ReceiptLaterError,
    SealedSlotError,
)
from alloc_service.log.receipt import CheckedReceipt, ListRoot, check_receipt
from alloc_service.services import receipts
from tests.support.installation import Installation


def check(installation: Installation, text: str) -> CheckedReceipt:
    log = installation.deps.sealer.log_key(installation.origin)
    known = installation.state().lists[1]
    return check_receipt(text, log, sealed=ListRoot(bytes.fromhex(known.root), known.slots))


def full(installation: Installation, enrolment: UUID, by: str) -> str:
    return receipts.read_full(installation.deps, installation.people[by], enrolment).text


def test_the_committees_receipt_holds_entry_arm_and_proof_under_the_lists_root(
    active: Installation,
) -> None:
    active.allocate("P-001")
    allocation = active.allocate("P-002")

    found = check(active, full(active, allocation.enrolment, "dmc"))

    entry = active.entries("slot.assigned")[-1]
    assert found.entry == entry
    assert found.opening is not None
    assert found.opening.arm == allocation.arm
    assert found.leaf.hex() == allocation.leaf
    assert found.unchecked == (
        "No known witness has cosigned it: the log's key alone vouches for the log.",
    )


def test_each_full_receipt_is_logged_before_it_is_given(active: Installation) -> None:
    allocation = active.allocate()
    full(active, allocation.enrolment, "dmc")
    (look,) = active.entries("arms.read")

    assert (look.body["purpose"], look.actor_id) == ("receipt", "p-dmc")
    assert look.body["upto"] == active.entries("slot.assigned")[0].seq


@pytest.mark.parametrize("username", ["stat", "second"])
def test_a_statistician_gets_one_too(active: Installation, username: str) -> None:
    assert check(active, full(active, active.allocate().enrolment, username)).opening is not None


@pytest.mark.parametrize("username", ["admin", "manager", "far", "guest"])
def test_nobody_else_gets_one(active: Installation, username: str) -> None:
    allocation = active.allocate()
    before = len(active.entries())

    with pytest.raises(NotAllowedError):
        full(active, allocation.enrolment, username)
    assert len(active.entries()) == before


def test_the_site_gets_its_own_after_the_end_alone(active: Installation) -> None:
    allocation = active.allocate("P-007")
    with pytest.raises(ReceiptLaterError, match=r"P-007.*comes after the end"):
        full(active, allocation.enrolment, "doc")
    assert not active.entries("slot.reread")
    active.change_state("close")

    found = check(active, full(active, allocation.enrolment, "doc"))

    assert found.opening is not None
    assert found.opening.arm == allocation.arm
    assert [entry.actor_id for entry in active.entries("slot.reread")] == ["p-doc"]


def test_there_is_no_receipt_before_the_allocation(active: Installation) -> None:
    draft = active.enrol()

    with pytest.raises(NotAllocatedError):
        full(active, draft.id, "dmc")


def test_rows_that_somebody_exchanged_give_nobody_anothers_receipt(active: Installation) -> None:
    one, other = active.allocate("P-001"), active.allocate("P-002")
    ids = [
        f"id = '{item.enrolment if active.url.startswith('postgres') else item.enrolment.hex}'"
        for item in (one, other)
    ]
    active.exchange("enrolment", "record", *ids)

    with pytest.raises(EnrolmentChangedError):
        full(active, one.enrolment, "dmc")


def test_a_blob_that_somebody_exchanged_opens_for_nobody(active: Installation) -> None:
    allocation = active.allocate()
    (entry,) = active.entries("slot.assigned")
    at, other = entry.body["slot"], entry.body["slot"] + 1
    place = "stratum = 0 AND slot"
    active.exchange("sealed_slot", "blob", f"{place} = {at}", f"{place} = {other}")

    with pytest.raises(SealedSlotError):
        full(active, allocation.enrolment, "dmc")
