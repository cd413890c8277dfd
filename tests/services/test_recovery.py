"""Recovery: two people give the anchor's log back; what replaced it is kept (G9, G13, S3)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from alloc_service.errors import (
    AppendOnlyError,
    FrozenError,
    LogDamagedError,
    NoActiveListError,
    NotAllowedError,
    RuleError,
    SecondPersonError,
)
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.services import health, recovery, reveal
from alloc_service.services.recovery import Recovery, TwoPeople
from tests.support.installation import HOST, Installation
from tests.support.rollback import Loss, failed_checks, read_table, recover

Reopen = Callable[..., Installation]


class DyingSealer(LocalSealer):
    """A sealer whose process ends when a recovery is committed and not yet followed."""

    def resume(self, _origin: str, _entries: object) -> str:
        raise KeyboardInterrupt


def anchor_of(installation: Installation) -> Path:
    (anchor,) = (installation.home / "anchors").glob("*.anchor")
    return anchor


def test_one_person_alone_recovers_nothing(active: Installation) -> None:
    admin = active.people["admin"]

    with pytest.raises(SecondPersonError):
        TwoPeople(admin, admin)
    with pytest.raises(SecondPersonError):  # a second account is the same person
        TwoPeople(admin, replace(admin, account=uuid4()))


@pytest.mark.parametrize("names", [("doc", "manager"), ("admin", "stat"), ("guest", "admin")])
def test_both_people_need_a_role_for_it(back: Installation, names: tuple[str, str]) -> None:
    people = TwoPeople(*(back.people[name] for name in names))
    before = back.entries()

    with pytest.raises(NotAllowedError):
        recovery.recover(back.deps, people, back.trial)

    assert back.entries() == before
    assert read_table(back, "fork") == []


def test_a_recovery_gives_the_lost_entries_back_verbatim(
    active: Installation, lost: Loss, back: Installation
) -> None:
    whole, spent = active.entries(), read_table(active, "assignment")
    behind = len(back.entries())
    assert health.start(back.deps).keys() == {back.trial}

    found = recover(back)

    assert back.entries()[: len(whole)] == whole
    assert read_table(back, "assignment") == spent
    assert found == Recovery(
        given_back=len(whole) - behind,
        forked=0,
        retired=(),
        without_record=(str(lost.early.enrolment), str(lost.late.enrolment)),
    )


def test_a_recovery_and_what_it_found_are_the_next_entries(
    active: Installation, back: Installation
) -> None:
    whole, behind = len(active.entries()), len(back.entries())

    recover(back)

    recovered, detected = back.entries()[whole:]
    assert recovered.type == "log.recovered"
    assert recovered.body["actor"] == {"id": "p-admin", "org": "XA01", "role": "administrator"}
    assert recovered.body["second"] == {"id": "p-manager", "org": "XA01", "role": "manager"}
    assert (recovered.body["upto"], recovered.body["fork_sha256"]) == (whole - 1, "")
    assert detected.type == "rollback.detected"
    assert (detected.body["expected"], detected.body["found"]) == (whole, behind)


def test_after_a_recovery_the_trial_goes_on_and_all_but_the_lost_records_verifies(
    back: Installation,
) -> None:
    recover(back)

    status = back.deps.sealer.status(back.origin)
    assert (status.frozen, status.blocked, status.size) == ("", "", len(back.entries()))
    assert failed_checks(back) == ["enrolments"]
    assert back.allocate("P-009").randomization_number == 4


def test_a_recovery_leaves_the_append_only_triggers_on(back: Installation) -> None:
    def remove_all(table: str) -> None:
        with back.deps.database.write() as tx:
            tx.connection().exec_driver_sql(f"DELETE FROM {table}")

    recover(back)

    for table in ("log_entry", "assignment", "sealed_slot"):
        with pytest.raises(AppendOnlyError):
            remove_all(table)


def test_a_recovery_that_dies_before_it_is_followed_is_run_again(
    active: Installation, lost: Loss, back: Installation
) -> None:
    whole = active.entries()
    with pytest.raises(FrozenError):
        back.allocate("P-004")
    keys, deps = load_keys(back.home / "keys"), back.deps
    back.deps = replace(deps, sealer=DyingSealer(keys, back.home / "anchors", HOST))
    with pytest.raises(KeyboardInterrupt):
        recover(back)
    back.deps = replace(deps, sealer=LocalSealer(keys, back.home / "anchors", HOST))
    half_done = back.entries()[len(whole) :]
    assert [entry.type for entry in half_done] == ["log.recovered"]
    assert back.deps.sealer.status(back.origin).frozen
    with pytest.raises(FrozenError):
        reveal.read_again(back.deps, back.people["doc"], lost.early.enrolment)

    again = recover(back)

    assert (again.given_back, again.forked) == (0, 1)
    assert back.entries()[: len(whole)] == whole
    assert [row["data"] for row in read_table(back, "fork_entry")] == [half_done[0].data]
    assert failed_checks(back) == ["enrolments"]


@pytest.mark.parametrize("times", [1, 2, 4])
def test_another_history_shorter_equal_or_longer_is_kept_as_evidence(
    active: Installation, reopen: Reopen, times: int
) -> None:
    whole, spent = active.entries(), read_table(active, "assignment")
    other = reopen("old")  # one that never saw what came after yesterday
    behind = len(other.entries())
    for number in range(times):
        other.allocate(f"P-10{number}")
    fork = [entry.data for entry in other.entries()[behind:]]
    in_fork = [row for row in read_table(other, "assignment") if row["entry_seq"] >= behind]
    back = reopen()
    assert health.start(back.deps)[back.trial].code == "frozen"

    found = recover(back)

    assert (found.given_back, found.forked) == (len(whole) - behind, times)
    kept = {row["seq"]: row["data"] for row in read_table(back, "fork_entry")}
    assert kept == dict(enumerate(fork, behind))
    moved = [(row["enrolment_id"], row["slot"]) for row in read_table(back, "fork_assignment")]
    assert sorted(moved) == sorted((row["enrolment_id"], row["slot"]) for row in in_fork)
    (recovered,) = back.entries("log.recovered")
    assert recovered.body["fork_sha256"] == recovery.hash_fork(fork)
    assert read_table(back, "assignment") == spent
    assert failed_checks(back) == ["enrolments"]


def test_a_column_that_somebody_edited_beside_an_entry_is_mended(active: Installation) -> None:
    active.attack("UPDATE log_entry SET leaf = :leaf WHERE seq = 5", leaf="e" * 64)
    assert failed_checks(active) == ["entries"]
    whole = active.entries()

    found = recover(active)

    assert active.entries()[: len(whole)] == whole
    assert (found.given_back, found.forked) == (len(whole) - 5, len(whole) - 5)
    assert failed_checks(active) == []


def test_a_lost_anchor_is_made_anew_from_the_stored_log_and_every_list_retires(
    active: Installation,
) -> None:
    shown = active.allocate("P-001")
    anchor_of(active).unlink()
    with pytest.raises(FrozenError):
        active.allocate("P-002")

    found = recover(active)

    assert found == Recovery(given_back=0, forked=0, retired=(1,), without_record=())
    assert active.entries()[-1].type == "log.recovered"  # nothing was rolled back
    again = reveal.read_again(active.deps, active.people["doc"], shown.enrolment)
    assert again.arm == shown.arm
    with pytest.raises(NoActiveListError):
        active.allocate("P-003")
    assert failed_checks(active) == []


def test_after_a_lost_anchor_a_new_list_goes_on(active: Installation) -> None:
    anchor_of(active).unlink()
    recover(active)

    active.generate(2)
    active.approve(2)
    active.activate(2)

    assert active.allocate("P-001").randomization_number == 1
    assert failed_checks(active) == []


def test_with_anchor_and_log_both_damaged_nothing_is_recovered(active: Installation) -> None:
    anchor_of(active).unlink()
    active.attack("DELETE FROM log_entry WHERE seq = 4")

    with pytest.raises(LogDamagedError) as refusal:
        recover(active)

    assert refusal.value.facts["seq"] == 4
    assert read_table(active, "fork") == []


def test_a_list_whose_blobs_are_lost_can_be_retired(back: Installation) -> None:
    found = recover(back, 1)

    assert found.retired == (1,)
    assert back.state().lists[1].retired
    with pytest.raises(NoActiveListError):
        back.allocate("P-005")
    assert back.spent() == 3


def test_a_list_that_is_not_there_cannot_be_retired(back: Installation) -> None:
    health.start(back.deps)

    with pytest.raises(RuleError):
        recover(back, 7)

    assert back.deps.sealer.status(back.origin).frozen
    assert read_table(back, "fork") == []
