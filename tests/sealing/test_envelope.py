import copy
import hashlib
import pickle
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.generate import Opening
from alloc_service.core.merkle import verify_inclusion
from alloc_service.errors import (
    BlobContentError,
    BlobLeafError,
    BlobLockedError,
    BlobShapeError,
    IntegrityError,
    SealedSlotError,
    SlotPlaceError,
    TrancheKeyError,
    TreeError,
)
from alloc_service.sealing.envelope import (
    SlotPlace,
    TrancheKey,
    derive_slot_key,
    open_slot,
    seal_slot,
)

ARM = "DISTINCT-ARM"
KEY_BYTES = bytes(range(1, 33))
KEY = TrancheKey(KEY_BYTES)
D = hashlib.sha256(b"design").hexdigest()
R = hashlib.sha256(b"root").hexdigest()
NONCE = hashlib.sha256(b"nonce").hexdigest()
PLACE = SlotPlace(D, R, 1, 3)
OPENING = Opening(D, 1, 3, ARM, NONCE)
BLOB = seal_slot(KEY, PLACE, OPENING)

hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
keys = st.binary(min_size=32, max_size=32)
arm_codes = st.from_regex(r"[A-Za-z0-9._+-]{1,32}", fullmatch=True)
places = st.builds(SlotPlace, hashes, hashes, st.integers(0, 999), st.integers(0, 999_999))


def forge(plaintext: bytes, place: SlotPlace = PLACE, key: TrancheKey = KEY) -> bytes:
    """Return a blob that the cipher accepts at its place, whatever it holds."""
    nonce = bytes(12)
    cipher = AESGCM(derive_slot_key(key, place))
    return b"\x01" + nonce + cipher.encrypt(nonce, plaintext, place.context)


def vector_place(vector: dict[str, Any]) -> SlotPlace:
    return SlotPlace(
        vector["design_sha256"],
        vector["root"],
        vector["stratum"],
        vector["slot"],
        vector["tranche"],
    )


def test_the_vector_gives_its_slot_key_and_its_associated_data(vector: dict[str, Any]) -> None:
    tranche_key = TrancheKey(bytes.fromhex(vector["tranche_key"]))

    assert vector_place(vector).context == vector["aad"].encode()
    assert derive_slot_key(tranche_key, vector_place(vector)).hex() == vector["slot_key"]


def test_the_vector_is_sealed_byte_for_byte(vector: dict[str, Any]) -> None:
    blob = seal_slot(
        TrancheKey(bytes.fromhex(vector["tranche_key"])),
        vector_place(vector),
        Opening.parse(vector["opening"]),
        nonce=bytes.fromhex(vector["nonce"]),
    )

    assert blob.hex() == vector["blob"]


def test_the_vector_opens_to_its_opening_under_its_root(vector: dict[str, Any]) -> None:
    expected = Opening.parse(vector["opening"])
    proof = [bytes.fromhex(node) for node in vector["inclusion_proof"]]
    root, index = bytes.fromhex(vector["root"]), vector["leaf_index"]

    opening = open_slot(
        TrancheKey(bytes.fromhex(vector["tranche_key"])),
        vector_place(vector),
        bytes.fromhex(vector["blob"]),
        expected.leaf,
    )

    assert opening.text == vector["opening"]
    verify_inclusion(opening.leaf, index, 17, proof, root)
    with pytest.raises(TreeError):
        verify_inclusion(replace(opening, arm="B").leaf, index, 17, proof, root)


@given(key=keys, place=places, arm=arm_codes, nonce=hashes)
def test_every_blob_is_285_bytes_and_opens_again(
    key: bytes, place: SlotPlace, arm: str, nonce: str
) -> None:
    opening = Opening(place.design_sha256, place.stratum, place.slot, arm, nonce)

    blob = seal_slot(TrancheKey(key), place, opening)

    assert len(blob) == 285
    assert open_slot(TrancheKey(key), place, blob, opening.leaf) == opening


def test_a_slot_sealed_twice_never_repeats_its_nonce_or_its_bytes() -> None:
    blobs = {seal_slot(KEY, PLACE, OPENING) for _ in range(100)}

    assert len(blobs) == 100
    assert len({blob[1:13] for blob in blobs}) == 100


def test_every_flipped_bit_is_refused() -> None:
    for index in range(len(BLOB)):
        for bit in range(8):
            changed = bytearray(BLOB)
            changed[index] ^= 1 << bit
            with pytest.raises(SealedSlotError):
                open_slot(KEY, PLACE, bytes(changed), OPENING.leaf)


@given(place=places, other=places)
def test_a_blob_opens_at_no_other_place(place: SlotPlace, other: SlotPlace) -> None:
    opening = Opening(place.design_sha256, place.stratum, place.slot, ARM, NONCE)
    blob = seal_slot(KEY, place, opening)
    swaps = {
        replace(place, **{name: getattr(other, name)})
        for name in ("design_sha256", "root", "stratum", "slot")
    } - {place}

    for swapped in swaps:
        with pytest.raises(BlobLockedError):
            open_slot(KEY, swapped, blob, opening.leaf)


def test_the_blobs_of_two_slots_cannot_be_exchanged() -> None:
    neighbour = replace(PLACE, slot=4)
    their_opening = replace(OPENING, slot=4)
    their_blob = seal_slot(KEY, neighbour, their_opening)

    with pytest.raises(BlobLockedError):
        open_slot(KEY, PLACE, their_blob, OPENING.leaf)
    with pytest.raises(BlobLockedError):
        open_slot(KEY, neighbour, BLOB, their_opening.leaf)


def test_a_blob_of_another_sealing_is_refused() -> None:
    with pytest.raises(BlobLockedError):
        open_slot(TrancheKey.fresh(), PLACE, BLOB, OPENING.leaf)


@given(arm=arm_codes.filter(lambda arm: arm != ARM))
def test_a_blob_resealed_with_another_arm_is_refused_by_its_leaf(arm: str) -> None:
    forged = seal_slot(KEY, PLACE, replace(OPENING, arm=arm))

    with pytest.raises(BlobLeafError):
        open_slot(KEY, PLACE, forged, OPENING.leaf)


def test_a_blob_resealed_with_another_nonce_is_refused_by_its_leaf() -> None:
    forged = seal_slot(KEY, PLACE, replace(OPENING, nonce="0" * 64))

    with pytest.raises(BlobLeafError):
        open_slot(KEY, PLACE, forged, OPENING.leaf)


@pytest.mark.parametrize("leaf", [b"", bytes(32), OPENING.leaf[:31], OPENING.leaf + b"\x00"])
def test_a_leaf_that_is_not_the_committed_one_is_refused(leaf: bytes) -> None:
    with pytest.raises(BlobLeafError):
        open_slot(KEY, PLACE, BLOB, leaf)


@pytest.mark.parametrize("blob", [b"", BLOB[:-1], BLOB + b"\x00", forge(OPENING.text.encode())])
def test_a_blob_of_another_length_is_refused(blob: bytes) -> None:
    with pytest.raises(BlobShapeError, match="285"):
        open_slot(KEY, PLACE, blob, OPENING.leaf)


@pytest.mark.parametrize("version", [b"\x00", b"\x02", b"\xff"])
def test_a_blob_of_another_version_is_refused(version: bytes) -> None:
    with pytest.raises(BlobShapeError, match="version"):
        open_slot(KEY, PLACE, version + BLOB[1:], OPENING.leaf)


@pytest.mark.parametrize(
    "text",
    [
        replace(OPENING, slot=4).text,
        replace(OPENING, stratum=0).text,
        replace(OPENING, design_sha256=R).text,
        "rac-slot/2" + OPENING.text[10:],
        OPENING.text + "\n",
        OPENING.text.replace("|3|", "|03|"),
        OPENING.text.replace(ARM, ""),
        "",
    ],
)
def test_a_forged_blob_that_holds_no_opening_of_its_place_is_refused(text: str) -> None:
    padded = text.encode().ljust(256, b"\x00")

    with pytest.raises(BlobContentError):
        open_slot(KEY, PLACE, forge(padded), hashlib.sha256(b"\x00" + text.encode()).digest())


@pytest.mark.parametrize(
    "plaintext",
    [
        OPENING.text.encode().ljust(255, b"\x00") + b"\x01",
        OPENING.text.encode().ljust(256, b" "),
        OPENING.text.encode() + b"\x00" + OPENING.text.encode()[: 255 - len(OPENING.text)],
        b"A" * 256,
        b"\xff" * 256,
        bytes(256),
    ],
)
def test_a_forged_blob_with_other_padding_is_refused(plaintext: bytes) -> None:
    with pytest.raises(BlobContentError):
        open_slot(KEY, PLACE, forge(plaintext.ljust(256, b"\x00")), OPENING.leaf)


@pytest.mark.parametrize(
    "opening",
    [
        replace(OPENING, slot=4),
        replace(OPENING, stratum=0),
        replace(OPENING, design_sha256=R),
        replace(OPENING, arm="A|B"),
        replace(OPENING, arm="é"),
        replace(OPENING, arm="A\x00"),
        replace(OPENING, arm="A" * 200),
        replace(OPENING, nonce="0"),
    ],
)
def test_what_could_not_be_opened_again_is_not_sealed(opening: Opening) -> None:
    with pytest.raises(BlobContentError):
        seal_slot(KEY, PLACE, opening)


@pytest.mark.parametrize("nonce", [b"", bytes(11), bytes(13)])
def test_a_nonce_of_another_length_is_refused(nonce: bytes) -> None:
    with pytest.raises(BlobShapeError, match="12 bytes"):
        seal_slot(KEY, PLACE, OPENING, nonce=nonce)


@pytest.mark.parametrize(
    "change",
    [
        {"tranche": 1},
        {"tranche": -1},
        {"stratum": -1},
        {"slot": -1},
        {"root": R.upper()},
        {"root": R + "\n"},
        {"root": ""},
        {"design_sha256": D[:-1]},
        {"design_sha256": D[:-1] + "|"},
    ],
)
def test_a_place_that_no_slot_has_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SlotPlaceError):
        replace(PLACE, **change)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_tranche_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(TrancheKeyError):
        TrancheKey(bytes(length))


def test_a_wiped_tranche_key_is_overwritten_and_seals_nothing() -> None:
    key = TrancheKey(KEY_BYTES)
    buffer = key.expose()

    key.wipe()
    key.wipe()

    assert buffer == b""
    with pytest.raises(TrancheKeyError):
        seal_slot(key, PLACE, OPENING)


def test_a_tranche_key_is_neither_shown_nor_pickled_nor_copied() -> None:
    assert repr(KEY) == str(KEY) == "TrancheKey(…)"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(KEY)


def test_no_refusal_names_an_arm_a_nonce_or_a_key() -> None:
    forged = seal_slot(KEY, PLACE, replace(OPENING, arm="OTHER-ARM"))
    padded = OPENING.text.encode().ljust(255, b"\x00") + b"\x01"
    elsewhere = replace(OPENING, slot=4).text.encode().ljust(256, b"\x00")
    attempts = [
        (KEY, PLACE, forged, OPENING.leaf),
        (KEY, PLACE, forge(padded), OPENING.leaf),
        (KEY, PLACE, forge(elsewhere), OPENING.leaf),
        (KEY, PLACE, BLOB[:-1], OPENING.leaf),
        (KEY, replace(PLACE, slot=9), BLOB, OPENING.leaf),
    ]

    for attempt in attempts:
        with pytest.raises(IntegrityError) as caught:
            open_slot(*attempt)
        said = f"{caught.value!r} {caught.value} {caught.value.facts}"
        for secret in ("DISTINCT", "OTHER-ARM", NONCE, KEY_BYTES.hex(), "rac-slot/1|"):
            assert secret not in said
        assert caught.value.__cause__ is None
