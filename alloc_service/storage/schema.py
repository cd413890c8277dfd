"""The version of the tables: which one is there, which one this program needs, the way between.

Migrations run from code, with a connection that somebody else began: all of an upgrade is one
transaction, on SQLite too, so a failure leaves the tables as they were.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from alloc_service.errors import SchemaVersionError

_MIGRATIONS = Path(__file__).parent / "migrations"

# Any number that nothing else in the database locks: upgrades of PostgreSQL wait for each other.
_UPGRADE_LOCK = 0x616C6C6F63

_UPGRADE = "Stop the service, make a backup, then run `alloc db upgrade`."
_NEWER = "A newer version of the program made it: install that version; no way leads back."


@cache
def expected() -> str:
    """Return the schema version that this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return str(head)


def current(connection: Connection) -> str | None:
    """Return the schema version of a database, or None where it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def check_version(connection: Connection, location: str) -> None:
    """Refuse tables of another version.

    Raises:
        SchemaVersionError: They are missing, older or newer than this program needs.
    """
    found = current(connection)
    if found != expected():
        remedy = _UPGRADE if _is_known(found) else _NEWER
        raise SchemaVersionError(
            location=location, found=found or "none", needed=expected(), remedy=remedy
        )


def upgrade(connection: Connection, location: str) -> None:
    """Bring the tables to the version that this program needs, in the caller's transaction.

    Raises:
        SchemaVersionError: They are newer than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
    if not _is_known(current(connection)):
        check_version(connection, location)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_known(version: str | None) -> bool:
    scripts = ScriptDirectory.from_config(_config())
    return version is None or version in {script.revision for script in scripts.walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
