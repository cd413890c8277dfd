"""An entry that cannot be followed blocks its trial, and it alone ends the block."""

from collections.abc import Callable

import pytest

from alloc_service.errors import AnchorWriteError, BlockedError, CanonError
from alloc_service.log import entry
from tests.support.broken_disk import break_fsync
from tests.support.sealed_trial import ORIGIN, SealedTrial
from tests.support.shown import altered, refused_by_the_rules, show

pytestmark = pytest.mark.parametrize("reach", ["local", "remote"], indirect=True)


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
