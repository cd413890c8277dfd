"""Refusals of the sealer: anchors, following, opening."""

from alloc_service.errors.base import (
    AccessError,
    InputError,
    IntegrityError,
    OperationError,
    StateError,
)


class RegisterError(OperationError):
    """The sealer's register of origins is missing, damaged, or of other keys."""

    code = "bad-register"
    text = (
        "The sealer's register {path}: {rule}. Bring back the anchor directory that belongs to "
        "these keys; without it nobody can tell whether the log was rolled back."
    )


class AnchorMissingError(OperationError):
    """A registered origin has no anchor file."""

    code = "anchor-missing"
    text = (
        "The anchor of {origin} is missing: {path}. Nothing is opened and nothing is appended. "
        "Put the file back, or run `alloc sealer recover`."
    )


class AnchorDamagedError(OperationError):
    """An anchor file does not hold a log."""

    code = "anchor-damaged"
    text = (
        "The anchor {path} is damaged at {where}: {rule} Nothing is opened and nothing is "
        "appended. Put a good copy back, or move it away and run `alloc sealer recover`."
    )


class AnchorWriteError(OperationError):
    """The disk refused an anchor or a file beside it."""

    code = "anchor-not-writable"
    text = (
        "The sealer could not use {path}: {reason}. Nothing was shown. Free the disk or mend "
        "the file's rights, then try again: the same enrolment gets the same slot."
    )


class ProtocolError(InputError):
    """The sealer was asked wrongly."""

    code = "sealer-protocol"
    text = "The sealer was asked wrongly: {rule}."


class FrozenError(StateError):
    """The log was rolled back or rewritten: the trial is frozen."""

    code = "frozen"
    text = (
        "This trial is frozen: {reason}. Nothing is opened and nothing is appended, so that no "
        "slot is spent twice. An administrator runs `alloc sealer status`, then, with a second "
        "person, `alloc sealer recover`."
    )


class BlockedError(StateError):
    """An entry of the log cannot be followed."""

    code = "blocked"
    text = (
        "The sealer follows nothing more of this log, and nothing is appended: {reason} Upgrade "
        "if a newer version wrote it, accept the list if it was not accepted, or run `alloc "
        "sealer recover`."
    )


class SealerUnwritableError(OperationError):
    """The sealer could not keep what would be appended."""

    code = "sealer-not-writable"
    text = (
        "The sealer cannot write its anchor: {reason}. Nothing was appended and no slot was "
        "spent. Free the disk or mend its rights, then try again."
    )


class NotFollowedError(StateError):
    """The log does not end where the sealer's anchor ends."""

    code = "not-followed"
    text = (
        "The log and the sealer's anchor do not agree at entry {seq}, so nothing was appended "
        "and no slot was spent. Run `alloc sealer status`."
    )


class NotAuthorizedError(AccessError):
    """No followed entry allows this opening."""

    code = "not-authorized"
    text = "The sealer does not open this: {rule}."


class AcceptError(IntegrityError):
    """A list's blobs do not open to their commitments."""

    code = "list-not-accepted"
    text = "List {list} was not accepted: {rule}."


class NotAcceptedError(StateError):
    """A sealing that the sealer has not test-opened."""

    code = "not-accepted"
    text = (
        "List {list} was not accepted by the sealer as it is sealed now, so it cannot be used. "
        "Whoever keeps the sealer runs `alloc sealer accept {origin} {list} {root}` on its host, "
        "as its user."
    )


class AnchorsExposedError(OperationError):
    """Others can reach the directory of the anchors."""

    code = "anchors-exposed"
    text = (
        "{path}: {rule}. Whoever can write there could end a freeze or accept a list. Run "
        "`{command}`."
    )


class RecoveryUnknownError(StateError):
    """The log says that it was recovered, and this sealer took no part in it."""

    code = "recovery-unknown"
    text = (
        "Entry {seq} says that the log was recovered, and this sealer made no such recovery. "
        "One is made, and followed, by `alloc sealer recover` alone, on the sealer's host."
    )
