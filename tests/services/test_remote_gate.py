"""The gate of a sealer behind its socket: what it refuses comes back by its class and its words."""

from collections.abc import Iterator

import pytest

from alloc_service.errors import FrozenError, GateClosedError
from alloc_service.log.note import sign_checkpoint
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.services import audit, reports, reveal
from alloc_service.services.slots import SealingTree
from tests.services.test_remote_services import serve
from tests.support.installation import Installation, type_small
from tests.support.served_sealer import short_folder
from tests.support.witnesses import GrowingLog, WitnessServer


@pytest.fixture
def apart(gated: Installation) -> Iterator[Installation]:
    """Return a trial whose gate waits for a witness, and whose sealer is behind a socket."""
    with short_folder() as folder:
        served = serve(gated, folder)
        yield gated
        assert served.reported == []
        served.close()


def test_what_no_witness_has_confirmed_is_not_opened_and_keeps_its_slot(
    apart: Installation, witness: WitnessServer
) -> None:
    witness.stop()
    draft = apart.enrol()

    with pytest.raises(GateClosedError, match="0 of the 1 needed have confirmed it") as refusal:
        apart.reveal(draft)

    assert "7Q" not in str(refusal.value)
    (assigned,) = apart.entries("slot.assigned")
    assert assigned.body["enrolment"] == str(draft.id)
    assert apart.deps.sealer.status(apart.origin).size == len(apart.entries())
    witness.start()
    shown = reveal.read_again(apart.deps, apart.people["doc"], draft.id)
    assert (shown.leaf, shown.randomization_number) == (assigned.leaf, 1)
    assert apart.spent() == 1
    assert apart.allocate("P-002").randomization_number == 2


def test_the_sealer_itself_holds_the_gate_and_says_why_over_its_socket(
    apart: Installation, witness: WitnessServer
) -> None:
    witness.stop()
    draft = apart.enrol()
    with pytest.raises(GateClosedError):
        apart.reveal(draft)
    sealer, (assigned,) = apart.deps.sealer, apart.entries("slot.assigned")
    assert isinstance(sealer, RemoteSealer)
    with apart.deps.database.read() as session:
        tree = SealingTree(apart.trial, 1, apart.state().lists[1])
        place = int(str(assigned.body["stratum"])), int(str(assigned.body["slot"]))
        _leaf, sealed = tree.read_slot(session, place)

    for cosigned, rule in (
        ("", "no witness has confirmed it yet"),
        (audit.follow(apart.deps, apart.trial).note, "0 of the 1 needed have confirmed it"),
        (GrowingLog(apart.origin).note(3), "no known key has signed it"),
    ):
        given = type(sealed)(sealed.blob, sealed.wrap, sealed.proof, cosigned)
        with pytest.raises(GateClosedError) as refusal:
            sealer.open(apart.origin, assigned.seq, str(draft.id), given)
        assert refusal.value.facts == {"rule": rule}
        assert str(refusal.value).startswith(f"This waits for the trial's witness: {rule}")


def test_a_count_by_arm_waits_for_the_witness_over_a_socket_too(
    apart: Installation, witness: WitnessServer
) -> None:
    apart.allocate()
    witness.stop()

    with pytest.raises(GateClosedError):
        reports.count_arms(apart.deps, apart.people["dmc"], apart.trial, "dsmb")

    witness.start()
    counted = reports.count_arms(apart.deps, apart.people["dmc"], apart.trial, "dsmb")
    assert sum(counted.counts.values()) == 1


def test_a_frozen_sealer_says_so_over_its_socket_and_nothing_is_appended(
    apart: Installation,
) -> None:
    apart.allocate()
    draft = apart.enrol(type_small("P-002"))
    last = len(apart.entries())
    # A checkpoint of this log, by its own key, of entries that nobody here has seen.
    log = load_keys(apart.home / "keys").signer(apart.origin)
    other = GrowingLog(apart.origin, history="two")
    ahead = sign_checkpoint(other.request(0, last + 5).checkpoint, log)

    with pytest.raises(FrozenError) as refusal:
        audit.follow(apart.deps, apart.trial, seen=[ahead])

    assert type(refusal.value) is FrozenError
    assert str(refusal.value).startswith("This trial is frozen: ")
    assert apart.deps.sealer.status(apart.origin).frozen
    signature = apart.sign(draft)
    with pytest.raises(FrozenError, match="sealer recover"):
        reveal.reveal(apart.deps, apart.people["doc"], draft.id, signature)
    assert len(apart.entries()) == last
    assert apart.spent() == 1
