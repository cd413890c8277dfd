"""Receipts checked offline, by the package and by the file that stands alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.merkle import leaf_hash
from alloc_service.errors import NoteError
from alloc_service.log.receipt import check_receipt, write_extra
from tests.support.alone import receipt_verdict
from tests.support.bundles import LOG, OTHER_LOG, small_evidence
from tests.support.chain import hex32
from tests.support.forgery import rewrite
from tests.support.receipts import ENTRY, OPENING, SEQ, SMALL, full, list_root, receipt


def refusal(text: str, leaf: bytes | None = None, policy: str = SMALL.policy) -> str:
    good, said = receipt_verdict(text, policy, leaf, list_root())
    assert not good
    return str(said)


def test_a_sites_receipt_is_good_with_the_leaf_that_was_kept() -> None:
    good, said = receipt_verdict(receipt(), SMALL.policy, leaf_hash(ENTRY))

    assert good
    assert "Entry 6 is in the log of 12 entries that was signed." in str(said)
    assert "asks for no quorum" in str(said)


def test_a_full_receipt_needs_no_leaf_and_shows_its_opening() -> None:
    for leaf in (None, leaf_hash(ENTRY)):
        good, said = receipt_verdict(full(), SMALL.policy, leaf, list_root())
        assert good
        assert "the one that it commits to, under the root of its list" in str(said)
    good, said = receipt_verdict(full(), SMALL.policy)
    assert not good
    assert "give root and slots of list 1" in str(said)


def test_a_receipt_without_a_leaf_or_with_another_is_refused() -> None:
    assert "give the one kept beside it" in refusal(receipt())
    assert "is not under the root" in refusal(receipt(), bytes(32))
    assert "another entry than the leaf hash" in refusal(full(), bytes(32))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "a receipt begins with"),
        (full(SMALL.rows[7]), "is not under the root"),
        (
            receipt(seq=1, extra=write_extra(SMALL.rows[1], OPENING.text, [])),
            "not the slot.assigned of seq 1",
        ),
        (full(opening="SUN"), "not spelled as rac-slot/1"),
        (
            full(opening=SMALL.lists[1].generated.opening(1, 1).text),
            "opening is not the one that its entry commits to",
        ),
        (full(opening=OPENING.text.replace(OPENING.nonce, hex32("n"))), "opening is not the one"),
        (full(rewrite(ENTRY)), "is not under the root"),
        (full(b"{}"), "entry"),
        (receipt(extra=b"{}"), "other than entry, opening and proof"),
    ],
    ids=range(9),
)
def test_a_receipt_that_contradicts_itself_is_refused(text: str, rule: str) -> None:
    assert rule in refusal(text)


def test_an_entry_in_another_spelling_makes_a_bad_receipt() -> None:
    with pytest.raises(NoteError, match="the receipt's entry: at byte 453 it is no JSON"):
        check_receipt(full(ENTRY[:-1]), LOG.verifier, sealed=list_root())
    assert "the receipt's entry: at byte 0 it leaves the canonical spelling" in refusal(
        full(b" " + ENTRY)
    )


def test_a_receipt_of_another_key_or_log_is_refused() -> None:
    forged = small_evidence()
    forged.signers = (OTHER_LOG,)

    assert "no known key has signed it" in refusal(receipt(forged), leaf_hash(ENTRY))
    other = SMALL.policy.replace("EXAMPLE-02", "EXAMPLE-03")
    assert "verifier key's id" in refusal(receipt(), leaf_hash(ENTRY), other)


def test_the_policys_quorum_is_asked_of_a_receipt() -> None:
    evidence = small_evidence().witnessed()
    leaf = leaf_hash(evidence.rows[SEQ])
    good, said = receipt_verdict(receipt(evidence), evidence.policy, leaf)
    assert good
    assert "quorum" not in str(said)
    evidence.cosigners = evidence.cosigners[:1]

    assert "lacks the cosignatures" in refusal(receipt(evidence), leaf, evidence.policy)


@given(at=st.integers(0, 5_000), change=st.integers(1, 127))
def test_no_changed_byte_of_a_receipt_is_accepted(at: int, change: int) -> None:
    text = bytearray(full().encode())
    text[at % len(text)] ^= change

    assert refusal(bytes(text).decode("utf-8", "replace"))


def test_a_receipt_with_its_leaf_in_it_needs_no_other() -> None:
    leaf = leaf_hash(ENTRY)
    for given_leaf in (None, leaf):
        good, _ = receipt_verdict(receipt(extra=leaf), SMALL.policy, given_leaf)
        assert good
    assert "another entry than the leaf hash" in refusal(receipt(extra=leaf), bytes(32))
    assert "is not under the root" in refusal(receipt(extra=bytes(32)))
