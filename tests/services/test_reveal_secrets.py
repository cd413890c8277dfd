"""No arm anywhere but in the hands of whoever asked: no repr, text, entry, row or file."""

import traceback

import pytest

from alloc_service.errors import RefusalError
from alloc_service.services import reports, reveal
from tests.support.installation import Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
ARMS = (b"SUNRISE-7Q", b"MOONSET-7Q")


def test_no_arm_shows_in_the_repr_of_an_allocation(active: Installation) -> None:
    allocation = active.allocate()

    for text in (repr(allocation), str(allocation), allocation.receipt, f"{allocation!r:>9}"):
        for arm in active.definition.arms:
            for secret in (arm.code, arm.label, arm.instruction):
                assert secret not in text


def test_no_arm_is_stored_for_any_enrolment(active: Installation) -> None:
    for index in range(5):
        active.allocate(f"P-{index}")
    reports.count_arms(active.deps, active.people["dmc"], active.trial, "interim.1")
    with pytest.raises(RefusalError):
        active.allocate("P-0")

    names = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
        "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    }[active.deps.database.dialect]
    tables = [str(row[0]) for row in active.ask(names)]
    assert {"assignment", "sealed_slot", "enrolment", "log_entry", "checkpoint"} <= set(tables)
    for table in tables:
        for row in active.ask(f"SELECT * FROM {table}"):
            spelled = b"|".join(
                bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()
                for cell in row
            )
            for arm in ARMS:
                assert table == "trial" or arm not in spelled, table


@on_sqlite
def test_no_file_tells_more_of_an_arm_than_the_definition_does(active: Installation) -> None:
    before = count_arms_on_disk(active)
    draft = active.enrol()
    active.reveal(draft)
    reveal.read_again(active.deps, active.people["doc"], draft.id)

    assert count_arms_on_disk(active) == before


def count_arms_on_disk(installation: Installation) -> int:
    """Return how many different files and places hold an arm's code."""
    installation.deps.database.dispose()
    files = [path for path in installation.home.rglob("*") if path.is_file()]
    return sum(path.read_bytes().count(arm) for path in files for arm in ARMS)


def test_no_traceback_of_a_refusal_holds_an_arm(active: Installation) -> None:
    draft = active.enrol()
    active.reveal(draft)
    active.attack("UPDATE enrolment SET participant = 'P-009'")

    with pytest.raises(RefusalError) as refusal:
        reveal.read_again(active.deps, active.people["doc"], draft.id)
    text = "".join(
        traceback.TracebackException.from_exception(refusal.value, capture_locals=True).format()
    )
    assert "EnrolmentChangedError" in text
    for arm in ARMS:
        codes = text.count(arm.decode())
        assert codes == text.count(f"code='{arm.decode()}'"), "only in the definition's arms"


def test_two_people_who_were_given_different_arms_leave_rows_of_the_same_shape(
    active: Installation,
) -> None:
    shapes = set()
    for index in range(6):
        allocation = active.allocate(f"P-{index}")
        (row,) = active.ask(
            "SELECT length(draft), length(record) FROM enrolment WHERE participant = :number",
            number=f"P-{index}",
        )
        entry = active.entries("slot.assigned")[-1]
        shapes.add((*row, len(entry.data) - len(str(entry.seq)), len(allocation.leaf)))
    assert len(shapes) == 1
