"""Nothing that is stored, logged or said tells an arm before its time, or what makes the list.

A trial with arm codes, labels and block sizes that nothing else spells is led through its life,
with refusals, faults and attacks, once for each of several seeds. Then everything is searched:
files, dump, backup, anchors, log output down to SQLAlchemy's rows, the text of every refusal.
Of an arm there is only what the trial's definition says, and that is the same whatever the seed.
"""

import base64
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from alloc_service.services.deps import Deps
from alloc_service.trial.definition import SHIPPED
from tests.faults.leaky_life import (
    ARMS,
    LABELS,
    OTHER_SEED,
    LeakyLife,
    marked_definition,
    marked_design,
)
from tests.faults.life import Life, begin_life, make_home
from tests.faults.traces import (
    back_up,
    dump,
    files_of,
    find,
    logging_everything,
    report_crash,
    secrets_of,
    secrets_of_list,
    shape_of,
    spell,
    texts_of,
)
from tests.support.postgres_server import PostgresServer, wheel

SEEDS = {
    "sqlite": ("5eed" * 16, "c0ffee" * 10 + "c0ff", "da7a" * 16),
    "postgresql": ("5eed" * 16, "da7a" * 16),
}
WORDS = [word.encode() for word in (*ARMS.values(), *LABELS.values())]


@dataclass(frozen=True)
class Remains:
    """What one life left behind.

    Attributes:
        stored: By name, what is at rest.
        said: By name, what was logged or said.
        crashes: What crash reports would hold.
        raw: The pages and the log of a server.
        shape: Every row, with what must look random masked.
        secrets: What must be nowhere.
        arms: The list in clear.
    """

    stored: dict[str, bytes]
    said: dict[str, bytes]
    crashes: bytes
    raw: dict[str, bytes]
    shape: dict[str, list[tuple[Any, ...]]]
    secrets: dict[str, list[bytes]]
    arms: tuple[tuple[str, ...], ...]


@pytest.fixture(scope="module")
def live(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str, str], Remains]:
    """Return a function that leads a life with a seed, once, and returns what it left."""

    @cache
    def remains(kind: str, seed: str) -> Remains:
        folder = tmp_path_factory.mktemp("leaks")
        if kind == "sqlite":
            return leave(folder, seed, None, "")
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = server.create_database(like=request.getfixturevalue("postgres_template"))
        left = leave(folder, seed, server, name)
        server.drop_database(name)
        return left

    return remains


def leave(folder: Path, seed: str, server: PostgresServer | None, name: str) -> Remains:
    """Lead one life and collect what it leaves."""
    source = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")
    definition = marked_definition(source)
    with logging_everything() as log:
        home = make_home(folder / "home", server.url(name) if server else "")
        life = begin_life(home, definition, marked_design(definition), seed, participants=12)
        led = LeakyLife(life, life.home.open(), definition)
        with closing(led):
            led.lead()
            stored = files_of(life) | {"backup": back_up(led.deps, folder / "backup")}
            shape, secrets = shape_of(led.deps), all_secrets(led)
    raw: dict[str, bytes] = {}
    if server is not None:
        stored["dump"] = dump(server.url(name), wheel() / "pginstall" / "bin" / "pg_dump")
        raw = read_cluster(server, name)
    stored |= {f"{file}, closed": data for file, data in files_of(life).items() if "alloc" in file}
    refusals = "\n".join(texts_of(refusal) for refusal in led.refusals)
    crashes = "\n".join(report_crash(refusal) for refusal in led.refusals)
    said = {"log": log.getvalue().encode(), "refusals": refusals.encode()}
    return Remains(stored, said, crashes.encode(), raw, shape, secrets, life.arms)


def all_secrets(led: LeakyLife) -> dict[str, list[bytes]]:
    life = led.life
    secrets = secrets_of(life)
    for design, seed in ((life.design, life.seed), (led.second_design, OTHER_SEED)):
        for what, values in secrets_of_list(life, led.deps, design, seed).items():
            secrets[f"{what}, list {design.list}"] = values
    return secrets


def read_cluster(server: PostgresServer, name: str) -> dict[str, bytes]:
    """Return the files of a database and the write-ahead log of its server."""
    server.administer("CHECKPOINT")
    ((number,),) = server.administer(f"SELECT oid FROM pg_database WHERE datname = '{name}'")
    data = server.folder / "data"
    folders = {"files": data / "base" / str(number), "write-ahead log": data / "pg_wal"}
    return {
        what: b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())
        for what, folder in folders.items()
    }


@pytest.fixture
def lives(kind: str, live: Callable[[str, str], Remains]) -> list[Remains]:
    return [live(kind, seed) for seed in SEEDS[kind]]


def test_nothing_that_is_stored_or_said_holds_what_makes_the_list(lives: list[Remains]) -> None:
    for left in lives:
        everything = {**left.stored, **left.said, "crash reports": left.crashes}
        found = {name: find(data, left.secrets) for name, data in everything.items()}
        assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("kind", ["postgresql"])
def test_no_page_of_the_server_and_no_record_of_its_log_holds_what_makes_the_list(
    lives: list[Remains],
) -> None:
    left = lives[0]
    few = {name: values[:4] for name, values in left.secrets.items()}  # it is many megabytes

    assert {name: what for name, data in left.raw.items() if (what := find(data, few))} == {}


def test_arms_and_labels_stand_in_the_definition_alone(lives: list[Remains]) -> None:
    first = lives[0]
    for row in first.shape["trial"]:
        assert all(word.decode() in repr(row) for word in WORDS)
    others = {name: rows for name, rows in first.shape.items() if name != "trial"}
    assert [word for word in WORDS if word.decode() in repr(others)] == []
    assert [word for word in WORDS if word in first.said["refusals"]] == []
    anchors = b"".join(data for name, data in first.stored.items() if "anchors" in name)
    assert [word for word in WORDS if word in anchors] == []


def test_what_is_found_of_the_arms_is_the_same_whatever_the_seed(lives: list[Remains]) -> None:
    assert len({left.arms for left in lives}) == len(lives)
    for kind in ("stored", "said"):
        counts = [
            {
                (name, word): sum(data.count(spelled) for spelled in spell(word))
                for name, data in getattr(left, kind).items()
                for word in WORDS
            }
            for left in lives
        ]
        assert all(count == counts[0] for count in counts)
        assert sum(counts[0].values()) > 0  # the definition is there, and was found


def test_a_crash_report_with_local_variables_tells_the_same_whatever_the_seed(
    lives: list[Remains],
) -> None:
    counts = {tuple(left.crashes.count(word) for word in WORDS) for left in lives}

    assert len(counts) == 1


def test_no_number_time_or_text_in_any_row_depends_on_the_list(lives: list[Remains]) -> None:
    for table, rows in lives[0].shape.items():
        for left in lives[1:]:
            assert left.shape[table] == rows, table


def test_every_life_met_the_same_refusals(lives: list[Remains]) -> None:
    said = [left.said["refusals"].decode().count("Error") for left in lives]

    assert len(set(said)) == 1


# --- that the search would find it ------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
def test_a_secret_is_found_however_it_is_spelled(before: bytes) -> None:
    secret = bytes(range(7, 39))
    text = base64.b64encode(before + secret + b"and more").decode()
    for haystack in (
        before + secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        text.encode(),
        repr(before + secret).encode(),
    ):
        assert find(b"before" + haystack + b"after", {"it": [secret]}) == ["it"]
    assert find(b"nothing", {"it": [secret]}) == []


@pytest.mark.parametrize("kind", ["sqlite"])
def test_an_arm_in_a_row_is_found_in_file_counts_and_shape(life: Life, deps: Deps) -> None:
    before = shape_of(deps)
    leak = b'{"next":"MSC"}'
    with deps.database.write() as tx:
        tx.execute(text("UPDATE enrolment SET draft = :leak"), {"leak": leak})

    assert shape_of(deps) != before
    assert any(leak in data for data in files_of(life).values())
