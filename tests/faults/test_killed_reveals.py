"""Reveals that are really killed: at named steps, at many lines, in the middle of a write.

Whatever the moment, the same must hold afterwards: a fresh process gives the same enrolment the
one slot that it was assigned, or the next one where none was; the log is whole, its anchor a
prefix of it, its checkpoints true; and an arm on the standard output of the process that was
killed is of a slot that was logged and followed before.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alloc_service.services.deps import Deps
from tests.faults import processes
from tests.faults.asking import KILLED, Asking
from tests.faults.life import Life
from tests.faults.processes import DieWriting, Step

# The steps of a reveal, in order, and how many slots are spent when it is killed there.
STEPS = {
    "before the enrolment is locked": ("call storage/queries/enrolments.py lock_enrolment", 0),
    "before the log is locked": ("call storage/queries/log.py lock_log_end", 0),
    "before the entry is stored": ("call storage/queries/log.py append_entries", 0),
    "before the assignment is stored": ("call storage/queries/enrolments.py add_assignment", 0),
    "before the commit": ("call storage/refusals.py committing", 0),
    "after the commit": ("call storage/queries/log.py glance_at_entries", 1),
    "before the entries are followed": ("call services/audit.py follow", 1),
    "before the entries go to the sealer": ("call sealing/local.py follow", 1),
    "before the anchor is written": ("call sealing/anchor.py write", 1),
    "after the anchor is written": ("return sealing/anchor.py write", 1),
    "before the checkpoint is signed": ("call log/note.py sign_checkpoint", 1),
    "after follow": ("return services/audit.py follow", 1),
    "before the slot is opened": ("call sealing/envelope.py open_slot", 1),
    "after the slot is opened": ("return sealing/local.py open", 1),
    "before the record is compared": ("call services/records.py require_logged", 1),
    "before the answer": ("return services/reveal.py reveal", 1),
}


@pytest.fixture
def asking(life: Life, deps: Deps, tmp_path: Path) -> Asking:
    return Asking(life, deps, tmp_path)


@pytest.mark.parametrize("step", STEPS)
def test_a_reveal_killed_at_a_step_is_read_again_with_the_same_slot(
    asking: Asking, step: str
) -> None:
    at, spends = STEPS[step]
    enrolment = asking.next_enrolment()

    assert asking.kill(enrolment, Step(at)) == spends

    asking.retry(enrolment)


@pytest.mark.parametrize(
    ("kind", "points", "participants"), [("sqlite", 60, 65), ("postgresql", 20, 25)]
)
def test_a_reveal_killed_at_any_line_is_read_again_with_the_same_slot(
    asking: Asking, points: int
) -> None:
    asking.retry(asking.next_enrolment())  # a first one has no record before it to be compared
    lines = asking.count_lines(asking.next_enrolment())
    spent = []
    for point in range(points):
        enrolment = asking.next_enrolment()
        spent.append(asking.kill(enrolment, Step(1 + lines * point // points, warm=True)))
        asking.retry(enrolment)

    assert spent == sorted(spent)  # none before the commit, one after it
    assert {0, 1} == set(spent)


def test_a_second_look_killed_at_any_line_spends_nothing(asking: Asking) -> None:
    enrolment = asking.next_enrolment()
    asking.retry(enrolment)
    lines = asking.count_lines(enrolment)

    for point in range(8):
        assert asking.kill(enrolment, Step(1 + lines * point // 8, warm=True)) == 1
    asking.retry(enrolment)


def test_an_anchor_with_a_torn_end_is_mended_and_the_slot_stays(asking: Asking) -> None:
    enrolment = asking.next_enrolment()
    torn = DieWriting(asking.life.anchor, more=100)

    assert asking.kill(enrolment, Step("call sealing/anchor.py write", torn)) == 1

    assert not asking.life.anchor.read_bytes().endswith(b"\n")
    asking.retry(enrolment)


@pytest.mark.parametrize("more", [0, 100, 5_000, 20_000])
@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_commit_killed_in_the_middle_of_its_write_spends_nothing(
    asking: Asking, more: int
) -> None:
    enrolment = asking.next_enrolment()
    log = asking.life.home.database_file.with_name("alloc.db-wal")
    with asking.deps.database.write():  # the write-ahead log stays as long as somebody is there
        pass
    asking.ask(asking.next_enrolment())

    torn = Step("call storage/refusals.py committing", DieWriting(log, more))
    assert asking.kill(enrolment, torn) == 0

    asking.retry(enrolment)


def test_a_process_killed_while_it_holds_a_lock_stops_nobody_else(
    asking: Asking, tmp_path: Path
) -> None:
    for at in ("call storage/refusals.py committing", "call sealing/anchor.py write"):
        enrolment = asking.next_enrolment()
        child, _ = processes.start_waiting(asking.life, enrolment, tmp_path / "stopped", at)
        asking.check(enrolment, [])
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(asking.retry, asking.next_enrolment())
            child.kill()
            assert processes.wait(child) == KILLED
            other.result(processes.LIMIT_SECONDS)
        asking.retry(enrolment)
