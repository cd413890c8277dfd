"""A log that somebody has touched: which entry is named, and what can be known.

What can be known depends on what is at hand, so each attack is made three times:
- a checkpoint of every size: each entry is vouched for by itself, the first bad one is certain;
- one checkpoint, at the end: an edited entry no longer fits the `prev` of the next one, and the
  checkpoint says which of the two was changed; only the last entry has no next one, so that its
  edit looks like a log written anew from anywhere on;
- none: the chain alone. Of the last two entries it cannot tell which was changed, and the end of
  the log is nobody's word.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import LogFaultError
from alloc_service.log.entry import read_entry
from alloc_service.log.note import Verifier
from alloc_service.log.verify import verify_log
from tests.support.forgery import Fault, edited, rechained, rewrite

SIZE = 10
ROWS = range(SIZE)


def passes(rows: Sequence[bytes], log_key: Verifier, checkpoints: Sequence[str] = ()) -> bool:
    return verify_log(rows, checkpoints, log_key).size == len(rows)


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


def test_a_row_that_a_checkpoint_vouches_for_is_not_blamed_for_the_next(
    rows: list[bytes], every: list[str], fault: Fault
) -> None:
    torn = [*rows[:5], rewrite(rows[5], prev="0" * 64), *rows[6:]]
    follower = rewrite(rows[6], prev=read_entry(torn[5]).leaf)
    forged = [*torn[:6], follower, *rows[7:]]

    assert fault(forged) == (4, 4)  # the shorter story: entry 4 alone was changed
    assert fault(forged, [every[4]]) == (5, 5)


def test_what_follows_a_fault_may_be_broken_too(
    rows: list[bytes], every: list[str], fault: Fault
) -> None:
    broken = edited(rows, 4)

    assert fault([*broken[:6], b"{", *rows[7:]]) == (4, 5)
    assert fault([*broken[:6], *rows[7:]]) == (4, 5)
    assert fault([*broken[:5], b"{", *rows[6:]], [every[2], every[4]]) == (3, 4)
