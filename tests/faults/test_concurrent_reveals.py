"""Many ask at once: for one participant, or for all 240, from threads and from processes.

One enrolment spends one slot whoever asks how often; each stratum's slots are spent in order,
without a gap and each once; everybody sees the arm that the list has there.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from alloc_service.log.note import open_checkpoint
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from tests.faults import processes
from tests.faults.evidence import verify_trial
from tests.faults.life import ORDER, Life
from tests.faults.processes import ask_at_once, reveal_at_once

THREADS = 50
PROCESSES = 4
Seen = list[dict[str, Any]]


@pytest.fixture
def participants() -> int:
    return 240


@pytest.fixture
def ask_in_processes(life: Life, deps: Deps, tmp_path: Path) -> Callable[..., Seen]:
    """Return a function that lets processes of many threads ask at one moment, this one too."""

    def ask(shares: list[list[UUID]], beside: Sequence[UUID] = ()) -> Seen:
        barrier = processes.CONTEXT.Barrier(len(shares) + 1)
        answers = [tmp_path / f"answer-{number}" for number in range(len(shares))]
        threads = THREADS // len(shares) + 1
        asking = [
            processes.start(ask_at_once, life, share, threads, barrier, answer)
            for share, answer in zip(shares, answers, strict=True)
        ]
        barrier.wait(processes.LIMIT_SECONDS)
        here = reveal_at_once(life, deps, beside, threads)
        codes = [processes.wait(child) for child in asking]
        texts = [answer.read_text() for answer in answers]
        assert codes == [0] * len(shares), texts
        return [*here, *(seen for text in texts for seen in json.loads(text))]

    return ask


def check_seen(life: Life, deps: Deps, seen: Seen, asked: Counter[UUID], others: int = 0) -> None:
    """Check that everybody saw the arm of the one slot that their enrolment spent."""
    assert [one["refused"] for one in seen if "refused" in one] == []
    evidence = verify_trial(life, deps)  # each stratum's slots are 0 to n-1 there, each once
    assert evidence.spent == len(asked) + others
    assert evidence.anchored == len(evidence.entries)
    for enrolment, times in asked.items():
        (assigned,) = evidence.assigned_to(enrolment)
        body = assigned.body
        number = 1 + sum(
            entry.type == "slot.assigned" for entry in evidence.entries[: assigned.seq]
        )
        expected = {
            "enrolment": str(enrolment),
            "arm": life.arms[body["stratum"]][body["slot"]],
            "leaf": assigned.leaf,
            "number": number,
        }
        assert [one for one in seen if one["enrolment"] == str(enrolment)] == [expected] * times
    rereads = Counter(
        entry.body["enrolment"] for entry in evidence.entries if entry.type == "slot.reread"
    )
    assert rereads == +Counter({str(enrolment): times - 1 for enrolment, times in asked.items()})


def test_fifty_threads_that_ask_for_one_enrolment_spend_one_slot(life: Life, deps: Deps) -> None:
    asked = [life.waiting[0]] * THREADS

    seen = reveal_at_once(life, deps, asked, THREADS)

    check_seen(life, deps, seen, Counter(asked))


def test_four_processes_that_ask_for_one_enrolment_spend_one_slot(
    life: Life, deps: Deps, ask_in_processes: Callable[..., Seen]
) -> None:
    shares = [[life.waiting[0]] * (THREADS // PROCESSES + 1)] * PROCESSES

    seen = ask_in_processes(shares)

    check_seen(life, deps, seen, Counter(chain.from_iterable(shares)))


def test_240_enrolments_at_once_fill_each_stratum_in_order(
    life: Life, deps: Deps, ask_in_processes: Callable[..., Seen]
) -> None:
    shares = [list(life.waiting[number :: PROCESSES + 1]) for number in range(PROCESSES + 1)]
    asked_twice = [[*share, *other[::6]] for share, other in pairwise([*shares, shares[0]])]

    seen = ask_in_processes(asked_twice[1:], beside=asked_twice[0])

    check_seen(life, deps, seen, Counter(chain.from_iterable(asked_twice)))
    with deps.database.read() as session:
        spent = queries.count_assigned(session, life.trial)
    assert spent == Counter((1, ORDER[at % 8]) for at in range(240))


def test_a_worker_with_a_stale_read_freezes_nothing(
    life: Life, open_service: Callable[[Life], Deps]
) -> None:
    slow, quick = open_service(life), open_service(life)
    since = slow.sealer.status(life.origin).size
    with slow.database.read() as session:
        stale = [row.data for row in queries.read_entries(session, life.trial, since - 1)]
    reveal_at_once(life, quick, life.waiting[:5], threads=1)

    note = slow.sealer.follow(life.origin, since, stale)

    followed = open_checkpoint(note, slow.sealer.log_key(life.origin)).size
    assert followed == verify_trial(life, slow).anchored == since + 5
    assert slow.sealer.status(life.origin).frozen == ""
    seen = reveal_at_once(life, slow, life.waiting[5:7], threads=1)
    check_seen(life, quick, seen, Counter(life.waiting[5:7]), others=5)


@pytest.mark.parametrize("at", ["call services/audit.py follow", "call sealing/local.py follow"])
def test_a_process_that_others_overtake_after_its_commit_freezes_nothing(
    life: Life, deps: Deps, tmp_path: Path, at: str
) -> None:
    slow, connection = processes.start_waiting(life, life.waiting[0], tmp_path / "slow", at)

    seen = reveal_at_once(life, deps, life.waiting[1:9], threads=4)
    connection.send("go on")

    assert processes.wait(slow) == 0
    check_seen(life, deps, seen, Counter(life.waiting[1:9]), others=1)
    (assigned,) = verify_trial(life, deps).assigned_to(life.waiting[0])
    assert (tmp_path / "slow").read_text().splitlines()[0].split()[2] == assigned.leaf
    assert deps.sealer.status(life.origin).frozen == ""


def test_two_sealers_in_one_process_keep_one_anchor(
    life: Life, open_service: Callable[[Life], Deps]
) -> None:
    services = [open_service(life), open_service(life)]
    shares = [life.waiting[:20], life.waiting[10:30]]

    with ThreadPoolExecutor(2) as pool:
        both = pool.map(reveal_at_once, [life] * 2, services, shares, [10] * 2)
        seen = [one for part in both for one in part]

    check_seen(life, services[0], seen, Counter(chain.from_iterable(shares)))
