"""The escrow's files on this server: kept until two custodians say that they could open theirs.

The files are ciphertext, and the seed is nowhere else. So they stay until it is certain that the
custodians have what opens: two different people, each with a part in the trial's oversight.
"""

from alloc_service.errors import UnknownRecordError
from alloc_service.permissions import Action
from alloc_service.services import accounts
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.models import EscrowConfirmation

NEEDED = 2


def confirm(deps: Deps, person: Person, trial_id: str, number: int) -> int:
    """Keep somebody's word that they opened the escrow with another custodian.

    With the second person's the files go. Said again it changes nothing.

    Returns:
        How many different people have said so.

    Raises:
        NotAllowedError: The person has no part in the trial's oversight.
        UnknownRecordError: There is no such list, or no file of it is kept.
    """
    with deps.database.write() as tx:
        accounts.require(tx, person, Action.READ_LOG, trial_id)
        queries.lock_log_head(tx, trial_id)  # two who say so at once are two
        if not queries.list_escrow_files(tx, trial_id, number):
            raise UnknownRecordError(
                what=f"escrow file kept of trial {trial_id}, list", name=number
            )
        said = set(queries.list_confirmations(tx, trial_id, number))
        if person.id not in said:
            tx.add(
                EscrowConfirmation(
                    trial_id=trial_id,
                    list_number=number,
                    person_id=person.id,
                    confirmed_at=deps.clock(),
                )
            )
            tx.flush()
        count = len(said | {person.id})
        if count >= NEEDED:
            queries.remove_escrow_files(tx, trial_id, number)
        return count
