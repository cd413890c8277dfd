"""The sealer as the service asks it: what it tells, and what it keeps to itself."""

import fcntl
import gc
import inspect
import pickle
import shutil

import pytest

from alloc_service.errors import OriginError, ProtocolError
from alloc_service.sealing.anchor import Anchor
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.sealer import Sealer, SlotToOpen
from tests.support.sealed_trial import HOST, ORIGIN, SealedTrial, assigned_and_followed

# --- status ----------------------------------------------------------------------------------


def test_the_local_sealer_is_a_sealer(new_trial: SealedTrial) -> None:
    sealer: Sealer = new_trial.sealer

    assert sealer.status(ORIGIN).size == 0


def test_status_tells_size_and_last_leaf_of_what_was_followed(trial: SealedTrial) -> None:
    status = trial.status

    assert (status.size, status.last) == (4, trial.log.state.last)
    assert (status.frozen, status.blocked, status.unwritable) == ("", "", "")


def test_status_of_a_log_that_was_never_followed_is_empty_and_makes_no_file(
    new_trial: SealedTrial,
) -> None:
    before = sorted(path.name for path in new_trial.anchors.iterdir())

    status = new_trial.status

    assert (status.size, status.last, status.frozen) == (0, "", "")
    assert sorted(path.name for path in new_trial.anchors.iterdir()) == before


def test_an_origin_that_anybody_names_leaves_no_file(active_trial: SealedTrial) -> None:
    sealer, slot = active_trial.sealer, active_trial.hand.slot(0, 0)
    before = sorted(path.name for path in active_trial.anchors.iterdir())

    for number in range(20):
        origin = ORIGIN.replace("/audit", f"-{number}/audit")
        assert sealer.status(origin).size == 0
        with pytest.raises(ProtocolError, match="was never followed here"):
            sealer.open(origin, 1, "e", slot)
        with pytest.raises(ProtocolError, match="was never followed here"):
            sealer.follow(origin, 1, [b"{}"])

    assert sorted(path.name for path in active_trial.anchors.iterdir()) == before


def test_an_origin_that_anybody_names_leaves_nothing_in_memory(active_trial: SealedTrial) -> None:
    def count() -> int:
        gc.collect()
        return sum(isinstance(known, Anchor) for known in gc.get_objects())

    before = count()
    for number in range(20):
        origin = ORIGIN.replace("/audit", f"-{number}/audit")
        assert active_trial.sealer.status(origin).size == 0
        with pytest.raises(ProtocolError):
            active_trial.sealer.follow(origin, 1, active_trial.log.entries)

    assert count() == before


def test_status_takes_no_lock(trial: SealedTrial) -> None:
    with trial.anchor_path.with_suffix(".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert trial.status.size == 4
        assert trial.another_sealer().status(ORIGIN).size == 4


def test_a_line_that_is_being_written_does_not_count_in_status(trial: SealedTrial) -> None:
    entry = trial.log.add_site()
    with trial.anchor_path.open("ab") as file:
        file.write(entry.data[:-10])

    assert trial.status.size == 4


def test_a_nearly_full_disk_is_told_before_anything_is_appended(
    trial: SealedTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(trial.anchors)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))

    assert "is full" in trial.status.unwritable


@pytest.mark.parametrize("origin", ["", "x", f"{HOST}/../audit/x", f"{HOST}/\ud800/audit"])
def test_an_origin_that_is_not_spelled_as_one_is_refused(
    new_trial: SealedTrial, origin: str
) -> None:
    for call in (new_trial.sealer.status, new_trial.sealer.followed):
        with pytest.raises(OriginError):
            call(origin)
    with pytest.raises(OriginError):
        new_trial.sealer.follow(origin, 0, [])


# --- secrets ---------------------------------------------------------------------------------


def test_no_repr_and_no_refusal_of_the_sealer_names_an_arm(active_trial: SealedTrial) -> None:
    trial = active_trial
    entry = assigned_and_followed(trial)
    opened = trial.open(entry)

    assert opened.opening.arm not in repr(opened)
    assert opened.opening.nonce not in repr(opened)
    assert opened.opening.arm not in repr(vars(trial.sealer))
    with pytest.raises(TypeError):
        pickle.dumps(trial.sealer)


def test_no_file_of_the_sealer_holds_an_arm(active_trial: SealedTrial) -> None:
    trial = active_trial
    trial.open(assigned_and_followed(trial))

    for path in trial.anchors.iterdir():
        data = path.read_bytes()
        assert b"EXPERIMENTAL" not in data
        assert b"CONTROL" not in data


# --- the interface ---------------------------------------------------------------------------


def test_the_interface_has_no_way_to_name_a_slot() -> None:
    names = set(inspect.signature(LocalSealer.open).parameters)

    assert names == {"self", "origin", "seq", "enrolment", "sealed"}
    assert set(SlotToOpen.__dataclass_fields__) == {"blob", "wrap", "proof", "cosigned"}
