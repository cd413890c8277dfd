"""Yesterday's database under today's service: nothing opens, nothing is appended, no slot burns.

The log may come back shorter than the anchor, of its size with other entries, or grown past it by
entries that were made elsewhere, without this sealer; under the running service, which still
holds today's log in memory, or under one that was started anew. The sealer says why, and a
recovery by two people gives the lost entries back; then everybody sees the arm that they saw.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from alloc_service.errors import FrozenError
from alloc_service.services import (
    enrolments,
    health,
    lists,
    recovery,
    reports,
    reveal,
    trials,
)
from alloc_service.services.deps import Deps
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.reveal import Allocation
from alloc_service.storage import queries
from tests.faults.evidence import read_tables, verify_trial
from tests.faults.histories import clone, put_back
from tests.faults.life import ORDER, SITE, Life, typed
from tests.support.postgres_server import PostgresServer

YESTERDAY, TODAY, LATER = slice(0, 6), slice(6, 12), slice(12, 15)
# How the log comes back: the enrolments that were allocated elsewhere, and what the sealer says:
# the running service shows it the log from the anchor's end on, at start it is shown all of it.
HISTORIES = {
    "shorter": (slice(0, 0), "the log has no entry {last}, which the sealer followed"),
    "of equal size": (TODAY, "the log's entry {first} is not the one that the sealer followed"),
    "grown": (slice(6, 15), "the log's entry {first} is not the one that the sealer followed"),
}


@dataclass(frozen=True)
class RolledBack:
    """A trial whose database was put back.

    Attributes:
        life: The trial.
        deps: The service: the one that ran all the time, or one that was started after it.
        shown: What everybody saw before.
        size: Entries that the sealer has followed.
        reason: What the sealer must say.
        elsewhere: How many entries were made elsewhere.
    """

    life: Life
    deps: Deps
    shown: dict[UUID, Allocation]
    size: int
    reason: str
    elsewhere: int


def allocate(life: Life, deps: Deps, enrolment: UUID) -> Allocation:
    return reveal.reveal(deps, life.people["doc"], enrolment, life.sign(deps, enrolment))


@pytest.fixture
def clone_life(
    life: Life, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Life]]:
    """Return a function that copies the trial, as it is now, to another machine."""
    if kind == "sqlite":
        yield lambda: clone(life, tmp_path / "elsewhere")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(like=request.getfixturevalue("postgres_template"))
    yield lambda: clone(life, tmp_path / "elsewhere", server.url(name))
    server.drop_database(name)


@pytest.fixture(params=["under the running service", "under a restarted service"])
def restarted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "under a restarted service")


@pytest.fixture(params=HISTORIES)
def rolled_back(
    request: pytest.FixtureRequest,
    life: Life,
    restarted: bool,
    clone_life: Callable[[], Life],
    open_service: Callable[[Life], Deps],
) -> RolledBack:
    elsewhere, reason = HISTORIES[request.param]
    deps = open_service(life)
    shown = {enrolment: allocate(life, deps, enrolment) for enrolment in life.waiting[YESTERDAY]}
    yesterday = clone_life()
    shown |= {enrolment: allocate(life, deps, enrolment) for enrolment in life.waiting[TODAY]}
    size = deps.sealer.status(life.origin).size
    there = open_service(yesterday)
    for enrolment in reversed(life.waiting[elsewhere]):
        allocate(yesterday, there, enrolment)
    there.database.dispose()
    put_back(yesterday, life)
    if restarted:
        deps = open_service(life)
    reason = reason.format(last=size - 1, first=size - 6 if restarted else size - 1)
    return RolledBack(life, deps, shown, size, reason, len(life.waiting[elsewhere]))


def acts(case: RolledBack) -> dict[str, Callable[[], object]]:
    """Return everything that would open something or append to the log."""
    life, deps, people = case.life, case.deps, case.life.people
    one, two, new = life.waiting[0], life.waiting[8], life.waiting[20]
    return {
        "allocate": lambda: allocate(life, deps, new),
        "look again at yesterday's": lambda: reveal.read_again(deps, people["doc"], one),
        "look again at today's": lambda: allocate(life, deps, two),
        "count arms": lambda: reports.count_arms(deps, people["dmc"], life.trial, "review"),
        "read the design": lambda: lists.read_design(deps, people["stat"], life.trial, 1),
        "change the cap": lambda: trials.change_cap(deps, people["mgr"], life.trial, 200),
        "export": lambda: reports.export_log(deps, people["dmc"], life.trial),
    }


def test_nothing_opens_and_nothing_moves_after_a_rollback(
    rolled_back: RolledBack, restarted: bool
) -> None:
    life, deps = rolled_back.life, rolled_back.deps
    before, anchor = read_tables(deps), life.anchor.read_bytes()
    if restarted:
        refused = health.start(deps)
        assert isinstance(refused[life.trial], FrozenError)

    for name, act in acts(rolled_back).items():
        with pytest.raises(FrozenError) as refusal:
            act()
        assert rolled_back.reason in str(refusal.value), name

    assert read_tables(deps) == before
    assert life.anchor.read_bytes() == anchor
    status = deps.sealer.status(life.origin)
    assert (status.frozen, status.size) == (rolled_back.reason, rolled_back.size)


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("restarted", [False])
@pytest.mark.parametrize("first", ["change the cap", "look again at yesterday's"])
def test_whatever_comes_first_after_a_rollback_finds_the_trial_frozen(
    rolled_back: RolledBack, first: str
) -> None:
    before = read_tables(rolled_back.deps)

    with pytest.raises(FrozenError, match="alloc sealer recover"):
        acts(rolled_back)[first]()

    assert read_tables(rolled_back.deps) == before


def test_a_recovery_gives_the_lost_entries_back_and_the_trial_goes_on(
    rolled_back: RolledBack, open_service: Callable[[Life], Deps]
) -> None:
    life, deps, shown = rolled_back.life, rolled_back.deps, rolled_back.shown
    people = TwoPeople(life.people["admin"], life.people["mgr"])
    fork = read_log(life, deps)[rolled_back.size - 6 :]

    done = recovery.recover(deps, people, life.trial)

    assert (done.given_back, done.forked, done.retired) == (6, rolled_back.elsewhere, ())
    assert set(done.without_record) == {str(one) for one in life.waiting[TODAY]}
    check_fork(deps, fork)
    evidence = verify_trial(life, deps)
    assert evidence.anchored == len(evidence.entries) == rolled_back.size + 2
    assert [entry.type for entry in evidence.entries[-2:]] == ["log.recovered", "rollback.detected"]
    assert deps.sealer.status(life.origin).frozen == ""
    for at, enrolment in enumerate(life.waiting[TODAY], TODAY.start):
        enter_again(life, deps, enrolment, at)
    for service in (deps, open_service(life)):
        for enrolment, before in shown.items():
            again = reveal.read_again(service, life.people["doc"], enrolment)
            assert (again.arm, again.leaf) == (before.arm, before.leaf)
    for enrolment in (*life.waiting[LATER], life.waiting[20]):
        allocate(life, deps, enrolment)
    evidence = verify_trial(life, deps)
    assert evidence.spent == 16
    assert recovery.find_without_record(deps, life.trial) == ()


def read_log(life: Life, deps: Deps) -> list[bytes]:
    with deps.database.read() as session:
        return [row.data for row in queries.read_entries(session, life.trial)]


def check_fork(deps: Deps, fork: list[bytes]) -> None:
    """Check that the other history is kept as evidence."""
    tables = read_tables(deps)
    assert [row[-1] for row in tables["fork"]] == [recovery.hash_fork(fork)]
    assert sorted(row[-1] for row in tables["fork_entry"]) == sorted(fork)
    assert len(tables["fork_assignment"]) == len(fork)


def enter_again(life: Life, deps: Deps, enrolment: UUID, at: int) -> None:
    """Enter an enrolment again whose record was lost, from the site's own papers."""
    with deps.database.read() as session:
        definition = enrolments.definition_of(session, life.trial)
    people = TwoPeople(life.people["doc"], life.people["mgr"])
    papers = typed(definition, f"P-{at:03}", ORDER[at % 8])
    recovery.restore_enrolment(deps, people, life.trial, enrolment, site=SITE, typed=papers)
