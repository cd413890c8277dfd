"""The anchors: what is in them, what lies beside them, and what memory makes of them."""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from alloc_service.errors import (
    AnchorMissingError,
    FrozenError,
    ProtocolError,
    RefusalError,
    RegisterError,
    RuleError,
)
from alloc_service.log.entry import read_entry
from alloc_service.sealing.anchor import Anchor, Register
from alloc_service.sealing.keys import ServerKeys
from tests.support import children
from tests.support.sealed_trial import HOST, ORIGIN, ListInHand, SealedTrial, TrialLog

# --- what an anchor is -----------------------------------------------------------------------


def test_the_anchor_is_named_by_the_hash_of_its_origin_and_holds_the_very_entries(
    trial: SealedTrial,
) -> None:
    name = hashlib.sha256(ORIGIN.encode()).hexdigest()

    data = (trial.anchors / f"{name}.anchor").read_bytes()

    assert data == b"".join(entry + b"\n" for entry in trial.log.entries)
    assert trial.sealer.followed(ORIGIN) == trial.log.entries


def test_every_file_beside_the_anchor_is_0600_in_a_directory_of_0700_whatever_the_umask(
    tmp_path: Path, server_keys: ServerKeys, small_list: ListInHand
) -> None:
    before = os.umask(0o000)
    try:
        Register.create(tmp_path / "anchors", server_keys.kid)
        trial = SealedTrial(server_keys, tmp_path / "anchors", small_list)
        trial.begin()
        trial.seal()
        trial.activate()
        with pytest.raises(RefusalError, match="not accepted"):
            trial.follow()
        trial.accept()
        with pytest.raises(FrozenError):
            trial.sealer.follow(ORIGIN, 1, [])
    finally:
        os.umask(before)

    modes = {path.suffix or path.name: path.stat().st_mode for path in trial.anchors.iterdir()}
    assert modes.keys() >= {".anchor", ".lock", ".accepted", ".blocked", ".frozen", "register"}
    assert {stat.S_IMODE(mode) for mode in modes.values()} == {0o600}
    assert stat.S_IMODE(trial.anchors.stat().st_mode) == 0o700


def test_the_origin_is_registered_before_its_anchor_is_made(new_trial: SealedTrial) -> None:
    def prepare() -> Callable[[], object]:
        for path in new_trial.anchors.glob(f"{new_trial.stem}*"):
            path.unlink()
        register.write_bytes(empty)
        return lambda: new_trial.another_sealer().follow(ORIGIN, 0, new_trial.log.entries)

    register = new_trial.anchors / "register"
    empty = register.read_bytes()
    new_trial.log.create()
    seen = set()
    for _step in children.kill_at_each_step(prepare):
        registered = ORIGIN in Register(new_trial.anchors).origins()
        seen.add((registered, new_trial.anchor_path.exists()))
        new_trial.restart()
        if registered and not new_trial.anchor_path.exists():
            assert "missing" in new_trial.status.frozen
        elif registered:
            assert new_trial.follow().startswith(f"{ORIGIN}\n1\n")
        else:
            assert new_trial.sealer.follow(ORIGIN, 0, new_trial.log.entries)

    assert seen == {(False, False), (True, False), (True, True)}


def test_a_registered_origin_whose_anchor_is_missing_is_frozen(active_trial: SealedTrial) -> None:
    trial = active_trial
    assigned = trial.log.state.assigned
    enrolment, slot = next(iter(assigned.items()))
    kept = trial.anchor_path.read_bytes()
    for restart in (False, True):
        trial.anchor_path.unlink(missing_ok=True)
        if restart:
            trial.restart()

        assert "missing" in trial.status.frozen
        with pytest.raises(FrozenError, match="missing"):
            trial.sealer.follow(ORIGIN, len(trial.log.entries), trial.log.entries[-1:])
        with pytest.raises(FrozenError, match="missing"):
            trial.sealer.open(ORIGIN, slot.seq, enrolment, trial.hand.slot(0, 0))
        with pytest.raises(FrozenError, match="missing"):
            trial.accept()
        with pytest.raises(FrozenError, match="missing"):
            trial.sealer.open_design(ORIGIN, 0, b"")
        with pytest.raises(AnchorMissingError):
            trial.sealer.followed(ORIGIN)
        with pytest.raises(ProtocolError, match="followed before"):
            trial.sealer.follow(ORIGIN, 0, trial.log.entries[:1])

    trial.anchor_path.write_bytes(kept)
    assert trial.status.frozen == ""
    assert trial.follow()


def test_a_registered_origin_whose_anchor_is_empty_is_frozen(trial: SealedTrial) -> None:
    trial.anchor_path.write_bytes(b"")
    trial.restart()

    assert (trial.status.size, "empty" in trial.status.frozen) == (0, True)
    with pytest.raises(FrozenError, match="empty"):
        trial.sealer.follow(ORIGIN, 1, trial.log.entries)


def test_an_anchor_that_the_register_does_not_know_is_neither_used_nor_overwritten(
    trial: SealedTrial,
) -> None:
    kept = trial.anchor_path.read_bytes()
    row = b'{"origin":"' + ORIGIN.encode() + b'"}\n'
    register = trial.anchors / "register"
    register.write_bytes(register.read_bytes().replace(row, b""))
    trial.restart()

    assert "does not know" in trial.status.frozen
    for since, entries in ((0, trial.log.entries[:1]), (4, trial.log.entries[3:])):
        with pytest.raises(RegisterError, match="does not know this anchor"):
            trial.sealer.follow(ORIGIN, since, entries)
    with pytest.raises(RegisterError, match="does not know this anchor"):
        trial.accept()
    assert trial.anchor_path.read_bytes() == kept


@pytest.mark.parametrize("suffix", ["anchor", "frozen", "blocked", "accepted", "lock"])
@pytest.mark.parametrize("kind", ["link", "directory"])
def test_a_link_or_a_directory_in_a_files_place_is_refused(
    active_trial: SealedTrial, suffix: str, kind: str
) -> None:
    trial = active_trial
    path, elsewhere = trial.anchor_path.with_suffix(f".{suffix}"), trial.anchors / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    if kind == "link":
        path.symlink_to(elsewhere)
    else:
        path.mkdir()
    trial.restart()
    trial.log.add_site()
    calls: list[Callable[[], object]] = [
        lambda: trial.status,
        trial.follow,
        lambda: trial.sealer.follow(ORIGIN, 1, []),
        trial.accept,
        lambda: trial.sealer.require_accepted(ORIGIN, acceptance),
    ]
    acceptance = SealedTrial.acceptance(trial)

    refused = 0
    for call in calls:
        try:
            call()
        except RefusalError:
            refused += 1

    assert refused
    assert not (suffix == "anchor" and elsewhere.read_bytes().endswith(trial.log.entries[-1]))


def test_no_call_lets_an_error_of_the_system_through(active_trial: SealedTrial) -> None:
    trial = active_trial
    assigned = trial.assign()
    moved = trial.anchors.with_name("moved")
    trial.anchors.rename(moved)
    new = TrialLog(f"{HOST}/TEST-NEW/audit")
    new.create()
    calls: list[Callable[[], object]] = [
        lambda: trial.sealer.follow(ORIGIN, 1, trial.log.entries),
        lambda: trial.sealer.follow(new.origin, 0, new.entries),
        lambda: trial.open(assigned),
        lambda: trial.sealer.open_design(ORIGIN, 1, b""),
        trial.accept,
        trial.sealer.origins,
        lambda: trial.sealer.followed(ORIGIN),
        lambda: trial.sealer.resume(ORIGIN, trial.log.entries[-1:]),
        trial.another_sealer,
        lambda: Register(trial.anchors).add_kid("0" * 16),
    ]

    assert "missing" in trial.status.frozen
    assert "not writable" in trial.status.unwritable
    for call in calls:
        with pytest.raises(RefusalError):
            call()


# --- memory and disk -------------------------------------------------------------------------


def test_what_was_taken_and_not_written_is_forgotten_when_the_lock_is_let_go(
    trial: SealedTrial,
) -> None:
    anchor = Anchor(trial.anchors, ORIGIN)
    entry = trial.log.write("site.activated", {"site": "never-written"})

    def interrupted() -> None:
        with anchor.held():
            anchor.refresh()
            anchor.take(entry)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    with anchor.held():
        anchor.refresh()
        assert anchor.state.size == 4
        assert anchor.entries() == trial.log.entries


def test_an_entry_that_the_rules_refuse_costs_no_new_reading(trial: SealedTrial) -> None:
    anchor = Anchor(trial.anchors, ORIGIN)
    with anchor.held():
        anchor.refresh()
        state = anchor.state
        with pytest.raises(RuleError):
            anchor.take(trial.log.write("site.paused", {"site": "never-activated"}))

    with anchor.held():
        anchor.refresh()
        assert anchor.state is state


def test_a_child_forked_while_a_thread_is_at_work_begins_from_the_disk(trial: SealedTrial) -> None:
    anchor = Anchor(trial.anchors, ORIGIN)
    entry = trial.log.write("site.activated", {"site": "never-written"})
    taken, done = threading.Event(), threading.Event()

    def work() -> None:
        with anchor.held():
            anchor.refresh()
            anchor.take(entry)
            taken.set()
            done.wait()

    def child() -> None:
        with anchor.held():
            anchor.refresh()
            assert anchor.state.size == 4
            assert anchor.tree.size == 4

    thread = threading.Thread(target=work)
    thread.start()
    taken.wait()
    pid = children.start(child)
    done.set()
    thread.join()

    assert children.wait(pid) == 0


def test_a_sealer_made_before_a_fork_serves_parent_and_children(trial: SealedTrial) -> None:
    for _ in range(3):
        trial.log.add_site()

    def child() -> None:
        trial.follow()
        assert trial.sealer.followed(ORIGIN) == trial.log.entries

    assert children.run_all([child] * 3) == [0] * 3
    assert trial.sealer.followed(ORIGIN) == trial.log.entries


def test_an_unreadable_reason_still_freezes_and_blocks(trial: SealedTrial) -> None:
    trial.anchor_path.with_suffix(".blocked").write_bytes(b"\xff\xfe")
    assert trial.status.blocked == "for no stated reason"
    trial.anchor_path.with_suffix(".frozen").write_bytes(b"\xff\xfe")
    assert trial.status.frozen == "\ufffd\ufffd"
    trial.anchor_path.with_suffix(".frozen").write_bytes(b"")
    assert trial.status.frozen == "for no stated reason"

    with pytest.raises(FrozenError, match="for no stated reason"):
        trial.follow()


def test_an_anchor_keeps_the_entries_that_recovery_gives_back_verbatim(
    active_trial: SealedTrial,
) -> None:
    with pytest.raises(FrozenError):
        active_trial.sealer.follow(ORIGIN, 1, [])

    kept = active_trial.sealer.followed(ORIGIN)

    assert kept == active_trial.log.entries
    assert [read_entry(data).seq for data in kept] == list(range(len(kept)))
