"""Roles in a trial: given and ended by an administrator, logged for all time.

The log knows persons, not accounts, so that a second account does not get round disjoint roles.
Nobody grants to himself. An administrator of the installation is one in every trial, and has no
other part in any.
"""

import uuid
from uuid import UUID

from alloc_service.errors import AccountError, SelfGrantError
from alloc_service.log.entry import Entry
from alloc_service.permissions import AT_A_SITE, Action, Grant, Role, require_disjoint
from alloc_service.services import audit
from alloc_service.services.deps import Deps
from alloc_service.services.rights import (
    Person,
    find_account,
    find_enabled,
    require,
    require_administrator,
)
from alloc_service.storage import queries
from alloc_service.storage.people import Account, RoleGrant
from alloc_service.storage.transactions import Reading
from alloc_service.trial.definition import TrialDefinition


def add_grant(
    deps: Deps, administrator: Person, trial_id: str, username: str, grant: Grant
) -> Entry:
    """Give somebody a role in a trial; the log keeps it for all time.

    Raises:
        NotAllowedError: The actor is no administrator.
        SelfGrantError: To oneself.
        DisjointRolesError: The person held a role that excludes this one.
        AccountError: The role needs a site, or may have none, or is held already.
        UnknownSiteError: The trial has no such site.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = require(tx, administrator, Action.CHANGE_USERS, trial_id)
        account = find_enabled(tx, username)
        if account.person_id == administrator.id:
            raise SelfGrantError
        if bool(grant.site) != (grant.role in AT_A_SITE):
            rule = "a physician's role is held at one site, every other one in the whole trial"
            raise AccountError(username=username, rule=rule)
        _require_site(tx, trial_id, grant)
        if _held_now(tx, account, trial_id, grant):
            raise AccountError(username=username, rule=f"it holds the role {grant.role} already")
        held = log.state.roles.get(account.person_id, set())
        require_disjoint(held | _held_in(tx, account.person_id, trial_id), grant.role)
        tx.add(make_grant(deps, account.id, trial_id, grant, administrator))
        return log.append("grant.added", actor, _subject(account, grant))


def add_administrator(deps: Deps, administrator: Person, username: str) -> None:
    """Make somebody an administrator of the whole installation; every trial's log says so.

    Grant and entries are stored together: where a log cannot grow, nothing is given.

    Raises:
        NotAllowedError: The actor is no administrator.
        SelfGrantError: To oneself.
        AccountError: There is no such account, it is disabled, or administers already.
        DisjointRolesError: The person ever held a role in a trial that excludes this one.
    """
    grant = Grant(Role.ADMINISTRATOR)
    with audit.writing(deps, *_every_trial(deps)) as tx:
        actor = require_administrator(tx, administrator)
        account = find_enabled(tx, username)
        if account.person_id == administrator.id:
            raise SelfGrantError
        if _held_now(tx, account, None, grant):
            raise AccountError(username=username, rule=f"it holds the role {grant.role} already")
        require_disjoint(_held_in(tx, account.person_id), grant.role)
        tx.add(make_grant(deps, account.id, None, grant, administrator))
        for trial_id in sorted(trial.id for trial in queries.list_trials(tx)):
            log = audit.open_log(deps, tx, trial_id)
            log.append("grant.added", actor, _subject(account, grant))


def end_administrator(deps: Deps, administrator: Person, username: str) -> None:
    """End somebody's part in the whole installation; every trial's log says so.

    It ends for the person: through each of their accounts, and in each trial that they
    administer alone, for a log names persons and cannot keep these apart. Nobody ends their
    own, so that one administrator always remains.

    Raises:
        NotAllowedError: The actor is no administrator.
        SelfGrantError: One's own.
        AccountError: There is no such account, or it does not administer the installation.
    """
    grant = Grant(Role.ADMINISTRATOR)
    with audit.writing(deps, *_every_trial(deps)) as tx:
        trials = sorted(trial.id for trial in queries.list_trials(tx))
        logs = [audit.open_log(deps, tx, trial_id) for trial_id in trials]
        queries.lock_administrators(tx)
        actor = require_administrator(tx, administrator)
        account = find_account(tx, username)
        if account.person_id == administrator.id:
            raise SelfGrantError
        if not _held_now(tx, account, None, grant):
            rule = "it does not administer the whole installation"
            raise AccountError(username=username, rule=rule)
        for row in _administered_now(tx, account.person_id):
            row.ended_at = deps.clock()
        for log in logs:
            # A trial that was created after the account was disabled never named them.
            if grant.role in log.state.roles.get(account.person_id, set()):
                log.append("grant.ended", actor, _subject(account, grant))


def list_administrators(session: Reading) -> list[str]:
    """Return the ids of the people who administer the whole installation now."""
    return sorted(
        {
            account.person_id
            for account in queries.list_accounts(session)
            if account.disabled_at is None
            for row in queries.list_grants(session, account.id)
            if row.trial_id is None and row.ended_at is None
        }
    )


def end_grant(
    deps: Deps, administrator: Person, trial_id: str, username: str, grant: Grant
) -> Entry:
    """End somebody's role in a trial, from the next act on, through each of their accounts.

    The log names the person: after this entry none of their accounts may hold the role there.

    Raises:
        NotAllowedError: The actor is no administrator.
        SelfGrantError: One's own.
        AccountError: The account does not hold it now, or the person administers the whole
            installation, and with it this trial.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = require(tx, administrator, Action.CHANGE_USERS, trial_id)
        account = find_account(tx, username)
        if account.person_id == administrator.id:
            raise SelfGrantError
        if not _held_now(tx, account, trial_id, grant):
            raise AccountError(username=username, rule=f"it does not hold the role {grant.role}")
        same = queries.list_accounts_of_person(tx, account.person_id)
        if any(_held_now(tx, one, None, grant) for one in same):
            rule = "the person administers the whole installation: end that role instead"
            raise AccountError(username=username, rule=rule)
        for row in (row for one in same for row in _held_now(tx, one, trial_id, grant)):
            row.ended_at = deps.clock()
        return log.append("grant.ended", actor, _subject(account, grant))


def make_grant(
    deps: Deps, account: UUID, trial_id: str | None, grant: Grant, by: Person | None
) -> RoleGrant:
    """Return a new row: a role from now on, in a trial or in the whole installation."""
    return RoleGrant(
        id=uuid.uuid4(),
        account_id=account,
        trial_id=trial_id,
        role=str(grant.role),
        site=grant.site or None,
        granted_at=deps.clock(),
        granted_by=by.account if by else None,
        ended_at=None,
    )


def _require_site(session: Reading, trial_id: str, grant: Grant) -> None:
    document = queries.read_trial(session, trial_id).definition
    if grant.site:
        TrialDefinition.from_public_bytes(document).site(grant.site)


def _held_now(
    session: Reading, account: Account, trial_id: str | None, grant: Grant
) -> list[RoleGrant]:
    """Return the rows of an account that give it this very role now, or the installation's."""
    return [
        row
        for row in queries.list_grants(session, account.id)
        if row.trial_id == trial_id
        and row.ended_at is None
        and Grant(Role(row.role), row.site or "") == grant
    ]


def _administered_now(session: Reading, person: str) -> list[RoleGrant]:
    """Return the rows that make a person an administrator now, anywhere."""
    return [
        row
        for account in queries.list_accounts_of_person(session, person)
        for row in queries.list_grants(session, account.id)
        if row.role == Role.ADMINISTRATOR and row.ended_at is None
    ]


def _every_trial(deps: Deps) -> list[str]:
    with deps.database.read() as session:
        return sorted(trial.id for trial in queries.list_trials(session))


def _held_in(session: Reading, person: str, trial_id: str | None = None) -> set[Role]:
    """Return every role that a person ever held in a trial, or in any; the installation's too."""
    return {
        Role(row.role)
        for account in queries.list_accounts_of_person(session, person)
        for row in queries.list_grants(session, account.id)
        if trial_id is None or row.trial_id in {trial_id, None}
    }


def _subject(account: Account, grant: Grant) -> dict[str, str]:
    return {"subject": account.person_id, "role": str(grant.role), "site": grant.site}
