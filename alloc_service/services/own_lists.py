"""The lists of a trial as its statisticians see them, without a design and without an arm.

What a list's design is stays sealed; whoever looks at it is logged (`lists.read_design`).
"""

from dataclasses import dataclass

from alloc_service.permissions import Action
from alloc_service.services import accounts, audit
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries


@dataclass(frozen=True, slots=True)
class OwnList:
    """A list of a trial.

    Attributes:
        number: List number.
        root: HEX32, or "" before it is sealed.
        state: frozen, sealed, approved, active or retired.
        sealed_by: Person who sealed it.
        approved_by: Person who approved it, or "".
        root_checked: Whether they had regenerated it and given the root that came out.
        escrow: Names of the escrow's files that are kept.
    """

    number: int
    root: str
    state: str
    sealed_by: str
    approved_by: str
    root_checked: bool
    escrow: tuple[str, ...]


def list_own(deps: Deps, person: Person, trial_id: str) -> tuple[OwnList, ...]:
    """Return a trial's lists by number.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.APPROVE_LIST, trial_id)
        found = audit.read_state(session, trial_id).lists
        return tuple(
            OwnList(
                number=number,
                root=known.root,
                state=known.step,
                sealed_by=known.sealed_by,
                approved_by=known.approved_by,
                root_checked=known.root_checked,
                escrow=tuple(
                    file.name for file in queries.list_escrow_files(session, trial_id, number)
                ),
            )
            for number, known in sorted(found.items())
        )
