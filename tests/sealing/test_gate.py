"""The gate, held by the sealer itself: which checkpoint opens a slot, and which does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from alloc_service.core.canon import Json
from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import GateClosedError, NotAuthorizedError
from alloc_service.log.entry import Entry
from alloc_service.log.note import Checkpoint, Witness, sign_checkpoint
from tests.support.sealed_trial import ORIGIN, TIME, SealedTrial, assigned_and_followed
from tests.support.witnesses import sign_key

ONE, TWO, THREE = (Witness(f"w.example.org/{at}", sign_key(f"w{at}")) for at in (1, 2, 3))
STRANGER = Witness("w.example.org/9", sign_key("stranger"))
SECOND: Json = {"id": "second", "org": "site-01", "role": "dmc"}

Cosign = Callable[..., str]


def set_policy(trial: SealedTrial, mode: str, quorum: int, *witnesses: Witness) -> None:
    keys: list[Json] = [witness.verifier.vkey for witness in witnesses]
    body: dict[str, Json] = {"mode": mode, "quorum": quorum, "witnesses": keys, "second": SECOND}
    trial.log.add("witness.policy", body)
    trial.follow()


def cosigned(trial: SealedTrial, size: int, *witnesses: Witness) -> str:
    """Return a checkpoint of the trial's log, signed by the sealer's key and these witnesses."""
    root = root_of([leaf_hash(data) for data in trial.log.entries[:size]])
    checkpoint = Checkpoint(ORIGIN, size, root)
    note = sign_checkpoint(checkpoint, trial.keys.signer(ORIGIN))
    return note + "".join(witness.cosign(checkpoint.text, 1) for witness in witnesses)


def open_with(trial: SealedTrial, assigned: Entry, note: str, seq: int | None = None) -> str:
    """Open what was assigned, with a cosigned checkpoint; return the arm."""
    body = assigned.body
    slot = replace(trial.hand.slot(body["stratum"], body["slot"]), cosigned=note)
    return trial.open(assigned, seq, slot).opening.arm


@pytest.fixture
def gated(active_trial: SealedTrial) -> SealedTrial:
    """Return a trial whose gate wants two of three witnesses."""
    set_policy(active_trial, "gate", 2, ONE, TWO, THREE)
    return active_trial


@pytest.fixture
def assigned(gated: SealedTrial) -> Entry:
    """Return the last entry of the gated log, an assignment."""
    return assigned_and_followed(gated)


def test_a_quorum_over_a_checkpoint_that_covers_the_entry_opens_it(
    gated: SealedTrial, assigned: Entry
) -> None:
    covered = assigned.seq + 1
    for witnesses in ((ONE, TWO), (THREE, ONE), (ONE, TWO, THREE)):
        note = cosigned(gated, covered, *witnesses)
        assert open_with(gated, assigned, note) == gated.arm(assigned)
    for _ in range(3):
        gated.log.add_site()
    gated.follow()
    for size in (covered, covered, covered + 1, covered + 3):
        assert open_with(gated, assigned, cosigned(gated, size, ONE, TWO)) == gated.arm(assigned)


def test_nothing_opens_without_a_witness(gated: SealedTrial, assigned: Entry) -> None:
    with pytest.raises(GateClosedError, match="no witness has confirmed it yet") as refusal:
        gated.open(assigned)

    assert "the same slot is opened, never another" in str(refusal.value)
    assert gated.status.frozen == ""


def test_too_few_witnesses_open_nothing(gated: SealedTrial, assigned: Entry) -> None:
    size = assigned.seq + 1
    for witnesses in ((), (ONE,), (ONE, ONE), (ONE, STRANGER)):
        with pytest.raises(GateClosedError, match=r"[01] of the 2 needed"):
            open_with(gated, assigned, cosigned(gated, size, *witnesses))


def test_a_checkpoint_that_ends_before_the_entry_opens_nothing(
    gated: SealedTrial, assigned: Entry
) -> None:
    with pytest.raises(GateClosedError, match="ends before it"):
        open_with(gated, assigned, cosigned(gated, assigned.seq, ONE, TWO))


def test_a_checkpoint_beyond_what_was_followed_opens_nothing(
    gated: SealedTrial, assigned: Entry
) -> None:
    gated.log.add_site()

    with pytest.raises(GateClosedError, match="is not this log"):
        open_with(gated, assigned, cosigned(gated, assigned.seq + 2, ONE, TWO))


@pytest.mark.parametrize("more", [0, 2])
def test_a_checkpoint_of_another_log_opens_nothing(
    gated: SealedTrial, assigned: Entry, more: int
) -> None:
    for _ in range(more):
        gated.log.add_site()
    gated.follow()
    checkpoint = Checkpoint(ORIGIN, assigned.seq + 1, bytes(32))
    note = sign_checkpoint(checkpoint, gated.keys.signer(ORIGIN))
    note += "".join(witness.cosign(checkpoint.text, 1) for witness in (ONE, TWO))

    with pytest.raises(GateClosedError, match="is not this log"):
        open_with(gated, assigned, note)


def test_a_checkpoint_that_the_log_has_not_signed_opens_nothing(
    gated: SealedTrial, assigned: Entry
) -> None:
    size = assigned.seq + 1
    text = cosigned(gated, size).partition("\n\n")[0] + "\n"
    alone = f"{text}\n" + ONE.cosign(text, 1) + TWO.cosign(text, 1)
    other = cosigned(gated, size, ONE, TWO).replace(ORIGIN, "rac.example.org/TEST-OTHER/audit")

    for note in (alone, other, "garbage", "\n\n"):
        with pytest.raises(GateClosedError):
            open_with(gated, assigned, note)


def test_a_bad_cosignature_spoils_the_note(gated: SealedTrial, assigned: Entry) -> None:
    note = cosigned(gated, assigned.seq + 1, ONE, TWO)
    later = ONE.cosign("another text\n", 1)

    with pytest.raises(GateClosedError, match=r"w\.example\.org/1 is wrong"):
        open_with(gated, assigned, note.replace(note.split("\n")[5] + "\n", later))


def test_the_rules_before_the_gate_still_hold(gated: SealedTrial, assigned: Entry) -> None:
    note = cosigned(gated, assigned.seq + 1, ONE, TWO)

    with pytest.raises(NotAuthorizedError):
        open_with(gated, assigned, note, assigned.seq - 1)


def test_a_look_again_waits_for_the_witness_too(gated: SealedTrial, assigned: Entry) -> None:
    body: dict[str, Json] = {"enrolment": assigned.body["enrolment"], "of": assigned.seq}
    reread = gated.log.add("slot.reread", body)
    gated.follow()

    with pytest.raises(GateClosedError, match="ends before it"):
        open_with(gated, assigned, cosigned(gated, reread.seq, ONE, TWO), reread.seq)
    note = cosigned(gated, reread.seq + 1, ONE, TWO)
    assert open_with(gated, assigned, note, reread.seq) == gated.arm(assigned)


@pytest.mark.parametrize("mode", ["off", "follow"])
def test_without_a_gate_nothing_waits(active_trial: SealedTrial, mode: str) -> None:
    witnesses = (ONE,) if mode == "follow" else ()
    set_policy(active_trial, mode, len(witnesses), *witnesses)
    assigned = assigned_and_followed(active_trial)

    assert open_with(active_trial, assigned, "") == active_trial.arm(assigned)
    assert open_with(active_trial, assigned, "garbage") == active_trial.arm(assigned)


def test_what_is_logged_while_the_gate_is_suspended_opens_then_and_ever_after(
    gated: SealedTrial, assigned: Entry
) -> None:
    until = TIME.replace("T09", "T12")
    gated.log.add(
        "gate.suspended", {"until": until, "code": "x", "reason_sha256": "", "second": SECOND}
    )
    free = assigned_and_followed(gated)
    assert open_with(gated, free, "") == gated.arm(free)
    gated.log.add("gate.resumed", {})
    late = assigned_and_followed(gated)

    assert open_with(gated, free, "") == gated.arm(free)
    for shut in (assigned, late):
        with pytest.raises(GateClosedError):
            open_with(gated, shut, "")


def test_the_witnesses_of_an_older_policy_open_nothing(gated: SealedTrial, assigned: Entry) -> None:
    set_policy(gated, "gate", 1, STRANGER)
    size = len(gated.log.entries)

    with pytest.raises(GateClosedError, match="0 of the 1 needed"):
        open_with(gated, assigned, cosigned(gated, size, ONE, TWO, THREE))
    assert open_with(gated, assigned, cosigned(gated, size, STRANGER)) == gated.arm(assigned)


def test_the_checkpoint_may_be_older_than_a_recovery(gated: SealedTrial, assigned: Entry) -> None:
    note = cosigned(gated, assigned.seq + 1, ONE, TWO)
    open_with(gated, assigned, note)
    gated.log.recover()
    gated.sealer.resume(ORIGIN, gated.log.entries[-2:])

    assert open_with(gated, assigned, note) == gated.arm(assigned)
