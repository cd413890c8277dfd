"""A whole machine that was put back to yesterday: its database, its anchors and its keys.

Nothing on it can tell. The witness can; without one the two machines sign two histories, and
whoever holds both proves it.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from alloc_service.errors import (
    FrozenError,
    NotAllowedError,
    RegisterError,
    SplitViewError,
    WitnessAheadError,
    WitnessNoteError,
    WitnessUnheardError,
)
from alloc_service.log.verify import verify_log
from alloc_service.services import health, proofs, recovery, reveal, witnesses
from alloc_service.services.recovery import TwoPeople
from alloc_service.storage import queries
from alloc_service.storage.engine import Database
from tests.support.installation import Installation, type_small
from tests.support.rollback import Loss, lose, open_on, read_table, two_people
from tests.support.witnesses import WitnessServer, saying, set_gate

BEYOND = "was signed, and the anchor has less"
ANOTHER = "was signed for another log than the anchor"


@pytest.fixture(params=["gate", "follow"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def today(active: Installation, witness: WitnessServer, mode: str) -> Installation:
    """Return the trial with a witness, before anything is lost."""
    set_gate(active, witness, mode=mode)
    return active


@pytest.fixture
def loss(
    today: Installation, witness: WitnessServer, kind: str, empty: Callable[[str], Database]
) -> Loss:
    """Return what is lost; the witness has seen all of it."""
    loss = lose(today, empty(kind))
    witnesses.collect(today.deps, today.people["dmc"], today.trial)
    assert witness.size() == len(today.entries())
    return loss


@pytest.fixture
def put_back(today: Installation, loss: Loss) -> Installation:
    """Return the whole machine as it was yesterday, started anew."""
    return open_on(today, loss.yesterday, "old")


def recover(installation: Installation, *seen: str) -> recovery.Recovery:
    people = two_people(installation)
    return recovery.recover(installation.deps, people, installation.trial, (), seen)


def require_shut(installation: Installation, reason: str) -> None:
    """Check that nothing opens and nothing is appended, and that the reason is told."""
    before = read_table(installation, "log_entry"), read_table(installation, "assignment")
    doc = installation.people["doc"]
    with installation.deps.database.read() as session:
        rows = queries.list_enrolments(session, installation.trial)
    early = next(row.id for row in rows if row.participant == "P-001")
    draft = installation.enrol(type_small("P-009"))
    acts: list[Callable[[], object]] = [
        lambda: installation.reveal(draft),
        lambda: reveal.read_again(installation.deps, doc, early),
        lambda: installation.change_state("pause"),
        lambda: proofs.sign_log(installation.deps, installation.trial),
    ]
    for act in acts:
        with pytest.raises(FrozenError, match=reason):
            act()
    assert before == (
        read_table(installation, "log_entry"),
        read_table(installation, "assignment"),
    )
    assert reason in installation.deps.sealer.status(installation.origin).frozen


def test_a_machine_that_was_put_back_is_frozen_at_its_start(
    put_back: Installation, witness: WitnessServer
) -> None:
    refused = health.start(put_back.deps)

    assert isinstance(refused[put_back.trial], FrozenError)
    assert f"a checkpoint of size {witness.size()} {BEYOND}" in str(refused[put_back.trial])
    require_shut(put_back, BEYOND)


@pytest.mark.parametrize("mode", ["gate"], indirect=True)
def test_a_gate_finds_it_where_the_witness_was_silent_at_the_start(
    put_back: Installation, witness: WitnessServer
) -> None:
    witness.stop()
    assert health.start(put_back.deps) == {}
    witness.start()
    draft = put_back.enrol(type_small("P-008"))
    size = len(put_back.entries())

    with pytest.raises(FrozenError, match=BEYOND):
        put_back.reveal(draft)

    assert len(put_back.entries()) == size + 1  # logged before anybody was asked, and not opened
    require_shut(put_back, BEYOND)


@pytest.mark.parametrize("more", [0, 1, 5])
@pytest.mark.parametrize("mode", ["follow"], indirect=True)
def test_another_history_is_found_whatever_its_length(
    put_back: Installation, witness: WitnessServer, more: int
) -> None:
    witness.stop()
    put_back.allocate("P-008")
    while len(put_back.entries()) < witness.size() + more:
        put_back.change_state("pause")
        put_back.change_state("resume")
    witness.start()

    with pytest.raises(FrozenError, match=ANOTHER):
        witnesses.collect(put_back.deps, put_back.people["dmc"], put_back.trial)

    require_shut(put_back, ANOTHER)


def test_without_a_witness_two_histories_are_signed_and_whoever_has_both_proves_it(
    active: Installation, kind: str, empty: Callable[[str], Database]
) -> None:
    loss = lose(active, empty(kind))
    here = proofs.sign_log(active.deps, active.trial)
    twin = open_on(active, loss.yesterday, "old")
    assert health.start(twin.deps) == {}
    twin.allocate("P-007")
    twin.allocate("P-008")
    there = proofs.sign_log(twin.deps, twin.trial)
    assert (here.size, here.root != there.root) == (there.size, True)
    key = active.deps.sealer.log_key(active.origin)

    for one in (active, twin):
        with pytest.raises(SplitViewError, match="Two histories of this log were signed"):
            verify_log([entry.data for entry in one.entries()], [here.note, there.note], key)


# --- recovery ---------------------------------------------------------------------------------


def test_a_recovery_gives_back_what_the_witness_has_seen(
    today: Installation, loss: Loss, witness: WitnessServer
) -> None:
    back = open_on(today, loss.yesterday)
    assert set(health.start(back.deps)) == {back.trial}
    seen = witness.size()

    found = recover(back)

    assert found.given_back > 0
    assert witness.size() == seen
    assert back.allocate("P-009").randomization_number == 4
    witnesses.collect(back.deps, back.people["dmc"], back.trial)
    assert witness.size() == len(back.entries())


@pytest.mark.parametrize("frozen", [True, False])
def test_a_recovery_never_goes_below_what_a_witness_has_seen(
    put_back: Installation, witness: WitnessServer, frozen: bool
) -> None:
    if frozen:
        health.start(put_back.deps)
    before = read_table(put_back, "log_entry")

    with pytest.raises(WitnessAheadError, match=f"has seen {witness.size()} entries") as refusal:
        recover(put_back)

    assert witness.public.name in str(refusal.value)
    assert read_table(put_back, "log_entry") == before


def test_a_lost_anchor_is_no_way_below_either(put_back: Installation) -> None:
    for path in (put_back.home / "old" / "anchors").glob("*.anchor"):
        path.unlink()

    with pytest.raises(WitnessAheadError):
        recover(put_back)


@pytest.mark.parametrize("silence", ["down", "garbage", "another server"])
@pytest.mark.parametrize("mode", ["gate"], indirect=True)
def test_a_recovery_waits_for_a_witness_that_says_nothing(
    today: Installation, loss: Loss, witness: WitnessServer, silence: str
) -> None:
    back = open_on(today, loss.yesterday)
    if silence == "down":
        witness.stop()
    else:
        status = "200 OK" if silence == "garbage" else "404 Not Found"
        witness.wrap = saying(status, b"nothing")
    with pytest.raises(WitnessUnheardError, match=r"--seen FILE"):
        recover(back)

    assert recover(back, witness.note()).given_back > 0


def test_a_note_that_came_by_file_stops_a_recovery_too(
    put_back: Installation, witness: WitnessServer
) -> None:
    witness.stop()
    with pytest.raises(WitnessAheadError):
        recover(put_back, witness.note())
    with pytest.raises(WitnessNoteError):
        recover(put_back, "garbage")


def test_a_note_that_the_log_has_signed_stops_it_without_any_witness(
    active: Installation, kind: str, empty: Callable[[str], Database]
) -> None:
    loss = lose(active, empty(kind))
    note = proofs.sign_log(active.deps, active.trial).note

    with pytest.raises(WitnessAheadError, match="of another policy"):
        recover(open_on(active, loss.yesterday, "old"), note)


def test_a_witness_that_has_seen_nothing_yet_is_heard(
    active: Installation, witness: WitnessServer
) -> None:
    set_gate(active, witness, mode="follow")

    assert recover(active).given_back == 0


def test_enough_witnesses_are_heard_that_no_quorum_is_among_the_others(
    active: Installation, tmp_path: Path
) -> None:
    servers = [WitnessServer(tmp_path / str(at), f"w.example.org/{at}") for at in range(3)]
    for server in servers:
        server.start()
    set_gate(active, *servers, mode="follow", quorum=2)
    servers[0].stop()
    assert recover(active).given_back == 0

    servers[1].stop()
    with pytest.raises(WitnessUnheardError, match="at least 2 of its witnesses"):
        recover(active)
    servers[2].stop()


def test_who_may_not_recover_asks_no_witness(today: Installation) -> None:
    people = TwoPeople(today.people["doc"], today.people["manager"])

    with pytest.raises(NotAllowedError):
        recovery.recover(today.deps, people, today.trial)


# --- a standby host ---------------------------------------------------------------------------


def carry_over(installation: Installation, folder: Path) -> None:
    """Copy keys and database's host to a standby, without its anchors."""
    shutil.copytree(installation.home / "keys", folder / "keys")
    (folder / "anchors").mkdir(0o700)


def test_a_standby_without_the_anchors_does_not_start(active: Installation) -> None:
    carry_over(active, active.home / "standby")

    with pytest.raises(RegisterError, match="Bring back the anchor directory"):
        open_on(active, active.deps.database, "standby")


def test_a_standby_with_a_register_and_no_anchor_is_frozen(active: Installation) -> None:
    active.allocate()
    standby = active.home / "standby"
    carry_over(active, standby)
    for path in (active.home / "anchors").iterdir():
        if path.suffix != ".anchor":
            shutil.copy2(path, standby / "anchors" / path.name)
    there = open_on(active, active.deps.database, "standby")

    assert set(health.start(there.deps)) == {there.trial}
    require_shut(there, "is missing or empty")


def test_a_standby_goes_on_from_the_anchors_that_were_carried_over(active: Installation) -> None:
    active.allocate()
    shutil.copytree(active.home / "keys", active.home / "standby" / "keys")
    shutil.copytree(active.home / "anchors", active.home / "standby" / "anchors")
    there = open_on(active, active.deps.database, "standby")

    assert health.start(there.deps) == {}
    assert there.allocate("P-002").randomization_number == 2
