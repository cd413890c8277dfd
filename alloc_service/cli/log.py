"""`alloc log`: the audit log, for those who may read it."""

from pathlib import Path

import click

from alloc_service.cli import bundles, files, screen
from alloc_service.cli.command import as_json, command, refuse
from alloc_service.cli.log_witnesses import witnesses_group
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.cli.source import FILE
from alloc_service.core.canon import Json
from alloc_service.log.note import Verifier
from alloc_service.log.words import SENTENCES, describe, name_actor
from alloc_service.services import lookups, reports, trials, verification
from alloc_service.services.verification import VerificationReport

LARGEST_EXPORT = 2**30
ENTRIES, CHECKPOINT, KEY = "entries.ndjson", "checkpoint", "log.vkey"


@click.group("log")
def log_command() -> None:
    """Read, verify and export the audit log.

    It holds no arm for anyone. Oversight reads the whole log; enrolling staff read their own
    entries, without list and slot.
    """


log_command.add_command(witnesses_group)


@command("show", "alloc log show NCT01728727 --last 20 --as dmc.chair", log_command)
@click.argument("trial")
@click.option(
    "--last",
    type=click.IntRange(1),
    metavar="N",
    help="Only the last N entries.  Example: --last 20",
)
@click.option(
    "--type",
    "type_",
    type=click.Choice(sorted(SENTENCES)),
    metavar="TYPE",
    help="Only entries of one type.  Example: --type allocation.refused",
)
@acts_as
@as_json
def show(*, trial: str, last: int | None, type_: str | None, claim: Claim, as_json: bool) -> None:
    """Show a trial's log: who did what, and when; one plain sentence an entry."""
    deps = open_service()
    entries = reports.read_log(deps, sign_in(deps, claim), trial)
    chosen = [entry for entry in entries if type_ in {None, entry["type"]}]
    chosen = chosen if last is None else chosen[-last:]
    if as_json:
        screen.emit(chosen)
        return
    screen.banner(trial)
    if not chosen:
        screen.hint("There is no such entry among those that you may read.")
    for entry in chosen:
        screen.say(f"{entry['seq']:>6}  {entry['time']}  {name_actor(entry)} {describe(entry)}.")


@command("export", "alloc log export NCT01728727 --out log/ --as dmc.chair", log_command)
@click.argument("trial")
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help=f"The folder for {ENTRIES}, {CHECKPOINT} and {KEY}; it is made if it is not there.  "
    "Example: --out log/",
)
@acts_as
def export(trial: str, out: Path, claim: Claim) -> None:
    """Export a trial's log: its exact bytes, its signed checkpoint, and the key to check both.

    You have a part in the trial's oversight, and the export is logged. `alloc log verify
    --export FOLDER` checks it without a database. Take the key from another source than the
    export when you trust nobody.
    """
    names = (ENTRIES, CHECKPOINT, KEY)
    files.make_folder(out)
    for name in names:
        files.require_free(out / name)
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Exporting the log"):
        entries, checkpoint = reports.export_log(deps, person, trial)
    vkey = lookups.read_log_key(deps, trial)
    for name, data in zip(names, (entries, checkpoint.encode(), f"{vkey}\n".encode()), strict=True):
        files.write_file(out / name, data)
        screen.say(str(out / name))


log_command.add_command(bundles.bundle)
log_command.add_command(bundles.policy)


@command(
    "verify",
    "alloc log verify NCT01728727 --as dmc.chair\n"
    "alloc log verify --export log/ --key rac.example.org/NCT01728727/audit+c4c5a2d4+AYdt8Q…\n"
    "alloc log verify --bundle evidence.zip --policy NCT01728727.policy",
    log_command,
)
@click.argument("trial", required=False)
@click.option(
    "--export",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Check an exported log instead; no database is needed.  Example: --export log/",
)
@click.option(
    "--key",
    metavar="VKEY",
    help="With --export: the log's public key, from a source that you trust more than the export; "
    "`alloc sealer status` shows it.  Example: --key rac.example.org/NCT01728727/audit+c4c5a2d4+…",
)
@click.option(
    "--bundle",
    type=FILE,
    metavar="FILE",
    help="Check a bundle instead; no database is needed.  Example: --bundle evidence.zip",
)
@click.option(
    "--policy",
    type=FILE,
    metavar="FILE",
    help="With --bundle: whose log it is and who its witnesses are, a file that you had before "
    "(`alloc log policy`).  Example: --policy NCT01728727.policy",
)
@acts_as
@as_json
def verify(
    *,
    trial: str | None,
    folder: Path | None,
    key: str | None,
    bundle: Path | None,
    policy: Path | None,
    claim: Claim,
    as_json: bool,
) -> None:
    """Verify a trial's log, and every stored row that it speaks of.

    You have a part in the trial's oversight. Every check is made, whatever the others say, and
    names the first entry that is wrong; the exit code is 1 where one fails.
    """
    given = [trial is not None, folder is not None, bundle is not None]
    alone = (key is None or folder is not None) and (bundle is None) == (policy is None)
    if given.count(True) != 1 or not alone:
        raise click.UsageError(
            "Give TRIAL, or --export FOLDER with its --key, or --bundle FILE with --policy FILE."
        )
    if bundle is not None and policy is not None:
        bundles.show_evidence(bundles.check_bundle(bundle, policy), as_json=as_json)
        return
    if folder is not None:
        report = _verify_export(folder, key)
    else:
        deps = open_service()
        person = sign_in(deps, claim)
        lookups.require_oversight(deps, person, str(trial))
        with waiting("Verifying the log"):
            report = verification.verify(deps, str(trial))
    _show_report(report, as_json)


@command("correct-clock", "alloc log correct-clock NCT01728727 --as ada", log_command)
@click.argument("trial")
@acts_as
def correct_clock(trial: str, claim: Claim) -> None:
    """Set a log's time back to this machine's, where a wrong clock ran ahead.

    You are an administrator. Mend the clock first; the correction is an entry of the log.
    """
    deps = open_service()
    entry = trials.correct_clock(deps, sign_in(deps, claim), trial)
    screen.banner(trial)
    screen.good(f"{trial}: the log's time is {entry.time} again, entry {entry.seq}.")


def _verify_export(folder: Path, key: str | None) -> VerificationReport:
    if key is not None:
        log_key = Verifier.parse(key)
    else:
        with files.naming(folder / KEY):
            log_key = Verifier.parse(files.read_text(folder / KEY).strip())
        screen.warn(
            f"the key is taken from {folder / KEY}, so this tells nothing about who made the "
            f"export. Take --key from another source."
        )
    checkpoint = files.read_text(folder / CHECKPOINT)
    entries = files.read_file(folder / ENTRIES, LARGEST_EXPORT)
    with waiting("Verifying the export"):
        return verification.verify_export(entries, checkpoint, log_key)


def _show_report(report: VerificationReport, as_json: bool) -> None:
    if as_json:
        rows: list[Json] = [
            {"check": item.name, "detail": item.detail, "ok": item.ok} for item in report.checks
        ]
        screen.emit(
            {
                "checks": rows,
                "ok": report.ok,
                "origin": report.origin,
                "unchecked": list(report.unchecked),
            }
        )
    else:
        screen.title(report.origin)
        show_checks(report)
    if not report.ok:
        refuse()


def show_checks(report: VerificationReport) -> None:
    """Show each check of a verification, and what was not there to check."""
    screen.checks(report.checks)
    for sentence in report.unchecked:
        screen.note(sentence)
