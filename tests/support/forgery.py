"""Logs that somebody has touched: validly spelled, as an attacker would."""

from collections.abc import Callable, Sequence
from typing import Any

from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.log.entry import read_entry, write_entry
from alloc_service.log.note import Checkpoint, Signer, sign_checkpoint

# Verifies rows against checkpoints, expects a fault, gives the first entry named and the last.
Fault = Callable[..., tuple[int, int]]


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
