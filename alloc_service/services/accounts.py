"""Accounts, passwords and roles.

An account is one person's for ever: it is disabled, never removed or given on, and its user
name is never used again. The log knows persons, not accounts, so that a second account does not
get round disjoint roles. An administrator gives a one-time password that opens nothing until
its owner has changed it, and grants nothing to himself. What a role opens is in `rights`.
"""

import uuid
from dataclasses import dataclass

from alloc_service.errors import (
    AccountError,
    AccountNameError,
    InputError,
    PasswordChangeDueError,
    RefusalError,
    SelfGrantError,
    WrongPasswordError,
)
from alloc_service.permissions import Action, Grant, Role
from alloc_service.services import audit, names
from alloc_service.services.deps import Deps
from alloc_service.services.grants import (
    add_administrator,
    add_grant,
    end_administrator,
    end_grant,
    list_administrators,
    make_grant,
)
from alloc_service.services.passwords import one_time_password
from alloc_service.services.rights import (
    NO_ROLE,
    Person,
    as_they_are,
    find_enabled,
    find_person,
    may,
    person_of,
    require,
    require_administrator,
    require_anywhere,
)
from alloc_service.storage import queries
from alloc_service.storage.people import Account
from alloc_service.storage.queries import Credentials
from alloc_service.storage.transactions import Reading, Transaction

__all__ = [
    "NO_ROLE",
    "NewAccount",
    "Person",
    "add_account",
    "add_administrator",
    "add_grant",
    "as_they_are",
    "authenticate",
    "change_password",
    "create_first_administrator",
    "disable_account",
    "end_administrator",
    "end_grant",
    "find_faults",
    "find_person",
    "list_administrators",
    "log_change",
    "may",
    "person_of",
    "require",
    "require_administrator",
    "require_anywhere",
    "reset_password",
    "trials_of",
]


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an administrator says of somebody new.

    Attributes:
        username: 2-32 of a-z 0-9 . _ -, never used before.
        person: Id of the person, 1-64 of A-Z a-z 0-9 . _ / @ -; one person keeps one id.
        name: Printed name, for signatures.
        organization: Organization code.
    """

    username: str
    person: str
    name: str
    organization: str


def authenticate(deps: Deps, username: str, password: str) -> Person:
    """Check user name and password, and return who that is.

    Raises:
        WrongPasswordError: They do not belong together, or the account is disabled: the same
            words and the same work, whichever it is.
        PasswordChangeDueError: The password is a one-time password.
    """
    account = _check_password(deps, username, password)
    if account.must_change:
        raise PasswordChangeDueError(username=username)
    return person_of(account)


def change_password(deps: Deps, username: str, old: str, new: str) -> None:
    """Replace somebody's own password; every browser that is signed in with the account is out.

    Raises:
        WrongPasswordError: The old one is wrong.
        PasswordRuleError: The new one breaks a rule, or is the old one.
    """
    account = _check_password(deps, username, old)
    hashed = deps.passwords.hash_new(new, old)
    with deps.database.write() as tx:
        stored = queries.read_account(tx, account.id)
        # An administrator may have reset or disabled it since the old one was checked.
        if stored.disabled_at is not None or stored.password_hash != account.password_hash:
            raise WrongPasswordError
        stored.password_hash, stored.must_change = hashed, False
        queries.end_sessions(tx, account.id, deps.clock())


def create_first_administrator(deps: Deps, new: NewAccount, password: str) -> None:
    """Make the first account of an installation, whose password is chosen at once.

    Raises:
        AccountError: There are accounts already: an administrator adds further ones.
    """
    account = _account(deps, new, deps.passwords.hash(password), must_change=False)
    with deps.database.write() as tx:
        if queries.list_accounts(tx):
            raise AccountError(username=new.username, rule="there are accounts already")
        tx.add(account)
        tx.flush()
        tx.add(make_grant(deps, account.id, None, Grant(Role.ADMINISTRATOR), None))


def add_account(deps: Deps, administrator: Person, new: NewAccount) -> str:
    """Make an account and return its one-time password, which is stored nowhere in clear.

    Raises:
        NotAllowedError: The actor is no administrator.
        AccountNameError: The user name is or was in use, or breaks a rule.
    """
    password = one_time_password()
    hashed = deps.passwords.hash(password)
    with deps.database.write() as tx:
        require_administrator(tx, administrator)
        account = _account(deps, new, hashed, must_change=True)
        if queries.find_account(tx, new.username) is not None:
            rule = f"{new.username} is or was in use, and is never given to another person"
            raise AccountNameError(field="user name", rule=rule)
        tx.add(account)
    return password


def find_faults(new: NewAccount) -> dict[str, InputError]:
    """Return what is wrong with a new account, by attribute; adding one stops at the first."""
    return names.find_faults(
        {
            "username": lambda: names.check_username(new.username),
            "person": lambda: names.check_code(new.person, "person"),
            "name": lambda: names.check_printed_name(new.name),
            "organization": lambda: names.check_code(new.organization, "organization"),
        }
    )


def reset_password(deps: Deps, administrator: Person, username: str) -> str:
    """Give an account a new one-time password, and log it in every trial of the account.

    Password and entries are stored together: where one of those logs cannot grow, the old
    password stays.

    Raises:
        NotAllowedError: The actor is no administrator.
        SelfGrantError: It is the administrator's own, who changes a password by knowing it.
        AccountError: There is no such account, or it is disabled.
    """
    password = one_time_password()
    hashed = deps.passwords.hash(password)
    with deps.database.read() as session:
        require_administrator(session, administrator)
        trials = trials_of(session, find_enabled(session, username))
    with audit.writing(deps, *trials) as tx:
        require_administrator(tx, administrator)
        account = _find_of_another(tx, administrator, username)
        account.password_hash, account.must_change = hashed, True
        queries.end_sessions(tx, account.id, deps.clock())
        for trial_id in trials:
            log_change(deps, tx, administrator, trial_id, account.person_id)
    return password


def disable_account(deps: Deps, administrator: Person, username: str) -> None:
    """Disable an account for ever; its name is never given to another.

    It is out at once, also where the log of one of its trials cannot grow and a refusal says
    so; the other trials log it.

    Raises:
        NotAllowedError: The actor is no administrator.
        SelfGrantError: It is the administrator's own.
        AccountError: There is no such account, or it is disabled.
    """
    with deps.database.write() as tx:
        queries.lock_administrators(tx)  # two who disable each other leave none
        require_administrator(tx, administrator)
        account = _find_of_another(tx, administrator, username)
        account.disabled_at = deps.clock()
        queries.end_sessions(tx, account.id, deps.clock())
        trials, person = trials_of(tx, account), account.person_id
    refusals = [_log_disabled(deps, administrator, trial_id, person) for trial_id in trials]
    for refusal in filter(None, refusals):
        raise refusal


def _find_of_another(tx: Transaction, administrator: Person, username: str) -> Account:
    account = find_enabled(tx, username)
    if account.person_id == administrator.id:
        raise SelfGrantError
    return account


def _check_password(deps: Deps, username: str, password: str) -> Credentials:
    account = None
    if names.is_username(username):
        with deps.database.ask() as session:
            account = queries.find_credentials(session, username)
    if account is None or account.disabled_at is not None:
        deps.passwords.refuse(password)
    deps.passwords.verify(account.password_hash, password)
    return account


def _account(deps: Deps, new: NewAccount, hashed: str, *, must_change: bool) -> Account:
    names.check_username(new.username)
    names.check_code(new.person, "person")
    names.check_code(new.organization, "organization")
    return Account(
        id=uuid.uuid4(),
        username=new.username,
        person_id=new.person,
        display_name=names.check_printed_name(new.name),
        organization=new.organization,
        password_hash=hashed,
        must_change=must_change,
        disabled_at=None,
        created_at=deps.clock(),
    )


def trials_of(session: Reading, account: Account) -> list[str]:
    """Return the trials whose log names this account's roles: for an administrator, all."""
    found = {row.trial_id for row in queries.list_grants(session, account.id)}
    if None in found:
        found = {trial.id for trial in queries.list_trials(session)}
    return sorted(trial_id for trial_id in found if trial_id is not None)


def log_change(
    deps: Deps, tx: Transaction, administrator: Person, trial_id: str, person: str
) -> None:
    """Log that an administrator changed somebody's account."""
    log = audit.open_log(deps, tx, trial_id)
    actor = require(tx, administrator, Action.CHANGE_USERS, trial_id)
    log.append("user.changed", actor, {"subject": person, "role": "", "site": ""})


def _log_disabled(
    deps: Deps, administrator: Person, trial_id: str, person: str
) -> RefusalError | None:
    """Log a change that stands already; return why that was refused, or None."""
    try:
        with audit.writing(deps, trial_id) as tx:
            log_change(deps, tx, administrator, trial_id, person)
    except RefusalError as error:
        return error
    return None
