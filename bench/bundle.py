"""The stand-alone verifier: an unblinded bundle of 100,000 entries, and a full receipt.

The bundle's floor: `json.loads` and two SHA-256 an entry, in this process. Ours: the file run by
itself, in a process of its own, from its start to its exit: 256 checkpoints, a list of as many
slots as there are participants, each opening, the design. It must take at most 30 seconds.

The receipt's floor: the 2,000 multiplications modulo 2^255 - 19 that a check of one Ed25519
signature cannot do without in plain Python. A receipt must take at most 50 milliseconds.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from alloc_service.core.ed25519 import PRIME
from alloc_service.core.merkle import Frontier, inclusion_proof, inner_nodes, leaf_hash
from alloc_service.log.build_verifier import OUTPUT
from alloc_service.log.bundle import MOST_CHECKPOINTS, write_bundle
from alloc_service.log.note import Checkpoint, sign_checkpoint
from alloc_service.log.receipt import Receipt, write_extra
from bench.measure import Measured, take_turns
from tests.support.alone import alone
from tests.support.bundles import LOG, Evidence
from tests.support.chain import ORIGIN, Chain
from tests.support.receipts import list_path, list_root

ENTRIES = 100_000
LONGEST_SECONDS = 30.0
LONGEST_RECEIPT_SECONDS = 0.050
BUNDLE_LIMIT, RECEIPT_LIMIT = 10.0, 3.5
RECEIPTS, MULTIPLICATIONS = 20, 2_000


def grow() -> Evidence:
    """Return a trial with one allocation after the other, and checkpoints all along."""
    evidence = Evidence(Chain().create(cap=ENTRIES))
    evidence.add_list(1, (ENTRIES, ENTRIES))
    tree = Frontier()
    for entry in evidence.chain.entries:
        tree.append(bytes.fromhex(entry.leaf))
    while len(evidence.chain.entries) < ENTRIES:
        evidence.assign(len(evidence.chain.entries) % 2)
        tree.append(bytes.fromhex(evidence.chain.entries[-1].leaf))
        if tree.size % (ENTRIES // MOST_CHECKPOINTS) == 0:
            checkpoint = Checkpoint(ORIGIN, tree.size, tree.root())
            evidence.notes[tree.size] = sign_checkpoint(checkpoint, LOG)
    return evidence


def run() -> list[Measured]:
    """Measure on one trial that was written before."""
    evidence = grow()
    return [_measure_bundle(evidence), _measure_receipt(evidence)]


def _measure_bundle(evidence: Evidence) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        bundle, policy = Path(folder, "bundle.zip"), Path(folder, "policy")
        bundle.write_bytes(write_bundle(evidence.parts(unblinded=True)))
        policy.write_text(evidence.policy)
        rows = evidence.rows

        def floor() -> None:
            for data in rows:
                json.loads(data)
                hashlib.sha256(data).digest()
                hashlib.sha256(data).digest()

        def subject() -> None:
            command = [sys.executable, "-I", "-S", str(OUTPUT), str(bundle), "--policy"]
            subprocess.run([*command, str(policy)], check=True, capture_output=True)  # noqa: S603

        measured = take_turns(
            f"an entry of a bundle of {ENTRIES:,}, verified alone",
            floor,
            subject,
            units=ENTRIES,
            turns=3,
            limit=BUNDLE_LIMIT,
        )
    return _within(measured, LONGEST_SECONDS / ENTRIES)


def _measure_receipt(evidence: Evidence) -> Measured:
    rows = evidence.rows
    leaves = [leaf_hash(row) for row in rows]
    nodes = {(0, at): leaf for at, leaf in enumerate(leaves)}
    nodes |= {(level, at): node for level, at, node in inner_nodes(leaves)}
    seq = ENTRIES // 2
    path = inclusion_proof(seq, ENTRIES, lambda at: {place: nodes[place] for place in at})
    body = evidence.chain.entries[seq].body
    opening = evidence.lists[1].generated.opening(body["stratum"], body["slot"])
    proof = list_path(evidence, 1, body["stratum"], body["slot"])
    extra = write_extra(rows[seq], opening.text, proof)
    text = Receipt(seq, tuple(path), evidence.sign(), extra).text
    file = alone()
    policy, sealed = file.parse_policy(evidence.policy), list_root(evidence)
    root = file.ListRoot(sealed.root, sealed.slots)

    def floor() -> None:
        for _receipt in range(RECEIPTS):
            number = 3
            for _ in range(MULTIPLICATIONS):
                number = number * number % PRIME

    def subject() -> None:
        for _receipt in range(RECEIPTS):
            file.verify_receipt(text, policy, None, root)

    measured = take_turns(
        "a full receipt, verified alone",
        floor,
        subject,
        units=RECEIPTS,
        turns=7,
        limit=RECEIPT_LIMIT,
    )
    return _within(measured, LONGEST_RECEIPT_SECONDS)


def _within(measured: Measured, longest: float) -> Measured:
    """Return a measurement whose ratio is not good either where it took too long outright."""
    if measured.subject <= longest:
        return measured
    return Measured(measured.name, measured.floor, measured.subject, 0.0)
