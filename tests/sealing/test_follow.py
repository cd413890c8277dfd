"""Following: what freezes a trial, what blocks it, and what does neither."""

from collections.abc import Callable

import pytest

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.errors import (
    AnchorWriteError,
    BlockedError,
    CanonError,
    EntryError,
    FrozenError,
    NoteError,
    ProtocolError,
    RefusalError,
    RuleError,
)
from alloc_service.log import entry
from alloc_service.log.note import open_checkpoint
from alloc_service.sealing.keys import ServerKeys
from tests.support import children
from tests.support.broken_disk import break_fsync
from tests.support.sealed_trial import HOST, ORIGIN, ListInHand, SealedTrial, TrialLog


def altered(data: bytes, **changes: Json) -> bytes:
    """Return the canonical bytes of an entry with other values in its frame."""
    return canon({**parse_object(data), **changes})


# --- the beginning ----------------------------------------------------------------------------


def test_a_new_log_begins_with_since_0_and_trial_created_as_the_whole_of_it(
    new_trial: SealedTrial,
) -> None:
    new_trial.log.create()

    note = new_trial.sealer.follow(ORIGIN, 0, new_trial.log.entries)

    checkpoint = open_checkpoint(note, new_trial.sealer.log_key(ORIGIN))
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, 1)
    assert new_trial.sealer.origins() == [ORIGIN]


def test_since_0_is_refused_for_an_origin_that_was_registered_once(trial: SealedTrial) -> None:
    for entries in (trial.log.entries[:1], trial.log.entries, []):
        with pytest.raises(ProtocolError, match="followed before"):
            trial.sealer.follow(ORIGIN, 0, entries)

    assert trial.status.frozen == ""


def test_since_0_is_refused_for_another_host(new_trial: SealedTrial) -> None:
    for host in (f"not-{HOST}", f"{HOST}.evil.example", HOST.upper()):
        log = TrialLog(f"{host}/TEST-SEALER/audit")
        log.create()
        with pytest.raises(ProtocolError, match=f"does not begin on {HOST}"):
            new_trial.sealer.follow(log.origin, 0, log.entries)

    assert new_trial.sealer.origins() == []


def test_since_0_is_refused_for_another_origin_than_the_one_in_trial_created(
    new_trial: SealedTrial,
) -> None:
    log = TrialLog(f"{HOST}/TEST-OTHER/audit")
    log.create()

    with pytest.raises(ProtocolError, match=r"this trial\.created is not of"):
        new_trial.sealer.follow(ORIGIN, 0, log.entries)


def test_since_0_is_refused_for_a_log_longer_than_trial_created_or_empty(
    new_trial: SealedTrial,
) -> None:
    new_trial.log.create()
    new_trial.log.add_site()

    for entries in (new_trial.log.entries, []):
        with pytest.raises(ProtocolError, match="all of it"):
            new_trial.sealer.follow(ORIGIN, 0, entries)

    assert new_trial.status.size == 0


def test_since_0_is_refused_for_anything_else_than_trial_created(trial: SealedTrial) -> None:
    origin = f"{HOST}/TEST-OTHER/audit"

    with pytest.raises(RuleError):
        trial.sealer.follow(origin, 0, trial.log.entries[1:2])
    with pytest.raises(CanonError):
        trial.sealer.follow(origin, 0, [b"{}\n"])

    assert trial.sealer.origins() == [ORIGIN]
    assert not (trial.anchors / f"{origin}.anchor").exists()


def test_a_log_that_never_began_here_is_not_followed(new_trial: SealedTrial) -> None:
    new_trial.log.create()

    with pytest.raises(ProtocolError, match="never followed here"):
        new_trial.sealer.follow(ORIGIN, 1, new_trial.log.entries)


def test_the_log_of_another_trial_stays_apart(trial: SealedTrial) -> None:
    log = TrialLog(f"{HOST}/TEST-OTHER/audit")
    log.create()
    trial.sealer.follow(log.origin, 0, log.entries)
    with pytest.raises(FrozenError):
        trial.sealer.follow(log.origin, 1, [])

    assert trial.status.frozen == ""
    assert trial.follow()
    assert trial.sealer.origins() == [ORIGIN, log.origin]


# --- the checkpoint ---------------------------------------------------------------------------


def test_following_answers_with_a_signed_checkpoint_of_everything_followed(
    trial: SealedTrial,
) -> None:
    trial.log.add_site()

    checkpoint = open_checkpoint(trial.follow(), trial.sealer.log_key(ORIGIN))

    assert checkpoint.size == len(trial.log.entries)
    assert checkpoint == open_checkpoint(
        trial.another_sealer().follow(ORIGIN, 1, trial.log.entries), trial.sealer.log_key(ORIGIN)
    )


def test_a_checkpoint_is_signed_under_its_own_origin_alone(trial: SealedTrial) -> None:
    other = trial.sealer.log_key(f"{HOST}/TEST-OTHER/audit")

    with pytest.raises(NoteError):
        open_checkpoint(trial.follow(), other)


# --- overlap ----------------------------------------------------------------------------------


def test_entries_that_are_followed_already_change_nothing(trial: SealedTrial) -> None:
    before = trial.anchor_path.read_bytes()

    for since in range(1, 5):
        assert trial.sealer.follow(ORIGIN, since, trial.log.entries[since - 1 :])

    assert trial.anchor_path.read_bytes() == before


def test_at_start_the_whole_log_is_shown_with_since_1(trial: SealedTrial) -> None:
    trial.log.add_site()
    trial.restart()

    trial.sealer.follow(ORIGIN, 1, trial.log.entries)

    assert trial.anchored == trial.log.entries


@pytest.mark.parametrize("since", [-1, 5, 6, 1000])
def test_a_since_that_the_sealer_never_gave_is_an_error_without_a_freeze(
    trial: SealedTrial, since: int
) -> None:
    for entries in ([], trial.log.entries, trial.log.entries[3:]):
        with pytest.raises(ProtocolError, match="never gave"):
            trial.sealer.follow(ORIGIN, since, entries)

    assert trial.status.frozen == ""


def test_a_read_that_ends_inside_the_anchor_and_equals_it_is_no_reason_to_freeze(
    trial: SealedTrial,
) -> None:
    for since in range(1, 5):
        for end in range(since, 5):
            assert trial.sealer.follow(ORIGIN, since, trial.log.entries[since - 1 : end])

    assert trial.status.frozen == ""
    assert trial.anchored == trial.log.entries


def test_two_honest_workers_with_a_stale_read_freeze_nothing(trial: SealedTrial) -> None:
    one, two = trial.another_sealer(), trial.another_sealer()
    since_one = one.status(ORIGIN).size
    since_two = two.status(ORIGIN).size
    trial.log.add_site()
    stale = list(trial.log.entries[since_one - 1 :])
    trial.log.add_site()
    fresh = list(trial.log.entries[since_two - 1 :])

    two.follow(ORIGIN, since_two, fresh)
    note = one.follow(ORIGIN, since_one, stale)

    assert note.startswith(f"{ORIGIN}\n6\n")
    assert one.status(ORIGIN).frozen == ""
    assert trial.anchored == trial.log.entries


# --- frozen -----------------------------------------------------------------------------------


def rewritten(trial: SealedTrial, size: int, new: int) -> TrialLog:
    """Return the log of a restored backup that has grown again by other entries."""
    log = trial.log.restored(size)
    for number in range(new):
        log.add("site.activated", {"site": f"after-the-restore-{number}"})
    return log


def require_frozen(trial: SealedTrial, why: str) -> None:
    """Check that nothing opens or is followed any more, here, elsewhere and after a restart."""
    enrolment, assigned = next(iter(trial.log.state.assigned.items()))
    slot = trial.hand.slot(assigned.stratum, assigned.slot)
    before = trial.anchor_path.read_bytes()
    for restart in (False, True):
        if restart:
            trial.restart()
        assert why in trial.status.frozen
        assert trial.status.size == trial.log.state.size
        assert trial.status.last == trial.log.state.last
        for since in (1, trial.status.size):
            with pytest.raises(FrozenError, match=why):
                trial.sealer.follow(ORIGIN, since, trial.log.entries[since - 1 :])
        with pytest.raises(FrozenError, match=why):
            trial.sealer.open(ORIGIN, assigned.seq, enrolment, slot)
        with pytest.raises(FrozenError, match=why):
            trial.sealer.open_design(ORIGIN, 0, b"")
    assert trial.anchor_path.read_bytes() == before


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("lost", [1, 2, 7])
def test_a_restored_log_that_is_shorter_freezes_the_trial_lastingly(
    active_trial: SealedTrial, lost: int, *, running: bool
) -> None:
    trial = active_trial
    size = len(trial.log.entries)
    if not running:
        trial.restart()

    with pytest.raises(FrozenError):
        trial.follow(trial.log.restored(size - lost))

    require_frozen(trial, f"the log has no entry {size - 1}")


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("grown", [0, 1, 5])
def test_a_restored_log_of_equal_size_or_grown_past_the_anchor_freezes_the_trial_lastingly(
    active_trial: SealedTrial, grown: int, *, running: bool
) -> None:
    trial = active_trial
    size = len(trial.log.entries)
    if not running:
        trial.restart()

    with pytest.raises(FrozenError):
        trial.follow(rewritten(trial, size - 2, 2 + grown))

    require_frozen(trial, f"the log's entry {size - 1} is not the one")


def test_the_first_entry_that_differs_is_named_where_the_whole_log_is_shown(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial

    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 1, rewritten(trial, 2, 9).entries)

    require_frozen(trial, "the log's entry 2 is not the one")


def test_an_edited_entry_freezes_the_trial(active_trial: SealedTrial) -> None:
    trial = active_trial
    edited = list(trial.log.entries)
    edited[1] = edited[1].replace(b"site-1", b"site-9")

    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 1, edited)

    require_frozen(trial, "the log's entry 1 is not the one")


@pytest.mark.parametrize("change", [{"v": "rac-log/2"}, {"type": "site.unheard-of"}])
def test_an_entry_of_a_newer_version_in_a_followed_place_contradicts_the_anchor(
    active_trial: SealedTrial, change: dict[str, Json]
) -> None:
    trial = active_trial
    entries = list(trial.log.entries)
    entries[2] = altered(entries[2], **change)

    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 1, entries)

    require_frozen(trial, "the log's entry 2 is not the one")


def test_a_freeze_is_seen_by_every_other_process_at_once(active_trial: SealedTrial) -> None:
    trial = active_trial
    other = trial.another_sealer()
    other.followed(ORIGIN)

    def freeze() -> None:
        with pytest.raises(FrozenError):
            trial.sealer.follow(ORIGIN, 1, [])

    assert children.run(freeze) == 0

    assert "no entry 0" in other.status(ORIGIN).frozen
    with pytest.raises(FrozenError, match="no entry 0"):
        other.follow(ORIGIN, 1, trial.log.entries)


def test_the_first_reason_of_a_freeze_stays(trial: SealedTrial) -> None:
    with pytest.raises(FrozenError, match="no entry 3"):
        trial.sealer.follow(ORIGIN, 4, [])

    with pytest.raises(FrozenError, match="no entry 3"):
        trial.sealer.follow(ORIGIN, 1, [])


def test_a_freeze_that_the_disk_refuses_is_made_by_the_next_call(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        break_fsync(patch)
        with pytest.raises(AnchorWriteError):
            trial.sealer.follow(ORIGIN, 4, [])

    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 4, [])
    trial.restart()
    assert trial.status.frozen


def test_a_process_killed_at_any_step_of_a_freeze_freezes_by_the_next_call(
    trial: SealedTrial,
) -> None:
    def prepare() -> Callable[[], object]:
        trial.anchor_path.with_suffix(".frozen").unlink(missing_ok=True)
        trial.restart()
        return freeze

    def freeze() -> None:
        with pytest.raises(FrozenError):
            trial.sealer.follow(ORIGIN, 4, [])

    for _step in children.kill_at_each_step(prepare):
        assert trial.status.frozen in {"", "the log has no entry 3, which the sealer followed"}
        freeze()
        assert trial.status.frozen


# --- malformed --------------------------------------------------------------------------------


MALFORMED = {
    "empty": b"",
    "no JSON": b"\xff\x00 no JSON",
    "no entry": b'{"a":1}',
    "not canonical": b" {}",
    "too long": b"x" * 70_000,
    "number": b"7",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("at", [0, 3, 4])
def test_malformed_input_is_an_error_and_freezes_or_blocks_nothing(
    trial: SealedTrial, data: bytes, at: int
) -> None:
    trial.log.add_site()
    entries = list(trial.log.entries)
    entries[at] = data

    with pytest.raises((EntryError, CanonError)):
        trial.sealer.follow(ORIGIN, 1, entries)

    assert (trial.status.frozen, trial.status.blocked) == ("", "")
    assert trial.follow()


@pytest.mark.parametrize("at", [1, 3, 4])
def test_an_entry_with_a_changed_byte_that_makes_it_no_entry_freezes_nothing(
    trial: SealedTrial, at: int
) -> None:
    trial.log.add_site()
    entries = list(trial.log.entries)
    entries[at] = entries[at].replace(b'"seq":', b'"Seq":')

    with pytest.raises((EntryError, CanonError)):
        trial.sealer.follow(ORIGIN, 1, entries)

    assert trial.status.frozen == ""
    assert trial.follow()


@pytest.mark.parametrize("change", [{}, {"v": "rac-log/2"}, {"type": "site.unheard-of"}])
@pytest.mark.parametrize("skipped", [0, 2, 4])
def test_a_well_formed_entry_in_a_wrong_place_is_an_error_and_freezes_or_blocks_nothing(
    trial: SealedTrial, skipped: int, change: dict[str, Json]
) -> None:
    trial.log.add_site()
    last = altered(trial.log.add_site().data, **change)
    entries = [*trial.log.entries[:skipped], last]

    with pytest.raises(ProtocolError, match=f"entry 5 was shown in the place of entry {skipped}"):
        trial.sealer.follow(ORIGIN, 1, entries)

    assert (trial.status.frozen, trial.status.blocked) == ("", "")


def test_the_entries_before_a_malformed_one_are_followed(trial: SealedTrial) -> None:
    trial.log.add_site()
    trial.log.add_site()
    entries = [*trial.log.entries[:5], b"no entry", trial.log.entries[5]]

    with pytest.raises(CanonError):
        trial.sealer.follow(ORIGIN, 4, entries[3:])

    assert trial.status.size == 5


# --- blocked ----------------------------------------------------------------------------------


def show(trial: SealedTrial, *more: bytes) -> str:
    """Follow the log with something after it that the service's own fold would refuse."""
    since = trial.status.size
    return trial.sealer.follow(ORIGIN, since, [*trial.log.entries[since - 1 :], *more])


def refused_by_the_rules(trial: SealedTrial) -> bytes:
    return trial.log.write("site.paused", {"site": "never-activated"}).data


def of_an_unknown_type(trial: SealedTrial) -> bytes:
    return altered(trial.log.write("site.activated", {"site": "x"}).data, type="site.unheard-of")


def of_a_newer_version(trial: SealedTrial) -> bytes:
    return altered(trial.log.write("site.activated", {"site": "x"}).data, v="rac-log/2")


def of_a_broken_chain(trial: SealedTrial) -> bytes:
    return altered(trial.log.write("site.activated", {"site": "x"}).data, prev="ab" * 32)


def of_a_recovery_made_elsewhere(trial: SealedTrial) -> bytes:
    return trial.log.restored(len(trial.log.entries)).recover().data


BLOCKING = {
    refused_by_the_rules: "the site is not active",
    of_an_unknown_type: "of type 'site.unheard-of', which this version does not know",
    of_a_newer_version: "is written in version 'rac-log/2'",
    of_a_broken_chain: "its prev is not the leaf of the entry before",
    of_a_recovery_made_elsewhere: "this sealer made no such recovery",
}


@pytest.mark.parametrize(("make", "rule"), BLOCKING.items())
def test_an_entry_that_cannot_be_followed_blocks_and_is_named_by_seq_and_rule(
    trial: SealedTrial, make: Callable[[SealedTrial], bytes], rule: str
) -> None:
    trial.log.add_site()
    trial.log.add_site()
    data = make(trial)

    for restart in (False, True):
        if restart:
            trial.restart()
        with pytest.raises(BlockedError) as caught:
            show(trial, data)
        assert rule in str(caught.value)
        assert trial.status.blocked.startswith("entry 6: ")
        assert rule in trial.status.blocked
        assert trial.another_sealer().status(ORIGIN).blocked == trial.status.blocked
        assert trial.status.frozen == ""
        assert trial.anchored == trial.log.entries  # those before it are followed


@pytest.mark.parametrize("make", BLOCKING)
def test_nothing_after_a_blocking_entry_is_followed(
    trial: SealedTrial, make: Callable[[SealedTrial], bytes]
) -> None:
    data = make(trial)
    after = altered(data, type="site.activated", v="rac-log/1", seq=5)

    with pytest.raises(BlockedError):
        show(trial, data, after)

    assert trial.anchored == trial.log.entries


def test_a_blocked_trial_still_opens_what_was_followed(active_trial: SealedTrial) -> None:
    trial = active_trial
    assigned = trial.assign()

    with pytest.raises(BlockedError):
        show(trial, refused_by_the_rules(trial))

    assert trial.open(assigned).opening.arm == trial.arm(assigned)


def test_a_stale_read_that_ends_before_the_blocking_entry_does_not_end_the_block(
    trial: SealedTrial,
) -> None:
    with pytest.raises(BlockedError):
        show(trial, refused_by_the_rules(trial))

    assert trial.follow()

    assert trial.status.blocked


def test_another_entry_in_the_place_of_the_blocking_one_is_not_followed(
    trial: SealedTrial,
) -> None:
    with pytest.raises(BlockedError):
        show(trial, refused_by_the_rules(trial))
    trial.log.add_site()

    for restart in (False, True):
        if restart:
            trial.restart()
        with pytest.raises(BlockedError, match="Another entry is shown in its place"):
            trial.follow()

    assert trial.status.size == 4


def test_malformed_input_in_the_place_of_the_blocking_entry_is_called_malformed(
    trial: SealedTrial,
) -> None:
    with pytest.raises(BlockedError):
        show(trial, refused_by_the_rules(trial))

    with pytest.raises(CanonError):
        show(trial, b"no entry")


def test_a_block_ends_by_upgrading_to_a_version_that_can_follow_the_very_entry(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.log.add_site()
    new = trial.log.entries[-1]
    with monkeypatch.context() as older:  # the version before site.activated was a type
        older.delitem(entry._GRAMMARS, "site.activated")
        older.setattr(entry, "FIELDS", {"trial.created": entry.FIELDS["trial.created"]})
        with pytest.raises(BlockedError, match="does not know"):
            trial.sealer.follow(ORIGIN, 4, [trial.log.entries[3], new])
    assert trial.status.blocked

    trial.restart()
    trial.follow()

    assert trial.status.blocked == ""
    assert trial.anchored == trial.log.entries


def test_a_block_that_a_crash_left_over_ends_with_the_next_follow(
    sealed_trial: SealedTrial,
) -> None:
    trial = sealed_trial
    trial.activate()
    with pytest.raises(BlockedError):
        trial.follow()
    block = trial.anchor_path.with_suffix(".blocked").read_bytes()
    trial.accept()
    trial.follow()
    trial.anchor_path.with_suffix(".blocked").write_bytes(block)

    assert trial.status.blocked
    trial.follow()

    assert trial.status.blocked == ""


def test_a_block_that_the_disk_refuses_is_made_by_the_next_call(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = refused_by_the_rules(trial)
    with monkeypatch.context() as patch:
        break_fsync(patch)
        with pytest.raises(AnchorWriteError):
            show(trial, data)

    with pytest.raises(BlockedError):
        show(trial, data)


def test_an_unreadable_block_ends_only_by_a_recovery(trial: SealedTrial) -> None:
    trial.anchor_path.with_suffix(".blocked").write_bytes(b"")
    trial.log.add_site()
    with pytest.raises(BlockedError, match="for no stated reason"):
        trial.follow()

    recovered = trial.log.restored(4)
    recovered.recover()
    trial.sealer.resume(ORIGIN, recovered.entries[3:])

    assert trial.status.blocked == ""


# --- recovery ---------------------------------------------------------------------------------


def test_a_recovery_ends_the_freeze_once_its_entry_was_followed(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    with pytest.raises(FrozenError):
        trial.follow(rewritten(trial, 3, 20))

    kept = TrialLog(ORIGIN)
    kept.entries = trial.sealer.followed(ORIGIN)
    assert kept.entries == trial.log.entries
    trial.log.recover()
    note = trial.sealer.resume(ORIGIN, trial.log.entries[-2:])

    assert note.startswith(f"{ORIGIN}\n{len(trial.log.entries)}\n")
    assert trial.status.frozen == ""
    assigned = trial.assign()
    trial.follow()
    assert trial.open(assigned).opening.arm == trial.arm(assigned)


def test_a_recovery_ends_the_block_and_moves_the_blocking_entry_away(trial: SealedTrial) -> None:
    with pytest.raises(BlockedError):
        show(trial, refused_by_the_rules(trial))

    trial.log.recover()
    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])

    assert trial.status.blocked == ""
    trial.log.add_site()
    assert trial.follow()


def test_other_sealers_follow_on_after_a_recovery(active_trial: SealedTrial) -> None:
    trial, other = active_trial, active_trial.another_sealer()
    with pytest.raises(FrozenError):
        other.follow(ORIGIN, 1, [])
    trial.log.recover()
    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])
    trial.log.add_site()

    assert other.follow(ORIGIN, 1, trial.log.entries)


def test_what_is_no_end_of_a_recovery_leaves_the_trial_frozen(active_trial: SealedTrial) -> None:
    trial = active_trial
    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 1, [])
    size = len(trial.log.entries)
    last = trial.log.entries[-1]
    site = trial.log.restored(size).add_site().data
    recovering = trial.log.restored(size)
    recovered = recovering.recover().data
    after = recovering.add_site().data
    late = trial.log.restored(size)
    late.add_site()
    recovered_late = late.recover().data
    rules = recovering.write("log.recovered", {
        "upto": 0, "fork_sha256": "", "retired": [],
        "second": {"id": "second", "org": "o", "role": "administrator"},
    }).data  # fmt: skip

    for entries in (
        [last],
        [last, site],
        [last, recovered, after],
        [last, site, recovered_late],
        [last, after],
        [site, recovered],
        [],
        [last, altered(rules, seq=size, prev=trial.log.state.last)],
        [b"", recovered],
        [last, b""],
    ):
        with pytest.raises(RefusalError):
            trial.sealer.resume(ORIGIN, entries)
        assert trial.status.frozen == "the log has no entry 0, which the sealer followed"
        assert trial.sealer.followed(ORIGIN) == trial.log.entries

    assert trial.sealer.resume(ORIGIN, [last, recovered])


def test_a_recovery_that_crashed_is_run_again(active_trial: SealedTrial) -> None:
    trial = active_trial
    with pytest.raises(BlockedError):
        show(trial, refused_by_the_rules(trial))
    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 1, [])
    frozen = {path: path.read_bytes() for path in trial.anchors.glob(f"{trial.stem}.*")}
    size = len(trial.log.entries)

    def prepare() -> Callable[[], object]:
        for path in trial.anchors.glob(f"{trial.stem}.*"):
            path.unlink()
        for path, data in frozen.items():
            path.write_bytes(data)
        trial.log = trial.log.restored(size)
        trial.log.recover()
        trial.restart()
        return lambda: trial.sealer.resume(ORIGIN, trial.log.entries[-2:])

    ended = set()
    for _step in children.kill_at_each_step(prepare):
        kept = trial.sealer.followed(ORIGIN)
        assert kept in (trial.log.entries[:size], trial.log.entries)
        ended.add((len(kept) > size, bool(trial.status.blocked), bool(trial.status.frozen)))
        again = trial.log.restored(len(kept))
        again.recover()
        trial.sealer.resume(ORIGIN, again.entries[-2:])
        assert trial.status.frozen == ""

    # Followed or not, blocked or not, frozen or not: the freeze is the last to go.
    assert ended == {
        (False, True, True),
        (True, True, True),
        (True, False, True),
        (True, False, False),
    }


def test_a_recovery_that_the_disk_refuses_leaves_the_trial_frozen(
    active_trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = active_trial
    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 1, [])
    trial.log.recover()

    with monkeypatch.context() as patch:
        break_fsync(patch)
        with pytest.raises(AnchorWriteError):
            trial.sealer.resume(ORIGIN, trial.log.entries[-2:])
    assert trial.status.frozen

    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])
    assert trial.status.frozen == ""


@pytest.mark.parametrize("empty", [True, False])
def test_after_a_lost_anchor_the_whole_log_is_resumed_with_every_list_retired(
    active_trial: SealedTrial, *, empty: bool
) -> None:
    trial = active_trial
    assigned = trial.assign()
    trial.follow()
    trial.anchor_path.unlink()
    if empty:
        trial.anchor_path.touch()

    for log in (trial.log, recovered_with(trial, ())):
        with pytest.raises(ProtocolError):
            trial.sealer.resume(ORIGIN, log.entries)
        assert "missing" in trial.status.frozen
    trial.log.recover([1])
    assert trial.sealer.resume(ORIGIN, trial.log.entries)

    assert trial.status.frozen == ""
    assert trial.anchored == trial.log.entries
    assert trial.open(assigned).opening.arm == trial.arm(assigned)
    with pytest.raises(BlockedError, match="the list is retired"):
        show(trial, trial.write_assignment(0, trial.hand).data)


def recovered_with(trial: SealedTrial, retired: tuple[int, ...]) -> TrialLog:
    log = trial.log.restored(len(trial.log.entries))
    log.recover(retired)
    return log


def test_after_a_lost_anchor_a_running_sealer_takes_the_recovered_log(
    active_trial: SealedTrial,
) -> None:
    trial, running = active_trial, active_trial.another_sealer()
    running.followed(ORIGIN)
    trial.anchor_path.unlink()
    trial.log = trial.log.restored(5)  # the database was restored as well
    trial.log.recover([1])
    trial.sealer.resume(ORIGIN, trial.log.entries)
    trial.log.add_site()

    assert running.follow(ORIGIN, 1, trial.log.entries)


def test_after_a_lost_anchor_the_log_of_another_trial_is_not_resumed(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    other = TrialLog(f"{HOST}/TEST-OTHER/audit")
    other.create()
    other.recover()
    trial.anchor_path.unlink()

    with pytest.raises(ProtocolError, match="this log is not of"):
        trial.sealer.resume(ORIGIN, other.entries)

    assert not trial.anchor_path.exists()


def test_nothing_is_resumed_for_an_origin_that_was_never_followed(
    new_trial: SealedTrial,
) -> None:
    new_trial.log.create()
    new_trial.log.recover()

    with pytest.raises(ProtocolError, match="never followed"):
        new_trial.sealer.resume(ORIGIN, new_trial.log.entries)


def test_the_hash_of_an_enrolment_that_was_entered_again_counts(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    assigned = trial.assign()
    trial.follow()
    with pytest.raises(FrozenError):
        trial.sealer.follow(ORIGIN, 1, [])
    trial.log.recover()
    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])
    before = trial.open(assigned).enrolment_sha256
    body: dict[str, Json] = {
        "enrolment": assigned.body["enrolment"],
        "enrolment_sha256": "ef" * 32,
        "second": {"id": "second", "org": "site-01", "role": "administrator"},
    }
    trial.log.add("enrolment.restored", body, "administrator")
    trial.follow()

    assert before == assigned.body["enrolment_sha256"]
    assert trial.open(assigned).enrolment_sha256 == "ef" * 32


def test_a_standby_host_starts_from_the_carried_over_anchor(
    active_trial: SealedTrial, server_keys: ServerKeys, small_list: ListInHand
) -> None:
    trial = active_trial
    carried = trial.anchors.with_name("standby")
    trial.anchors.rename(carried)
    trial.log.add_site()

    standby = SealedTrial(server_keys, carried, small_list)
    standby.log = trial.log

    assert standby.follow()
    assert standby.anchored == trial.log.entries
