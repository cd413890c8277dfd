"""Disks that are full or fail to keep what they were told: nothing is lost or signed too early."""

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alloc_service.errors import AnchorMissingError, AnchorWriteError, RefusalError
from alloc_service.log.entry import read_entry
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import ServerKeys
from tests.support import children
from tests.support.broken_disk import LimitedDisk, SmallDisk, break_fsync, mounted
from tests.support.sealed_trial import ORIGIN, ListInHand, SealedTrial


@pytest.fixture(params=["mounted", "limited"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    """Return a disk that can be full for real; where none can be mounted, both are limited."""
    with mounted(tmp_path / "disk") as found:
        if request.param == "mounted" and found is not None:
            yield found
        else:
            yield LimitedDisk(tmp_path / "disk")


def test_on_a_full_disk_nothing_is_followed_or_opened_and_the_retry_works_once_it_is_free(
    disk: SmallDisk, server_keys: ServerKeys, small_list: ListInHand
) -> None:
    # In a child, for a limit on files holds for everything that a process writes.
    assert children.run(lambda: follow_on_a_full_disk(disk, server_keys, small_list)) == 0


def follow_on_a_full_disk(disk: SmallDisk, keys: ServerKeys, hand: ListInHand) -> None:
    Register.create(disk.directory / "anchors", keys.kid)
    disk.directory = disk.directory / "anchors"
    trial = SealedTrial(keys, disk.directory, hand)
    trial.begin()
    trial.seal()
    trial.accept()
    trial.activate()
    trial.follow()
    before, size = trial.anchor_path.read_bytes(), trial.status.size
    assigned = trial.assign()
    for _ in range(30):  # more than the rest of the last page of the file holds
        trial.log.add_site()

    disk.fill()
    for attempt in range(4):
        with pytest.raises(AnchorWriteError):
            trial.follow()
        assert trial.status.unwritable
        assert trial.status.size == size
        assert trial.anchor_path.read_bytes() == before
        with pytest.raises(RefusalError):
            trial.open(assigned)
        if attempt == 1:
            trial.restart()
    disk.free()

    assert trial.status.unwritable == ""
    assert trial.follow()
    assert trial.status.size == size + 31
    assert trial.open(assigned).opening.arm == trial.arm(assigned)
    assert trial.anchored == trial.log.entries


def test_after_a_failure_status_asks_for_room_for_the_whole_anchor(
    trial: SealedTrial,
) -> None:
    def write_with_less_and_less_room() -> None:
        disk = LimitedDisk(trial.anchors)
        for _ in range(300):
            trial.log.add_site()
        trial.follow()
        trial.log.add_site()
        disk.fill()
        with pytest.raises(AnchorWriteError):
            trial.follow()
        disk.free()
        assert trial.status.unwritable == ""
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        assert "disk refused" in trial.status.unwritable
        disk.free()

    assert children.run(write_with_less_and_less_room) == 0


def test_a_trial_that_began_on_a_full_disk_begins_once_it_is_free(
    disk: SmallDisk, server_keys: ServerKeys, small_list: ListInHand
) -> None:
    assert children.run(lambda: begin_on_a_full_disk(disk, server_keys, small_list)) == 0


def begin_on_a_full_disk(disk: SmallDisk, keys: ServerKeys, hand: ListInHand) -> None:
    directory = disk.directory / "anchors"
    Register.create(directory, keys.kid)
    (directory / "tiny.anchor").write_bytes(b"")  # what a limit is measured by
    disk.directory = directory
    trial = SealedTrial(keys, directory, hand)
    trial.log.create()

    disk.fill()
    for _ in range(2):
        with pytest.raises(AnchorWriteError):
            trial.sealer.follow(ORIGIN, 0, trial.log.entries)
        assert trial.status.frozen == ""
        assert trial.sealer.origins() == []
    disk.free()

    assert trial.follow()
    assert trial.anchored == trial.log.entries


def count_fsyncs(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> int:
    with monkeypatch.context() as patch:
        made = break_fsync(patch, ())
        action()
        return made()


def test_fsync_failing_once_costs_a_new_file_and_loses_nothing(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.log.add_site()
    before = trial.anchor_path.stat().st_ino

    with monkeypatch.context() as patch:
        break_fsync(patch, {0})
        checkpoint = trial.follow()

    after = trial.anchor_path.stat().st_ino
    assert after != before
    assert trial.anchored == trial.log.entries
    assert trial.status.unwritable == ""
    assert trial.another_sealer_follows() == checkpoint
    trial.log.add_site()
    assert count_fsyncs(monkeypatch, trial.follow) == 1  # in place again, and read no more
    assert trial.anchor_path.stat().st_ino == after
    assert trial.anchored == trial.log.entries


def test_a_failed_append_that_cannot_be_taken_back_is_not_written_twice(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.log.add_site()

    def broken(_descriptor: int, _length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        break_fsync(patch, {0})
        patch.setattr(os, "ftruncate", broken)
        trial.follow()

    assert trial.anchored == trial.log.entries


def test_after_a_failure_nothing_counts_before_the_whole_anchor_is_in_a_new_file(
    active_trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = active_trial
    followed = trial.log.entries[-1]
    trial.log.add_site()
    with monkeypatch.context() as patch:
        break_fsync(patch)
        with pytest.raises(AnchorWriteError):
            trial.follow()
    before = trial.anchor_path.stat().st_ino

    trial.open(read_entry(followed))

    assert trial.anchor_path.stat().st_ino != before
    assert trial.anchored == trial.log.entries[:-1]


def test_an_anchor_that_is_read_for_the_first_time_has_its_name_made_durable(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    trial.restart()
    monkeypatch.setattr(os, "fsync", fsync)
    trial.sealer.followed(ORIGIN)

    assert synced == [False, True]


@pytest.mark.parametrize("since_restart", [True, False])
def test_fsync_failing_at_any_one_call_signs_nothing_unfollowed_and_the_retry_works(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch, *, since_restart: bool
) -> None:
    for at in range(6):
        trial.log.add_site()
        if since_restart:
            trial.restart()
        with monkeypatch.context() as patch:
            break_fsync(patch, {at, at + 1})
            try:
                signed = trial.follow()
            except AnchorWriteError:
                signed = ""

        assert signed in {"", trial.another_sealer_follows()}
        assert trial.follow()
        assert trial.anchored == trial.log.entries


def test_fsync_failing_always_moves_no_state_and_signs_nothing(
    active_trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = active_trial
    before, size = trial.anchor_path.read_bytes(), trial.status.size
    assigned = trial.assign()

    with monkeypatch.context() as patch:
        break_fsync(patch)
        for _ in range(3):
            with pytest.raises(AnchorWriteError):
                trial.follow()
            with pytest.raises(AnchorWriteError):
                trial.open(assigned)
            assert trial.status.size == size
            assert "disk refused" in trial.status.unwritable
            assert trial.anchor_path.read_bytes() == before

    assert trial.status.unwritable == ""
    assert trial.follow()
    assert trial.open(assigned).opening.arm == trial.arm(assigned)


def test_a_trial_whose_begin_failed_at_any_fsync_begins_by_the_next_try(
    server_keys: ServerKeys,
    small_list: ListInHand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = 0
    for at in range(12):
        directory = tmp_path / f"anchors-{at}"
        Register.create(directory, server_keys.kid)
        trial = SealedTrial(server_keys, directory, small_list)
        trial.log.create()
        with monkeypatch.context() as patch:
            break_fsync(patch, {at})
            try:
                trial.follow()
            except AnchorWriteError:
                failed += 1

        assert trial.status.frozen == ""
        assert trial.follow()
        assert trial.anchored == trial.log.entries

    assert failed >= 5


def test_what_another_process_wrote_is_fsynced_before_it_counts(
    active_trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, other = active_trial, active_trial.another_sealer()
    other.followed(ORIGIN)
    assigned = trial.assign()
    with trial.anchor_path.open("ab") as file:  # by a process that was killed before its fsync
        file.write(assigned.data + b"\n")

    with monkeypatch.context() as patch:
        break_fsync(patch)
        with pytest.raises(AnchorWriteError):
            trial.open(assigned)
    assert count_fsyncs(monkeypatch, lambda: other.followed(ORIGIN)) == 1
    before = trial.anchor_path.stat().st_ino

    assert trial.open(assigned).opening.arm == trial.arm(assigned)
    assert trial.anchor_path.stat().st_ino != before  # an fsync after a failed one proves nothing


def test_a_directory_that_cannot_be_written_is_told_by_status(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    assert "not writable" in trial.status.unwritable


def test_an_anchor_removed_while_its_disk_fails_is_not_made_anew(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.log.add_site()

    def broken(_descriptor: int) -> None:
        trial.anchor_path.unlink(missing_ok=True)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(AnchorMissingError):
            trial.sealer.follow(ORIGIN, 4, trial.log.entries[3:])

    assert not trial.anchor_path.exists()
    assert "missing" in trial.status.frozen
