"""Processes that are killed while they append: what they leave is a prefix that folds."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import children
from tests.support.broken_disk import break_fsync
from tests.support.sealed_trial import ORIGIN, SealedTrial


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
