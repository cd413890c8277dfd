"""Refusals of the audit log: entries, rules, notes, verification."""

from alloc_service.errors.base import InputError, IntegrityError


class EntryError(IntegrityError):
    """Bytes are no entry of rac-log/1."""

    code = "bad-entry"
    text = "The log's {where}: {rule}."


class EntryTypeError(EntryError):
    """An entry of a type that this version does not know."""

    code = "unknown-entry-type"
    text = (
        "The log's {where} is of type {type}, which this version does not know. It was written "
        "by a newer version or by something else: upgrade, or compare with the sealer's anchor."
    )


class VersionError(EntryError):
    """An entry of another version of the log's format."""

    code = "unknown-log-version"
    text = (
        "The log's entry {where} is written in version {version}, which this version does not "
        "know. Upgrade before going on."
    )


class RuleError(IntegrityError):
    """An entry may not follow the ones before it."""

    code = "log-rule"
    text = (
        "Entry {seq} ({type}) may not stand here: {rule}. `alloc log show` tells what came before."
    )


class NoteError(IntegrityError):
    """A signed note, a checkpoint or a receipt is not what it must be."""

    code = "bad-note"
    text = "The signed note was refused: {rule}."


class UnknownSignerError(NoteError):
    """No key that is known has signed a note."""

    code = "unknown-signer"


class LogFaultError(IntegrityError):
    """A log is not whole; facts `seq` to `last` are where the first bad entry is."""

    code = "log-fault"
    text = (
        "The log is not whole, from entry {seq}: {rule}. Keep this copy as evidence, append "
        "nothing to it, and compare it with the sealer's anchor (alloc sealer status)."
    )


class SplitViewError(LogFaultError):
    """The log's key has signed two histories."""

    code = "split-view"
    text = (
        "Two histories of this log were signed, and they part at entry {seq} or after: {rule}. "
        "Keep both checkpoints as evidence, and ask the witnesses which one they saw."
    )


class LogFileError(IntegrityError):
    """An exported log is not one entry a line, each line ended by LF."""

    code = "bad-log-file"
    text = (
        "The exported log, line {line}: {rule}. Its bytes are what is hashed; fetch the file "
        "again, as binary, without an editor or a mail program in between."
    )


class PolicyError(InputError):
    """A policy file is not spelled as one, or is of other logs."""

    code = "bad-policy"
    text = "The policy{line}: {rule}. `alloc log policy` writes one for a trial's log."


class BundleError(IntegrityError):
    """A bundle is not what its log, its policy or its format says it must be."""

    code = "bad-bundle"
    text = "The bundle was refused: {where}: {rule}."
