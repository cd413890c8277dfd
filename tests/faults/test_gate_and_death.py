"""A gate whose witness is a process of its own and dies: nobody loses a slot, nobody gets two."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from alloc_service.errors import FrozenError, GateClosedError
from alloc_service.sealing.witness import list_witnessed
from alloc_service.services import health, reveal, witnesses
from alloc_service.services.deps import Deps
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.witnesses import NewPolicy, WitnessPlace
from tests.faults.evidence import verify_trial
from tests.faults.histories import clone
from tests.faults.life import Life
from tests.support.witnesses import WitnessProcess, make_witness


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def witness(life: Life, deps: Deps, tmp_path: Path) -> Iterator[WitnessProcess]:
    """Return a witness that can die, behind which the trial's gate is."""
    folder = tmp_path / "witness"
    public = make_witness(folder, deps.sealer.log_key(life.origin))
    process = WitnessProcess(
        folder, tmp_path / "log", "tests.support.dying_witness", environ={"DIES": str(folder) + "!"}
    )
    process.start()
    new = NewPolicy("gate", 1, (WitnessPlace(public.vkey, process.url),))
    people = TwoPeople(life.people["mgr"], life.people["dmc"])
    witnesses.set_policy(deps, people, life.trial, new)
    yield process
    process.stop()


def allocate(life: Life, deps: Deps, enrolment: UUID) -> str:
    signature = life.sign(deps, enrolment)
    return reveal.reveal(deps, life.people["doc"], enrolment, signature).leaf


def seen_by(witness: WitnessProcess) -> int:
    (item,) = list_witnessed(witness.folder)
    return item.checkpoint.size if item.checkpoint else 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_witness_that_dies_around_its_keeping_costs_nobody_a_slot(
    life: Life, deps: Deps, witness: WitnessProcess, when: str
) -> None:
    one, two, three = life.waiting[:3]
    allocate(life, deps, one)
    before = seen_by(witness)
    Path(f"{witness.folder}!").write_text(when)

    with pytest.raises(GateClosedError):
        allocate(life, deps, two)

    assert (seen_by(witness) > before) == (when == "after")
    witness.stop()
    witness.start()
    again = reveal.read_again(deps, life.people["doc"], two)
    allocate(life, deps, three)
    evidence = verify_trial(life, deps)
    assert evidence.spent == 3
    (assigned,) = evidence.assigned_to(two)
    assert again.leaf == assigned.leaf
    assert seen_by(witness) == len(evidence.entries)


def test_a_machine_that_was_put_back_as_a_whole_opens_nothing(
    life: Life,
    deps: Deps,
    witness: WitnessProcess,
    tmp_path: Path,
    open_service: Callable[[Life], Deps],
) -> None:
    one, two, three = life.waiting[:3]
    allocate(life, deps, one)
    yesterday = clone(life, tmp_path / "elsewhere")
    shown = allocate(life, deps, two)

    there = open_service(yesterday)
    refused = health.start(there)

    assert isinstance(refused[life.trial], FrozenError)
    size = there.sealer.status(life.origin).size
    for enrolment in (one, two, three):
        with pytest.raises(FrozenError, match=f"size {seen_by(witness)} was signed"):
            allocate(yesterday, there, enrolment)
    assert there.sealer.status(life.origin).size == size
    assert reveal.read_again(deps, life.people["doc"], two).leaf == shown
