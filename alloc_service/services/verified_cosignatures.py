"""Stored cosignatures, compared with the checkpoints that they are over and the keys in the log."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alloc_service.errors import NoteError
from alloc_service.log.entry import Entry
from alloc_service.log.note import Verifier
from alloc_service.log.rotation import KeyFrom, key_of
from alloc_service.services.cosigning import take_lines
from alloc_service.storage import rows


class Cosigned(NamedTuple):
    """The notes of a log with every good cosignature that is stored.

    Attributes:
        notes: As they were, by size, each with the lines over it.
        good: How many lines are.
        fault: What is wrong with the first other one, or none.
    """

    notes: dict[int, str]
    good: int
    fault: str | None


def witnesses_of(entries: Iterable[Entry]) -> tuple[list[Verifier], list[Verifier]]:
    """Return the keys of the last policy in a log, and the keys of all its policies."""
    last: list[Verifier] = []
    every: dict[str, Verifier] = {}
    for entry in entries:
        if entry.type == "witness.policy":
            last = [Verifier.parse(vkey) for vkey in entry.body["witnesses"]]
            every |= {key.vkey: key for key in last}
    return last, list(every.values())


def attach_cosignatures(
    notes: Iterable[tuple[int, str]],
    stored: Iterable[rows.Values],
    log: Sequence[KeyFrom],
    keys: Sequence[Verifier],
) -> Cosigned:
    """Add to each note the stored signature lines over it that are good.

    Args:
        notes: By size, each signed by the log's key of its time.
        stored: The rows.
        log: The log's keys.
        keys: Of every witness that the log names.
    """
    by_size = dict(notes)
    count, faults = 0, []
    for row in stored:
        size, name = row["size"], row["name"]
        note = by_size.get(size, "")
        try:
            good = name in take_lines(note + row["line"], key_of(size, log).key, keys)
        except NoteError:
            good = False
        if good:
            by_size[size] = note + row["line"]
            count += 1
        else:
            faults.append(f"what is stored as {name}'s over the checkpoint of size {size} is not")
    return Cosigned(by_size, count, faults[0] if faults else None)
