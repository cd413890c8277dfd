import os
from pathlib import Path

import pytest

from alloc_service.core.design import Design
from alloc_service.core.generate import GeneratedList
from alloc_service.errors import KeysUnusableError, NotAuthorizedError, SigningKeyLostError
from alloc_service.log.note import Verifier
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, open_slot
from alloc_service.sealing.keys import ServerKeys, load_keys, rotate_sealing_key
from alloc_service.sealing.package import seal_list
from alloc_service.sealing.rotating import RotatingSealer
from alloc_service.sealing.wrap import unwrap_tranche_key, wrap_tranche_key
from tests.support.sealed_trial import HOST, ORIGIN, SealedTrial


def test_after_a_rotation_the_older_key_still_unwraps(
    directory: Path, keys: ServerKeys, design: Design
) -> None:
    origin, hashed, root = f"rac.example.org/{design.trial}/audit", design.sha256, "0" * 64
    tranche_key = TrancheKey.fresh()
    old = wrap_tranche_key(tranche_key, keys.public_key, origin, hashed, root)

    rotated = rotate_sealing_key(directory)

    assert rotated.kid != keys.kid
    assert rotated.verify_key == keys.verify_key
    assert rotated.kids == load_keys(directory).kids == tuple(sorted({keys.kid, rotated.kid}))
    kept = unwrap_tranche_key(rotated.unwrap_key(keys.kid), old, origin, hashed, root, keys.kid)
    assert kept.expose() == tranche_key.expose()
    new = wrap_tranche_key(kept, rotated.public_key, origin, hashed, root)
    private = rotated.unwrap_key(rotated.kid)
    again = unwrap_tranche_key(private, new, origin, hashed, root, rotated.kid)
    assert again.expose() == tranche_key.expose()


def test_a_rotation_changes_no_allocation(
    directory: Path, keys: ServerKeys, generated: GeneratedList, origin: str
) -> None:
    sealed = seal_list(generated, keys.public_key, origin)
    rotated = rotate_sealing_key(directory)
    listed = (sealed.design_sha256, sealed.root)

    private = rotated.unwrap_key(sealed.kid)
    key = unwrap_tranche_key(private, sealed.wrap, origin, *listed, sealed.kid)

    for slot in sealed.sealed_slots():
        place = SlotPlace(*listed, slot.stratum, slot.slot)
        opening = open_slot(key, place, slot.blob, slot.leaf)
        assert opening == generated.opening(slot.stratum, slot.slot)


def test_a_rotation_that_fails_leaves_the_older_choice(
    directory: Path, keys: ServerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        with pytest.raises(KeysUnusableError):
            rotate_sealing_key(directory)

    assert load_keys(directory).kid == keys.kid


def test_a_restarted_sealer_knows_the_keys_that_a_log_has_named(
    trial: SealedTrial,
) -> None:
    older = trial.sealer.log_key(ORIGIN)
    newer = Verifier(ORIGIN, bytes(range(32)))
    trial.log.add("key.created", {"vkey": older.vkey}, "administrator")
    trial.follow()
    assert trial.another_sealer().log_keys(ORIGIN) == (older,)

    trial.log.add("key.rotated", {"vkey": newer.vkey}, "administrator")
    with pytest.raises(SigningKeyLostError):  # it is followed, and this sealer has no such key
        trial.follow()
    assert trial.another_sealer().log_keys(ORIGIN) == (newer, older)
    trial.anchor_path.write_bytes(b"no log\n")
    assert trial.another_sealer().log_key(ORIGIN) == older
    assert trial.sealer.log_key("rac.example.org/TEST-NEVER/audit").public == older.public


def test_a_key_that_was_used_for_nothing_here_is_not_accepted_for_a_wrap(
    sealed_trial: SealedTrial,
) -> None:
    sealer = RotatingSealer(sealed_trial.keys, sealed_trial.anchors, HOST)

    with pytest.raises(NotAuthorizedError, match="of no logged sealing"):
        sealer.rewrap(ORIGIN, 1, bytes(80))
    with pytest.raises(NotAuthorizedError, match="list 7 is not sealed"):
        sealer.rewrap(ORIGIN, 7, bytes(80))
