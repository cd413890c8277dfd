"""`rac-sealer/1`: one spelling, three requests, and nothing that is nearly right."""

import json
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.generate import Opening
from alloc_service.errors import (
    AnchorWriteError,
    BlobLockedError,
    FrozenError,
    NotAuthorizedError,
    OriginError,
    RefusalError,
    RuleError,
)
from alloc_service.sealing import wire
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.sealer import Opened, SlotToOpen, Status
from alloc_service.sealing.wire import AskFollow, AskOpen, AskStatus, FrameError, Request, Standing

ORIGIN = "rac.example.org/TEST-SEALER/audit"
plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
count = st.integers(-2, 2**53 - 1)
blobs = st.binary(max_size=300)
slots = st.builds(SlotToOpen, blobs, blobs, st.lists(blobs, max_size=5).map(tuple), plain)
requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(AskStatus, plain),
    st.builds(
        AskFollow,
        plain,
        count,
        st.lists(blobs, max_size=5).map(tuple),
        st.lists(plain, max_size=3).map(tuple),
    ),
    st.builds(AskOpen, plain, count, plain, slots),
)
hex32 = st.text("0123456789abcdef", min_size=64, max_size=64)
standings = st.builds(
    Standing,
    st.booleans(),
    st.builds(Status, plain, plain, plain, count, plain),
    plain,
    blobs,
    st.lists(plain, max_size=3).map(tuple),
    st.lists(st.builds(Acceptance, count, count, hex32, hex32), max_size=3).map(tuple),
    st.lists(plain, max_size=3).map(tuple),
)
STATUS = wire.write_request(AskStatus(ORIGIN))
OPENED = Opened(Opening("a" * 64, 3, 41, "A", "b" * 64), "c" * 64)


@given(request=requests)
def test_what_is_written_is_read_as_it_was(request: Request) -> None:
    assert wire.read_request(wire.write_request(request)) == request


@given(standing=standings)
def test_a_standing_comes_out_as_it_went_in(standing: Standing) -> None:
    assert wire.read_standing(wire.write_standing(standing)) == standing


def test_an_opening_and_a_checkpoint_come_out_as_they_went_in() -> None:
    assert wire.read_opened(wire.write_opened(OPENED)) == OPENED
    assert wire.read_checkpoint(wire.write_checkpoint("a note\n")) == "a note\n"
    wire.read_done(wire.write_done())


@given(request=requests, data=st.data())
def test_a_changed_byte_is_another_request_in_its_own_spelling_or_none(
    request: Request, data: st.DataObject
) -> None:
    written = bytearray(wire.write_request(request))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))

    try:
        found = wire.read_request(bytes(written))
    except FrameError:
        return
    assert found != request
    assert wire.write_request(found) == bytes(written)


@given(data=st.binary(max_size=400))
def test_no_bytes_make_the_reader_crash(data: bytes) -> None:
    readers = wire.read_request, wire.read_standing, wire.read_checkpoint, wire.read_opened
    for read in readers:
        with pytest.raises(FrameError):
            read(data)


json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=8,
)


@given(request=requests, data=st.data())
def test_a_field_of_another_kind_is_refused_or_is_another_request(
    request: Request, data: st.DataObject
) -> None:
    fields = json.loads(wire.write_request(request))
    name = data.draw(st.sampled_from(sorted(fields)))
    fields[name] = data.draw(json_values)
    written = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()

    try:
        found = wire.read_request(written)
    except FrameError:
        return
    assert wire.write_request(found) == written


FORGED = {
    "no frame": b"",
    "no object": b"[]",
    "another version": STATUS.replace(b"sealer/1", b"sealer/2"),
    "no version": b'{"op":"status","origin":"x"}',
    "a field too many": STATUS.replace(b'"op"', b'"also":1,"op"'),
    "a field missing": b'{"op":"status","v":"rac-sealer/1"}',
    "a space": STATUS.replace(b":", b": ", 1),
    "another order": b'{"v":"rac-sealer/1","op":"status","origin":"x"}',
    "a key twice": STATUS.replace(b'"op"', b'"op":"open","op"'),
    "a number for a text": b'{"op":"status","origin":1,"v":"rac-sealer/1"}',
    "an operation that is no text": b'{"op":["status"],"origin":"x","v":"rac-sealer/1"}',
    "true for a number": (
        b'{"entries":[],"op":"follow","origin":"x","seen":[],"since":true,"v":"rac-sealer/1"}'
    ),
    "a text for a list": (
        b'{"entries":"","op":"follow","origin":"x","seen":[],"since":1,"v":"rac-sealer/1"}'
    ),
    "base64 with a line end": (
        b'{"entries":["QQ==\\n"],"op":"follow","origin":"x","seen":[],"since":1,"v":"rac-sealer/1"}'
    ),
    "base64 with other last bits": (
        b'{"entries":["QR=="],"op":"follow","origin":"x","seen":[],"since":1,"v":"rac-sealer/1"}'
    ),
    "deep": b'{"op":' + b"[" * 5_000 + b"]" * 5_000 + b',"v":"rac-sealer/1"}',
}


@pytest.mark.parametrize("data", FORGED.values(), ids=FORGED)
def test_what_is_nearly_a_request_is_none(data: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_request(data)


# Whatever the sealer can do beside the three, and whatever somebody may hope for.
OTHERS = (
    "accept", "accepted", "create", "decrypt", "design", "export", "followed", "freeze", "keys",
    "kid", "log_key", "open_design", "open_all", "public_key", "recover", "require_accepted",
    "reseal", "resume", "rewrap", "rotate", "sign", "stop", "test_open", "thaw", "unlock", "unseal",
    "unwrap", "", "Open", "OPEN", "open ", "__class__", "_sign",
)  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_there_is_no_other_operation(name: str) -> None:
    fields = json.loads(wire.write_request(AskStatus(ORIGIN)))
    written = json.dumps(fields | {"op": name}, separators=(",", ":"), sort_keys=True).encode()

    with pytest.raises(FrameError, match="follow, open and status, and no other"):
        wire.read_request(written)


REFUSALS: list[RefusalError] = [
    FrozenError(reason="the log has no entry 5, which the sealer followed"),
    NotAuthorizedError(rule="entry 7 does not cover this enrolment"),
    RuleError(seq=4, type="slot.assigned", rule="the trial is not open"),
    AnchorWriteError(path=Path("/a"), reason="No space left on device"),
    OriginError(origin="x", rule="it is not spelled so"),
    BlobLockedError(),
    FrozenError(reason=NotAuthorizedError(rule="nested")),
    FrozenError(reason="a path \udcff and e\u0301"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=map(str, range(len(REFUSALS))))
def test_a_refusal_comes_out_as_the_class_that_was_raised(refusal: RefusalError) -> None:
    with pytest.raises(type(refusal)) as found:
        wire.read_standing(wire.write_refusal(refusal))

    assert type(found.value) is type(refusal)
    assert str(found.value) == normalize("NFC", str(refusal).replace("\udcff", "?"))
    assert found.value.code == refusal.code


BAD_ANSWERS = {
    "another code": b'{"refused":{"code":"no-such","facts":{}},"v":"rac-sealer/1"}',
    "a fact missing": b'{"refused":{"code":"frozen","facts":{}},"v":"rac-sealer/1"}',
    "a fact that is null": (
        b'{"refused":{"code":"frozen","facts":{"reason":null}},"v":"rac-sealer/1"}'
    ),
    "a fact that is true": (
        b'{"refused":{"code":"frozen","facts":{"reason":true}},"v":"rac-sealer/1"}'
    ),
    "a fact that is a list": (
        b'{"refused":{"code":"frozen","facts":{"reason":["x"]}},"v":"rac-sealer/1"}'
    ),
    "both": b'{"answer":{},"refused":{},"v":"rac-sealer/1"}',
    "neither": b'{"v":"rac-sealer/1"}',
    "a refusal with more": (
        b'{"refused":{"code":"frozen","facts":{"reason":"x"},"more":1},"v":"rac-sealer/1"}'
    ),
    "more beside an answer": b'{"also":1,"answer":{"checkpoint":"x"},"v":"rac-sealer/1"}',
    "more in an answer": b'{"answer":{"checkpoint":"x","v":"y"},"v":"rac-sealer/1"}',
}


@pytest.mark.parametrize("data", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_what_is_nearly_an_answer_is_none(data: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_checkpoint(data)
    with pytest.raises(FrameError):
        wire.read_done(data)


@pytest.mark.parametrize(
    ("old", "new"), [(b"rac-slot/1", b"rac-slot/2"), (b"c" * 64, b"C" * 64), (b"|41|", b"|041|")]
)
def test_an_opening_that_is_spelled_otherwise_is_no_answer(old: bytes, new: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_opened(wire.write_opened(OPENED).replace(old, new))


def test_a_refusal_of_an_opening_repeats_no_arm() -> None:
    data = wire.write_opened(Opened(Opening("a" * 64, 0, 0, "SUNRISE-7Q", "b" * 64), "x"))

    with pytest.raises(FrameError) as found:
        wire.read_opened(data)
    assert "7Q" not in str(found.value)
