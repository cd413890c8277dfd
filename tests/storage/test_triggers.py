"""Attacks on the append-only tables, by whoever can write SQL; each is refused by a trigger."""

import re
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from alloc_service.errors import AppendOnlyError, ConstraintError, DatabaseError
from alloc_service.storage import queries, triggers
from alloc_service.storage.engine import Database
from alloc_service.storage.queries import AssignmentRow, EntryRow
from tests.support.postgres_server import PostgresServer

LEAF = "'" + "e" * 64 + "'"
ENTRY = "INSERT INTO log_entry (trial_id, seq, prev, leaf, data) VALUES ('TEST-STORE'"
SPEND = (
    "INSERT INTO assignment (enrolment_id, trial_id, list_number, stratum, slot, leaf, entry_seq,"
    " assigned_at) VALUES"
)
TIME = "'2026-01-02 12:00:00'"
SEAL_AGAIN = (
    "INSERT INTO sealed_slot (trial_id, list_number, sealing, stratum, slot, leaf, blob)"
    " SELECT trial_id, list_number, sealing, stratum, slot, leaf, blob FROM sealed_slot"
    " WHERE stratum = 0 AND slot = 1"
)

sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgresql_alone = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def uuid(number: int) -> str:
    return f"'{UUID(int=number).hex}'"


@pytest.fixture
def full(
    trial_id: str, logged: list[EntryRow], assign: Callable[..., AssignmentRow]
) -> list[EntryRow]:
    """Store three entries, two assignments and eight sealed slots."""
    assert trial_id == "TEST-STORE"
    assign(slot=0, seq=1, enrolment=1)
    assign(slot=1, seq=2, enrolment=2)
    return logged


def everything(database: Database) -> list[list[object]]:
    with database.read() as session:
        return [
            [
                tuple(row)
                for row in session.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5"))
            ]
            for table in triggers.TABLES
        ]


def run(database: Database, *statements: str) -> None:
    with database.write() as transaction:
        for statement in statements:
            transaction.execute(text(statement))


def attack(database: Database, *statements: str) -> str:
    """Run the statements in one transaction and return the rule that refused them."""
    before = everything(database)
    with pytest.raises(AppendOnlyError) as refused:
        run(database, *statements)
    assert everything(database) == before
    return str(refused.value.facts["rule"])


@pytest.mark.parametrize("table", triggers.TABLES)
@pytest.mark.usefixtures("full")
def test_no_row_is_removed(database: Database, table: str) -> None:
    assert attack(database, f"DELETE FROM {table}") == f"{table}_refuses_delete"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("log_entry", "data = data"),
        ("log_entry", "seq = seq + 10"),
        ("assignment", "slot = slot + 10"),
        ("assignment", "stratum = 1 WHERE slot = 0"),
        ("sealed_slot", "leaf = leaf"),
        ("sealed_slot", "slot = slot + 10"),
    ],
)
@pytest.mark.usefixtures("full")
def test_no_row_is_changed(database: Database, table: str, change: str) -> None:
    assert attack(database, f"UPDATE {table} SET {change}") == f"{table}_refuses_update"


@pytest.mark.usefixtures("full")
def test_an_entry_beyond_the_next_is_refused(database: Database, full: list[EntryRow]) -> None:
    gap = f"{ENTRY}, 4, '{full[2].leaf}', {LEAF}, 'x')"

    assert attack(database, gap) == "log_entry_follows_the_last"


@pytest.mark.parametrize("seq", [0, 1, 2])
def test_a_second_entry_in_a_place_that_is_taken_is_refused(
    database: Database, full: list[EntryRow], seq: int
) -> None:
    prev = full[seq].prev

    assert (
        attack(database, f"{ENTRY}, {seq}, '{prev}', {LEAF}, 'x')") == "log_entry_follows_the_last"
    )


@pytest.mark.parametrize("prev", ["", "f" * 64])
@pytest.mark.usefixtures("full")
def test_an_entry_that_does_not_name_the_last_leaf_is_refused(
    database: Database, prev: str
) -> None:
    assert attack(database, f"{ENTRY}, 3, '{prev}', {LEAF}, 'x')") == "log_entry_follows_the_last"


def test_the_leaf_before_the_last_is_no_prev(database: Database, full: list[EntryRow]) -> None:
    fork = f"{ENTRY}, 3, '{full[1].leaf}', {LEAF}, 'x')"

    assert attack(database, fork) == "log_entry_follows_the_last"


def test_a_log_begins_at_0_without_prev(database: Database, full: list[EntryRow]) -> None:
    for seq, prev in ((1, ""), (0, full[0].leaf)):
        other = ENTRY.replace("TEST-STORE", "TEST-OTHER")

        assert attack(database, f"{other}, {seq}, '{prev}', {LEAF}, 'x')") == (
            "log_entry_follows_the_last"
        )


def test_entries_in_one_statement_must_follow_each_other_too(
    database: Database, full: list[EntryRow]
) -> None:
    first = f"('TEST-STORE', 3, '{full[2].leaf}', {LEAF}, 'x')"
    skips = f"('TEST-STORE', 5, {LEAF}, '{'f' * 64}', 'y')"
    insert = "INSERT INTO log_entry (trial_id, seq, prev, leaf, data) VALUES"

    assert attack(database, f"{insert} {first}, {skips}") == "log_entry_follows_the_last"


@pytest.mark.parametrize("slot", [0, 1, 3, 99])
@pytest.mark.usefixtures("full")
def test_a_slot_that_is_not_the_next_is_not_assigned(database: Database, slot: int) -> None:
    spend = f"{SPEND} ({uuid(9)}, 'TEST-STORE', 1, 0, {slot}, {LEAF}, 9, {TIME})"

    assert attack(database, spend) == "assignment_takes_the_next_slot"


@pytest.mark.usefixtures("full")
def test_an_enrolment_gets_no_second_slot(database: Database) -> None:
    spend = f"{SPEND} ({uuid(1)}, 'TEST-STORE', 1, 0, 2, {LEAF}, 9, {TIME})"

    assert attack(database, spend) == "assignment_takes_the_next_slot"


@pytest.mark.usefixtures("full")
def test_an_entry_assigns_no_second_slot(database: Database) -> None:
    spend = f"{SPEND} ({uuid(9)}, 'TEST-STORE', 1, 0, 2, {LEAF}, 2, {TIME})"

    assert attack(database, spend) == "assignment_takes_the_next_slot"


@pytest.mark.usefixtures("full")
def test_each_stratum_counts_its_own_slots_from_0(database: Database) -> None:
    spend = f"{SPEND} ({uuid(9)}, 'TEST-STORE', 1, 1, 0, {LEAF}, 9, {TIME})"
    with database.write() as transaction:
        transaction.execute(text(spend))

    with database.read() as session:
        assert queries.count_assigned(session, "TEST-STORE") == {(1, 0): 2, (1, 1): 1}


@pytest.mark.usefixtures("full")
def test_a_sealed_slot_is_not_sealed_over(database: Database) -> None:
    assert attack(database, SEAL_AGAIN) == "sealed_slot_is_new"


@sqlite_alone
@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"])
def test_sqlite_replaces_no_row_through_any_key(
    database: Database, full: list[EntryRow], verb: str
) -> None:
    same_key = f"{ENTRY}, 2, '{full[1].leaf}', {LEAF}, 'x')"
    as_text = f"{ENTRY}, '2', '{full[1].leaf}', {LEAF}, 'x')"
    as_real = f"{ENTRY}, 2.0, '{full[1].leaf}', {LEAF}, 'x')"
    same_leaf = f"{ENTRY}, 3, '{full[2].leaf}', '{full[0].leaf}', 'x')"
    same_enrolment = f"{SPEND} ({uuid(1)}, 'TEST-STORE', 1, 0, 2, {LEAF}, 9, {TIME})"
    same_slot = f"{SPEND} ({uuid(9)}, 'TEST-STORE', 1, 0, 0, {LEAF}, 9, {TIME})"
    same_entry = f"{SPEND} ({uuid(9)}, 'TEST-STORE', 1, 0, 2, {LEAF}, 1, {TIME})"

    for statement, rule in [
        (same_key, "log_entry_follows_the_last"),
        (as_text, "log_entry_follows_the_last"),
        (as_real, "log_entry_follows_the_last"),
        (same_leaf, "log_entry_follows_the_last"),
        (same_enrolment, "assignment_takes_the_next_slot"),
        (same_slot, "assignment_takes_the_next_slot"),
        (same_entry, "assignment_takes_the_next_slot"),
        (SEAL_AGAIN, "sealed_slot_is_new"),
    ]:
        assert attack(database, statement.replace("INSERT", verb, 1)) == rule


@sqlite_alone
@pytest.mark.parametrize("table", triggers.TABLES)
@pytest.mark.usefixtures("full")
def test_sqlite_has_no_row_id_to_replace_a_row_through(database: Database, table: str) -> None:
    with pytest.raises(DatabaseError), database.read() as session:
        session.execute(text(f"SELECT rowid FROM {table}"))


@sqlite_alone
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("log_entry", "seq = 0 WHERE seq = 1"),
        ("assignment", "slot = 0 WHERE slot = 1"),
        ("sealed_slot", "slot = 0 WHERE slot = 1"),
    ],
)
@pytest.mark.usefixtures("full")
def test_sqlite_replaces_no_row_by_an_update(database: Database, table: str, change: str) -> None:
    assert attack(database, f"UPDATE OR REPLACE {table} SET {change}") == f"{table}_refuses_update"


@postgresql_alone
@pytest.mark.parametrize("table", triggers.TABLES)
@pytest.mark.usefixtures("full")
def test_postgresql_truncates_no_table(database: Database, table: str) -> None:
    assert attack(database, f"TRUNCATE {table}") == f"{table}_refuses_truncate"
    assert attack(database, f"TRUNCATE trial, {table} CASCADE") == f"{table}_refuses_truncate"


@postgresql_alone
@pytest.mark.parametrize("act", ["UPDATE SET data = e.data", "DELETE"])
@pytest.mark.usefixtures("full")
def test_postgresql_merges_nothing_into_the_log(database: Database, act: str) -> None:
    merge = (
        "MERGE INTO log_entry AS e USING (VALUES (1)) AS other (seq) ON e.seq = other.seq"
        f" WHEN MATCHED THEN {act}"
    )

    assert attack(database, merge) == f"log_entry_refuses_{act.split(maxsplit=1)[0].lower()}"


@postgresql_alone
@pytest.mark.usefixtures("full")
def test_postgresql_refuses_a_change_that_meets_no_row(database: Database) -> None:
    assert attack(database, "DELETE FROM log_entry WHERE seq = 99") == "log_entry_refuses_delete"


@postgresql_alone
@pytest.mark.usefixtures("full")
def test_the_triggers_hold_where_a_superuser_plays_replica(
    database: Database, postgres_server: PostgresServer
) -> None:
    with database.read() as session:
        name = str(session.scalar(text("SELECT current_database()")))

    with pytest.raises(psycopg.Error) as refused:
        postgres_server.administer(
            "DO $$ BEGIN SET session_replication_role = replica; DELETE FROM log_entry; END $$",
            name,
        )

    assert refused.value.sqlstate == triggers.SQLSTATE


@pytest.mark.parametrize(
    ("key", "change"), [("trial_id, seq", "data = excluded.data"), ("trial_id, leaf", "seq = 9")]
)
def test_an_upsert_changes_no_entry(
    database: Database, full: list[EntryRow], key: str, change: str
) -> None:
    same = f"{ENTRY}, 0, '', '{full[0].leaf}', 'x') ON CONFLICT ({key}) DO UPDATE SET {change}"

    assert attack(database, same) in {"log_entry_refuses_update", "log_entry_follows_the_last"}


@pytest.mark.usefixtures("full")
def test_an_upsert_changes_no_assignment_and_no_sealed_slot(database: Database) -> None:
    spend = (
        f"{SPEND} ({uuid(1)}, 'TEST-STORE', 1, 0, 0, {LEAF}, 1, {TIME})"
        " ON CONFLICT (enrolment_id) DO UPDATE SET slot = 3"
    )
    key = "trial_id, list_number, sealing, stratum, slot"
    seal = f"{SEAL_AGAIN} ON CONFLICT ({key}) DO UPDATE SET leaf = excluded.leaf"

    assert attack(database, spend).startswith("assignment_")
    assert attack(database, seal).startswith("sealed_slot_")


def delete_with_lifted_triggers(database: Database, condition: str, fail: bool) -> None:
    with database.write() as transaction:
        with triggers.lifted(transaction.connection()):
            transaction.execute(text(f"DELETE FROM assignment WHERE {condition}"))
        if fail:
            raise ZeroDivisionError


@pytest.mark.usefixtures("full")
def test_lifted_triggers_are_back_after_the_block(database: Database) -> None:
    delete_with_lifted_triggers(database, "slot = 1", fail=False)

    with database.read() as session:
        assert queries.count_assigned(session, "TEST-STORE") == {(1, 0): 1}
    assert attack(database, "DELETE FROM assignment") == "assignment_refuses_delete"


@pytest.mark.usefixtures("full")
def test_lifted_triggers_are_back_where_the_transaction_fails(database: Database) -> None:
    before = everything(database)

    with pytest.raises(ZeroDivisionError):
        delete_with_lifted_triggers(database, "slot = 1", fail=True)

    assert everything(database) == before
    assert attack(database, "DELETE FROM assignment") == "assignment_refuses_delete"


@pytest.mark.usefixtures("full")
def test_what_no_trigger_refuses_a_named_rule_does(database: Database) -> None:
    short = "INSERT INTO sealed_slot VALUES ('TEST-STORE', 1, 0, 0, 9, {}, {})"
    empty = "''" if database.dialect == "postgresql" else "x''"

    with pytest.raises(ConstraintError) as refused:
        run(database, short.format(empty, empty))

    assert refused.value.facts["constraint"] in {
        "every_blob_has_the_same_length",
        "sealed_slot_has_a_leaf_of_32_bytes",
    }


@pytest.mark.parametrize("table", triggers.TABLES)
@pytest.mark.usefixtures("full")
def test_a_guard_finds_its_rows_by_index(database: Database, table: str) -> None:
    names = r"NEW\.(trial_id|prev|leaf|enrolment_id)"
    guard = re.sub(names, f"'{'0' * 32}'", triggers.OUT_OF_PLACE[table])
    guard = re.sub(r"NEW\.\w+", "1", guard)

    plan = plan_of(database, f"SELECT {guard}")

    assert "Index" in plan or "SEARCH" in plan
    for slow in ("Seq Scan", "Sort", "SCAN last", "SCAN same", "B-TREE"):
        assert slow not in plan


def plan_of(database: Database, statement: str) -> str:
    with database.read() as session:
        if database.dialect == "sqlite":
            rows = session.execute(text(f"EXPLAIN QUERY PLAN {statement}"))
        else:  # so few rows would be read one by one, were it not forbidden
            session.execute(text("SET LOCAL enable_seqscan = off"))
            rows = session.execute(text(f"EXPLAIN {statement}"))
        return "\n".join(str(row) for row in rows)
