"""What others hold of a log: checkpoints that the sealer's own key has signed, shown to it."""

from pathlib import Path

import pytest

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import FrozenError, NoteError
from alloc_service.log.note import Checkpoint, Witness, sign_checkpoint
from tests.support.sealed_trial import ORIGIN, SealedTrial, TrialLog, assigned_and_followed
from tests.support.witnesses import sign_key

BEYOND = "a checkpoint of size 6 was signed, and the anchor has less"
ANOTHER = "a checkpoint of size 3 was signed for another log than the anchor"


def show(trial: SealedTrial, *seen: str) -> str:
    """Follow what there is, and show the sealer what somebody holds."""
    size = trial.status.size
    return trial.sealer.follow(ORIGIN, size, trial.log.entries[size - 1 :], seen)


def signed(trial: SealedTrial, log: TrialLog, size: int) -> str:
    """Return a checkpoint of some log by the sealer's key, as a twin of this machine signs it."""
    root = root_of([leaf_hash(data) for data in log.entries[:size]])
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), trial.keys.signer(ORIGIN))


def another_log(trial: SealedTrial) -> TrialLog:
    """Return a log that parts from the trial's after its second entry."""
    log = trial.log.restored(2)
    log.add("site.activated", {"site": "elsewhere"})
    return log


def test_checkpoints_of_the_anchors_own_log_change_nothing(trial: SealedTrial) -> None:
    every = [signed(trial, trial.log, size) for size in range(1, 5)]

    note = show(trial, *every)

    assert note == every[-1]
    assert trial.status.frozen == ""


def test_a_checkpoint_may_cover_what_is_shown_with_it(trial: SealedTrial) -> None:
    trial.log.add_site()

    assert show(trial, signed(trial, trial.log, 5)) == signed(trial, trial.log, 5)


def test_a_cosigned_checkpoint_is_taken_for_its_own_signature(trial: SealedTrial) -> None:
    note = signed(trial, trial.log, 3)
    witness = Witness("w.example.org/1", sign_key("witness"))

    show(trial, note + witness.cosign(note.partition("\n\n")[0] + "\n", 1))

    assert trial.status.frozen == ""


def test_a_checkpoint_beyond_the_anchor_freezes_the_trial(
    trial: SealedTrial, tmp_path: Path
) -> None:
    elsewhere = trial.copy_to(tmp_path / "elsewhere")
    elsewhere.log.add_site()
    elsewhere.log.add_site()
    held = elsewhere.follow()

    with pytest.raises(FrozenError, match=BEYOND):
        show(trial, held)

    assert trial.status.frozen == BEYOND
    with pytest.raises(FrozenError, match=BEYOND):
        trial.follow()
    trial.restart()
    assert trial.status.frozen == BEYOND


def test_a_checkpoint_of_another_log_freezes_the_trial(trial: SealedTrial) -> None:
    with pytest.raises(FrozenError, match=ANOTHER):
        show(trial, signed(trial, trial.log, 2), signed(trial, another_log(trial), 3))

    assert trial.status.frozen == ANOTHER


def test_a_frozen_trial_opens_nothing(active_trial: SealedTrial) -> None:
    assigned = assigned_and_followed(active_trial)
    active_trial.open(assigned)

    with pytest.raises(FrozenError):
        show(active_trial, signed(active_trial, another_log(active_trial), 3))
    with pytest.raises(FrozenError, match=ANOTHER):
        active_trial.open(assigned)


@pytest.mark.parametrize("damage", ["signature", "size", "another key", "another origin", "empty"])
def test_what_the_sealer_did_not_sign_freezes_nothing(trial: SealedTrial, damage: str) -> None:
    note = signed(trial, another_log(trial), 3)
    text = note.partition("\n\n")[0] + "\n"
    forged = {
        "signature": note[:-5] + "AAA=\n",
        "size": note.replace("\n3\n", "\n9\n"),
        "another key": f"{text}\n" + Witness(ORIGIN, sign_key("forger")).cosign(text, 1),
        "another origin": note.replace(ORIGIN, "rac.example.org/TEST-OTHER/audit"),
        "empty": "",
    }[damage]

    with pytest.raises(NoteError):
        show(trial, forged)

    assert trial.status.frozen == ""
    trial.log.add_site()
    trial.follow()
    assert trial.status.size == 5
