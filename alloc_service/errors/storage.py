"""Refusals of settings and of the database."""

from alloc_service.errors.base import InputError, IntegrityError, OperationError, StateError


class ConfigError(OperationError):
    """A setting in the environment is missing or breaks its rule; its value is never shown."""

    code = "bad-setting"
    text = "{variable}: {rule}. Example: {variable}={example}"


class UnknownRecordError(InputError):
    """Nothing is stored under this name."""

    code = "not-found"
    text = "There is no {what} {name}. Check the spelling; names differ in every letter."


class DatabaseError(OperationError):
    """The database refused a statement for a reason that has no class of its own."""

    code = "database-failed"
    text = (
        "The database {location} refused a statement ({kind}); nothing was changed. Try again; "
        "if it stays so, give this code to whoever runs the database."
    )


class DatabaseBusyError(DatabaseError):
    """Another writer held the database for longer than anybody should wait."""

    code = "database-busy"
    text = (
        "The database {location} stayed busy ({kind}); nothing was changed. Try again in a "
        "minute; if it stays so, look for a backup or an open console that holds it."
    )


class DatabaseReadOnlyError(DatabaseError):
    """The database can be read but not written."""

    code = "database-read-only"
    text = (
        "The database {location} can be read but not written ({kind}); nothing was changed. Give "
        "the service's user write access to the file and its folder, or name the primary server."
    )


class DatabaseUnreachableError(DatabaseError):
    """The file cannot be opened, or the server does not answer."""

    code = "database-unreachable"
    text = (
        "The database {location} cannot be reached ({kind}); nothing was changed. Check "
        "ALLOC_DATABASE_URL and that the server runs; a lost database is made anew, empty, by "
        "`alloc db upgrade`, and filled by `alloc restore`."
    )


class DatabaseFullError(DatabaseError):
    """The disk under the database is full."""

    code = "database-full"
    text = (
        "The disk under the database {location} is full ({kind}); nothing was changed. Free some "
        "space and try again."
    )


class DatabaseDamagedError(DatabaseError):
    """The file is no database, or its pages contradict each other."""

    code = "database-damaged"
    text = (
        "The database {location} is damaged or is no database ({kind}); nothing was changed. "
        "Stop the service and restore the last backup with `alloc restore`."
    )


class CommitUnknownError(DatabaseError):
    """The answer to a commit was lost, so the change may be stored or not."""

    code = "commit-unknown"
    text = (
        "The database {location} was lost while it stored a change ({kind}): whether the change "
        "was kept is not known. Ask again: what was kept is read, and nothing is done twice."
    )


class DatabaseSettingError(OperationError):
    """The database works in a way that could lose a committed allocation."""

    code = "database-unsafe"
    text = (
        "The database {location} was refused: {setting} is {found}, but must be {needed}. "
        "An allocation that was shown must survive a loss of power."
    )


class SchemaVersionError(OperationError):
    """The tables are of another version than this program."""

    code = "schema-version"
    text = (
        "The database {location} has schema version {found}, this program needs {needed}. {remedy}"
    )


class AppendOnlyError(IntegrityError):
    """A row of the log, an assignment or a sealed slot would be changed, removed or misplaced."""

    code = "append-only"
    text = (
        "The database refused a statement by its rule {rule}; nothing was changed. Log entries, "
        "assignments and sealed slots are only ever added, each in its place. `alloc log verify` "
        "finds a row that is missing or changed; tell the data monitoring committee."
    )


class ConstraintError(StateError):
    """A row breaks a named rule of the schema."""

    code = "constraint"
    text = "The database refused a row by its rule {constraint}; nothing was changed."


class UnknownArmError(IntegrityError):
    """An opening names an arm that the trial does not have."""

    code = "unknown-arm"
    text = "The opened slot names no arm of trial {trial}. Nothing is shown. Tell the statistician."
