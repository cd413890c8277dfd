"""Verification: what it says of the sealer, of lost lists and of forks (E6, S4)."""

import threading
from collections.abc import Callable

import pytest

from alloc_service.core.canon import Json
from alloc_service.core.design import Design
from alloc_service.core.seed import Seed
from alloc_service.errors import UnknownRecordError
from alloc_service.log.entry import write_entry
from alloc_service.sealing.escrow import EscrowedList, open_escrow
from alloc_service.services import health, lists, reports, reveal, verification
from alloc_service.storage import queries
from tests.support.installation import Installation, type_small
from tests.support.rollback import Loss, failed_checks, read_table, recover
from tests.support.tampering import faults_of, named

Reopen = Callable[..., Installation]

sqlite_alone = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def open_list(installation: Installation) -> EscrowedList:
    """Open the stored escrow of the first list, as two custodians together do."""
    name = "seed.archive+dmc.age"
    (row,) = (row for row in read_table(installation, "escrow_file") if row["name"] == name)
    one, other = installation.identities["archive"], installation.identities["dmc"]
    return open_escrow(row["ciphertext"], one, other, name)


def verify(installation: Installation) -> verification.VerificationReport:
    return verification.verify(installation.deps, installation.trial)


def test_of_a_trial_that_is_not_there_nothing_is_verified(active: Installation) -> None:
    with pytest.raises(UnknownRecordError):
        verification.verify(active.deps, "TEST-NONE")


def test_a_trial_without_any_list_verifies(staffed: Installation) -> None:
    report = verify(staffed)

    assert faults_of(report) == {}
    assert report.origin == staffed.origin
    assert named(report, "lists").detail == "0 are stored or logged"


def test_every_stage_of_a_trial_verifies(active: Installation) -> None:
    active.allocate("P-001")
    active.change_state("pause")
    active.change_state("resume")
    lists.reseal(active.deps, active.people["stat"], *design_and_seed(active))
    active.generate(2)
    active.change_site("BE02", active=False)
    reports.count_arms(active.deps, active.people["dmc"], active.trial, "dmc.meeting")
    active.change_state("close")

    report = verify(active)

    assert faults_of(report) == {}
    assert {"list 1", "list 2"} <= {check.name for check in report.checks}


def design_and_seed(installation: Installation) -> tuple[Design, Seed]:
    opened = open_list(installation)
    return opened.design, opened.seed


def test_while_the_log_grows_nothing_is_reported_wrong(active: Installation) -> None:
    stop = threading.Event()
    drafts = [active.enrol(type_small(f"P-{number:03}")) for number in range(4)]
    failures: list[dict[str, str]] = []

    def verify_again_and_again() -> None:
        while not stop.is_set():
            failures.append(faults_of(verify(active)))

    thread = threading.Thread(target=verify_again_and_again)
    thread.start()
    try:
        for draft in drafts:
            active.reveal(draft)
    finally:
        stop.set()
        thread.join()

    assert failures
    assert not any(failures)


def test_a_frozen_trial_is_named_with_the_entries_that_are_gone(
    active: Installation, back: Installation
) -> None:
    gone = len(back.entries())
    before = faults_of(verify(back))
    assert before == {"sealer": f"entry {gone} is not stored, and the sealer has followed it"}
    health.start(back.deps)

    report = verify(back)

    assert faults_of(report)["sealer"].startswith("it is frozen: the log has no entry")
    told = "The blobs of list 1 were not opened: a frozen sealer opens nothing."
    assert told in report.unchecked
    assert verify(active).checks != report.checks  # the lost rows are still where they were


def test_a_blocked_trial_is_named(active: Installation) -> None:
    """An entry that the rules allow, and that no recovery of this sealer wrote."""
    last = active.entries()[-1]
    one, other = ({"id": name, "org": "x", "role": "dmc"} for name in ("p-one", "p-other"))
    body: dict[str, Json] = {
        "actor": one, "second": other, "upto": last.seq, "retired": [], "fork_sha256": "",
    }  # fmt: skip
    forged = write_entry(last.seq + 1, last.leaf, last.time, "log.recovered", body)
    with active.deps.database.write() as tx:
        row = queries.EntryRow(forged.seq, forged.prev, forged.leaf, forged.data)
        queries.append_entries(tx, active.trial, [row], [])
    assert health.start(active.deps)[active.trial].code == "blocked"

    assert faults_of(verify(active))["sealer"].startswith(f"it is blocked: entry {forged.seq}:")


def test_a_lost_anchor_is_named(active: Installation) -> None:
    (anchor,) = (active.home / "anchors").glob("*.anchor")
    anchor.unlink()

    found = faults_of(verify(active))

    assert found.keys() == {"sealer"}
    assert "is missing" in found["sealer"]


def test_an_anchor_that_cannot_be_read_is_named(active: Installation) -> None:
    (anchor,) = (active.home / "anchors").glob("*.anchor")
    anchor.write_bytes(anchor.read_bytes().replace(b"site.activated", b"site.inactive!", 1))
    active.deps = active.open_anew()

    found = faults_of(verify(active))

    assert "damaged" in found["sealer"] or "frozen" in found["sealer"]
    active.deps.database.dispose()


@sqlite_alone
def test_a_lost_list_that_was_resealed_verifies_and_the_first_sealing_is_said_to_be_gone(
    active: Installation,
) -> None:
    shown = active.allocate("P-001")
    design, seed = design_and_seed(active)
    for table in ("sealed_slot", "list_sealing", "list_node", "escrow_file", "randomization_list"):
        active.attack(f"DELETE FROM {table}")
    assert faults_of(verify(active))["list 1"].startswith("the rows of list 1 are lost")

    lists.reseal(active.deps, active.people["stat"], design, seed)

    report = verify(active)
    assert faults_of(report) == {}
    assert "Sealing 1 of list 1 is not stored any more; a later one is." in report.unchecked
    again = reveal.read_again(active.deps, active.people["doc"], shown.enrolment)
    assert again.arm == shown.arm


def test_a_lost_list_that_was_retired_unspent_is_no_fault(active: Installation) -> None:
    active.generate(2)
    active.attack("DELETE FROM sealed_slot WHERE list_number = 2")
    for table in ("list_sealing", "list_node", "escrow_file"):
        active.attack(f"DELETE FROM {table} WHERE list_number = 2")
    active.attack("DELETE FROM randomization_list WHERE number = 2")
    assert failed_checks(active) == ["list 2"]

    recover(active, 2)

    assert failed_checks(active) == []


def test_a_lost_list_that_was_retired_with_spent_slots_stays_a_fault(active: Installation) -> None:
    active.allocate("P-001")
    for table in ("sealed_slot", "list_sealing", "list_node", "escrow_file", "randomization_list"):
        active.attack(f"DELETE FROM {table}")

    recover(active, 1)

    assert failed_checks(active) == ["list 1"]


def test_evidence_of_a_fork_that_was_changed_or_lost_is_named(reopen: Reopen) -> None:
    reopen("old").allocate("P-100")
    back = reopen()
    recover(back)
    assert failed_checks(back) == ["enrolments"]
    (recovered,) = back.entries("log.recovered")

    back.attack("DELETE FROM fork_entry")
    told = "the entries of fork 1 are not those that its recovery moved aside"
    assert faults_of(verify(back))["forks"] == told
    back.attack("DELETE FROM fork_assignment")
    back.attack("DELETE FROM fork")
    assert (
        faults_of(verify(back))["forks"] == f"the fork that entry {recovered.seq} names is not kept"
    )


def test_records_that_a_restore_has_lost_are_named_until_they_are_entered_again(
    lost: Loss, back: Installation
) -> None:
    recover(back)

    found = faults_of(verify(back))

    assert found.keys() == {"enrolments"}
    assert f"enrolment {lost.early.enrolment}," in found["enrolments"]
    assert "is lost" in found["enrolments"]
