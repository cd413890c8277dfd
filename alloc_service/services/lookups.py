"""What the edges look up before somebody acts: a definition, a record to check, who has a role.

None of it opens a slot, and none of it shows an arm of anybody. A definition is public; a
participant's record is for the physicians of its site, accounts are for administrators, and the
escrow's ciphertext for oversight, among whom its custodians are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from alloc_service.errors import (
    FactsMissingError,
    InputError,
    NoStratumError,
    Problem,
    RefusalError,
    TrialExistsError,
    TypedError,
    UnknownRecordError,
)
from alloc_service.permissions import Action, Grant
from alloc_service.services import accounts, audit, enrolments, rights
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.storage import queries
from alloc_service.storage.people import Account, RoleGrant
from alloc_service.trial.consent import check_consent_version, read_consent
from alloc_service.trial.criteria import Eligibility, check_eligibility
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.factors import DerivedStratum, derive_stratum
from alloc_service.trial.facts import Facts, read_facts
from alloc_service.trial.identifiers import check_participant_number

PARTICIPANT = "participant"
CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class RecordToCheck:
    """A participant's record as it stands, for the one who is about to sign it.

    Attributes:
        definition: The trial's.
        draft: What was typed.
        eligibility: The outcome of every criterion.
        stratum: As derived; none while a fact for it is missing or lies outside every band.
        obstacle: Why this record itself cannot be allocated now, or none.
        allocated: Whether a slot was spent for it.
    """

    definition: TrialDefinition
    draft: Draft = field(repr=False)
    eligibility: Eligibility
    stratum: DerivedStratum | None
    obstacle: RefusalError | None
    allocated: bool


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role that an account holds now; without a trial, in the whole installation."""

    trial: str
    role: str
    site: str


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account, as an administrator sees it.

    Attributes:
        username: Never given to another person.
        person: Id of the person, as logged.
        name: Printed name.
        organization: Organization code.
        state: active, one-time password, or disabled.
        roles: Held now, oldest first.
    """

    username: str
    person: str
    name: str
    organization: str
    state: str
    roles: tuple[HeldRole, ...]


def read_definition(deps: Deps, trial_id: str) -> TrialDefinition:
    """Return a trial's public definition, without its restricted design.

    Raises:
        UnknownRecordError: There is no such trial.
    """
    with deps.database.ask() as session:
        return enrolments.definition_of(session, trial_id)


def read_cap(deps: Deps, trial_id: str) -> int:
    """Return how many participants may be allocated now; the definition may say otherwise.

    Raises:
        UnknownRecordError: There is no such trial.
    """
    with deps.database.read() as session:
        return audit.read_state(session, trial_id).cap


def require_access(
    deps: Deps, person: Person, action: Action, trial_id: str, site: str | None = None
) -> None:
    """Check that a person may do this now: at a site, or without one somewhere in the trial.

    It guards a page; each act asks again, in its own transaction.

    Raises:
        NotAllowedError: No grant that is held now allows it.
    """
    with deps.database.ask() as session:
        if site is None:
            accounts.require_anywhere(session, person, action, trial_id)
        else:
            accounts.require(session, person, action, trial_id, site)


def require_access_to(deps: Deps, person: Person, action: Action, enrolment_id: UUID) -> None:
    """Check, as `require_access`, that a person may do this at the site of an enrolment.

    Raises:
        NotAllowedError: No grant that is held now allows it.
        UnknownRecordError: There is no such enrolment.
    """
    with deps.database.ask() as session:
        row = queries.read_enrolment(session, enrolment_id)
        accounts.require(session, person, action, row.trial_id, row.site)


def list_own_roles(deps: Deps, person: Person) -> Mapping[str, tuple[Grant, ...]]:
    """Return what a person may be now in each trial, by trial id; "" is the installation."""
    with deps.database.read() as session:
        trials = ["", *(trial.id for trial in queries.list_trials(session))]
        held = {trial: rights.grants_now(session, person, trial) for trial in trials}
    return {trial: grants for trial, grants in held.items() if grants}


def require_new_trial(deps: Deps, trial_id: str) -> None:
    """Check that there is no trial of this id yet, before one is created.

    Raises:
        TrialExistsError: There is one.
    """
    with deps.database.read() as session:
        if trial_id in {trial.id for trial in queries.list_trials(session)}:
            raise TrialExistsError(trial=trial_id)


def read_log_key(deps: Deps, trial_id: str) -> str:
    """Return the public key that a trial's checkpoints are signed with, `name+id+base64`."""
    return deps.sealer.log_key(audit.origin_of(deps.host, trial_id)).vkey


def find_record(
    deps: Deps, person: Person, trial_id: str, site: str, participant: str
) -> RecordToCheck:
    """Return a participant's record, to be checked before it is signed.

    Raises:
        NotAllowedError: The person is no physician of this site now.
        UnknownSiteError: The trial has no such site.
        UnknownRecordError: There is no such trial or participant.
    """
    with deps.database.read() as session:
        definition = enrolments.definition_of(session, trial_id)
        accounts.require(session, person, Action.ENROL, trial_id, definition.site(site).code)
        row = queries.find_enrolment_of_participant(session, trial_id, site, participant)
        if row is None:
            raise UnknownRecordError(what=f"enrolment at site {site} with number", name=participant)
        draft = enrolments.read_draft(definition, queries.row_of(row))
        allocated = queries.find_assignment(session, row.id) is not None
    return RecordToCheck(
        definition=definition,
        draft=draft,
        eligibility=draft.eligibility(definition),
        stratum=_find_stratum(definition, draft),
        obstacle=_find_obstacle(definition, draft, deps.clock()),
        allocated=allocated,
    )


def check_draft(definition: TrialDefinition, draft: Draft, now: datetime) -> RecordToCheck:
    """Return a draft that was just kept, as `find_record` would."""
    return RecordToCheck(
        definition=definition,
        draft=draft,
        eligibility=draft.eligibility(definition),
        stratum=_find_stratum(definition, draft),
        obstacle=_find_obstacle(definition, draft, now),
        allocated=False,
    )


def find_problems(definition: TrialDefinition, site: str, typed: Typed) -> tuple[Problem, ...]:
    """Return everything that is wrong with what was typed, in all its parts at once.

    Keeping a draft stops at the first part that is refused; whoever corrects a form wants all.

    Args:
        definition: The trial's.
        site: The site's code; a consent without an offset is in its zone.
        typed: What was typed.
    """
    version = definition.consent.version
    parts: tuple[tuple[str, Callable[[], object]], ...] = (
        (PARTICIPANT, lambda: check_participant_number(definition, typed.participant)),
        (CONSENT, lambda: check_consent_version(definition, typed.consent_version)),
        (CONSENT, lambda: read_consent(definition, site, typed.consent_time, version)),
        ("facts", lambda: read_facts(definition, typed.facts, typed.units, typed.confirmed)),
        ("answers", lambda: check_eligibility(definition, Facts(()), typed.answers)),
    )
    return tuple(problem for name, check in parts for problem in _problems_of(name, check))


def list_accounts(deps: Deps, administrator: Person) -> tuple[AccountRow, ...]:
    """Return every account with the roles that it holds now, by user name.

    Raises:
        NotAllowedError: The person is no administrator.
    """
    with deps.database.read() as session:
        accounts.require_administrator(session, administrator)
        return tuple(
            describe_account(row, queries.list_grants(session, row.id))
            for row in queries.list_accounts(session)
        )


def describe_account(account: Account, grants: Sequence[RoleGrant]) -> AccountRow:
    """Return an account, of whose roles those that it holds now are told."""
    return AccountRow(
        username=account.username,
        person=account.person_id,
        name=account.display_name,
        organization=account.organization,
        state=_state_of(disabled=account.disabled_at is not None, due=account.must_change),
        roles=_held_now(grants),
    )


def read_escrow(deps: Deps, person: Person, trial_id: str, number: int) -> Mapping[str, bytes]:
    """Return the escrow's files of a list that are still kept, by name: ciphertext.

    Raises:
        NotAllowedError: The person has no part in the trial's oversight.
        UnknownRecordError: There is no such list, or no file is kept.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_LOG, trial_id)
        queries.read_list(session, trial_id, number)
        files = queries.list_escrow_files(session, trial_id, number)
    if not files:
        raise UnknownRecordError(what=f"escrow file kept of trial {trial_id}, list", name=number)
    return {file.name: file.ciphertext for file in files}


def require_oversight(deps: Deps, person: Person, trial_id: str) -> None:
    """Check that a person may read, and so verify, a trial's whole log.

    Raises:
        NotAllowedError: The person has no part in the trial's oversight.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_LOG, trial_id)


def require_backup(deps: Deps, person: Person) -> None:
    """Check that a person may make a backup of this installation.

    Raises:
        NotAllowedError: The person is no administrator.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.BACK_UP, "")


def _problems_of(name: str, check: Callable[[], object]) -> Iterator[Problem]:
    try:
        check()
    except TypedError as error:
        yield from error.problems
    except InputError as error:
        yield Problem(name, error.code, error.unlabelled)


def _find_stratum(definition: TrialDefinition, draft: Draft) -> DerivedStratum | None:
    try:
        return derive_stratum(definition, draft.facts, draft.site)
    except (FactsMissingError, NoStratumError):
        return None


def _find_obstacle(definition: TrialDefinition, draft: Draft, now: datetime) -> RefusalError | None:
    try:
        draft.require_verified(definition, now, now)
    except RefusalError as error:
        return error
    return None


def _state_of(*, disabled: bool, due: bool) -> str:
    if disabled:
        return "disabled"
    return "one-time password" if due else "active"


def _held_now(grants: Sequence[RoleGrant]) -> tuple[HeldRole, ...]:
    return tuple(
        HeldRole(grant.trial_id or "", grant.role, grant.site or "")
        for grant in grants
        if grant.ended_at is None
    )
