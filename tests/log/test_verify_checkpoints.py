"""What a verification finds whole, what it says was not there, and checkpoints that do not fit."""

from typing import Any

import pytest

from alloc_service.errors import LogFaultError, NoteError, SplitViewError
from alloc_service.log.entry import Entry, read_entry
from alloc_service.log.note import Signer, Verifier, Witness
from alloc_service.log.verify import VerifiedLog, verify_log
from tests.support.forgery import Fault, edited, rechained, sign

SIZE = 10


def test_the_log_of_the_vector_is_whole(
    log_vector: dict[str, Any],
    rows: list[bytes],
    every: list[str],
    log_key: Verifier,
    witness: Witness,
) -> None:
    notes = [*reversed(every), log_vector["cosigned"]]

    found = verify_log(iter(rows), iter(notes), log_key, [witness.verifier])

    assert isinstance(found, VerifiedLog)
    assert (found.size, found.root.hex()) == (10, log_vector["roots"]["10"])
    assert found.origin == log_vector["origin"]
    assert found.state.last == log_vector["leaves"][-1]
    assert (found.checkpoints_checked, found.unchecked) == (11, ())


def test_what_was_not_there_to_check_is_said(
    rows: list[bytes], every: list[str], last: list[str], log_key: Verifier, witness: Witness
) -> None:
    nothing = verify_log(rows).unchecked
    no_end = verify_log(rows, every[:7], log_key, [witness.verifier]).unchecked
    no_witness = verify_log(rows, last, log_key).unchecked

    assert [text.split(":")[0] for text in nothing] == [
        "No key of the log was given",
        "No checkpoint was given",
        "No witness's key was given",
    ]
    assert [text.split(":")[0] for text in no_end] == [
        "No checkpoint covers the entries from 7 on",
        f"No checkpoint that {witness.name} has cosigned covers the entries from 0 on.",
    ]
    assert [text.split(":")[0] for text in no_witness] == ["No witness's key was given"]


def test_a_witness_vouches_up_to_its_last_cosignature(
    rows: list[bytes], every: list[str], log_key: Verifier, witness: Witness
) -> None:
    notes = [
        note + witness.cosign(note.partition("\n\n")[0] + "\n", 1_767_344_400 + size)
        if size in {2, 4}
        else note
        for size, note in enumerate(every)
    ]

    for given_notes in (notes, notes[::-1]):
        (sentence,) = verify_log(rows, given_notes, log_key, [witness.verifier]).unchecked
        assert sentence.endswith("covers the entries from 5 on.")


def test_two_signed_roots_of_one_size_are_a_split_view(
    rows: list[bytes], every: list[str], log_signer: Signer, log_key: Verifier
) -> None:
    other = sign(rechained(rows, 5, SIZE)[:7], log_signer)

    for notes in ([every[6], other], [other, every[6]], [every[2], other, every[6], *every[8:]]):
        with pytest.raises(SplitViewError, match="Two histories") as refusal:
            verify_log(rows, notes, log_key)
        assert refusal.value.facts["size"] == 7
        assert refusal.value.facts["seq"] == (3 if len(notes) > 2 else 0)
        assert refusal.value.facts["last"] == 6
    with pytest.raises(SplitViewError):
        verify_log(rows[:5], [every[6], other], log_key)


def test_a_checkpoint_of_another_history_is_refused(
    rows: list[bytes], every: list[str], log_signer: Signer, fault: Fault
) -> None:
    forged = rechained(rows, 5, SIZE)

    assert fault(rows, [sign(forged[:6], log_signer)]) == (0, 5)
    assert fault(rows, [*every[:5], sign(forged[:6], log_signer)]) == (5, 5)


def test_a_checkpoint_that_the_log_has_not_signed_is_refused(
    notes_vector: dict[str, Any], rows: list[bytes], every: list[str], log_key: Verifier
) -> None:
    unsigned = every[0].replace("\n1\n", "\n2\n")

    for note in (unsigned, notes_vector["checkpoint"]["good"], "", every[0][:-1]):
        with pytest.raises(NoteError):
            verify_log(rows, [*every, note], log_key)


def test_a_checkpoint_is_not_taken_without_a_key(rows: list[bytes], every: list[str]) -> None:
    with pytest.raises(NoteError, match="public key"):
        verify_log(rows, every)


def test_the_log_of_another_trial_is_refused_for_its_origin(
    notes_vector: dict[str, Any], rows: list[bytes]
) -> None:
    key = Verifier("rac.example.org/OTHER/audit", bytes(32))

    for some in (rows, rows[:1]):
        with pytest.raises(LogFaultError, match=r"from entry 0: .*EXAMPLE-02.*OTHER") as refusal:
            verify_log(some, (), key)
        assert refusal.value.facts["last"] == 0
    same_name = Verifier.parse(notes_vector["checkpoint"]["vkey"])
    assert verify_log(rows, (), same_name).size == SIZE


def test_an_entry_right_after_a_good_checkpoint_is_named_as_changed(
    rows: list[bytes], every: list[str], log_key: Verifier
) -> None:
    with pytest.raises(LogFaultError, match=r"from entry 4: it was changed"):
        verify_log(edited(rows, 4), every, log_key)


def test_a_fault_says_what_to_do(rows: list[bytes]) -> None:
    with pytest.raises(LogFaultError) as refusal:
        verify_log(edited(rows, 3))

    assert "from entry 3: it was changed" in str(refusal.value)
    assert "sealer's anchor" in str(refusal.value)
    assert refusal.value.__cause__ is not None


def test_entries_are_read_once_and_one_at_a_time(rows: list[bytes]) -> None:
    seen: list[Entry] = []

    def stream() -> Any:
        for row in rows:
            seen.append(read_entry(row))
            yield row

    assert verify_log(stream()).size == SIZE
    assert [entry.seq for entry in seen] == list(range(SIZE))
