"""A receipt checked from its text alone: good ones, and every one that is a byte off."""

import base64
from collections.abc import Callable
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.core.canon import canon
from alloc_service.errors import ListFileError, NoteError, RefusalError, TreeError
from alloc_service.log.note import Verifier, Witness
from alloc_service.log.receipt import ListRoot, Receipt, check_receipt, read_extra, write_extra
from alloc_service.services import proofs, receipts
from tests.support.installation import Installation

WITNESS = Witness("dmc.example.org/witness", Ed25519PrivateKey.from_private_bytes(bytes(32)))
STRANGER = Witness("other.example.org/witness", Ed25519PrivateKey.from_private_bytes(b"s" * 32))

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture
def key(active: Installation) -> Verifier:
    return active.deps.sealer.log_key(active.origin)


@pytest.fixture
def site(active: Installation) -> str:
    return active.allocate().receipt


@pytest.fixture
def full(active: Installation) -> str:
    active.allocate("P-001")
    allocation = active.allocate("P-002")
    return receipts.read_full(active.deps, active.people["dmc"], allocation.enrolment).text


def cosigned(text: str) -> str:
    """Return a receipt whose checkpoint the witness has cosigned too."""
    body = Receipt.parse(text).checkpoint.partition("\n\n")[0] + "\n"
    return text + WITNESS.cosign(body, 1_700_000_000)


def root_of(installation: Installation) -> ListRoot:
    """Return root and slots of list 1, as the log says them."""
    sealed = installation.state().lists[1]
    return ListRoot(bytes.fromhex(sealed.root), sealed.slots)


def altered(text: str) -> list[str]:
    """Return a text with each of its bytes changed, cut short anywhere, and made longer."""
    raw = text.encode()
    changed = [
        raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]
        for at in range(len(raw))
        for bit in (0x01, 0x20, 0x80)
    ]
    changed += [raw[:at] for at in range(len(raw))]
    changed += [raw[:at] + raw[at : at + 1] + raw[at:] for at in range(len(raw))]
    changed += [b"\xef\xbb\xbf" + raw, raw + b"\n", raw + b" ", raw.replace(b"\n", b"\r\n")]
    return [item.decode("utf-8", "surrogateescape") for item in changed if item != raw]


def test_a_sites_receipt_needs_nothing_beside_it(
    active: Installation, site: str, key: Verifier
) -> None:
    found = check_receipt(site, key)

    (entry,) = active.entries("slot.assigned")
    assert (found.origin, found.index, found.leaf.hex()) == (active.origin, entry.seq, entry.leaf)
    assert (found.size, found.entry, found.opening) == (entry.seq + 1, None, None)
    assert "what it says" in found.unchecked[0]
    assert check_receipt(site, key, leaf=bytes.fromhex(entry.leaf)) == found


@pytest.mark.parametrize("which", ["site", "full", "cosigned"])
def test_a_receipt_that_is_altered_in_any_byte_is_refused(
    active: Installation, which: str, request: pytest.FixtureRequest, key: Verifier
) -> None:
    text = request.getfixturevalue("full" if which == "full" else "site")
    witnesses = [WITNESS.verifier] if which == "cosigned" else []
    text, sealed = cosigned(text) if which == "cosigned" else text, root_of(active)
    check_receipt(text, key, witnesses, sealed=sealed)

    for bad in altered(text):
        with pytest.raises(RefusalError):
            check_receipt(bad, key, witnesses, sealed=sealed)


def test_a_witness_that_was_named_must_have_cosigned_it(site: str, key: Verifier) -> None:
    found = check_receipt(cosigned(site), key, [WITNESS.verifier])
    assert found.cosigners == (WITNESS.name,)
    assert not any("witness" in sentence for sentence in found.unchecked)

    with pytest.raises(NoteError, match=r"other\.example\.org/witness has not cosigned it"):
        check_receipt(cosigned(site), key, [WITNESS.verifier, STRANGER.verifier])


def test_a_receipt_of_another_log_or_of_another_entry_is_refused(
    active: Installation, site: str, key: Verifier
) -> None:
    other = Verifier(key.name, STRANGER.verifier.public)
    with pytest.raises(NoteError, match="no known key"):
        check_receipt(site, other)
    with pytest.raises(NoteError, match="another entry than the leaf hash"):
        check_receipt(site, key, leaf=bytes(32))
    elsewhere = Receipt.parse(site)
    leaf = bytes.fromhex(active.entries()[0].leaf)
    moved = Receipt(elsewhere.index, elsewhere.proof, elsewhere.checkpoint, leaf)
    with pytest.raises(TreeError):
        check_receipt(moved.text, key)


def test_a_receipt_without_a_leaf_takes_the_one_kept_beside_it(site: str, key: Verifier) -> None:
    whole = Receipt.parse(site)
    bare = Receipt(whole.index, whole.proof, whole.checkpoint).text

    with pytest.raises(NoteError, match="give the one kept beside it"):
        check_receipt(bare, key)
    assert whole.extra is not None
    assert check_receipt(bare, key, leaf=whole.extra).leaf == whole.extra


def test_a_full_receipt_is_good_under_its_lists_root_alone(
    active: Installation, full: str, key: Verifier
) -> None:
    with pytest.raises(NoteError, match="give root and slots of list 1"):
        check_receipt(full, key)
    good = root_of(active)
    for bad in (ListRoot(bytes(32), good.slots), ListRoot(good.root, (64, 64))):
        with pytest.raises(TreeError):
            check_receipt(full, key, sealed=bad)
    with pytest.raises(ListFileError, match="no such slot"):
        check_receipt(full, key, sealed=ListRoot(good.root, (1,)))


def refill(full: str, change: Callable[[bytes, str, tuple[bytes, ...]], bytes]) -> str:
    whole = Receipt.parse(full)
    extra = change(*read_extra(whole.extra or b""))
    return Receipt(whole.index, whole.proof, whole.checkpoint, extra).text


def test_a_full_receipt_with_another_entry_or_opening_is_refused(
    active: Installation, full: str, key: Verifier
) -> None:
    first, second = active.entries("slot.assigned")
    dmc, enrolment = active.people["dmc"], UUID(first.body["enrolment"])
    other = read_extra(receipts.read_full(active.deps, dmc, enrolment).extra or b"")[1]
    sealed = root_of(active)
    cases = {
        "the opening is another slot's": lambda entry, _o, proof: write_extra(entry, other, proof),
        "no opening": lambda entry, _o, proof: write_extra(entry, "rac-slot/1|x", proof),
        "another entry": lambda _e, opening, proof: write_extra(first.data, opening, proof),
        "no entry": lambda _e, opening, proof: write_extra(b"{}", opening, proof),
        "no assignment": lambda _e, opening, proof: write_extra(
            active.entries()[0].data, opening, proof
        ),
        "another proof": lambda entry, opening, proof: write_extra(entry, opening, proof[:-1]),
        "another key": lambda entry, opening, _p: canon(
            {"entry": base64.b64encode(entry).decode(), "opening": opening, "more": []}
        ),
    }
    for change in cases.values():
        with pytest.raises(RefusalError):
            check_receipt(refill(full, change), key, sealed=sealed)
    assert second.seq == Receipt.parse(full).index


def test_the_full_receipt_of_another_entry_than_an_assignment_is_refused(
    active: Installation, full: str, key: Verifier
) -> None:
    _entry, opening, proof = read_extra(Receipt.parse(full).extra or b"")
    text = proofs.prove_entry(active.deps, active.trial, 0)
    begun = Receipt.parse(text)
    extra = write_extra(active.entries()[0].data, opening, proof)

    with pytest.raises(NoteError, match=r"not the slot\.assigned of seq 0"):
        check_receipt(Receipt(0, begun.proof, begun.checkpoint, extra).text, key)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: "\ufeff" + text, "line 1: it begins with a byte order mark"),
        (lambda text: text.replace("\n", "\r\n"), "line 1: it ends in CR LF"),
        (lambda text: text.replace("\nindex", "\r\nindex"), "line 2: it ends in CR LF"),
        (lambda text: text.replace("index", "ind\0ex"), "line 3: it holds a control character"),
        (lambda text: text + "x", "it ends without a line end"),
        (lambda text: text + "x\n", "a signature line is spelled"),
        (lambda text: "x" + text, "line 1: a receipt begins with"),
    ],
)
def test_a_receipt_in_another_spelling_is_refused_with_its_line(
    site: str, key: Verifier, spoil: Callable[[str], str], told: str
) -> None:
    with pytest.raises(NoteError, match=told):
        check_receipt(spoil(site), key)
