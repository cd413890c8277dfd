"""The keys of one log over time: from the key that somebody has to the one of now.

A log whose signing key never changed names none. Where it changes, `key.created` names the key
that signed so far and `key.rotated` the next one. The checkpoint that ends in `key.rotated` is
signed by both, each one before it by the older key, and each one after it by the newer alone. So
whoever holds the older key finds in the log, under a signature of that key, which one follows.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alloc_service.errors import NoteError
from alloc_service.log.entry import Entry
from alloc_service.log.note import Checkpoint, Verifier, open_note


class KeyFrom(NamedTuple):
    """A log's key, and the smallest size whose checkpoint it signs."""

    size: int
    key: Verifier


def follow_keys(entries: Iterable[Entry], known: Verifier) -> tuple[KeyFrom, ...]:
    """Return the keys of a log, oldest first.

    Args:
        entries: Of a log that folds.
        known: The key that somebody has, from another source than the log.

    Raises:
        NoteError: The log names keys, and this one is not among them.
    """
    found = [
        KeyFrom(entry.seq + 1 if entry.type == "key.rotated" else 1, Verifier.parse(named))
        for entry in entries
        if entry.type in {"key.created", "key.rotated"} and (named := entry.body.get("vkey"))
    ]
    if found and known not in [one.key for one in found]:
        raise NoteError(rule=f"the log of {known.name} names its keys, and not this one")
    return tuple(found) or (KeyFrom(1, known),)


def key_of(size: int, keys: Sequence[KeyFrom]) -> KeyFrom:
    """Return the key that signs a checkpoint of a size, the newer one where two do."""
    return [keys[0], *(one for one in keys[1:] if one.size <= size)][-1]


def open_of_its_time(note: str, keys: Sequence[KeyFrom]) -> Checkpoint:
    """Read a checkpoint that is signed by the key of its size; where keys change, by both.

    Raises:
        NoteError: One of them has not signed it, or it is no checkpoint.
    """
    opened = open_note(note, [one.key for one in keys])
    checkpoint = Checkpoint.parse(opened.text, keys[0].key.name)
    due = keys.index(key_of(checkpoint.size, keys))
    changes = due > 0 and keys[due].size == checkpoint.size
    for one in keys[due - 1 if changes else due : due + 1]:
        if one.key not in opened.signers:
            rule = f"the key {one.key.key_id.hex()} of {one.key.name} has not signed it"
            raise NoteError(rule=rule)
    return checkpoint
