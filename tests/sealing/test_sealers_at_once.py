"""Threads and processes that follow one log at once make one anchor."""

import os
import signal
import time
from functools import partial

from alloc_service.errors import ProtocolError
from alloc_service.log.entry import Entry
from alloc_service.sealing.local import LocalSealer
from tests.support import children
from tests.support.sealed_trial import ORIGIN, SealedTrial


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
