"""Signed notes, checkpoints and cosignatures: the vectors, and one byte off."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from alloc_service.core.merkle import EMPTY_ROOT, Frontier, leaf_hash
from alloc_service.errors import NoteError
from alloc_service.log.note import (
    COSIGNATURE_V1,
    Checkpoint,
    Signer,
    Verifier,
    Witness,
    decode_base64,
    encode_base64,
    open_checkpoint,
    open_cosigned,
    open_note,
    sign_checkpoint,
)

COSIGNED_AT = 1_767_344_400  # 2026-01-02T09:00:00Z


def key(name: str) -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32)[:32]))


def test_the_good_notes_of_the_vectors_open(notes_vector: dict[str, Any]) -> None:
    signed = notes_vector["checkpoint"]
    log = Verifier.parse(signed["vkey"])

    note = open_note(notes_vector["note"], [Verifier.parse(notes_vector["vkey"])])
    checkpoint = open_checkpoint(signed["good"], log)
    beside_unknown = open_checkpoint(signed["good_with_unknown_signer"], log)

    assert note.text == "This is an example message.\n"
    assert (checkpoint.origin, checkpoint.size) == (signed["origin"], 7)
    assert beside_unknown == checkpoint


def test_every_must_fail_note_of_the_vectors_is_refused(notes_vector: dict[str, Any]) -> None:
    known = [Verifier.parse(notes_vector["vkey"])]
    assert len(notes_vector["must_fail"]) == 6

    for note in notes_vector["must_fail"].values():
        with pytest.raises(NoteError):
            open_note(note, known)


def test_every_must_fail_checkpoint_of_the_vectors_is_refused(
    notes_vector: dict[str, Any],
) -> None:
    log = Verifier.parse(notes_vector["checkpoint"]["vkey"])
    assert len(notes_vector["checkpoint"]["must_fail"]) == 15

    for note in notes_vector["checkpoint"]["must_fail"].values():
        with pytest.raises(NoteError):
            open_checkpoint(note, log)


def test_the_checkpoints_of_the_vector_are_signed_byte_for_byte(
    log_vector: dict[str, Any], log_signer: Signer, rows: list[bytes]
) -> None:
    tree = Frontier()

    for size, row in enumerate(rows, 1):
        tree.append(leaf_hash(row))
        checkpoint = Checkpoint(log_signer.name, size, tree.root())
        assert sign_checkpoint(checkpoint, log_signer) == log_vector["checkpoints"][str(size)]
        assert open_checkpoint(log_vector["checkpoints"][str(size)], log_signer.verifier) == (
            checkpoint
        )


def test_the_keys_of_the_vector_are_spelled_as_there(
    log_vector: dict[str, Any], log_key: Verifier, witness: Witness
) -> None:
    assert log_key.vkey == log_vector["log_vkey"]
    assert witness.verifier.vkey == log_vector["witness_vkey"]
    assert Verifier.parse(log_vector["log_vkey"]) == log_key
    assert Verifier.parse(log_vector["witness_vkey"]) == witness.verifier


def test_the_cosignature_of_the_vector_is_made_byte_for_byte(
    log_vector: dict[str, Any], log_key: Verifier, witness: Witness
) -> None:
    note = log_vector["checkpoints"]["10"]
    opened = open_note(log_vector["cosigned"], [log_key, witness.verifier])
    time = opened.times[witness.name]

    assert note + witness.cosign(opened.text, time) == log_vector["cosigned"]
    assert set(opened.signers) == {log_key, witness.verifier}
    assert time == COSIGNED_AT


def test_a_cosigned_checkpoint_says_who_cosigned_it(
    log_vector: dict[str, Any], log_key: Verifier, witness: Witness
) -> None:
    cosigned = log_vector["cosigned"]
    checkpoint = open_checkpoint(cosigned, log_key)

    assert open_cosigned(cosigned, log_key, [witness.verifier]) == (checkpoint, (witness.name,))
    assert open_cosigned(cosigned, log_key) == (checkpoint, ())
    plain = log_vector["checkpoints"]["10"]
    assert open_cosigned(plain, log_key, [witness.verifier]) == (checkpoint, ())


def test_a_witness_alone_makes_no_checkpoint(
    log_vector: dict[str, Any], log_key: Verifier, witness: Witness
) -> None:
    text = log_vector["cosigned"].partition("\n\n")[0] + "\n"

    with pytest.raises(NoteError, match="has not signed it"):
        open_checkpoint(f"{text}\n{witness.cosign(text, COSIGNED_AT)}", log_key, [witness.verifier])


def test_a_witness_key_is_not_taken_for_the_key_of_a_log(witness: Witness) -> None:
    named = Witness("rac.example.org/X/audit", witness._private)
    text = Checkpoint(named.name, 1, bytes(32)).text

    with pytest.raises(NoteError, match="is a witness's"):
        open_checkpoint(f"{text}\n{named.cosign(text, COSIGNED_AT)}", named.verifier)


def test_a_cosignature_of_another_time_text_or_length_is_refused(
    log_vector: dict[str, Any], log_key: Verifier, witness: Witness
) -> None:
    note = log_vector["checkpoints"]["10"]
    text = note.partition("\n\n")[0] + "\n"
    line = witness.cosign(text, COSIGNED_AT)
    signed = base64.b64decode(line.split(" ")[2])
    later = signed[:4] + (COSIGNED_AT + 1).to_bytes(8, "big") + signed[12:]
    log_style = witness.verifier.key_id + witness._private.sign(text.encode())

    for wrong in (later, signed[:-1], signed + b"\0", log_style, signed[:5]):
        with pytest.raises(NoteError):
            open_checkpoint(
                f"{note}— {witness.name} {encode_base64(wrong)}\n", log_key, [witness.verifier]
            )
    with pytest.raises(NoteError):
        open_checkpoint(note + witness.cosign("other\n", 1), log_key, [witness.verifier])


def test_a_known_key_is_known_by_name_and_id(log_signer: Signer) -> None:
    text = "text\n"
    line = log_signer.sign(text)
    renamed = Verifier("another.example.org", log_signer.verifier.public)

    with pytest.raises(NoteError, match="no known key"):
        open_note(f"{text}\n{line}", [renamed])
    with pytest.raises(NoteError, match="no known key"):
        open_note(f"{text}\n{line}", [key(log_signer.name).verifier])
    with pytest.raises(NoteError, match="no known key"):
        open_note(f"{text}\n{line}", [])


def test_unknown_signers_are_skipped_and_a_repeated_signature_counts_once(
    log_signer: Signer,
) -> None:
    text = "text\n\nwith a blank line\n"
    line, other = log_signer.sign(text), key("other").sign(text)

    note = open_note(f"{text}\n{other}{line}{other}{line}", [log_signer.verifier])

    assert (note.text, note.signers, note.times) == (text, (log_signer.verifier,), {})


def test_a_bad_signature_of_a_known_key_fails_the_note_wherever_it_stands(
    log_signer: Signer,
) -> None:
    text = "text\n"
    good, bad, other = log_signer.sign(text), log_signer.sign("else\n"), key("other").sign(text)
    known = [log_signer.verifier, key("other").verifier]

    for lines in (good + bad, bad + good, other + bad, bad + other, bad):
        with pytest.raises(NoteError, match="is wrong"):
            open_note(f"{text}\n{lines}", known)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("text", "te\x00xt"),
        ("text", "te\x1fxt"),
        ("text", "te\rxt"),
        ("text", "te\ud800xt"),
        ("text\n\n", "text\n"),
        ("text\n\n", "text\r\n\r\n"),
        ("— ", "- "),
        ("— ", "—  "),
        ("— ", " — "),
        ("— ", "—\u00a0"),
        ("— rac", "— +rac"),
        ("— rac", "— \u2028rac"),
        ("=\n", "\n"),
        ("=\n", "==\n"),
        ("=\n", "= \n"),
        ("=\n", "=\n\n"),
        ("=\n", "=\nx"),
        ("=\n", "="),
        ("=\n", "=\r\n"),
        ("=\n", "=x"),
        ("=\n", "_\n"),
    ],
)
def test_a_note_that_is_one_byte_off_is_refused(log_signer: Signer, old: str, new: str) -> None:
    note = "text\n\n" + log_signer.sign("text\n")
    open_note(note, [log_signer.verifier])
    assert note.count(old) == 1

    with pytest.raises(NoteError):
        open_note(note.replace(old, new), [log_signer.verifier])


def test_a_note_of_signature_lines_alone_is_refused(log_signer: Signer) -> None:
    for line in (log_signer.sign("\n"), log_signer.sign("")):
        with pytest.raises(NoteError, match="a blank line"):
            open_note(line, [log_signer.verifier])


def test_a_signature_shorter_than_its_key_id_is_refused(log_signer: Signer) -> None:
    line = log_signer.sign("text\n")
    short, shortest = (f"— other {encode_base64(b'12345'[:size])}\n" for size in (4, 5))

    open_note(f"text\n\n{line}{shortest}", [log_signer.verifier])
    with pytest.raises(NoteError, match="shorter than its key id"):
        open_note(f"text\n\n{line}{short}", [log_signer.verifier])


def test_a_note_holds_at_most_a_hundred_signatures(log_signer: Signer) -> None:
    line, other = log_signer.sign("text\n"), key("other").sign("text\n")

    open_note("text\n\n" + line + other * 99, [log_signer.verifier])
    with pytest.raises(NoteError, match="more than 100"):
        open_note("text\n\n" + line + other * 100, [log_signer.verifier])


@given(st.data())
def test_a_note_with_any_byte_flipped_is_refused(
    log_vector: dict[str, Any], log_key: Verifier, data: st.DataObject
) -> None:
    note = log_vector["checkpoints"][data.draw(st.sampled_from("123456789"))]

    with pytest.raises(NoteError):
        open_checkpoint(flip(note, data), log_key)


@given(st.data())
def test_a_flipped_byte_in_a_witness_line_costs_at_most_the_witness(
    log_vector: dict[str, Any], log_key: Verifier, witness: Witness, data: st.DataObject
) -> None:
    cosigned = log_vector["cosigned"]

    try:
        found = open_cosigned(flip(cosigned, data), log_key, [witness.verifier])
    except NoteError:
        return
    assert found == (open_checkpoint(cosigned, log_key), ())


def flip(text: str, data: st.DataObject) -> str:
    raw = bytearray(text.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    return raw.decode("utf-8", "surrogateescape")


@given(st.text())
def test_whatever_text_comes_only_a_note_error_is_raised(text: str) -> None:
    log = key("rac.example.org/X/audit").verifier

    for refused in (text, f"{text}\n\n— {log.name} AAAAAAA=\n", f"a\n\n{text}\n"):
        with pytest.raises(NoteError):
            open_note(refused, [log])
    with pytest.raises(NoteError):
        Checkpoint.parse(text, "rac.example.org/X/audit")
    with pytest.raises(NoteError):
        Verifier.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "{o}\n1\n{r}",
        "{o}\n1\n{r}\n\n",
        "{o}\n1\n{r}\nextra\n",
        "\n{o}\n1\n{r}\n",
        "{o} \n1\n{r}\n",
        "{o}/\n1\n{r}\n",
        "other\n1\n{r}\n",
        "{o}\n\n{r}\n",
        "{o}\n1\n\n",
        "{o}\n0\n{r}\n",
        "{o}\n01\n{r}\n",
        "{o}\n1 \n{r}\n",
        "{o}\n1.0\n{r}\n",
        "{o}\n-1\n{r}\n",
        "{o}\n\u0661\n{r}\n",
        "{o}\n10000000000000000\n{r}\n",
        "{o}\n1\n{r} \n",
        "{o}\n1\n{h}\n",
        "{r}\n1\n{o}\n",
    ],
)
def test_a_checkpoint_text_spelled_otherwise_is_refused(text: str) -> None:
    origin = "rac.example.org/X/audit"
    root, short = encode_base64(bytes(range(32))), encode_base64(bytes(31))
    good = f"{origin}\n1\n{root}\n"
    assert Checkpoint.parse(good, origin) == Checkpoint(origin, 1, bytes(range(32)))
    assert Checkpoint.parse(good, origin).text == good

    with pytest.raises(NoteError):
        Checkpoint.parse(text.format(o=origin, r=root, h=short), origin)


def test_nothing_is_signed_at_size_zero_nor_for_another_origin(log_signer: Signer) -> None:
    with pytest.raises(NoteError, match="whole number from 1"):
        sign_checkpoint(Checkpoint(log_signer.name, 0, EMPTY_ROOT), log_signer)
    with pytest.raises(NoteError, match="no checkpoint of another origin"):
        sign_checkpoint(Checkpoint("rac.example.org/OTHER/audit", 1, bytes(32)), log_signer)
    with pytest.raises(NoteError, match="not 32 bytes"):
        sign_checkpoint(Checkpoint(log_signer.name, 1, bytes(31)), log_signer)


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a+b", "a\tb", "a\nb", "a\u00a0b", "a\x7fb", "a\udcffb", "a" * 257],
)
def test_a_key_has_a_name_that_a_note_can_hold(name: str) -> None:
    with pytest.raises(NoteError, match="name"):
        Verifier(name, bytes(32))


@pytest.mark.parametrize(("public", "kind"), [(bytes(31), 1), (bytes(33), 1), (bytes(32), 2)])
def test_a_key_is_an_ed25519_key_of_a_known_kind(public: bytes, kind: int) -> None:
    with pytest.raises(NoteError, match="not a 32-byte"):
        Verifier("name", public, kind)


def test_a_verifier_key_of_another_spelling_or_id_is_refused(log_vector: dict[str, Any]) -> None:
    name, key_id, typed = str(log_vector["log_vkey"]).split("+", 2)
    Verifier.parse(f"{name}+{key_id}+{typed}")

    for wrong in (
        f"{name}x+{key_id}+{typed}",
        f"{name}+{key_id[::-1]}+{typed}",
        f"{name}+{key_id.upper()}+{typed}",
        f"{name}+{key_id}+{typed[:-1]}",
        f"{name}+{key_id}+{typed}=",
        f"{name}+{key_id}+{'E' + typed[1:]}",
        f"{name}+{key_id}+",
        f"{name}+{key_id}+====",
        f"{name}+{key_id}",
        f"\udcff{name}+{key_id}+{typed}",
        f" {name}+{key_id}+{typed}",
        f"{name}+{key_id}+{typed}\n",
        "",
    ):
        with pytest.raises(NoteError):
            Verifier.parse(wrong)


@given(st.binary(max_size=40))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = encode_base64(data)
    assert decode_base64(text, "it") == data

    assume(text)
    for wrong in (text + "=", text + "\n", " " + text, text[:-1], text + "AA", text + "é"):
        with pytest.raises(NoteError):
            decode_base64(wrong, "it")


def test_a_private_key_is_never_shown(log_signer: Signer, witness: Witness) -> None:
    for holder in (log_signer, witness):
        assert "rivate" not in repr(holder)
        assert repr(holder) == f"{type(holder).__name__}(name={holder.name!r})"


def test_a_witness_and_a_log_of_one_name_have_two_key_ids(witness: Witness) -> None:
    public = witness.verifier.public

    assert witness.verifier.kind == COSIGNATURE_V1
    assert Verifier(witness.name, public).key_id != witness.verifier.key_id
