"""A log that grows entry by entry, for tests of what may follow what."""

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import RuleError
from alloc_service.log.entry import Entry, write_entry
from alloc_service.log.note import COSIGNATURE_V1, Verifier
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState

ORIGIN = "rac.example.org/EXAMPLE-02/audit"
START = "2026-01-02T09:00:00Z"

MANAGER = ("u1", "XA01", "manager")
STATISTICIAN = ("u2", "XA01", "statistician")
SECOND = ("u3", "XA01", "second-statistician")
PHYSICIAN = ("u4", "XA01", "physician")
ADMINISTRATOR = ("u5", "XA01", "administrator")

Person = tuple[str, str, str]


def hex32(label: object) -> str:
    """Return some HEX32 that belongs to a label."""
    return hashlib.sha256(str(label).encode()).hexdigest()


def uuid(label: object) -> str:
    """Return some lower-case UUID that belongs to a label."""
    digits = hex32(label)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def witness(name: str) -> Verifier:
    """Return the public key of some witness."""
    return Verifier(name, hashlib.sha256(name.encode()).digest(), COSIGNATURE_V1)


def as_body(person: Person) -> dict[str, str]:
    """Return a person as a body writes them."""
    return dict(zip(("id", "org", "role"), person, strict=True))


class Chain:
    """A log that grows by `add`; `refuse` demands a refusal that changes nothing."""

    def __init__(self) -> None:
        self.state = LogState()
        self.entries: list[Entry] = []

    def write(self, type_: str, /, *, by: Person = MANAGER, at: str = "", **body: Json) -> Entry:
        """Write the entry that would come next, without folding it."""
        time = at or self.state.time or START
        fields: Mapping[str, Json] = {**body, "actor": as_body(by)}
        return write_entry(self.state.size, self.state.last, time, type_, fields)

    def add(self, type_: str, /, *, by: Person = MANAGER, at: str = "", **body: Json) -> Entry:
        """Write the next entry and fold it."""
        entry = self.write(type_, by=by, at=at, **body)
        fold(self.state, entry)
        self.entries.append(entry)
        return entry

    def refuse(
        self, type_: str, rule: str, /, *, by: Person = MANAGER, at: str = "", **body: Json
    ) -> None:
        """Check that the next entry is refused by this rule and that nothing has changed."""
        entry = self.write(type_, by=by, at=at, **body)
        before = copy.deepcopy(self.state)
        with pytest.raises(RuleError) as refusal:
            fold(self.state, entry)
        assert rule in str(refusal.value.facts["rule"])
        assert refusal.value.facts["seq"] == entry.seq
        assert refusal.value.facts["type"] == type_
        assert self.state == before

    def create(self, cap: int = 12) -> "Chain":
        """Add `trial.created`."""
        self.add("trial.created", origin=ORIGIN, cap=cap, salt=hex32("salt"))
        return self

    def freeze(self, number: int = 1) -> "Chain":
        """Freeze the design of a list."""
        self.add("design.frozen", by=STATISTICIAN, list=number, design_sha256=hex32(f"D{number}"))
        return self

    def sealed(self, number: int = 1, **changed: Json) -> dict[str, Any]:
        """Return the body of a list's first sealing."""
        body: dict[str, Any] = {
            "list": number,
            "sealing": 1,
            "design_sha256": hex32(f"D{number}"),
            "root": hex32(f"R{number}"),
            "slots": [3, 2],
            "kid": hex32("kid")[:16],
            "wrap_sha256": hex32("wrap"),
        }
        return {**body, **changed}

    def seal(self, number: int = 1, **changed: Json) -> "Chain":
        """Freeze the design of a list and seal it."""
        self.freeze(number).add("list.sealed", by=STATISTICIAN, **self.sealed(number, **changed))
        return self

    def activate(self, number: int = 1, **changed: Json) -> "Chain":
        """Freeze, seal, approve and activate a list."""
        self.seal(number, **changed)
        root = hex32(f"R{number}")
        self.add("list.approved", by=SECOND, list=number, root=root, root_checked=True)
        self.add("list.activated", list=number)
        return self

    def slot(self, enrolment: object, stratum: int, slot: int, number: int = 1) -> dict[str, Any]:
        """Return the body of a `slot.assigned`."""
        return {
            "list": number,
            "stratum": stratum,
            "slot": slot,
            "leaf": hex32(f"leaf {number} {stratum} {slot}"),
            "enrolment": uuid(enrolment),
            "enrolment_sha256": hex32(f"record of {enrolment}"),
        }

    def assign(self, enrolment: object, stratum: int, slot: int, number: int = 1) -> Entry:
        """Assign a slot to an enrolment."""
        return self.add(
            "slot.assigned", by=PHYSICIAN, **self.slot(enrolment, stratum, slot, number)
        )

    def recover(self, *retired: int) -> Entry:
        """Add `log.recovered`, which retires these lists."""
        return self.add("log.recovered", **self.recovery(*retired))

    def recovery(self, *retired: int, **changed: Json) -> dict[str, Any]:
        """Return the body of a `log.recovered`."""
        body: dict[str, Any] = {
            "upto": self.state.size - 1,
            "fork_sha256": "",
            "retired": list(retired),
            "second": as_body(SECOND),
        }
        return {**body, **changed}
