"""A whole installation with an active trial, for the benchmarks of reveals and of pages."""

from importlib import resources
from pathlib import Path

from argon2 import PasswordHasher

from alloc_service.config import Settings
from alloc_service.permissions import Grant, Role
from alloc_service.sealing import age
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import create_keys
from alloc_service.services import accounts, enrolments, lists, reveal, trials
from alloc_service.services.accounts import NewAccount, Person
from alloc_service.services.deps import Deps, open_deps
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.services.passwords import Passwords
from alloc_service.services.reveal import Allocation, Signature
from alloc_service.storage.engine import Database
from alloc_service.trial.definition import TrialDefinition, as_test, parse_definition
from alloc_service.trial.tables import AskedCriterion

PASSWORD = "correct horse battery staple"  # noqa: S105  of an installation that is thrown away
SITE = "XA01"


# As cheap as Argon2 gets, for what is measured without it; a stored hash says its own cost.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Installation:
    """Keys, anchors, a migrated database, and the shipped trial as a test, ready to allocate.

    Args:
        folder: Where keys and anchors go.
        url: Of an empty database.
        room: How many participants the trial may have, and slots a stratum.
        physicians: How many there are, all at one site.
        hasher: Hashes the passwords; Argon2id at its usual cost without one.

    Attributes:
        environ: Names the installation.
        deps: The services'.
        trial: The trial's id.
        physicians: Who may allocate.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        room: int = 240,
        physicians: int = 1,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.environ = {
            "ALLOC_HOST": "rac.example.org", "ALLOC_HOME": str(folder), "ALLOC_DATABASE_URL": url
        }  # fmt: skip
        settings = Settings.from_environment(self.environ)
        Register.create(settings.anchors, create_keys(settings.keys).kid)
        Database(settings.database_url).upgrade()
        opened = open_deps(settings)
        self.deps = Deps(
            opened.database, opened.sealer, opened.clock, opened.host, Passwords(hasher)
        )
        self.definition = _definition(room)
        accounts.create_first_administrator(self.deps, _new("admin"), PASSWORD)
        self.administrator = accounts.authenticate(self.deps, "admin", PASSWORD)
        self.trial = trials.create(self.deps, self.administrator, self.definition)
        self.physicians = [
            self.add_person(f"physician{at}", Role.PHYSICIAN, SITE) for at in range(physicians)
        ]
        self._drafts = 0
        self._activate()

    def enrol(self, count: int, physician: int = 0) -> list[Draft]:
        """Return enrolments of one physician that wait for their signature."""
        numbers = range(self._drafts, self._drafts + count)
        self._drafts += count
        person = self.physicians[physician]
        return [
            enrolments.enrol(self.deps, person, self.trial, SITE, self._typed(number))
            for number in numbers
        ]

    def signed_enrolments(self, count: int) -> list[tuple[Draft, Signature]]:
        """Return enrolments that wait for their allocation, each signed now."""
        person, clock = self.physicians[0], self.deps.clock
        return [
            (draft, Signature(person, draft.id, draft.sha256, clock()))
            for draft in self.enrol(count)
        ]

    def reveal(self, signed: tuple[Draft, Signature]) -> Allocation:
        """Reveal one of them."""
        draft, signature = signed
        return reveal.reveal(self.deps, self.physicians[0], draft.id, signature)

    def add_person(self, username: str, role: Role, site: str = "") -> Person:
        """Return somebody new in a role of the trial, who has chosen a password."""
        once = accounts.add_account(self.deps, self.administrator, _new(username))
        accounts.change_password(self.deps, username, once, PASSWORD)
        accounts.add_grant(self.deps, self.administrator, self.trial, username, Grant(role, site))
        return accounts.authenticate(self.deps, username, PASSWORD)

    def _activate(self) -> None:
        first = self.add_person("statistician", Role.STATISTICIAN)
        second = self.add_person("second", Role.SECOND_STATISTICIAN)
        manager = self.add_person("manager", Role.MANAGER)
        custodians = {name: age.make_identity()[1] for name in ("archive", "dmc", "statistician")}
        made = lists.generate(self.deps, first, self.definition.design(), custodians)
        lists.approve(self.deps, second, self.trial, made.number, made.root)
        lists.activate(self.deps, manager, self.trial, made.number)
        trials.change_site(self.deps, manager, self.trial, SITE, active=True)

    def _typed(self, number: int) -> Typed:
        answers = {
            item.code: "yes" if item.kind == "inclusion" else "no"
            for item in self.definition.criteria
            if isinstance(item, AskedCriterion)
        }
        return Typed(
            participant=f"B-{number:04}",
            consent_time="2026-01-02 09:15",
            consent_version=self.definition.consent.version,
            facts={
                "age": "45",
                "bilirubin": "3.5",
                "albumin": "2.5",
                "inr": "1.8",
                "creatinine": "1.1",
                "dialysis": "no",
                "ascites": "mild",
                "encephalopathy": "none",
            },
            units={"bilirubin": "mg/dL", "albumin": "g/dL", "creatinine": "mg/dL"},
            answers=answers,
        )


def _definition(room: int) -> TrialDefinition:
    name = "nct01728727.toml"
    text = resources.files("alloc_service.trial").joinpath(name).read_text("utf-8")
    for told in ("cap = 240", "slots = 240"):
        text = text.replace(told, told.replace("240", str(room)))
    return as_test(parse_definition(text, name))


def _new(username: str) -> NewAccount:
    return NewAccount(username, f"p-{username}", f"Dr {username}", SITE)
