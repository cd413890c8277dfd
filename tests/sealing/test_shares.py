"""A party's share in files: its own, its deposit with the escrow, what it hands in."""

import pickle
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.core.ceremony import CeremonyDocument, Share
from alloc_service.errors import (
    AgeError,
    CeremonyError,
    CustodiansError,
    EscrowError,
    ShareFileError,
)
from alloc_service.sealing import age, shares
from alloc_service.sealing.shares import OwnShare

D, C = "d" * 64, "list-1/ceremony-1-ab"
OWN = OwnShare(C, D, "dmc", Share("1f" * 32))
PAIRS = {name: age.make_identity() for name in ("archive", "dmc", "stat")}
CUSTODIANS = {name: recipient for name, (_identity, recipient) in PAIRS.items()}


def spelled(**changed: Any) -> bytes:
    whole = {
        "alg": "rac-share/1",
        "ceremony": C,
        "design_sha256": D,
        "party": "dmc",
        "share": "1f" * 32,
    }
    return canon(whole | changed)


def test_a_share_file_is_read_and_written_to_the_byte() -> None:
    assert OWN.to_bytes() == spelled()
    assert OwnShare.from_bytes(spelled(), "dmc.share") == OWN


def test_a_share_shows_itself_nowhere() -> None:
    assert "1f1f" not in repr(OWN)
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(OWN)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "not canonical JSON"),
        (spelled() + b"\n", "not canonical JSON"),
        (b"\xef\xbb\xbf" + spelled(), "not canonical JSON"),
        (spelled(alg="rac-share/2"), "not spelled as rac-share/1"),
        (spelled(more="x"), "not spelled as rac-share/1"),
        (spelled(share=7), "not spelled as rac-share/1"),
        (spelled(more=7), "not spelled as rac-share/1"),
        (spelled(share="1F" * 32), "64 characters"),
        (spelled(design_sha256="d"), "design's hash"),
        (spelled(ceremony="a b"), "id of a ceremony"),
        (spelled(party="../x"), "1-32 of a-z"),
    ],
)
def test_what_is_no_share_file_is_refused_by_name_and_never_repeated(
    data: bytes, rule: str
) -> None:
    with pytest.raises(ShareFileError, match=rule) as refusal:
        OwnShare.from_bytes(data, "dmc.share")
    assert str(refusal.value).startswith("dmc.share: ")
    assert "1f1f" not in str(refusal.value)


@given(st.data())
def test_a_changed_byte_of_a_share_file_is_refused_or_another_share(data: st.DataObject) -> None:
    good = OWN.to_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]

    try:
        assert OwnShare.from_bytes(bad, "share").commitment != OWN.commitment
    except ShareFileError:
        return


# --- the deposit -----------------------------------------------------------------------------


def test_any_two_custodians_open_a_deposit_and_none_alone() -> None:
    files = shares.write_deposit(OWN, CUSTODIANS)

    assert tuple(files) == shares.deposit_names("dmc", CUSTODIANS)
    for first, second in combinations(sorted(PAIRS), 2):
        name = f"deposit.dmc.{first}+{second}.age"
        one, other = PAIRS[first][0], PAIRS[second][0]
        assert shares.open_deposit(files[name], one, other, name) == OWN
        for wrong in ((other, one), (one, one)):
            with pytest.raises(EscrowError, match="layer"):
                shares.open_deposit(files[name], *wrong, name)


def test_a_deposit_is_for_three_custodians() -> None:
    with pytest.raises(CustodiansError, match="there must be 3"):
        shares.write_deposit(OWN, dict(list(CUSTODIANS.items())[:2]))


def test_the_age_of_debian_opens_a_deposit(age_binary: str, tmp_path: Path) -> None:
    files = shares.write_deposit(OWN, CUSTODIANS)
    for name in ("archive", "dmc"):
        (tmp_path / f"{name}.key").write_text(PAIRS[name][0] + "\n")
    (tmp_path / "file").write_bytes(files["deposit.dmc.archive+dmc.age"])
    command = f"{age_binary} -d -i archive.key file | {age_binary} -d -i dmc.key"

    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True)

    assert done.stdout == OWN.to_bytes()


# --- what is handed in -----------------------------------------------------------------------


def test_the_ceremonys_identity_alone_opens_what_is_handed_in() -> None:
    identity, recipient = age.make_identity()
    data = shares.write_reveal(OWN, recipient)

    assert shares.open_reveal(data, identity, shares.reveal_name("dmc")) == OWN
    with pytest.raises(ShareFileError, match=r"reveal\.dmc\.age: the file does not open"):
        shares.open_reveal(data, PAIRS["dmc"][0], shares.reveal_name("dmc"))


def test_a_recipient_that_is_none_gets_nothing() -> None:
    with pytest.raises(AgeError, match="recipient"):
        shares.write_reveal(OWN, "age1nonsense")


def document(**changed: str) -> CeremonyDocument:
    return CeremonyDocument(C, D, {"dmc": OWN.commitment, "sponsor": "a" * 64} | changed)


def test_a_share_is_its_partys_in_its_ceremony() -> None:
    assert shares.require_of(document(), OWN, "dmc", "file") == OWN.share

    with pytest.raises(ShareFileError, match="file: it was drawn for another ceremony"):
        shares.require_of(document(), OWN, "sponsor", "file")
    with pytest.raises(CeremonyError, match="dmc reveals another value"):
        shares.require_of(document(dmc="b" * 64), OWN, "dmc", "file")


def test_a_file_that_is_kept_is_a_short_binary_age_file() -> None:
    shares.require_sealed_file(shares.write_reveal(OWN, CUSTODIANS["dmc"]), "file")

    with pytest.raises(ShareFileError, match="file: it is no binary age file"):
        shares.require_sealed_file(OWN.to_bytes(), "file")
    with pytest.raises(ShareFileError, match="longer than 4,096 bytes"):
        shares.require_sealed_file(age.MAGIC + bytes(5_000), "file")


def test_the_recipient_of_an_identity_is_the_one_made_with_it() -> None:
    identity, recipient = age.make_identity()

    assert age.recipient_of(f"# a comment\n{identity}\n") == recipient
    with pytest.raises(AgeError, match="no X25519 identity"):
        age.recipient_of("AGE-SECRET-KEY-1NONSENSE")
