"""Lists, sealings, sealed slots, nodes and escrow files."""

import hashlib

import pytest

from alloc_service.errors import AppendOnlyError, ConstraintError, UnknownRecordError
from alloc_service.storage import queries
from alloc_service.storage.engine import Database
from alloc_service.storage.models import EscrowFile, ListSealing
from alloc_service.storage.queries import NodeRow, SealedSlotRow


def leaf(stratum: int, slot: int) -> bytes:
    return hashlib.sha256(f"{stratum}|{slot}".encode()).digest()


def seal_again(database: Database, trial_id: str, sealing: int) -> None:
    with database.write() as transaction:
        transaction.add(
            ListSealing(
                trial_id=trial_id,
                list_number=1,
                sealing=sealing,
                kid="k2",
                wrap=b"w2",
                wrap_sha256="e" * 64,
            )
        )


def test_lists_are_read_by_number(database: Database, trial_id: str) -> None:
    with database.read() as session:
        assert [found.number for found in queries.list_lists(session, trial_id)] == [1]
        assert queries.read_list(session, trial_id, 1).root == "b" * 64
        with pytest.raises(UnknownRecordError, match="numbered 2"):
            queries.read_list(session, trial_id, 2)


def test_the_latest_sealing_is_the_one_with_the_highest_number(
    database: Database, trial_id: str
) -> None:
    for sealing in (1, 2):
        seal_again(database, trial_id, sealing)

    with database.read() as session:
        latest = queries.find_latest_sealing(session, trial_id, 1)
        assert latest is not None
        assert latest.sealing == 2
        assert queries.read_sealing(session, trial_id, 1, 0).kid == "k"
        assert queries.find_latest_sealing(session, trial_id, 9) is None
        with pytest.raises(UnknownRecordError, match="numbered 3"):
            queries.read_sealing(session, trial_id, 1, 3)


def test_sealed_slots_come_back_in_order(database: Database, trial_id: str) -> None:
    with database.read() as session:
        rows = list(queries.read_sealed_slots(session, trial_id, 1, 0))
        one = queries.read_sealed_slot(session, trial_id, 1, 0, (1, 2))
        leaves = queries.read_sealed_leaves(session, trial_id, 1, 0, [(0, 3), (1, 0), (5, 5)])

    assert rows == [
        SealedSlotRow(stratum, slot, leaf(stratum, slot), bytes(285))
        for stratum in range(2)
        for slot in range(4)
    ]
    assert one == rows[6]
    assert leaves == {(0, 3): leaf(0, 3), (1, 0): leaf(1, 0)}


def test_a_slot_that_was_not_sealed_is_told(database: Database, trial_id: str) -> None:
    with database.read() as session, pytest.raises(UnknownRecordError, match="numbered 4"):
        queries.read_sealed_slot(session, trial_id, 1, 0, (1, 4))


def test_a_long_list_is_stored_and_read_in_chunks(database: Database, trial_id: str) -> None:
    seal_again(database, trial_id, 1)
    rows = [
        SealedSlotRow(0, slot, leaf(0, slot), bytes([slot % 256]) * 285) for slot in range(2_500)
    ]
    with database.write() as transaction:
        queries.add_sealed_slots(transaction, trial_id, 1, 1, iter(rows))

    with database.read() as session:
        assert list(queries.read_sealed_slots(session, trial_id, 1, 1)) == rows


def add_slots(database: Database, trial_id: str, sealing: int, rows: list[SealedSlotRow]) -> None:
    with database.write() as transaction:
        queries.add_sealed_slots(transaction, trial_id, 1, sealing, rows)


def test_a_slot_is_sealed_once_in_a_sealing(database: Database, trial_id: str) -> None:
    with pytest.raises(AppendOnlyError, match="sealed_slot_is_new"):
        add_slots(database, trial_id, 0, [SealedSlotRow(0, 0, leaf(0, 0), bytes(285))])


def test_a_blob_of_another_length_would_tell_something_and_is_refused(
    database: Database, trial_id: str
) -> None:
    with pytest.raises(ConstraintError, match="every_blob_has_the_same_length"):
        add_slots(database, trial_id, 0, [SealedSlotRow(0, 9, leaf(0, 9), bytes(284))])


def test_a_slot_of_a_sealing_that_is_not_stored_is_refused(
    database: Database, trial_id: str
) -> None:
    with pytest.raises(ConstraintError):
        add_slots(database, trial_id, 7, [SealedSlotRow(0, 9, leaf(0, 9), bytes(285))])


def test_nodes_of_a_list_are_read_at_once(database: Database, trial_id: str) -> None:
    nodes = [NodeRow(1, position, leaf(1, position)) for position in range(1_100)]
    with database.write() as transaction:
        queries.add_list_nodes(transaction, trial_id, 1, nodes)

    with database.read() as session:
        found = queries.read_list_nodes(session, trial_id, 1, [(1, 0), (1, 1_099), (2, 0)])
    assert found == {(1, 0): leaf(1, 0), (1, 1_099): leaf(1, 1_099)}


def test_escrow_files_are_kept_until_they_are_removed(database: Database, trial_id: str) -> None:
    with database.write() as transaction:
        for name in ("seed.b+c.age", "seed.a+b.age"):
            transaction.add(
                EscrowFile(trial_id=trial_id, list_number=1, name=name, ciphertext=b"age")
            )

    with database.write() as transaction:
        kept = [file.name for file in queries.list_escrow_files(transaction, trial_id, 1)]
        queries.remove_escrow_files(transaction, trial_id, 1)

    assert kept == ["seed.a+b.age", "seed.b+c.age"]
    with database.read() as session:
        assert queries.list_escrow_files(session, trial_id, 1) == []
