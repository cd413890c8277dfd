"""Trials and sites: created, paused, resumed, closed; each change with its code and its reason.

A reason is free text and stays in the database, where it can be erased; the log holds its
salted hash and a code.
"""

import hashlib
import secrets

from alloc_service.core.canon import Json, canon
from alloc_service.errors import ConstraintError, InputError, LoggedFieldError, TrialExistsError
from alloc_service.log.entry import Entry
from alloc_service.permissions import Action, Role
from alloc_service.services import accounts, audit, enrolments, names
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.models import Reason, Trial
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.identifiers import refuse_personal_identifiers

CHANGES = {"pause": "trial.paused", "resume": "trial.resumed", "close": "trial.closed"}
LARGEST_CAP = 1_000_000


def create(deps: Deps, administrator: Person, definition: TrialDefinition) -> str:
    """Create a trial from its definition, and begin its log; return the trial's id.

    The restricted design table of the definition is not stored. The administrators of the
    installation are logged as the trial's, and have no other part in it.

    Raises:
        NotAllowedError: The person is no administrator of this installation.
        TrialExistsError: There is a trial with this id already.
    """
    document = definition.public_bytes()
    origin = audit.origin_of(deps.host, definition.id)
    trial = Trial(
        id=definition.id,
        origin=origin,
        definition=document,
        definition_sha256=definition.sha256,
        created_at=deps.clock(),
    )
    try:
        with audit.writing(deps, definition.id) as tx:
            actor = accounts.require_administrator(tx, administrator)
            queries.add_trial(tx, trial)
            tx.flush()
            log = audit.open_log(deps, tx, definition.id)
            body: dict[str, Json] = {
                "origin": origin, "cap": definition.cap, "salt": secrets.token_hex(32),
            }  # fmt: skip
            log.append("trial.created", actor, body)
    except ConstraintError:
        raise TrialExistsError(trial=definition.id) from None
    with audit.writing(deps, definition.id) as tx:
        log = audit.open_log(deps, tx, definition.id)
        for person in accounts.list_administrators(tx):
            body = {"subject": person, "role": str(Role.ADMINISTRATOR), "site": ""}
            log.append("grant.added", actor, body)
    return definition.id


def change_state(
    deps: Deps, person: Person, trial_id: str, change: str, *, code: str, reason: str
) -> Entry:
    """Pause, resume or close a trial.

    Args:
        deps: The service's.
        person: A manager of the trial.
        trial_id: Which trial.
        change: A key of `CHANGES`.
        code: Reason code, 1-64 of a-z 0-9 . -.
        reason: Free text without personal identifiers; it stays in the database.

    Raises:
        LoggedFieldError: There is no such change, or the code breaks its rule.
        FreeTextError: The reason holds what no text may hold.
        NotAllowedError: The person is no manager of this trial now.
        RuleError: The trial is not in a state for it.
    """
    if change not in CHANGES:
        raise LoggedFieldError(field="change", rule=f"it must be one of {', '.join(CHANGES)}")
    names.check_logged_code(code, "reason code")
    check_reason(reason)
    salt, reason_sha256 = salt_reason(reason)
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.CHANGE_TRIAL_STATE, trial_id)
        body: dict[str, Json] = {"code": code, "reason_sha256": reason_sha256}
        entry = log.append(CHANGES[change], actor, body)
        tx.add(Reason(trial_id=trial_id, entry_seq=entry.seq, salt=salt, text=reason))
        return entry


def find_faults(code: str, reason: str) -> dict[str, InputError]:
    """Return what is wrong with code and reason of a change, which stops at the first."""
    return names.find_faults(
        {
            "code": lambda: names.check_logged_code(code, "reason code"),
            "reason": lambda: check_reason(reason),
        }
    )


def check_reason(reason: str) -> None:
    """Refuse the text of a reason that says nothing, or holds what no text may hold.

    Raises:
        LoggedFieldError: It is empty.
        FreeTextError: It holds what no text may hold.
    """
    if not reason.strip():
        raise LoggedFieldError(field="reason", rule="it must say why, in a few words")
    refuse_personal_identifiers(reason, "reason")


def salt_reason(reason: str) -> tuple[str, str]:
    """Return a fresh salt, and the hash of a reason with it that the log holds; both HEX32."""
    salt = secrets.token_hex(32)
    return salt, hashlib.sha256(canon({"salt": salt, "text": reason})).hexdigest()


def change_site(deps: Deps, person: Person, trial_id: str, site: str, *, active: bool) -> Entry:
    """Activate or pause a site, after its own approvals.

    Raises:
        NotAllowedError: The person is no manager of this trial now.
        UnknownSiteError: The trial has no such site.
        RuleError: The site is in that state already.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.CHANGE_SITE_STATE, trial_id)
        body: dict[str, Json] = {"site": enrolments.definition_of(tx, trial_id).site(site).code}
        return log.append("site.activated" if active else "site.paused", actor, body)


def change_cap(deps: Deps, person: Person, trial_id: str, cap: int) -> Entry:
    """Change how many participants may be allocated.

    Raises:
        LoggedFieldError: It is not a number from 1 to 1,000,000.
        NotAllowedError: The person is no manager of this trial now.
        RuleError: More are allocated already, or the trial is closed.
    """
    if not 1 <= cap <= LARGEST_CAP:
        raise LoggedFieldError(field="cap", rule=f"it must be from 1 to {LARGEST_CAP:,}")
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.CHANGE_TRIAL_STATE, trial_id)
        return log.append("cap.changed", actor, {"cap": cap})


def correct_clock(deps: Deps, administrator: Person, trial_id: str) -> Entry:
    """Step the log's time back to this machine's, where a wrong clock has run ahead.

    Raises:
        NotAllowedError: The person is no administrator.
        RuleError: The log's time is not ahead.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, administrator, Action.CORRECT_CLOCK, trial_id)
        return log.correct_clock(actor)
