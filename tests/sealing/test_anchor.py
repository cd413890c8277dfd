"""The register and the anchors: what is in them, and what no crash, disk or hand takes out."""

import errno
import hashlib
import os
import resource
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import (
    AnchorDamagedError,
    AnchorMissingError,
    AnchorsExposedError,
    AnchorWriteError,
    FrozenError,
    ProtocolError,
    RefusalError,
    RegisterError,
    RuleError,
)
from alloc_service.log.entry import LONGEST, Entry, read_entry
from alloc_service.sealing.anchor import Anchor, Register
from alloc_service.sealing.keys import ServerKeys, create_keys, rotate_sealing_key
from alloc_service.sealing.local import LocalSealer
from tests.support import children
from tests.support.broken_disk import LimitedDisk, SmallDisk, break_fsync, mounted
from tests.support.sealed_trial import HOST, ORIGIN, ListInHand, SealedTrial, TrialLog


# --- the register -----------------------------------------------------------------------------


def test_a_new_register_holds_its_key_and_no_origin(anchors: Path, server_keys: ServerKeys) -> None:
    register = Register(anchors)

    register.check(server_keys.kid)

    assert register.origins() == []


def test_a_register_is_never_made_anew(anchors: Path) -> None:
    before = (anchors / "register").read_bytes()

    with pytest.raises(RegisterError, match="one already"):
        Register.create(anchors, "0" * 16)

    assert (anchors / "register").read_bytes() == before


def test_no_register_is_made_beside_anchors_that_lost_theirs(trial: SealedTrial) -> None:
    (trial.anchors / "register").unlink()

    with pytest.raises(RegisterError, match="missing beside anchors"):
        Register.create(trial.anchors, trial.keys.kid)


def test_a_missing_register_beside_existing_keys_stops_the_start(trial: SealedTrial) -> None:
    (trial.anchors / "register").unlink()

    with pytest.raises(RegisterError, match="missing beside existing keys"):
        trial.another_sealer()


def test_a_missing_directory_of_anchors_stops_the_start(trial: SealedTrial) -> None:
    shutil.rmtree(trial.anchors)

    with pytest.raises(RegisterError, match="missing beside existing keys"):
        trial.another_sealer()


def test_a_register_of_other_keys_stops_the_start(anchors: Path, tmp_path: Path) -> None:
    others = create_keys(tmp_path / "other-keys")

    with pytest.raises(RegisterError, match=f"the sealing key {others.kid} is not in it"):
        LocalSealer(others, anchors, HOST)


def test_a_register_stays_that_of_its_keys_when_the_sealing_key_is_rotated(tmp_path: Path) -> None:
    first = create_keys(tmp_path / "keys")
    register = Register.create(tmp_path / "anchors", first.kid)
    rotated = rotate_sealing_key(tmp_path / "keys")

    LocalSealer(rotated, tmp_path / "anchors", HOST)  # the older key is among them still
    with pytest.raises(RegisterError):
        register.check(rotated.kid)
    for _ in range(2):
        register.add_kid(rotated.kid)

    register.check(rotated.kid)
    assert (tmp_path / "anchors" / "register").read_bytes().count(rotated.kid.encode()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"format":"rac-anchor/2","kid":"KID"}\n',
        b'{"format":"rac-anchor/1","kid":"KID"}',
        b'{"format":"rac-anchor/1","kid":"KID"}\n{"origin":',
        b'{"format":"rac-anchor/1","kid":"KID"}\n\n',
        b'{"format": "rac-anchor/1","kid":"KID"}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_register_that_is_not_whole_stops_the_start(
    anchors: Path, server_keys: ServerKeys, content: bytes
) -> None:
    (anchors / "register").write_bytes(content.replace(b"KID", server_keys.kid.encode()))

    with pytest.raises(RegisterError):
        LocalSealer(server_keys, anchors, HOST)


def test_a_register_that_cannot_be_read_stops_the_start(
    anchors: Path, server_keys: ServerKeys
) -> None:
    (anchors / "register").rename(anchors / "elsewhere")
    (anchors / "register").symlink_to(anchors / "elsewhere")

    with pytest.raises(RegisterError, match="cannot be read"):
        LocalSealer(server_keys, anchors, HOST)


def test_anchors_that_others_can_reach_stop_the_start(
    anchors: Path, server_keys: ServerKeys
) -> None:
    anchors.chmod(0o750)

    with pytest.raises(AnchorsExposedError, match="chmod 0700"):
        LocalSealer(server_keys, anchors, HOST)


def test_an_origin_is_registered_once(anchors: Path) -> None:
    register = Register(anchors)
    register.add_origin(ORIGIN)

    with pytest.raises(RegisterError, match="registered already"):
        register.add_origin(ORIGIN)

    assert register.origins() == [ORIGIN]


def test_processes_that_register_at_once_lose_no_origin(anchors: Path) -> None:
    def register(child: int) -> Callable[[], None]:
        def add() -> None:
            for number in range(5):
                Register(anchors).add_origin(f"{HOST}/TEST-{child}-{number}/audit")

        return add

    assert children.run_all(register(child) for child in range(4)) == [0] * 4
    assert len(set(Register(anchors).origins())) == 20


# --- what an anchor is ------------------------------------------------------------------------


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


# --- torn, cut, damaged -----------------------------------------------------------------------


def test_a_last_line_torn_at_any_byte_is_cut_and_following_goes_on(trial: SealedTrial) -> None:
    whole = trial.anchor_path.read_bytes()
    last = len(trial.log.entries[-1]) + 1
    checkpoint = trial.follow()

    for torn in range(1, last):
        trial.anchor_path.write_bytes(whole[: len(whole) - torn])
        trial.restart()

        assert trial.status.size == len(trial.log.entries) - 1
        assert trial.status.frozen == ""
        assert trial.follow() == checkpoint
        assert trial.anchor_path.read_bytes() == whole


def test_a_torn_line_is_cut_only_under_the_lock(trial: SealedTrial) -> None:
    torn = trial.anchor_path.read_bytes()[:-7]
    trial.anchor_path.write_bytes(torn)
    trial.restart()

    assert trial.status.size == 3
    assert trial.anchor_path.read_bytes() == torn
    trial.sealer.followed(ORIGIN)

    assert trial.anchor_path.read_bytes() == torn[: torn.rindex(b"\n") + 1]


def recovery_of_the_longest_size(log: TrialLog) -> Entry:
    """Return a `log.recovered` of exactly as many bytes as an entry may have."""
    log.add("design.frozen", {"list": 1, "design_sha256": "ab" * 32})
    body: dict[str, Json] = {"upto": log.state.size - 1, "fork_sha256": "", "retired": [1]}
    second: dict[str, Json] = {"id": "second", "org": "o", "role": "administrator"}
    short = log.write("log.recovered", {**body, "second": second})
    missing = LONGEST - len(short.data)
    body["retired"] = [1] * (missing // 2 + 1)
    second["org"] = "o" * (missing % 2 + 1)
    return log.write("log.recovered", {**body, "second": second})


def test_the_longest_last_line_is_found_before_the_longest_torn_one(trial: SealedTrial) -> None:
    longest = recovery_of_the_longest_size(trial.log)
    trial.follow()
    trial.log.keep(longest)
    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])
    with trial.anchor_path.open("ab") as file:
        file.write(b"x" * LONGEST)

    assert len(longest.data) == LONGEST
    assert (trial.status.size, trial.status.last) == (trial.log.state.size, longest.leaf)
    trial.restart()
    assert trial.sealer.followed(ORIGIN) == trial.log.entries


def test_an_anchor_damaged_in_the_middle_is_refused_and_status_says_so(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    kept = trial.anchor_path.read_bytes()
    trial.anchor_path.write_bytes(kept.replace(b'"seq":2', b'"seq":7'))
    trial.restart()

    for _ in range(2):
        with pytest.raises(AnchorDamagedError, match="at entry 2"):
            trial.follow()
        assert "damaged" in trial.status.frozen

    trial.anchor_path.write_bytes(kept)
    assert trial.status.frozen == ""
    assert trial.follow()


def test_an_anchor_damaged_at_its_end_is_refused_and_status_says_so(trial: SealedTrial) -> None:
    with trial.anchor_path.open("ab") as file:
        file.write(b"\x00\x00\x00\n")

    assert "damaged at its end" in trial.status.frozen
    with pytest.raises(AnchorDamagedError):
        trial.sealer.follow(ORIGIN, 4, trial.log.entries[3:])


def test_a_damaged_anchor_that_is_taken_away_reads_as_missing(trial: SealedTrial) -> None:
    trial.anchor_path.write_bytes(b"damaged\n")
    trial.restart()
    with pytest.raises(AnchorDamagedError):
        trial.sealer.followed(ORIGIN)

    trial.anchor_path.unlink()

    assert "missing" in trial.status.frozen


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_process_that_finds_less_than_it_followed_opens_and_follows_nothing(
    trial: SealedTrial, size: int, *, replaced: bool
) -> None:
    kept = trial.anchor_path.read_bytes()
    shorter = b"".join(entry + b"\n" for entry in trial.log.entries[:size])
    if replaced:
        trial.anchor_path.unlink()
    trial.anchor_path.write_bytes(shorter)

    for _ in range(2):
        with pytest.raises(AnchorDamagedError, match="held 4 entries once"):
            trial.follow()
        assert "held 4 entries once" in trial.status.frozen
    trial.anchor_path.write_bytes(kept)

    assert trial.follow()


def test_a_process_knows_what_it_has_just_written(trial: SealedTrial) -> None:
    kept = trial.anchor_path.read_bytes()
    trial.log.add_site()
    trial.follow()
    trial.anchor_path.write_bytes(kept)

    with pytest.raises(AnchorDamagedError, match="held 5 entries once"):
        trial.sealer.followed(ORIGIN)


def test_an_anchor_swapped_for_another_one_is_refused(trial: SealedTrial) -> None:
    other = trial.log.restored(3)
    for _ in range(5):
        other.add("site.activated", {"site": f"elsewhere-{len(other.entries)}"})
    beside = trial.anchors / "other"
    beside.write_bytes(b"".join(entry + b"\n" for entry in other.entries))
    beside.rename(trial.anchor_path)

    with pytest.raises(AnchorDamagedError, match="held 4 entries once"):
        trial.follow()


def test_another_file_under_the_same_inode_number_is_read_from_its_beginning(
    trial: SealedTrial,
) -> None:
    other = trial.log.restored(2)
    other.recover()
    for _ in range(20):
        other.add_site()

    with trial.anchor_path.open("r+b") as file:  # the very file, with other bytes
        file.truncate(0)
        file.write(b"".join(entry + b"\n" for entry in other.entries))

    assert trial.sealer.followed(ORIGIN) == other.entries


# --- disks that refuse ------------------------------------------------------------------------


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


# --- crashes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("doubtful", [True, False])
def test_a_process_killed_at_any_step_of_an_append_leaves_a_prefix_that_folds(
    trial: SealedTrial, tmp_path: Path, batch: int, *, doubtful: bool
) -> None:
    template = tmp_path / "template"
    shutil.copytree(trial.anchors, template)
    before = list(trial.log.entries)
    for _ in range(batch):
        trial.log.add_site()

    def prepare() -> Callable[[], object]:
        shutil.rmtree(trial.anchors)
        shutil.copytree(template, trial.anchors)
        trial.restart()
        return follow

    def follow() -> None:
        with pytest.MonkeyPatch.context() as patch:
            if doubtful:  # the first fsync of the append, after that of the first reading
                break_fsync(patch, {2})
            trial.follow()

    sizes = set()
    for _step in children.kill_at_each_step(prepare):
        trial.restart()
        sizes.add(trial.status.size)
        assert trial.status.frozen == ""
        kept = trial.sealer.followed(ORIGIN)
        assert kept[: len(before)] == before
        assert kept == trial.log.entries[: len(kept)]
        trial.follow()
        assert trial.anchored == trial.log.entries

    assert {len(before), len(before) + batch} <= sizes


def test_an_append_that_half_of_which_was_written_leaves_the_entries_that_have_an_end(
    trial: SealedTrial,
) -> None:
    for _ in range(3):
        trial.log.add_site()
    half = b"".join(entry + b"\n" for entry in trial.log.entries[4:6])[:-1]
    real = os.write

    def write_half(descriptor: int, _data: bytes) -> None:
        real(descriptor, half)
        os.kill(os.getpid(), signal.SIGKILL)

    def killed() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "write", write_half)
            trial.follow()

    assert children.run(killed) == children.KILLED
    trial.restart()
    assert trial.status.size == 5
    trial.follow()

    assert trial.anchored == trial.log.entries


def test_a_short_write_is_gone_on_with(trial: SealedTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    trial.log.add_site()

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:10])))
        trial.follow()

    assert trial.anchored == trial.log.entries


# --- memory and disk --------------------------------------------------------------------------


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
