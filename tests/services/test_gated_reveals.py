"""Reveals behind a gate: what opens it, and what is kept where it stays shut."""

import threading
from collections.abc import Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from alloc_service.errors import GateClosedError
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.note import open_cosigned
from alloc_service.log.receipt import Receipt
from alloc_service.services import (
    bundles,
    gate,
    receipts,
    reports,
    reveal,
    witness_client,
    witnesses,
)
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.reveal import Allocation
from tests.support.installation import Installation, type_small
from tests.support.witnesses import (
    WitnessServer,
    Wrap,
    saying,
    set_gate,
    sign_key,
    signing_as,
    waiting,
)


def suspend(installation: Installation, hours: int = 2) -> None:
    people = TwoPeople(installation.people["dmc"], installation.people["manager"])
    witnesses.suspend(
        installation.deps, people, installation.trial, hours=hours, code="down", reason="no power"
    )


def cosigners(installation: Installation, witness: WitnessServer, receipt: str) -> tuple[int, int]:
    """Return the size of a receipt's checkpoint, and how many witnesses have cosigned it."""
    log = installation.deps.sealer.log_key(installation.origin)
    checkpoint, names = open_cosigned(Receipt.parse(receipt).checkpoint, log, [witness.public])
    return checkpoint.size, len(names)


def test_an_allocation_opens_once_the_witness_has_confirmed_it(
    gated: Installation, witness: WitnessServer
) -> None:
    shown = gated.allocate()

    (assigned,) = gated.entries("slot.assigned")
    assert witness.size() == assigned.seq + 1 == len(gated.entries())
    assert cosigners(gated, witness, shown.receipt) == (assigned.seq + 1, 1)
    again = reveal.read_again(gated.deps, gated.people["doc"], shown.enrolment)
    assert (again.arm, again.leaf) == (shown.arm, shown.leaf)
    assert witness.size() == len(gated.entries()) == assigned.seq + 2


BAD: dict[str, Wrap | None] = {
    "down": None,
    "garbage": saying("200 OK", b"\xff\x00 garbage"),
    "empty": saying("200 OK", b""),
    "endless": saying("200 OK", b"x" * 100_000),
    "an error": saying("500 Internal Server Error", b"oops"),
    "a redirection": saying("302 Found", b""),
    "a conflict without a size": saying("409 Conflict", b"many\n", "text/x.tlog.size"),
    "a huge size": saying("409 Conflict", b"9" * 400, "text/x.tlog.size"),
    "an invented size": saying("409 Conflict", b"999999\n", "text/x.tlog.size"),
    "no proof believed": saying("422 Unprocessable Entity", b"no"),
    "another key": signing_as(sign_key("forger")),
    "another name": signing_as(sign_key("forger"), "w.example.org/other"),
}


@pytest.mark.parametrize("fault", BAD)
def test_where_no_witness_confirms_it_nothing_opens_and_nothing_is_lost(
    gated: Installation, witness: WitnessServer, fault: str
) -> None:
    wrap, good = BAD[fault], witness.wrap
    if wrap is None:
        witness.stop()
    else:
        witness.wrap = wrap
    draft = gated.enrol()
    signature = gated.sign(draft)

    for _ in range(2):
        with pytest.raises(GateClosedError, match="0 of the 1 needed") as refusal:
            reveal.reveal(gated.deps, gated.people["doc"], draft.id, signature)
        assert "7Q" not in str(refusal.value)

    assert gated.deps.sealer.status(gated.origin).frozen == ""
    assert gated.spent() == 1
    assert not gated.refused()
    witness.wrap = good
    if wrap is None:
        witness.start()
    shown = reveal.read_again(gated.deps, gated.people["doc"], draft.id)
    assert gated.spent() == 1
    (assigned,) = gated.entries("slot.assigned")
    assert shown.leaf == assigned.leaf
    assert len(gated.entries("slot.reread")) == 2
    assert shown.randomization_number == 1


def test_a_witness_that_is_too_slow_is_not_waited_for(
    gated: Installation, witness: WitnessServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_client, "ANSWERS_WITHIN", 0.3)
    witness.wrap = waiting(1.5)
    draft = gated.enrol()

    with pytest.raises(GateClosedError, match="did not answer in time"):
        gated.reveal(draft)

    witness.wrap = lambda app: app
    monkeypatch.undo()
    assert reveal.read_again(gated.deps, gated.people["doc"], draft.id).randomization_number == 1
    assert gated.spent() == 1


def test_a_signature_whose_answer_was_lost_hinders_nothing(
    gated: Installation, witness: WitnessServer
) -> None:
    gated.allocate()
    gated.attack("DELETE FROM cosignature")  # as where a machine died before it was kept

    assert gated.allocate("P-002").randomization_number == 2
    assert witness.size() == len(gated.entries())


def test_two_reveals_at_once_both_open_each_to_its_own_slot(gated: Installation) -> None:
    others = [gated.deps, gated.open_anew()]
    drafts = [gated.enrol(type_small(f"P-{at:03}")) for at in range(4)]
    signed = [gated.sign(draft) for draft in drafts]
    shown: list[Allocation] = []
    start = threading.Barrier(len(drafts))

    def ask(at: int) -> None:
        start.wait()
        doc = gated.people["doc"]
        shown.append(reveal.reveal(others[at % 2], doc, drafts[at].id, signed[at]))

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(drafts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.randomization_number for one in shown) == [1, 2, 3, 4]
    assert gated.spent() == len({one.leaf for one in shown}) == 4


def test_who_waits_too_long_for_others_is_told_so(
    gated: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "WAITS_FOR_ITS_TURN", 0.05)
    draft = gated.enrol()

    with (
        gated.deps.logs.of(gated.trial).cosigning,
        pytest.raises(GateClosedError, match="others are waiting"),
    ):
        gated.reveal(draft)

    assert reveal.read_again(gated.deps, gated.people["doc"], draft.id).randomization_number == 1


def test_a_suspended_gate_lets_allocations_go_on_and_shuts_again(
    gated: Installation, witness: WitnessServer
) -> None:
    witness.stop()
    early = gated.enrol()
    with pytest.raises(GateClosedError):
        gated.reveal(early)
    suspend(gated, hours=2)

    shown = gated.allocate("P-002")
    reveal.read_again(gated.deps, gated.people["doc"], early.id)
    reveal.read_again(gated.deps, gated.people["doc"], shown.enrolment)
    gated.clock.advance(hours=3)

    with pytest.raises(GateClosedError):
        reveal.read_again(gated.deps, gated.people["doc"], shown.enrolment)
    witness.start()
    assert gated.allocate("P-003").randomization_number == 3
    assert witness.size() == len(gated.entries())


def test_a_count_by_arm_waits_for_the_witness_too(
    gated: Installation, witness: WitnessServer
) -> None:
    gated.allocate()
    gated.allocate("P-002")
    counted = reports.count_arms(gated.deps, gated.people["dmc"], gated.trial, "dsmb")
    assert sum(counted.counts.values()) == 2
    witness.stop()

    with pytest.raises(GateClosedError):
        reports.count_arms(gated.deps, gated.people["dmc"], gated.trial, "dsmb")

    assert len(gated.entries("arms.read")) == 2


def test_an_unblinded_bundle_waits_for_the_witness_too(
    gated: Installation, witness: WitnessServer
) -> None:
    gated.allocate()
    members = read_members(bundles.make_unblinded(gated.deps, gated.people["dmc"], gated.trial))
    assert members["lists/1/openings.txt"].count(b"\n") == 1
    witness.stop()

    with pytest.raises(GateClosedError):
        bundles.make_unblinded(gated.deps, gated.people["dmc"], gated.trial)

    assert len(gated.entries("arms.read")) == 2


@pytest.mark.parametrize("mode", ["follow", "off"])
def test_without_a_gate_no_witness_is_in_the_way(
    active: Installation, witness: WitnessServer, mode: str
) -> None:
    if mode == "follow":
        set_gate(active, witness, mode=mode)
    witness.stop()

    assert active.allocate().randomization_number == 1


def test_a_quorum_of_several_is_enough(active: Installation, tmp_path: Path) -> None:
    servers = [WitnessServer(tmp_path / str(at), f"w.example.org/{at}") for at in range(3)]
    for server in servers:
        server.start()
    set_gate(active, *servers, quorum=2)
    active.allocate()
    servers[0].stop()

    assert active.allocate("P-002").randomization_number == 2

    servers[1].stop()
    with pytest.raises(GateClosedError, match="1 of the 2 needed"):
        active.allocate("P-003")
    servers[2].stop()


def test_one_process_uses_what_another_has_fetched(
    gated: Installation, witness: WitnessServer
) -> None:
    draft = gated.enrol()
    witness.stop()
    with pytest.raises(GateClosedError):
        gated.reveal(draft)
    (assigned,) = gated.entries("slot.assigned")
    witness.start()
    witnesses.collect(gated.deps, gated.people["dmc"], gated.trial)
    policy = gated.state().policy
    witness.stop()

    other = gated.open_anew()
    passed = gate.pass_gate(other, gated.trial, policy, assigned.seq)

    assert (passed.seq, passed.signed.size) == (assigned.seq, assigned.seq + 1)


@pytest.mark.parametrize(
    "damage", ["UPDATE cosignature SET line = 'x'", "UPDATE cosignature SET size = size + 1"]
)
def test_a_signature_that_somebody_changed_opens_nothing_and_hinders_nothing(
    gated: Installation, witness: WitnessServer, damage: str
) -> None:
    gated.allocate()
    witness.stop()
    gated.attack(damage)
    (assigned,) = gated.entries("slot.assigned")

    with pytest.raises(GateClosedError):
        gate.pass_gate(gated.deps, gated.trial, gated.state().policy, assigned.seq)
    witness.start()
    assert gated.allocate("P-002").randomization_number == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cosignature SET name = 'w.example.org/other'",
        "DELETE FROM checkpoint",
        "UPDATE checkpoint SET note = 'x'",
    ],
)
def test_a_good_signature_counts_whatever_became_of_the_rows_beside_it(
    gated: Installation, witness: WitnessServer, damage: str
) -> None:
    gated.allocate()
    witness.stop()
    gated.attack(damage)
    (assigned,) = gated.entries("slot.assigned")

    passed = gate.pass_gate(gated.deps, gated.trial, gated.state().policy, assigned.seq)

    log = gated.deps.sealer.log_key(gated.origin)
    assert open_cosigned(passed.signed.note, log, [witness.public])[1] == (witness.public.name,)


def test_a_witness_that_refuses_and_holds_nothing_new_is_not_asked_for_ever(
    gated: Installation, witness: WitnessServer
) -> None:
    gated.allocate()
    asked = []

    def wrap(app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            asked.append(environ["PATH_INFO"])
            if environ["REQUEST_METHOD"] == "GET":
                return app(environ, start)
            return saying("422 Unprocessable Entity", b"no")(app)(environ, start)

        return answer

    witness.wrap = wrap

    with pytest.raises(GateClosedError, match=r"it refused \(422\)"):
        gated.allocate("P-002")

    assert 0 < len(asked) <= 3 * gate.MOST_TRIES
    assert gated.deps.sealer.status(gated.origin).frozen == ""


def test_a_full_receipt_waits_for_the_witness_and_carries_its_signature(
    gated: Installation, witness: WitnessServer
) -> None:
    shown = gated.allocate()
    witness.stop()
    with pytest.raises(GateClosedError):
        receipts.read_full(gated.deps, gated.people["dmc"], shown.enrolment)
    witness.start()

    full = receipts.read_full(gated.deps, gated.people["dmc"], shown.enrolment)

    assert cosigners(gated, witness, full.text) == (len(gated.entries()), 1)
