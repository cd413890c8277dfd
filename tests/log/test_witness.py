"""What a witness answers, by the protocol alone: which request it cosigns, and which it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.merkle import root_of
from alloc_service.errors import (
    NoteError,
    RefusalError,
    WitnessConflictError,
    WitnessFolderError,
    WitnessOriginError,
    WitnessProofError,
    WitnessRequestError,
    WitnessSignatureError,
)
from alloc_service.log.note import Verifier, Witness, encode_base64, open_cosigned
from alloc_service.log.witness import (
    LONGEST_REQUEST,
    NOTHING_SEEN,
    AddCheckpoint,
    Seen,
    answer_refusal,
    judge,
    keep_cosigned,
)
from tests.support.witnesses import ORIGIN, GrowingLog, sign_key

LOG = GrowingLog()
OTHER_HISTORY = GrowingLog(history="two")
KNOWN = LOG.request(3, 7)


VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "notes.json").read_text("utf-8"))


def seen(size: int, log: GrowingLog = LOG) -> Seen:
    return Seen(size, root_of(log.leaves(size))) if size else NOTHING_SEEN


@given(sizes=st.tuples(st.integers(0, 40), st.integers(1, 40)).map(sorted))
def test_a_log_that_only_grew_is_cosigned_from_every_size_to_every_size(sizes: list[int]) -> None:
    old, size = sizes[0], max(sizes[1], 1)
    request = AddCheckpoint.parse(LOG.request(old, size).data)

    checkpoint = judge(request, LOG.key, seen(old))

    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, size)
    assert checkpoint.root == root_of(LOG.leaves(size))


def test_a_request_has_the_spelling_of_the_specification() -> None:
    lines = KNOWN.data.decode().split("\n")

    assert lines[0] == "old 3"
    assert lines[1:-7] == [encode_base64(value) for value in KNOWN.proof]
    assert lines[-7:-4] == ["", ORIGIN, "7"]
    assert AddCheckpoint.parse(KNOWN.data) == KNOWN
    assert LOG.request(0, 7).data.startswith(b"old 0\n\nrac.example.org/")


@given(at=st.integers(0, len(KNOWN.data) - 1), byte=st.integers(0, 255))
def test_no_changed_byte_is_accepted(at: int, byte: int) -> None:
    data = bytearray(KNOWN.data)
    data[at] ^= byte or 1

    with pytest.raises(
        (WitnessRequestError, WitnessSignatureError, WitnessConflictError, WitnessProofError)
    ):
        judge(AddCheckpoint.parse(bytes(data)), LOG.key, seen(3))


@given(data=st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_anything_at_all_is_refused_and_crashes_nothing(data: bytes) -> None:
    with pytest.raises(WitnessRequestError):
        AddCheckpoint.parse(data)


@given(cut=st.integers(0, len(KNOWN.data) - 1))
def test_a_request_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(WitnessRequestError):
        AddCheckpoint.parse(KNOWN.data[:cut])


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"old 3\r\n\n" + LOG.note(7).encode(), "line 1: it ends in CR LF"),
        (b"old 03\n\n" + LOG.note(7).encode(), "line 1: it must be"),
        (b"old -1\n\n" + LOG.note(7).encode(), "line 1: it must be"),
        (b"old \n\n" + LOG.note(7).encode(), "line 1: it must be"),
        (b"old 8\n\n" + LOG.note(7).encode(), "larger than the checkpoint's"),
        (b"old 3\nAAAA\n\n" + LOG.note(7).encode(), "not 32 bytes"),
        (b"old 3\n%%%%\n\n" + LOG.note(7).encode(), "not base64"),
        (b"old 3\n" + b"A" * 43 + b"=\n" * 1 + b"\n" + b"x", "from line 4 on: line 1: it ends"),
        (b"old 3\n" + (b"A" * 43 + b"=\n") * 64 + b"\n" + LOG.note(7).encode(), "63 lines"),
        (b"old 3\n\n\xff", "UTF-8"),
        (b"old 3\n\n" + b"x" * LONGEST_REQUEST, "longer than"),
        (LOG.request(0, 7).data.replace(b"\n7\n", b"\n0\n"), "no whole number from 1"),
        (LOG.request(0, 7).data.replace(b"\n7\n", b"\n7\nextension\n"), "no extension"),
    ],
)
def test_a_malformed_request_is_refused_with_its_rule(data: bytes, rule: str) -> None:
    with pytest.raises(WitnessRequestError, match=rule):
        AddCheckpoint.parse(data)


def test_a_checkpoint_that_another_key_signed_is_refused() -> None:
    for forger in (GrowingLog(label="forger"), GrowingLog(origin=f"{ORIGIN}x")):
        with pytest.raises(WitnessSignatureError):
            judge(forger.request(0, 5), LOG.key, NOTHING_SEEN)


@pytest.mark.parametrize("old", [0, 2, 4, 7])
def test_a_request_from_another_size_than_was_seen_is_a_conflict(old: int) -> None:
    with pytest.raises(WitnessConflictError) as refusal:
        judge(LOG.request(old, 7), LOG.key, seen(3))

    assert answer_refusal(refusal.value) == (409, "text/x.tlog.size", "3\n")


def test_the_same_size_again_is_cosigned_where_the_root_is_the_same() -> None:
    assert judge(LOG.request(7, 7), LOG.key, seen(7)).size == 7
    with pytest.raises(WitnessConflictError):
        judge(OTHER_HISTORY.request(7, 7), LOG.key, seen(7))
    with pytest.raises(WitnessProofError):
        judge(replace(LOG.request(7, 7), proof=KNOWN.proof), LOG.key, seen(7))


@given(old=st.integers(1, 20), more=st.integers(1, 20))
def test_a_second_history_is_never_cosigned(old: int, more: int) -> None:
    for proof in (OTHER_HISTORY.proof(old, old + more), LOG.proof(old, old + more)):
        request = replace(OTHER_HISTORY.request(old, old + more), proof=proof)
        with pytest.raises(WitnessProofError):
            judge(request, LOG.key, seen(old))


def test_a_proof_from_nothing_must_be_empty() -> None:
    with pytest.raises(WitnessProofError, match="must be empty"):
        judge(replace(LOG.request(0, 7), proof=KNOWN.proof), LOG.key, NOTHING_SEEN)


def test_the_note_that_is_kept_has_the_logs_signature_and_the_witnesss_alone() -> None:
    witness = Witness("w.example.org/1", sign_key("witness"))
    stranger = Witness("w.example.org/2", sign_key("stranger"))
    note = LOG.note(7)
    line = witness.cosign(KNOWN.checkpoint.text, 1_700_000_000)
    crowded = note + stranger.cosign(KNOWN.checkpoint.text, 1)

    kept = keep_cosigned(crowded, LOG.key, line)

    assert kept == note + line
    assert open_cosigned(kept, LOG.key, [witness.verifier, stranger.verifier])[1] == (witness.name,)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (WitnessRequestError(rule="x"), 400),
        (WitnessSignatureError(rule="x"), 403),
        (WitnessOriginError(origin="x"), 404),
        (WitnessProofError(rule="x"), 422),
        (WitnessFolderError(path="x", rule="x", remedy="x"), 503),
        (NoteError(rule="x"), 503),
    ],
)
def test_each_refusal_has_its_status(error: RefusalError, status: int) -> None:
    answer = answer_refusal(error)

    assert (answer.status, answer.media) == (status, "text/plain; charset=utf-8")
    assert answer.body == f"{error}\n"


# --- the published vectors --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["good", "good_with_unknown_signer"])
def test_the_checkpoint_of_the_vectors_is_cosigned(name: str) -> None:
    known = VECTOR["checkpoint"]
    request = AddCheckpoint.parse(b"old 0\n\n" + known[name].encode())

    checkpoint = judge(request, Verifier.parse(known["vkey"]), NOTHING_SEEN)

    assert checkpoint.origin == known["origin"]


@pytest.mark.parametrize("name", VECTOR["checkpoint"]["must_fail"])
def test_what_must_fail_in_the_vectors_is_never_cosigned(name: str) -> None:
    known = VECTOR["checkpoint"]
    log = Verifier.parse(known["vkey"])

    with pytest.raises((WitnessRequestError, WitnessSignatureError)):
        judge(
            AddCheckpoint.parse(b"old 0\n\n" + known["must_fail"][name].encode()),
            log,
            NOTHING_SEEN,
        )
