import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.core.design import Design
from alloc_service.errors import (
    OriginError,
    PublicKeyError,
    SealedDesignError,
    TrancheKeyError,
    WrapError,
    WrongKidError,
)
from alloc_service.sealing.envelope import TrancheKey
from alloc_service.sealing.wrap import (
    key_id,
    open_design,
    require_origin,
    seal_design,
    unwrap_tranche_key,
    wrap_tranche_key,
)

SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
D = hashlib.sha256(b"design").hexdigest()
R = hashlib.sha256(b"root").hexdigest()
ORIGIN = "rac.example.org/TEST-1/audit"
PRIVATE = X25519PrivateKey.generate()
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KID = key_id(PUBLIC)
KEY = TrancheKey.fresh()
WRAP = wrap_tranche_key(KEY, PUBLIC, ORIGIN, D, R)

hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
trials = st.from_regex(r"[A-Za-z0-9._/-]{1,64}", fullmatch=True)


def vector_key(vector: dict[str, Any]) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["kek_private"]))


def test_the_vector_gives_its_key_id(vector: dict[str, Any]) -> None:
    public = bytes.fromhex(vector["kek_public"])

    assert vector_key(vector).public_key().public_bytes_raw() == public
    assert key_id(public) == vector["kid"]


def test_the_vector_unwraps_to_its_tranche_key(vector: dict[str, Any]) -> None:
    key = unwrap_tranche_key(
        vector_key(vector),
        bytes.fromhex(vector["wrapped"]),
        vector["origin"],
        vector["design_sha256"],
        vector["root"],
        vector["kid"],
    )

    assert key.expose().hex() == vector["tranche_key"]


def test_the_sealed_design_of_the_vector_opens_to_its_document(vector: dict[str, Any]) -> None:
    design = open_design(
        vector_key(vector),
        bytes.fromhex(vector["design_sealed"]),
        vector["origin"],
        vector["design_sha256"],
    )

    assert design.to_bytes().decode() == vector["design_plain"]
    assert design.sha256 == vector["design_sha256"]


def test_a_stranger_opens_what_is_sealed_here_with_the_infos_of_the_vector(
    vector: dict[str, Any],
) -> None:
    public, private = bytes.fromhex(vector["kek_public"]), vector_key(vector)
    design = Design.from_bytes(vector["design_plain"].encode())
    hashed = (vector["design_sha256"], vector["root"])

    wrap = wrap_tranche_key(KEY, public, vector["origin"], *hashed)
    sealed = seal_design(design, public, vector["origin"])

    assert SUITE.decrypt(wrap, private, vector["wrap_info"].encode()) == KEY.expose()
    plain = SUITE.decrypt(sealed, private, vector["design_info"].encode())
    assert plain == vector["design_plain"].encode()


@given(key=st.binary(min_size=32, max_size=32), trial=trials, design=hashes, root=hashes)
def test_every_wrap_is_80_bytes_and_unwraps_again(
    key: bytes, trial: str, design: str, root: str
) -> None:
    origin = f"rac.example.org/{trial}/audit"

    wrap = wrap_tranche_key(TrancheKey(key), PUBLIC, origin, design, root)

    assert len(wrap) == 80
    opened = unwrap_tranche_key(PRIVATE, wrap, origin, design, root, KID)
    assert opened.expose() == key


@given(trial=trials.filter(lambda trial: trial != "TEST-1"), design=hashes, root=hashes)
def test_a_wrap_opens_under_no_other_log_design_or_list(trial: str, design: str, root: str) -> None:
    for place in (
        (f"rac.example.org/{trial}/audit", D, R),
        ("rac2.example.org/TEST-1/audit", D, R),
        (ORIGIN, design, R),
        (ORIGIN, D, root),
    ):
        with pytest.raises(WrapError, match="another log"):
            unwrap_tranche_key(PRIVATE, WRAP, *place, KID)


def test_a_wrap_says_which_key_it_needs() -> None:
    stranger = X25519PrivateKey.generate()

    with pytest.raises(WrongKidError, match=KID):
        unwrap_tranche_key(stranger, WRAP, ORIGIN, D, R, KID)
    their_kid = key_id(stranger.public_key().public_bytes_raw())
    with pytest.raises(WrapError):
        unwrap_tranche_key(stranger, WRAP, ORIGIN, D, R, their_kid)


def test_every_flipped_byte_of_a_wrap_is_refused() -> None:
    for index in range(len(WRAP)):
        changed = bytearray(WRAP)
        changed[index] ^= 0x40
        with pytest.raises(WrapError):
            unwrap_tranche_key(PRIVATE, bytes(changed), ORIGIN, D, R, KID)


@pytest.mark.parametrize(
    "wrap",
    [b"", WRAP[:-1], WRAP + b"\x00", bytes(80)],
    ids=["nothing", "shorter", "longer", "zeros"],
)
def test_a_wrap_of_another_length_or_of_nothing_is_refused(wrap: bytes) -> None:
    with pytest.raises(WrapError):
        unwrap_tranche_key(PRIVATE, wrap, ORIGIN, D, R, KID)


@pytest.mark.parametrize("change", [{"design": "x"}, {"root": R.upper()}, {"root": R + "|0"}])
def test_a_wrap_for_no_hash_is_refused(change: dict[str, str]) -> None:
    place = {"design": D, "root": R, **change}

    with pytest.raises(WrapError, match="64"):
        wrap_tranche_key(KEY, PUBLIC, ORIGIN, place["design"], place["root"])


@pytest.mark.parametrize(
    "public",
    [b"", PUBLIC[:-1], bytes(32), b"\x01" + bytes(31)],
    ids=["nothing", "shorter", "zero", "one"],
)
def test_nothing_is_sealed_to_no_key_or_to_a_weak_one(public: bytes, design: Design) -> None:
    with pytest.raises(PublicKeyError):
        wrap_tranche_key(KEY, public, ORIGIN, D, R)
    with pytest.raises(PublicKeyError):
        seal_design(design, public, f"rac.example.org/{design.trial}/audit")


def test_a_wiped_tranche_key_is_not_wrapped() -> None:
    key = TrancheKey.fresh()
    key.wipe()

    with pytest.raises(TrancheKeyError):
        wrap_tranche_key(key, PUBLIC, ORIGIN, D, R)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "rac.example.org/TEST-1",
        "/TEST-1/audit",
        "rac.example.org//audit",
        "rac.example.org/TEST-1/audit\n",
        "rac.example.org/TEST|1/audit",
        "rac example/TEST-1/audit",
        "rac.example.org/TEST-1/audit|" + D,
        "rac.example.org/" + "T" * 65 + "/audit",
    ],
)
def test_an_origin_that_is_not_spelled_as_a_log_is_refused(origin: str) -> None:
    with pytest.raises(OriginError):
        require_origin(origin)
    with pytest.raises(OriginError):
        wrap_tranche_key(KEY, PUBLIC, origin, D, R)
    with pytest.raises(OriginError):
        open_design(PRIVATE, b"", origin, D)


def test_an_origin_of_another_trial_is_refused(design: Design) -> None:
    require_origin(ORIGIN, "TEST-1")
    with pytest.raises(OriginError, match="not the log of trial TEST-2"):
        require_origin(ORIGIN, "TEST-2")
    with pytest.raises(OriginError):
        seal_design(design, PUBLIC, ORIGIN)


def test_a_sealed_design_opens_again(design: Design, origin: str) -> None:
    sealed = seal_design(design, PUBLIC, origin)

    assert open_design(PRIVATE, sealed, origin, design.sha256) == design
    assert b"blocks" not in sealed
    assert seal_design(design, PUBLIC, origin) != sealed


def test_a_sealed_design_opens_under_no_other_log_hash_or_key(design: Design, origin: str) -> None:
    sealed = seal_design(design, PUBLIC, origin)

    for key, log, hashed in (
        (X25519PrivateKey.generate(), origin, design.sha256),
        (PRIVATE, ORIGIN, design.sha256),
        (PRIVATE, origin, D),
    ):
        with pytest.raises(SealedDesignError, match="another log, design or key"):
            open_design(key, sealed, log, hashed)
    with pytest.raises(SealedDesignError, match="64"):
        open_design(PRIVATE, sealed, origin, D.upper())


@pytest.mark.parametrize("cut", [0, 31, 47, 48, -1])
def test_a_truncated_design_is_refused(design: Design, origin: str, cut: int) -> None:
    sealed = seal_design(design, PUBLIC, origin)

    with pytest.raises(SealedDesignError):
        open_design(PRIVATE, sealed[:cut], origin, design.sha256)


def seal_anything(document: bytes, hashed: str) -> bytes:
    info = f"rac-design/1|{ORIGIN}|{hashed}|{KID}".encode()
    return SUITE.encrypt(document, X25519PublicKey.from_public_bytes(PUBLIC), info)


def test_a_forged_design_that_is_not_the_frozen_one_is_refused(design: Design) -> None:
    forged = seal_anything(design.to_bytes(), D)

    with pytest.raises(SealedDesignError, match="frozen"):
        open_design(PRIVATE, forged, ORIGIN, D)


@pytest.mark.parametrize("document", [b"", b"{}", b"\xff", canon({"alg": "SECRET-ALGORITHM"})])
def test_what_hashes_right_but_is_no_design_is_refused_and_not_quoted(document: bytes) -> None:
    hashed = hashlib.sha256(document).hexdigest()

    with pytest.raises(SealedDesignError, match="no design") as caught:
        open_design(PRIVATE, seal_anything(document, hashed), ORIGIN, hashed)
    assert "SECRET" not in str(caught.value)
