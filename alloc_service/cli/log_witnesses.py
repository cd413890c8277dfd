"""`alloc log witnesses`: who cosigns a trial's log, and what waits for them."""

from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command, refuse
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in, with_second
from alloc_service.cli.progress import waiting
from alloc_service.core.canon import Json
from alloc_service.log.witness import LONGEST_REQUEST
from alloc_service.services import witness_standing, witnesses
from alloc_service.services.cosigning import Collected
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.witness_standing import Standing
from alloc_service.services.witnesses import LONGEST_HOURS, MODES, NewPolicy, WitnessPlace


@click.group("witnesses")
def witnesses_group() -> None:
    """Set who cosigns a trial's log, and whether allocations wait for them.

    A witness runs `alloc witness` on a machine of its own. With `follow` it confirms the log
    later; with `gate` no allocation opens before it did. You are an administrator, the trial's
    manager or of its DMC.
    """


@command(
    "set",
    "alloc log witnesses set NCT01728727 --mode gate --quorum 1 \\\n"
    "  --witness 'dmc.example.org/w1+ca1b8ed2+BB1p…' https://dmc.example.org/witness \\\n"
    "  --as li.na --second wang.fang\n"
    "alloc log witnesses set NCT01728727 --mode off --as li.na --second wang.fang",
    witnesses_group,
)
@click.argument("trial")
@click.option(
    "--mode",
    required=True,
    type=click.Choice(MODES),
    help="off: no witness. follow: they confirm the log later. gate: no allocation opens before.  "
    "Example: --mode gate",
)
@click.option(
    "--quorum",
    type=click.IntRange(1),
    metavar="N",
    help="How many of them must cosign; all, if it is not said.  Example: --quorum 2",
)
@click.option(
    "--witness",
    "places",
    multiple=True,
    type=(str, str),
    metavar="VKEY URL",
    help="A witness's public key, and where it answers; '' for one that is reached by file alone. "
    "Each witness once; a new policy replaces the old one.  "
    "Example: --witness 'dmc.example.org/w1+ca1b8ed2+BB1p…' https://dmc.example.org/witness",
)
@acts_as
@with_second
def set_(
    *,
    trial: str,
    mode: str,
    quorum: int | None,
    places: tuple[tuple[str, str], ...],
    claim: Claim,
    second: Claim,
) -> None:
    """Set a trial's witnesses; two people do this together, and the log names both."""
    if (mode == "off") != (not places):
        raise click.UsageError("Give each --witness, or none with --mode off.")
    deps = open_service()
    people = TwoPeople(sign_in(deps, claim), sign_in(deps, second))
    known = tuple(WitnessPlace(vkey, url) for vkey, url in places)
    new = NewPolicy(mode, len(known) if quorum is None else quorum, known)
    entry = witnesses.set_policy(deps, people, trial, new)
    screen.banner(trial)
    screen.good(f"The witnesses of {trial} are set, entry {entry.seq}: {mode}.")
    if known:
        with waiting("Asking the witnesses"):
            signed, got = witnesses.collect_for_all(deps, trial)
        _show_collected(signed.size, got)


@command(
    "show",
    "alloc log witnesses show NCT01728727 --as dmc.chair",
    witnesses_group,
)
@click.argument("trial")
@acts_as
@as_json
def show(trial: str, claim: Claim, as_json: bool) -> None:
    """Show a trial's witnesses, and how far each has confirmed the log."""
    deps = open_service()
    standing = witness_standing.read_standing(deps, sign_in(deps, claim), trial)
    if as_json:
        screen.emit(standing_to_json(standing))
        return
    screen.banner(trial)
    screen.say(describe_standing(standing))
    rows = [(one.key.name, str(one.size), one.url or "by file") for one in standing.witnesses]
    if rows:
        screen.table(("Witness", "Confirmed", "Where"), rows)


@command(
    "collect",
    "alloc log witnesses collect NCT01728727 --as dmc.chair",
    witnesses_group,
)
@click.argument("trial")
@acts_as
def collect(trial: str, claim: Claim) -> None:
    """Ask every witness now to confirm the log as it is.

    With `follow` this is run every day, by hand or by a timer. The exit code is 1 where one of
    them did not.
    """
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Asking the witnesses"):
        signed, got = witnesses.collect(deps, person, trial)
    _show_collected(signed.size, got)
    if got.troubles:
        refuse()


@command(
    "suspend",
    "alloc log witnesses suspend NCT01728727 --hours 12 --code witness-down \\\n"
    "  --reason 'No power at the committee.' --as li.na --second wang.fang",
    witnesses_group,
)
@click.argument("trial")
@click.option(
    "--hours",
    required=True,
    type=click.IntRange(1, LONGEST_HOURS),
    metavar="N",
    help=f"For how long, at most {LONGEST_HOURS}.  Example: --hours 12",
)
@click.option(
    "--code",
    required=True,
    metavar="CODE",
    help="For the log: 1 to 64 of a-z 0-9 . -.  Example: --code power",
)
@click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="One line without personal identifiers; it stays in the database.  "
    "Example: --reason 'No power at the committee.'",
)
@acts_as
@with_second
def suspend(*, trial: str, hours: int, code: str, reason: str, claim: Claim, second: Claim) -> None:
    """Let allocations go on without a witness for some hours; two people do this together."""
    deps = open_service()
    people = TwoPeople(sign_in(deps, claim), sign_in(deps, second))
    entry = witnesses.suspend(deps, people, trial, hours=hours, code=code, reason=reason)
    screen.banner(trial)
    screen.good(f"Until {entry.body['until']} allocations of {trial} wait for no witness.")


@command("resume", "alloc log witnesses resume NCT01728727 --as dmc.chair", witnesses_group)
@click.argument("trial")
@acts_as
def resume(trial: str, claim: Claim) -> None:
    """Let allocations wait for the witness again, before the stated time."""
    deps = open_service()
    witnesses.resume(deps, sign_in(deps, claim), trial)
    screen.banner(trial)
    screen.good(f"Allocations of {trial} wait for the witness again.")


@command(
    "request",
    "alloc log witnesses request NCT01728727 --witness dmc.example.org/w1 --out request.txt",
    witnesses_group,
)
@click.argument("trial")
@click.option(
    "--witness",
    "name",
    required=True,
    metavar="NAME",
    help="The witness's name.  Example: --witness dmc.example.org/w1",
)
@click.option(
    "--old",
    type=click.IntRange(0),
    metavar="N",
    help="How many entries the witness has seen, where it says another number.  Example: --old 0",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A new file, to be carried to the witness.  Example: --out request.txt",
)
@acts_as
def request(*, trial: str, name: str, old: int | None, out: Path, claim: Claim) -> None:
    """Write a request for a witness that no network leads to; `alloc witness cosign` answers it."""
    files.require_free(out)
    deps = open_service()
    data = witnesses.write_request(deps, sign_in(deps, claim), trial, name, old)
    files.write_file(out, data)
    screen.say(str(out))


@command(
    "take",
    "alloc log witnesses take NCT01728727 response.txt --as dmc.chair",
    witnesses_group,
)
@click.argument("trial")
@click.argument("response", type=click.Path(dir_okay=False, path_type=Path))
@acts_as
def take(trial: str, response: Path, claim: Claim) -> None:
    """Take the response that was carried back from a witness."""
    note = files.read_text(response, LONGEST_REQUEST)
    deps = open_service()
    person = sign_in(deps, claim)
    with files.naming(response):
        size, names = witnesses.take_response(deps, person, trial, note)
    screen.banner(trial)
    screen.good(f"{', '.join(names)} confirmed the log of {trial} up to entry {size - 1}.")


def describe_standing(standing: Standing) -> str:
    """Return in a line or two how a trial's witnesses stand."""
    if standing.mode == "off":
        return "No witness: two histories for two readers would not show."
    words = {"gate": "Allocations wait for them.", "follow": "They confirm the log later."}
    told = (
        f"Witnesses: {len(standing.witnesses)}, cosignatures needed: {standing.quorum}. "
        f"{words[standing.mode]} Confirmed: {standing.cosigned} of {standing.entries} entries."
    )
    if standing.suspended_until:
        told += (
            f" The gate is suspended until {standing.suspended_until} by "
            f"{standing.suspended_by} ({standing.suspended_code})."
        )
    return told


def standing_to_json(standing: Standing) -> Json:
    """Return how a trial's witnesses stand as JSON."""
    return {
        "cosigned": standing.cosigned,
        "entries": standing.entries,
        "mode": standing.mode,
        "quorum": standing.quorum,
        "suspended_by": standing.suspended_by,
        "suspended_code": standing.suspended_code,
        "suspended_until": standing.suspended_until,
        "witnesses": [
            {"confirmed": one.size, "url": one.url, "vkey": one.key.vkey}
            for one in standing.witnesses
        ],
    }


def _show_collected(size: int, got: Collected) -> None:
    for name in sorted(got.lines):
        screen.good(f"{name} confirmed the log up to entry {size - 1}.")
    for name, trouble in sorted(got.troubles.items()):
        screen.warn(f"{name}: {trouble}.")
