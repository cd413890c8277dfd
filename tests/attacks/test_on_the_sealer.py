"""Attacks with lists, blobs, places and older states: nothing opens that the log did not assign."""

import inspect
import shutil
from dataclasses import replace
from uuid import UUID

import pytest

from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    BlobLeafError,
    BlockedError,
    FrozenError,
    IntegrityError,
    NotAuthorizedError,
    RefusalError,
)
from alloc_service.log.entry import write_entry
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, seal_slot
from alloc_service.sealing.escrow import open_escrow
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.package import SealedList, seal_list
from alloc_service.sealing.sealer import SlotToOpen
from alloc_service.sealing.wrap import unwrap_tranche_key
from alloc_service.services import audit, lists, reveal
from alloc_service.services.deps import FoldedLogs
from alloc_service.services.slots import SealingTree
from alloc_service.storage import queries
from tests.support.installation import HOST, Installation
from tests.support.pages import browse_as


def sealed_by_a_stranger(installation: Installation) -> SealedList:
    """Return a list of a seed that the attacker knows, sealed to the sealer's public key."""
    design = installation.definition.design(2)
    public_key = installation.deps.sealer.public_key
    return seal_list(generate(design, Seed.fresh()), public_key, installation.origin)


def log_activation(installation: Installation, number: int) -> None:
    """Log an activation without asking the sealer, as code that runs as the service could."""
    manager = installation.people["manager"]
    with audit.writing(installation.deps, installation.trial) as tx:
        log = audit.open_log(installation.deps, tx, installation.trial)
        actor = audit.LoggedActor(manager.id, manager.organization, "manager")
        log.append("list.activated", actor, {"list": number})


def test_second_list_sealed(active: Installation) -> None:
    """Code that runs as the web user logs a list of its own, approves it and activates it."""
    sealed = sealed_by_a_stranger(active)
    lists.import_package(active.deps, active.people["stat"], sealed)
    lists.approve(active.deps, active.people["second"], active.trial, 2, None)
    with pytest.raises(BlockedError, match="accept"):
        log_activation(active, 2)

    with pytest.raises(BlockedError):
        active.allocate()
    assert not active.entries("slot.assigned")


def test_second_list_with_the_root_of_the_first(active: Installation) -> None:
    known = active.state().lists[1]
    sealed = sealed_by_a_stranger(active)
    with pytest.raises(RefusalError):
        lists.import_package(active.deps, active.people["stat"], replace(sealed, root=known.root))
    assert set(active.state().lists) == {1}


def slot_of(installation: Installation, stratum: int, slot: int) -> SlotToOpen:
    """Return what the database holds of a slot, as the service would hand it to the sealer."""
    tree = SealingTree(installation.trial, 1, installation.state().lists[1])
    with installation.deps.database.read() as session:
        return tree.read_slot(session, (stratum, slot))[1]


def test_slot_numbers_asked_for_by_a_caller(active: Installation) -> None:
    names = set(inspect.signature(active.deps.sealer.open).parameters)
    assert not names & {"list", "number", "stratum", "slot", "leaf", "index"}
    allocation = active.allocate()
    (entry,) = active.entries("slot.assigned")
    origin, enrolment = active.origin, str(allocation.enrolment)

    for slot in range(1, 6):  # the slots that come next, for an entry that assigned another one
        with pytest.raises(IntegrityError):
            active.deps.sealer.open(origin, entry.seq, enrolment, slot_of(active, 0, slot))
    for seq in (0, entry.seq - 1, entry.seq + 1, 10**6):
        with pytest.raises(NotAuthorizedError):
            active.deps.sealer.open(origin, seq, enrolment, slot_of(active, 0, 0))
    with pytest.raises(NotAuthorizedError, match="no slot was assigned"):
        active.deps.sealer.open(origin, entry.seq, str(UUID(int=9)), slot_of(active, 0, 1))


def test_slot_numbers_in_a_form(active: Installation) -> None:
    draft = active.enrol()
    doc = browse_as(active, "doc", f"/enrolments/{draft.id}/check")
    fields = {"username": "doc", "password": "doc has a long password"}
    more = {"slot": "5", "stratum": "1", "list": "9", "seq": "3", "arm": "SUNRISE-7Q"}

    doc.post(f"/enrolments/{draft.id}/allocation", fields | more)

    (entry,) = active.entries("slot.assigned")
    assert (entry.body["list"], entry.body["stratum"], entry.body["slot"]) == (1, 0, 0)


def test_blob_resealed_to_another_arm(active: Installation) -> None:
    """Somebody who has the tranche key seals the next slot anew, with the other arm."""
    known = active.state().lists[1]
    ((wrap,),) = active.ask("SELECT wrap FROM list_sealing")
    keys = load_keys(active.home / "keys")
    key: TrancheKey = unwrap_tranche_key(
        keys.unwrap_key(keys.kid), wrap, active.origin, known.design_sha256, known.root, keys.kid
    )
    with active.deps.database.read() as session:
        file = queries.list_escrow_files(session, active.trial, 1)[0]
    escrow = open_escrow(
        file.ciphertext, active.identities["archive"], active.identities["dmc"], file.name
    )
    opening = generate(escrow.design, escrow.seed).opening(0, 0)
    other = {"SUNRISE-7Q": "MOONSET-7Q", "MOONSET-7Q": "SUNRISE-7Q"}[opening.arm]
    place = SlotPlace(known.design_sha256, known.root, 0, 0)
    forged = seal_slot(key, place, replace(opening, arm=other))
    active.attack("UPDATE sealed_slot SET blob = :b WHERE stratum = 0 AND slot = 0", b=forged)
    draft = active.enrol()

    with pytest.raises(BlobLeafError):
        active.reveal(draft)

    for _again in range(2):
        with pytest.raises(BlobLeafError):
            reveal.reveal(active.deps, active.people["doc"], draft.id, None)
    assert len(active.entries("slot.assigned")) == 1


def test_snapshot_of_the_database_restored(active: Installation) -> None:
    active.allocate("P-001")
    kept = active.home / "kept.db"
    active.deps.database.dispose()
    shutil.copyfile(active.home / "alloc.db", kept)
    seen = active.allocate("P-002")
    active.deps.database.dispose()
    for name in ("alloc.db", "alloc.db-wal", "alloc.db-shm"):
        (active.home / name).unlink(missing_ok=True)
    shutil.copyfile(kept, active.home / "alloc.db")
    active.deps = active.open_anew()

    with pytest.raises(FrozenError):
        active.allocate("P-003")

    assert len(active.entries("slot.assigned")) == 1
    assert seen.arm  # was shown, and is in the anchor: nobody else gets its slot
    with pytest.raises(FrozenError):
        active.allocate("P-004")


def test_anchor_removed(active: Installation) -> None:
    active.allocate("P-001")
    for path in (active.home / "anchors").glob("*.anchor"):
        path.unlink()
    sealer = LocalSealer(load_keys(active.home / "keys"), active.home / "anchors", HOST)
    active.deps = replace(active.deps, sealer=sealer, logs=FoldedLogs())

    with pytest.raises(FrozenError, match="is missing or empty"):
        active.allocate("P-002")


def test_log_begun_anew_under_the_same_name(active: Installation) -> None:
    first = active.entries()[0]
    begun = write_entry(0, "", first.time, "trial.created", {**first.body, "cap": 500})

    with pytest.raises(RefusalError, match="does not begin anew"):
        active.deps.sealer.follow(active.origin, 0, [begun.data])
