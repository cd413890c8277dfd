"""A new signing key: whoever has the older one finds the next in the log."""

from dataclasses import replace

import pytest

from alloc_service.errors import (
    NotAuthorizedError,
    NoteError,
    SigningKeyLostError,
)
from alloc_service.log.note import Verifier, open_note
from alloc_service.log.rotation import follow_keys, open_of_its_time
from alloc_service.sealing.keys import (
    choose_signing_key,
    load_keys,
)
from alloc_service.sealing.rotating import RotatingSealer
from alloc_service.services import proofs, reports, rotation, verification, web_secret
from alloc_service.storage import queries
from tests.services.test_rotation import arms, note_at_change, on_sqlite, rotate, settings_of
from tests.support.installation import HOST, Installation


def test_who_has_the_older_key_finds_the_next_one_in_the_log(active: Installation) -> None:
    active.allocate("P-001")
    older = active.deps.sealer.log_key(active.origin)
    before = proofs.sign_log(active.deps, active.trial)

    made = rotate(active, signing=True)

    newer = active.deps.sealer.log_key(active.origin)
    assert newer != older
    assert active.deps.sealer.log_keys(active.origin) == (newer, older)
    assert load_keys(active.home / "keys").verify_key == newer.public
    created, rotated = active.entries("key.created", "key.rotated")
    assert (created.body["vkey"], rotated.body["vkey"]) == (older.vkey, newer.vkey)
    assert rotated.seq == created.seq + 1
    assert made.trials == (active.trial,)
    at_change = note_at_change(active)
    assert set(open_note(at_change, [older, newer]).signers) == {older, newer}
    after = proofs.sign_log(active.deps, active.trial)
    active.allocate("P-002")
    later = proofs.sign_log(active.deps, active.trial)
    for mine in (older, newer):
        keys = follow_keys(active.entries(), mine)
        assert [one.key for one in keys] == [older, newer]
        for note in (before.note, at_change, after.note, later.note):
            open_of_its_time(note, keys)
    with pytest.raises(NoteError):
        open_note(later.note, [older])
    assert verification.verify(active.deps, active.trial).ok


def test_the_older_key_signs_nothing_after_the_change_and_the_newer_nothing_before(
    active: Installation,
) -> None:
    settings = settings_of(active)
    older_note = proofs.sign_log(active.deps, active.trial).note
    older = load_keys(settings.keys)
    rotate(active, signing=True)
    newer = active.deps.sealer.log_key(active.origin)
    keys = follow_keys(active.entries(), newer)
    at_change = note_at_change(active)
    text, lines = at_change.rsplit("\n\n", 1)
    one, other = lines.splitlines()

    open_of_its_time(f"{text}\n\n{other}\n{one}\n", keys)
    for line in (one, other):
        with pytest.raises(NoteError, match="has not signed it"):
            open_of_its_time(f"{text}\n\n{line}\n", keys)
    active.allocate("P-001")
    after = proofs.sign_log(active.deps, active.trial).note
    forged = older.signer(active.origin).sign(after.partition("\n\n")[0] + "\n")
    with pytest.raises(NoteError, match="has not signed it"):
        open_of_its_time(after.partition("\n\n")[0] + "\n\n" + forged, keys)
    early = older_note.partition("\n\n")[0] + "\n"
    signed = load_keys(settings.keys).signer(active.origin).sign(early)
    with pytest.raises(NoteError, match="has not signed it"):
        open_of_its_time(f"{early}\n{signed}", keys)


def test_a_key_that_the_log_does_not_name_leads_nowhere(active: Installation) -> None:
    stranger = Verifier(active.origin, bytes(32))
    assert follow_keys(active.entries(), stranger)[0].key == stranger  # nothing is named yet
    rotate(active, signing=True)

    with pytest.raises(NoteError, match="and not this one"):
        follow_keys(active.entries(), stranger)


@on_sqlite
def test_an_exported_log_is_verified_with_either_key(active: Installation) -> None:
    older = active.deps.sealer.log_key(active.origin)
    rotate(active, signing=True)
    newer = active.deps.sealer.log_key(active.origin)
    active.allocate()
    admin = active.people["admin"]
    exported, checkpoint = reports.export_log(active.deps, admin, active.trial)

    for key in (older, newer):
        verification.verify_export(exported, checkpoint, key).require()
    stranger = Verifier(active.origin, bytes(32))
    assert not verification.verify_export(exported, checkpoint, stranger).ok


@on_sqlite
def test_a_stored_checkpoint_of_the_older_key_that_is_of_another_log_is_found(
    active: Installation,
) -> None:
    older = load_keys(active.home / "keys")
    rotate(active, signing=True)
    text = f"{active.origin}\n3\n{'A' * 43}=\n"
    note = f"{text}\n{older.signer(active.origin).sign(text)}"
    active.attack("DELETE FROM checkpoint WHERE size = 3")
    with active.deps.database.write() as tx:
        queries.add_checkpoint(tx, active.trial, 3, note)

    (fault,) = verification.verify(active.deps, active.trial).faults
    assert fault.name == "checkpoints"
    assert "size 3 is of another log" in fault.detail


@on_sqlite
def test_a_signing_key_is_changed_again_and_again(active: Installation) -> None:
    first = active.deps.sealer.log_key(active.origin)
    rotate(active, signing=True)
    second = active.deps.sealer.log_key(active.origin)
    rotate(active, signing=True)

    keys = follow_keys(active.entries(), first)
    third = active.deps.sealer.log_key(active.origin)
    assert [one.key for one in keys] == [first, second, third]
    assert len(active.entries("key.created")) == 1
    assert verification.verify(active.deps, active.trial).ok


@on_sqlite
def test_a_service_that_was_not_restarted_signs_nothing_with_the_older_key(
    active: Installation,
) -> None:
    running = active.deps
    rotate(active, signing=True)
    restarted, active.deps = active.deps, running
    draft = active.enrol()

    with pytest.raises(SigningKeyLostError, match="restart the service"):
        active.reveal(draft)
    active.deps = restarted
    assert (active.reveal(draft).arm,) == arms(active, 1)
    assert active.spent() == 1


@on_sqlite
def test_nobody_is_signed_out_by_a_new_signing_key(active: Installation) -> None:
    settings = settings_of(active)
    before = web_secret.find(settings.web_secret, load_keys(settings.keys))

    rotate(active, signing=True)

    assert web_secret.find(settings.web_secret, load_keys(settings.keys)) == before
    apart = replace(settings, sealer_socket=active.home / "socket")
    active.home.joinpath("web-secret").unlink()
    admin = active.people["admin"]
    rotation.rotate_signing(active.deps, admin, apart, None)
    assert not settings.web_secret.exists()  # there it is the web user's, and no key is in it


@on_sqlite
def test_a_signing_key_that_is_not_there_is_not_chosen(active: Installation) -> None:
    with pytest.raises(SigningKeyLostError):
        choose_signing_key(active.home / "keys", "0" * 16)


@on_sqlite
def test_a_log_that_never_changed_its_key_has_no_change_to_sign(active: Installation) -> None:
    sealer = RotatingSealer(load_keys(active.home / "keys"), active.home / "anchors", HOST)

    with pytest.raises(NotAuthorizedError, match="names no change of its key"):
        sealer.sign_at_change(active.origin)
