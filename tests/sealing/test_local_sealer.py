"""The sealer as the service asks it: what it opens, what it refuses, and what it tells."""

import fcntl
import hashlib
import inspect
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import (
    BlobLeafError,
    BlobLockedError,
    BlobShapeError,
    BlockedError,
    FrozenError,
    IntegrityError,
    NotAcceptedError,
    NotAuthorizedError,
    OriginError,
    ProtocolError,
    RefusalError,
    SealedDesignError,
    TreeError,
    UnknownKidError,
    WrapError,
)
from alloc_service.log.entry import Entry
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, seal_slot
from alloc_service.sealing.keys import ServerKeys, create_keys, rotate_sealing_key
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.sealer import Sealer, SlotToOpen
from alloc_service.sealing.wrap import seal_design, unwrap_tranche_key, wrap_tranche_key
from tests.support import children
from tests.support.sealed_trial import (
    HOST,
    ORIGIN,
    ListInHand,
    SealedTrial,
    seal_again,
    seal_small_list,
)


def assigned_and_followed(trial: SealedTrial, stratum: int = 0) -> Entry:
    entry = trial.assign(stratum)
    trial.follow()
    return entry


# --- status -----------------------------------------------------------------------------------


def test_the_local_sealer_is_a_sealer(new_trial: SealedTrial) -> None:
    sealer: Sealer = new_trial.sealer

    assert sealer.status(ORIGIN).size == 0


def test_status_tells_size_and_last_leaf_of_what_was_followed(trial: SealedTrial) -> None:
    status = trial.status

    assert (status.size, status.last) == (4, trial.log.state.last)
    assert (status.frozen, status.blocked, status.unwritable) == ("", "", "")


def test_status_of_a_log_that_was_never_followed_is_empty_and_makes_no_file(
    new_trial: SealedTrial,
) -> None:
    before = sorted(path.name for path in new_trial.anchors.iterdir())

    status = new_trial.status

    assert (status.size, status.last, status.frozen) == (0, "", "")
    assert sorted(path.name for path in new_trial.anchors.iterdir()) == before


def test_status_takes_no_lock(trial: SealedTrial) -> None:
    with trial.anchor_path.with_suffix(".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert trial.status.size == 4
        assert trial.another_sealer().status(ORIGIN).size == 4


def test_a_line_that_is_being_written_does_not_count_in_status(trial: SealedTrial) -> None:
    entry = trial.log.add_site()
    with trial.anchor_path.open("ab") as file:
        file.write(entry.data[:-10])

    assert trial.status.size == 4


def test_a_nearly_full_disk_is_told_before_anything_is_appended(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(trial.anchors)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))

    assert "is full" in trial.status.unwritable


@pytest.mark.parametrize("origin", ["", "x", f"{HOST}/../audit/x", f"{HOST}/\ud800/audit"])
def test_an_origin_that_is_not_spelled_as_one_is_refused(
    new_trial: SealedTrial, origin: str
) -> None:
    for call in (new_trial.sealer.status, new_trial.sealer.followed):
        with pytest.raises(OriginError):
            call(origin)
    with pytest.raises(OriginError):
        new_trial.sealer.follow(origin, 0, [])


# --- open: what is covered --------------------------------------------------------------------


def test_a_followed_assignment_opens_for_its_enrolment(active_trial: SealedTrial) -> None:
    trial = active_trial

    for stratum in (0, 1, 0):
        entry = assigned_and_followed(trial, stratum)
        opened = trial.open(entry)

        assert opened.opening.arm == trial.arm(entry)
        assert (opened.opening.stratum, opened.opening.slot) == (stratum, entry.body["slot"])
        assert opened.enrolment_sha256 == entry.body["enrolment_sha256"]


def test_an_assignment_that_was_not_followed_does_not_open(active_trial: SealedTrial) -> None:
    entry = active_trial.assign()

    with pytest.raises(NotAuthorizedError, match="no slot was assigned"):
        active_trial.open(entry)


def test_a_slot_opens_as_often_as_it_is_asked_and_after_a_restart(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)

    openings = []
    for _ in range(2):
        openings += [trial.open(entry), trial.open(entry)]
        trial.restart()

    assert len({opened.opening for opened in openings}) == 1


def test_a_followed_reread_opens_the_slot_of_its_enrolment_alone(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    body: dict[str, Json] = {"enrolment": one.body["enrolment"], "of": one.seq}
    reread = trial.log.add("slot.reread", body)
    with pytest.raises(NotAuthorizedError, match=f"entry {reread.seq} does not cover"):
        trial.open(one, reread.seq)
    trial.follow()

    assert trial.open(one, reread.seq).opening.arm == trial.arm(one)
    with pytest.raises(NotAuthorizedError, match=f"entry {reread.seq} does not cover"):
        trial.open(two, reread.seq)


def test_a_followed_look_at_many_opens_what_was_assigned_up_to_its_seq(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    look = trial.log.add("arms.read", {"purpose": "dmc", "upto": one.seq})
    trial.follow()
    three = assigned_and_followed(trial)

    assert trial.open(one, look.seq).opening.arm == trial.arm(one)
    for later in (two, three):
        with pytest.raises(NotAuthorizedError, match="does not cover"):
            trial.open(later, look.seq)


def test_an_entry_that_looks_at_nothing_opens_nothing(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    others = assigned_and_followed(trial)

    for seq in range(-1, trial.status.size + 2):
        if seq != entry.seq:
            with pytest.raises(NotAuthorizedError):
                trial.open(entry, seq)
    assert trial.open(others).opening.arm == trial.arm(others)


def test_nobody_names_another_enrolment(active_trial: SealedTrial) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    slot = trial.hand.slot(0, one.body["slot"])

    with pytest.raises(NotAuthorizedError, match="does not cover"):
        trial.sealer.open(ORIGIN, one.seq, two.body["enrolment"], slot)
    with pytest.raises(NotAuthorizedError, match="no slot was assigned"):
        trial.sealer.open(ORIGIN, one.seq, "00000000-0000-0000-0000-000000000000", slot)


def test_nothing_opens_for_an_origin_that_was_never_followed(
    active_trial: SealedTrial,
) -> None:
    entry = assigned_and_followed(active_trial)
    slot = active_trial.hand.slot(0, entry.body["slot"])

    with pytest.raises(ProtocolError, match="never followed"):
        active_trial.sealer.open(
            f"{HOST}/TEST-OTHER/audit", entry.seq, entry.body["enrolment"], slot
        )


def test_a_retired_list_assigns_nothing_more_and_its_assigned_slots_still_open(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    trial.log.recover([1])
    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])

    assert trial.open(entry).opening.arm == trial.arm(entry)
    with pytest.raises(BlockedError, match="retired"):
        trial.sealer.follow(
            ORIGIN,
            trial.status.size,
            [trial.log.entries[-1], trial.write_assignment(0, trial.hand).data],
        )


# --- open: what the database holds ------------------------------------------------------------


def test_the_slot_comes_from_the_followed_entry_whatever_the_database_shows(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    one, two = assigned_and_followed(trial), assigned_and_followed(trial)
    mine, theirs = (trial.hand.slot(0, entry.body["slot"]) for entry in (one, two))

    with pytest.raises(BlobLockedError):
        trial.open(one, slot=replace(mine, blob=theirs.blob))
    with pytest.raises(TreeError):
        trial.open(one, slot=replace(mine, proof=theirs.proof))
    with pytest.raises(TreeError):
        trial.open(one, slot=theirs)
    with pytest.raises(TreeError):
        trial.open(one, slot=replace(mine, proof=()))
    for length in (0, 284, 286):
        with pytest.raises(BlobShapeError):
            trial.open(one, slot=replace(mine, blob=bytes(length)))
    assert trial.open(one, slot=mine).opening.arm == trial.arm(one)


def test_slots_of_another_stratum_do_not_open_in_this_one(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    other = trial.hand.slot(1, 1)

    with pytest.raises(TreeError):
        trial.open(entry, slot=other)
    with pytest.raises(BlobLockedError):
        trial.open(entry, slot=replace(other, proof=trial.hand.proof(0, entry.body["slot"])))


def own_key(trial: SealedTrial, stratum: int, slot: int) -> tuple[SlotToOpen, bytes]:
    """Return a slot sealed by somebody who holds the public key, and its leaf."""
    sealed = trial.hand.sealed
    key = TrancheKey.fresh()
    place = SlotPlace(sealed.design_sha256, sealed.root, stratum, slot)
    true = trial.hand.generated.opening(stratum, slot)
    opening = type(true)(sealed.design_sha256, stratum, slot, true.arm, "ab" * 32)
    wrap = wrap_tranche_key(key, trial.keys.public_key, ORIGIN, sealed.design_sha256, sealed.root)
    blob = seal_slot(key, place, opening)
    return SlotToOpen(blob, wrap, trial.hand.proof(stratum, slot)), opening.leaf


def test_an_own_tranche_key_is_of_no_logged_sealing(active_trial: SealedTrial) -> None:
    entry = assigned_and_followed(active_trial)
    forged, _leaf = own_key(active_trial, 0, entry.body["slot"])

    with pytest.raises(NotAuthorizedError, match="no logged sealing"):
        active_trial.open(entry, slot=forged)


def test_an_own_tranche_key_with_an_own_leaf_opens_nothing(active_trial: SealedTrial) -> None:
    trial = active_trial
    forged, leaf = own_key(trial, 0, 1)
    entry = trial.write_assignment(0, trial.hand, leaf=leaf.hex())
    trial.log.keep(entry)
    trial.follow()
    true = trial.hand.slot(0, 1)

    for slot in (forged, true, replace(forged, wrap=true.wrap)):
        with pytest.raises((NotAuthorizedError, TreeError)):
            trial.open(entry, slot=slot)


def test_an_own_tranche_key_that_is_logged_as_a_rewrap_opens_no_other_than_the_committed_slot(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    forged, _leaf = own_key(trial, 0, entry.body["slot"])
    rewrap(trial, trial.keys.kid, forged.wrap)

    with pytest.raises(BlobLeafError):
        trial.open(entry, slot=forged)


def test_an_own_list_is_not_followed_into_activity(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    own = seal_small_list(server_keys, number=2)
    trial.seal(own)
    trial.activate(own)

    with pytest.raises(BlockedError, match="list 2 was not accepted"):
        trial.follow()
    entry = trial.assign(0, own)
    with pytest.raises(BlockedError):
        trial.follow()
    with pytest.raises(NotAuthorizedError):
        trial.open(entry, slot=own.slot(0, 0))


def shadow_trial(trial: SealedTrial, hand: ListInHand) -> SealedTrial:
    """Return a second log on this host that names the list of the first one as its own."""
    trial.open(assigned_and_followed(trial))  # so that the sealer holds its tranche key
    shadow = SealedTrial(trial.keys, trial.anchors, hand, f"{HOST}/TEST-SHADOW/audit")
    shadow.sealer = trial.sealer
    shadow.begin()
    shadow.seal()
    return shadow


def test_a_shadow_trial_cannot_accept_or_activate_anothers_list(
    active_trial: SealedTrial,
) -> None:
    shadow = shadow_trial(active_trial, active_trial.hand)

    with pytest.raises(WrapError, match="made for another log"):
        shadow.accept()
    shadow.activate()
    with pytest.raises(BlockedError, match="not accepted"):
        shadow.follow()


def test_a_shadow_trial_with_the_others_acceptances_still_opens_nothing(
    active_trial: SealedTrial,
) -> None:
    shadow = shadow_trial(active_trial, active_trial.hand)
    accepted = active_trial.anchor_path.with_suffix(".accepted").read_bytes()
    shadow.anchor_path.with_suffix(".accepted").write_bytes(accepted)
    shadow.activate()
    entry = assigned_and_followed(shadow)

    with pytest.raises(WrapError, match="made for another log"):
        shadow.open(entry)


@pytest.mark.parametrize("number", [1, 2])
def test_a_list_is_not_used_twice(active_trial: SealedTrial, number: int) -> None:
    trial = active_trial
    body: dict[str, Json] = {"list": number, "design_sha256": trial.hand.sealed.design_sha256}
    again = trial.log.write("design.frozen", body).data

    with pytest.raises(BlockedError, match="design"):
        trial.sealer.follow(ORIGIN, trial.status.size, [trial.log.entries[-1], again])


def test_a_root_is_not_used_twice(active_trial: SealedTrial, server_keys: ServerKeys) -> None:
    trial = active_trial
    other = seal_small_list(server_keys, number=2)
    body: dict[str, Json] = {"list": 2, "design_sha256": other.sealed.design_sha256}
    trial.log.add("design.frozen", body)
    twice = trial.log.write("list.sealed", {**other.body(), "root": trial.hand.sealed.root})

    with pytest.raises(BlockedError, match="root"):
        trial.sealer.follow(
            ORIGIN, trial.status.size, [*trial.log.entries[trial.status.size - 1 :], twice.data]
        )


def test_a_wrap_of_another_list_opens_nothing(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    other = seal_small_list(server_keys, number=2)
    trial.seal(other)
    trial.accept(other)
    trial.activate(other)
    entry = assigned_and_followed(trial)
    mine = trial.hand.slot(0, entry.body["slot"])

    with pytest.raises(NotAuthorizedError, match="no logged sealing of this list"):
        trial.open(entry, slot=replace(mine, wrap=other.sealed.wrap))
    with pytest.raises((NotAuthorizedError, IntegrityError)):
        trial.open(entry, slot=other.slot(0, 0))


def test_two_lists_of_a_trial_open_each_its_own_slots(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    other = seal_small_list(server_keys, number=2, slots=(5,))
    trial.seal(other)
    trial.accept(other)
    trial.activate(other)
    entry = trial.assign(0, other)
    trial.follow()

    assert trial.open(entry, slot=other.slot(0, 0)).opening.arm == trial.arm(entry, other)


# --- sealings, wraps, keys --------------------------------------------------------------------


def rewrap(trial: SealedTrial, kid: str, wrap: bytes, sealing: int = 1) -> None:
    body: dict[str, Json] = {
        "list": 1,
        "sealing": sealing,
        "kid": kid,
        "wrap_sha256": hashlib.sha256(wrap).hexdigest(),
    }
    trial.log.add("key.rewrapped", body, "administrator")
    trial.follow()


def test_a_broken_blob_opens_from_the_next_accepted_sealing(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    again = seal_again(trial.hand, server_keys.public_key)
    new = again.slot(0, entry.body["slot"])
    trial.accept(again)
    with pytest.raises(NotAuthorizedError, match="no logged sealing"):
        trial.open(entry, slot=new)
    body: dict[str, Json] = {
        "list": 1, "sealing": 2, "kid": again.sealed.kid, "wrap_sha256": again.wrap_sha256,
    }  # fmt: skip
    trial.log.add("list.resealed", body, "statistician")
    trial.follow()

    assert trial.open(entry, slot=new).opening.arm == trial.arm(entry)
    assert trial.open(entry).opening.arm == trial.arm(entry)  # the first sealing is logged still
    with pytest.raises(BlobLockedError):
        trial.open(entry, slot=replace(new, wrap=trial.hand.sealed.wrap))


@pytest.fixture
def rotating(tmp_path: Path) -> tuple[Path, SealedTrial]:
    """Return a trial with an active list, and the directory of keys of its own."""
    directory = tmp_path / "rotating"
    keys = create_keys(directory)
    Register.create(tmp_path / "its-anchors", keys.kid)
    trial = SealedTrial(keys, tmp_path / "its-anchors", seal_small_list(keys))
    trial.begin()
    trial.seal()
    trial.accept()
    trial.activate()
    trial.follow()
    return directory, trial


def rotate(directory: Path, trial: SealedTrial) -> ServerKeys:
    old = trial.keys
    trial.keys = rotate_sealing_key(directory)
    Register(trial.anchors).add_kid(trial.keys.kid)
    trial.restart()
    return old


def test_a_rewrapped_list_opens_with_the_new_wrap_and_no_longer_with_the_old_one(
    rotating: tuple[Path, SealedTrial],
) -> None:
    directory, trial = rotating
    entry = assigned_and_followed(trial)
    sealed = trial.hand.sealed
    old = rotate(directory, trial)
    place = (ORIGIN, sealed.design_sha256, sealed.root)
    key = unwrap_tranche_key(old.unwrap_key(old.kid), sealed.wrap, *place, old.kid)
    wrap = wrap_tranche_key(key, trial.keys.public_key, *place)
    slot = trial.hand.slot(0, entry.body["slot"])

    assert trial.open(entry).opening.arm == trial.arm(entry)  # by the older key
    rewrap(trial, trial.keys.kid, wrap)

    assert trial.open(entry, slot=replace(slot, wrap=wrap)).opening.arm == trial.arm(entry)
    with pytest.raises(NotAuthorizedError, match="no logged sealing"):
        trial.open(entry)


def test_a_wrap_to_a_key_that_is_not_here_opens_nothing(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    wrap = bytes(80)
    rewrap(trial, "0" * 16, wrap)

    with pytest.raises(UnknownKidError, match="0000000000000000"):
        trial.open(entry, slot=replace(trial.hand.slot(0, entry.body["slot"]), wrap=wrap))


def read_design(trial: SealedTrial, number: int = 1) -> Entry:
    entry = trial.log.add("design.read", {"list": number}, "statistician")
    trial.follow()
    return entry


def test_a_design_opens_for_a_followed_design_read_alone(active_trial: SealedTrial) -> None:
    trial = active_trial
    sealed = trial.hand.sealed.design_sealed
    entry = trial.log.add("design.read", {"list": 1}, "statistician")
    with pytest.raises(NotAuthorizedError, match=f"entry {entry.seq} is no followed design.read"):
        trial.sealer.open_design(ORIGIN, entry.seq, sealed)
    trial.follow()

    assert trial.sealer.open_design(ORIGIN, entry.seq, sealed) == trial.hand.generated.design
    for seq in (-1, 0, entry.seq - 1, entry.seq + 1):
        with pytest.raises(NotAuthorizedError):
            trial.sealer.open_design(ORIGIN, seq, sealed)


def test_a_design_that_is_not_the_frozen_one_does_not_open(
    active_trial: SealedTrial, server_keys: ServerKeys
) -> None:
    trial = active_trial
    entry = read_design(trial)
    design = trial.hand.generated.design
    other = seal_small_list(server_keys, number=2)
    elsewhere = replace(design, trial="TEST-OTHER")

    for sealed in (
        other.sealed.design_sealed,
        seal_design(elsewhere, server_keys.public_key, f"{HOST}/TEST-OTHER/audit"),
        seal_design(replace(design, salt="ab" * 32), server_keys.public_key, ORIGIN),
        b"",
        bytes(100),
    ):
        with pytest.raises(SealedDesignError):
            trial.sealer.open_design(ORIGIN, entry.seq, sealed)


def test_a_design_opens_before_its_list_is_sealed_and_after_the_key_was_rotated(
    tmp_path: Path,
) -> None:
    keys = create_keys(tmp_path / "keys")
    Register.create(tmp_path / "anchors", keys.kid)
    trial = SealedTrial(keys, tmp_path / "anchors", seal_small_list(keys))
    trial.begin()
    design = trial.hand.generated.design
    trial.log.add("design.frozen", {"list": 1, "design_sha256": design.sha256})
    entry = read_design(trial)
    before = trial.hand.sealed.design_sealed

    assert trial.sealer.open_design(ORIGIN, entry.seq, before) == design
    rotate(tmp_path / "keys", trial)
    after = seal_design(design, trial.keys.public_key, ORIGIN)
    assert trial.sealer.open_design(ORIGIN, entry.seq, before) == design
    assert trial.sealer.open_design(ORIGIN, entry.seq, after) == design


# --- secrets ----------------------------------------------------------------------------------


def test_no_repr_and_no_refusal_of_the_sealer_names_an_arm(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    opened = trial.open(entry)

    assert opened.opening.arm not in repr(opened)
    assert opened.opening.nonce not in repr(opened)
    assert opened.opening.arm not in repr(vars(trial.sealer))
    with pytest.raises(TypeError):
        pickle.dumps(trial.sealer)


def test_no_file_of_the_sealer_holds_an_arm(active_trial: SealedTrial) -> None:
    trial = active_trial
    trial.open(assigned_and_followed(trial))

    for path in trial.anchors.iterdir():
        data = path.read_bytes()
        assert b"EXPERIMENTAL" not in data
        assert b"CONTROL" not in data


# --- many at once -----------------------------------------------------------------------------


def follow_to(sealer: LocalSealer, entries: list[bytes], end: int) -> None:
    """Follow as a worker does: its read may be older than what others have followed."""
    since = sealer.status(ORIGIN).size
    if since <= end:
        sealer.follow(ORIGIN, since, entries[since - 1 : end])


def test_eight_processes_with_threads_that_follow_one_log_make_one_anchor(
    trial: SealedTrial,
) -> None:
    shared = trial.sealer
    for _ in range(60):
        trial.log.add_site()
    entries = trial.log.entries

    def work(sealer: LocalSealer, first: int) -> None:
        for end in range(first, len(entries) + 1, 5):
            follow_to(sealer, entries, end)
        follow_to(sealer, entries, len(entries))

    def process(number: int) -> None:
        own = trial.another_sealer()
        sealers = [shared, own, own]
        children.run_threads([partial(work, sealer, 5 + number % 5) for sealer in sealers])
        assert own.followed(ORIGIN) == shared.followed(ORIGIN) == entries

    ends = children.run_all([partial(process, number) for number in range(8)])

    assert ends == [0] * 8
    assert trial.anchored == entries
    assert trial.status.frozen == trial.status.blocked == ""


def test_workers_that_are_killed_at_random_moments_leave_a_prefix_and_no_freeze(
    trial: SealedTrial,
) -> None:
    for _ in range(200):
        trial.log.add_site()
    entries = trial.log.entries

    def work() -> None:
        own = trial.another_sealer()
        for end in range(5, len(entries) + 1):
            follow_to(own, entries, end)

    for round_ in range(6):
        workers = [children.start(work) for _ in range(3)]
        time.sleep(0.005 * (round_ + 1))
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            children.wait(pid)
        trial.restart()
        kept = trial.sealer.followed(ORIGIN)
        assert kept == entries[: len(kept)]

    trial.follow()
    assert trial.anchored == entries
    assert trial.status.frozen == ""


def test_threads_of_one_sealer_open_their_own_slots_while_others_follow(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    entries = [trial.assign(stratum) for stratum in (0, 0, 0, 1, 1, 1)]
    log = list(trial.log.entries)

    def reveal(entry: Entry) -> None:
        follow_to(trial.sealer, log, entry.seq + 1)
        assert trial.open(entry).opening.arm == trial.arm(entry)

    children.run_threads([partial(reveal, entry) for entry in entries * 3])

    assert trial.anchored == log


def test_two_processes_that_begin_the_same_log_at_once_make_one_anchor(
    new_trial: SealedTrial,
) -> None:
    new_trial.log.create()

    def begin() -> None:
        own = new_trial.another_sealer()
        try:
            own.follow(ORIGIN, 0, new_trial.log.entries)
        except ProtocolError:
            own.follow(ORIGIN, 1, new_trial.log.entries)

    assert children.run_all([begin] * 4) == [0] * 4
    assert new_trial.sealer.origins() == [ORIGIN]
    assert new_trial.anchored == new_trial.log.entries


def test_nothing_that_a_caller_without_the_log_can_ask_opens_a_slot(
    active_trial: SealedTrial,
) -> None:
    """Every slot that was not assigned stays closed, whatever is named."""
    trial = active_trial
    entry = assigned_and_followed(trial)
    opened = []
    attacks: list[Callable[[], object]] = []
    for stratum, slots in enumerate(trial.hand.sealed.slots):
        for slot in range(slots):
            held = trial.hand.slot(stratum, slot)
            for seq in range(trial.status.size):
                attacks.append(
                    partial(trial.sealer.open, ORIGIN, seq, entry.body["enrolment"], held)
                )
    for attack in attacks:
        try:
            opened.append(attack())
        except RefusalError:
            continue

    assert len(opened) == 1
    assert len(attacks) == 7 * trial.status.size


def test_the_interface_has_no_way_to_name_a_slot() -> None:
    names = set(inspect.signature(LocalSealer.open).parameters)

    assert names == {"self", "origin", "seq", "enrolment", "sealed"}
    assert set(SlotToOpen.__dataclass_fields__) == {"blob", "wrap", "proof"}


def test_a_frozen_trial_does_not_freeze_its_neighbour(active_trial: SealedTrial) -> None:
    trial = active_trial
    neighbour = SealedTrial(trial.keys, trial.anchors, trial.hand, f"{HOST}/TEST-NEIGHBOUR/audit")
    neighbour.begin()
    with pytest.raises(FrozenError):
        neighbour.sealer.follow(neighbour.origin, 1, [])

    assert neighbour.status.frozen
    assert trial.status.frozen == ""
    entry = assigned_and_followed(trial)
    assert trial.open(entry).opening.arm == trial.arm(entry)


def test_a_log_that_names_no_list_accepts_none(new_trial: SealedTrial) -> None:
    new_trial.begin()

    with pytest.raises(NotAcceptedError):
        new_trial.sealer.require_accepted(ORIGIN, new_trial.acceptance())
    activated = new_trial.log.write("list.activated", {"list": 1}).data
    with pytest.raises(BlockedError, match="no frozen design"):
        new_trial.sealer.follow(ORIGIN, 1, [*new_trial.log.entries, activated])
