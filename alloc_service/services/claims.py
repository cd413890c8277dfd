"""What the entries of a log say about rows beside it: lists, sealings, slots spent, records.

This is no `fold`: it demands nothing. A verifier reads it from every entry that can be read at
all, so that a log with one bad entry still says which other rows are not what they were.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from alloc_service.log.entry import Entry


class ListClaim(NamedTuple):
    """A list, as its `list.sealed` says."""

    design_sha256: str
    root: str
    slots: tuple[int, ...]


class WrapClaim(NamedTuple):
    """The wrap of a sealing, as the last entry about it says."""

    kid: str
    wrap_sha256: str


class RecordClaim(NamedTuple):
    """The hash of an enrolment record, and the last entry that names it."""

    seq: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What the readable entries say.

    Attributes:
        lists: By list number.
        wraps: By list number and sealing.
        retired: The lists that assign nothing more.
        assigned: The `slot.assigned` entries, in order.
        records: By enrolment id.
        forks: The hash of each replaced history, by the `log.recovered` that names it.
    """

    lists: dict[int, ListClaim] = field(default_factory=dict)
    wraps: dict[int, dict[int, WrapClaim]] = field(default_factory=dict)
    retired: set[int] = field(default_factory=set)
    assigned: list[Entry] = field(default_factory=list)
    records: dict[str, RecordClaim] = field(default_factory=dict)
    forks: dict[int, str] = field(default_factory=dict)


def read_claims(entries: Iterable[Entry]) -> Claims:
    """Return what these entries say, later ones over earlier ones."""
    claims = Claims()
    for entry in entries:
        body = entry.body
        if entry.type == "list.sealed":
            claim = ListClaim(body["design_sha256"], body["root"], tuple(body["slots"]))
            claims.lists[body["list"]] = claim
        if entry.type in {"list.sealed", "list.resealed", "key.rewrapped"}:
            wrap = WrapClaim(body["kid"], body["wrap_sha256"])
            claims.wraps.setdefault(body["list"], {})[body["sealing"]] = wrap
        if entry.type == "slot.assigned":
            claims.assigned.append(entry)
        if entry.type in {"slot.assigned", "enrolment.restored"}:
            record = RecordClaim(entry.seq, body["enrolment_sha256"])
            claims.records[body["enrolment"]] = record
        if entry.type == "log.recovered":
            claims.retired.update(body["retired"])
            claims.forks[entry.seq] = body["fork_sha256"]
    return claims
