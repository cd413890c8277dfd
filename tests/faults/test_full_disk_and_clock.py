"""A disk that is full, under the anchor or the database, and a clock that steps back and forward.

The disk is a small one, mounted and filled to its last byte: the sealer's own folder; the folder
of a SQLite file; a tablespace of PostgreSQL that holds the log's entries. Where nothing can be
mounted, the process may write no file longer than it is, and PostgreSQL's own error is raised by
a trigger.
"""

import contextlib
import os
import pwd
import resource
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import text

from alloc_service.errors import DatabaseError, RefusalError
from alloc_service.log.entry import format_time
from alloc_service.services import audit, trials
from alloc_service.services.deps import Deps
from tests.faults.bad_machine import (
    PATIENCE,
    Program,
    open_program,
    require_refused,
    require_the_next_slot,
    require_the_same_slot,
    require_told,
)
from tests.faults.life import Home, Life, copy_sqlite
from tests.support.broken_disk import LimitedDisk, MountedDisk, SmallDisk, mounted
from tests.support.installation import Clock
from tests.support.postgres_server import PostgresServer

PAGE_BYTES = 4096
ROOM_OF_NO_ENTRY = 500  # an assignment takes more, in every spelling


class NoRoom:
    """What `shutil.disk_usage` says of a full disk."""

    free = 0


# --- the disk of the anchor -------------------------------------------------------------------


@pytest.fixture
def anchors_disk(life: Life, tmp_path: Path) -> Iterator[SmallDisk]:
    """Put the anchors of `life` on a small disk."""
    anchors = life.home.settings.anchors
    before = anchors.rename(tmp_path / "anchors-before")
    with mounted(anchors) as found:
        shutil.copytree(before, anchors, dirs_exist_ok=True)
        anchors.chmod(0o700)
        yield found or LimitedDisk(anchors)


def fill_last_page(program: Program) -> None:
    """Let the anchor grow until what is left of its last page has no room for an assignment.

    A full disk still takes what fits into a page that is there.
    """
    manager, trial = program.life.people["mgr"], program.life.trial
    for cap in range(300, 400):
        if -program.life.anchor.stat().st_size % PAGE_BYTES < ROOM_OF_NO_ENTRY:
            return
        trials.change_cap(program.running, manager, trial, cap)
    raise AssertionError("the anchor's last page did not fill")


def test_a_sealer_on_a_full_disk_spends_no_slot_until_it_is_freed(
    anchors_disk: SmallDisk, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "Nothing was appended and no slot was spent. Free the disk"
    with monkeypatch.context() as patch:
        if isinstance(anchors_disk, MountedDisk):
            anchors_disk.fill()
        else:  # a limit of the process is no disk's, and is found by writing alone
            patch.setattr("shutil.disk_usage", lambda _: NoRoom())
        require_told(program.allocate(), "sealer-not-writable", told)
        require_refused(program.ask_running, "sealer-not-writable", told)
        require_refused(program.ask_started, "sealer-not-writable", told)
        if isinstance(anchors_disk, MountedDisk):
            anchors_disk.free()

    require_the_next_slot(program)


@pytest.mark.parametrize("asked", ["service", "command line"])
def test_a_disk_that_fills_up_behind_the_commit_shows_nothing_and_spends_one_slot(
    anchors_disk: SmallDisk, program: Program, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    fill_last_page(program)
    told = "Nothing was shown. Free the disk or mend the file's rights"
    with monkeypatch.context() as patch:
        fill_once_a_slot_is_spent(program, anchors_disk, patch)
        try:
            if asked == "service":
                require_refused(program.ask_running, "anchor-not-writable", told)
            else:
                require_told(program.allocate(), "anchor-not-writable", told)
            for at in (0, 1):
                require_refused_somehow(program, at)
            assert program.verify().spent == 1
        finally:
            anchors_disk.free()

    require_the_same_slot(program, program.allocate(0), at=0, slot=0, number=1)
    require_the_next_slot(program, at=1)


def fill_once_a_slot_is_spent(program: Program, disk: SmallDisk, patch: pytest.MonkeyPatch) -> None:
    """Fill the disk when the sealer is about to follow the first assignment."""
    follow = audit.follow
    filled: list[bool] = []

    def fill_then_follow(deps: Deps, *rest: object) -> object:
        with program.running.database.read() as session:
            spent = session.scalar(text("SELECT count(*) FROM assignment"))
        if spent and not filled:
            disk.fill()
            filled.append(True)
        return follow(deps, *rest)  # type: ignore[arg-type]  # whatever it was given

    patch.setattr(audit, "follow", fill_then_follow)


def require_refused_somehow(program: Program, at: int) -> None:
    """Ask for an enrolment at both edges while the disk is full: both name a disk."""
    # A limit on what this process writes stops SQLite too, and then no commit is certain.
    codes = {"sealer-not-writable", "anchor-not-writable", "commit-unknown"}
    for ask in (program.ask_running, program.ask_started):
        with pytest.raises(RefusalError) as refused:
            ask(at)
        assert refused.value.code in codes
    outcome = program.allocate(at)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.strip().rpartition("[")[2].removesuffix("]") in codes


# --- the disk of the database -----------------------------------------------------------------


class Crowded(NamedTuple):
    """A program whose database is on a small disk, and what is told once that is full."""

    program: Program
    disk: SmallDisk
    code: str = "database-full"
    told: str = "nothing was changed. Free some space"


@pytest.fixture
def crowded(
    kind: str, program: Program, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Crowded]:
    """Return the program of `life` with its database on a small disk, and what a full one is."""
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with small_tablespace(server, program.life.home.database_name) as disk:
            yield Crowded(program, disk)
        return
    with mounted(tmp_path / "small") as found, pytest.MonkeyPatch.context() as patch:
        url, life = f"sqlite:///{tmp_path / 'small' / 'alloc.db'}", program.life
        moved = life.moved(Home(life.home.folder, url))
        copy_sqlite(life.home.database_file, moved.home.database_file)
        running = moved.home.open(program.clock, PATIENCE)
        there = open_program(moved, program.clock, running, patch)
        if found:
            yield Crowded(there, found)
        else:
            yield Crowded(there, ShortFiles(), "commit-unknown", "nothing is done twice")
        running.database.dispose()


class ShortFiles:
    """This process can write no file longer than a page or two."""

    directory = Path()

    def __init__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * PAGE_BYTES, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


class FullByTrigger:
    """A database whose log cannot grow: PostgreSQL's own error of a full disk."""

    directory = Path()

    def __init__(self, server: PostgresServer, name: str) -> None:
        self._run: Callable[[str], object] = lambda sql: server.administer(sql, name)
        self._run(
            "CREATE FUNCTION be_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )

    def fill(self) -> None:
        self._run("CREATE TRIGGER full_now BEFORE INSERT ON log_entry EXECUTE FUNCTION be_full()")

    def free(self) -> None:
        self._run("DROP TRIGGER full_now ON log_entry")


@contextlib.contextmanager
def small_tablespace(server: PostgresServer, name: str) -> Iterator[SmallDisk]:
    """Put the entries of the log on a small disk."""
    directory = server.folder / "small"
    with mounted(directory) as found:
        if found is None:
            yield FullByTrigger(server, name)
            return
        nobody = pwd.getpwnam("nobody")  # as whom the server runs where we are root
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        server.administer(f"CREATE TABLESPACE small LOCATION '{directory}'")
        server.administer("ALTER TABLE log_entry SET TABLESPACE small", name)
        yield found
        server.administer("ALTER TABLE log_entry SET TABLESPACE pg_default", name)
        server.administer("DROP TABLESPACE small")
    directory.rmdir()


def test_a_database_on_a_full_disk_is_told_spends_nothing_and_goes_on_once_it_is_freed(
    crowded: Crowded,
) -> None:
    program, disk, code, told = crowded
    disk.fill()
    try:
        at = ask_until_it_is_full(program, code)
        assert program.verify().spent == at
        location = program.running.database.location
        require_told(program.allocate(at), code, location, told)
        require_refused(partial(program.ask_running, at), code, told)
        require_refused(partial(program.ask_started, at), code, told)
        assert program.verify().spent == at
    finally:
        disk.free()

    require_the_next_slot(program, at)


def ask_until_it_is_full(program: Program, code: str) -> int:
    """Ask for one participant after the other; return the first that was refused."""
    for at in range(len(program.life.waiting)):
        with contextlib.suppress(DatabaseError):
            program.ask_running(at)
            continue
        require_refused(partial(program.ask_running, at), code)
        return at
    raise AssertionError("the disk was never full")


# --- the clock --------------------------------------------------------------------------------


def times_of(program: Program) -> list[str]:
    """Return the times of the log, of which the verified one never goes back unlogged."""
    entries = program.verify().entries
    steps = [
        one.type
        for one, before in zip(entries[1:], entries, strict=False)
        if one.time < before.time
    ]
    assert set(steps) <= {"clock.corrected"}
    return [entry.time for entry in entries]


def test_a_clock_that_steps_back_a_little_writes_no_time_before_the_last_one(
    program: Program, clock: Clock
) -> None:
    require_the_next_slot(program, 0)
    last = times_of(program)[-1]
    clock.advance(minutes=-4)
    require_the_next_slot(program, 1)

    assert set(times_of(program)[-3:]) == {last}


def test_a_clock_that_steps_back_further_stops_the_log_until_it_is_right(
    program: Program, clock: Clock
) -> None:
    require_the_next_slot(program, 0)
    times, now = times_of(program), clock.now
    clock.now -= timedelta(minutes=10)
    told = f"the log's last entry is of {times[-1]}, and this machine says {format_time(clock.now)}"
    for at in (0, 1):  # a second look is logged too, and none is shown that is not
        require_told(program.allocate(at), "clock-wrong", told, "Nothing was appended")
        for ask in (program.ask_running, program.ask_started):
            require_refused(partial(ask, at), "clock-wrong", told)
    assert times_of(program) == times

    clock.now = now
    require_the_next_slot(program, 1)


def test_a_clock_that_ran_ahead_is_corrected_by_an_administrator_and_in_the_log_alone(
    program: Program, clock: Clock
) -> None:
    right = clock.now
    clock.advance(days=30)
    require_the_next_slot(program, 0)
    clock.now = right
    told = "an administrator corrects it with `alloc log correct-clock`"
    require_told(program.allocate(1), "clock-wrong", told)
    correct = ("log", "correct-clock", program.life.trial)
    require_told(program.run(*correct, by="doc"), "not-allowed")
    assert program.verify().spent == 1

    assert program.run(*correct, by="admin").code == 0
    require_the_next_slot(program, 1)
    assert times_of(program)[-1] == format_time(right)
    assert [one.type for one in program.verify().entries].count("clock.corrected") == 1
