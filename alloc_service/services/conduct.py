"""How a trial is conducted: its state, its cap, its sites and its lists, for its manager.

All of it comes from the folded log and the public definition. A manager knows no arm, no slot
and no block of a list, nor how far a list is used up: none of it is in what is returned here.
"""

from dataclasses import dataclass

from alloc_service.errors import UnknownRecordError
from alloc_service.log.entry import Entry
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, drills, enrolments
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps

_SITE_STATES = {None: "never active", True: "active", False: "paused"}


@dataclass(frozen=True, slots=True)
class SiteStanding:
    """A site of the trial.

    Attributes:
        code: The site's code.
        name: What it is called.
        state: never active, active or paused.
    """

    code: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class ListStanding:
    """A list of the trial.

    Attributes:
        number: List number.
        state: The furthest that it came: frozen, sealed, approved, active or retired.
        approved: Whether somebody approved it.
        regenerated: Whether it was regenerated and compared before it was approved.
        drill_due: Whether the last good drill is older than 90 days, or there was none.
    """

    number: int
    state: str
    approved: bool
    regenerated: bool
    drill_due: bool


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a trial stands.

    Attributes:
        trial: Trial id.
        title: The trial's.
        state: open, paused or closed.
        cap: How many participants may be allocated.
        sites: In the order of the definition.
        lists: By number.
    """

    trial: str
    title: str
    state: str
    cap: int
    sites: tuple[SiteStanding, ...]
    lists: tuple[ListStanding, ...]


@dataclass(frozen=True, slots=True)
class Activation:
    """What somebody should know of a list before it is activated, which is never undone.

    Attributes:
        trial: Trial id.
        title: The trial's.
        trial_state: open, paused or closed.
        number: List number.
        state: The furthest that it came: frozen, sealed, approved, active or retired.
        sealed_by: Id of the person, or "" before it is sealed.
        sealed_at: When, as the log writes it.
        approved_by: Id of the person, or "" before it is approved.
        approved_at: When, as the log writes it.
        root_checked: Whether who approved it had made it again and compared its root.
        root_equal: Whether the last logged regeneration gave its root; none where none is logged.
    """

    trial: str
    title: str
    trial_state: str
    number: int
    state: str
    sealed_by: str
    sealed_at: str
    approved_by: str
    approved_at: str
    root_checked: bool
    root_equal: bool | None


def read_conduct(deps: Deps, person: Person, trial_id: str) -> Conduct:
    """Return how a trial stands, as its log says.

    Raises:
        NotAllowedError: The person is no manager of this trial now.
        UnknownRecordError: There is no such trial.
        LogDamagedError: The stored log does not fold.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.CHANGE_TRIAL_STATE, trial_id)
        definition = enrolments.definition_of(session, trial_id)
        state = audit.read_state(session, trial_id)
    return Conduct(
        trial=trial_id,
        title=definition.title,
        state=state.trial,
        cap=state.cap,
        sites=tuple(
            SiteStanding(site.code, site.name, _SITE_STATES[state.sites.get(site.code)])
            for site in definition.sites
        ),
        lists=tuple(
            ListStanding(
                number,
                known.step,
                bool(known.approved_by),
                known.root_checked,
                drills.is_due(known, deps.clock()),
            )
            for number, known in sorted(state.lists.items())
        ),
    )


def read_activation(deps: Deps, person: Person, trial_id: str, number: int) -> Activation:
    """Return what an activation of a list means, as the log says.

    Raises:
        NotAllowedError: The person may not activate a list of this trial now.
        UnknownRecordError: There is no such list.
        LogDamagedError: The stored log does not fold.
    """
    last: dict[str, Entry] = {}

    def keep_last(entry: Entry) -> None:
        if entry.body.get("list") == number:
            last[entry.type] = entry

    with deps.database.read() as session:
        accounts.require(session, person, Action.ACTIVATE_LIST, trial_id)
        definition = enrolments.definition_of(session, trial_id)
        state = audit.read_state(session, trial_id, keep_last)
    if number not in state.lists:
        raise UnknownRecordError(what="list of this number in trial", name=trial_id)
    known, again = state.lists[number], last.get("list.regenerated")
    return Activation(
        trial=trial_id,
        title=definition.title,
        trial_state=state.trial,
        number=number,
        state=known.step,
        sealed_by=known.sealed_by,
        sealed_at=_time_of(last.get("list.sealed")),
        approved_by=known.approved_by,
        approved_at=_time_of(last.get("list.approved")),
        root_checked=known.root_checked,
        root_equal=again.body["root_equal"] if again else None,
    )


def _time_of(entry: Entry | None) -> str:
    return entry.time if entry else ""
