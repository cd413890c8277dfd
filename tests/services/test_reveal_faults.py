"""Whatever breaks on the way: nothing is shown that is not logged, and the retry is the same."""

import errno
import os
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from alloc_service.errors import (
    AnchorWriteError,
    BlockedError,
    ClockError,
    DatabaseBusyError,
    FrozenError,
    LogDamagedError,
    NotFollowedError,
    RefusalError,
    RuleError,
    SealerUnwritableError,
)
from alloc_service.log.entry import write_entry
from alloc_service.services import audit, health, reveal, trials
from alloc_service.services.enrolments import Draft
from alloc_service.storage import queries
from tests.support.installation import Installation, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


class FullDisk:
    """What `shutil.disk_usage` says of a full disk."""

    free = 0


def refusing(_descriptor: int) -> None:
    """What `os.fsync` does on a disk that has gone bad."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def ask(installation: Installation, draft: Draft) -> Callable[[], object]:
    """Return a signed request, ready to be made."""
    signature, doctor = installation.sign(draft), installation.people["doc"]
    return lambda: reveal.reveal(installation.deps, doctor, draft.id, signature)


def roll_back(installation: Installation, entries: int) -> None:
    """Take the last entries out of the database, as a restored backup does."""
    for statement in (
        "DELETE FROM assignment WHERE entry_seq >= (SELECT max(seq) FROM log_entry) + 1 - :cut",
        "DELETE FROM log_node",
        "DELETE FROM log_entry WHERE seq >= (SELECT max(seq) FROM log_entry) + 1 - :cut",
    ):
        facts = {"cut": entries} if ":cut" in statement else {}
        installation.attack(statement, **facts)
    installation.attack(
        "UPDATE log_head SET size = (SELECT max(seq) + 1 FROM log_entry),"
        " last_leaf = (SELECT leaf FROM log_entry ORDER BY seq DESC LIMIT 1)"
    )


# --- the disk ---------------------------------------------------------------------------------


def test_a_sealer_that_cannot_write_spends_no_slot(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = active.enrol()
    request, size = ask(active, draft), len(active.entries())
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: FullDisk())
        with pytest.raises(SealerUnwritableError, match="no slot was spent"):
            request()

    assert (active.spent(), len(active.entries())) == (0, size)
    assert active.reveal(draft).randomization_number == 1


def test_a_disk_that_fails_after_the_commit_shows_nothing_and_the_retry_opens_the_same_slot(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = active.enrol()
    request = ask(active, draft)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refusing)
        with pytest.raises(AnchorWriteError, match="the same enrolment gets the same slot"):
            request()
        assert active.spent() == 1
        with pytest.raises(SealerUnwritableError):
            request()
        with pytest.raises(SealerUnwritableError):
            active.allocate("P-002")

    assert active.spent() == 1
    assert active.refused() == []
    (assigned,) = active.entries("slot.assigned")
    allocation = reveal.read_again(active.deps, active.people["doc"], draft.id)
    assert allocation.randomization_number == 1
    assert active.entries("slot.reread")[0].body["of"] == assigned.seq
    assert active.allocate("P-003").randomization_number == 2


@pytest.mark.parametrize("step", ["follow", "open"])
def test_a_request_that_dies_behind_its_commit_is_read_again_by_another_process(
    active: Installation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    draft = active.enrol()
    request = ask(active, draft)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(active.deps.sealer, step, die)
        with pytest.raises(KeyboardInterrupt):
            request()
    other = active.open_anew()
    again = reveal.read_again(other, active.people["doc"], draft.id)

    assert again.randomization_number == 1
    assert active.spent() == 1
    assert active.allocate("P-002").randomization_number == 2


def test_a_request_that_dies_before_its_commit_has_spent_nothing(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = active.enrol()
    request = ask(active, draft)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(queries, "add_assignment", die)
        with pytest.raises(KeyboardInterrupt):
            request()

    assert active.spent() == 0
    assert active.ask("SELECT count(*) FROM enrolment WHERE record IS NOT NULL") == [(0,)]
    assert active.reveal(draft).randomization_number == 1


@on_sqlite
def test_a_database_that_stays_busy_is_no_refusal_of_the_request(
    active: Installation,
) -> None:
    draft = active.enrol()
    request = ask(active, draft)
    active.deps.database.patience = 0.05
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with active.deps.database.write():
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    try:
        with pytest.raises(DatabaseBusyError):
            request()
    finally:
        done.set()
        thread.join()
    assert active.refused() == []
    assert active.reveal(draft).randomization_number == 1


# --- the clock --------------------------------------------------------------------------------


def test_a_log_ahead_of_the_clock_spends_no_slot_until_an_administrator_corrects_it(
    active: Installation,
) -> None:
    draft = active.enrol()
    active.clock.advance(days=1)
    active.change_site("BE02", active=False)
    active.clock.advance(days=-1)

    with pytest.raises(ClockError):
        active.reveal(draft)
    assert (active.spent(), active.refused()) == (0, [])
    trials.correct_clock(active.deps, active.people["admin"], active.trial)
    assert active.reveal(draft).assigned_at == active.clock.now


def test_within_five_minutes_an_entry_has_the_time_of_the_last_one(active: Installation) -> None:
    active.clock.advance(minutes=4)
    active.change_site("BE02", active=False)
    active.clock.advance(minutes=-4)

    assert active.allocate().assigned_at == active.clock.now + timedelta(minutes=4)


# --- frozen -----------------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True])
def test_a_log_that_was_rolled_back_freezes_the_trial_and_spends_no_slot(
    active: Installation, restarted: bool
) -> None:
    draft = active.enrol()
    active.reveal(draft)
    roll_back(active, 1)
    if restarted:
        active.deps = active.open_anew()
    fresh = active.enrol(type_small("P-002"))
    size = len(active.entries())

    for asked in (fresh, draft):
        with pytest.raises(RefusalError) as refusal:
            active.reveal(asked)
        assert isinstance(refusal.value, FrozenError)
        assert "alloc sealer recover" in str(refusal.value)
        assert any("could not be logged: frozen" in note for note in refusal.value.__notes__)
    assert len(active.entries()) == size
    assert active.spent() == 0
    assert active.deps.sealer.status(active.origin).frozen


@pytest.mark.parametrize("restarted", [False, True])
def test_a_log_that_was_rolled_back_and_grew_past_the_anchor_again_freezes_the_trial(
    active: Installation, restarted: bool
) -> None:
    active.allocate("P-001")
    roll_back(active, 1)
    # Another service wrote on, whose anchor is not ours.
    with active.deps.database.write() as tx:
        head = queries.lock_log_head(tx, active.trial)
        size, prev = head.size, head.last_leaf
        for _ in range(3):
            actor = audit.LoggedActor("p-x", "XA01", "physician").to_body()
            body = {"enrolment": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "code": "x"}
            entry = write_entry(
                size, prev, "2026-03-02T02:00:00Z", "allocation.refused", {**body, "actor": actor}
            )
            row = queries.EntryRow(entry.seq, entry.prev, entry.leaf, entry.data)
            queries.append_entries(tx, active.trial, [row], [])
            size, prev = size + 1, entry.leaf
    if restarted:
        active.deps = active.open_anew()
    draft = active.enrol(type_small("P-002"))

    with pytest.raises(FrozenError):
        active.reveal(draft)
    assert active.spent() == 0
    assert len(active.entries()) == size


def test_an_edited_last_entry_freezes_the_trial_before_a_slot_is_spent(
    active: Installation,
) -> None:
    draft = active.enrol()
    edited = active.entries()[-1].data.replace(b"p-manager", b"p-mallory")
    active.attack(
        "UPDATE log_entry SET data = :data WHERE seq = (SELECT max(seq) FROM log_entry)",
        data=edited,
    )

    with pytest.raises(FrozenError):
        active.reveal(draft)
    assert active.spent() == 0


def test_an_edited_old_entry_stops_a_process_that_reads_the_whole_log(
    active: Installation,
) -> None:
    draft = active.enrol()
    edited = active.entries()[3].data.replace(b"p-second", b"p-sekond")
    active.attack("UPDATE log_entry SET data = :data WHERE seq = 3", data=edited)
    active.deps = active.open_anew()

    with pytest.raises(LogDamagedError, match="damaged at entry 4"):
        active.reveal(draft)
    assert isinstance(health.start(active.deps)[active.trial], FrozenError)
    with pytest.raises(FrozenError):
        active.reveal(draft)


def test_a_missing_anchor_spends_no_slot(active: Installation) -> None:
    draft = active.enrol()
    for path in (active.home / "anchors").glob("*.anchor"):
        path.unlink()

    for deps in (active.deps, active.open_anew()):
        active.deps = deps
        with pytest.raises(FrozenError, match="is missing"):
            active.reveal(draft)
    assert active.spent() == 0


# --- blocked ----------------------------------------------------------------------------------


def test_a_list_that_was_not_accepted_blocks_the_trial_and_spends_no_slot(
    approved: Installation,
) -> None:
    approved.change_site(active=True)
    draft = approved.enrol()
    actor = audit.LoggedActor("p-manager", "XA01", "manager")
    with approved.deps.database.write() as tx:  # as code that runs as the service would
        audit.open_log(approved.deps, tx, approved.trial).append(
            "list.activated", actor, {"list": 1}
        )
    size = len(approved.entries())

    with pytest.raises(BlockedError, match="was not accepted"):
        audit.follow(approved.deps, approved.trial)
    with pytest.raises(BlockedError):
        approved.reveal(draft)
    assert len(approved.entries()) == size
    assert approved.spent() == 0


def test_an_entry_that_the_rules_refuse_is_never_stored(active: Installation) -> None:
    actor = audit.LoggedActor("p-manager", "XA01", "manager")
    size = len(active.entries())

    with (
        pytest.raises(RuleError),
        audit.writing(active.deps, active.trial) as tx,
    ):
        audit.open_log(active.deps, tx, active.trial).append("trial.resumed", actor, {
            "code": "x", "reason_sha256": "",
        })  # fmt: skip
    assert len(active.entries()) == size
    assert active.allocate().randomization_number == 1


def test_a_log_that_the_sealer_has_not_followed_yet_is_caught_up_by_the_next_request(
    active: Installation,
) -> None:
    draft = active.enrol()
    actor = audit.LoggedActor("p-manager", "XA01", "manager")
    with active.deps.database.write() as tx:  # a process that died behind its commit
        audit.open_log(active.deps, tx, active.trial).append("site.paused", actor, {"site": "BE02"})

    assert active.deps.sealer.status(active.origin).size == len(active.entries()) - 1
    assert active.reveal(draft).randomization_number == 1
    assert active.deps.sealer.status(active.origin).size == len(active.entries())


def test_a_head_that_is_not_that_of_the_entries_stops_the_trial(active: Installation) -> None:
    draft = active.enrol()
    active.attack("UPDATE log_head SET last_leaf = :leaf", leaf="0" * 64)

    for deps in (active.deps, active.open_anew()):
        active.deps = deps
        with pytest.raises(LogDamagedError, match="the head is not that of the stored entries"):
            active.reveal(draft)
    assert active.spent() == 0


@on_sqlite
def test_what_the_sealer_cannot_read_at_all_freezes_nothing(active: Installation) -> None:
    draft = active.enrol()
    active.attack(
        "UPDATE log_entry SET data = :data WHERE seq = (SELECT max(seq) FROM log_entry)",
        data=b"{",
    )

    with pytest.raises(LogDamagedError):
        active.reveal(draft)
    assert not active.deps.sealer.status(active.origin).frozen
    assert active.ask("SELECT count(*) FROM assignment") == [(0,)]


@on_sqlite
def test_a_trial_whose_whole_log_is_gone_freezes(active: Installation) -> None:
    for table in ("assignment", "log_entry", "log_node"):
        active.attack(f"DELETE FROM {table}")
    active.attack("UPDATE log_head SET size = 0, last_leaf = ''")

    with pytest.raises((FrozenError, NotFollowedError)):
        active.change_state("pause")
    assert active.deps.sealer.status(active.origin).frozen
