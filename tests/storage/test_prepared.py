"""Statements on the driver's cursor: the same values and refusals as through SQLAlchemy."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert, literal, select, text

from alloc_service.errors import AppendOnlyError, ConstraintError, DatabaseError
from alloc_service.storage import queries
from alloc_service.storage.engine import Database
from alloc_service.storage.models import Reason
from alloc_service.storage.prepared import Prepared, as_bytes
from alloc_service.storage.tables import METADATA
from alloc_service.storage.transactions import Reading

REASONS = METADATA.tables["reason"]
ASSIGNMENTS = METADATA.tables["assignment"]
ADD = Prepared(insert(REASONS))
FIND = Prepared(
    select(REASONS.c.text, literal("constant").label("word")).where(
        REASONS.c.trial_id == bindparam("trial"), REASONS.c.entry_seq == bindparam("seq")
    )
)
ROW = {"trial_id": "t", "entry_seq": 1, "salt": "s", "text": "wörd; 100 % 'quoted' :seq"}


def test_what_was_written_is_found_with_the_constants_of_the_statement(database: Database) -> None:
    with database.write() as transaction:
        ADD.run(transaction, ROW)

    with database.read() as session:
        assert tuple(FIND.find(session, {"trial": "t", "seq": 1}) or ()) == (
            ROW["text"],
            "constant",
        )
        assert FIND.find(session, {"trial": "t", "seq": 2}) is None


def test_ids_and_times_go_in_as_through_the_session(database: Database) -> None:
    noon = datetime(2026, 3, 2, 12, 0, 0, 250, tzinfo=UTC)
    row = queries.AssignmentRow(UUID(int=7), "t", 1, 0, 0, "a" * 64, 1, noon)
    with database.write() as transaction:
        Prepared(insert(ASSIGNMENTS)).run(transaction, row._asdict())

    with database.read() as session:
        (stored,) = queries.list_assignments(session, "t")
    assert (stored.enrolment_id, stored.assigned_at) == (row.enrolment_id, noon)


def test_a_statement_serves_both_databases_and_every_connection(database: Database) -> None:
    for seq in range(12):  # PostgreSQL prepares a statement on its own side after a few
        with database.write() as transaction:
            ADD.run(transaction, ROW | {"entry_seq": seq})
    database.dispose()

    with database.read() as session:
        assert FIND.find(session, {"trial": "t", "seq": 11}) is not None


def test_a_rule_of_the_schema_is_named_as_through_the_session(database: Database) -> None:
    with database.write() as transaction:
        ADD.run(transaction, ROW)

    with pytest.raises(ConstraintError, match="reason"), database.write() as transaction:
        ADD.run(transaction, ROW)


def test_a_driver_s_own_error_is_a_refusal_without_its_text(database: Database) -> None:
    with pytest.raises(DatabaseError) as refusal, database.read() as session:
        Prepared(text("SELECT wrong FROM nowhere")).run(session, {})
    assert "nowhere" not in str(refusal.value)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_text_in_a_column_of_bytes_is_read_as_bytes(database: Database) -> None:
    entries = METADATA.tables["log_entry"]
    with database.write() as transaction:
        transaction.execute(
            text(
                "INSERT INTO log_entry (trial_id, seq, prev, leaf, data)"
                " VALUES ('t', 0, '', :leaf, 'text')"
            ),
            {"leaf": "a" * 64},
        )

    with database.read() as session:
        assert Prepared(select(as_bytes(entries.c.data))).find(session, {}) == (b"text",)


# --- sent together, expected, read back -------------------------------------------------------


def test_what_is_sent_together_is_stored_together(database: Database) -> None:
    with database.write() as transaction, transaction.sending_together():
        for seq in range(5):
            ADD.run(transaction, ROW | {"entry_seq": seq})

    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM reason")) == 5


def test_what_is_sent_together_is_refused_together(database: Database) -> None:
    def send() -> None:
        with database.write() as transaction, transaction.sending_together():
            ADD.run(transaction, ROW)
            ADD.run(transaction, ROW)
            ADD.run(transaction, ROW | {"entry_seq": 2})

    with pytest.raises(ConstraintError):
        send()
    with database.read() as session:
        assert session.query(Reason).count() == 0


def test_a_change_that_was_expected_is_demanded_before_the_commit(database: Database) -> None:
    change = Prepared(text("UPDATE reason SET text = 'x' WHERE trial_id = 'nowhere'"))

    def change_nothing() -> None:
        with database.write() as transaction, transaction.sending_together():
            ADD.run(transaction, ROW)
            transaction.expect_one_row(change.run(transaction, {}), "one_row_changes")

    with pytest.raises(AppendOnlyError, match="one_row_changes"):
        change_nothing()
    with database.read() as session:
        assert session.query(Reason).count() == 0


def test_what_was_committed_is_read_back_and_only_that(database: Database) -> None:
    found: list[object] = []

    def read(session: Reading) -> None:
        found.append(FIND.find(session, {"trial": "t", "seq": 1}))

    def write(*, fail: bool) -> None:
        with database.write() as transaction:
            ADD.run(transaction, ROW)
            transaction.read_back(read)
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(fail=True)
    assert found == []
    write(fail=False)
    assert len(found) == 1
    assert found[0] is not None


def test_a_commit_stands_where_it_cannot_be_read_back(database: Database) -> None:
    with database.write() as transaction:
        ADD.run(transaction, ROW)
        wrong = Prepared(text("SELECT wrong FROM nowhere"))
        transaction.read_back(lambda session: wrong.run(session, {}) and None)

    with database.read() as session:
        assert FIND.find(session, {"trial": "t", "seq": 1}) is not None
