"""`alloc restore`: an empty database filled from a backup."""

import os
from pathlib import Path

import click

from alloc_service.cli import screen
from alloc_service.cli.backup import report_to_json, show_report
from alloc_service.cli.command import as_json, command
from alloc_service.cli.progress import counting
from alloc_service.config import Settings
from alloc_service.services import installation
from alloc_service.services.backup import check_backup


@command(
    "restore",
    "alloc restore /mnt/backup/alloc-2026-03-02.zip\n"
    "alloc restore --check /mnt/backup/alloc-2026-03-02.zip",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--check",
    is_flag=True,
    help="Only check the file, to its last byte; no database is needed.  Example: --check",
)
@as_json
def restore_command(file: Path, check: bool, as_json: bool) -> None:
    """Fill an empty database from a backup, on its own host.

    ALLOC_DATABASE_URL names the database, which must hold nothing; its tables are made if they
    are not there. All of it is restored, or nothing. Then the log is older than the sealer's
    anchors, so each trial that has gone on since is frozen: `alloc sealer status` says so, and
    `alloc sealer recover` gives the lost entries back.
    """
    report = check_backup(file)
    if not check:
        settings = Settings.from_environment(os.environ)
        with counting("Restoring", report.rows) as progress:
            report = installation.restore_database(settings, file, progress)
    if as_json:
        screen.emit(report_to_json(report))
        return
    screen.good(f"{file} is whole." if check else f"The database is restored from {file}.")
    show_report(report)
    if not check:
        screen.paragraph("Next: `alloc sealer status` says which trials wait for a recovery.")
