"""A log whose key was changed: the old key vouches for the new one, and nobody else can."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import (
    LogFaultError,
    NoteError,
    RuleError,
    SplitViewError,
    UnknownSignerError,
)
from alloc_service.log.note import Checkpoint, Signer, Verifier, Witness, sign_checkpoint
from alloc_service.log.verify import verify_log
from tests.support.chain import ADMINISTRATOR, ORIGIN, Chain
from tests.support.forgery import rechained


def signer(label: str, origin: str = ORIGIN) -> Signer:
    digest = hashlib.sha256(label.encode()).digest()
    return Signer(origin, Ed25519PrivateKey.from_private_bytes(digest))


OLD, NEW, THIRD = signer("old"), signer("new"), signer("third")
FIRST = OLD.verifier


def rotated(*vkeys: str) -> list[bytes]:
    """Return a log of ten entries whose key changes at entry 3, and again after it."""
    chain = Chain().create()
    chain.add("key.created", by=ADMINISTRATOR, vkey=FIRST.vkey)
    chain.add("site.activated", site="S1")
    for vkey in vkeys or (NEW.verifier.vkey,):
        chain.add("key.rotated", by=ADMINISTRATOR, vkey=vkey)
    while len(chain.entries) < 10:
        chain.add("site.activated", site=f"T{len(chain.entries)}")
    return [entry.data for entry in chain.entries]


ROWS = rotated()


def signed(size: int, *signers: Signer, rows: list[bytes] = ROWS) -> str:
    root = root_of([leaf_hash(row) for row in rows[:size]])
    first, *more = [sign_checkpoint(Checkpoint(ORIGIN, size, root), one) for one in signers]
    return first + "".join(note.partition("\n\n")[2] for note in more)


def test_the_new_keys_checkpoints_are_good_after_the_old_key_vouched_for_it() -> None:
    notes = [signed(2, OLD), signed(4, OLD, NEW), signed(7, NEW), signed(10, NEW)]

    for given in (notes, notes[::-1]):
        found = verify_log(ROWS, given, FIRST)
        assert found.log_keys == (FIRST, NEW.verifier)
        assert found.checkpoints_checked == 4
        assert set(found.cosigners) == {2, 4, 7, 10}
        assert len(found.unchecked) == 1


def test_who_knows_the_new_key_alone_checks_what_it_signed() -> None:
    assert verify_log(ROWS, [signed(4, OLD, NEW), signed(10, NEW)], NEW.verifier).size == 10


def test_an_older_keys_checkpoints_are_told_of_and_those_after_the_change_are_refused() -> None:
    earlier = [signed(2, OLD), signed(4, OLD)]

    found = verify_log(ROWS, [*earlier, signed(10, NEW)], NEW.verifier)

    assert found.checkpoints_checked == 1
    assert found.unchecked[0].startswith(
        "Checkpoints of an older key than the one that was given, not opened: 2."
    )
    with pytest.raises(UnknownSignerError):
        verify_log(ROWS, [signed(5, OLD), signed(10, NEW)], NEW.verifier)
    with pytest.raises(NoteError, match="not of"):
        verify_log(ROWS, [signed(2, OLD).replace("\n", "x\n", 1)], NEW.verifier)


@pytest.mark.parametrize("vouched", [[], [1], [2, 3]])
def test_a_new_key_for_which_the_old_one_does_not_vouch_is_not_trusted(vouched: list[int]) -> None:
    notes = [signed(size, OLD) for size in vouched]

    with pytest.raises(UnknownSignerError, match="no trusted key"):
        verify_log(ROWS, [*notes, signed(7, NEW)], FIRST)
    assert verify_log(ROWS, notes, FIRST).log_keys == (FIRST,)


def test_a_key_that_no_entry_names_is_not_trusted() -> None:
    with pytest.raises(UnknownSignerError):
        verify_log(ROWS, [signed(10, OLD), signed(10, THIRD)], FIRST)


def test_a_key_may_change_twice_and_each_vouches_for_the_next() -> None:
    rows = rotated(NEW.verifier.vkey, THIRD.verifier.vkey)
    chained = [
        signed(4, OLD, rows=rows), signed(5, NEW, rows=rows), signed(10, THIRD, rows=rows),
    ]  # fmt: skip

    assert verify_log(rows, chained, FIRST).log_keys == (FIRST, NEW.verifier, THIRD.verifier)
    with pytest.raises(UnknownSignerError):
        verify_log(rows, [signed(4, OLD, rows=rows), signed(10, THIRD, rows=rows)], FIRST)


def test_a_checkpoint_of_the_new_key_that_comes_before_its_voucher_is_compared_too() -> None:
    assert verify_log(ROWS, [signed(3, NEW), signed(4, OLD)], FIRST).checkpoints_checked == 2
    forged = rechained(ROWS, 2, 10)
    with pytest.raises(SplitViewError):
        verify_log(ROWS, [signed(3, NEW, rows=forged), signed(4, OLD)], FIRST)


@pytest.mark.parametrize("size", [5, 9, 10])
def test_the_old_key_signs_nothing_after_the_change(size: int) -> None:
    for notes in ([signed(size, OLD)], [signed(4, OLD, NEW), signed(size, OLD), signed(10, NEW)]):
        with pytest.raises(UnknownSignerError, match="was replaced by entry 3"):
            verify_log(ROWS, notes, FIRST)
    both = [signed(4, OLD, NEW), signed(size, OLD, NEW)]
    assert verify_log(ROWS, both, FIRST).log_keys == (FIRST, NEW.verifier)


def test_a_checkpoint_of_the_new_key_of_another_history_is_refused() -> None:
    forged = rechained(ROWS, 6, 10)

    with pytest.raises(LogFaultError, match="from entry 4"):
        verify_log(ROWS, [signed(4, OLD), signed(10, NEW, rows=forged)], FIRST)
    with pytest.raises(LogFaultError, match="missing"):
        verify_log(ROWS[:6], [signed(4, OLD), signed(10, NEW)], FIRST)


def test_a_bad_signature_of_the_new_key_is_refused_once_it_is_known() -> None:
    bad = signed(7, NEW).replace("\n7\n", "\n8\n")

    with pytest.raises(NoteError, match="signature"):
        verify_log(ROWS, [signed(4, OLD), bad], FIRST)


@pytest.mark.parametrize(
    "vkey",
    [
        Verifier("rac.example.org/OTHER/audit", NEW.verifier.public).vkey,
        Witness(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier.vkey,
        f"{ORIGIN}+00000000+{NEW.verifier.vkey[-44:]}",
    ],
)
def test_a_key_of_another_log_or_kind_or_id_cannot_be_named(vkey: str) -> None:
    with pytest.raises(RuleError, match=r"key\.rotated"):
        rotated(vkey)


def test_keys_are_ignored_where_none_was_given() -> None:
    assert verify_log(ROWS).log_keys == ()
