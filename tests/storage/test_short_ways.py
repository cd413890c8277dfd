"""Prepared statements on the short ways in: asking, and writing what a loss of power may undo."""

import pytest
from sqlalchemy import func, insert, select

from alloc_service.errors import ConstraintError, DatabaseError, DatabaseReadOnlyError
from alloc_service.storage.engine import Database
from alloc_service.storage.models import Reason
from alloc_service.storage.prepared import Prepared
from alloc_service.storage.tables import METADATA

REASONS = METADATA.tables["reason"]
ADD = Prepared(insert(REASONS))
COUNT = Prepared(select(func.count()).select_from(REASONS))

sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgresql_alone = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def row(number: int) -> dict[str, object]:
    return {"trial_id": "t", "entry_seq": number, "salt": "s", "text": "because"}


def count(database: Database) -> int:
    with database.ask() as asking:
        return int((COUNT.find(asking, {}) or (0,))[0])


def test_what_was_jotted_is_found_by_asking(database: Database) -> None:
    with database.jot() as asking:
        ADD.run(asking, row(1))

    assert count(database) == 1


def test_a_statement_sees_what_was_committed_since_the_one_before_it(database: Database) -> None:
    with database.ask() as asking:
        before = COUNT.find(asking, {})
        with database.write() as transaction:
            transaction.add(Reason(**row(1)))
        assert (before, COUNT.find(asking, {})) == ((0,), (1,))


def test_a_jot_that_fails_leaves_nothing_and_lets_the_next_one_in(database: Database) -> None:
    def fail() -> None:
        with database.jot() as asking:
            ADD.run(asking, row(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert count(database) == 0
    with database.jot() as asking:
        ADD.run(asking, row(1))
    assert count(database) == 1


def test_a_rule_of_the_schema_refuses_a_jot_by_its_name(database: Database) -> None:
    with database.jot() as asking:
        ADD.run(asking, row(1))

    with pytest.raises(ConstraintError), database.jot() as asking:
        ADD.run(asking, row(1))

    assert count(database) == 1


def test_nothing_is_written_by_asking(database: Database) -> None:
    with pytest.raises(DatabaseReadOnlyError), database.ask() as asking:
        ADD.run(asking, row(1))

    assert count(database) == 0
    with database.write() as transaction:  # and the connection that was asked is as it was
        transaction.add(Reason(**row(1)))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(REASONS)) == 1


def test_a_jot_inside_a_write_is_refused_before_it_waits_for_itself(database: Database) -> None:
    with pytest.raises(RuntimeError, match="inside another"), database.write(), database.jot():
        pass


def test_a_connection_lost_while_asking_is_a_refusal_and_the_next_one_is_new(
    database: Database,
) -> None:
    def ask_once_lost() -> None:
        with database.ask() as asking:
            asking.driver.close()
            COUNT.find(asking, {})

    with pytest.raises(DatabaseError):
        ask_once_lost()

    assert count(database) == 0


@sqlite_alone
def test_only_a_jot_does_not_wait_for_sqlites_disk(database: Database) -> None:
    with database.jot() as asking:
        jotted = asking.driver.execute("PRAGMA synchronous").fetchone()
    with database.write() as transaction:
        written = transaction.driver.execute("PRAGMA synchronous").fetchone()

    assert (jotted, written) == ((1,), (2,))


@postgresql_alone
def test_only_a_jot_does_not_wait_for_postgresqls_disk(database: Database) -> None:
    found = []
    for _turn in range(3):  # the connection of one is that of the next
        with database.jot() as asking:
            found.append(asking.driver.execute("SHOW synchronous_commit").fetchone())
        with database.write() as transaction:
            found.append(transaction.driver.execute("SHOW synchronous_commit").fetchone())

    assert found == [("off",), ("on",)] * 3
