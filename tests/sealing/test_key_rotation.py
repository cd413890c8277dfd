import os
from pathlib import Path

import pytest

from alloc_service.core.design import Design
from alloc_service.core.generate import GeneratedList
from alloc_service.errors import KeysUnusableError
from alloc_service.sealing.envelope import SlotPlace, TrancheKey, open_slot
from alloc_service.sealing.keys import ServerKeys, load_keys, rotate_sealing_key
from alloc_service.sealing.package import seal_list
from alloc_service.sealing.wrap import unwrap_tranche_key, wrap_tranche_key


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
