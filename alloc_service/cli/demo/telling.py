"""The rehearsal, told step by step on the screen; each step says what it shows."""

from typing import NamedTuple

from alloc_service.cli import screen
from alloc_service.cli.demo.course import Course
from alloc_service.cli.demo.evidence import change_one_byte, verify_alone
from alloc_service.cli.demo.exposure import search
from alloc_service.cli.demo.rehearsal import PEOPLE, Rehearsal, stored_files
from alloc_service.cli.log import show_checks
from alloc_service.cli.progress import counting
from alloc_service.cli.report import show_arms
from alloc_service.core.generate import GeneratedList, generate
from alloc_service.sealing.escrow import EscrowedList
from alloc_service.services import bundles, lists, reports, sealed_lists, verification
from alloc_service.services.lists import SealedAndLogged

_FIRST_PAIR = ("dmc", "statistician")
_OTHER_PAIR = ("archive", "dmc")
_COLUMN = 14
_HOW = {
    "once": "asked for once",
    "again": "answer lost, asked again",
    "twice": "asked twice at once",
    "together": "two physicians at once",
}


class _Told(NamedTuple):
    name: str
    ok: bool
    detail: str


class Telling:
    """Tells a rehearsal, and remembers whether everything held.

    Args:
        rehearsal: Not yet begun.
        wanted: Allocations to make.
    """

    def __init__(self, rehearsal: Rehearsal, wanted: int) -> None:
        self._life = rehearsal
        self._wanted = wanted
        self._well = True

    def tell(self) -> bool:
        """Live the rehearsal from end to end; tell whether everything held."""
        screen.banner(self._life.trial)
        self._set_up()
        policy = bundles.read_policy(self._life.deps, self._life.trial)
        made = self._make_list()
        self._count(self._enrol())
        self._verify()
        kept, generated = self._regenerate(made)
        self._prove(policy)
        self._search(kept, generated)
        return self._well

    def _set_up(self) -> None:
        screen.title("1  An installation, a trial and its people")
        made = self._life.set_up()
        screen.facts(
            (
                ("Trial", f"{self._life.trial}, at most {self._life.definition.cap} participants"),
                ("Its log", f"{made.host}/{self._life.trial}/audit"),
                ("Sealing key", f"{made.kid}, in a folder that nobody else may enter"),
                ("administrator", "Ada Admin"),
                *((role.value, name) for _, _, name, role, _ in PEOPLE),
            )
        )

    def _make_list(self) -> SealedAndLogged:
        screen.title("2  The list: generated, sealed, in escrow, approved, activated")
        life, made = self._life, self._life.make_list()
        kept = life.open_kept(made, _FIRST_PAIR)
        root = generate(kept.design, kept.seed).root
        life.approve_and_activate(made.number, root)
        screen.facts(
            (
                ("Strata", ", ".join(life.definition.strata)),
                ("Slots", f"{kept.design.slots}, each sealed to its place"),
                ("Root, logged", made.root),
                ("Escrow", ", ".join(made.escrow)),
            )
        )
        self._check("generated", True, "by the statistician; the seed is in the escrow alone")
        self._check("escrow", not life.opens_alone(made), "no custodian opens it alone")
        self._check("approved", root == made.root, "by the second statistician, root regenerated")
        self._check("activated", True, "by the manager, after every slot was test-opened unseen")
        return made

    def _enrol(self) -> Course:
        screen.title(f"3  {self._wanted} participants")
        with counting("Enrolling", self._wanted) as told:
            course = self._life.enrol_all(self._wanted, told)
        last, habits = course.allocated[-1], course.by_habit.most_common()
        why = ", ".join(f"{code} {count}" for code, count in course.ineligible.most_common())
        screen.facts(
            (
                ("Screened", str(course.screened)),
                ("Not eligible", f"{course.ineligible.total()} ({why or 'none'})"),
                ("Allocated", str(len(course.allocated))),
                *((f"… {_HOW[habit]}", str(count)) for habit, count in habits),
                ("The last one", f"{last.participant}, number {last.randomization_number}"),
                ("… in stratum", last.stratum),
                ("… and arm", f"{last.arm}: {last.label}"),
                ("… due after a week", last.visits[0].due.isoformat()),
            )
        )
        self._check("same again", not course.faults, "whoever asked again saw the same allocation")
        numbers = [shown.randomization_number for shown in course.allocated]
        whole = sorted(numbers) == list(range(1, self._wanted + 1))
        self._check("one slot each", whole, "the numbers run from 1 without a gap")
        detail = f"{course.refused} requests for ineligible participants, logged, no slot spent"
        self._check("refused", course.refused > 0 or not course.ineligible, detail)
        if self._wanted == self._life.definition.cap:
            self._check("cap", course.after_cap, f"participant {self._wanted + 1} was refused")
        return course

    def _count(self, course: Course) -> None:
        screen.title("4  Counts by stratum and arm, for the data monitoring committee")
        life = self._life
        dmc = life.people["dmc.chair"]
        found = reports.count_arms(life.deps, dmc, life.trial, "demo")
        show_arms(life.definition, found)
        shown = dict.fromkeys((arm.code for arm in life.definition.arms), 0)
        for allocation in course.allocated:
            shown[allocation.arm] += 1
        counted = dict.fromkeys(shown, 0)
        for (_, code), count in found.counts.items():
            counted[code] += count
        self._check("counts", shown == counted, "they are what the physicians were shown")

    def _verify(self) -> None:
        screen.title("5  The log and every row that it speaks of")
        report = verification.verify(self._life.deps, self._life.trial)
        show_checks(report)
        self._well = self._well and report.ok

    def _regenerate(self, made: SealedAndLogged) -> tuple[EscrowedList, GeneratedList]:
        screen.title("6  The list again, from the escrow and two custodians")
        life = self._life
        kept = life.open_kept(made, _OTHER_PAIR)
        generated = generate(kept.design, kept.seed)
        person = life.people["zhao.lei"]
        equal = lists.log_regeneration(life.deps, person, life.trial, made.number, generated.root)
        screen.facts((("Root", generated.root), ("Opened by", " and ".join(_OTHER_PAIR))))
        self._check("root", equal, "it is the root that was logged before the first participant")
        return kept, generated

    def _prove(self, policy: str) -> None:
        screen.title("7  All evidence in one file, checked without this service")
        life, folder = self._life, self._life.folder / "committee"
        folder.mkdir()
        bundle = bundles.make_blinded(life.deps, life.people["dmc.chair"], life.trial)
        told = verify_alone(folder, bundle, policy)
        changed = verify_alone(folder, change_one_byte(bundle), policy)
        screen.facts(
            (
                ("Bundle", f"{len(bundle):,} bytes, without any arm"),
                ("Policy", "taken away before the list was made"),
                ("Verifier", "verify_bundle.py, with Python alone, in a process of its own"),
            )
        )
        good = "log, checkpoints and commitments are good by that policy"
        self._check("verified", told.good, good if told.good else told.words)
        self._check("changed", not changed.good, "with one bit of it turned it is refused")

    def _search(self, kept: EscrowedList, generated: GeneratedList) -> None:
        screen.title("8  What somebody with a copy of the database and the anchors sees")
        life = self._life
        screen.facts(
            (
                ("Sees", "who enrolled whom and when, each record, each stratum's count"),
                ("Does not see", "any arm, allocated or to come; any block size; the seed"),
            )
        )
        files = list(stored_files(life.settings))
        for finding in search(files, generated, kept.seed, life.definition):
            self._check(finding.name, finding.ok, finding.detail)
        person = life.people["zhao.lei"]
        for check in sealed_lists.check_sealed_list(life.deps, person, life.trial, 1):
            if check.name == "slots":
                self._check("one length", check.ok, check.detail)

    def _check(self, name: str, ok: bool, detail: str) -> None:
        self._well = self._well and ok
        screen.checks([_Told(name, ok, detail)], _COLUMN)
