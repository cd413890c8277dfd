"""A recovery ends in one entry, which alone ends a freeze, a block or a lost anchor."""

from collections.abc import Callable

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import (
    AnchorWriteError,
    BlockedError,
    FrozenError,
    ProtocolError,
    RefusalError,
)
from alloc_service.sealing.keys import ServerKeys
from tests.support import children
from tests.support.broken_disk import break_fsync
from tests.support.sealed_trial import HOST, ORIGIN, ListInHand, SealedTrial, TrialLog
from tests.support.shown import altered, refused_by_the_rules, rewritten, show

pytestmark = pytest.mark.parametrize("reach", ["local", "remote"], indirect=True)


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
