"""A new signing key of the log, and its witness: what it refuses, and how it goes on."""

from collections.abc import Callable

import pytest

from alloc_service.errors import GateClosedError, WitnessNoteError, WitnessUnheardError
from alloc_service.log.note import Checkpoint, open_cosigned, sign_checkpoint
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.witness_folder import add_log
from alloc_service.services import bundles, recovery, reveal, verification, witnesses
from alloc_service.storage.engine import Database
from tests.services.test_bundles import checked
from tests.services.test_rotation import rotate
from tests.support.installation import Installation, type_small
from tests.support.rollback import lose, open_on, two_people
from tests.support.witnesses import NAME, GrowingLog, WitnessServer, set_gate

TOLD = "knows another key of this log.*alloc witness add-log FOLDER VKEY --changed"


def test_a_gate_waits_until_the_witness_is_told_the_new_key(
    gated: Installation, witness: WitnessServer
) -> None:
    gated.allocate("P-001")
    seen = witness.note()
    rotate(gated, signing=True)
    draft = gated.enrol(type_small("P-002"))

    with pytest.raises(GateClosedError, match=TOLD) as refusal:
        gated.reveal(draft)
    assert "7Q" not in str(refusal.value)
    assert witness.note() == seen
    add_log(witness.folder, gated.deps.sealer.log_key(gated.origin), changed=True)
    shown = reveal.read_again(gated.deps, gated.people["doc"], draft.id)

    assert shown.randomization_number == gated.spent() == 2
    assert shown.leaf == gated.entries("slot.assigned")[-1].leaf
    log = gated.deps.sealer.log_key(gated.origin)
    assert open_cosigned(witness.note(), log, [witness.public])[1] == (NAME,)
    assert verification.verify(gated.deps, gated.trial).ok
    data = bundles.make_blinded(gated.deps, gated.people["dmc"], gated.trial)
    assert checked(gated, data).size == len(gated.entries())


def test_a_collecting_says_who_must_be_told(active: Installation, witness: WitnessServer) -> None:
    set_gate(active, witness, mode="follow")
    rotate(active, signing=True)
    dmc = active.people["dmc"]
    at_change, got = witnesses.collect(active.deps, dmc, active.trial)
    assert (got.troubles, witness.size()) == ({}, at_change.size)  # both keys have signed that one
    active.change_state("pause")

    _, got = witnesses.collect(active.deps, dmc, active.trial)
    assert "`alloc status --json`" in got.troubles[NAME]
    add_log(witness.folder, active.deps.sealer.log_key(active.origin), changed=True)
    signed, got = witnesses.collect(active.deps, dmc, active.trial)

    assert got.troubles == {}
    assert witness.size() == signed.size == len(active.entries())


def test_a_recovery_believes_what_a_witness_holds_under_the_older_key(
    active: Installation,
    witness: WitnessServer,
    kind: str,
    empty: Callable[[str], Database],
) -> None:
    set_gate(active, witness, mode="follow")
    older = load_keys(active.home / "keys").signer(active.origin)
    loss = lose(active, empty(kind))
    witnesses.collect(active.deps, active.people["dmc"], active.trial)
    seen = witness.note()
    rotate(active, signing=True)
    back = open_on(active, loss.yesterday, ".")
    people = two_people(back)
    witness.stop()
    with pytest.raises(WitnessUnheardError):
        recovery.recover(back.deps, people, back.trial, (), ())
    # A stolen older key signs no size after its change.
    late = sign_checkpoint(Checkpoint(active.origin, 10_000, bytes(32)), older)
    stranger = GrowingLog(active.origin).note(3)
    for bad, rule in ((late, "after it was changed"), (stranger, "no known key has signed it")):
        with pytest.raises(WitnessNoteError, match=rule):
            recovery.recover(back.deps, people, back.trial, (), (bad,))

    recovery.recover(back.deps, people, back.trial, (), (seen,))
    witness.start()

    assert back.allocate("P-050").arm
    assert back.entries("log.recovered")


def test_a_witness_that_nobody_told_is_heard_by_a_recovery(
    active: Installation,
    witness: WitnessServer,
    kind: str,
    empty: Callable[[str], Database],
) -> None:
    set_gate(active, witness, mode="follow")
    loss = lose(active, empty(kind))
    witnesses.collect(active.deps, active.people["dmc"], active.trial)
    rotate(active, signing=True)
    back = open_on(active, loss.yesterday, ".")

    recovery.recover(back.deps, two_people(back), back.trial, (), ())

    assert back.entries("log.recovered")
