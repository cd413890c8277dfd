"""A log that somebody has touched: which entry is named, and what can be known.

What can be known depends on what is at hand, so each attack is made three times:
- a checkpoint of every size: each entry is vouched for by itself, the first bad one is certain;
- one checkpoint, at the end: an edited entry no longer fits the `prev` of the next one, and the
  checkpoint says which of the two was changed; only the last entry has no next one, so that its
  edit looks like a log written anew from anywhere on;
- none: the chain alone. Of the last two entries it cannot tell which was changed, and the end of
  the log is nobody's word.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.errors import IntegrityError, LogFaultError, NoteError, SplitViewError
from alloc_service.log.entry import Entry, read_entry, write_entry
from alloc_service.log.note import Checkpoint, Signer, Verifier, Witness, sign_checkpoint
from alloc_service.log.verify import VerifiedLog, verify_log

SIZE = 10
ROWS = range(SIZE)


def rewrite(row: bytes, **changed: Any) -> bytes:
    """Write an entry anew with another actor, or other parts, validly spelled."""
    entry = read_entry(row)
    body = {**entry.body, "actor": {**entry.body["actor"], "id": "mallory"}}
    parts = {"seq": entry.seq, "prev": entry.prev, "time": entry.time, "type_": entry.type}
    return write_entry(**{**parts, "body": body, **changed}).data


def edited(rows: Sequence[bytes], *at: int) -> list[bytes]:
    """Edit rows in place, and nothing else."""
    return [rewrite(row) if seq in at else row for seq, row in enumerate(rows)]


def rechained(rows: Sequence[bytes], start: int, stop: int) -> list[bytes]:
    """Edit row `start`, and give each row after it, to before `stop`, the prev that then fits."""
    forged = [*rows[:start], rewrite(rows[start])]
    for row in rows[start + 1 : stop]:
        entry = read_entry(row)
        body, prev = dict(entry.body), leaf_hash(forged[-1]).hex()
        forged.append(rewrite(row, prev=prev, body=body))
    return [*forged, *rows[stop:]]


def sign(rows: Sequence[bytes], signer: Signer) -> str:
    leaves = [leaf_hash(row) for row in rows]
    return sign_checkpoint(Checkpoint(signer.name, len(rows), root_of(leaves)), signer)


@pytest.fixture(scope="session")
def every(log_vector: dict[str, Any]) -> list[str]:
    """Return a checkpoint of each size."""
    return list(log_vector["checkpoints"].values())


@pytest.fixture(scope="session")
def last(every: list[str]) -> list[str]:
    """Return the checkpoint of the whole log alone."""
    return every[-1:]


Fault = Callable[..., tuple[int, int]]


@pytest.fixture(scope="session")
def fault(log_key: Verifier) -> Fault:
    """Return a check that a log is refused; it gives the first entry named and the last."""

    def check(rows: Sequence[bytes], checkpoints: Sequence[str] = ()) -> tuple[int, int]:
        with pytest.raises(LogFaultError) as refusal:
            verify_log(rows, checkpoints, log_key)
        assert isinstance(refusal.value, IntegrityError)
        return refusal.value.facts["seq"], refusal.value.facts["last"]  # type: ignore[return-value]

    return check


def passes(rows: Sequence[bytes], log_key: Verifier, checkpoints: Sequence[str] = ()) -> bool:
    return verify_log(rows, checkpoints, log_key).size == len(rows)


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


# --- one row edited ------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS)
def test_an_edited_row_is_named_by_a_checkpoint_of_every_size(
    rows: list[bytes], every: list[str], fault: Fault, row: int
) -> None:
    assert fault(edited(rows, row), every) == (row, row)


@pytest.mark.parametrize("row", ROWS[:-1])
def test_an_edited_row_is_named_by_a_checkpoint_of_the_end(
    rows: list[bytes], last: list[str], fault: Fault, row: int
) -> None:
    assert fault(edited(rows, row), last) == (row, row)


def test_an_edit_of_the_last_row_is_found_by_a_checkpoint_of_the_end_but_not_placed(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault
) -> None:
    assert fault(edited(rows, 9), last) == (0, 9)
    assert fault(edited(rows, 9), [every[3], *last]) == (4, 9)
    assert fault(edited(rows, 9), every[-2:]) == (9, 9)


@pytest.mark.parametrize("row", ROWS[:-2])
def test_an_edited_row_is_named_by_the_chain_alone(
    rows: list[bytes], fault: Fault, row: int
) -> None:
    assert fault(edited(rows, row)) == (row, row)


def test_of_the_last_two_rows_the_chain_alone_cannot_tell_which_was_edited(
    rows: list[bytes], fault: Fault, log_key: Verifier
) -> None:
    assert fault(edited(rows, 8)) == (8, 9)
    assert passes(edited(rows, 9), log_key)


@pytest.mark.parametrize("row", ROWS[1:-1])
def test_a_row_with_an_edited_prev_is_named(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault, row: int
) -> None:
    forged = [*rows]
    forged[row] = rewrite(rows[row], prev="0" * 64)

    for checkpoints in ((), last, every):
        assert fault(forged, checkpoints) == (row, row)


def test_a_last_row_with_an_edited_prev_is_named_where_a_checkpoint_helps(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault
) -> None:
    forged = [*rows[:-1], rewrite(rows[-1], prev="0" * 64)]

    assert fault(forged, every) == (9, 9)
    assert fault(forged, last) == (9, 9)
    assert fault(forged) == (8, 9)


def test_a_first_row_that_follows_something_is_named(rows: list[bytes], fault: Fault) -> None:
    assert fault([rewrite(rows[0], prev="0" * 64), *rows[1:]]) == (0, 0)


def test_a_later_row_that_follows_nothing_is_named(rows: list[bytes], fault: Fault) -> None:
    assert fault([*rows[:4], rewrite(rows[4], prev=""), *rows[5:]]) == (4, 4)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_cannot_be_read_is_named(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault, row: int
) -> None:
    for broken in (b"", rows[row] + b" ", rows[row].replace(b"rac-log/1", b"rac-log/2")):
        for checkpoints in ((), last, every):
            assert fault([*rows[:row], broken, *rows[row + 1 :]], checkpoints) == (row, row)


def test_a_row_that_breaks_a_rule_is_named_with_the_rule(
    rows: list[bytes], log_key: Verifier
) -> None:
    skipped = {**read_entry(rows[9]).body, "slot": 3}

    with pytest.raises(LogFaultError, match=r"from entry 9: it is not the stratum's next slot"):
        verify_log([*rows[:9], rewrite(rows[9], body=skipped)], (), log_key)


@given(st.data())
def test_a_row_with_any_byte_flipped_is_named(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault, data: st.DataObject
) -> None:
    row = data.draw(st.sampled_from(ROWS))
    raw = bytearray(rows[row])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    forged = [*rows[:row], bytes(raw), *rows[row + 1 :]]

    assert fault(forged, every) == (row, row)
    first, end = fault(forged, last)
    assert first <= row <= end
    if row < 9:
        assert first == end
    if row < 8:
        assert fault(forged) == (row, row)


# --- rows dropped, doubled, out of order, cut off ------------------------------------------------


@pytest.mark.parametrize("row", ROWS[:-1])
def test_a_dropped_row_is_named(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault, row: int
) -> None:
    for checkpoints in ((), last, every):
        assert fault([*rows[:row], *rows[row + 1 :]], checkpoints) == (row, row)


@pytest.mark.parametrize("row", ROWS)
def test_the_place_of_a_doubled_row_is_named(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault, row: int
) -> None:
    for checkpoints in ((), last, every):
        assert fault([*rows[: row + 1], *rows[row:]], checkpoints) == (row + 1, row + 1)


@pytest.mark.parametrize("row", ROWS[:-1])
def test_the_first_of_two_swapped_rows_is_named(
    rows: list[bytes], every: list[str], last: list[str], fault: Fault, row: int
) -> None:
    swapped = [*rows[:row], rows[row + 1], rows[row], *rows[row + 2 :]]

    for checkpoints in ((), last, every):
        assert fault(swapped, checkpoints) == (row, row)


@pytest.mark.parametrize("size", ROWS[1:])
def test_the_first_row_that_was_cut_off_is_named_where_a_checkpoint_vouches_for_it(
    *,
    rows: list[bytes],
    every: list[str],
    last: list[str],
    fault: Fault,
    log_key: Verifier,
    size: int,
) -> None:
    assert fault(rows[:size], every) == (size, 9)
    assert fault(rows[:size], last) == (size, 9)
    assert fault(rows[:size], every[: size + 1]) == (size, size)
    assert passes(rows[:size], log_key)


def test_a_log_without_entries_is_refused(every: list[str], fault: Fault) -> None:
    assert fault([]) == (0, 0)
    assert fault([], every) == (0, 9)


# --- more than one row -------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS)
def test_a_log_written_anew_from_a_row_on_shows_by_checkpoints_alone(
    *,
    rows: list[bytes],
    every: list[str],
    last: list[str],
    fault: Fault,
    log_key: Verifier,
    row: int,
) -> None:
    forged = rechained(rows, row, SIZE)

    assert fault(forged, every) == (row, row)
    assert fault(forged, last) == (0, 9)
    assert fault(forged, [every[row], *last]) == (0, row)
    assert passes(forged, log_key)


def test_two_edited_neighbours_are_told_apart_by_a_checkpoint_right_after_them(
    rows: list[bytes], every: list[str], fault: Fault
) -> None:
    forged = edited(rows, 4, 5)

    assert fault(forged, [every[5]]) == (4, 4)
    assert fault(forged, every[-1:]) == (5, 5)  # the shorter story: entry 5 alone was replaced


def test_a_replaced_row_is_proven_by_a_checkpoint_right_after_it(
    rows: list[bytes], every: list[str], fault: Fault
) -> None:
    forged = [*rows[:5], rewrite(rows[5], prev="0" * 64), *rows[6:]]

    assert fault(forged, [every[5]]) == (5, 5)
    assert fault(forged, [every[4]]) == (5, 5)


def test_a_row_edited_before_a_checkpoint_is_proven_by_the_row_after_it(
    rows: list[bytes], every: list[str], fault: Fault
) -> None:
    assert fault(edited(rows, 5), [every[2], every[5]]) == (5, 5)
    assert fault(edited(rows, 3, 5), [every[2], every[5]]) == (3, 3)


def test_a_stretch_written_anew_is_placed_between_two_checkpoints(
    rows: list[bytes], every: list[str], fault: Fault
) -> None:
    forged = rechained(rows, 4, 7)

    assert fault(forged) == (6, 6)  # where the chain breaks: nothing else shows
    assert fault(forged, [every[2], every[7]]) == (3, 7)
    assert fault(forged, [every[2], every[6]]) == (3, 6)


def test_what_follows_a_fault_may_be_broken_too(
    rows: list[bytes], every: list[str], fault: Fault
) -> None:
    broken = edited(rows, 4)

    assert fault([*broken[:6], b"{", *rows[7:]]) == (4, 5)
    assert fault([*broken[:6], *rows[7:]]) == (4, 5)
    assert fault([*broken[:5], b"{", *rows[6:]], [every[2], every[4]]) == (3, 4)


# --- checkpoints -------------------------------------------------------------------------------


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

    with pytest.raises(LogFaultError, match=r"from entry 0: .*EXAMPLE-02.*OTHER"):
        verify_log(rows, (), key)
    assert passes(rows, Verifier.parse(notes_vector["checkpoint"]["vkey"]))


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
    assert [entry.seq for entry in seen] == list(ROWS)
