"""Targets: signed notes, checkpoints, public keys, policies, and what a witness is asked.

The keys are ours, so what a good note holds is known: its text is one that was signed, and each
line of a known key is, byte for byte, what signing that text gives. Nobody can forge; so whatever
else is accepted is a fault of the reader.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from types import ModuleType

from alloc_service.core.merkle import root_of
from alloc_service.errors import (
    NoteError,
    PolicyError,
    UnknownSignerError,
    WitnessConflictError,
    WitnessProofError,
    WitnessRequestError,
    WitnessSignatureError,
)
from alloc_service.log import note as notes
from alloc_service.log import policy as policies
from alloc_service.log import witness as witnesses
from alloc_service.log.note import Checkpoint, Signer, Verifier, Witness
from alloc_service.log.witness import NOTHING_SEEN, AddCheckpoint, Seen
from tests.fuzz.tape import Tape, change, vary
from tests.support.alone import alone
from tests.support.bundles import LOG, OTHER_LOG, WITNESSES, full_evidence, private
from tests.support.chain import ORIGIN
from tests.support.witnesses import GrowingLog

AT = 1_767_344_400
SIGNERS: Sequence[Signer | Witness] = (LOG, *WITNESSES)
KNOWN = [one.verifier for one in SIGNERS]
CHECKPOINT = Checkpoint(ORIGIN, 7, root_of([b"\1" * 32] * 7))


def sign(text: str, *signers: Signer | Witness) -> str:
    """Return a note, signed by each at the same time."""
    return f"{text}\n" + "".join(_line(one, text, AT) for one in signers)


def _line(signer: Signer | Witness, text: str, time: int) -> str:
    return signer.sign(text) if isinstance(signer, Signer) else signer.cosign(text, time)


TEXTS = (CHECKPOINT.text, "one line\n", "two\n\nparts \u2014 and \u00e9\n", ORIGIN + "\n0\n\n")
NOTES: Sequence[str] = (
    sign(TEXTS[0], LOG),
    sign(TEXTS[0], LOG, *WITNESSES),
    sign(TEXTS[0], OTHER_LOG, LOG),
    sign(TEXTS[1], LOG),
    sign(TEXTS[2], WITNESSES[1]),
    sign(TEXTS[3], LOG),
    sign(TEXTS[1], OTHER_LOG),
)
SIGNED_BY_KNOWN = range(6)
VKEYS = [one.vkey for one in (*KNOWN, OTHER_LOG.verifier)]


def check_note(data: bytes) -> str:
    """Check a note that was changed, a text that is signed first, a checkpoint or a key."""
    tape = Tape(data)
    choice = tape.below(4)
    if choice == 0:
        found = vary(tape, [note.encode() for note in NOTES])
        whole = not found.is_changed and found.example in SIGNED_BY_KNOWN
        return _check_opened(_text(found.data), TEXTS, must_open=whole)
    if choice == 1:
        return _check_signed(tape)
    if choice == 2:
        return _check_checkpoint(_text(vary(tape, [text.encode() for text in TEXTS]).data))
    return _check_vkey(_text(vary(tape, [vkey.encode() for vkey in VKEYS]).data))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _check_opened(note: str, texts: Sequence[str], *, must_open: bool) -> str:
    try:
        opened = notes.open_note(note, KNOWN)
    except UnknownSignerError:
        assert not must_open
        assert notes.join_note(*notes.split_note(note)) == note
        return "unknown"
    except NoteError as error:
        assert not must_open, error
        return "refused"
    assert opened.text in texts
    assert opened.signers
    text, lines = notes.split_note(note)
    assert notes.join_note(text, lines) == note
    assert text == opened.text
    good = set()
    for name, signed in lines:
        for one in SIGNERS:
            if (name, signed[:4]) == (one.name, one.verifier.key_id):
                time = int.from_bytes(signed[4:12], "big")
                line = f"\u2014 {name} {notes.encode_base64(signed)}\n"
                assert line == _line(one, text, time)
                good.add(one.verifier)
    assert good == set(opened.signers)
    return "accepted"


def _check_signed(tape: Tape) -> str:
    """Sign a text that is any at all, change the note once, and open it."""
    one = SIGNERS[tape.below(len(SIGNERS))]
    changes = tape.take(4)
    try:
        text = tape.rest().decode("utf-8") + "\n"
    except UnicodeDecodeError:
        return "no text"
    note = sign(text, one).encode()
    changed = change(Tape(changes), note) if any(changes) else note
    plain = not re.search("[\0-\x09\x0b-\x1f]", text) and not text.startswith("\ufeff")
    whole = plain and text != "\n" and changed == note
    return _check_opened(_text(changed), [text], must_open=whole) + " signed"


def _check_checkpoint(text: str) -> str:
    try:
        checkpoint = Checkpoint.parse(text, ORIGIN)
    except NoteError:
        assert text != CHECKPOINT.text
        return "refused checkpoint"
    assert checkpoint.text == text
    assert checkpoint.size > 0
    assert len(checkpoint.root) == 32
    note = notes.sign_checkpoint(checkpoint, LOG)
    assert notes.open_checkpoint(note, LOG.verifier) == checkpoint
    return "accepted checkpoint"


def _check_vkey(text: str) -> str:
    try:
        key = Verifier.parse(text)
    except NoteError:
        assert text not in VKEYS
        return "refused key"
    assert key.vkey == text
    assert len(key.public) == 32
    return "accepted key"


FULL = full_evidence()
A, B, C = (one.verifier for one in WITNESSES)
_HEAD = (
    f"log {LOG.verifier.vkey} https://log.example\nwitness a {A.vkey}\nwitness b {B.vkey} u\n"
    f"witness c {C.vkey}\n"
)
POLICIES: Sequence[str] = (
    FULL.policy,
    f"log {LOG.verifier.vkey}\nquorum none\n",
    f"# mine\n\n  # indented\n{_HEAD}group two all a b\ngroup some any two c\nquorum some\n",
    f"{_HEAD}group g 2 a b c\nquorum g\n",
    f"{_HEAD}group g 1 a\ngroup h 2 g b\n# \u00e9\nquorum h",
)


def check_policy(data: bytes) -> str:
    """Check a policy against another reading of C2SP tlog-policy, and against the lone verifier."""
    found = vary(Tape(data), [policy.encode() for policy in POLICIES])
    try:
        text = found.data.decode("utf-8")
    except UnicodeDecodeError:
        return "no text"
    file = alone()
    try:
        policy = policies.parse_policy(text)
    except PolicyError as error:
        assert found.is_changed, error
        assert _policy_fault(file, text) == str(error)
        return "refused"
    assert _policy_fault(file, text) == ""
    told, again = _read_policy(text), file.parse_policy(text)
    assert sorted(policy.logs) == sorted(told.logs)
    assert {name: key.name for name, key in policy.witnesses.items()} == told.witnesses
    assert (list(policy.groups), policy.quorum) == (list(told.groups), told.quorum)
    names = list(told.witnesses.values())
    assert policy.is_met_by(names)
    for count in range(len(names[:5]) + 1):
        for some in combinations(names[:5], count):
            met = told.quorum == policies.NO_QUORUM or told.is_met(told.quorum, some)
            assert policy.is_met_by(some) == again.is_met_by(some) == met
    return "accepted"


def _policy_fault(file: ModuleType, text: str) -> str:
    try:
        file.parse_policy(text)
    except file.PolicyError as error:
        return str(error)
    return ""


@dataclass
class Told:
    """What a policy says, read once more.

    Attributes:
        logs: Their origins.
        witnesses: The names of their keys, by the policy's names.
        groups: How many of which names, by name.
        quorum: A name.
    """

    logs: list[str] = field(default_factory=list)
    witnesses: dict[str, str] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str = ""

    def is_met(self, name: str, cosigners: Sequence[str]) -> bool:
        """Tell whether a name has cosigned."""
        if name in self.witnesses:
            return self.witnesses[name] in cosigners
        needed, members = self.groups[name]
        return [self.is_met(member, cosigners) for member in members].count(True) >= needed


def _read_policy(text: str) -> Told:
    """Read what a policy says: lines end in LF, words are parted by space and tab alone."""
    told = Told()
    assert not re.search("[\0-\x08\x0b-\x1f\x7f]", text)
    used: list[str] = []
    for line in text.split("\n"):
        words = [word for word in re.split("[ \t]+", line) if word]
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "log":
            told.logs.append(Verifier.parse(words[1]).name)
        elif words[0] == "witness":
            told.witnesses[words[1]] = Verifier.parse(words[2]).name
        elif words[0] == "group":
            members = words[3:]
            needed = {"any": 1, "all": len(members)}.get(words[2]) or int(words[2])
            told.groups[words[1]] = needed, members
            used += members
        else:
            assert words[0] == "quorum"
            told.quorum = words[1]
    # Each name may be a member once, so that a witness counts in one way only.
    assert len(set(used)) == len(used)
    return told


GROWING = GrowingLog()
SIZES = ((0, 7), (3, 7), (4, 8), (7, 7), (1, 16), (6, 13))
REQUESTS = [GROWING.request(old, size).data for old, size in SIZES]
_SIGNED = {GROWING.note(size).rpartition("\n\n")[0] + "\n" for _, size in SIZES}
_OWN = Witness("dmc.example.org/w1", private("a witness of the committee"))
_REFUSALS = (
    WitnessRequestError,
    WitnessSignatureError,
    WitnessConflictError,
    WitnessProofError,
)


def check_witness(data: bytes) -> str:
    """Check a request to a witness: one spelling, and only what continues what was seen."""
    tape = Tape(data)
    old = (0, 1, 3, 4, 6, 7, 8)[tape.below(7)]
    seen = Seen(old, root_of(GROWING.leaves(old))) if old else NOTHING_SEEN
    found = vary(tape, REQUESTS)
    try:
        request = AddCheckpoint.parse(found.data)
    except WitnessRequestError as error:
        assert found.is_changed, error
        return "no request"
    assert request.data == found.data
    try:
        checkpoint = witnesses.judge(request, GROWING.key, seen)
    except _REFUSALS as error:
        fits = not found.is_changed and SIZES[found.example][0] == old
        assert not fits, error
        assert witnesses.answer_refusal(error).status in {403, 409, 422}
        return "refused"
    assert checkpoint.text in _SIGNED
    assert (request.old, checkpoint.origin) == (old, GROWING.origin)
    assert checkpoint.root == root_of(GROWING.leaves(checkpoint.size))
    assert request.proof == GROWING.proof(old, checkpoint.size)
    kept = witnesses.keep_cosigned(request.note, GROWING.key, _OWN.cosign(checkpoint.text, AT))
    note = f"{checkpoint.text}\n{GROWING.signer.sign(checkpoint.text)}"
    assert kept == note + _OWN.cosign(checkpoint.text, AT)
    return "accepted"
