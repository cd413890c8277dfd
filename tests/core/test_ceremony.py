"""The seed ceremony rac-seed/1: shares, commitments, the document, the beacon, the seed."""

import hashlib
import hmac
import itertools
import json
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.core.ceremony import (
    QUICKNET_CHAIN,
    CeremonyDocument,
    Drand,
    PublicString,
    Share,
    combine,
    commit,
    require_id,
)
from alloc_service.errors import CanonError, CeremonyError, ShareError

VECTOR: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors/seed.json").read_text())
DOCUMENT = CeremonyDocument.from_bytes(canon(VECTOR["doc"]))
SHARES = {
    party["id"]: Share(digits)
    for party, digits in zip(VECTOR["doc"]["parties"], VECTOR["reveals"], strict=True)
}
D, C = DOCUMENT.design_sha256, DOCUMENT.ceremony
NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)

hex32s = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.text("abcXYZ09._/-", min_size=1, max_size=64)
beacons = st.one_of(
    st.none(),
    st.builds(Drand, st.integers(1, 8 * 10**10)),
    st.builds(PublicString, st.text("abc é中", min_size=1, max_size=40).filter(str.strip)),
)


def without_beacon() -> CeremonyDocument:
    return CeremonyDocument(C, D, DOCUMENT.commitments)


# --- the vector ------------------------------------------------------------------------------


def test_the_document_of_the_vector_is_read_and_written_to_the_byte() -> None:
    assert DOCUMENT.to_bytes() == canon(VECTOR["doc"])
    assert DOCUMENT.sha256 == VECTOR["doc_sha256"]
    assert DOCUMENT.parties == ("dmc", "sponsor", "statistician")
    assert DOCUMENT.beacon == Drand(657413)


def test_the_shares_of_the_vector_give_its_commitments() -> None:
    for party, share in SHARES.items():
        assert commit(D, C, party, share) == DOCUMENT.commitments[party]


def test_shares_and_beacon_of_the_vector_give_its_seed() -> None:
    assert combine(DOCUMENT, SHARES, VECTOR["beacon_value"]).digits == VECTOR["seed"]


def test_the_vector_without_a_beacon_gives_its_other_seed() -> None:
    assert combine(without_beacon(), SHARES).digits == VECTOR["seed_without_beacon"]


def test_the_value_of_the_vectors_beacon_is_the_hash_of_its_signature() -> None:
    beacon = DOCUMENT.beacon
    assert isinstance(beacon, Drand)

    value = beacon.value_of(VECTOR["beacon_value"], VECTOR["beacon_signature"])

    assert value == VECTOR["beacon_value"]


# --- shares ----------------------------------------------------------------------------------


def test_two_fresh_shares_differ_and_none_shows_itself() -> None:
    one, two = Share.fresh(), Share.fresh()

    assert one.digits != two.digits
    assert one.digits not in repr(one)
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(one)


@pytest.mark.parametrize("digits", ["", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n", " " * 64])
def test_what_is_no_share_is_refused_without_showing_it(digits: str) -> None:
    with pytest.raises(ShareError) as refusal:
        Share(digits)
    assert not digits.strip() or digits.strip() not in str(refusal.value)


def test_a_hundred_rolls_of_a_die_make_a_share_whatever_stands_between_them() -> None:
    rolls = "".join(itertools.islice(itertools.cycle("123456"), 100))
    spaced = "\n".join(rolls[at : at + 10] for at in range(0, 100, 10))

    assert Share.of_dice(rolls).digits == hashlib.sha256(rolls.encode()).hexdigest()
    assert Share.of_dice(spaced) == Share.of_dice(rolls)


@pytest.mark.parametrize(
    ("rolls", "rule"), [("6" * 99, "99 rolls are too few"), ("7" * 100, "one of 1 to 6")]
)
def test_too_few_rolls_or_no_rolls_are_refused(rolls: str, rule: str) -> None:
    with pytest.raises(ShareError, match=rule):
        Share.of_dice(rolls)


@pytest.mark.parametrize(
    ("design_sha256", "ceremony", "party"), [("x", C, "dmc"), (D, "a|b", "dmc"), (D, C, "d m c")]
)
def test_a_commitment_is_of_a_design_a_ceremony_and_a_party(
    design_sha256: str, ceremony: str, party: str
) -> None:
    with pytest.raises(CeremonyError):
        commit(design_sha256, ceremony, party, Share("a" * 64))


# --- the document ----------------------------------------------------------------------------


@given(
    ceremony=names,
    parties=st.dictionaries(names, hex32s, min_size=1, max_size=5),
    beacon=beacons,
    design_sha256=hex32s,
)
def test_every_document_is_read_back_and_hashes_by_itself(
    ceremony: str, parties: dict[str, str], beacon: Drand | PublicString | None, design_sha256: str
) -> None:
    if len(set(parties.values())) < len(parties):
        return
    document = CeremonyDocument(ceremony, design_sha256, parties, beacon)

    again = CeremonyDocument.from_bytes(document.to_bytes())

    assert again == document
    assert document.sha256 == hashlib.sha256(document.to_bytes()).hexdigest()


@given(st.data())
def test_a_changed_byte_of_a_document_is_refused_or_gives_another_hash(data: st.DataObject) -> None:
    good = DOCUMENT.to_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]

    try:
        read = CeremonyDocument.from_bytes(bad)
    except (CanonError, CeremonyError):
        return
    assert read.sha256 != DOCUMENT.sha256


def changed(**parts: Any) -> bytes:
    return canon(VECTOR["doc"] | parts)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (changed(alg="rac-seed/2"), "not spelled"),
        (changed(extra=1), "not spelled"),
        (changed(ceremony=7), "not spelled"),
        (changed(ceremony="a b"), "id of a ceremony"),
        (changed(design_sha256="d"), "design's hash"),
        (changed(parties=[]), "1 to 16 parties"),
        (changed(parties=["dmc"]), "a commitment and an id"),
        (changed(parties=VECTOR["doc"]["parties"][::-1]), "not spelled"),
        (changed(parties=[{"commitment": "c", "id": "dmc"}]), "commitment of dmc"),
        (changed(parties=[{"commitment": "c" * 64, "id": "d m"}]), "id of a party"),
        (
            changed(parties=[{"commitment": "c" * 64, "id": name} for name in "ab"]),
            "the same commitment",
        ),
        (changed(beacon={"kind": "nist"}), "no known kind"),
        (
            changed(beacon={"kind": "drand-quicknet", "chain": "c" * 64, "round": 7}),
            "another chain",
        ),
        (
            changed(beacon={"kind": "drand-quicknet", "chain": QUICKNET_CHAIN, "round": 0}),
            "is from 1 to",
        ),
        (
            changed(beacon={"kind": "drand-quicknet", "chain": QUICKNET_CHAIN, "round": 10**11}),
            "is from 1 to",
        ),
        (
            changed(beacon={"kind": "drand-quicknet", "chain": QUICKNET_CHAIN, "round": True}),
            "not spelled",
        ),
        (changed(beacon={"kind": "public-string", "source": " "}), "1 to 500 characters"),
        (changed(beacon={"kind": "public-string", "source": "s" * 501}), "1 to 500 characters"),
    ],
)
def test_a_document_that_breaks_a_rule_is_refused_with_it(data: bytes, rule: str) -> None:
    with pytest.raises(CeremonyError, match=rule):
        CeremonyDocument.from_bytes(data)


@pytest.mark.parametrize("spoil", [b"\xef\xbb\xbf", b" ", b"\r\n"])
def test_a_document_in_another_spelling_is_refused(spoil: bytes) -> None:
    for data in (spoil + DOCUMENT.to_bytes(), DOCUMENT.to_bytes() + spoil):
        with pytest.raises(CanonError):
            CeremonyDocument.from_bytes(data)


def test_a_source_outside_unicodes_composed_form_is_refused() -> None:
    with pytest.raises(CeremonyError, match="NFC"):
        PublicString("e\u0301")


# --- the beacon ------------------------------------------------------------------------------


def test_a_round_has_its_time_and_a_time_its_round() -> None:
    assert Drand(1).time == datetime.fromtimestamp(1692803367, UTC)
    assert Drand(2).time - Drand(1).time == timedelta(seconds=3)
    assert Drand.after(Drand(1000).time) == Drand(1000)
    assert Drand.after(Drand(1000).time + timedelta(seconds=1)) == Drand(1001)
    assert Drand.after(datetime(2020, 1, 1, tzinfo=UTC)) == Drand(1)


def test_a_round_lies_at_least_an_hour_ahead() -> None:
    first = Drand.after(NOW + timedelta(hours=1))

    first.require_ahead(NOW)
    with pytest.raises(CeremonyError, match=f"take round {first.round} or a later one"):
        Drand(first.round - 1).require_ahead(NOW)
    PublicString("any").require_ahead(NOW)


def test_every_round_that_can_be_named_has_a_time() -> None:
    assert Drand(10**10).time.year == 2974
    Drand(10**10).require_ahead(NOW)
    with pytest.raises(CeremonyError, match="is from 1 to"):
        Drand(10**11)


@pytest.mark.parametrize(
    ("value", "proof", "rule"),
    [
        ("ab", "", "randomness is 64"),
        ("A" * 64, "", "randomness is 64"),
        (VECTOR["beacon_value"], "ab", "signature is 96"),
        ("a" * 64, VECTOR["beacon_signature"], "not the hash of its signature"),
    ],
)
def test_a_beacons_value_of_another_shape_or_signature_is_refused(
    value: str, proof: str, rule: str
) -> None:
    with pytest.raises(CeremonyError, match=rule):
        Drand(7).value_of(value, proof)


def test_a_beacons_value_may_come_without_its_signature() -> None:
    assert Drand(7).value_of("a" * 64, "") == "a" * 64


def test_the_value_of_a_public_string_is_the_hash_of_its_text() -> None:
    text = "Closing price: 3,141.59 é"
    digest = hashlib.sha256(text.encode()).hexdigest()
    source = PublicString("index at the close")

    assert source.value_of("", text) == source.value_of(digest, text) == digest
    with pytest.raises(CeremonyError, match="not the SHA-256"):
        source.value_of("a" * 64, text)
    with pytest.raises(CeremonyError, match="string is missing"):
        source.value_of(digest, "")
    with pytest.raises(CeremonyError, match="no text"):
        source.value_of("", "\ud800")


# --- the seed --------------------------------------------------------------------------------


def test_a_party_that_reveals_another_value_is_refused_by_name() -> None:
    with pytest.raises(CeremonyError, match="sponsor reveals another value") as refusal:
        combine(DOCUMENT, SHARES | {"sponsor": Share("c" * 64)}, VECTOR["beacon_value"])
    assert "c" * 64 not in str(refusal.value)


def test_a_party_that_reveals_anothers_value_is_refused_by_name() -> None:
    with pytest.raises(CeremonyError, match="dmc reveals another value"):
        combine(DOCUMENT, SHARES | {"dmc": SHARES["sponsor"]}, VECTOR["beacon_value"])


def test_every_party_and_nobody_else_reveals() -> None:
    with pytest.raises(CeremonyError, match="dmc, sponsor has not revealed"):
        combine(DOCUMENT, {"statistician": SHARES["statistician"]}, VECTOR["beacon_value"])
    with pytest.raises(CeremonyError, match="other is no party"):
        combine(DOCUMENT, SHARES | {"other": Share("c" * 64)}, VECTOR["beacon_value"])


def test_the_beacons_value_is_there_where_the_document_has_a_beacon_and_nowhere_else() -> None:
    with pytest.raises(CeremonyError, match="waits for its beacon's value"):
        combine(DOCUMENT, SHARES)
    with pytest.raises(CeremonyError, match="has no beacon"):
        combine(without_beacon(), SHARES, VECTOR["beacon_value"])
    with pytest.raises(CeremonyError, match="beacon's value is 64"):
        combine(DOCUMENT, SHARES, "beacon")


@given(shares=st.lists(hex32s, min_size=1, max_size=4, unique=True), beacon=hex32s)
def test_the_seed_is_what_openssl_would_compute(shares: list[str], beacon: str) -> None:
    parties = {f"p{at}": Share(digits) for at, digits in enumerate(shares)}
    commitments = {party: commit(D, C, party, share) for party, share in parties.items()}
    document = CeremonyDocument(C, D, commitments, Drand(7))
    message = "|".join(["rac-seed/1", *shares, beacon]).encode()
    expected = hmac.new(document.sha256.encode(), message, "sha256").hexdigest()

    assert combine(document, parties, beacon).digits == expected


@given(names)
def test_an_id_of_the_allowed_letters_is_taken(name: str) -> None:
    require_id(name, "party")
