"""Reads, writes, callbacks and refusals of a database, on SQLite and PostgreSQL alike."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError

from alloc_service.errors import (
    ConfigError,
    ConstraintError,
    DatabaseBusyError,
    DatabaseError,
    DatabaseReadOnlyError,
    NaiveTimeError,
)
from alloc_service.storage import queries
from alloc_service.storage.engine import Database
from alloc_service.storage.models import Enrolment, Reason
from alloc_service.storage.people import Account

ADD = "INSERT INTO reason (trial_id, entry_seq, salt, text) VALUES ('t', {}, 's', 'because')"

sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgresql_alone = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def add(database: Database, number: int) -> None:
    with database.write() as transaction:
        transaction.execute(text(ADD.format(number)))


def count(database: Database) -> int:
    with database.read() as session:
        return int(session.scalar(text("SELECT count(*) FROM reason")) or 0)


def test_a_write_is_stored_at_the_end_of_its_block(database: Database) -> None:
    add(database, 1)

    assert count(database) == 1


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def fail_after(number: int) -> None:
        with database.write() as transaction:
            transaction.execute(text(ADD.format(number)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_after(1)

    assert count(database) == 0
    add(database, 1)


def test_tables_are_made_and_dropped_inside_a_transaction(database: Database) -> None:
    def make_and_fail() -> None:
        with database.write() as transaction:
            transaction.execute(text("CREATE TABLE half_done (x integer)"))
            transaction.execute(text(ADD.format(1)))
            transaction.execute(text("DROP TABLE checkpoint"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_and_fail()

    with database.read() as session:
        assert queries.read_checkpoints(session, "t") == []
    with pytest.raises(DatabaseError), database.read() as session:
        session.execute(text("SELECT * FROM half_done"))


def test_a_read_sees_one_state_of_the_database_to_its_end(database: Database) -> None:
    add(database, 1)
    with database.read() as session:
        first = session.scalar(text("SELECT count(*) FROM reason"))
        add(database, 2)
        second = session.scalar(text("SELECT count(*) FROM reason"))

    assert (first, second) == (1, 1)
    assert count(database) == 2


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseReadOnlyError), database.read() as session:
        session.execute(text(ADD.format(1)))

    assert count(database) == 0


def test_a_read_inside_a_write_sees_what_was_before_it(database: Database) -> None:
    with database.write() as transaction:
        transaction.execute(text(ADD.format(1)))

        assert count(database) == 0


def test_callbacks_run_after_the_commit_in_order_and_the_last_ones_let_go(
    database: Database,
) -> None:
    told: list[str] = []
    with database.write() as transaction:
        transaction.on_end(lambda: told.append("end 1"))
        transaction.on_commit(lambda: told.append(f"commit 1 of {count(database)}"))
        transaction.on_commit(lambda: told.append("commit 2"))
        transaction.on_end(lambda: told.append("end 2"))
        transaction.execute(text(ADD.format(1)))

        assert told == []
    assert told == ["commit 1 of 1", "commit 2", "end 1", "end 2"]


def test_after_a_rollback_only_on_end_is_called(database: Database) -> None:
    told: list[str] = []

    def fail() -> None:
        with database.write() as transaction:
            transaction.on_commit(lambda: told.append("commit"))
            transaction.on_end(lambda: told.append(f"end of {count(database)}"))
            transaction.execute(text(ADD.format(1)))
            transaction.execute(text(ADD.format(1)))

    with pytest.raises(ConstraintError):
        fail()

    assert told == ["end of 0"]


def test_a_callback_that_fails_does_not_keep_the_others_from_being_called(
    database: Database,
) -> None:
    told: list[str] = []

    def fail() -> None:
        with database.write() as transaction:
            transaction.on_commit(lambda: told.append(str(1 // 0)))
            transaction.on_commit(lambda: told.append("commit"))
            transaction.on_end(lambda: told.append("end"))

    with pytest.raises(ZeroDivisionError):
        fail()

    assert told == ["commit", "end"]
    add(database, 1)


@sqlite_alone
def test_on_end_is_called_before_the_next_writer_has_its_turn(database: Database) -> None:
    told: list[str] = []

    def write_second() -> None:
        with database.write():
            told.append("second")

    second = threading.Thread(target=write_second)
    with database.write() as transaction:
        second.start()
        transaction.on_end(lambda: time.sleep(0.05))
        transaction.on_end(lambda: told.append("first ends"))
    second.join()

    assert told == ["first ends", "second"]


def test_a_write_inside_a_write_of_the_same_thread_is_refused_at_once(database: Database) -> None:
    with database.write(), pytest.raises(RuntimeError, match="inside another"):
        add(database, 1)

    add(database, 1)


def test_a_timeout_of_the_caller_stays_a_timeout(database: Database) -> None:
    with pytest.raises(TimeoutError), database.write():
        raise TimeoutError


def test_fifty_threads_of_writers_lose_nothing(database: Database) -> None:
    failures: list[BaseException] = []

    def write(thread: int) -> None:
        try:
            for turn in range(4):
                add(database, thread * 100 + turn)
        except BaseException as error:  # noqa: BLE001  told to the test below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert count(database) == 200


def test_a_counter_under_the_log_heads_lock_loses_no_step(
    database: Database, trial_id: str, chain: Callable[..., list[queries.EntryRow]]
) -> None:
    rows = chain(40)

    def append_next() -> None:
        for _ in range(4):
            with database.write() as transaction:
                head = queries.lock_log_head(transaction, trial_id)
                time.sleep(0.001)
                queries.append_entries(transaction, trial_id, [rows[head.size]], [])

    threads = [threading.Thread(target=append_next) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.read() as session:
        assert queries.read_log_head(session, trial_id) == (40, rows[-1].leaf)
        assert list(queries.read_entries(session, trial_id)) == rows


def test_a_lock_that_somebody_keeps_is_refused_as_busy(
    database_url: str, database: Database, trial_id: str
) -> None:
    impatient = Database(database_url, patience=0.2)
    try:
        with database.write() as transaction:
            queries.lock_log_head(transaction, trial_id)
            refused = refusal_in_thread(lambda: lock(impatient, trial_id))
    finally:
        impatient.dispose()

    assert isinstance(refused, DatabaseBusyError)
    assert "nothing was changed" in str(refused)


@postgresql_alone
def test_a_read_that_finds_no_free_connection_is_refused_as_busy(database_url: str) -> None:
    impatient = Database(database_url, patience=0.1)
    try:
        with pytest.raises(DatabaseBusyError, match="every connection"):
            open_reads(impatient, 50)
    finally:
        impatient.dispose()


def open_reads(database: Database, more: int) -> None:
    if more:
        with database.read() as session:
            session.execute(text("SELECT 1"))
            open_reads(database, more - 1)


def lock(database: Database, trial_id: str) -> None:
    with database.write() as transaction:
        queries.lock_log_head(transaction, trial_id)


def refusal_in_thread(act: Callable[[], None]) -> BaseException | None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  handed to the test
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return caught[0] if caught else None


def test_a_broken_rule_is_told_by_its_name_and_nothing_that_was_typed(
    database: Database, enrol: Callable[[str], UUID], account: Account
) -> None:
    enrol("17")

    def enrol_again() -> None:
        with database.read() as session:
            first = queries.list_enrolments(session, "TEST-STORE")[0]
        with database.write() as transaction:
            row = Enrolment(
                id=UUID(int=99),
                trial_id=first.trial_id,
                site=first.site,
                participant="17",
                record=b"{}",
                draft=b"secret draft",
                created_by=account.id,
                created_at=first.created_at,
            )
            transaction.add(row)

    with pytest.raises(ConstraintError) as refused:
        enrol_again()

    assert refused.value.facts == {"constraint": "participant_is_enrolled_once"}
    assert refused.value.__suppress_context__
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("INSERT INTO reason VALUES ('t', NULL, 's', 'x')", {"reason.entry_seq not null"}),
        (
            "INSERT INTO fork_entry (trial_id, fork, seq, data) VALUES ('t', 1, 1, 'x')",
            {"foreign key", "fork_entry_trial_id_fork_fkey"},
        ),
        ("INSERT INTO log_head VALUES ('t', -1, '')", {"log_size_counts_from_zero"}),
    ],
)
def test_each_kind_of_broken_rule_is_named(
    database: Database, statement: str, names: set[str]
) -> None:
    with pytest.raises(ConstraintError) as refused, database.write() as transaction:
        transaction.execute(text(statement))

    assert refused.value.facts["constraint"] in names | {"only_an_empty_log_has_no_leaf"}


def test_a_primary_key_that_is_taken_is_named(database: Database) -> None:
    add(database, 1)

    with pytest.raises(ConstraintError) as refused:
        add(database, 1)

    assert refused.value.facts == {"constraint": "reason_pkey"}


def test_a_time_without_zone_is_refused_on_the_way_in(
    database: Database, trial_id: str, account: Account
) -> None:
    assert trial_id
    naive = account.created_at.replace(tzinfo=None)

    def store() -> None:
        with database.write() as transaction:
            found = queries.read_account(transaction, account.id)
            found.disabled_at = naive

    with pytest.raises(NaiveTimeError):
        store()


def test_an_error_without_a_class_of_its_own_tells_no_text_of_the_driver(
    database: Database,
) -> None:
    with pytest.raises(DatabaseError) as refused, database.read() as session:
        session.execute(text("SELECT secret_column FROM no_table_of_ours"))

    assert type(refused.value) is DatabaseError
    assert "secret" not in str(refused.value)
    assert "no_table" not in str(refused.value)


def test_misuse_of_a_session_is_refused_too(database: Database) -> None:
    def use_after_rollback() -> None:
        with database.write() as transaction:
            raise InvalidRequestError(f"of {transaction}")

    with pytest.raises(DatabaseError, match="InvalidRequestError"):
        use_after_rollback()


def test_what_was_loaded_can_be_read_after_the_transaction(database: Database) -> None:
    with database.write() as transaction:
        reason = Reason(trial_id="t", entry_seq=1, salt="s", text="because")
        transaction.add(reason)

    assert reason.text == "because"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:hush@h/d",
        "postgresql://",
        "postgresql://u:hush@h:port/d",
    ],
)
def test_a_url_of_no_database_of_ours_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="ALLOC_DATABASE_URL") as refused:
        Database(url)

    assert "hush" not in str(refused.value)


def test_a_password_is_in_no_repr_and_no_location() -> None:
    database = Database("postgresql://alloc:hush@db.example.org/alloc?options=-c%20geqo%3Doff")

    assert repr(database) == "Database(PostgreSQL alloc on db.example.org)"
    assert "hush" not in f"{vars(database)}"
