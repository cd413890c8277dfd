"""Refusals of the use-cases."""

from alloc_service.errors.base import (
    AccessError,
    InputError,
    IntegrityError,
    OperationError,
    PaceError,
    StateError,
)


class ClockError(OperationError):
    """The log's last entry lies ahead of this machine's clock."""

    code = "clock-wrong"
    text = (
        "A clock is wrong: the log's last entry is of {last}, and this machine says {now}. "
        "Nothing was appended. Set the clock; if the log's time is the wrong one, an "
        "administrator corrects it with `alloc log correct-clock`."
    )


class LogDamagedError(IntegrityError):
    """The stored log does not fold, or its head is not that of its entries."""

    code = "log-damaged"
    text = (
        "The stored log is damaged at entry {seq}: {rule} Nothing was appended. Run `alloc log "
        "verify`, then `alloc sealer status`."
    )


class PasswordRuleError(InputError):
    """A password breaks a rule."""

    code = "bad-password"
    text = "The password was refused: {rule}. A few words that nobody else would put together do."


class WrongPasswordError(AccessError):
    """The user name and the password do not belong together."""

    code = "wrong-password"
    text = "The user name or the password is wrong. Type both again."


class TooManyTriesError(PaceError):
    """A name was tried too often from one address."""

    code = "too-many-tries"
    text = (
        "Signing in with this user name was tried too often from this address. Wait {minutes} "
        "minutes, or sign in from another computer; an administrator can give a new password."
    )


class RotationError(StateError):
    """The keys cannot be changed now."""

    code = "rotation-held"
    text = "The keys were not changed: {rule}. Mend that first; nothing was done."


class RouteWithoutRuleError(OperationError):
    """A route says nothing of who may come to it."""

    code = "route-without-rule"
    text = "The route {route} has no access rule, so the service does not start. Give it one."


class SessionEndedError(AccessError):
    """Nobody is signed in here, or no longer."""

    code = "signed-out"
    text = "You are not signed in, or no longer. Sign in, and go on where you were."


class CodeMissingError(AccessError):
    """Somebody who has a second factor signed beside another without its code."""

    code = "code-missing"
    text = (
        "This person has a second factor, and no code of it was typed. Let them type the code that "
        "their device shows now, or a recovery code."
    )


class FactorMissingError(AccessError):
    """Somebody who must have a second factor signed beside another, and has none."""

    code = "factor-missing"
    text = (
        "This person must have a second factor for this service's trials, and has none. Let them "
        "sign in themselves once and set it up, then sign here."
    )


class WrongCodeError(AccessError):
    """A code of a second factor does not fit, or was taken before."""

    code = "wrong-code"
    text = (
        "The code is wrong, too old, or was used already. Type the one that your device shows "
        "now, or a recovery code that you have not used yet."
    )


class SecondFactorDueError(AccessError):
    """A second factor is asked before anything else."""

    code = "second-factor-due"
    text = "A second factor is asked of this account before anything else. Give it, and go on."


class PasswordChangeDueError(AccessError):
    """A one-time password opens nothing but its own change."""

    code = "password-change-due"
    text = (
        "The password of {username} is a one-time password. Its owner changes it first, with "
        "`alloc user password {username}`."
    )


class AccountError(InputError):
    """An account is not there, is disabled, or cannot be given this role."""

    code = "bad-account"
    text = "Account {username}: {rule}. `alloc user list` shows who has which role."


class AccountNameError(InputError):
    """A name of a new account breaks a rule."""

    code = "bad-account-name"
    label = "The new account was refused: {field}: "
    text = "The new account was refused: {field}: {rule}."


class SelfGrantError(AccessError):
    """Nobody changes their own roles or disables their own account."""

    code = "self-grant"
    text = "Nobody changes their own roles or account: ask another administrator."


class AllocatedAlreadyError(StateError):
    """A record that was signed for an allocation never changes."""

    code = "allocated-already"
    text = (
        "The record of participant {participant} was not changed: it is allocated already. "
        "Record a correction beside it; the allocation stands."
    )


class ParticipantUsedError(InputError):
    """A site uses a participant number once."""

    code = "participant-used"
    text = (
        "Participant {participant} of site {site} is enrolled already. Look that enrolment up, "
        "or check the number; one person is enrolled once."
    )


class EnrolmentChangedError(IntegrityError):
    """A stored enrolment is not the one whose hash is in the log."""

    code = "enrolment-changed"
    text = (
        "The stored record of enrolment {enrolment} is not the one in the audit log: it was "
        "changed or swapped. Nothing is shown. Tell the data monitoring committee."
    )


class DefinitionChangedError(IntegrityError):
    """The stored definition of a trial is not the one that a record was signed under."""

    code = "definition-changed"
    text = (
        "The stored definition of trial {trial}, which says what each arm is called, is not the "
        "one that this participant's record was signed under. Nothing is shown. Do not enrol; "
        "tell the data monitoring committee, and have the definition restored from a backup."
    )


class SignatureError(AccessError):
    """A request is not signed for this very record, by this person, now."""

    code = "not-signed"
    text = "No allocation: {rule}. Check the record, then type user name and password again."


class TrialNotOpenError(StateError):
    """The trial takes no new participants now."""

    code = "trial-not-open"
    text = "No allocation: the trial is {state}. The trial manager knows when it goes on."


class SiteNotActiveError(StateError):
    """The site takes no new participants now."""

    code = "site-not-active"
    text = "No allocation: site {site} is not active. The trial manager activates it."


class CapReachedError(StateError):
    """The trial has all its participants."""

    code = "cap-reached"
    text = "No allocation: the trial has reached its number of participants."


class NoActiveListError(StateError):
    """No list of the trial is active."""

    code = "no-active-list"
    text = (
        "No allocation: no randomization list is active. The trial manager activates one that "
        "a second statistician has approved."
    )


class StratumExhaustedError(StateError):
    """No active list has a slot left for this stratum."""

    code = "stratum-exhausted"
    text = (
        "No allocation: no active list has a slot left for stratum {stratum}. The statistician "
        "generates a further list, with a seed of its own."
    )


class ReceiptFolderError(OperationError):
    """The folder for receipts cannot be used."""

    code = "receipt-folder"
    text = (
        "Receipts are not delivered to {path}: {reason}. Mend the folder that ALLOC_RECEIPTS "
        "names; then `alloc receipt deliver` makes up for those that are missing."
    )


class ReceiptLaterError(StateError):
    """A site asks for a full receipt while the trial runs."""

    code = "receipt-later"
    text = (
        "The full receipt of participant {participant} comes after the end: it tells the place "
        "of the slot in its stratum, which helps to foresee others. Take the receipt without it "
        "now; once the trial is closed, ask again."
    )


class DrillError(InputError):
    """A drill's report cannot be logged."""

    code = "bad-drill"
    text = "The drill was refused: {rule}. Hold it with `alloc drill run` and log what that wrote."


class NotAllocatedError(StateError):
    """There is nothing to read again."""

    code = "not-allocated"
    text = "Participant {participant} has no allocation yet. Sign and request it first."


class DesignMismatchError(InputError):
    """A list is not of this trial."""

    code = "design-mismatch"
    text = "The list was refused: its {what}: {rule}. Make it from this trial's definition."


class RootMismatchError(IntegrityError):
    """A regenerated list is not the sealed one."""

    code = "root-mismatch"
    text = (
        "List {list} was not approved: the root that you regenerated is not the sealed one. "
        "Check design and seed; if they are right, the sealed list is not the designed one."
    )


class SeedTooEarlyError(StateError):
    """A list's seed was to be shown while its trial goes on."""

    code = "seed-too-early"
    text = (
        "No bundle: the seed of list {list} must not be in one before the trial is closed, for "
        "with the design it gives every slot to come. Leave the escrow out, or close the trial."
    )


class SecondPersonError(AccessError):
    """A recovery takes two people."""

    code = "second-person"
    text = "This takes two people: the second must be somebody else, with a role for it."


class NotRestorableError(StateError):
    """An enrolment is not one that a recovery left without its record."""

    code = "not-restorable"
    text = "Enrolment {enrolment} was not restored: {rule}."


class LoggedFieldError(InputError):
    """What somebody gave for a field of the log breaks the field's rule."""

    code = "bad-field"
    label = "{field}: "
    text = "{field}: {rule}. Nothing was changed; correct it and ask again."


class TrialExistsError(StateError):
    """A trial of this id was created before."""

    code = "trial-exists"
    text = (
        "There is a trial {trial} already, and its log has begun. `alloc trial show {trial}` shows "
        "it; a trial of another id can be created beside it."
    )


class InstalledAlreadyError(StateError):
    """An installation is there, and is never set up a second time."""

    code = "installed-already"
    text = (
        "{location} holds accounts: this is set up already, and is never set up again. To add "
        "people run `alloc user add`; for a second installation name other places in ALLOC_HOME, "
        "ALLOC_KEYS, ALLOC_ANCHORS and ALLOC_DATABASE_URL."
    )


class DatabaseLostError(StateError):
    """Anchors know logs that the database does not hold: this is no new installation."""

    code = "database-lost"
    text = (
        "{anchors} holds the anchors of logs, but {location} holds no account: the database is "
        "lost, or another one is named. Nothing was made. Name the right one in "
        "ALLOC_DATABASE_URL, or restore the last backup with `alloc restore`."
    )


class VerificationError(IntegrityError):
    """A check of a verification failed."""

    code = "verification-failed"
    text = (
        "The log {origin} and its rows did not verify; the first check to fail is {check}: "
        "{detail}. Keep a copy of the database as evidence, then ask `alloc sealer status`."
    )
