"""A sealer of its own process that is really killed, at many moments of a reveal.

Whatever the moment, the service refuses with what to do, and shows nothing. Once a sealer runs
again, the same enrolment gets the slot that it was assigned, or the next where none was; the log
is whole, the anchor a prefix of it, and no slot is spent twice or left out.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from uuid import UUID

import pytest

from alloc_service.errors import SealerUnreachableError
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.sealing.server import SealerServer
from alloc_service.services import reveal
from alloc_service.services.deps import Deps
from tests.faults import processes
from tests.faults.asking import KILLED
from tests.faults.evidence import verify_trial
from tests.faults.life import HOST, Life
from tests.faults.processes import UNHARMED, Stage, Step
from tests.support.served_sealer import short_folder

# The steps of the sealer in a reveal, in order, and how many slots are spent when it dies there.
STEPS = {
    "when it is asked how it stands": ("call sealing/server.py _standing", 0),
    "before that answer is sent": ("return sealing/wire.py write_standing", 0),
    "when it is shown the entry": ("call sealing/local.py follow", 1),
    "before the entry is folded": ("call sealing/follow.py advance", 1),
    "before the anchor is written": ("call sealing/anchor.py write", 1),
    "after the anchor is written": ("return sealing/anchor.py write", 1),
    "before the checkpoint is signed": ("call log/note.py sign_checkpoint", 1),
    "before the checkpoint is sent": ("return sealing/wire.py write_checkpoint", 1),
    "when it is asked to open": ("call sealing/local.py open", 1),
    "before the slot is opened": ("call sealing/envelope.py open_slot", 1),
    "after the slot is opened": ("return sealing/local.py open", 1),
    "before the opening is sent": ("return sealing/wire.py write_opened", 1),
}


def serve(life: Life, path: Path, step: Step) -> None:
    """Serve the sealer of a life in this process, until it is killed at a step."""
    settings = life.home.settings
    sealer = LocalSealer(load_keys(settings.keys), settings.anchors, HOST)
    server = SealerServer(
        path, os.geteuid(), unlock=lambda _given: sealer, sealer=sealer, report=lambda _told: None
    )
    threading.settrace(Stage(step)._trace)
    server.serve()


class Machine:
    """The service over a sealer of another process, which may be killed."""

    def __init__(self, life: Life, deps: Deps, folder: Path) -> None:
        self.life, self.local, self._path = life, deps, folder / "socket"
        self.deps = replace(deps, sealer=RemoteSealer(self._path))
        self._child: ForkServerProcess | None = None

    def start_sealer(self, step: Step = UNHARMED) -> None:
        self._path.unlink(missing_ok=True)
        self._child = processes.start(serve, self.life, self._path, step)
        while not self._listens():
            assert self._child.is_alive()

    def _listens(self) -> bool:
        """Tell whether the socket takes connections: a moment after its file is there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
            return tried.connect_ex(str(self._path)) == 0

    def wait_for_its_end(self) -> int:
        """Return how the sealer ended that was to be killed at a step."""
        assert self._child is not None
        return processes.wait(self._child)

    def end_sealer(self) -> None:
        """End a sealer that was to live."""
        assert self._child is not None
        assert self._child.is_alive()
        self._child.kill()
        self.wait_for_its_end()

    def ask(self, enrolment: UUID) -> str:
        signature = self.life.sign(self.deps, enrolment)
        return reveal.reveal(self.deps, self.life.people["doc"], enrolment, signature).arm

    def arm_of(self, enrolment: UUID) -> str:
        """Return the arm of the one slot that is logged for an enrolment, once it is followed."""
        evidence = verify_trial(self.life, self.local)
        (assigned,) = evidence.assigned_to(enrolment)
        assert assigned.seq < evidence.anchored
        return self.life.arms[assigned.body["stratum"]][assigned.body["slot"]]


@pytest.fixture
def machine(life: Life, deps: Deps) -> Iterator[Machine]:
    with short_folder() as folder:
        yield Machine(life, deps, folder)


@pytest.mark.parametrize("step", STEPS)
def test_a_reveal_whose_sealer_is_killed_gets_the_same_slot_later(
    machine: Machine, step: str
) -> None:
    at, spends = STEPS[step]
    enrolment, other = machine.life.waiting[:2]
    machine.start_sealer(Step(at))

    with pytest.raises(SealerUnreachableError, match="gets the same slot"):
        machine.ask(enrolment)
    assert machine.wait_for_its_end() == KILLED
    evidence = verify_trial(machine.life, machine.local)
    assert len(evidence.assigned_to(enrolment)) == evidence.spent == spends
    with pytest.raises(SealerUnreachableError):  # and nothing is appended meanwhile
        machine.ask(enrolment)
    assert verify_trial(machine.life, machine.local).entries == evidence.entries

    machine.start_sealer()
    assert machine.ask(enrolment) == machine.arm_of(enrolment)
    assert machine.ask(other) == machine.arm_of(other)
    after = verify_trial(machine.life, machine.local)
    assert after.spent == 2
    assert after.assigned_to(enrolment)[: len(evidence.assigned_to(enrolment))] == (
        evidence.assigned_to(enrolment)
    )
    assert after.anchored == len(after.entries)
    machine.end_sealer()


def test_a_sealer_that_is_killed_again_and_again_never_spends_a_second_slot(
    machine: Machine,
) -> None:
    enrolment = machine.life.waiting[0]
    for at, _ in STEPS.values():
        machine.start_sealer(Step(at))
        with pytest.raises(SealerUnreachableError):
            machine.ask(enrolment)
        assert machine.wait_for_its_end() == KILLED
        assert verify_trial(machine.life, machine.local).spent <= 1

    machine.start_sealer()
    assert machine.ask(enrolment) == machine.arm_of(enrolment)
    assert verify_trial(machine.life, machine.local).spent == 1
    machine.end_sealer()


def test_many_reveals_at_once_get_slots_of_their_own_from_one_sealer(
    machine: Machine, begin: Callable[[str, int], Life]
) -> None:
    del begin
    machine.start_sealer()
    waiting = machine.life.waiting[:12]

    seen = processes.reveal_at_once(machine.life, machine.deps, waiting, 6)

    assert [one for one in seen if "refused" in one] == []
    for one in seen:
        assert one["arm"] == machine.arm_of(UUID(one["enrolment"]))
    assert verify_trial(machine.life, machine.local).spent == len(waiting)
    machine.end_sealer()
