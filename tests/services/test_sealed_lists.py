"""A stored list against the log: each wrong row fails the check that is about it."""

import pytest

from alloc_service.errors import AcceptError, NotAllowedError, RootDiffersError, UnknownRecordError
from alloc_service.services import accounts, audit, sealed_lists
from alloc_service.services.sealed_lists import accept_list, check_sealed_list
from tests.support.installation import Installation


def failed(active: Installation) -> list[str]:
    checks = check_sealed_list(active.deps, active.people["dmc"], active.trial, 1)
    return [check.name for check in checks if not check.ok]


def root_of(active: Installation) -> str:
    return active.state().lists[1].root


def test_an_untouched_list_passes_every_check(active: Installation) -> None:
    active.allocate()

    checks = check_sealed_list(active.deps, active.people["dmc"], active.trial, 1)

    assert [check.name for check in checks] == ["logged", "slots", "root", "tree", "key", "spent"]
    assert all(check.ok for check in checks)
    assert checks[1].detail == "12 sealed slots in their places, each of 285 bytes"
    assert checks[-1].detail == "1 spent slots are the ones that the log names"


@pytest.mark.parametrize(
    ("attack", "names"),
    [
        (f"UPDATE randomization_list SET root = '{'0' * 64}'", ["logged"]),
        (f"UPDATE randomization_list SET design_sha256 = '{'0' * 64}'", ["logged"]),
        ("UPDATE randomization_list SET slots = '[5,6]'", ["logged"]),
        ("DELETE FROM sealed_slot WHERE stratum = 1 AND slot = 5", ["slots", "root"]),
        ("DELETE FROM sealed_slot", ["slots", "root", "spent"]),
        ("DELETE FROM list_node WHERE level = 1 AND position = 0", ["tree"]),
    ],
)
def test_a_row_that_is_not_the_logged_one_is_found(
    active: Installation, attack: str, names: list[str]
) -> None:
    active.allocate()
    active.attack(attack)

    assert failed(active) == names


def test_a_changed_leaf_is_found(active: Installation) -> None:
    active.allocate()
    active.attack(
        "UPDATE sealed_slot SET leaf = :leaf WHERE stratum = 0 AND slot = 0", leaf=b"x" * 32
    )

    assert failed(active) == ["root", "tree", "spent"]


def test_another_wrapped_key_is_found(active: Installation) -> None:
    active.attack("UPDATE list_sealing SET wrap = :wrap", wrap=b"x" * 80)

    assert failed(active) == ["key"]


def test_a_tree_of_many_nodes_is_read_in_parts(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_lists, "_AT_ONCE", 2)

    assert failed(active) == []


def test_a_list_is_checked_for_oversight_alone(active: Installation) -> None:
    for user in ("doc", "manager", "guest"):
        with pytest.raises(NotAllowedError):
            check_sealed_list(active.deps, active.people[user], active.trial, 1)


def test_a_list_that_is_not_there_is_not_found(active: Installation) -> None:
    dmc = active.people["dmc"]
    with pytest.raises(UnknownRecordError):
        check_sealed_list(active.deps, dmc, active.trial, 2)


def test_a_stored_list_of_a_design_that_is_only_frozen_is_not_in_the_log(
    staffed: Installation,
) -> None:
    deps, person = staffed.deps, staffed.people["stat"]
    with audit.writing(deps, staffed.trial) as tx:
        log = audit.open_log(deps, tx, staffed.trial)
        actor = accounts.as_they_are(tx, person, staffed.trial)
        log.append("design.frozen", actor, {"list": 1, "design_sha256": "0" * 64})
    staffed.generate(2)
    staffed.attack(
        "INSERT INTO randomization_list (trial_id, number, design_sha256, design_sealed, root,"
        " slots, strata, created_at) SELECT trial_id, :number, :hash, design_sealed, :hash, slots,"
        " strata, created_at FROM randomization_list",
        number=1, hash="0" * 64,
    )  # fmt: skip
    staffed.attack(
        "INSERT INTO randomization_list (trial_id, number, design_sha256, design_sealed, root,"
        " slots, strata, created_at) SELECT trial_id, :number, :hash, design_sealed, :hash, slots,"
        " strata, created_at FROM randomization_list WHERE number = 1",
        number=3, hash="1" * 64,
    )  # fmt: skip

    for number in (1, 3):
        with pytest.raises(UnknownRecordError, match="logged list"):
            check_sealed_list(deps, staffed.people["dmc"], staffed.trial, number)


def test_a_sealed_list_is_accepted_when_every_blob_opens(sealed: Installation) -> None:
    trial = accept_list(sealed.deps, sealed.origin, 1, root_of(sealed))

    assert trial == sealed.trial


def test_a_blob_that_does_not_open_is_named_by_its_index_alone(sealed: Installation) -> None:
    sealed.attack(
        "UPDATE sealed_slot SET blob = :blob WHERE stratum = 0 AND slot = 3",
        blob=b"\x01" + b"x" * 284,
    )

    with pytest.raises(AcceptError, match="slot index 3") as refused:
        accept_list(sealed.deps, sealed.origin, 1, root_of(sealed))
    assert "7Q" not in str(refused.value)


def test_another_root_another_log_and_another_list_are_refused(sealed: Installation) -> None:
    with pytest.raises(RootDiffersError):
        accept_list(sealed.deps, sealed.origin, 1, "0" * 64)
    with pytest.raises(UnknownRecordError):
        accept_list(sealed.deps, "rac.example.org/OTHER/audit", 1, "0" * 64)
    with pytest.raises(UnknownRecordError):
        accept_list(sealed.deps, sealed.origin, 2, "0" * 64)
