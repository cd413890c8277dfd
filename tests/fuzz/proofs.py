"""Targets: Merkle proofs and receipts.

A proof is compared with one that is made here from the leaves, as RFC 6962 defines it: with size
and root of the true tree, that one proof is accepted and no other. A receipt is good only with
the head and the checkpoint of one that was made; the stand-alone verifier says the same of it.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace

from alloc_service.core import merkle
from alloc_service.errors import IntegrityError, ListFileError, PolicyError, TreeError
from alloc_service.log.receipt import ListRoot, Receipt, read_extra, write_extra
from tests.fuzz.tape import Tape, Variation, vary
from tests.support import receipts
from tests.support.alone import codes, receipt_verdict
from tests.support.bundles import LOG, WITNESSES, Evidence

LARGEST = 40
LEAVES = [hashlib.sha256(b"\0" + b"%d" % number).digest() for number in range(LARGEST)]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(count: int) -> int:
    split = 1
    while split * 2 < count:
        split *= 2
    return split


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return _node(_root(leaves[:split]), _root(leaves[split:]))


def _path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return PATH(index, leaves) of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*_path(index, leaves[:split]), _root(leaves[split:])]
    return [*_path(index - split, leaves[split:]), _root(leaves[:split])]


def _subproof(old: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """Return SUBPROOF(old, leaves, whole) of RFC 6962, section 2.1.2."""
    if old == len(leaves):
        return [] if whole else [_root(leaves)]
    split = _split(len(leaves))
    if old <= split:
        return [*_subproof(old, leaves[:split], whole=whole), _root(leaves[split:])]
    return [*_subproof(old - split, leaves[split:], whole=False), _root(leaves[:split])]


NODES = {(0, at): leaf for at, leaf in enumerate(LEAVES)}
NODES |= {(level, at): node for level, at, node in merkle.inner_nodes(LEAVES)}


def _read(places: Collection[merkle.Place]) -> dict[merkle.Place, bytes]:
    return {place: NODES[place] for place in places}


def check_merkle(data: bytes) -> str:
    """Check that one proof is accepted, and none that was changed anywhere."""
    tape = Tape(data)
    if tape.byte() % 2:
        return _check_consistency(tape)
    return _check_inclusion(tape)


def _check_inclusion(tape: Tape) -> str:
    size = 1 + tape.below(LARGEST)
    index = tape.below(size)
    leaves = LEAVES[:size]
    true = _path(index, leaves)
    assert merkle.inclusion_proof(index, size, _read) == true
    told, proof = index, _vary_hashes(tape, true, LEAVES[index])
    leaf = proof.pop()
    if tape.byte() % 4 == 3:
        told = tape.byte() - 3
    assert merkle.root_of(leaves) == merkle.root_at(size, _read) == _root(leaves)
    try:
        merkle.verify_inclusion(leaf, told, size, proof, _root(leaves))
    except TreeError:
        assert (told, leaf, proof) != (index, LEAVES[index], true)
        return "refused"
    assert 0 <= told < size
    assert (leaf, proof) == (LEAVES[told], _path(told, leaves))
    return "accepted"


def _check_consistency(tape: Tape) -> str:
    new = 1 + tape.below(LARGEST)
    old = 1 + tape.below(new)
    leaves = LEAVES[:new]
    true = _subproof(old, leaves, whole=True)
    assert merkle.consistency_proof(old, new, _read) == true
    told, proof = old, _vary_hashes(tape, true, _root(LEAVES[:old]))
    root = proof.pop()
    if tape.byte() % 4 == 3:
        told = tape.byte() - 3
    try:
        merkle.verify_consistency(told, new, root, _root(leaves), proof)
    except TreeError:
        assert (told, root, proof) != (old, _root(LEAVES[:old]), true)
        return "refused consistency"
    assert 0 < told <= new
    assert root == _root(LEAVES[:told])
    assert proof == _subproof(told, leaves, whole=True)
    return "accepted consistency"


def _vary_hashes(tape: Tape, proof: Sequence[bytes], last: bytes) -> list[bytes]:
    """Return a proof and what it is for, after up to three changes; the last one stays there."""
    hashes = [*proof, last]
    for _ in range(tape.below(4)):
        how, at, what = tape.byte(), tape.below(len(hashes)), tape.byte()
        if how % 6 == 0:
            place = what % 33
            hashes[at] = hashes[at][:place] + bytes([what]) + hashes[at][place + 1 :]
        elif how % 6 == 1 and at < len(hashes) - 1:
            del hashes[at]
        elif how % 6 == 2:
            hashes.insert(at, [*NODES.values()][what % len(NODES)])
        elif how % 6 == 3:
            hashes[at] = [*NODES.values()][what % len(NODES)]
        elif how % 6 == 4:
            hashes[at] = hashes[at] + hashes[what % len(hashes)]
        else:
            other = what % len(hashes)
            hashes[at], hashes[other] = hashes[other], hashes[at]
    return hashes


SMALL = receipts.SMALL
LEAF = merkle.leaf_hash(receipts.ENTRY)
COSIGNED = Evidence(
    SMALL.chain, lists=SMALL.lists, signers=SMALL.signers, cosigners=tuple(WITNESSES[:2])
)
_MADE = (
    receipts.receipt(extra=LEAF),
    receipts.full(),
    receipts.receipt(),
    receipts.receipt(COSIGNED, extra=LEAF),
    receipts.receipt(COSIGNED),
)
EXAMPLES = [text.encode() for text in _MADE]
_HEADS = {text.partition("\n\n")[0] for text in _MADE}
_TEXT = Receipt.parse(_MADE[0]).checkpoint.partition("\n\n")[0]
_LINES = {line for text in _MADE for line in text.partition("\n\n")[2].splitlines()}
# Whose lines a reader checks, by the policy: a witness that it does not name is a stranger.
_NAMES = ({LOG.name}, *[{LOG.name, *(one.name for one in WITNESSES)}] * 2)
_QUORUM = "".join(
    f"witness {name} {one.verifier.vkey}\n" for name, one in zip("abc", WITNESSES, strict=True)
)
POLICIES = (
    SMALL.policy,
    f"log {LOG.verifier.vkey}\n{_QUORUM}group g 2 a b c\nquorum g\n",
    f"log {LOG.verifier.vkey}\n{_QUORUM}quorum none\n",
)
SEALED = receipts.list_root()
# As `check_receipt` says: what is wrong in it, a slot that the list has not, or another policy.
REFUSALS = {PolicyError.code, ListFileError.code, *codes(IntegrityError)}


def check_receipt(data: bytes) -> str:
    """Check that only a receipt that was made is good, whatever is brought beside it."""
    tape = Tape(data)
    first = tape.byte()
    which = first % len(POLICIES)
    policy = POLICIES[which]
    leaf = (None, LEAF, merkle.leaf_hash(b"another"))[tape.below(3)]
    sealed = (SEALED, None, ListRoot(SEALED.root, SEALED.slots[::-1]))[tape.below(3)]
    found = _vary_part(tape) if first >= 128 else vary(tape, EXAMPLES)
    text = found.data.decode("utf-8", "replace")
    good, said = receipt_verdict(text, policy, leaf, sealed)
    if not good:
        fits = not found.is_changed and leaf == LEAF and sealed is SEALED
        assert not fits or (which == 1 and found.example < 3), said
        assert isinstance(said, tuple)
        assert said[0] in REFUSALS, said
        return "refused"
    head, _, note = text.partition("\n\n")
    assert head in _HEADS
    body, _, lines = note.partition("\n\n")
    assert body == _TEXT
    # A line may stand twice, a cosignature may be missing, and a stranger's may be there.
    for line in lines.splitlines():
        name = line.split(" ")[1] if line.count(" ") else ""
        assert line in _LINES or name not in _NAMES[which] or _is_strangers(line)
    assert lines.endswith("\n")
    return "accepted"


def _vary_part(tape: Tape) -> Variation:
    """Return the full receipt after its entry, its opening or its extra was changed."""
    part = tape.below(3)
    extra = Receipt.parse(_MADE[1]).extra or b""
    entry, opening, proof = read_extra(extra)
    found = vary(tape, [(entry, opening.encode(), extra)[part]])
    if part == 0:
        extra = write_extra(found.data, opening, proof)
    elif part == 1:
        extra = write_extra(entry, found.data.decode("ascii", "replace"), proof)
    else:
        extra = found.data
    text = replace(Receipt.parse(_MADE[1]), extra=extra).text
    return Variation(text.encode(), 1, text != _MADE[1])


def _is_strangers(line: str) -> bool:
    """Tell whether a line has a known name and another key's id."""
    base = line.rpartition(" ")[2]
    return all(base[:5] != known.rpartition(" ")[2][:5] for known in _LINES)
