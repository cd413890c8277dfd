"""A whole installation with an active trial, for the benchmark of reveals."""

from pathlib import Path

from alloc_service.config import Settings
from alloc_service.permissions import Grant, Role
from alloc_service.sealing import age
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import create_keys
from alloc_service.services import accounts, enrolments, lists, reveal, trials
from alloc_service.services.accounts import NewAccount, Person
from alloc_service.services.deps import open_deps
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.services.reveal import Allocation, Signature
from alloc_service.storage.engine import Database
from alloc_service.trial.definition import as_test, shipped_definition
from alloc_service.trial.tables import AskedCriterion

PASSWORD = "correct horse battery staple"  # noqa: S105  of an installation that is thrown away
SITE = "XA01"


class Installation:
    """Keys, anchors, a migrated database, and the shipped trial as a test, ready to allocate.

    Args:
        folder: Where keys and anchors go.
        url: Of an empty database.
    """

    def __init__(self, folder: Path, url: str) -> None:
        settings = Settings.from_environment(
            {"ALLOC_HOST": "rac.example.org", "ALLOC_HOME": str(folder), "ALLOC_DATABASE_URL": url}
        )
        Register.create(settings.anchors, create_keys(settings.keys).kid)
        Database(settings.database_url).upgrade()
        self.deps = open_deps(settings)
        self.definition = as_test(shipped_definition())
        accounts.create_first_administrator(self.deps, _new("admin"), PASSWORD)
        self.administrator = accounts.authenticate(self.deps, "admin", PASSWORD)
        self.trial = trials.create(self.deps, self.administrator, self.definition)
        self._activate()

    def signed_enrolments(self, count: int) -> list[tuple[Draft, Signature]]:
        """Return enrolments that wait for their allocation, each signed now."""
        made = []
        for number in range(count):
            draft = enrolments.enrol(
                self.deps, self.physician, self.trial, SITE, self._typed(number)
            )
            made.append(
                (draft, Signature(self.physician, draft.id, draft.sha256, self.deps.clock()))
            )
        return made

    def reveal(self, signed: tuple[Draft, Signature]) -> Allocation:
        """Reveal one of them."""
        draft, signature = signed
        return reveal.reveal(self.deps, self.physician, draft.id, signature)

    def _person(self, username: str, role: Role, site: str = "") -> Person:
        once = accounts.add_account(self.deps, self.administrator, _new(username))
        accounts.change_password(self.deps, username, once, PASSWORD)
        accounts.add_grant(self.deps, self.administrator, self.trial, username, Grant(role, site))
        return accounts.authenticate(self.deps, username, PASSWORD)

    def _activate(self) -> None:
        self.physician = self._person("physician", Role.PHYSICIAN, SITE)
        first = self._person("statistician", Role.STATISTICIAN)
        second = self._person("second", Role.SECOND_STATISTICIAN)
        manager = self._person("manager", Role.MANAGER)
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


def _new(username: str) -> NewAccount:
    return NewAccount(username, f"p-{username}", f"Dr {username}", SITE)
