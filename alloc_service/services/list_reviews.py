"""Lists as their overseers see them: how far each is, who approved it, and who made it again.

Everything is the log's. Nothing is opened: a list is made again offline, by two custodians
together, on a machine of theirs.
"""

from dataclasses import dataclass

from alloc_service.log.entry import Entry
from alloc_service.log.state import ListState
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, drills
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries


@dataclass(frozen=True, slots=True)
class Regeneration:
    """Somebody made a list again from its escrow and compared its root with the sealed one."""

    seq: int
    time: str
    person: str
    role: str
    root_equal: bool


@dataclass(frozen=True, slots=True)
class ListReview:
    """A list, from the freezing of its design on.

    Attributes:
        number: From 1.
        stage: designed, sealed, approved, active or retired.
        root: HEX32, or "" before it is sealed.
        sealed_by: Id of the person, or "".
        approved_by: Id of the person, or "".
        root_checked: Whether who approved it had made the list again and compared its root.
        regenerated: The last time that a regeneration was logged, or none.
        escrow: Names of the escrow's files that are kept here.
        drilled_at: When the last drill was held in which all was well, as the log writes it.
        drill_due: Whether the last good drill is older than 90 days, or there was none.
    """

    number: int
    stage: str
    root: str
    sealed_by: str
    approved_by: str
    root_checked: bool
    regenerated: Regeneration | None
    escrow: tuple[str, ...]
    drilled_at: str
    drill_due: bool


def read_reviews(deps: Deps, person: Person, trial_id: str) -> tuple[ListReview, ...]:
    """Return every list of a trial, by number.

    Raises:
        NotAllowedError: The person has no part in the trial's oversight.
        LogDamagedError: The stored log does not fold.
    """
    last: dict[int, Regeneration] = {}

    def keep_last(entry: Entry) -> None:
        if entry.type == "list.regenerated":
            last[entry.body["list"]] = _regeneration(entry)

    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_LOG, trial_id)
        state = audit.read_state(session, trial_id, keep_last)
        escrow = {
            number: tuple(
                file.name for file in queries.list_escrow_files(session, trial_id, number)
            )
            for number in state.lists
        }
    return tuple(
        ListReview(
            number=number,
            stage=_stage(known),
            root=known.root,
            sealed_by=known.sealed_by,
            approved_by=known.approved_by,
            root_checked=known.root_checked,
            regenerated=last.get(number),
            escrow=escrow[number],
            drilled_at=known.drilled_at,
            drill_due=drills.is_due(known, deps.clock()),
        )
        for number, known in sorted(state.lists.items())
    )


def _regeneration(entry: Entry) -> Regeneration:
    actor = entry.body["actor"]
    return Regeneration(entry.seq, entry.time, actor["id"], actor["role"], entry.body["root_equal"])


def _stage(known: ListState) -> str:
    if known.retired:
        return "retired"
    if known.active:
        return "active"
    if known.approved_by:
        return "approved"
    return "sealed" if known.root else "designed"
