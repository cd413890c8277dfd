"""`alloc db`: the tables of the database."""

import os

import click

from alloc_service.cli import screen
from alloc_service.cli.command import command
from alloc_service.cli.progress import waiting
from alloc_service.config import Settings
from alloc_service.services import installation


@click.group("db")
def db_command() -> None:
    """Bring the database's tables up to date."""


@command("upgrade", "alloc backup before.zip\nalloc db upgrade", db_command)
def upgrade() -> None:
    """Bring the tables to the version that this program needs.

    All of it is one transaction: a failure leaves the tables as they were. Stop the service and
    make a backup first; no way leads back to an older version. A SQLite file that is not there
    is made.
    """
    settings = Settings.from_environment(os.environ)
    with waiting("Upgrading the tables"):
        before, now = installation.upgrade_database(settings)
    if before == now:
        screen.good(f"The tables are of version {now} already; nothing was changed.")
    else:
        screen.good(f"The tables are of version {now} now (before: {before or 'none'}).")
