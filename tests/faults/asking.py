"""Asking for allocations through children, and checking the trial after each of them."""

import signal
from pathlib import Path
from uuid import UUID

from alloc_service.log.entry import Entry
from alloc_service.services.deps import Deps
from tests.faults import processes
from tests.faults.evidence import Evidence, verify_trial
from tests.faults.life import Life
from tests.faults.processes import UNHARMED, Step, ask

KILLED = -signal.SIGKILL


class Asking:
    """Asks for allocations in children of one life, and checks the trial after each."""

    def __init__(self, life: Life, deps: Deps, folder: Path) -> None:
        self.life = life
        self.deps = deps
        self._folder = folder
        self._waiting = iter(life.waiting)
        self._before: Evidence | None = None  # nobody but its children asks in this life

    def next_enrolment(self) -> UUID:
        return next(self._waiting)

    def ask(self, enrolment: UUID, step: Step = UNHARMED) -> tuple[int, list[str]]:
        """Return how a child ended that asked for an allocation, and what it printed."""
        answer = self._folder / "answer"
        answer.unlink(missing_ok=True)
        code = processes.wait(processes.start(ask, self.life, enrolment, answer, step))
        return code, answer.read_text().splitlines() if answer.exists() else []

    def count_lines(self, enrolment: UUID) -> int:
        """Return how many lines of the product a reveal runs, where the log is folded already."""
        code, printed = self.ask(enrolment, Step(0, warm=True))
        assert (code, printed[1][:6]) == (0, "lines "), printed
        return int(printed[1].removeprefix("lines "))

    def kill(self, enrolment: UUID, step: Step) -> int:
        """Let a child be killed; check what is left; return how many slots that has spent."""
        code, printed = self.ask(enrolment, step)
        assert code in {KILLED, -signal.SIGXFSZ}, printed
        return self.check(enrolment, printed)

    def check(self, enrolment: UUID, printed: list[str]) -> int:
        """Check what an asker has left behind and shown; return how many slots that has spent."""
        self._before = evidence = verify_trial(self.life, self.deps)
        spent = evidence.assigned_to(enrolment)
        assert len(spent) <= 1
        for line in printed:
            if not line.startswith(("refused ", "lines ")):
                assert line == self._answer(spent[0])  # what was shown was logged before,
                assert spent[0].seq < evidence.anchored  # and followed
        return len(spent)

    def retry(self, enrolment: UUID) -> None:
        """Let a fresh child ask; the slot is the assigned one, or the next; all is whole."""
        before = self._before or verify_trial(self.life, self.deps)
        code, printed = self.ask(enrolment)
        self._before = after = verify_trial(self.life, self.deps)
        assert code == 0, printed
        (assigned,) = after.assigned_to(enrolment)
        assert printed[0] == self._answer(assigned)
        assert after.spent == before.spent + (not before.assigned_to(enrolment))
        assert [assigned] == (before.assigned_to(enrolment) or [after.entries[-1]])
        assert after.anchored == len(after.entries)

    def _answer(self, assigned: Entry) -> str:
        body = assigned.body
        arm = self.life.arms[body["stratum"]][body["slot"]]
        return f"arm {arm} {assigned.leaf}"
