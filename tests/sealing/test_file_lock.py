"""Who waits for whom: one lock for the threads of all processes."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from alloc_service.sealing.files import FileLock
from tests.support import children


def is_free(path: Path) -> bool:
    """Return whether a stranger could take the lock at once."""

    def take() -> None:
        descriptor = os.open(path, os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    return children.run(take) == 0


def test_a_lock_is_held_inside_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    with FileLock(path).held():
        assert not is_free(path)

    assert is_free(path)


def test_the_same_thread_may_hold_a_lock_again_inside(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")

    with lock.held():
        with lock.held():
            pass
        assert not is_free(tmp_path / "lock")

    assert is_free(tmp_path / "lock")


def test_a_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), FileLock(tmp_path / "lock").held():
        raise ValueError("inside")

    assert is_free(tmp_path / "lock")


def count_up(lock: FileLock, path: Path, times: int) -> None:
    for _ in range(times):
        with lock.held():
            count = int(path.read_text())
            path.write_text(str(count + 1))


def test_a_lock_excludes_threads_and_processes_with_the_same_and_with_other_objects(
    tmp_path: Path,
) -> None:
    counter, path = tmp_path / "counter", tmp_path / "lock"
    counter.write_text("0")
    shared = FileLock(path)

    def in_threads() -> None:
        locks = [shared, shared, FileLock(path)]
        children.run_threads([partial(count_up, lock, counter, 25) for lock in locks])

    ends = children.run_all([in_threads] * 4)

    assert ends == [0] * 4
    assert counter.read_text() == str(4 * 3 * 25)


def test_two_threads_that_first_take_a_lock_after_a_fork_exclude_each_other(
    tmp_path: Path,
) -> None:
    counter, lock = tmp_path / "counter", FileLock(tmp_path / "lock")
    counter.write_text("0")
    with lock.held():
        pass

    def child() -> None:
        together = threading.Barrier(8)

        def count() -> None:
            together.wait()
            count_up(lock, counter, 5)

        children.run_threads([count] * 8)

    assert [children.run(child) for _ in range(5)] == [0] * 5
    assert counter.read_text() == str(5 * 8 * 5)


@contextmanager
def held_by_another_thread(lock: FileLock) -> Iterator[threading.Event]:
    """Hold a lock in another thread until the event is set, or the block ends."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        yield done
    finally:
        done.set()
        thread.join()


def test_a_child_forked_while_another_thread_holds_the_lock_waits_for_it_and_no_longer(
    tmp_path: Path,
) -> None:
    lock, note = FileLock(tmp_path / "lock"), tmp_path / "note"

    def child() -> None:
        with lock.held():
            note.write_text("taken")

    with held_by_another_thread(lock) as done:
        pid = children.start(child)
        time.sleep(0.1)
        assert not note.exists()
        done.set()
        assert children.wait(pid) == 0

    assert note.exists()


def test_a_child_does_not_keep_the_lock_of_a_parent_that_was_killed(tmp_path: Path) -> None:
    lock, path = FileLock(tmp_path / "lock"), tmp_path / "lock"
    reading, writing = os.pipe()

    def parent() -> None:
        with held_by_another_thread(lock):
            grandchild = children.start(lambda: time.sleep(20))
            os.write(writing, b"%d " % grandchild)
            time.sleep(20)

    pid = children.start(parent)
    grandchild = int(os.read(reading, 20))
    try:
        assert not is_free(path)
        os.kill(pid, 9)
        assert children.wait(pid) == children.KILLED
        assert is_free(path)
    finally:
        os.kill(grandchild, 9)
        os.close(reading)
        os.close(writing)


def test_a_child_forked_inside_leaves_the_lock_to_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = FileLock(path).held()

    held.__enter__()
    assert children.run(lambda: held.__exit__(None, None, None)) == 0
    assert not is_free(path)
    held.__exit__(None, None, None)

    assert is_free(path)


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    lock, path = FileLock(tmp_path / "lock"), tmp_path / "lock"
    reading, writing = os.pipe()

    def hold() -> None:
        with lock.held():
            os.write(writing, b"held")
            time.sleep(20)

    pid = children.start(hold)
    os.read(reading, 4)
    assert not is_free(path)
    os.kill(pid, 9)
    children.wait(pid)

    assert is_free(path)
    os.close(reading)
    os.close(writing)


def test_an_interrupted_wait_for_a_lock_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    lock = FileLock(tmp_path / "nothing" / "lock")

    for _ in range(3):
        with pytest.raises(FileNotFoundError), lock.held():
            pass
    for _ in range(3):
        with FileLock(tmp_path / "lock").held():
            pass

    assert len(list(Path("/proc/self/fd").iterdir())) == before
