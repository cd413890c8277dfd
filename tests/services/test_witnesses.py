"""A trial's witnesses: who sets them, what the log says, and what is carried by file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alloc_service.errors import (
    FreeTextError,
    GateClosedError,
    LoggedFieldError,
    NotAllowedError,
    NoWitnessError,
    RuleError,
    SecondPersonError,
    WitnessNoteError,
    WitnessPlaceError,
)
from alloc_service.log.note import open_cosigned
from alloc_service.log.receipt import Receipt
from alloc_service.log.witness import AddCheckpoint
from alloc_service.sealing.witness import WitnessDesk
from alloc_service.services import log_pages, witness_standing, witnesses
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.witnesses import NewPolicy, WitnessPlace
from alloc_service.storage import queries
from tests.support.installation import Installation
from tests.support.witnesses import WitnessServer, saying, set_gate

REASON = "The witness's machine has no power."


def people(installation: Installation, first: str = "manager", second: str = "dmc") -> TwoPeople:
    return TwoPeople(installation.people[first], installation.people[second])


def policy_of(witness: WitnessServer, url: str | None = None, mode: str = "gate") -> NewPolicy:
    place = witness.place if url is None else WitnessPlace(witness.public.vkey, url)
    return NewPolicy(mode, 1, (place,))


def suspend(installation: Installation, hours: int = 2, code: str = "down") -> object:
    return witnesses.suspend(
        installation.deps,
        people(installation, "dmc", "manager"),
        installation.trial,
        hours=hours,
        code=code,
        reason=REASON,
    )


def addresses(installation: Installation) -> dict[str, str]:
    with installation.deps.database.read() as session:
        return queries.list_witness_addresses(session, installation.trial)


# --- the policy -------------------------------------------------------------------------------


def test_two_people_set_a_policy_and_the_log_names_both(
    active: Installation, witness: WitnessServer
) -> None:
    entry = witnesses.set_policy(
        active.deps, people(active), active.trial, policy_of(witness, f"{witness.url}/")
    )

    assert entry.body["witnesses"] == [witness.public.vkey]
    assert (entry.body["mode"], entry.body["quorum"]) == ("gate", 1)
    assert (entry.actor_id, entry.body["second"]["id"]) == ("p-manager", "p-dmc")
    assert active.state().policy.witnesses == (witness.public,)
    assert addresses(active) == {witness.public.name: witness.url}

    witnesses.set_policy(active.deps, people(active), active.trial, NewPolicy("off", 0))
    assert active.state().policy.mode == "off"
    assert addresses(active) == {}


@pytest.mark.parametrize(("first", "second"), [("doc", "dmc"), ("manager", "stat")])
def test_both_need_a_role_for_it(
    active: Installation, witness: WitnessServer, first: str, second: str
) -> None:
    with pytest.raises(NotAllowedError):
        witnesses.set_policy(
            active.deps, people(active, first, second), active.trial, policy_of(witness)
        )

    assert not active.entries("witness.policy")
    assert addresses(active) == {}


def test_it_takes_two_different_people(active: Installation) -> None:
    with pytest.raises(SecondPersonError):
        people(active, "dmc", "dmc")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://w.example.org",
        "w.example.org",
        "http://",
        "http://user:secret@w.example.org",
        "http://w.example.org/?a=b",
        "http://w.example.org/#a",
        "http://w.example.org:99999",
        "http://w.example.org:x",
        "http://[::1",
        "http://w.example.org/\n",
        "http://w.example.org/" + "a" * 300,
    ],
)
def test_an_address_that_is_none_is_refused(
    active: Installation, witness: WitnessServer, url: str
) -> None:
    with pytest.raises(WitnessPlaceError, match="https://HOST:PORT/PATH"):
        witnesses.set_policy(active.deps, people(active), active.trial, policy_of(witness, url))

    assert not active.entries("witness.policy")


def test_a_key_that_is_no_witnesss_is_refused(active: Installation) -> None:
    log = active.deps.sealer.log_key(active.origin)
    for vkey in ("x", log.vkey):
        new = NewPolicy("gate", 1, (WitnessPlace(vkey),))
        with pytest.raises(WitnessPlaceError):
            witnesses.set_policy(active.deps, people(active), active.trial, new)


def test_a_policy_that_no_witness_could_fulfil_is_refused(
    active: Installation, witness: WitnessServer
) -> None:
    for wrong in (replace(policy_of(witness), quorum=2), NewPolicy("gate", 1)):
        with pytest.raises(RuleError):
            witnesses.set_policy(active.deps, people(active), active.trial, wrong)
    with pytest.raises(LoggedFieldError, match="off, follow, gate"):
        witnesses.set_policy(active.deps, people(active), active.trial, NewPolicy("maybe", 0))

    assert addresses(active) == {}


# --- the suspension ---------------------------------------------------------------------------


def test_a_suspension_says_who_and_until_when_and_keeps_its_reason_out_of_the_log(
    gated: Installation,
) -> None:
    suspend(gated)

    (entry,) = gated.entries("gate.suspended")
    assert entry.body["until"] == "2026-03-02T04:00:00Z"
    assert (entry.actor_id, entry.body["second"]["id"]) == ("p-dmc", "p-manager")
    assert REASON.encode() not in entry.data
    with gated.deps.database.read() as session:
        reason = queries.find_reason(session, gated.trial, entry.seq)
    assert reason is not None
    assert reason.text == REASON
    standing = witness_standing.read_standing(gated.deps, gated.people["dmc"], gated.trial)
    assert standing.suspended_until == "2026-03-02T04:00:00Z"
    assert standing.suspended_by == "p-dmc (dmc, XA01) with p-manager (manager, XA01)"
    assert standing.suspended_code == "down"
    gated.clock.advance(hours=2)
    standing = witness_standing.read_standing(gated.deps, gated.people["dmc"], gated.trial)
    assert (standing.suspended_until, standing.suspended_by) == ("", "")


def test_one_person_ends_a_suspension(gated: Installation, witness: WitnessServer) -> None:
    suspend(gated)
    with pytest.raises(NotAllowedError):
        witnesses.resume(gated.deps, gated.people["doc"], gated.trial)

    witnesses.resume(gated.deps, gated.people["dmc"], gated.trial)

    witness.stop()
    with pytest.raises(GateClosedError):
        gated.allocate()
    with pytest.raises(RuleError):
        witnesses.resume(gated.deps, gated.people["dmc"], gated.trial)


@pytest.mark.parametrize("hours", [0, 73, -1])
def test_a_suspension_lasts_one_to_seventy_two_hours(gated: Installation, hours: int) -> None:
    with pytest.raises(LoggedFieldError, match="from 1 to 72"):
        suspend(gated, hours=hours)


def test_a_suspension_has_a_code_and_a_reason(gated: Installation) -> None:
    with pytest.raises(LoggedFieldError):
        suspend(gated, code="No Power")
    faults = witnesses.find_faults(80, "x y", " ")
    assert set(faults) == {"hours", "code", "reason"}
    with pytest.raises((FreeTextError, LoggedFieldError)):
        witnesses.suspend(
            gated.deps, people(gated), gated.trial, hours=1, code="down", reason="\x00"
        )
    assert not gated.entries("gate.suspended")


def test_a_trial_without_a_gate_has_none_to_suspend(active: Installation) -> None:
    with pytest.raises(RuleError, match="no gate"):
        suspend(active)


# --- collecting -------------------------------------------------------------------------------


def test_cosignatures_are_collected_after_the_answers(
    active: Installation, witness: WitnessServer
) -> None:
    set_gate(active, witness, mode="follow")
    shown = active.allocate()
    standing = witness_standing.glance(active.deps, active.people["dmc"], active.trial)
    assert standing is not None
    assert (standing.mode, standing.cosigned) == ("follow", 0)
    assert standing.behind == len(active.entries())

    signed, got = witnesses.collect(active.deps, active.people["dmc"], active.trial)

    assert (list(got.lines), got.troubles) == ([witness.public.name], {})
    assert signed.size == witness.size() == len(active.entries())
    standing = witness_standing.glance(active.deps, active.people["dmc"], active.trial)
    assert standing is not None
    assert (standing.cosigned, standing.behind) == (signed.size, 0)
    assert [(one.url, one.size) for one in standing.witnesses] == [(witness.url, signed.size)]
    (assigned,) = active.entries("slot.assigned")
    receipt = log_pages.read_proof(active.deps, active.people["dmc"], active.trial, assigned.seq)
    note = log_pages.read_checkpoint(active.deps, active.people["dmc"], active.trial)
    log = active.deps.sealer.log_key(active.origin)
    for text in (Receipt.parse(receipt).checkpoint, note):
        assert open_cosigned(text, log, [witness.public])[1] == (witness.public.name,)
    assert Receipt.parse(receipt).verify(bytes.fromhex(shown.leaf), log).size == signed.size
    again = witnesses.collect(active.deps, active.people["dmc"], active.trial)[1]
    assert again.lines == got.lines


def test_collecting_says_of_each_witness_why_it_did_not_sign(
    active: Installation, witness: WitnessServer
) -> None:
    set_gate(active, witness, mode="follow")
    witness.wrap = saying("500 Internal Server Error", b"oops")

    _signed, got = witnesses.collect(active.deps, active.people["dmc"], active.trial)

    assert got.troubles == {witness.public.name: "it refused (500)"}
    assert got.lines == {}


def test_collecting_needs_a_role_and_a_witness(active: Installation) -> None:
    with pytest.raises(NotAllowedError):
        witnesses.collect(active.deps, active.people["doc"], active.trial)
    with pytest.raises(NoWitnessError, match="it has no witness"):
        witnesses.collect(active.deps, active.people["dmc"], active.trial)


def test_only_those_who_read_the_whole_log_glance_at_the_witnesses(active: Installation) -> None:
    assert witness_standing.glance(active.deps, active.people["doc"], active.trial) is None
    standing = witness_standing.glance(active.deps, active.people["dmc"], active.trial)
    assert standing is not None
    assert (standing.mode, standing.witnesses) == ("off", ())
    with pytest.raises(NotAllowedError):
        witness_standing.read_standing(active.deps, active.people["doc"], active.trial)


# --- by file ----------------------------------------------------------------------------------

Carry = Callable[..., str]


@pytest.fixture
def by_file(active: Installation, witness: WitnessServer) -> Installation:
    """Return the active trial behind a gate whose witness no network leads to."""
    set_gate(active, witness)
    place = WitnessPlace(witness.public.vkey)
    witnesses.set_policy(active.deps, people(active), active.trial, NewPolicy("gate", 1, (place,)))
    witness.stop()
    return active


@pytest.fixture
def carry(by_file: Installation, witness: WitnessServer) -> Carry:
    """Return a function that carries a request to the witness, and gives its response."""

    def run(old: int | None = None) -> str:
        data = witnesses.write_request(
            by_file.deps, by_file.people["dmc"], by_file.trial, witness.public.name, old
        )
        WitnessDesk(witness.folder).answer(data, lambda: 1_700_000_000)
        return witness.note()

    return run


def take(installation: Installation, note: str) -> tuple[int, list[str]]:
    return witnesses.take_response(
        installation.deps, installation.people["dmc"], installation.trial, note
    )


def test_a_response_that_was_carried_back_opens_what_waited(
    by_file: Installation, witness: WitnessServer, carry: Carry
) -> None:
    draft = by_file.enrol()
    with pytest.raises(GateClosedError, match="reached by file alone"):
        by_file.reveal(draft)

    assert take(by_file, carry()) == (witness.size(), [witness.public.name])

    assert by_file.reveal(draft).randomization_number == 1
    assert by_file.spent() == 1
    with pytest.raises(GateClosedError):
        by_file.allocate("P-002")
    take(by_file, carry())
    assert witness.size() == len(by_file.entries())


def test_a_request_begins_where_the_last_response_ended(
    by_file: Installation, witness: WitnessServer, carry: Carry
) -> None:
    take(by_file, carry())
    size = witness.size()
    by_file.change_state("pause")

    data = witnesses.write_request(
        by_file.deps, by_file.people["dmc"], by_file.trial, witness.public.name
    )

    request = AddCheckpoint.parse(data)
    assert (request.old, request.checkpoint.size) == (size, size + 1)


def test_a_response_that_was_lost_on_the_way_is_made_up_for(
    by_file: Installation, witness: WitnessServer, carry: Carry
) -> None:
    carry()
    by_file.change_state("pause")
    assert take(by_file, carry())[0] == witness.size() == len(by_file.entries()) - 1
    assert take(by_file, carry())[0] == witness.size() == len(by_file.entries())


def test_a_request_may_begin_where_somebody_says(
    by_file: Installation, witness: WitnessServer, carry: Carry
) -> None:
    carry()
    size = witness.size()
    by_file.change_state("pause")
    carry(old=size)

    assert witness.size() == size + 1
    carry(old=10_000)  # no more than there is
    assert witness.size() == size + 1


def test_there_is_no_request_to_a_stranger(by_file: Installation) -> None:
    with pytest.raises(NoWitnessError, match="no such witness"):
        witnesses.write_request(by_file.deps, by_file.people["dmc"], by_file.trial, "stranger")
    with pytest.raises(NotAllowedError):
        witnesses.write_request(by_file.deps, by_file.people["doc"], by_file.trial, "stranger")


def test_a_response_that_is_none_is_refused(by_file: Installation, carry: Carry) -> None:
    note = carry()
    alone = note.rsplit("\n", 2)[0] + "\n"
    for wrong in ("", "x", note[:-9], note.replace(by_file.trial, "TEST-OTHER"), alone):
        with pytest.raises(WitnessNoteError):
            take(by_file, wrong)
    with pytest.raises(NotAllowedError):
        witnesses.take_response(by_file.deps, by_file.people["doc"], by_file.trial, note)

    with by_file.deps.database.read() as session:
        assert queries.list_cosignatures(session, by_file.trial) == []


def test_fewer_than_a_quorum_are_shown_and_make_no_receipt_cosigned(
    active: Installation, tmp_path: Path
) -> None:
    servers = [WitnessServer(tmp_path / str(at), f"w.example.org/{at}") for at in range(2)]
    for server in servers:
        server.start()
    set_gate(active, *servers, mode="follow", quorum=2)
    active.allocate()
    servers[1].stop()
    signed, got = witnesses.collect(active.deps, active.people["dmc"], active.trial)
    servers[0].stop()
    assert list(got.lines) == ["w.example.org/0"]

    receipt = log_pages.read_proof(active.deps, active.people["dmc"], active.trial, 3)
    standing = witness_standing.read_standing(active.deps, active.people["dmc"], active.trial)

    assert Receipt.parse(receipt).checkpoint == signed.note
    assert standing.cosigned == 0
    assert [one.size for one in standing.witnesses] == [signed.size, 0]
