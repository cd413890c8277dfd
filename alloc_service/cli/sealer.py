"""`alloc sealer`: why nothing opens, and the way back.

`status` asks the sealer, wherever it runs; everything else is run where its keys are.
"""

from pathlib import Path

import click

from alloc_service.cli import bundles, files, rotating, screen, sealing_host
from alloc_service.cli.command import as_json, command, refuse
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in, with_second
from alloc_service.cli.progress import waiting
from alloc_service.cli.status import trial_to_json
from alloc_service.errors import UnknownRecordError
from alloc_service.log.note import split_note
from alloc_service.log.witness import LONGEST_REQUEST
from alloc_service.services import audit, recovery
from alloc_service.services.installation import TrialStatus, service_status
from alloc_service.services.recovery import Recovery, TwoPeople


@click.group("sealer")
def sealer_command() -> None:
    """See why nothing opens, and recover.

    The sealer follows every log and keeps a copy of it, its anchor. Where a log is shorter than
    its anchor or contradicts it, the trial is frozen: nothing opens, nothing is appended, and no
    slot is spent.
    """


@command("status", "alloc sealer status\nalloc sealer status NCT01728727 --json", sealer_command)
@click.argument("trial", required=False)
@as_json
def status(trial: str | None, as_json: bool) -> None:
    """Say for each trial, or for one, how the sealer stands and why.

    Nothing of any participant is shown, so nobody is asked who they are. The exit code is 1
    where a trial cannot go on.
    """
    found = service_status(open_service()).trials
    chosen = [item for item in found if trial in {None, item.trial, item.origin}]
    if trial is not None and not chosen:
        raise UnknownRecordError(what="trial", name=trial)
    if as_json:
        screen.emit([trial_to_json(item) for item in chosen])
    else:
        for item in chosen:
            _show(item)
        if not chosen:
            screen.say("The sealer follows no log yet.")
    if any(item.trouble for item in chosen):
        refuse()


@command(
    "recover",
    "alloc sealer recover NCT01728727 --as ada --second zhang.min\n"
    "alloc sealer recover NCT01728727 --retire 1 --as ada --second zhang.min\n"
    "alloc sealer recover NCT01728727 --seen response.txt --as ada --second zhang.min",
    sealer_command,
)
@click.argument("trial")
@click.option(
    "--retire",
    "retired",
    multiple=True,
    type=click.IntRange(1, 9_999),
    metavar="LIST",
    help="A list to retire because its sealed slots are lost; after a lost anchor all are.  "
    "Example: --retire 1",
)
@click.option(
    "--seen",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The last note of a witness that cannot be asked over the network, as a file.  "
    "Example: --seen response.txt",
)
@acts_as
@with_second
def recover(
    *, trial: str, retired: tuple[int, ...], seen: tuple[Path, ...], claim: Claim, second: Claim
) -> None:
    """Give a frozen trial its log back, from the sealer's anchor; two people do this together.

    Each is an administrator, the trial's manager or of the DMC. The lost entries are given back
    word for word; what stood in their place is kept as evidence. Nothing that was seen is undone,
    and nothing that a witness of the trial has seen is gone below.
    """
    notes = [_read_note(path) for path in seen]
    deps = sealing_host.open_here()
    people = TwoPeople(sign_in(deps, claim), sign_in(deps, second))
    with waiting("Recovering the log"):
        found = recovery.recover(deps, people, trial, retired, notes)
    audit.store_checkpoint(deps, trial)
    screen.banner(trial)
    if found.given_back or found.forked:
        screen.good(f"The log of {trial} is recovered; the trial goes on.")
    else:
        screen.good(f"The log of {trial} was whole; what is derived from it is made anew.")
    _show_recovery(trial, found)


for _command in (
    sealing_host.serve,
    sealing_host.unlock,
    sealing_host.accept,
    sealing_host.design,
    sealing_host.reseal,
    bundles.bundle_on_host,
    rotating.rotate,
):
    sealer_command.add_command(_command)


def _read_note(path: Path) -> str:
    """Return a note that stands in a file, which may be of any log and signed by anybody."""
    text = files.read_text(path, LONGEST_REQUEST)
    with files.naming(path):
        split_note(text)
    return text


def _show(item: TrialStatus) -> None:
    screen.title(item.origin)
    screen.facts(
        (
            ("Trial", item.trial or "not in the database"),
            ("State", item.state),
            ("Frozen", item.sealer.frozen or "no"),
            ("Blocked", item.sealer.blocked or "no"),
            ("Writable", item.sealer.unwritable or "yes"),
            ("Followed", f"{item.sealer.size} entries, the log has {item.entries}"),
            ("Key", item.vkey),
        )
    )
    if item.trouble:
        screen.complain(item.trouble, "Stands still")


def _show_recovery(trial: str, found: Recovery) -> None:
    screen.facts(
        (
            ("Given back", f"{found.given_back} entries"),
            ("Kept as evidence", f"{found.forked} entries"),
            ("Retired lists", ", ".join(map(str, found.retired)) or "none"),
            ("Records to enter again", str(len(found.without_record))),
        )
    )
    for enrolment in found.without_record:
        screen.say(f"alloc restore-enrolment {trial} {enrolment}")
