"""Refusals of backups and of their restoring."""

from alloc_service.errors.base import IntegrityError, OperationError, StateError


class BackupFileError(OperationError):
    """A backup's file could not be written or read."""

    code = "backup-file"
    text = (
        "{path}: {reason}. No file was overwritten and nothing was restored; name a path that is "
        "free to write, or a backup that can be read."
    )


class BackupError(IntegrityError):
    """A file is no backup, or not whole."""

    code = "bad-backup"
    text = (
        "The backup {path} was refused at {where}: {rule}. Nothing was restored. Fetch the file "
        "again, or take an older backup: what came after it is given back from the sealer's "
        "anchor."
    )


class BackupVersionError(StateError):
    """A backup is of another version of the tables than this program."""

    code = "backup-version"
    text = (
        "The backup {path} is of schema version {found}, this program needs {needed}. Nothing "
        "was restored. Restore it with the version of the program that wrote it, then upgrade."
    )


class DatabaseNotEmptyError(StateError):
    """A backup is restored into an empty database only."""

    code = "database-not-empty"
    text = (
        "The database {location} is not empty: its table {table} holds rows. Nothing was "
        "restored and nothing was overwritten. Name a new database, made by `alloc db upgrade`."
    )


class StoredValueError(IntegrityError):
    """A row holds what nothing of this program can have stored."""

    code = "bad-stored-value"
    text = (
        "The database's table {table} was changed by something else than this program: in the "
        "row of {row}, {rule}. Nothing was written. Keep a copy of the database as evidence, run "
        "`alloc log verify`, then restore an older backup."
    )
