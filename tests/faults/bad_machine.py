"""A life's program on a machine that misbehaves: what it says, and that it lost nothing.

The command line runs in the tests' own process. Three things are its machine's: the clock, which
a test moves; how long it waits for a lock, which a test need not wait for; what Argon2 costs.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import pytest
from argon2 import PasswordHasher

from alloc_service.errors import RefusalError
from alloc_service.services import health, passwords, reveal
from alloc_service.services.deps import Deps, open_deps, open_from_environment
from alloc_service.services.reveal import Allocation
from alloc_service.storage.engine import Database
from tests.faults.evidence import Evidence, verify_trial
from tests.faults.life import HOST, ORDER, Life, password_of
from tests.support.installation import Clock
from tests.support.shell import Outcome, Shell

PATIENCE = 0.3
# What nobody may read in a refusal: code, label and instruction of the shipped trial's arms.
_ARMS = ("CONV", "MSC", "onventional", "stem cells")


@dataclass
class Program:
    """The service and the command line of one life, on one machine.

    Attributes:
        life: Whose installation it is.
        clock: The machine's.
        running: A service that was started before the machine went bad.
    """

    life: Life
    clock: Clock
    running: Deps

    @property
    def environ(self) -> dict[str, str]:
        home = self.life.home
        names = {"ALLOC_HOST": HOST, "ALLOC_HOME": str(home.folder)}
        return {**names, "ALLOC_DATABASE_URL": home.url}

    def run(self, *arguments: object, by: str | None = None) -> Outcome:
        """Run `alloc`, as somebody or as nobody."""
        return Shell()(*arguments, by=by)

    def allocate(self, at: int = 0) -> Outcome:
        """Run `alloc allocate` for the participant of an index."""
        return self.run("allocate", self.life.trial, f"P-{at:03}", "--json", by="doc")

    def ask_running(self, at: int = 0) -> Allocation:
        """Ask the running service for the allocation of the participant of an index."""
        return _ask(self.running, self.life.waiting[at])

    def ask_started(self, at: int = 0) -> Allocation:
        """Start a service from the environment, as each start does, and ask it."""
        deps = open_from_environment(self.environ)
        try:
            for error in health.start(deps).values():
                raise error
            return _ask(deps, self.life.waiting[at])
        finally:
            deps.database.dispose()

    def verify(self) -> Evidence:
        """Verify the trial at rest."""
        return verify_trial(self.life, self.running)


def require_told(outcome: Outcome, code: str, *words: str) -> str:
    """Check that a command refused by this code, in these words, and in no stack trace."""
    assert (outcome.code, outcome.out) == (1, "")
    *_, refusal = outcome.err.splitlines()
    assert refusal.startswith("Refused: "), outcome.err
    assert refusal.endswith(f"[{code}]"), outcome.err
    for word in words:
        assert word in refusal
    require_quiet(outcome.err)
    return refusal


def require_refused(ask: Callable[[], object], code: str, *words: str) -> RefusalError:
    """Check that a service refuses by this code, in these words."""
    with pytest.raises(RefusalError) as refused:
        ask()
    assert refused.value.code == code, refused.value
    for word in words:
        assert word in str(refused.value)
    require_quiet(str(refused.value))
    return refused.value


def require_quiet(text: str) -> None:
    """Check that a text tells neither an arm nor the inside of the program."""
    found = [word for word in (*_ARMS, "Traceback", '.py"', "Fault:") if word in text]
    assert found == []


def require_the_next_slot(program: Program, at: int = 0) -> None:
    """Check that nothing was spent, and that asking again now shows the slot that is next."""
    life, before = program.life, program.verify().state
    assert str(life.waiting[at]) not in before.assigned
    slot = before.lists[1].next_slot[ORDER[at % 8]]

    require_the_same_slot(program, program.allocate(at), at, slot, len(before.assigned) + 1)


def require_the_same_slot(
    program: Program, outcome: Outcome, at: int, slot: int, number: int
) -> None:
    """Check that a command showed this slot, that a service shows it too, and that it is logged."""
    assert outcome.code == 0, outcome.err
    shown = json.loads(outcome.out)
    arm = program.life.arms[ORDER[at % 8]][slot]
    assert (shown["arm"], shown["randomization_number"]) == (arm, number)
    for again in (program.ask_running(at), program.ask_started(at)):
        assert (again.arm, again.randomization_number) == (arm, number)
        assert again.leaf == shown["leaf"]
    evidence = program.verify()
    assert len(evidence.assigned_to(program.life.waiting[at])) == 1
    assert evidence.spent == number


@contextmanager
def on_this_machine(clock: Clock) -> Iterator[None]:
    """Give the program this clock, little patience, and cheap passwords, while it lasts."""
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ALLOC_")]:
            patch.delenv(name)
        # Both are defaults of arguments that the program never gives.
        patch.setattr(open_deps, "__defaults__", (clock,))
        patch.setattr(Database.__init__, "__defaults__", (PATIENCE,))
        patch.setattr(passwords, "PasswordHasher", cheap)
        yield


def open_program(life: Life, clock: Clock, running: Deps, patch: pytest.MonkeyPatch) -> Program:
    """Return the program of a life, whose environment is this process's from now on."""
    program = Program(life, clock, running)
    for name, value in program.environ.items():
        patch.setenv(name, value)
    return program


def _ask(deps: Deps, enrolment: UUID) -> Allocation:
    signature = reveal.sign(deps, "doc", password_of("doc"), enrolment)
    return reveal.reveal(deps, signature.person, enrolment, signature)
