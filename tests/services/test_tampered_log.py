"""Attacks of a database's owner on the log itself: the first bad entry is named (G13, E5).

On SQLite every entry in turn, on PostgreSQL one.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from alloc_service.core.merkle import inner_nodes
from alloc_service.log.entry import Entry, write_entry
from alloc_service.services import reveal, verification
from tests.support.installation import Installation
from tests.support.rollback import SEVERE, recover
from tests.support.tampering import StolenFile, faults_of, named

sqlite_alone = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
postgresql_alone = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)

DISARM = (
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql "
    "AS 'BEGIN RETURN NEW; END'"
)
PUT = "UPDATE log_entry SET data = ? WHERE seq = ?"


@pytest.fixture
def lived(active: Installation) -> Installation:
    """Return a trial with three allocations, one of them read again, and a pause."""
    first = active.allocate("P-001")
    active.allocate("P-002", facts=SEVERE)
    active.allocate("P-003")
    reveal.read_again(active.deps, active.people["doc"], first.enrolment)
    active.change_state("pause")
    active.change_state("resume")
    return active


@pytest.fixture
def stolen(lived: Installation) -> Iterator[StolenFile]:
    file = StolenFile(lived, lived.home / "stolen.db")
    yield file
    file.close()


def with_time(entry: Entry, time: str = "2026-03-02T02:00:30Z") -> Entry:
    """Return an entry that differs in its time alone, as well-formed as before."""
    return write_entry(entry.seq, entry.prev, time, entry.type, entry.body)


def following(entries: Sequence[Entry], first: Entry) -> list[Entry]:
    """Return the entries from `first` on, each chained anew to the one before."""
    chained = [first]
    for entry in entries[first.seq + 1 :]:
        chained.append(write_entry(entry.seq, chained[-1].leaf, first.time, entry.type, entry.body))
    return chained


def test_a_log_that_nobody_touched_verifies(lived: Installation) -> None:
    report = verification.verify(lived.deps, lived.trial)

    assert faults_of(report) == {}
    assert report.ok
    report.require()
    assert named(report, "log").detail.startswith(f"{len(lived.entries())} entries")


@sqlite_alone
def test_an_edited_entry_is_named(lived: Installation, stolen: StolenFile) -> None:
    for entry in lived.entries():
        report = stolen.verify_after((PUT, (with_time(entry).data, entry.seq)))

        found = faults_of(report)
        assert (
            found["entries"] == f"entry {entry.seq} is stored with another leaf than its bytes have"
        )
        assert f"from entry {entry.seq}:" in found["log"]
        assert found["sealer"] == f"entry {entry.seq} is not the one that the sealer has followed"


@sqlite_alone
def test_an_entry_that_cannot_be_read_is_named(lived: Installation, stolen: StolenFile) -> None:
    for entry in lived.entries():
        report = stolen.verify_after((PUT, (entry.data[:-1], entry.seq)))

        found = faults_of(report)
        assert found["entries"].startswith(f"entry {entry.seq} cannot be read:")
        assert f"from entry {entry.seq}: it cannot be read" in found["log"]


@sqlite_alone
@pytest.mark.parametrize("column", ["prev", "leaf"])
def test_an_edited_column_beside_an_entry_is_named(
    lived: Installation, stolen: StolenFile, column: str
) -> None:
    for entry in lived.entries():
        report = stolen.verify_after(
            (f"UPDATE log_entry SET {column} = ? WHERE seq = ?", ("e" * 64, entry.seq))
        )

        wrong = f"entry {entry.seq} is stored with another {column} than its bytes have"
        assert faults_of(report) == {"entries": wrong}


@sqlite_alone
def test_a_dropped_entry_is_named(lived: Installation, stolen: StolenFile) -> None:
    *entries, last = lived.entries()
    for entry in entries:
        found = faults_of(stolen.verify_after(f"DELETE FROM log_entry WHERE seq = {entry.seq}"))

        assert found["entries"] == f"entry {entry.seq} is not stored"
        assert f"from entry {entry.seq}: it is missing" in found["log"]

    found = faults_of(stolen.verify_after(f"DELETE FROM log_entry WHERE seq = {last.seq}"))

    assert f"from entry {last.seq}: it is missing" in found["log"]
    assert found["sealer"] == f"entry {last.seq} is not stored, and the sealer has followed it"


@sqlite_alone
def test_two_entries_in_each_other_s_place_are_named(
    lived: Installation, stolen: StolenFile
) -> None:
    entries = lived.entries()
    for one, other in pairwise(entries):
        swapped = [(PUT, (one.data, other.seq)), (PUT, (other.data, one.seq))]

        found = faults_of(stolen.verify_after(*swapped))

        assert found["entries"] == f"entry {one.seq} is stored with another seq than its bytes have"
        assert f"from entry {one.seq}:" in found["log"]


@sqlite_alone
def test_a_truncated_log_is_named_from_its_first_missing_entry(
    lived: Installation, stolen: StolenFile
) -> None:
    entries = lived.entries()
    for last, cut in pairwise(entries):
        found = faults_of(stolen.verify_after(*truncation(last)))

        gone = f"entry {cut.seq} is not stored, and the sealer has followed it"
        assert found["sealer"] == gone
        assert "log" not in found  # whoever cut it cut the checkpoints as well
        assert "tree" not in found


def truncation(last: Entry) -> list[str]:
    """Return a truncation that leaves nothing behind which points past the cut."""
    size = last.seq + 1
    return [
        f"DELETE FROM log_entry WHERE seq >= {size}",
        f"DELETE FROM checkpoint WHERE size > {size}",
        f"DELETE FROM log_node WHERE (position + 1) * (1 << level) > {size}",
        f"UPDATE log_head SET size = {size}, last_leaf = '{last.leaf}'",
    ]


@sqlite_alone
def test_a_log_that_was_written_anew_from_an_entry_on_is_named_from_there(
    lived: Installation, stolen: StolenFile
) -> None:
    """The one who does this rules the whole database; signatures and anchor are out of reach."""
    entries = lived.entries()
    for entry in entries[1:]:
        forged = following(entries, with_time(entry))
        leaves = [bytes.fromhex(item.leaf) for item in (*entries[: entry.seq], *forged)]

        report = stolen.verify_after(
            *(
                (
                    "UPDATE log_entry SET data = ?, prev = ?, leaf = ? WHERE seq = ?",
                    (item.data, item.prev, item.leaf, item.seq),
                )
                for item in forged
            ),
            ("UPDATE log_head SET last_leaf = ?", (forged[-1].leaf,)),
            *(
                (
                    "UPDATE log_node SET hash = ? WHERE level = ? AND position = ?",
                    (value, level, position),
                )
                for level, position, value in inner_nodes(leaves)
            ),
        )

        found = faults_of(report)
        assert "entries" not in found
        assert "tree" not in found
        assert found["sealer"] == f"entry {entry.seq} is not the one that the sealer has followed"
        assert f"from entry {first_unsigned(lived, entry.seq)}:" in found["log"]


def first_unsigned(installation: Installation, seq: int) -> int:
    """Return where the first bad entry may be at the earliest: after the last good checkpoint."""
    sizes = [size for (size,) in installation.ask("SELECT size FROM checkpoint")]
    return max((size for size in sizes if size <= seq), default=0)


@sqlite_alone
def test_an_entry_that_was_added_past_the_anchor_is_named(
    lived: Installation, stolen: StolenFile
) -> None:
    last = lived.entries()[-1]
    body = {"actor": last.body["actor"], "site": "XA01"}
    added = write_entry(last.seq + 1, last.leaf, last.time, "site.paused", body)

    report = stolen.verify_after(
        (
            "INSERT INTO log_entry (trial_id, seq, prev, leaf, data) VALUES (?, ?, ?, ?, ?)",
            (lived.trial, added.seq, added.prev, added.leaf, added.data),
        )
    )

    assert faults_of(report).keys() == {"tree"}
    assert any(f"the entries from {added.seq} on" in text for text in report.unchecked)


@sqlite_alone
def test_a_changed_node_or_head_is_named(lived: Installation, stolen: StolenFile) -> None:
    for level, position in stolen.ask("SELECT level, position FROM log_node"):
        at = f"level = {level} AND position = {position}"
        which = f"the log's tree: its node {position} of level {level} "

        found = faults_of(
            stolen.verify_after(f"UPDATE log_node SET hash = zeroblob(32) WHERE {at}")
        )
        assert found == {"tree": which + "is not that of the leaves below it"}
        found = faults_of(stolen.verify_after(f"DELETE FROM log_node WHERE {at}"))
        assert found == {"tree": which + "is not stored"}
        found = faults_of(stolen.verify_after(f"UPDATE log_node SET level = 60 WHERE {at}"))
        assert found == {"tree": which + "is not stored"}

    size = len(lived.entries())
    head = f"the head is not that of the {size} entries that are stored"
    for attack in ("SET size = size - 1", f"SET last_leaf = '{'e' * 64}'", "SET trial_id = 'x'"):
        assert faults_of(stolen.verify_after(f"UPDATE log_head {attack}")) == {"tree": head}


@sqlite_alone
def test_a_node_too_many_is_named(lived: Installation, stolen: StolenFile) -> None:
    add = "INSERT INTO log_node (trial_id, level, position, hash) VALUES (?, 60, 0, zeroblob(32))"

    found = faults_of(stolen.verify_after((add, (lived.trial,))))

    assert found["tree"].endswith("node 0 of level 60 is stored, and the tree has none there")


@sqlite_alone
def test_a_changed_checkpoint_is_named(stolen: StolenFile) -> None:
    sizes = [size for (size,) in stolen.ask("SELECT size FROM checkpoint ORDER BY size")]
    assert len(sizes) > 10
    for size in sizes:
        edit = f"UPDATE checkpoint SET note = replace(note, '{size}', '{size + 1}')"
        found = faults_of(stolen.verify_after(f"{edit} WHERE size = {size}"))
        assert found.keys() == {"checkpoints"}
        assert found["checkpoints"].startswith(f"the checkpoint of size {size}: The signed note")

        move = f"UPDATE checkpoint SET size = 900 WHERE size = {size}"
        found = faults_of(stolen.verify_after(move))
        assert found == {"checkpoints": f"the checkpoint of size 900 is of size {size}"}


@sqlite_alone
def test_dropped_checkpoints_are_said_to_be_missing(stolen: StolenFile) -> None:
    (last,) = stolen.ask("SELECT max(size) FROM checkpoint")[0]
    (before,) = stolen.ask(f"SELECT max(size) FROM checkpoint WHERE size < {last}")[0]

    report = stolen.verify_after(f"DELETE FROM checkpoint WHERE size = {last}")
    assert report.ok  # any of them can be signed again; the anchor says more than they do
    assert any(
        f"No checkpoint covers the entries from {before} on" in it for it in report.unchecked
    )
    report = stolen.verify_after("DELETE FROM checkpoint")
    assert any("No checkpoint was given" in text for text in report.unchecked)


@sqlite_alone
def test_a_trigger_that_was_taken_off_is_named(lived: Installation) -> None:
    for (name,) in lived.ask("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
        with lived.deps.database.write() as tx:
            tx.connection().exec_driver_sql(f"DROP TRIGGER {name}")

        found = faults_of(verification.verify(lived.deps, lived.trial))

        assert found["guards"].startswith(f"the trigger {name} is not on")
        recover(lived)
        assert "guards" not in faults_of(verification.verify(lived.deps, lived.trial))


@postgresql_alone
@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (
            "DROP TRIGGER assignment_takes_the_next_slot ON assignment",
            "assignment_takes_the_next_slot",
        ),
        (
            "ALTER TABLE log_entry DISABLE TRIGGER log_entry_refuses_truncate",
            "log_entry_refuses_truncate",
        ),
        (
            "ALTER TABLE sealed_slot ENABLE TRIGGER sealed_slot_refuses_delete",
            "sealed_slot_refuses_delete",
        ),
        (DISARM, "log_entry_refuses_update"),
    ],
)
def test_a_trigger_of_postgresql_that_was_disarmed_is_named(
    lived: Installation, attack: str, name: str
) -> None:
    with lived.deps.database.write() as tx:
        tx.connection().exec_driver_sql(attack)

    found = faults_of(verification.verify(lived.deps, lived.trial))

    assert found["guards"].startswith(f"the trigger {name} is not on")
    recover(lived)
    assert faults_of(verification.verify(lived.deps, lived.trial)) == {}


@postgresql_alone
@pytest.mark.parametrize(
    ("attack", "check", "told"),
    [
        ("UPDATE log_entry SET data = data || '\\x20' WHERE seq = 7", "log", "from entry 7:"),
        ("DELETE FROM log_entry WHERE seq = 7", "entries", "entry 7 is not stored"),
        ("DELETE FROM log_entry WHERE seq >= 7", "sealer", "entry 7 is not stored"),
        ("UPDATE log_entry SET leaf = repeat('e', 64) WHERE seq = 7", "entries", "entry 7 "),
        ("UPDATE log_node SET hash = hash || '' WHERE level = 9", "", ""),
        (
            "UPDATE log_node SET hash = sha256(hash) WHERE level = 2 AND position = 1",
            "tree",
            "node 1 ",
        ),
        ("UPDATE checkpoint SET note = note || ' ' WHERE size = 5", "checkpoints", "of size 5"),
        ("UPDATE log_head SET size = 3", "tree", "the head"),
    ],
)
def test_an_attack_on_postgresql_is_named(
    lived: Installation, attack: str, check: str, told: str
) -> None:
    lived.attack(attack)

    found = faults_of(verification.verify(lived.deps, lived.trial))

    assert (check in found) == bool(check)
    assert told in found.get(check, "")
