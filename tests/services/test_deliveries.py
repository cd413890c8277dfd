"""Receipts laid in the committee's folder: one for each allocation, none lost, none with an arm."""

from dataclasses import replace
from pathlib import Path

import pytest

from alloc_service.errors import ReceiptFolderError
from alloc_service.log.receipt import check_receipt
from alloc_service.services import deliveries
from tests.support.installation import Installation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "receipts"


@pytest.fixture
def delivering(active: Installation, folder: Path) -> Installation:
    active.deps = replace(active.deps, receipts=folder)
    return active


def delivered(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_each_allocation_has_its_receipt_in_the_folder(
    delivering: Installation, folder: Path
) -> None:
    arms = {delivering.allocate(f"P-{number}").arm for number in range(3)}

    assert deliveries.deliver(delivering.deps, delivering.trial) == 3

    seqs = [entry.seq for entry in delivering.entries("slot.assigned")]
    assert delivered(folder) == sorted(f"{seq}.receipt" for seq in seqs)
    key = delivering.deps.sealer.log_key(delivering.origin)
    for seq in seqs:
        text = (folder / delivering.trial / f"{seq}.receipt").read_text("utf-8")
        assert check_receipt(text, key).index == seq
        assert not any(arm in text for arm in arms)


def test_what_was_delivered_is_not_written_again(delivering: Installation, folder: Path) -> None:
    delivering.allocate("P-001")
    deliveries.deliver(delivering.deps, delivering.trial)
    (first,) = folder.rglob("*.receipt")
    before = first.read_bytes()
    delivering.allocate("P-002")

    assert deliveries.deliver(delivering.deps, delivering.trial) == 1
    assert first.read_bytes() == before
    assert deliveries.deliver(delivering.deps, delivering.trial) == 0


def test_a_folder_that_fails_costs_nothing_and_is_made_up_for(
    delivering: Installation, folder: Path
) -> None:
    folder.write_text("a file in the folder's place")
    delivering.allocate("P-001")
    with pytest.raises(ReceiptFolderError, match="ALLOC_RECEIPTS"):
        deliveries.deliver(delivering.deps, delivering.trial)
    assert len(deliveries.find_missing(delivering.deps, delivering.trial)) == 1
    folder.unlink()

    assert deliveries.deliver(delivering.deps, delivering.trial) == 1


def test_a_folder_that_cannot_be_read_is_told(
    delivering: Installation, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / delivering.trial).mkdir(parents=True)
    delivering.allocate("P-001")

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)

    with pytest.raises(ReceiptFolderError, match="Permission denied"):
        deliveries.find_missing(delivering.deps, delivering.trial)


def test_without_a_folder_nothing_is_delivered(active: Installation) -> None:
    active.allocate("P-001")

    assert deliveries.find_missing(active.deps, active.trial) == ()
    assert deliveries.deliver(active.deps, active.trial) == 0
