"""The life of a simulated trial, through the services that a real one lives through.

A step returns what there is to tell of it. Time is simulated: it begins when the trial began, or
when it is told to, and moves with each arrival. In a demonstration a password costs a third of the
work that it costs in earnest: some three hundred are typed within a minute. Everything else is as
in earnest.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from argon2 import PasswordHasher

from alloc_service.cli.demo.course import Course, SimulatedClock
from alloc_service.cli.demo.simulator import Arrival, arrivals
from alloc_service.config import Settings
from alloc_service.errors import CapReachedError, EscrowError, NotEligibleError
from alloc_service.permissions import Grant, Role
from alloc_service.sealing.age import make_identity
from alloc_service.sealing.escrow import EscrowedList, escrow_name, open_escrow
from alloc_service.services import accounts, enrolments, installation, lists, reveal, trials
from alloc_service.services.accounts import NewAccount, Person
from alloc_service.services.deps import Deps, open_deps
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.services.lists import SealedAndLogged
from alloc_service.services.passwords import Passwords
from alloc_service.services.reveal import Allocation
from alloc_service.trial.definition import TrialDefinition, as_test, shipped_definition

HOST = "demo.example.org"
SITE = "XA01"
BEGINS = datetime(2012, 9, 3, 1, 0, tzinfo=UTC)
CUSTODIANS = ("archive", "dmc", "statistician")
PEOPLE = (
    ("chen.yu", "P-02", "Chen Yu", Role.STATISTICIAN, ""),
    ("zhao.lei", "P-03", "Zhao Lei", Role.SECOND_STATISTICIAN, ""),
    ("zhang.min", "P-04", "Zhang Min", Role.MANAGER, ""),
    ("dmc.chair", "P-05", "Sun Hong", Role.DMC, ""),
    ("li.na", "P-06", "Dr. Li Na", Role.PHYSICIAN, SITE),
    ("wang.fang", "P-07", "Dr. Wang Fang", Role.PHYSICIAN, SITE),
)
PHYSICIANS = ("li.na", "wang.fang")
CONSENT_BEFORE = timedelta(hours=6)
ASKED_ANYWAY = 5  # so many ineligible participants are asked for all the same


@dataclass(frozen=True, slots=True)
class _Asked:
    """An eligible participant, and the physician who signs."""

    draft: Draft
    habit: str
    username: str


class Rehearsal:
    """One simulated trial in one folder.

    Attributes:
        folder: It.
        definition: TEST-NCT01728727.
        settings: Everything in the folder.
        deps: The services' own.
        recipients: Of three fresh custodians; in a real trial each makes their own key pair.
        identities: What opens for them, two together.
        people: By user name.
        passwords: Their own, by user name.
    """

    def __init__(
        self,
        folder: Path,
        host: str = HOST,
        begins: datetime = BEGINS,
        passwords: Passwords | None = None,
    ) -> None:
        self.folder = folder
        self.definition: TrialDefinition = as_test(shipped_definition())
        self.settings = Settings.from_environment({"ALLOC_HOST": host, "ALLOC_HOME": str(folder)})
        self._hashing = passwords or Passwords(PasswordHasher(time_cost=1))
        pairs = {name: make_identity() for name in CUSTODIANS}
        self.recipients = {name: recipient for name, (_, recipient) in pairs.items()}
        self.identities = {name: identity for name, (identity, _) in pairs.items()}
        self.people: dict[str, Person] = {}
        self._clock = SimulatedClock(begins)
        self.passwords: dict[str, str] = {}
        self.deps: Deps
        self._open = contextlib.ExitStack()

    @property
    def trial(self) -> str:
        """Return the trial's id."""
        return self.definition.id

    def set_up(self) -> installation.Installation:
        """Make the installation, the trial and its people, each with a password of their own."""
        password = secrets.token_urlsafe(16)
        new = NewAccount("ada", "P-01", "Ada Admin", SITE)
        made = installation.initialize(self.settings, new, password, self._clock)
        self.deps = replace(open_deps(self.settings, self._clock), passwords=self._hashing)
        self._open.callback(self.deps.database.dispose)
        administrator = accounts.authenticate(self.deps, "ada", password)
        self.people["ada"] = administrator
        self.passwords["ada"] = password
        trials.create(self.deps, administrator, self.definition)
        for username, person, name, role, site in PEOPLE:
            new = NewAccount(username, person, name, SITE)
            once = accounts.add_account(self.deps, administrator, new)
            own = secrets.token_urlsafe(16)
            accounts.change_password(self.deps, username, once, own)
            accounts.add_grant(self.deps, administrator, self.trial, username, Grant(role, site))
            self.people[username] = accounts.authenticate(self.deps, username, own)
            self.passwords[username] = own
        return made

    def close(self) -> None:
        """Let go of the database, so that its folder can be removed."""
        self._open.close()

    def make_list(self) -> SealedAndLogged:
        """Generate, seal and log the list, and put its seed in escrow."""
        self._pass(days=1)
        design = self.definition.design()
        return lists.generate(self.deps, self.people["chen.yu"], design, self.recipients)

    def open_kept(self, made: SealedAndLogged, pair: tuple[str, str]) -> EscrowedList:
        """Open the escrow with two custodians' identities.

        Raises:
            EscrowError: It does not open with these two.
        """
        first, second = sorted(pair)
        name = escrow_name(first, second)
        keys = self.identities
        return open_escrow(made.escrow[name], keys[first], keys[second], name)

    def opens_alone(self, made: SealedAndLogged) -> bool:
        """Tell whether one custodian alone could open any of the escrow's files."""
        for identity in self.identities.values():
            for name, data in made.escrow.items():
                with contextlib.suppress(EscrowError):
                    open_escrow(data, identity, identity, name)
                    return True
        return False

    def approve_and_activate(self, number: int, root: str) -> None:
        """Approve by the second statistician, activate list and site by the manager."""
        self._pass(days=1)
        lists.approve(self.deps, self.people["zhao.lei"], self.trial, number, root)
        self._pass(days=1)
        manager = self.people["zhang.min"]
        lists.activate(self.deps, manager, self.trial, number)
        trials.change_site(self.deps, manager, self.trial, SITE, active=True)

    def enrol_all(self, wanted: int, told: Callable[[int], object]) -> Course:
        """Enrol simulated participants until so many are allocated.

        Args:
            wanted: 1 to the trial's cap.
            told: Told of each further allocation.
        """
        course = Course()
        queue = arrivals(self.definition)
        with ThreadPoolExecutor(2) as physicians:
            while len(course.allocated) < wanted:
                before = len(course.allocated)
                asked = self._next_eligible(course, queue, wanted - before)
                shown = list(physicians.map(self._sign_and_reveal, asked))
                for item, allocation in zip(asked, shown, strict=True):
                    course.keep(allocation, item.habit)
                    self._ask_more(course, physicians, item, allocation)
                told(len(course.allocated) - before)
        if wanted == self.definition.cap:
            course.after_cap = self._is_refused_after_cap(course, queue)
        return course

    def _next_eligible(self, course: Course, queue: Iterator[Arrival], places: int) -> list[_Asked]:
        """Return the next eligible participant, or two who are signed at the same moment."""
        asked: list[_Asked] = []
        for arrival in queue:
            draft = self._screen(course, arrival)
            if draft is None:
                continue
            asked.append(_Asked(draft, arrival.habit, PHYSICIANS[len(asked)]))
            if asked[0].habit != "together" or len(asked) == min(2, places):
                break
        return asked

    def _screen(self, course: Course, arrival: Arrival) -> Draft | None:
        """Enrol one arrival; return the draft of an eligible one."""
        self._pass(minutes=arrival.minutes)
        course.screened += 1
        draft = self._enrol(arrival)
        reasons = draft.eligibility(self.definition).reasons
        if not reasons:
            return draft
        course.ineligible[reasons[0].partition(":")[2]] += 1
        if course.refused < ASKED_ANYWAY:
            course.refused += self._is_refused(draft)
        return None

    def _enrol(self, arrival: Arrival) -> Draft:
        typed = Typed(
            participant=arrival.participant,
            consent_time=(self._clock() - CONSENT_BEFORE).isoformat(timespec="seconds"),
            consent_version=self.definition.consent.version,
            facts=arrival.facts,
            units=arrival.units,
            confirmed=arrival.confirmed,
            answers=arrival.answers,
        )
        return enrolments.enrol(self.deps, self.people[PHYSICIANS[0]], self.trial, SITE, typed)

    def _sign_and_reveal(self, item: _Asked) -> Allocation:
        password = self.passwords[item.username]
        signature = reveal.sign(self.deps, item.username, password, item.draft.id)
        return reveal.reveal(self.deps, self.people[item.username], item.draft.id, signature)

    def _ask_more(
        self, course: Course, physicians: ThreadPoolExecutor, item: _Asked, shown: Allocation
    ) -> None:
        """Ask again where an answer was lost; twice at once where a button is pressed twice."""
        more = {"again": 1, "twice": 2}.get(item.habit, 0)
        for other in physicians.map(self._read_again, [item] * more):
            course.compare(shown, other)

    def _read_again(self, item: _Asked) -> Allocation:
        return reveal.read_again(self.deps, self.people[item.username], item.draft.id)

    def _is_refused(self, draft: Draft) -> bool:
        try:
            self._sign_and_reveal(_Asked(draft, "once", PHYSICIANS[0]))
        except NotEligibleError:
            return True
        return False

    def _is_refused_after_cap(self, course: Course, queue: Iterator[Arrival]) -> bool:
        try:
            for item in self._next_eligible(course, queue, places=1):
                self._sign_and_reveal(item)
        except CapReachedError:
            return True
        return False

    def _pass(self, days: int = 0, minutes: int = 0) -> None:
        self._clock.advance(timedelta(days=days, minutes=minutes))


def stored_files(settings: Settings) -> Iterator[Path]:
    """Yield every file that a reader of the database or of the anchors would find."""
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    beside = sorted(database.parent.glob(f"{database.name}*"))
    return chain(beside, sorted(settings.anchors.iterdir()))
