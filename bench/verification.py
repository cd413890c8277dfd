"""Verification of a log of 100,000 entries, against bare `json.loads` and two SHA-256 an entry."""

import hashlib
import json
import uuid
from collections.abc import Mapping

from alloc_service.core.canon import Json
from alloc_service.log.entry import write_entry
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from alloc_service.log.verify import verify_log
from bench.measure import Measured, take_turns

ENTRIES = 100_000
LIMIT = 2.5

_HASH = "ab" * 32
_TIME = "2026-01-02T09:00:00Z"


def write_log() -> list[bytes]:
    """Return a log of one trial: set up, and then one allocation after the other."""
    state = LogState()
    entries: list[bytes] = []

    def add(type_: str, person: str, role: str, body: Mapping[str, Json]) -> None:
        actor = {"id": person, "org": "XA01", "role": role}
        entry = write_entry(state.size, state.last, _TIME, type_, {**body, "actor": actor})
        fold(state, entry)
        entries.append(entry.data)

    origin = "rac.example.org/BENCH/audit"
    add("trial.created", "u1", "manager", {"origin": origin, "cap": ENTRIES, "salt": _HASH})
    add("design.frozen", "u2", "statistician", {"list": 1, "design_sha256": _HASH})
    sealed: dict[str, Json] = {
        "design_sha256": _HASH,
        "root": _HASH,
        "wrap_sha256": _HASH,
        "kid": "ab" * 8,
    }
    body: dict[str, Json] = {"list": 1, "sealing": 1, "slots": [ENTRIES], **sealed}
    add("list.sealed", "u2", "statistician", body)
    add("list.approved", "u3", "statistician", {"list": 1, "root": _HASH, "root_checked": True})
    add("list.activated", "u1", "manager", {"list": 1})
    while len(entries) < ENTRIES:
        slot = len(state.assigned)
        place: dict[str, Json] = {"list": 1, "stratum": 0, "slot": slot, "leaf": _HASH}
        named: dict[str, Json] = {"enrolment": str(uuid.uuid4()), "enrolment_sha256": _HASH}
        add("slot.assigned", "u4", "physician", {**place, **named})
    return entries


def run() -> list[Measured]:
    """Measure on one log that was written before."""
    entries = write_log()

    def floor() -> None:
        for data in entries:
            json.loads(data)
            hashlib.sha256(data).digest()
            hashlib.sha256(data).digest()

    measured = take_turns(
        f"an entry of a log of {ENTRIES:,}",
        floor,
        lambda: verify_log(entries),
        units=ENTRIES,
        turns=5,
        limit=LIMIT,
    )
    return [measured]
