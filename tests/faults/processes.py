"""Children: real processes that ask for allocations, and can be stopped at any of their steps.

They are forked from a server process that has imported everything once, so that each costs
milliseconds. What stops one is a trace function that is set here, in the child, and nowhere in
the product: it counts the lines that run inside the product's package, or waits for a call or a
return there, and then acts: it kills its own process, waits for the test, or fills a disk.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import FrameType
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.orm import configure_mappers

import alloc_service
from alloc_service.errors import RefusalError
from alloc_service.services import audit, health, reveal
from alloc_service.services.deps import Deps
from tests.faults.life import Life, password_of

LIMIT_SECONDS = 120

_PACKAGE = str(Path(alloc_service.__file__).parent) + os.sep

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "tests.faults.processes"])


configure_mappers()  # here, so that no child does it anew


class Act(Protocol):
    """What happens when a step is reached."""

    def __call__(self) -> None: ...


@dataclass(frozen=True)
class Kill:
    """End this process as a power cut would: nothing of Python runs after this."""

    def __call__(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class DieWriting:
    """From here on, a write past this file's size and `more` bytes kills the process.

    The bytes up to there land: a file is left with a torn end.
    """

    file: Path
    more: int

    def __call__(self) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        size = self.file.stat().st_size + self.more
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@dataclass(frozen=True)
class RefuseWriting:
    """From here on, the system refuses every write past this file's size and `more` bytes."""

    file: Path
    more: int

    def __call__(self) -> None:
        size = self.file.stat().st_size + self.more
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@dataclass(frozen=True)
class FillDisk:
    """Fill the disk that this folder is on, to the last byte."""

    folder: Path

    def __call__(self) -> None:
        with (
            (self.folder / "ballast").open("wb", buffering=0) as file,
            contextlib.suppress(OSError),
        ):
            while True:
                file.write(bytes(4096))


@dataclass(frozen=True)
class Wait:
    """Tell the test that the step is reached, and wait until it answers."""

    connection: "Connection[Any, Any]"

    def __call__(self) -> None:
        self.connection.send("here")
        self.connection.recv()


@dataclass(frozen=True)
class Step:
    """A step of the product, and what happens there.

    Attributes:
        at: From 1, the number of a line that runs there; or `call FILE FUNCTION` or
            `return FILE FUNCTION`, the file as in the package. 0 is never reached.
        act: What to do there.
        warm: Whether the service has folded the log before, as one that has run for a while.
    """

    at: int | str
    act: Act = Kill()
    warm: bool = False


UNHARMED = Step(0)


class Stage:
    """Watches what runs of the product, and acts once, when it reaches a step."""

    def __init__(self, step: Step) -> None:
        self.lines = 0
        self._step = step
        self._acted = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch this thread while the block runs."""
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _arg: object) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        self.lines += event == "line"
        if not self._acted and self._is_reached(frame, event):
            self._acted = True
            self._step.act()
        return self._trace

    def _is_reached(self, frame: FrameType, event: str) -> bool:
        at = self._step.at
        if isinstance(at, int):
            return 0 < at == self.lines
        file = frame.f_code.co_filename.removeprefix(_PACKAGE)
        return at == f"{event} {file} {frame.f_code.co_name}"


def ask(life: Life, enrolment: UUID, answer: Path, step: Step = UNHARMED) -> None:
    """Start the service, sign, ask for one allocation, and print it.

    Standard output goes to a file. It gets a line `arm ARM LEAF` or `refused CODE: TEXT`, and
    then `lines N`, how many lines of the product have run.

    Args:
        life: The trial.
        enrolment: For whom.
        answer: The file.
        step: At which step of the reveal to act.
    """
    _print_to(answer)
    deps = life.home.open(patience=10)
    health.start(deps)
    if step.warm:
        with deps.database.write() as tx:
            audit.open_log(deps, tx, life.trial)
    signature = reveal.sign(deps, "doc", password_of("doc"), enrolment)
    stage = Stage(step)
    try:
        with stage.watching():
            shown = reveal.reveal(deps, life.people["doc"], enrolment, signature)
        _say(f"arm {shown.arm} {shown.leaf}")
    except RefusalError as error:
        _say(f"refused {error.code}: {error}")
    _say(f"lines {stage.lines}")
    deps.database.dispose()


def ask_at_once(
    life: Life, enrolments: Sequence[UUID], threads: int, barrier: Barrier, answer: Path
) -> None:
    """Ask for many allocations from many threads, together with other processes.

    Standard output gets a JSON list of what each asked for saw.
    """
    _print_to(answer)
    deps = life.home.open()
    barrier.wait(LIMIT_SECONDS)
    _say(json.dumps(reveal_at_once(life, deps, enrolments, threads)))
    deps.database.dispose()


def reveal_at_once(
    life: Life, deps: Deps, enrolments: Sequence[UUID], threads: int
) -> list[dict[str, Any]]:
    """Ask for allocations from many threads; return what was seen, or a refusal's code."""

    def ask_for(enrolment: UUID) -> dict[str, Any]:
        try:
            signature = life.sign(deps, enrolment)
            shown = reveal.reveal(deps, life.people["doc"], enrolment, signature)
        except RefusalError as error:
            return {"enrolment": str(enrolment), "refused": f"{error.code}: {error}"}
        return {
            "enrolment": str(enrolment),
            "arm": shown.arm,
            "leaf": shown.leaf,
            "number": shown.randomization_number,
        }

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask_for, enrolments))


def start(task: Callable[..., None], *args: object) -> ForkServerProcess:
    """Start a child; it ends with this process."""
    child = CONTEXT.Process(target=task, args=args, daemon=True)
    child.start()
    return child


def start_waiting(
    life: Life, enrolment: UUID, answer: Path, at: str
) -> tuple[ForkServerProcess, "Connection[Any, Any]"]:
    """Start a child that asks, and return once it waits at a step for what is sent to it."""
    here, there = Pipe()
    child = start(ask, life, enrolment, answer, Step(at, Wait(there)))
    there.close()
    assert here.poll(LIMIT_SECONDS)
    assert here.recv() == "here", answer.read_text()
    return child, here


def wait(child: ForkServerProcess) -> int:
    """Wait for a child's end and return its exit code, negative for the signal that ended it."""
    child.join(LIMIT_SECONDS)
    code = child.exitcode
    if code is None:
        child.kill()
        raise AssertionError("a child did not end")
    child.close()
    return code


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _print_to(answer: Path) -> None:
    """Lead standard output and error of this process to a file, also those of C code."""
    sys.stdout.flush()
    descriptor = os.open(answer, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, buffering=1)
