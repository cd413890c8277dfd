"""Attacks of a database's owner on what the log speaks of: lists, slots, records (G13, E5, S3, S4).

On SQLite every row in turn, on PostgreSQL a few.
"""

import hashlib
from collections.abc import Iterator
from uuid import UUID

import pytest

from alloc_service.services import verification
from tests.support.installation import Installation
from tests.support.rollback import SEVERE
from tests.support.tampering import StolenFile, fault, faults_of

sqlite_alone = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
postgresql_alone = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)

SLOTS = 6  # in each of two strata


@pytest.fixture
def lived(active: Installation) -> Installation:
    """Return a trial with three allocations, two in the first stratum and one in the second."""
    active.allocate("P-001")
    active.allocate("P-002", facts=SEVERE)
    active.allocate("P-003")
    return active


@pytest.fixture
def stolen(lived: Installation) -> Iterator[StolenFile]:
    file = StolenFile(lived, lived.home / "stolen.db")
    yield file
    file.close()


@sqlite_alone
def test_a_changed_assignment_is_named(stolen: StolenFile) -> None:
    edits = {
        "list_number": "9",
        "stratum": "stratum + 7",
        "slot": "slot + 4",
        "leaf": f"'{'e' * 64}'",
        "assigned_at": "'2026-03-02 02:00:09.000000'",
        "enrolment_id": f"'{UUID(int=9).hex}'",
    }
    seqs = stolen.ask("SELECT entry_seq FROM assignment ORDER BY entry_seq")
    assert len(seqs) == 3
    for (seq,) in seqs:
        for column, value in edits.items():
            edit = f"UPDATE assignment SET {column} = {value} WHERE entry_seq = {seq}"
            told = f"the assignment of entry {seq} has another {column}"
            assert fault(stolen, "assignments", edit) == told

        drop = f"DELETE FROM assignment WHERE entry_seq = {seq}"
        assert fault(stolen, "assignments", drop) == f"the assignment of entry {seq} is not stored"
        move = f"UPDATE assignment SET entry_seq = 900 WHERE entry_seq = {seq}"
        told = "an assignment names entry 900, which assigned it no slot"
        assert fault(stolen, "assignments", move) == told


@sqlite_alone
def test_two_assignments_in_each_other_s_place_are_named(stolen: StolenFile) -> None:
    (first, one), (_, other) = stolen.ask(
        "SELECT entry_seq, enrolment_id FROM assignment WHERE stratum = 0 ORDER BY entry_seq"
    )
    swap = [
        f"UPDATE assignment SET enrolment_id = 'x' WHERE enrolment_id = '{one}'",
        f"UPDATE assignment SET enrolment_id = '{one}' WHERE enrolment_id = '{other}'",
        f"UPDATE assignment SET enrolment_id = '{other}' WHERE enrolment_id = 'x'",
    ]

    told = f"the assignment of entry {first} has another enrolment_id"
    assert fault(stolen, "assignments", *swap) == told


@sqlite_alone
def test_an_assignment_of_no_kind_that_its_column_can_hold_is_named(stolen: StolenFile) -> None:
    for column, value in {
        "enrolment_id": "'nobody'",
        "assigned_at": "'soon'",
        "leaf": "zeroblob(64)",
        "slot": "'last'",
    }.items():
        told = fault(
            stolen, "assignments", f"UPDATE assignment SET {column} = {value} WHERE slot = 1"
        )
        assert f"its {column} is of another kind" in told
        assert "in the row of trial_id 'TEST-SMALL', entry_seq '" in told


@sqlite_alone
def test_a_changed_slot_is_named(stolen: StolenFile) -> None:
    for stratum, slot in stolen.ask("SELECT stratum, slot FROM sealed_slot"):
        at = f"WHERE stratum = {stratum} AND slot = {slot}"
        here = f"slot {slot} of stratum {stratum}"
        index = stratum * SLOTS + slot

        told = fault(stolen, "list 1", f"UPDATE sealed_slot SET leaf = zeroblob(32) {at}")
        assert f"the leaf of {here} or of" in told or f"or of {here} was changed" in told
        told = fault(stolen, "list 1", f"UPDATE sealed_slot SET blob = zeroblob(285) {at}")
        assert f"slot index {index} does not open" in told
        told = fault(stolen, "list 1", f"DELETE FROM sealed_slot {at}")
        assert told == f"{here} of sealing 1 of list 1 is not stored"
        told = fault(stolen, "list 1", f"UPDATE sealed_slot SET slot = slot + 50 {at}")
        assert told == f"{here} of sealing 1 of list 1 is not stored"


@sqlite_alone
def test_a_slot_too_many_is_named(stolen: StolenFile) -> None:
    for stratum, slot, told in ((0, SLOTS, "stratum 0"), (5, 0, "stratum 5")):
        add = (
            "INSERT INTO sealed_slot SELECT trial_id, list_number, sealing, "
            f"{stratum}, {slot}, leaf, blob FROM sealed_slot WHERE stratum = 0 AND slot = 0"
        )
        found = fault(stolen, "list 1", add)
        assert found.startswith(f"slot {slot} of {told} of sealing 1 of list 1 is stored, and")


@sqlite_alone
@pytest.mark.parametrize("what", ["leaf", "blob", "leaf, blob"])
def test_two_slots_in_each_other_s_place_are_named(stolen: StolenFile, what: str) -> None:
    """Whole rows, too: a slot that was not spent yet, moved before one that a guesser wants."""
    for slot in range(SLOTS - 1):
        columns = what.split(", ")
        values = ", ".join(
            f"{column} = (SELECT {column} FROM old WHERE old.stratum = 0 AND"
            f" old.slot = {2 * slot + 1} - sealed_slot.slot)"
            for column in columns
        )
        swap = [
            "CREATE TEMP TABLE old AS SELECT * FROM sealed_slot",
            f"UPDATE sealed_slot SET {values} WHERE stratum = 0 AND slot IN ({slot}, {slot + 1})",
        ]

        told = fault(stolen, "list 1", *swap)

        if what == "blob":
            assert f"slot index {slot} does not open" in told
        else:
            assert f"slot {slot} of stratum 0" in told


@sqlite_alone
def test_a_whole_list_of_somebody_s_own_is_named(stolen: StolenFile) -> None:
    own = "UPDATE sealed_slot SET leaf = randomblob(32), blob = randomblob(285)"
    clean = "DELETE FROM list_node"

    assert "slot 0 of stratum 0 or of slot 1" in fault(stolen, "list 1", own)
    assert fault(stolen, "list 1", own, clean) == "the leaves of list 1 do not give the logged root"
    assert "slot 0 of stratum 0 of sealing 1" in fault(stolen, "list 1", "DELETE FROM sealed_slot")


@sqlite_alone
def test_a_changed_node_of_a_list_is_named(stolen: StolenFile) -> None:
    for level, position in stolen.ask("SELECT level, position FROM list_node"):
        at = f"WHERE level = {level} AND position = {position}"
        which = f"the tree of list 1: its node {position} of level {level} is not"

        told = fault(stolen, "list 1", f"UPDATE list_node SET hash = zeroblob(32) {at}")
        assert told == f"{which} that of the leaves below it"
        assert fault(stolen, "list 1", f"DELETE FROM list_node {at}") == f"{which} stored"

    add = "INSERT INTO list_node SELECT trial_id, list_number, 1, 90, hash FROM list_node LIMIT 1"
    told = fault(stolen, "list 1", add)
    assert told.endswith("its node 90 of level 1 is stored, and the tree has none there")


@sqlite_alone
@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (f"SET design_sha256 = '{'e' * 64}'", "the design_sha256 of list 1 is not the logged one"),
        (f"SET root = '{'e' * 64}'", "the root of list 1 is not the logged one"),
        ("SET slots = '[6,7]'", "the slots of list 1 is not the logged one"),
        ("SET strata = '[\"a\"]'", "list 1 has other strata than the trial"),
        ("SET number = 2", "the rows of list 1 are lost"),
        ("SET slots = '[6, 6]'", "its slots is of another kind"),
    ],
)
def test_a_changed_list_is_named(stolen: StolenFile, attack: str, told: str) -> None:
    found = faults_of(stolen.verify_after(f"UPDATE randomization_list {attack}"))

    assert told in found["list 1"]
    if attack == "SET number = 2":
        assert found["list 2"] == "list 2 is stored, and no entry of the log has sealed it"


@sqlite_alone
def test_a_dropped_list_is_named(stolen: StolenFile) -> None:
    told = fault(stolen, "list 1", "DELETE FROM randomization_list")

    assert told.startswith("the rows of list 1 are lost")


@sqlite_alone
@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("SET kid = '0123456789abcdef'", "the kid of sealing 1 of list 1 is not the logged one"),
        ("SET wrap = zeroblob(80)", "the wrap of sealing 1 of list 1 is not the logged one"),
        (
            f"SET wrap_sha256 = '{'e' * 64}'",
            "the wrap of sealing 1 of list 1 is not the logged one",
        ),
        ("SET sealing = 2", "sealing 2 of list 1 is stored and was never logged"),
        ("SET list_number = 2", "sealing 1 of list 1, its last one, is not stored"),
    ],
)
def test_a_changed_sealing_is_named(stolen: StolenFile, attack: str, told: str) -> None:
    assert fault(stolen, "list 1", f"UPDATE list_sealing {attack}") == told


@sqlite_alone
def test_a_wrap_with_its_hash_changed_as_well_is_named(stolen: StolenFile) -> None:
    digest = hashlib.sha256(bytes(80)).hexdigest()
    swap = f"UPDATE list_sealing SET wrap = zeroblob(80), wrap_sha256 = '{digest}'"

    told = fault(stolen, "list 1", swap)

    assert told == "the wrap of sealing 1 of list 1 is not the logged one"


@postgresql_alone
@pytest.mark.parametrize(
    ("attack", "check", "told"),
    [
        ("UPDATE sealed_slot SET leaf = sha256(leaf) WHERE slot = 3", "list 1", "slot 3"),
        ("UPDATE sealed_slot SET blob = substr(blob, 1, 284) || '\\x00' WHERE slot = 3", "list 1",
         "slot index 3 does not open"),
        ("DELETE FROM sealed_slot WHERE slot = 3 AND stratum = 1", "list 1", "slot 3 of stratum 1"),
        ("UPDATE list_node SET hash = sha256(hash) WHERE level = 2", "list 1", "node 0 of level 2"),
        ("UPDATE list_sealing SET wrap = wrap || wrap", "list 1", "the wrap of sealing 1"),
        ("UPDATE randomization_list SET slots = '[6,7]'", "list 1", "the slots of list 1"),
        ("UPDATE assignment SET slot = 5 WHERE slot = 1", "assignments", "another slot"),
        ("DELETE FROM assignment WHERE slot = 1", "assignments", "is not stored"),
    ],
)  # fmt: skip
def test_an_attack_on_postgresql_is_named(
    lived: Installation, attack: str, check: str, told: str
) -> None:
    lived.attack(attack)

    found = faults_of(verification.verify(lived.deps, lived.trial))

    assert found.keys() == {check}
    assert told in found[check]


@sqlite_alone
def test_an_entry_that_names_another_leaf_than_its_slot_has_is_named(
    lived: Installation, stolen: StolenFile
) -> None:
    """Whoever could also sign checkpoints would still contradict the list's root."""
    for entry in lived.entries("slot.assigned"):
        data = entry.data.replace(entry.body["leaf"].encode(), b"e" * 64)

        found = faults_of(
            stolen.verify_after(("UPDATE log_entry SET data = ? WHERE seq = ?", (data, entry.seq)))
        )

        place = f"slot {entry.body['slot']} of stratum {entry.body['stratum']}"
        told = f"entry {entry.seq} names another leaf than {place} of list 1"
        assert found["list 1"] == told
        assert found["assignments"] == f"the assignment of entry {entry.seq} has another leaf"
