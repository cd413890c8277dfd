"""The log as the services keep it: one more entry at a time, followed after every commit."""

import os
import threading
from collections.abc import Iterator

import pytest

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import (
    FrozenError,
    LogDamagedError,
    RuleError,
    SealerUnwritableError,
    SignatureError,
    UnknownRecordError,
)
from alloc_service.log.note import open_checkpoint
from alloc_service.permissions import Role
from alloc_service.services import audit, health, lists, proofs, reveal, trials
from alloc_service.services.audit import LoggedActor
from alloc_service.services.deps import FoldedLogs, SignedCheckpoint
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading
from tests.support.installation import Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
MANAGER = LoggedActor("p-manager", "XA01", "manager")


def checkpoints(installation: Installation) -> list[int]:
    with installation.deps.database.read() as session:
        return [row.size for row in queries.read_checkpoints(session, installation.trial)]


# --- appending and following ------------------------------------------------------------------


def test_every_act_is_followed_and_its_checkpoint_kept(staffed: Installation) -> None:
    entry = staffed.change_site(active=True)

    assert staffed.deps.sealer.status(staffed.origin).last == entry.leaf
    with staffed.deps.database.read() as session:
        kept = queries.find_checkpoint(session, staffed.trial)
    assert kept is not None
    checkpoint = open_checkpoint(kept.note, staffed.deps.sealer.log_key(staffed.origin))
    leaves = [leaf_hash(entry.data) for entry in staffed.entries()]
    assert (checkpoint.size, checkpoint.root) == (len(leaves), root_of(leaves))


def test_the_stored_tree_grows_with_the_log(active: Installation) -> None:
    for index in range(4):
        active.allocate(f"P-{index}")
    entries = active.entries()

    with active.deps.database.read() as session:
        signed = audit.follow(active.deps, active.trial)
        for entry in entries:
            receipt = proofs.receipt_of(session, active.trial, entry.seq, signed)
            receipt.verify(bytes.fromhex(entry.leaf), active.deps.sealer.log_key(active.origin))


def test_a_rolled_back_entry_leaves_no_trace_in_the_folded_log(active: Installation) -> None:
    size = len(active.entries())

    def change_ones_mind() -> None:
        with audit.writing(active.deps, active.trial) as tx:
            log = audit.open_log(active.deps, tx, active.trial)
            log.append("site.paused", MANAGER, {"site": "BE02"})
            assert log.state.sites["BE02"] is False
            raise KeyError("another mind")

    with pytest.raises(KeyError):
        change_ones_mind()

    assert len(active.entries()) == size
    active.change_site("BE02", active=False)
    assert active.allocate().randomization_number == 1


@on_sqlite
def test_a_refusal_does_not_fold_the_whole_log_anew(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = active.enrol()
    read: list[int] = []
    read_entries = queries.read_entries

    def note(session: Reading, trial_id: str, since: int = 0) -> Iterator[queries.EntryRow]:
        read.append(since)
        return read_entries(session, trial_id, since)

    monkeypatch.setattr(queries, "read_entries", note)
    with pytest.raises(SignatureError):
        reveal.reveal(active.deps, active.people["doc"], draft.id, None)
    read.clear()
    with pytest.raises(SignatureError):
        reveal.reveal(active.deps, active.people["doc"], draft.id, None)
    assert min(read) >= 0
    assert read.count(0) == 1, "the look back at earlier refusals, in a log this short"


def test_several_entries_of_one_transaction_stand_together(active: Installation) -> None:
    with audit.writing(active.deps, active.trial) as tx:
        log = audit.open_log(active.deps, tx, active.trial)
        first = log.append("site.paused", MANAGER, {"site": "BE02"})
        second = log.append("site.activated", MANAGER, {"site": "BE02"})

    assert (second.seq, second.prev) == (first.seq + 1, first.leaf)
    assert active.deps.sealer.status(active.origin).size == second.seq + 1


@on_sqlite
def test_a_transaction_without_an_entry_changes_nothing(active: Installation) -> None:
    size = len(active.entries())
    with audit.writing(active.deps, active.trial) as tx:
        audit.open_log(active.deps, tx, active.trial)

    assert len(active.entries()) == size


def test_two_processes_write_to_one_log_in_turn(active: Installation) -> None:
    other = active.open_anew()
    for index in range(3):
        active.allocate(f"P-a{index}")
        trials.change_site(
            other, active.people["manager"], active.trial, "BE02", active=bool(index % 2)
        )

    assert active.spent() == 3
    assert active.deps.sealer.status(active.origin).size == len(active.entries())
    assert health.start(other) == health.start(active.deps) == {}


def test_threads_append_one_after_the_other(active: Installation) -> None:
    failures: list[BaseException] = []

    def act(number: int) -> None:
        try:
            active.allocate(f"P-{number}", facts={"severity": "mild" if number % 2 else "severe"})
        except BaseException as error:  # noqa: BLE001  told below, in the thread of the test
            failures.append(error)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    bodies = [entry.body for entry in active.entries("slot.assigned")]
    assert sorted((body["stratum"], body["slot"]) for body in bodies) == [
        (stratum, slot) for stratum in (0, 1) for slot in range(4)
    ]


@on_sqlite
@pytest.mark.parametrize("trial", ["TEST-OTHER", "TEST\0", "x" * 10_000, "half \ud800", ""])
def test_an_unknown_log_is_not_opened(active: Installation, trial: str) -> None:
    with pytest.raises(UnknownRecordError), active.deps.database.write() as tx:
        audit.open_log(active.deps, tx, trial)


# --- another history under a running service --------------------------------------------------


def test_a_recovered_log_is_folded_anew_by_a_process_that_knew_the_fork(
    active: Installation,
) -> None:
    """Another process gives the anchor's log back while this one still holds the fork."""
    active.allocate("P-001")
    other = active.open_anew()
    with other.database.write() as tx:  # a fork of two entries that no sealer has followed
        log = audit.open_log(other, tx, active.trial)
        log.append("site.paused", MANAGER, {"site": "BE02"})
        log.append("site.paused", MANAGER, {"site": "XA01"})
    fork = active.entries()[-2:]
    for seq in (fork[1].seq, fork[0].seq):
        active.attack("DELETE FROM log_entry WHERE seq = :seq", seq=seq)
    active.attack("DELETE FROM log_node")
    active.attack(
        "UPDATE log_head SET size = :size, last_leaf = :leaf", size=fork[0].seq, leaf=fork[0].prev
    )
    for _ in range(3):
        active.change_site("BE02", active=False)
        active.change_site("BE02", active=True)

    entry = trials.change_site(other, active.people["manager"], active.trial, "BE02", active=False)
    assert entry.seq == len(active.entries()) - 1


# --- at start ---------------------------------------------------------------------------------


def test_at_start_every_log_is_shown_whole(active: Installation) -> None:
    other = active.definition.model_copy(update={"id": "TEST-OTHER"})
    trials.create(active.deps, active.people["admin"], other)
    active.attack(
        "UPDATE log_entry SET data = :data WHERE seq = 2 AND trial_id = :trial",
        data=active.entries()[2].data.replace(b"p-stat", b"p-stet"),
        trial=active.trial,
    )

    refused = health.start(active.open_anew())
    assert set(refused) == {active.trial}
    assert isinstance(refused[active.trial], FrozenError)


def test_at_start_a_log_that_was_begun_but_not_followed_is_followed(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = active.definition.model_copy(update={"id": "TEST-OTHER"})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(active.deps.sealer, "follow", die)
        with pytest.raises(KeyboardInterrupt):
            trials.create(active.deps, active.people["admin"], other)

    assert health.start(active.deps) == {}
    assert active.deps.sealer.status("rac.example.org/TEST-OTHER/audit").size == 1


def test_health_tells_by_trial_what_keeps_a_log_from_growing(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert health.check(active.deps) == {}
    with monkeypatch.context() as patch:

        class FullDisk:
            free = 0

        patch.setattr("shutil.disk_usage", lambda _: FullDisk())
        assert health.check(active.deps) == {active.trial: "sealer-not-writable"}
        with pytest.raises(SealerUnwritableError):
            active.change_state("pause")
    for path in (active.home / "anchors").glob("*.anchor"):
        path.unlink()
    assert health.check(active.deps) == {active.trial: "frozen"}


# --- checkpoints ------------------------------------------------------------------------------


def test_the_checkpoint_of_a_reveal_is_kept_by_the_next_act(active: Installation) -> None:
    before = checkpoints(active)
    active.allocate("P-001")
    assert checkpoints(active) == before
    active.allocate("P-002")

    assert checkpoints(active) == [*before, len(active.entries()) - 1]
    audit.store_checkpoint(active.deps, active.trial)
    assert checkpoints(active) == [*before, len(active.entries()) - 1, len(active.entries())]
    audit.store_checkpoint(active.deps, active.trial)


def test_a_checkpoint_is_left_to_who_stores_one_already_or_makes_a_newer_one(
    active: Installation,
) -> None:
    active.allocate("P-001")
    before = checkpoints(active)

    log = active.deps.logs.of(active.trial)
    for busy in (log.storing, log.lock):
        with busy:
            audit.store_checkpoint(active.deps, active.trial)
        assert checkpoints(active) == before
    audit.store_checkpoint(active.deps, active.trial)

    assert checkpoints(active) == [*before, len(active.entries())]


def test_a_checkpoint_that_was_signed_meanwhile_is_not_forgotten() -> None:
    log = FoldedLogs().of("TEST-SMALL")
    log.checkpoint = SignedCheckpoint(9, "newer", bytes(32))
    log.stored(SignedCheckpoint(8, "older", bytes(32)))

    assert log.checkpoint == SignedCheckpoint(9, "newer", bytes(32))


# --- what a state means -----------------------------------------------------------------------


def test_a_log_that_does_not_fold_has_no_state(active: Installation) -> None:
    active.attack("UPDATE log_entry SET data = :data WHERE seq = 5", data=b"{}")

    with pytest.raises(LogDamagedError, match="damaged at entry 5"):
        active.state()


def test_an_entry_that_may_not_stand_there_undoes_its_whole_transaction(
    sealed: Installation,
) -> None:
    size = len(sealed.entries())
    with pytest.raises(RuleError):
        lists.generate(
            sealed.deps, sealed.people["stat"], sealed.definition.design(1), sealed.custodians
        )

    assert len(sealed.entries()) == size
    assert sealed.ask("SELECT count(*) FROM randomization_list") == [(1,)]
    sealed.grant("guest", Role.DMC)


def test_a_forked_child_begins_with_no_folded_log(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = FoldedLogs()
    mine = logs.of("TEST-SMALL")
    assert logs.of("TEST-SMALL") is mine
    assert logs.of("TEST-OTHER") is not mine

    monkeypatch.setattr(os, "getpid", lambda: 1)
    childs = logs.of("TEST-SMALL")
    assert childs is not mine
    assert logs.of("TEST-SMALL") is childs
