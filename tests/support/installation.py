"""A whole installation for tests of the services: database, keys, anchors, people and a trial.

Nothing in it is a stand-in: only the clock is held still, and Argon2 is made cheap.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import text

from alloc_service.core.design import Design
from alloc_service.log.entry import Entry, read_entry
from alloc_service.log.state import LogState
from alloc_service.permissions import Grant, Role
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.services import accounts, audit, enrolments, lists, reveal, trials
from alloc_service.services.accounts import NewAccount, Person
from alloc_service.services.deps import Deps
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.services.lists import SealedAndLogged
from alloc_service.services.passwords import Passwords
from alloc_service.services.reveal import Allocation, Signature
from alloc_service.storage import queries, triggers
from alloc_service.storage.engine import Database
from alloc_service.trial.definition import TrialDefinition, shipped_definition

HOST = "rac.example.org"
SECRET = bytes(range(32))
START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)

# Argon2 as cheap as it gets: what is tested is what it is asked, not how long it takes.
_PASSWORDS = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        """Move on, or back, by what `timedelta` takes."""
        self.now += timedelta(**parts)


def password_of(username: str) -> str:
    """Return the password that everybody's account has here."""
    return f"{username} has a long password"


def small_definition() -> TrialDefinition:
    """Return a trial of two strata of six slots, two sites, two facts and a cap of ten."""
    document: dict[str, Any] = shipped_definition().model_dump(by_alias=True, exclude_none=True)
    years = {"code": "a", "label": "years", "per_base": 1, "possible": [0, 120], "likely": [16, 85]}
    choices = [{"code": code, "label": code} for code in ("mild", "moderate", "severe")]
    levels = [
        {"code": "mild", "label": "mild", "choices": ["mild"]},
        {"code": "severe", "label": "worse than mild", "choices": ["moderate", "severe"]},
    ]
    age = {"source": "age", "rounding": "exact", "at_least": 18, "at_most": 65}
    return TrialDefinition.model_validate(
        document
        | {
            "id": "TEST-SMALL",
            "title": "A small trial for tests",
            "cap": 10,
            "to_be_confirmed": [],
            "arms": [
                {"code": "SUNRISE-7Q", "ratio": 1, "label": "Sunrise", "instruction": "Get up."},
                {"code": "MOONSET-7Q", "ratio": 1, "label": "Moonset", "instruction": "Lie down."},
            ],
            "sites": [
                document["sites"][0],
                document["sites"][0] | {"code": "BE02", "time_zone": "Europe/Berlin"},
            ],
            "facts": [
                {"code": "age", "kind": "integer", "label": "Age", "units": [years]},
                {"code": "severity", "kind": "choice", "label": "Severity", "choices": choices},
            ],
            "scores": [],
            "factors": [
                {
                    "code": "severity",
                    "kind": "levels",
                    "label": "Severity",
                    "source": "severity",
                    "levels": levels,
                }
            ],
            "criteria": [
                {"code": "age", "kind": "inclusion", "how": "checked", "text": "18 to 65.", **age},
                {"code": "written", "kind": "inclusion", "how": "asked", "text": "Consent."},
                {"code": "cancer", "kind": "exclusion", "how": "asked", "text": "Cancer."},
            ],
            "visits": [{"code": "week-1", "label": "1 week", "weeks": 1}],
            "design": {
                "list_number": 1,
                "slots": 6,
                "blocks": [{"size": 2, "weight": 1}, {"size": 4, "weight": 1}],
            },
        }
    )


def type_small(participant: str = "P-001", **changes: Any) -> Typed:
    """Return an eligible participant of the small trial; facts and answers change by name."""
    facts = {"age": "45", "severity": "mild"} | changes.pop("facts", {})
    answers = {"written": "yes", "cancer": "no"} | changes.pop("answers", {})
    typed = Typed(participant, "2026-03-01 09:15", "1", facts, answers=answers)
    return replace(typed, **changes)


def type_shipped(participant: str = "P-001", **changes: Any) -> Typed:
    """Return an eligible participant of the shipped trial: Child-Pugh 9, MELD 13."""
    facts = {
        "age": "52",
        "bilirubin": "2.4",
        "albumin": "30",
        "inr": "1.5",
        "creatinine": "70",
        "dialysis": "no",
        "ascites": "mild",
        "encephalopathy": "grade-1-2",
    }
    units = {"bilirubin": "mg/dL", "albumin": "g/L", "creatinine": "umol/L"}
    answers = dict.fromkeys(("hbv-cirrhosis", "written-consent"), "yes") | dict.fromkeys(
        (
            "malignancy",
            "vital-organs",
            "pregnancy-lactation",
            "bacterial-infection",
            "follow-up-difficulty",
            "not-applicable",
        ),
        "no",
    )
    facts |= changes.pop("facts", {})
    answers |= changes.pop("answers", {})
    return replace(
        Typed(participant, "2026-03-01 09:15", "1", facts, units, (), answers), **changes
    )


@dataclass
class Installation:
    """One installation, its trial and its people; everybody is signed in.

    Attributes:
        home: Folder of keys and anchors, and of the SQLite file.
        url: The database's.
        clock: Everybody's.
        deps: What the services are given.
        definition: The trial's, with its design table.
        people: By user name.
        identities: Of the escrow's custodians, by name: age X25519.
        custodians: Their recipients, by name.
        opened: Every deps that were opened here.
    """

    home: Path
    url: str
    clock: Clock
    deps: Deps
    definition: TrialDefinition
    people: dict[str, Person] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    custodians: dict[str, str] = field(default_factory=dict)
    opened: list[Deps] = field(default_factory=list)

    @property
    def trial(self) -> str:
        """Return the trial's id."""
        return self.definition.id

    @property
    def origin(self) -> str:
        """Return the name of the trial's log."""
        return audit.origin_of(HOST, self.trial)

    def add_account(self, username: str, person: str = "") -> Person:
        """Add an account, give it its own password and sign in."""
        new = NewAccount(username, person or f"p-{username}", f"Dr {username}", "XA01")
        once = accounts.add_account(self.deps, self.people["admin"], new)
        accounts.change_password(self.deps, username, once, password_of(username))
        self.people[username] = self.sign_in(username)
        return self.people[username]

    def sign_in(self, username: str) -> Person:
        """Return who has this user name, after the password."""
        return accounts.authenticate(self.deps, username, password_of(username))

    def grant(self, username: str, role: Role, site: str = "") -> Entry:
        """Give somebody a role in the trial."""
        admin = self.people["admin"]
        return accounts.add_grant(self.deps, admin, self.trial, username, Grant(role, site))

    def generate(self, number: int = 1, design: Design | None = None) -> SealedAndLogged:
        """Generate and seal a list of the trial."""
        design = design or self.definition.design(number)
        return lists.generate(self.deps, self.people["stat"], design, self.custodians)

    def approve(self, number: int = 1) -> Entry:
        """Have the second statistician approve a list without an own regeneration."""
        return lists.approve(self.deps, self.people["second"], self.trial, number, None)

    def activate(self, number: int = 1) -> Entry:
        """Have the manager activate a list."""
        return lists.activate(self.deps, self.people["manager"], self.trial, number)

    def change_site(self, site: str = "XA01", *, active: bool) -> Entry:
        """Have the manager activate or pause a site."""
        return trials.change_site(
            self.deps, self.people["manager"], self.trial, site, active=active
        )

    def change_state(self, change: str) -> Entry:
        """Have the manager pause, resume or close the trial."""
        return trials.change_state(
            self.deps, self.people["manager"], self.trial, change, code="dsmb", reason="as agreed"
        )

    def enrol(self, typed: Typed | None = None, by: str = "doc", site: str = "XA01") -> Draft:
        """Enrol somebody of the small trial, or whoever was typed."""
        typed = typed or type_small()
        return enrolments.enrol(self.deps, self.people[by], self.trial, site, typed)

    def sign(self, draft: Draft, by: str = "doc") -> Signature:
        """Sign a draft as it is now."""
        return reveal.sign(self.deps, by, password_of(by), draft.id)

    def reveal(self, draft: Draft, by: str = "doc") -> Allocation:
        """Sign a draft and have it allocated."""
        return reveal.reveal(self.deps, self.people[by], draft.id, self.sign(draft, by))

    def allocate(self, participant: str = "P-001", **changes: Any) -> Allocation:
        """Enrol, sign and allocate somebody of the small trial."""
        return self.reveal(self.enrol(type_small(participant, **changes)))

    def entries(self, *types: str) -> list[Entry]:
        """Return the stored log, or its entries of some types."""
        with self.deps.database.read() as session:
            rows = [read_entry(row.data) for row in queries.read_entries(session, self.trial)]
        return [entry for entry in rows if not types or entry.type in types]

    def refused(self) -> list[str]:
        """Return the codes of the refusals in the log, oldest first."""
        return [str(entry.body["code"]) for entry in self.entries("allocation.refused")]

    def state(self) -> LogState:
        """Return what the stored log means."""
        with self.deps.database.read() as session:
            return audit.read_state(session, self.trial)

    def spent(self) -> int:
        """Return how many slots the stored log has assigned."""
        return len(self.state().assigned)

    def open_anew(self) -> Deps:
        """Return the deps of another process on the same files and the same clock."""
        self.opened.append(open_test_deps(self.home, self.url, self.clock))
        return self.opened[-1]

    def close(self) -> None:
        """Close every connection."""
        for deps in self.opened:
            deps.database.dispose()

    def attack(self, statement: str, **facts: object) -> None:
        """Run a statement as somebody who rules the database, triggers or not."""
        with self.deps.database.write() as tx, triggers.lifted(tx.connection()):
            tx.execute(text(statement), facts)

    def exchange(self, table: str, column: str, one: str, other: str) -> None:
        """Exchange a column of two rows, each named by a condition."""
        ((first,),) = self.ask(f"SELECT {column} FROM {table} WHERE {one}")
        ((second,),) = self.ask(f"SELECT {column} FROM {table} WHERE {other}")
        for where, value in ((one, second), (other, first)):
            self.attack(f"UPDATE {table} SET {column} = :value WHERE {where}", value=value)

    def ask(self, statement: str, **facts: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.deps.database.read() as session:
            return [tuple(row) for row in session.execute(text(statement), facts)]


def open_test_deps(home: Path, url: str, clock: Clock) -> Deps:
    """Open an installation with cheap passwords."""
    sealer = LocalSealer(load_keys(home / "keys"), home / "anchors", HOST)
    return Deps(Database(url), sealer, clock, HOST, _PASSWORDS, secret=SECRET)
