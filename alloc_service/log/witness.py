"""What a witness is asked and what it answers: C2SP `tlog-witness`, `add-checkpoint`.

A request is `old N`, a consistency proof from size N to the checkpoint's, one hash a line in
base64, a blank line, and the checkpoint as a signed note. Everything is strict, as in `note`.

    200  the cosignature: a signature line of the witness
    400  the request is malformed, or its old size is larger than the checkpoint's
    403  the log's key has not signed the checkpoint
    404  the witness does not follow this log
    409  the old size is not the one that the witness has seen, or the root of that size is
         another; the body is the size that it has seen
    422  the proof does not hold

Which size and root were seen last, and that the new ones are kept before anything is answered,
is up to whoever calls this: here is no file and no clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from alloc_service.core.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from alloc_service.errors import (
    NoteError,
    RefusalError,
    TreeError,
    UnknownSignerError,
    WitnessConflictError,
    WitnessOriginError,
    WitnessProofError,
    WitnessRequestError,
    WitnessSignatureError,
)
from alloc_service.log.note import (
    Checkpoint,
    Verifier,
    decode_base64,
    encode_base64,
    join_note,
    open_checkpoint,
    require_plain,
    split_note,
)

LONGEST_REQUEST: Final = 65_536
LONGEST_PROOF: Final = 63
PLAIN: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"

# Said by whoever keeps the witness to whoever asks, and by `alloc witness cosign` to the former.
_OTHER_KEY: Final = (
    "the checkpoint of {origin} is signed by no key of it that this witness knows now. Where the "
    "service has changed the log's key, whoever keeps this witness is told the new one by two "
    "people, compares the two, and runs `alloc witness add-log FOLDER VKEY --changed`"
)

_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})", re.ASCII)
_STATUS: Final[Mapping[type[RefusalError], int]] = {
    WitnessRequestError: 400,
    WitnessSignatureError: 403,
    WitnessOriginError: 404,
    WitnessConflictError: 409,
    WitnessProofError: 422,
}


class Seen(NamedTuple):
    """How far a witness has seen a log: entries, and the 32-byte root over them."""

    size: int
    root: bytes


NOTHING_SEEN: Final = Seen(0, EMPTY_ROOT)


class Answer(NamedTuple):
    """An answer over HTTP: status, media type, body."""

    status: int
    media: str
    body: str


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request as it is spelled, before any signature or proof of it is believed.

    Attributes:
        old: The size that the witness is thought to have seen.
        proof: Consistency proof from `old`, 32 bytes each.
        note: The checkpoint with its signatures.
    """

    old: int
    proof: tuple[bytes, ...]
    note: str

    @property
    def data(self) -> bytes:
        """Return the request's one spelling."""
        hashes = "".join(f"{encode_base64(value)}\n" for value in self.proof)
        return f"old {self.old}\n{hashes}\n{self.note}".encode()

    @property
    def checkpoint(self) -> Checkpoint:
        """Return what the checkpoint says.

        Raises:
            NoteError: It is none.
        """
        text = split_note(self.note)[0]
        return Checkpoint.parse(text, text.partition("\n")[0])

    @classmethod
    def parse(cls, data: bytes) -> "AddCheckpoint":
        """Read a request strictly.

        Raises:
            WitnessRequestError: A byte is off, or it is longer than any that is meant.
        """
        if len(data) > LONGEST_REQUEST:
            raise WitnessRequestError(rule=f"it is longer than {LONGEST_REQUEST:,} bytes")
        try:
            text = data.decode("utf-8")
            require_plain(text)
            head, _, note = text.partition("\n\n")
            first, *lines = head.split("\n")
            old = _OLD.fullmatch(first)
            if old is None:
                raise WitnessRequestError(rule="line 1: it must be `old` and a size")
            request = cls(int(old[1]), _read_proof(lines), note)
            checkpoint = _read_checkpoint(request, head.count("\n") + 3)
        except UnicodeDecodeError as error:
            rule = f"it must be text in UTF-8, and byte {error.start} is none"
            raise WitnessRequestError(rule=rule) from None
        except NoteError as error:
            raise WitnessRequestError(rule=error.facts["rule"]) from None
        if request.old > checkpoint.size:
            raise WitnessRequestError(rule="its old size is larger than the checkpoint's")
        return request


def judge(request: AddCheckpoint, log: Verifier, seen: Seen) -> Checkpoint:
    """Return the checkpoint of a request that a witness may cosign.

    Args:
        request: What was asked.
        log: The key of the log of this origin.
        seen: What the witness has seen of it last.

    Raises:
        WitnessSignatureError: The log's key has not signed the checkpoint.
        WitnessConflictError: Another size, or another root of that size, was seen.
        WitnessProofError: The log is not shown to continue what was seen.
    """
    try:
        checkpoint = open_checkpoint(request.note, log)
    except UnknownSignerError:
        raise WitnessSignatureError(rule=_OTHER_KEY.format(origin=log.name)) from None
    except NoteError as error:
        raise WitnessSignatureError(rule=error.facts["rule"]) from None
    if request.old != seen.size:
        raise WitnessConflictError(size=seen.size)
    if request.old == 0:
        if request.proof:
            raise WitnessProofError(rule="a proof from size 0 must be empty")
        return checkpoint
    if checkpoint.size == seen.size and checkpoint.root != seen.root:
        raise WitnessConflictError(size=seen.size)
    try:
        verify_consistency(seen.size, checkpoint.size, seen.root, checkpoint.root, request.proof)
    except TreeError as error:
        raise WitnessProofError(rule=error.facts["rule"]) from None
    return checkpoint


def keep_cosigned(note: str, log: Verifier, cosignature: str) -> str:
    """Return a note with the log's own signature and one cosignature, and no other.

    Args:
        note: A checkpoint that the log has signed.
        log: The log's key.
        cosignature: A signature line.
    """
    text, signatures = split_note(note)
    own = [(name, signed) for name, signed in signatures if _is_of(log, name, signed)]
    return join_note(text, own[:1]) + cosignature


def answer_refusal(error: RefusalError) -> Answer:
    """Return how a witness says no; a fault of its own machine is 503."""
    status = _STATUS.get(type(error), 503)
    if isinstance(error, WitnessConflictError):
        return Answer(status, SIZE, f"{error.facts['size']}\n")
    return Answer(status, PLAIN, f"{error}\n")


def _is_of(log: Verifier, name: str, signed: bytes) -> bool:
    return (name, signed[:4]) == (log.name, log.key_id)


def _read_checkpoint(request: AddCheckpoint, line: int) -> Checkpoint:
    try:
        return request.checkpoint
    except NoteError as error:
        rule = f"its checkpoint, from line {line} on: {error.facts['rule']}"
        raise WitnessRequestError(rule=rule) from None


def _read_proof(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > LONGEST_PROOF:
        raise WitnessRequestError(rule=f"its proof has more than {LONGEST_PROOF} lines")
    proof = tuple(decode_base64(line, "a proof hash") for line in lines)
    if any(len(value) != HASH_BYTES for value in proof):
        raise WitnessRequestError(rule="a proof hash is not 32 bytes")
    return proof
