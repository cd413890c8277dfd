"""`alloc backup`: the whole database in one file."""

from pathlib import Path

import click

from alloc_service.cli import screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import counting
from alloc_service.core.canon import Json
from alloc_service.services import backup, lookups
from alloc_service.services.backup_file import BackupReport


@command("backup", "alloc backup /mnt/backup/alloc-2026-03-02.zip --as ada")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@acts_as
@as_json
def backup_command(file: Path, claim: Claim, as_json: bool) -> None:
    """Write the whole database to a new file; you are an administrator.

    The service may go on meanwhile. FILE holds participants' records and password hashes: keep it
    as the database is kept. It holds neither the keys nor the sealer's anchors, which are never
    kept beside a backup, and no arm in clear.
    """
    deps = open_service()
    person = sign_in(deps, claim)
    lookups.require_backup(deps, person)
    with counting("Writing the backup", backup.count_rows(deps)) as progress:
        report = backup.write_backup(deps, file, progress)
    if as_json:
        screen.emit(report_to_json(report))
        return
    screen.good(f"The backup is in {file}.")
    show_report(report)


def show_report(report: BackupReport) -> None:
    """Show what a backup holds."""
    screen.facts(
        (
            ("Rows", str(report.rows)),
            ("Schema", report.schema),
            ("Its hash", report.sha256),
        )
    )


def report_to_json(report: BackupReport) -> Json:
    """Return what a backup holds as JSON."""
    return {
        "path": str(report.path),
        "rows": report.rows,
        "schema": report.schema,
        "sha256": report.sha256,
        "tables": dict(report.tables),
    }
