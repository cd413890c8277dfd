"""A trial that has begun, on either database: each test gets a copy of its own."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

import pytest

from alloc_service.services.deps import Clock as ReadsTime
from alloc_service.services.deps import Deps
from alloc_service.storage.engine import PATIENCE
from tests.faults.bad_machine import PATIENCE as LITTLE_PATIENCE
from tests.faults.bad_machine import Program, on_this_machine, open_program
from tests.faults.life import NOW, Life, begin_life, make_home, noon
from tests.support.installation import Clock
from tests.support.postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the kind of database: a test that asks for a `life` runs on both.

    One kind alone: `@pytest.mark.parametrize("kind", ["sqlite"])`.
    """
    return str(request.param)


@pytest.fixture
def participants() -> int:
    """Return how many participants wait in a `life`; a file of tests may have its own number."""
    return 24


@pytest.fixture
def life(
    kind: str,
    participants: int,
    begin: Callable[[str, int], Life],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Life]:
    """Return a copy of its own of a trial that has begun."""
    begun = begin(kind, participants)
    if kind == "sqlite":
        yield begun.moved(begun.home.copy_to(tmp_path / "home"))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(like=begun.home.database_name)
    yield begun.moved(begun.home.copy_to(tmp_path / "home", server.url(name)))
    server.drop_database(name)


@pytest.fixture
def open_service() -> Iterator[Callable[..., Deps]]:
    """Return a function that starts the service of a life in this process."""
    opened: list[Deps] = []

    def start(life: Life, clock: ReadsTime = noon, patience: float = PATIENCE) -> Deps:
        opened.append(life.home.open(clock, patience))
        return opened[-1]

    yield start
    for deps in opened:
        deps.database.dispose()


@pytest.fixture
def deps(life: Life, open_service: Callable[..., Deps]) -> Deps:
    """Return the service of `life`, started in this process."""
    return open_service(life)


@pytest.fixture(scope="session")
def begin(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str, int], Life]:
    """Return a function that begins a trial on a kind of database, once for each size."""

    @cache
    def begun(kind: str, participants: int) -> Life:
        folder = tmp_path_factory.mktemp("begun") / "home"
        url = ""
        if kind == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            template = request.getfixturevalue("postgres_template")
            url = server.url(server.create_database(like=template))
        return begin_life(make_home(folder, url), participants=participants)

    return begun


@pytest.fixture(scope="session", autouse=True)
def _children_find_the_tree() -> None:
    """Start the server that children are forked from, where it finds this tree and no other."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
    forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def clock() -> Clock:
    """Return the clock of a `program`'s machine."""
    return Clock(NOW)


@pytest.fixture
def program(
    life: Life,
    clock: Clock,
    open_service: Callable[..., Deps],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Program]:
    """Return service and command line of `life`, on a machine that a test may break."""
    with on_this_machine(clock):
        running = open_service(life, clock, LITTLE_PATIENCE)
        yield open_program(life, clock, running, monkeypatch)
