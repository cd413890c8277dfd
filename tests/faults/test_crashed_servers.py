"""PostgreSQL crashes under a reveal: one session of it, or the server, before and in the commit.

Whether a commit whose answer was lost is stored, only the database knows. So nothing is shown,
and asking again reads what was kept: the same slot, or the next one where none was.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults import processes
from tests.faults.asking import Asking
from tests.faults.crashing_postgres import CrashingPostgres
from tests.faults.life import begin_life, make_home
from tests.faults.processes import ask

BEFORE_THE_COMMIT = "call storage/refusals.py committing"
BEFORE_IT_IS_READ_BACK = "call storage/queries/log.py glance_at_entries"
AFTER_THE_COMMIT = "call services/audit.py follow"


@pytest.fixture(scope="module")
def server() -> Iterator[CrashingPostgres]:
    with CrashingPostgres() as server:
        yield server


@pytest.fixture(scope="module")
def database_name(server: CrashingPostgres) -> str:
    return server.create_database()


@pytest.fixture(scope="module")
def asking(
    server: CrashingPostgres, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asking]:
    """Begin one life on that server; each test takes the next of its participants."""
    folder = tmp_path_factory.mktemp("crashes")
    home = make_home(folder / "home", server.url(database_name))
    life = begin_life(home, participants=16)
    deps = home.open()
    yield Asking(life, deps, folder)
    deps.database.dispose()


@pytest.fixture
def ask_with(asking: Asking, tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that lets a child ask and crashes the server once it is at a step."""

    def act(enrolment: UUID, at: str, crash: Callable[[], None]) -> list[str]:
        answer = tmp_path / "answer"
        child, connection = processes.start_waiting(asking.life, enrolment, answer, at)
        crash()
        connection.send("go on")
        assert processes.wait(child) == 0
        return answer.read_text().splitlines()

    return act


def test_a_session_killed_before_its_commit_spends_nothing(
    asking: Asking,
    server: CrashingPostgres,
    database_name: str,
    ask_with: Callable[..., list[str]],
) -> None:
    enrolment = asking.next_enrolment()

    printed = ask_with(
        enrolment,
        BEFORE_THE_COMMIT,
        lambda: server.kill_session(database_name, "state = 'idle in transaction'"),
    )

    assert printed[0].startswith("refused commit-unknown: ")
    assert asking.check(enrolment, printed) == 0
    asking.retry(enrolment)


def test_a_session_killed_after_it_has_stored_the_commit_keeps_the_slot(
    asking: Asking, server: CrashingPostgres, database_name: str, tmp_path: Path
) -> None:
    enrolment = asking.next_enrolment()
    asking.deps.database.dispose()
    server.crash()
    # Each commit is stored and then waits for a standby that never comes.
    server.start_again("synchronous_standby_names=nobody")
    answer = tmp_path / "answer"
    child = processes.start(ask, asking.life, enrolment, answer)
    server.kill_session(database_name, "wait_event = 'SyncRep'")
    assert processes.wait(child) == 0
    server.crash()
    server.start_again()

    printed = answer.read_text().splitlines()
    assert printed[0].startswith("refused commit-unknown: ")
    assert "Ask again" in printed[0]
    assert asking.check(enrolment, printed) == 1
    asking.retry(enrolment)


def test_a_server_that_crashed_before_the_commit_spends_nothing(
    asking: Asking, server: CrashingPostgres, ask_with: Callable[..., list[str]]
) -> None:
    enrolment = asking.next_enrolment()

    def crash() -> None:
        server.crash()
        server.start_again()

    printed = ask_with(enrolment, BEFORE_THE_COMMIT, crash)

    assert printed[0].startswith("refused commit-unknown: ")
    assert asking.check(enrolment, printed) == 0
    asking.retry(enrolment)


def test_a_server_restarted_after_the_commit_costs_a_connection_and_no_refusal(
    asking: Asking, server: CrashingPostgres, ask_with: Callable[..., list[str]]
) -> None:
    enrolment = asking.next_enrolment()

    def crash() -> None:
        server.crash()
        server.start_again()

    printed = ask_with(enrolment, AFTER_THE_COMMIT, crash)

    assert printed[0].startswith("arm ")
    assert asking.check(enrolment, printed) == 1
    asking.retry(enrolment)


def test_what_was_committed_and_read_back_is_shown_though_the_server_stays_away(
    asking: Asking, server: CrashingPostgres, ask_with: Callable[..., list[str]]
) -> None:
    enrolment = asking.next_enrolment()

    printed = ask_with(enrolment, AFTER_THE_COMMIT, server.crash)
    server.start_again()

    assert printed[0].startswith("arm ")
    assert asking.check(enrolment, printed) == 1
    asking.retry(enrolment)


def test_a_server_that_stays_away_from_the_commit_on_shows_nothing_and_keeps_the_slot(
    asking: Asking, server: CrashingPostgres, ask_with: Callable[..., list[str]]
) -> None:
    enrolment = asking.next_enrolment()

    printed = ask_with(enrolment, BEFORE_IT_IS_READ_BACK, server.crash)
    server.start_again()

    assert printed[0].startswith("refused database-unreachable: ")
    assert asking.check(enrolment, printed) == 1
    asking.retry(enrolment)
