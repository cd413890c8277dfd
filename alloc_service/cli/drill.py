"""`alloc drill`: find out on a spare machine that a list could be had again; then log it."""

from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command, refuse
from alloc_service.cli.log import LARGEST_EXPORT
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import FD, Claim, acts_as, read_line, sign_in, with_second
from alloc_service.cli.progress import waiting
from alloc_service.cli.source import FILE, Source
from alloc_service.core.canon import Json
from alloc_service.log.policy import parse_policy
from alloc_service.log.verify import VerifiedLog
from alloc_service.sealing.keys import ServerKeys, load_keys
from alloc_service.services import drills
from alloc_service.services.drills import Drill
from alloc_service.services.recovery import TwoPeople

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group("drill")
def drill_command() -> None:
    """Find out that the escrow, the backup and the restored keys are good, before you need them.

    Hold it on a spare machine, two custodians together, at least every 90 days.
    """


@command(
    "run",
    "alloc drill run --escrow seed.archive+dmc.age --identity archive.key --identity dmc.key "
    "--bundle evidence.zip --policy NCT01728727.policy "
    "--backup alloc-2026-03-02.zip --keys keys/ --out drill.json",
    drill_command,
)
@click.option(
    "--escrow", required=True, type=FILE, metavar="FILE",
    help="An escrow file.  Example: --escrow seed.archive+dmc.age",
)  # fmt: skip
@click.option(
    "--identity", "identities", required=True, multiple=True, type=FILE, metavar="FILE",
    help="Twice: the identity files of its two custodians.  Example: --identity archive.key",
)  # fmt: skip
@click.option(
    "--bundle", required=True, type=FILE, metavar="FILE",
    help="The trial's evidence, as `alloc log bundle` wrote it.  Example: --bundle evidence.zip",
)  # fmt: skip
@click.option(
    "--policy", required=True, type=FILE, metavar="FILE",
    help="Whose log it is and who its witnesses are, a file that you had before.  "
    "Example: --policy NCT01728727.policy",
)  # fmt: skip
@click.option(
    "--backup", required=True, type=FILE, metavar="FILE",
    help="A backup of the database.  Example: --backup alloc-2026-03-02.zip",
)  # fmt: skip
@click.option(
    "--keys", "keys_folder", required=True, type=_FOLDER, metavar="FOLDER",
    help="The server's keys, restored from their own backup.  Example: --keys keys/",
)  # fmt: skip
@click.option(
    "--passphrase-fd", type=FD, metavar="N",
    help="Where the keys' passphrase is read, if one protects them.  Example: --passphrase-fd 3",
)  # fmt: skip
@click.option(
    "--out", required=True, type=FILE, metavar="FILE",
    help="The report to write, for `alloc drill log`.  Example: --out drill.json",
)  # fmt: skip
@as_json
def run_drill(
    *,
    escrow: Path,
    identities: tuple[Path, ...],
    bundle: Path,
    policy: Path,
    backup: Path,
    keys_folder: Path,
    passphrase_fd: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Open the escrow, make the list again, verify the bundle, compare roots, open one slot.

    No database and no network is needed. Nothing of any allocation is shown; the exit code is 1
    where something is not well. Wipe the machine afterwards: it has held the keys.
    """
    files.require_free(out)
    known = files.read_text(policy)
    with files.naming(policy):
        parse_policy(known)
    passphrase = None
    if passphrase_fd is not None:
        passphrase = read_line(passphrase_fd, "--passphrase-fd N")
    escrowed = Source(None, None, escrow, identities).read()

    def verify() -> VerifiedLog:
        return drills.verify_evidence(files.read_file(bundle, LARGEST_EXPORT), known)

    def open_keys() -> ServerKeys:
        return load_keys(keys_folder, passphrase)

    with waiting("Holding the drill"):
        drill, checks = drills.hold(escrowed, verify, backup, open_keys)
    files.write_file(out, drill.to_bytes())
    if as_json:
        rows: list[Json] = [
            {"check": item.name, "detail": item.detail, "ok": item.ok} for item in checks
        ]
        screen.emit({"checks": rows, "ok": drill.is_well, "report": str(out)})
    else:
        screen.checks(checks)
        screen.paragraph(
            f"The report is in {out}: it holds nothing of any allocation. Next, at the service: "
            f"`alloc drill log TRIAL {out}`, by two people."
        )
    if not drill.is_well:
        refuse()


@command(
    "log",
    "alloc drill log NCT01728727 drill.json --as zhao.lei --second dmc.chair",
    drill_command,
)
@click.argument("trial")
@click.argument("file", type=FILE)
@acts_as
@with_second
def log_drill(trial: str, file: Path, claim: Claim, second: Claim) -> None:
    """Log what came out of a drill, well or not; the two who held it do this together."""
    data = files.read_file(file)
    with files.naming(file):
        drill = Drill.from_bytes(data)
    deps = open_service()
    people = TwoPeople(sign_in(deps, claim), sign_in(deps, second))
    entry = drills.log_drill(deps, people, trial, drill)
    screen.banner(trial)
    word = "was well" if drill.is_well else "was NOT well"
    screen.good(f"The drill of list {drill.list} is logged, entry {entry.seq}: it {word}.")
