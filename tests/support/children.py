"""Real child processes, some of which are killed at a chosen step."""

import itertools
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

KILLED = -signal.SIGKILL

# The calls that change something outside the process, or wait for others.
_POSIX_STEPS = frozenset(
    ("open", "write", "fsync", "ftruncate", "replace", "rename", "unlink", "mkdir", "chmod")
)
_FILE_STEPS = frozenset(("write", "flush", "truncate"))


def start(action: Callable[[], object]) -> int:
    """Fork, do something in the child, and return its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Threads of a test, or of what runs it, may be at work: the child does only what follows.
        warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        action()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise
    finally:
        try:
            _save_coverage()
        finally:  # whatever happens, a child never goes on with the tests of its parent
            os._exit(code)


def wait(pid: int) -> int:
    """Return how a child ended: 0, 1 where it raised, `KILLED`."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(action: Callable[[], object]) -> int:
    """Do something in a child; return how it ended."""
    return wait(start(action))


def run_all(actions: Iterable[Callable[[], object]]) -> list[int]:
    """Do several things at once, each in a child of its own."""
    return [wait(pid) for pid in [start(action) for action in actions]]


def run_threads(actions: Iterable[Callable[[], object]]) -> None:
    """Do several things at once in threads; raise what the first of them raised."""
    faults: list[BaseException] = []

    def guarded(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as fault:
            faults.append(fault)
            raise

    threads = [threading.Thread(target=guarded, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def die_at(step: int) -> None:
    """Let this process be killed before or after its next steps of the system, at the given one."""
    steps = itertools.count()

    def watch(_frame: FrameType, event: str, called: object) -> None:
        if event in {"c_call", "c_return"} and _is_step(called) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)


def kill_at_each_step(prepare: Callable[[], Callable[[], object]]) -> Iterator[int]:
    """Run an action again and again, killed one step later each time, until it comes through.

    Args:
        prepare: Puts everything as it was, and returns the action.

    Yields:
        The step at which the child was just killed.
    """
    for step in itertools.count():
        action = prepare()

        def killed(action: Callable[[], object] = action, step: int = step) -> None:
            die_at(step)
            action()
            sys.setprofile(None)

        code = run(killed)
        if code == 0:
            return
        if code != KILLED:
            raise AssertionError(f"step {step}: the child ended with {code}")
        yield step


def _save_coverage() -> None:
    """Keep what coverage measured here, which leaving without clean-up would lose."""
    measuring = sys.modules.get("coverage")
    current = measuring.Coverage.current() if measuring else None
    if current:
        current.stop()
        current.save()


def _is_step(called: object) -> bool:
    name = getattr(called, "__name__", "")
    if getattr(called, "__module__", None) == "posix":
        return name in _POSIX_STEPS
    owner = type(getattr(called, "__self__", None)).__module__
    return owner == "_io" and name in _FILE_STEPS
