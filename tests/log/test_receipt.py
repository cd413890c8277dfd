"""Receipts: the vector, the full one with its opening, and one byte off."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.core.merkle import (
    Place,
    consistency_proof,
    inclusion_proof,
    inner_nodes,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from alloc_service.errors import NoteError, RefusalError, TreeError
from alloc_service.log.entry import read_entry
from alloc_service.log.note import Verifier, Witness
from alloc_service.log.receipt import HEADER, Receipt, read_extra, write_extra

OPENINGS = [f"rac-slot/1|{'d' * 64}|0|{slot}|A|{slot:064x}".encode() for slot in range(5)]


def nodes(leaves: list[bytes]) -> dict[Place, bytes]:
    """Return every complete subtree of a tree, as storage keeps them."""
    stored = {(0, position): leaf for position, leaf in enumerate(leaves)}
    stored |= {(level, position): node for level, position, node in inner_nodes(leaves)}
    return stored


@pytest.fixture(scope="session")
def leaves(rows: list[bytes]) -> list[bytes]:
    return [leaf_hash(row) for row in rows]


@pytest.fixture(scope="session")
def receipt(log_vector: dict[str, Any]) -> Receipt:
    """Return the receipt of the vector: entry 5, without extra."""
    return Receipt.parse(log_vector["tlog_proof"])


def test_the_leaves_and_roots_of_the_vector_are_reproduced(
    log_vector: dict[str, Any], leaves: list[bytes]
) -> None:
    assert [leaf.hex() for leaf in leaves] == log_vector["leaves"]
    assert {str(n): root_of(leaves[:n]).hex() for n in range(11)} == log_vector["roots"]


def test_the_inclusion_proof_of_the_vector_is_reproduced(
    log_vector: dict[str, Any], leaves: list[bytes]
) -> None:
    wanted = log_vector["inclusion"]
    stored = nodes(leaves)

    proof = inclusion_proof(wanted["index"], wanted["size"], lambda _: stored)

    assert [sibling.hex() for sibling in proof] == wanted["proof"]
    verify_inclusion(leaves[5], 5, 10, proof, root_of(leaves))


def test_the_consistency_proof_of_the_vector_is_reproduced(
    log_vector: dict[str, Any], leaves: list[bytes]
) -> None:
    wanted = log_vector["consistency"]
    stored = nodes(leaves)

    proof = consistency_proof(wanted["old"], wanted["size"], lambda _: stored)

    assert [sibling.hex() for sibling in proof] == wanted["proof"]
    verify_consistency(3, 10, root_of(leaves[:3]), root_of(leaves), proof)


def test_the_receipt_of_the_vector_is_reproduced_and_verified(
    log_vector: dict[str, Any],
    receipt: Receipt,
    leaves: list[bytes],
    log_key: Verifier,
    witness: Witness,
) -> None:
    made = Receipt(5, tuple(map(bytes.fromhex, log_vector["inclusion"]["proof"])),
                   log_vector["cosigned"])  # fmt: skip

    assert made == receipt
    assert made.text == receipt.text == log_vector["tlog_proof"]
    checkpoint = receipt.verify(leaves[5], log_key, [witness.verifier])
    assert (checkpoint.size, checkpoint.root) == (10, root_of(leaves))


@pytest.mark.parametrize("index", [index for index in range(10) if index != 5])
def test_a_receipt_is_of_one_entry(
    receipt: Receipt, leaves: list[bytes], log_key: Verifier, index: int
) -> None:
    with pytest.raises(TreeError):
        receipt.verify(leaves[index], log_key)


def test_a_receipt_of_another_log_is_refused(
    notes_vector: dict[str, Any], receipt: Receipt, leaves: list[bytes]
) -> None:
    with pytest.raises(NoteError):
        receipt.verify(leaves[5], Verifier.parse(notes_vector["checkpoint"]["vkey"]))


def with_extra(receipt: Receipt, extra: bytes) -> str:
    return Receipt(receipt.index, receipt.proof, receipt.checkpoint, extra).text


def full(receipt: Receipt, rows: list[bytes]) -> str:
    """Return a full receipt; the opening stands in a small list of its own."""
    stored = nodes([leaf_hash(opening) for opening in OPENINGS])
    proof = inclusion_proof(3, len(OPENINGS), lambda _: stored)
    return with_extra(receipt, write_extra(rows[5], OPENINGS[3].decode(), proof))


def check_full(text: str, log: Verifier) -> None:
    """Check a full receipt as a person does who knows the list's root."""
    receipt = Receipt.parse(text)
    entry, opening, proof = read_extra(receipt.extra or b"")
    receipt.verify(bytes.fromhex(read_entry(entry).leaf), log)
    root = root_of([leaf_hash(opening) for opening in OPENINGS])
    verify_inclusion(leaf_hash(opening.encode()), 3, len(OPENINGS), proof, root)


def test_a_full_receipt_holds_entry_opening_and_proof(
    receipt: Receipt, rows: list[bytes], log_key: Verifier
) -> None:
    text = full(receipt, rows)

    check_full(text, log_key)

    entry, opening, proof = read_extra(Receipt.parse(text).extra or b"")
    assert (entry, opening, len(proof)) == (rows[5], OPENINGS[3].decode(), 3)
    assert Receipt.parse(text).text == text
    assert text.split("\n")[1].startswith("extra ")


@given(st.data())
def test_a_receipt_with_any_byte_flipped_is_refused_or_costs_the_witness(
    receipt: Receipt,
    leaves: list[bytes],
    log_key: Verifier,
    witness: Witness,
    data: st.DataObject,
) -> None:
    flipped = flip(receipt.text, data)

    try:
        found = Receipt.parse(flipped)
        checkpoint = found.verify(leaves[5], log_key, [witness.verifier])
    except RefusalError:
        return
    # Unknown signers are skipped: only the witness's line may have changed, into a stranger's.
    assert (found.index, found.proof, found.extra) == (5, receipt.proof, None)
    assert found.checkpoint.split("\n")[:5] == receipt.checkpoint.split("\n")[:5]
    assert checkpoint.size == 10


@given(st.data())
def test_a_site_receipt_with_any_byte_flipped_is_refused(
    log_vector: dict[str, Any],
    receipt: Receipt,
    leaves: list[bytes],
    log_key: Verifier,
    data: st.DataObject,
) -> None:
    plain = Receipt(5, receipt.proof, log_vector["checkpoints"]["10"])
    plain.verify(leaves[5], log_key)

    with pytest.raises(RefusalError):
        Receipt.parse(flip(plain.text, data)).verify(leaves[5], log_key)


@given(st.data())
def test_a_full_receipt_with_any_byte_flipped_is_refused(
    log_vector: dict[str, Any],
    receipt: Receipt,
    rows: list[bytes],
    log_key: Verifier,
    data: st.DataObject,
) -> None:
    plain = Receipt(5, receipt.proof, log_vector["checkpoints"]["10"])

    with pytest.raises(RefusalError):
        check_full(flip(full(plain, rows), data), log_key)


def flip(text: str, data: st.DataObject) -> str:
    raw = bytearray(text.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    return raw.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HEADER, "c2sp.org/tlog-proof@v2"),
        (HEADER, " " + HEADER),
        (HEADER + "\n", HEADER + "\r\n"),
        (HEADER + "\n", ""),
        (HEADER + "\n", HEADER + "\n\n"),
        ("index 5", "index 05"),
        ("index 5", "index -5"),
        ("index 5", "index 5 "),
        ("index 5", "index \u0665"),
        ("index 5", "index 10000000000000000"),
        ("index 5", "Index 5"),
        ("index 5\n", ""),
        ("index 5\n", "index 5\nindex 5\n"),
        ("index 5\n", "index 5\nextra AA==\n"),
        ("index 5\n", "extra AA==\nextra AA==\nindex 5\n"),
        ("index 5\n", "extra AA\nindex 5\n"),
        ("index 5\n", "extra AB==\nindex 5\n"),
        ("index 5\n", "extra\nindex 5\n"),
        ("\n\nrac", "\nrac"),
        ("\n\nrac", "\nAAAA\n\nrac"),
        ("\n\nrac", "\n\n\nrac"),
    ],
)
def test_a_receipt_spelled_otherwise_is_refused(
    receipt: Receipt, leaves: list[bytes], log_key: Verifier, old: str, new: str
) -> None:
    assert receipt.text.count(old) == 1

    with pytest.raises(NoteError):
        Receipt.parse(receipt.text.replace(old, new)).verify(leaves[5], log_key)


def test_a_receipt_of_its_header_alone_is_refused() -> None:
    with pytest.raises(NoteError, match="no whole number"):
        Receipt.parse(f"{HEADER}\n\n")


def test_a_proof_is_at_most_63_hashes_of_32_bytes(receipt: Receipt) -> None:
    line = base64.b64encode(bytes(32)).decode() + "\n"
    head, blank, note = receipt.text.partition("\n\n")

    assert len(Receipt.parse(head + "\n" + line * 59 + "\n" + note).proof) == 63
    with pytest.raises(NoteError, match="32-byte hashes"):
        Receipt.parse(head + "\n" + line * 60 + "\n" + note)
    assert blank


@pytest.mark.parametrize(
    "extra",
    [
        b"",
        b"[]",
        b"{}",
        b'{"entry":"","opening":"x"}',
        b'{"entry":"","opening":"x","proof":[],"slot":1}',
        b'{"entry":"","opening":1,"proof":[]}',
        b'{"entry":1,"opening":"x","proof":[]}',
        b'{"entry":"","opening":"x","proof":"x"}',
        b'{"entry":"","opening":"x","proof":[1]}',
        b'{"entry":"","opening":"x","proof":["00"]}',
        canon({"entry": "", "opening": "x", "proof": ["A" * 64]}),
        canon({"entry": "AA", "opening": "x", "proof": []}),
        canon({"entry": "AB==", "opening": "x", "proof": []}),
        b'{"entry":"", "opening":"x","proof":[]}',
        b'{"opening":"x","entry":"","proof":[]}',
        b"\xff",
    ],
)
def test_an_extra_spelled_otherwise_is_refused(extra: bytes) -> None:
    with pytest.raises(NoteError):
        read_extra(extra)


@given(
    st.binary(),
    st.text(st.characters(codec="ascii")),
    st.lists(st.binary(min_size=32, max_size=32)),
)
def test_an_extra_is_read_as_it_was_written(entry: bytes, opening: str, proof: list[bytes]) -> None:
    assert read_extra(write_extra(entry, opening, proof)) == (entry, opening, tuple(proof))


@given(st.text(), st.binary())
def test_whatever_comes_only_a_refusal_is_raised(text: str, data: bytes) -> None:
    for refused in (text, f"{HEADER}\n{text}", f"{HEADER}\nindex 1\n{text}\n"):
        with pytest.raises(RefusalError):
            Receipt.parse(refused).verify(bytes(32), Verifier("log", bytes(32)))
    with pytest.raises(NoteError):
        read_extra(data)
