"""Several processes, and forks, at one database."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from alloc_service.storage.engine import Database
from alloc_service.storage.processes import ForkGate

PRELUDE = """
import os, sys, threading, time, warnings
from sqlalchemy import text
from alloc_service.storage.engine import Database

# From 3.12 on Python warns of what this is a test of.
warnings.simplefilter("ignore", DeprecationWarning)

def add(database, number):
    with database.write() as transaction:
        transaction.execute(text(
            f"INSERT INTO reason (trial_id, entry_seq, salt, text) VALUES ('t', {number}, 's', 'x')"
        ))

def child(act):
    process = os.fork()
    if process == 0:
        act()
        sys.exit()  # in full, as a worker of a web server ends: what was inherited is let go too
    return process

def wait(*processes):
    for process in processes:
        assert os.waitpid(process, 0)[1] == 0

database = Database(sys.argv[1])
"""

FORK_BESIDE_A_WRITER = """
begun = threading.Event()

def write_slowly():
    with database.write() as transaction:
        begun.set()
        time.sleep(0.3)
        with database.read() as session:  # a thread that is inside need not wait for the fork
            session.execute(text("SELECT 1"))
        transaction.execute(text(
            "INSERT INTO reason (trial_id, entry_seq, salt, text) VALUES ('t', 1, 's', 'x')"
        ))

add(database, 0)
with database.read() as session:
    session.execute(text("SELECT 1"))
writer = threading.Thread(target=write_slowly)
writer.start()
begun.wait()
wait(child(lambda: [add(database, number) for number in range(10, 20)]))
writer.join()
add(database, 2)
wait(child(lambda: add(database, 3)))
add(database, 4)
"""

FOUR_WORKERS = """
add(database, 0)

def work(worker):
    def write(thread):
        for turn in range(5):
            add(database, worker * 100 + thread * 10 + turn)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

wait(*[child(lambda worker=worker: work(worker)) for worker in range(1, 5)])
"""


def play(url: str, scene: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + scene, url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def stored(database: Database) -> set[int]:
    with database.read() as session:
        return set(session.scalars(text("SELECT entry_seq FROM reason")))


def test_a_child_forked_beside_a_writer_writes_and_so_does_the_parent(
    database_url: str, database: Database
) -> None:
    play(database_url, FORK_BESIDE_A_WRITER)

    assert stored(database) == {0, 1, 2, 3, 4, *range(10, 20)}
    if database.dialect == "sqlite":
        with database.read() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"


def test_four_forked_workers_of_five_threads_lose_nothing(
    database_url: str, database: Database
) -> None:
    play(database_url, FOUR_WORKERS)

    assert stored(database) == {0} | {
        worker * 100 + thread * 10 + turn
        for worker in range(1, 5)
        for thread in range(5)
        for turn in range(5)
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_databases_of_one_process_share_the_files_queue(
    database_url: str, database: Database
) -> None:
    other = Database(database_url)
    with database.write(), pytest.raises(RuntimeError, match="inside another"), other.write():
        pass
    other.dispose()


def in_thread(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_a_closed_gate_lets_nobody_in_until_it_opens_again() -> None:
    gate = ForkGate()
    told: list[str] = []

    def enter() -> None:
        with gate.passed():
            told.append("in")

    gate.close()
    waiting = in_thread(enter)
    waiting.join(0.05)
    assert told == []
    gate.reopen()
    waiting.join()

    assert told == ["in"]


def test_closing_waits_for_those_inside_but_not_for_oneself() -> None:
    gate = ForkGate()
    inside, leave = threading.Event(), threading.Event()
    told: list[str] = []

    def stay() -> None:
        with gate.passed():
            inside.set()
            leave.wait()
            with gate.passed():  # also while the gate is closed
                told.append("left")

    staying = in_thread(stay)
    inside.wait()
    with gate.passed():
        threading.Timer(0.05, leave.set).start()
        gate.close()
        told.append("closed")
        gate.reopen()
    staying.join()

    assert told == ["left", "closed"]


def test_a_transaction_that_hangs_does_not_hold_up_a_fork_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alloc_service.storage.processes._LONGEST_WAIT", 0.05)
    gate = ForkGate()
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with gate.passed():
            inside.set()
            leave.wait()

    staying = in_thread(stay)
    inside.wait()
    gate.close()
    gate.start_anew()  # as the child does
    leave.set()
    staying.join()

    with gate.passed():
        pass


def test_connections_that_are_forgotten_are_neither_used_nor_closed(database: Database) -> None:
    with database.write() as transaction:
        before = transaction.connection().connection.dbapi_connection
    inherited = database.forget_connections()
    with database.write() as transaction:
        after = transaction.connection().connection.dbapi_connection

    assert before is not after
    assert before is not None
    before.cursor().execute("SELECT 1")
    for pool in inherited:
        pool.dispose()
