"""How a trial is conducted: its state, its cap, its sites and its lists, for its manager.

All of it comes from the folded log and the public definition. A manager knows no arm, no slot
and no block of a list, nor how far a list is used up: none of it is in what is returned here.
"""

from dataclasses import dataclass

from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, enrolments
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
    """

    number: int
    state: str
    approved: bool
    regenerated: bool


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
            ListStanding(number, known.step, bool(known.approved_by), known.root_checked)
            for number, known in sorted(state.lists.items())
        ),
    )
