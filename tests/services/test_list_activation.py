"""Activation test-opens every slot; sealing anew and looking at a design are logged."""

import pytest

from alloc_service.core.design import Design
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    AcceptError,
    BlobLockedError,
    FrozenError,
    NotAllowedError,
    NotAuthorizedError,
    RootMismatchError,
    RuleError,
    SealedDesignError,
    UnknownRecordError,
    WrapError,
)
from alloc_service.sealing.escrow import open_escrow
from alloc_service.sealing.package import seal_list
from alloc_service.services import health, lists
from alloc_service.storage import queries
from tests.support.installation import Installation

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def secrets_of(installation: Installation) -> tuple[Design, Seed]:
    """Open the escrow as its custodians would."""
    with installation.deps.database.read() as session:
        file = queries.list_escrow_files(session, installation.trial, 1)[0]
    one, other = installation.identities["archive"], installation.identities["dmc"]
    kept = open_escrow(file.ciphertext, one, other)
    return kept.design, kept.seed


# --- activating -------------------------------------------------------------------------------


def test_the_manager_activates_an_approved_list(approved: Installation) -> None:
    entry = approved.activate()

    assert (entry.type, entry.actor_id) == ("list.activated", "p-manager")
    assert approved.state().lists[1].active
    assert approved.deps.sealer.status(approved.origin).size == entry.seq + 1


@on_sqlite
@pytest.mark.parametrize("actor", ["admin", "stat", "second", "doc", "dmc", "guest"])
def test_only_a_manager_activates(approved: Installation, actor: str) -> None:
    with pytest.raises(NotAllowedError):
        lists.activate(approved.deps, approved.people[actor], approved.trial, 1)
    assert not approved.state().lists[1].active


def test_a_list_that_nobody_approved_is_not_activated(sealed: Installation) -> None:
    with pytest.raises(RuleError, match="list 1 is not approved"):
        sealed.activate()
    assert not sealed.deps.sealer.status(sealed.origin).blocked


@on_sqlite
def test_a_list_is_activated_once(active: Installation) -> None:
    with pytest.raises(RuleError, match="list 1 is active already"):
        active.activate()


ATTACKS = {
    "a blob copied": (
        "UPDATE sealed_slot SET blob ="
        " (SELECT b.blob FROM sealed_slot AS b WHERE b.stratum = 1 AND b.slot = 0)"
        " WHERE stratum = 0 AND slot = 0"
    ),
    "a leaf copied": (
        "UPDATE sealed_slot SET leaf ="
        " (SELECT b.leaf FROM sealed_slot AS b WHERE b.stratum = 1 AND b.slot = 0)"
        " WHERE stratum = 0 AND slot = 0"
    ),
    "a row removed": "DELETE FROM sealed_slot WHERE stratum = 1 AND slot = 5",
    "every row removed": "DELETE FROM sealed_slot",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_list_whose_rows_were_touched_is_not_activated(
    approved: Installation, attack: str
) -> None:
    approved.attack(attack)

    with pytest.raises(AcceptError) as refusal:
        approved.activate()
    assert "7Q" not in str(refusal.value)
    assert not approved.state().lists[1].active
    assert not approved.deps.sealer.status(approved.origin).blocked


def test_a_list_of_which_two_blobs_were_exchanged_is_not_activated(
    approved: Installation,
) -> None:
    place = "stratum = 0 AND slot ="
    approved.exchange("sealed_slot", "blob", f"{place} 2", f"{place} 3")

    with pytest.raises(AcceptError, match="slot index 2 does not open"):
        approved.activate()
    assert not approved.state().lists[1].active


def test_a_forged_blob_is_named_by_its_index(approved: Installation) -> None:
    approved.attack(ATTACKS["a blob copied"])

    with pytest.raises(AcceptError, match="slot index 0 does not open"):
        approved.activate()


def test_a_list_that_somebody_sealed_to_a_key_of_his_own_is_not_activated(
    approved: Installation,
) -> None:
    forged = seal_list(
        generate(approved.definition.design(1), Seed.fresh()),
        approved.deps.sealer.public_key,
        approved.origin,
    )
    for slot in forged.sealed_slots():
        approved.attack(
            "UPDATE sealed_slot SET leaf = :leaf, blob = :blob"
            " WHERE stratum = :stratum AND slot = :slot",
            leaf=slot.leaf,
            blob=slot.blob,
            stratum=slot.stratum,
            slot=slot.slot,
        )
    approved.attack("UPDATE list_sealing SET wrap = :wrap", wrap=forged.wrap)

    with pytest.raises(WrapError) as refusal:
        approved.activate()
    assert "7Q" not in str(refusal.value)
    assert not approved.state().lists[1].active


# --- sealing anew -----------------------------------------------------------------------------


def test_a_list_is_sealed_anew_under_its_root_and_opens_as_before(active: Installation) -> None:
    first = active.allocate("P-001")
    design, seed = secrets_of(active)
    entry = lists.reseal(active.deps, active.people["stat"], design, seed)

    assert (entry.type, entry.body["sealing"]) == ("list.resealed", 2)
    again = lists.reseal(active.deps, active.people["stat"], design, seed)
    assert again.body["sealing"] == 3
    assert again.body["wrap_sha256"] != entry.body["wrap_sha256"]
    second = active.allocate("P-002")
    expected = generate(design, seed).arms[0]
    assert (first.arm, second.arm) == expected[:2]


def test_a_damaged_slot_opens_for_its_enrolment_after_the_list_is_sealed_anew(
    active: Installation,
) -> None:
    active.attack(ATTACKS["a blob copied"])
    draft = active.enrol()
    with pytest.raises(BlobLockedError):
        active.reveal(draft)
    design, seed = secrets_of(active)
    lists.reseal(active.deps, active.people["stat"], design, seed)

    assert active.reveal(draft).arm == generate(design, seed).arms[0][0]
    assert active.spent() == 1


def test_another_seed_or_design_seals_nothing_anew(active: Installation) -> None:
    design, _ = secrets_of(active)

    with pytest.raises(RootMismatchError):
        lists.reseal(active.deps, active.people["stat"], design, Seed.fresh())
    assert active.entries("list.resealed") == []


@on_sqlite
def test_a_list_that_is_not_there_is_not_sealed_anew(active: Installation) -> None:
    with pytest.raises(UnknownRecordError):
        lists.reseal(active.deps, active.people["stat"], active.definition.design(7), Seed.fresh())


# --- looking at the design --------------------------------------------------------------------


def test_the_design_is_shown_to_a_statistician_after_the_look_is_logged(
    active: Installation,
) -> None:
    design, seed = secrets_of(active)
    lists.reseal(active.deps, active.people["stat"], design, seed)

    for username in ("stat", "second"):
        assert lists.read_design(active.deps, active.people[username], active.trial, 1) == design
    assert [entry.actor_id for entry in active.entries("design.read")] == ["p-stat", "p-second"]


@on_sqlite
@pytest.mark.parametrize("actor", ["admin", "manager", "doc", "dmc", "guest"])
def test_the_design_is_shown_to_nobody_else(active: Installation, actor: str) -> None:
    with pytest.raises(NotAllowedError):
        lists.read_design(active.deps, active.people[actor], active.trial, 1)
    assert active.entries("design.read") == []


def test_a_design_that_was_swapped_is_not_shown(active: Installation) -> None:
    active.generate(2)
    active.attack(
        "UPDATE randomization_list SET design_sealed ="
        " (SELECT b.design_sealed FROM randomization_list AS b WHERE b.number = 2)"
        " WHERE number = 1"
    )

    with pytest.raises(SealedDesignError):
        lists.read_design(active.deps, active.people["stat"], active.trial, 1)


# --- comparing a regeneration -----------------------------------------------------------------


@pytest.mark.parametrize("equal", [True, False])
def test_a_regeneration_is_logged_whichever_way_it_comes_out(
    sealed: Installation, equal: bool
) -> None:
    root = sealed.state().lists[1].root if equal else "0" * 64

    assert lists.log_regeneration(sealed.deps, sealed.people["dmc"], sealed.trial, 1, root) is equal
    (entry,) = sealed.entries("list.regenerated")
    assert entry.body["root_equal"] is equal
    assert entry.actor_id == "p-dmc"


@on_sqlite
@pytest.mark.parametrize("actor", ["manager", "doc", "guest"])
def test_a_regeneration_is_logged_for_oversight_alone(sealed: Installation, actor: str) -> None:
    with pytest.raises(NotAllowedError):
        lists.log_regeneration(sealed.deps, sealed.people[actor], sealed.trial, 1, "0" * 64)


# --- a frozen trial ---------------------------------------------------------------------------


def test_nothing_of_a_list_moves_while_the_trial_is_frozen(active: Installation) -> None:
    before = active.deps
    active.change_site("BE02", active=False)
    active.attack("DELETE FROM log_entry WHERE seq = (SELECT max(seq) FROM log_entry)")
    active.attack(
        "UPDATE log_head SET size = (SELECT count(*) FROM log_entry),"
        " last_leaf = (SELECT leaf FROM log_entry ORDER BY seq DESC LIMIT 1)"
    )

    for deps in (before, active.open_anew()):
        active.deps = deps
        with pytest.raises(FrozenError):
            active.generate(2)
        with pytest.raises(FrozenError):
            active.activate()
        with pytest.raises(FrozenError):
            lists.read_design(deps, active.people["stat"], active.trial, 1)
    assert isinstance(health.start(deps)[active.trial], FrozenError)
    with pytest.raises((FrozenError, NotAuthorizedError)):
        deps.sealer.open_design(active.origin, 3, b"")
