"""Looks at many: totals without arms, counts by arm for oversight alone and logged before shown."""

from collections import Counter
from typing import Any

import pytest

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import (
    BlobLockedError,
    FrozenError,
    LogDamagedError,
    LoggedFieldError,
    NotAllowedError,
    PersonalIdentifierError,
    SealerUnwritableError,
    UnknownRecordError,
)
from alloc_service.log.note import open_checkpoint
from alloc_service.services import reports, reveal
from tests.support.installation import Installation, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
HIDDEN = {"slot", "stratum", "list", "leaf"}


def allocate_five(installation: Installation) -> Counter[tuple[str, str]]:
    """Allocate five and return what a count by stratum and arm must find."""
    found: Counter[tuple[str, str]] = Counter()
    for index, severity in enumerate(["mild", "severe", "mild", "mild"]):
        allocation = installation.allocate(f"P-{index}", facts={"severity": severity})
        found[allocation.stratum, allocation.arm] += 1
    there = installation.reveal(installation.enrol(by="far", site="BE02"), by="far")
    found[there.stratum, there.arm] += 1
    return found


def read_log(installation: Installation, username: str) -> list[dict[str, Any]]:
    person = installation.people[username]
    return [dict(row) for row in reports.read_log(installation.deps, person, installation.trial)]


# --- totals -----------------------------------------------------------------------------------


@on_sqlite
def test_totals_tell_how_far_the_trial_is_and_nothing_of_arms(active: Installation) -> None:
    allocate_five(active)
    active.enrol(type_small("P-9"))

    for username in ("manager", "dmc", "stat", "second", "admin"):
        totals = reports.count_totals(active.deps, active.people[username], active.trial)
        assert (totals.enrolled, totals.allocated, totals.cap) == (6, 5, 10)
        assert dict(totals.by_site) == {"XA01": 4, "BE02": 1}
        assert "7Q" not in repr(totals)


def test_totals_are_the_logs_where_somebody_took_a_row(active: Installation) -> None:
    allocate_five(active)
    active.attack("DELETE FROM assignment WHERE slot = 1")

    totals = reports.count_totals(active.deps, active.people["manager"], active.trial)
    assert (totals.allocated, dict(totals.by_site)) == (5, {"XA01": 4, "BE02": 1})


@on_sqlite
@pytest.mark.parametrize("username", ["doc", "far", "guest"])
def test_people_at_the_sites_are_told_no_totals(active: Installation, username: str) -> None:
    with pytest.raises(NotAllowedError):
        reports.count_totals(active.deps, active.people[username], active.trial)


# --- counts by arm ----------------------------------------------------------------------------


def test_counts_by_arm_are_logged_before_they_are_shown(active: Installation) -> None:
    expected = allocate_five(active)
    size = len(active.entries())
    for username in ("dmc", "stat", "second"):
        person = active.people[username]
        counts = reports.count_arms(active.deps, person, active.trial, "interim.1")
        assert counts.counts == expected

        entry = active.entries("arms.read")[-1]
        assert (entry.actor_id, entry.body["purpose"]) == (f"p-{username}", "interim.1")
        assert entry.body["upto"] == entry.seq - 1 == counts.upto
        for text in (repr(counts), str(counts), entry.data.decode()):
            assert "7Q" not in text
    assert len(active.entries()) == size + 3


@on_sqlite
def test_counts_by_arm_tell_the_month_of_each_allocation_from_the_log(
    active: Installation,
) -> None:
    early = active.allocate("P-1").arm
    active.clock.advance(days=61)
    late = active.allocate("P-2").arm
    active.attack("UPDATE assignment SET assigned_at = '2020-01-01 00:00:00.000000'")

    counts = reports.count_arms(active.deps, active.people["dmc"], active.trial, "interim.1")
    assert counts.by_month == {("2026-03", early): 1, ("2026-05", late): 1}
    assert "7Q" not in repr(counts)


@on_sqlite
@pytest.mark.parametrize("username", ["admin", "manager", "doc", "guest"])
def test_nobody_else_is_told_counts_by_arm(active: Installation, username: str) -> None:
    active.allocate()

    with pytest.raises(NotAllowedError):
        reports.count_arms(active.deps, active.people[username], active.trial, "interim.1")
    assert active.entries("arms.read") == []


@on_sqlite
def test_a_purpose_that_looks_like_a_mobile_number_never_enters_the_log(
    active: Installation,
) -> None:
    with pytest.raises(PersonalIdentifierError, match="purpose: this looks like"):
        reports.count_arms(active.deps, active.people["dmc"], active.trial, "13812345678")
    assert active.entries("arms.read") == []


@on_sqlite
@pytest.mark.parametrize("purpose", ["", "Interim", "a b", "x" * 10_000, "a\0b", "13812345678 x"])
def test_a_purpose_that_cannot_be_logged_is_refused_by_its_rule(
    active: Installation, purpose: str
) -> None:
    with pytest.raises(LoggedFieldError, match="purpose: it must be a code"):
        reports.count_arms(active.deps, active.people["dmc"], active.trial, purpose)


def test_no_count_is_shown_where_it_cannot_be_logged(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    active.allocate()

    class FullDisk:
        free = 0

    monkeypatch.setattr("shutil.disk_usage", lambda _: FullDisk())
    with pytest.raises(SealerUnwritableError):
        reports.count_arms(active.deps, active.people["dmc"], active.trial, "interim.1")


def test_a_count_from_which_somebody_took_a_row_is_not_shown(active: Installation) -> None:
    allocate_five(active)
    active.attack("DELETE FROM assignment WHERE slot = 1")

    with pytest.raises(LogDamagedError, match="assignments are not those that the log tells"):
        reports.count_arms(active.deps, active.people["dmc"], active.trial, "interim.1")


@on_sqlite
def test_a_count_over_exchanged_slots_is_not_shown(active: Installation) -> None:
    allocate_five(active)
    active.exchange("sealed_slot", "blob", "stratum = 0 AND slot = 0", "stratum = 0 AND slot = 1")

    with pytest.raises(BlobLockedError):
        reports.count_arms(active.deps, active.people["dmc"], active.trial, "interim.1")


@on_sqlite
def test_a_trial_that_has_allocated_nobody_counts_nothing(active: Installation) -> None:
    counts = reports.count_arms(active.deps, active.people["dmc"], active.trial, "interim.1")
    assert counts.counts == {}


# --- who reads the log ------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("username", ["dmc", "stat", "second", "admin"])
def test_oversight_reads_the_whole_log(active: Installation, username: str) -> None:
    active.allocate()
    rows = read_log(active, username)

    assert [row["seq"] for row in rows] == [entry.seq for entry in active.entries()]
    assigned = [row["body"] for row in rows if row["type"] == "slot.assigned"]
    assert set(assigned[0]) >= HIDDEN
    assert "7Q" not in repr(rows)


def test_a_physician_reads_the_own_entries_without_place_of_a_slot(active: Installation) -> None:
    draft = active.enrol()
    active.reveal(draft)
    reveal.read_again(active.deps, active.people["doc2"], draft.id)
    reveal.read_again(active.deps, active.people["doc"], draft.id)

    rows = read_log(active, "doc")
    assert [row["type"] for row in rows] == ["slot.assigned", "slot.reread"]
    assert {row["body"]["actor"]["id"] for row in rows} == {"p-doc"}
    for row in rows:
        assert not HIDDEN & set(row["body"])
    assert rows[0]["body"]["enrolment"] == str(draft.id)
    assert rows[0]["time"] == "2026-03-02T02:00:00Z"


@on_sqlite
@pytest.mark.parametrize("username", ["manager", "guest"])
def test_nobody_else_reads_the_log(active: Installation, username: str) -> None:
    with pytest.raises(NotAllowedError):
        reports.read_log(active.deps, active.people[username], active.trial)


@on_sqlite
@pytest.mark.parametrize("trial", ["TEST-OTHER", "TEST\0", "x" * 10_000, "half \ud800", ""])
def test_an_unknown_trial_has_nothing_to_tell(active: Installation, trial: str) -> None:
    deps, dmc, admin = active.deps, active.people["dmc"], active.people["admin"]

    for call in (reports.count_totals, reports.read_log, reports.export_log):
        with pytest.raises((NotAllowedError, UnknownRecordError)) as refusal:
            call(deps, dmc, trial)
        assert len(str(refusal.value)) < 300
    with pytest.raises(UnknownRecordError):
        reports.export_log(deps, admin, trial)
    with pytest.raises((NotAllowedError, UnknownRecordError)):
        reports.count_arms(deps, dmc, trial, "interim.1")


# --- exporting --------------------------------------------------------------------------------


def test_an_export_is_the_exact_log_with_its_signed_checkpoint_and_is_logged(
    active: Installation,
) -> None:
    active.allocate()
    data, note = reports.export_log(active.deps, active.people["dmc"], active.trial)

    lines = data.split(b"\n")
    assert lines.pop() == b""
    assert lines == [entry.data for entry in active.entries()]
    checkpoint = open_checkpoint(note, active.deps.sealer.log_key(active.origin))
    assert checkpoint.size == len(lines)
    assert checkpoint.root == root_of([leaf_hash(line) for line in lines])
    last = active.entries()[-1]
    assert (last.type, last.body["upto"]) == ("log.exported", last.seq - 1)
    assert b"7Q" not in data


@on_sqlite
@pytest.mark.parametrize("username", ["manager", "doc", "guest"])
def test_the_log_is_exported_for_oversight_alone(active: Installation, username: str) -> None:
    with pytest.raises(NotAllowedError):
        reports.export_log(active.deps, active.people[username], active.trial)


def test_nothing_is_exported_or_counted_while_the_trial_is_frozen(active: Installation) -> None:
    active.allocate()
    for path in (active.home / "anchors").glob("*.anchor"):
        path.unlink()
    deps, dmc = active.deps, active.people["dmc"]

    with pytest.raises(FrozenError):
        reports.export_log(deps, dmc, active.trial)
    with pytest.raises(FrozenError):
        reports.count_arms(deps, dmc, active.trial, "interim.1")
    assert reports.count_totals(deps, dmc, active.trial).allocated == 1
    assert reports.read_log(deps, dmc, active.trial)
