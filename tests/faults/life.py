"""A whole trial in a folder of its own, made through the services, for tests that break it.

Making one takes seconds (keys, accounts, a sealed list, 240 enrolments). So it is made once for
each kind of database; a test gets a copy of folder and database, which is as real as the first.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from uuid import UUID

import pyrage  # type: ignore[import-untyped]  # the library ships no types
from argon2 import PasswordHasher
from sqlalchemy import make_url

from alloc_service.config import Settings
from alloc_service.core.design import Design, Stratum
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from alloc_service.permissions import Grant, Role
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import create_keys, load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.services import accounts, audit, enrolments, lists, trials
from alloc_service.services.accounts import NewAccount, Person
from alloc_service.services.deps import Clock, Deps
from alloc_service.services.passwords import Passwords
from alloc_service.services.reveal import Signature
from alloc_service.storage import queries
from alloc_service.storage.engine import PATIENCE, Database
from alloc_service.trial.definition import TrialDefinition, as_test, shipped_definition

HOST = "rac.example.org"
SITE = "XA01"
SEED = "5eed" * 16
NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
CUSTODIANS = ("archive", "dmc", "statistician")
ROLES = {
    "stat": Grant(Role.STATISTICIAN),
    "stat2": Grant(Role.SECOND_STATISTICIAN),
    "mgr": Grant(Role.MANAGER),
    "dmc": Grant(Role.DMC),
    "doc": Grant(Role.PHYSICIAN, SITE),
}

# What a password costs is no part of what is tested here.
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# One participant of each stratum, in the order of the design.
_LOW_MELD = {"age": "45", "bilirubin": "2.4", "inr": "1.5", "creatinine": "0.8", "dialysis": "no"}
_HIGH_MELD = {"age": "45", "bilirubin": "2.4", "inr": "1.5", "creatinine": "3.9", "dialysis": "no"}
_CP_9 = {"albumin": "3.0", "ascites": "mild", "encephalopathy": "grade-1-2"}
_CP_12 = {"albumin": "2.5", "ascites": "moderate-severe", "encephalopathy": "grade-1-2"}
FACTS: tuple[dict[str, str], ...] = (
    {**_LOW_MELD, **_CP_9},
    {**_HIGH_MELD, **_CP_9},
    {**_LOW_MELD, **_CP_12},
    {**_HIGH_MELD, **_CP_12},
)
UNITS = {"bilirubin": "mg/dL", "albumin": "g/dL", "creatinine": "mg/dL"}
# Participants come in this order of strata, as uneven as real ones.
ORDER = (0, 2, 0, 1, 0, 2, 3, 0)


def noon() -> datetime:
    """Return the one moment at which everything here happens."""
    return NOW


@dataclass(frozen=True)
class Home:
    """Where one installation is: the folder of keys and anchors, and its database."""

    folder: Path
    url: str

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(
            {"ALLOC_HOST": HOST, "ALLOC_HOME": str(self.folder), "ALLOC_DATABASE_URL": self.url}
        )

    @property
    def database_file(self) -> Path:
        """Return the path of a SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))

    @property
    def database_name(self) -> str:
        """Return the name of a PostgreSQL database."""
        return str(make_url(self.url).database)

    def open(self, clock: Clock = noon, patience: float = PATIENCE) -> Deps:
        """Open everything as `open_deps` does, with cheap passwords."""
        settings = self.settings
        sealer = LocalSealer(load_keys(settings.keys), settings.anchors, settings.host)
        database = Database(settings.database_url, patience)
        database.check()
        return Deps(database, sealer, clock, settings.host, Passwords(_CHEAP))

    def copy_to(self, folder: Path, url: str = "") -> "Home":
        """Copy keys and anchors and, where no URL is given, the SQLite file."""
        for name in ("keys", "var/anchors"):
            shutil.copytree(self.folder / name, folder / name)
        if not url:
            url = f"sqlite:///{folder / 'var' / 'alloc.db'}"
            copy_sqlite(self.database_file, folder / "var" / "alloc.db")
        return Home(folder, url)


@dataclass(frozen=True)
class Life:
    """A trial that has begun: its home, its people, its participants who wait for an arm.

    Attributes:
        home: Where it is.
        trial: Trial id.
        people: By user name; the password of each is `password_of(name)`.
        waiting: Enrolled, verified, not yet allocated.
        design: What the list was made from.
        seed: What it was drawn with, typed: only a trial for testing lets a test know its arms.
        root: The list's root.
        custodians: The escrow's recipients, by name.
    """

    home: Home
    trial: str
    people: Mapping[str, Person]
    waiting: tuple[UUID, ...]
    design: Design = field(repr=False)
    seed: str = field(repr=False)
    root: str
    custodians: Mapping[str, str]

    @property
    def origin(self) -> str:
        return audit.origin_of(HOST, self.trial)

    @property
    def anchor(self) -> Path:
        """Return the path of the trial's anchor."""
        name = hashlib.sha256(self.origin.encode()).hexdigest()
        return self.home.settings.anchors / f"{name}.anchor"

    def moved(self, home: Home) -> "Life":
        return replace(self, home=home)

    @property
    def arms(self) -> tuple[tuple[str, ...], ...]:
        """Return the list in clear: the arms of each stratum."""
        return generate_arms(self.design, self.seed)

    def sign(self, deps: Deps, enrolment: UUID, name: str = "doc") -> Signature:
        """Sign as `reveal.sign` would after the password was typed."""
        with deps.database.read() as session:
            draft = enrolments.read_draft(
                enrolments.definition_of(session, self.trial),
                queries.read_enrolment(session, enrolment),
            )
        return Signature(self.people[name], enrolment, draft.sha256, deps.clock())


@lru_cache
def generate_arms(design: Design, seed: str) -> tuple[tuple[str, ...], ...]:
    """Return what the list of a design and a seed must hold."""
    return generate(design, Seed.typed(seed, design)).arms


def password_of(name: str) -> str:
    return f"{name} has a long password"


def typed(
    definition: TrialDefinition, participant: str, stratum: int, **changed: str
) -> enrolments.Typed:
    """Return an eligible participant of a stratum, by its index in the design."""
    answers = {
        item.code: "yes" if item.kind == "inclusion" else "no"
        for item in definition.criteria
        if item.how == "asked"
    }
    return enrolments.Typed(
        participant=participant,
        consent_time="2026-03-01 09:15",
        consent_version=definition.consent.version,
        facts={**FACTS[stratum], **changed},
        units=UNITS,
        answers=answers,
    )


def make_home(folder: Path, url: str = "") -> Home:
    """Make keys, register and, where no URL is given, a SQLite database."""
    (folder / "var").mkdir(mode=0o700, parents=True)
    home = Home(folder, url or f"sqlite:///{folder / 'var' / 'alloc.db'}")
    keys = create_keys(home.settings.keys)
    Register.create(home.settings.anchors, keys.kid)
    database = Database(home.url)
    database.upgrade()
    database.dispose()
    return home


def begin_life(
    home: Home,
    definition: TrialDefinition | None = None,
    design: Design | None = None,
    seed: str = SEED,
    participants: int = 24,
) -> Life:
    """Lead a trial from its definition to an active list and participants who wait."""
    definition = definition or as_test(shipped_definition())
    design = design or _design_of(definition, participants)
    deps = home.open()
    accounts.create_first_administrator(
        deps, NewAccount("admin", "p-admin", "Ada Admin", SITE), password_of("admin")
    )
    people = {"admin": accounts.authenticate(deps, "admin", password_of("admin"))}
    trial = trials.create(deps, people["admin"], definition)
    for name, grant in ROLES.items():
        people[name] = _add_person(deps, people["admin"], trial, name, grant)
    custodians = {name: str(pyrage.x25519.Identity.generate().to_public()) for name in CUSTODIANS}
    made = lists.generate(deps, people["stat"], design, custodians, seed)
    lists.approve(deps, people["stat2"], trial, made.number, made.root)
    lists.activate(deps, people["mgr"], trial, made.number)
    trials.change_site(deps, people["mgr"], trial, SITE, active=True)
    waiting = tuple(
        enrolments.enrol(
            deps, people["doc"], trial, SITE, typed(definition, f"P-{at:03}", ORDER[at % 8])
        ).id
        for at in range(participants)
    )
    deps.database.dispose()
    return Life(home, trial, people, waiting, design, seed, made.root, custodians)


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database whole, its write-ahead log included, as a backup does."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
    target.chmod(0o600)


def replace_sqlite(source: Path, target: Path) -> None:
    """Put a copy of another database in a database's place, as somebody who restores does."""
    beside = target.with_name("restored.db")
    copy_sqlite(source, beside)
    for ending in ("-wal", "-shm"):
        beside.with_name(beside.name + ending).unlink(missing_ok=True)
    beside.replace(target)
    for ending in ("-wal", "-shm"):
        target.with_name(target.name + ending).unlink(missing_ok=True)


def _design_of(definition: TrialDefinition, slots: int) -> Design:
    """Return the definition's design, with so many slots in each stratum."""
    design = definition.design()
    return replace(design, strata=tuple(Stratum(item.code, slots) for item in design.strata))


def _add_person(deps: Deps, admin: Person, trial: str, name: str, grant: Grant) -> Person:
    first = accounts.add_account(deps, admin, NewAccount(name, f"p-{name}", f"Dr {name}", SITE))
    accounts.change_password(deps, name, first, password_of(name))
    accounts.add_grant(deps, admin, trial, name, grant)
    return accounts.authenticate(deps, name, password_of(name))
