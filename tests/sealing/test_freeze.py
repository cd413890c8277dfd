"""A log that contradicts what was followed freezes its trial, lastingly."""

from collections.abc import Callable

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import AnchorWriteError, FrozenError
from tests.support import children
from tests.support.broken_disk import break_fsync
from tests.support.sealed_trial import ORIGIN, SealedTrial
from tests.support.shown import altered, rewritten

pytestmark = pytest.mark.parametrize("reach", ["local", "remote"], indirect=True)


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
