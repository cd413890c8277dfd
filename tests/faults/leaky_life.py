"""A life with everything that could make a trial say too much: refusals, faults and attacks.

It is led the same way whatever the seed, so that what two such lives leave behind differs only
in what depends on the list.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import TextClause, text

from alloc_service.core.design import Design, Stratum
from alloc_service.errors import RefusalError
from alloc_service.permissions import Grant, Role
from alloc_service.services import accounts, enrolments, grants, lists, reports, reveal, trials
from alloc_service.services.deps import Deps
from alloc_service.storage import queries, triggers
from alloc_service.trial.definition import TrialDefinition, as_test, parse_definition
from tests.faults.life import SITE, Life, typed

ARMS = {'code = "CONV"': "WQXZJ.KLMVW", 'code = "MSC"': "VJQ+XWZ"}
LABELS = {
    "Active comparator: conventional": "Wqxzj label of the first",
    "Experimental: UC-MSC transplantation": "Vjqxwz label of the other",
}
BLOCKS = {
    "{ size = 4, weight = 1 }": "{ size = 14, weight = 977 }",
    "{ size = 6, weight = 1 }": "{ size = 22, weight = 983 }",
}
SLOTS = (12, 12, 12, 1)
OTHER_SEED = "0ddba11" * 9 + "0"


def marked_definition(shipped: str) -> TrialDefinition:
    """Return the shipped trial with arms, labels and block sizes that nothing else spells."""
    codes = {old: f'code = "{new}"' for old, new in ARMS.items()}
    for old, new in {**codes, **LABELS, **BLOCKS}.items():
        assert old in shipped
        shipped = shipped.replace(old, new)
    return as_test(parse_definition(shipped, "marked.toml"))


def marked_design(definition: TrialDefinition, number: int = 1) -> Design:
    design = definition.design(number)
    strata = zip(design.strata, SLOTS, strict=True)
    return replace(design, strata=tuple(Stratum(item.code, slots) for item, slots in strata))


class LeakyLife:
    """Leads one life and keeps every refusal that it met."""

    def __init__(self, life: Life, deps: Deps, definition: TrialDefinition) -> None:
        self.life = life
        self.deps = deps
        self.definition = definition
        self.refusals: list[RefusalError] = []
        self.second_design = marked_design(definition, 2)

    def lead(self) -> None:
        """Do everything, in an order that does not depend on the list."""
        for enrolment in self.life.waiting[:6]:
            self.allocate(enrolment)
        reveal.read_again(self.deps, self.person("doc"), self.life.waiting[0])
        reports.count_arms(self.deps, self.person("dmc"), self.life.trial, "review")
        lists.read_design(self.deps, self.person("stat"), self.life.trial, 1)
        reports.export_log(self.deps, self.person("dmc"), self.life.trial)
        self.ask_wrongly()
        self.ask_in_a_wrong_state()
        self.make_lists_wrongly()
        self.doctor_rows()
        self.allocate(self.life.waiting[7])

    def close(self) -> None:
        self.deps.database.dispose()

    def person(self, name: str) -> accounts.Person:
        return self.life.people[name]

    def allocate(self, enrolment: UUID) -> None:
        signature = self.life.sign(self.deps, enrolment)
        reveal.reveal(self.deps, self.person("doc"), enrolment, signature)

    def refuse(self, act: Callable[[], object]) -> None:
        """Do what must be refused."""
        try:
            act()
        except RefusalError as refusal:
            self.refusals.append(refusal)
            return
        raise AssertionError("this was not refused")

    def enrol(self, participant: str, stratum: int = 0, **changes: str) -> UUID:
        given = typed(self.definition, participant, stratum, **changes)
        doc, trial = self.person("doc"), self.life.trial
        return enrolments.enrol(self.deps, doc, trial, SITE, given).id

    def ask_wrongly(self) -> None:
        deps, doc, one = self.deps, self.person("doc"), self.life.waiting[6]
        good = self.life.sign(deps, one)
        self.refuse(lambda: reveal.sign(deps, "doc", "another password, wrong", one))
        self.refuse(lambda: reveal.reveal(deps, doc, one, None))
        old = replace(good, at=good.at - timedelta(minutes=6))
        self.refuse(lambda: reveal.reveal(deps, doc, one, old))
        self.refuse(lambda: reveal.reveal(deps, doc, self.life.waiting[7], good))
        self.refuse(lambda: reveal.reveal(deps, self.person("mgr"), one, good))
        self.refuse(lambda: reveal.read_again(deps, doc, one))
        self.refuse(lambda: reveal.reveal(deps, doc, uuid4(), good))
        self.refuse(lambda: reports.count_arms(deps, doc, self.life.trial, "curiosity"))
        self.refuse(lambda: lists.read_design(deps, doc, self.life.trial, 1))
        self.refuse(lambda: self.enrol("P-000"))
        self.refuse(lambda: self.enrol("P-900", age="-4"))
        self.refuse(lambda: self.enrol("13912345678"))
        too_old = self.enrol("P-901", age="80")
        self.refuse(lambda: self.allocate(too_old))
        incomplete = self.enrol("P-902", inr="")
        self.refuse(lambda: self.allocate(incomplete))

    def ask_in_a_wrong_state(self) -> None:
        deps, mgr, trial, one = self.deps, self.person("mgr"), self.life.trial, self.life.waiting[7]
        trials.change_state(deps, mgr, trial, "pause", code="dsmb", reason="As agreed.")
        self.refuse(lambda: self.allocate(one))
        trials.change_state(deps, mgr, trial, "resume", code="dsmb", reason="As agreed.")
        trials.change_site(deps, mgr, trial, SITE, active=False)
        self.refuse(lambda: self.allocate(one))
        trials.change_site(deps, mgr, trial, SITE, active=True)
        trials.change_cap(deps, mgr, trial, 6)
        self.refuse(lambda: self.allocate(one))
        trials.change_cap(deps, mgr, trial, 240)
        last = self.enrol("P-903", 3)
        self.allocate(self.enrol("P-904", 3))
        self.refuse(lambda: self.allocate(last))

    def make_lists_wrongly(self) -> None:
        deps, trial, stat = self.deps, self.life.trial, self.person("stat")
        custodians = self.life.custodians
        design, definition = self.second_design, self.definition
        self.refuse(lambda: lists.generate(deps, stat, design, custodians, "7" * 64))
        strata = replace(design, strata=design.strata[:2])
        self.refuse(lambda: lists.generate(deps, stat, strata, custodians))
        self.refuse(lambda: lists.generate(deps, stat, marked_design(definition), custodians))
        self.refuse(lambda: lists.generate(deps, self.person("doc"), design, custodians))
        made = lists.generate(deps, stat, design, custodians, OTHER_SEED)
        self.refuse(lambda: lists.approve(deps, self.person("stat2"), trial, 2, "0" * 64))
        self.refuse(lambda: lists.approve(deps, stat, trial, 2, made.root))
        self.refuse(lambda: lists.activate(deps, self.person("mgr"), trial, 2))
        lists.approve(deps, self.person("stat2"), trial, 2, made.root)
        with self.swapped_blobs(2, (0, 3), (0, 4)):
            self.refuse(lambda: lists.activate(deps, self.person("mgr"), trial, 2))
        lists.activate(deps, self.person("mgr"), trial, 2)
        grant = Grant(Role.PHYSICIAN, SITE)
        self.refuse(lambda: grants.add_grant(deps, self.person("admin"), trial, "stat", grant))

    def doctor_rows(self) -> None:
        """Exchange rows under the service: each look is refused, and goes on when they are back."""
        deps, doc, one = self.deps, self.person("doc"), self.life.waiting[0]
        with self.swapped_blobs(1, (0, 0), (0, 11)):
            self.refuse(lambda: reveal.read_again(deps, doc, one))
        with self.exchanged("list_sealing", "wrap", "list_number = 1", bytes(80)):
            self.refuse(lambda: reveal.read_again(deps, doc, one))
        with self.exchanged("randomization_list", "design_sealed", "number = 1", bytes(900)):
            self.refuse(lambda: lists.read_design(deps, self.person("stat"), self.life.trial, 1))
        where = f"id = '{one.hex if deps.database.dialect == 'sqlite' else one}'"
        with self.exchanged("enrolment", "record", where, b"{}"):
            self.refuse(lambda: reveal.read_again(deps, doc, one))
        moved = self.life.anchor.with_suffix(".moved")
        self.life.anchor.rename(moved)
        self.refuse(lambda: self.allocate(self.life.waiting[7]))
        moved.rename(self.life.anchor)
        reveal.read_again(deps, doc, one)

    @contextmanager
    def swapped_blobs(
        self, number: int, one: tuple[int, int], other: tuple[int, int]
    ) -> Iterator[None]:
        """Let two sealed slots hold each other's blob."""
        blobs = {}
        with self.deps.database.read() as session:
            for place in (one, other):
                row = queries.read_sealed_slot(session, self.life.trial, number, 1, place)
                blobs[place] = row.blob
        where = "list_number = {} AND stratum = {} AND slot = {}"
        with (
            self.exchanged("sealed_slot", "blob", where.format(number, *one), blobs[other]),
            self.exchanged("sealed_slot", "blob", where.format(number, *other), blobs[one]),
        ):
            yield

    @contextmanager
    def exchanged(self, table: str, column: str, where: str, value: bytes) -> Iterator[None]:
        """Exchange one value of one row, as somebody who rules the database can; put it back."""
        with self.deps.database.read() as session:
            before = session.scalars(text(f"SELECT {column} FROM {table} WHERE {where}")).one()
        change = text(f"UPDATE {table} SET {column} = :value WHERE {where}")
        self._attack(change, value)
        yield
        self._attack(change, bytes(before))

    def _attack(self, change: TextClause, value: bytes) -> None:
        with self.deps.database.write() as tx, triggers.lifted(tx.connection()):
            tx.execute(change, {"value": value})
