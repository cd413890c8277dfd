"""Rights: who somebody is, and what their roles let them do at this very moment.

Grants are read anew in the transaction of each act: a role that has ended opens nothing, nor
does an account that is disabled or whose password waits to be changed, whoever is signed in
with it. Where an act is logged, this is asked under the log's lock, so that no entry of
somebody stands behind the end of their role.
"""

from dataclasses import dataclass
from uuid import UUID

from alloc_service.errors import AccountError, NotAllowedError
from alloc_service.permissions import ALLOWED, Action, Actor, Grant, Role
from alloc_service.services import names
from alloc_service.services.audit import LoggedActor
from alloc_service.storage import queries
from alloc_service.storage.people import Account
from alloc_service.storage.queries import Credentials
from alloc_service.storage.transactions import Asking, Reading

NO_ROLE = "none"
EVERY_TRIAL = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has just proved who they are, through one account.

    Attributes:
        account: The account's id.
        id: The person's id, as logged.
        name: Printed name, for signatures.
        organization: Organization code, as logged.
    """

    account: UUID
    id: str
    name: str
    organization: str

    def logged(self, role: Role) -> LoggedActor:
        """Return this person as a body of the log names them, in the role of this act."""
        return LoggedActor(self.id, self.organization, role)


def grants_now(session: Asking, person: Person, trial_id: str) -> tuple[Grant, ...]:
    """Return what a person may be now in a trial, or with "" in the whole installation."""
    if trial_id != EVERY_TRIAL:
        names.check_trial_id(trial_id)
    return tuple(
        Grant(Role(role), site or "")
        for role, site in queries.list_roles_now(session, person.account, trial_id)
    )


def require(
    session: Asking, person: Person, action: Action, trial_id: str, site: str = ""
) -> LoggedActor:
    """Check, in the transaction of the act, that a person may do this; return the logged actor.

    Raises:
        NotAllowedError: No grant that is held now allows it.
    """
    actor = Actor(person.id, person.organization, grants_now(session, person, trial_id))
    return person.logged(actor.role_for(action, site))


def may(session: Asking, person: Person, action: Action, trial_id: str) -> bool:
    """Tell which of two views a person gets; what guards an act is `require`."""
    roles = {grant.role for grant in grants_now(session, person, trial_id)}
    return bool(roles & ALLOWED[action])


def as_they_are(session: Reading, person: Person, trial_id: str) -> LoggedActor:
    """Return a person as a refusal names them: in a role that they hold now, or `none`."""
    roles = sorted(grant.role for grant in grants_now(session, person, trial_id))
    return LoggedActor(person.id, person.organization, roles[0] if roles else NO_ROLE)


def require_anywhere(session: Asking, person: Person, action: Action, trial_id: str) -> None:
    """Check that a person may do this at some site of the trial, or in all of it.

    Raises:
        NotAllowedError: No grant that is held now allows it, whatever its site.
    """
    if not may(session, person, action, trial_id):
        raise NotAllowedError(action=str(action), roles=" or ".join(sorted(ALLOWED[action])))


def require_administrator(session: Reading, person: Person) -> LoggedActor:
    """Check that a person is an administrator of this installation, whatever the trial."""
    return require(session, person, Action.CHANGE_USERS, EVERY_TRIAL)


def person_of(account: Account | Credentials) -> Person:
    """Return the person of an account; only `authenticate` proves that it is them."""
    return Person(account.id, account.person_id, account.display_name, account.organization)


def find_person(session: Reading, username: str) -> Person | None:
    """Return the person of a user name, also a disabled one; it proves nothing about anybody."""
    account = find(session, username)
    return None if account is None else person_of(account)


def find(session: Reading, username: str) -> Account | None:
    """Return the account of a user name, also a disabled one, or None."""
    return queries.find_account(session, username) if names.is_username(username) else None


def find_account(session: Reading, username: str) -> Account:
    """Return the account of a user name, also a disabled one.

    Raises:
        AccountError: There is none.
    """
    account = find(session, username)
    if account is None:
        shown = username if names.is_username(username) else names.UNSPELLED
        raise AccountError(username=shown, rule="there is no such account")
    return account


def find_enabled(session: Reading, username: str) -> Account:
    """Return the account of a user name that is not disabled.

    Raises:
        AccountError: There is none, or it is disabled.
    """
    account = find_account(session, username)
    if account.disabled_at is not None:
        raise AccountError(username=username, rule="it is disabled, for ever")
    return account
