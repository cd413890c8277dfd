"""`alloc ceremony`: hold a seed ceremony, step by step; these steps are the statistician's."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.ceremony_offline import draw_command, wrap_command
from alloc_service.cli.ceremony_party import (
    beacon_command,
    commit_command,
    deposit_command,
    reveal_command,
)
from alloc_service.cli.command import as_json, command
from alloc_service.cli.custodians import (
    keep_escrow,
    prepare_folder,
    read_custodians,
    with_custodians,
)
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.cli.source import FILE, read_design, read_identity
from alloc_service.cli.trial import TEST_HELP, read_definition
from alloc_service.core.canon import Json
from alloc_service.core.ceremony import Beacon, Drand, PublicString
from alloc_service.errors import CeremonyError
from alloc_service.sealing import shares
from alloc_service.sealing.shares import OwnShare
from alloc_service.services import ceremonies, ceremony_lists, ceremony_views
from alloc_service.services.ceremonies import REASONS, Keys
from alloc_service.services.ceremony_lists import Opening
from alloc_service.services.ceremony_views import CeremonyView
from alloc_service.services.deps import system_clock

NEXT: Mapping[str, str] = {
    "commit": "the parties commit, then deposit; then the statistician announces it",
    "deposit": "every party deposits its share with the escrow",
    "beacon": "somebody types the beacon's value, once it is published",
    "reveal": "every party hands in its share",
    "finish": "the statistician makes the list",
    "sealed": "nothing: its list is sealed",
    "dropped": "nothing: it was dropped",
    "replaced": "nothing: nobody has committed to it, and another goes on in its place",
}


@click.group("ceremony")
def ceremony_command() -> None:
    """Hold a seed ceremony: several parties make a seed that none of them can choose.

    Everybody commits before anybody reveals, and every step is an entry of the log. `draw` and
    `wrap` are for a party's own machine, and need neither database nor network.
    """


for _made in (
    draw_command, wrap_command, commit_command, deposit_command, beacon_command, reveal_command,
):  # fmt: skip
    ceremony_command.add_command(_made)

_TO = click.option(
    "--to",
    "recipient",
    required=True,
    metavar="KEY",
    help="Your public key for this ceremony, as `age-keygen` shows it; the parties encrypt their "
    "shares to it.  Example: --to age1…",
)


@command(
    "freeze",
    "alloc ceremony freeze --design-from trial.toml --to age1… --custodian statistician=age1… "
    "--custodian dmc=age1… --custodian archive=age1… --out design.json --as chen.yu",
    ceremony_command,
)
@click.option(
    "--design-from",
    type=FILE,
    required=True,
    metavar="FILE",
    help="The trial's definition with its restricted table [design].  "
    "Example: --design-from trial.toml",
)
@click.option("--test", is_flag=True, help=TEST_HELP)
@click.option(
    "--list",
    "number",
    type=click.IntRange(1, 9_999),
    metavar="N",
    help="List number, if not the one in the definition.  Example: --list 2",
)
@_TO
@with_custodians
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Where to keep the frozen design for yourself; it is confidential.  "
    "Example: --out design.json",
)
@acts_as
def freeze(
    *,
    design_from: Path,
    test: bool,
    number: int | None,
    recipient: str,
    custodians: tuple[str, ...],
    out: Path | None,
    claim: Claim,
) -> None:
    """Freeze a list's design and open a ceremony for its seed; you are a statistician.

    Nothing of the design can change after this. Tell the parties the ceremony's id and the
    design's hash by another way than this service too, so that they can compare.
    """
    design = read_definition(design_from, test).design(number)
    if out is not None:
        files.require_free(out)
    deps = open_service()
    person, keys = sign_in(deps, claim), Keys(recipient, read_custodians(custodians))
    name = ceremonies.freeze(deps, person, design, keys)
    if out is not None:
        files.write_file(out, design.to_bytes())
    _show(ceremony_views.read_ceremony(deps, person, design.trial, name))


@command(
    "open",
    "alloc ceremony open NCT01728727 1 --to age1… --custodian statistician=age1… "
    "--custodian dmc=age1… --custodian archive=age1… --as chen.yu",
    ceremony_command,
)
@click.argument("trial")
@click.argument("number", metavar="LIST", type=click.IntRange(1, 9_999))
@_TO
@with_custodians
@acts_as
def open_another(
    *, trial: str, number: int, recipient: str, custodians: tuple[str, ...], claim: Claim
) -> None:
    """Open another ceremony for a frozen design, after the one before was dropped."""
    deps = open_service()
    person, keys = sign_in(deps, claim), Keys(recipient, read_custodians(custodians))
    name = ceremonies.open_another(deps, person, trial, number, keys)
    _show(ceremony_views.read_ceremony(deps, person, trial, name))


@command(
    "announce",
    "alloc ceremony announce NCT01728727 list-1/ceremony-1-5d3c… --drand next --as chen.yu\n"
    "alloc ceremony announce NCT01728727 list-1/ceremony-1-5d3c… --as chen.yu",
    ceremony_command,
)
@click.argument("trial")
@click.argument("ceremony")
@click.option(
    "--drand",
    metavar="ROUND",
    help="Add the value of a round of drand's quicknet that lies at least an hour ahead; `next` "
    "takes the first one two hours ahead.  Example: --drand next",
)
@click.option(
    "--public-string",
    "source",
    metavar="TEXT",
    help="Add the hash of a text that will be published; say which, where and when.  "
    'Example: --public-string "SSE Composite at the close of 2 March, as sse.com.cn says"',
)
@acts_as
def announce(
    *, trial: str, ceremony: str, drand: str | None, source: str | None, claim: Claim
) -> None:
    """Announce who is committed to what, and where a beacon's value will come from.

    After this nobody can commit any more. With a beacon not even all parties together can
    choose the seed.
    """
    beacon = _read_beacon(drand, source)
    deps = open_service()
    person = sign_in(deps, claim)
    ceremonies.announce(deps, person, trial, ceremony, beacon)
    _show(ceremony_views.read_ceremony(deps, person, trial, ceremony))


@command(
    "finish",
    "alloc ceremony finish NCT01728727 list-1/ceremony-1-5d3c… --identity ceremony.key "
    "--escrow-dir escrow/ --as chen.yu",
    ceremony_command,
)
@click.argument("trial")
@click.argument("ceremony")
@click.option(
    "--identity",
    required=True,
    type=FILE,
    metavar="FILE",
    help="The identity file of the ceremony's key, as `age-keygen` wrote it; it is read here and "
    "kept nowhere.  Example: --identity ceremony.key",
)
@click.option(
    "--escrow-dir",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder for the escrow's files.  Example: --escrow-dir escrow/",
)
@click.option(
    "--design",
    type=FILE,
    metavar="FILE",
    help="The frozen design as you kept it; without it the sealer opens the stored one, which is "
    "logged.  Example: --design design.json",
)
@click.option(
    "--share",
    "opened",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="The share of a party that stays away, as two custodians opened it from its deposit "
    "with `age`.  Example: --share sponsor.share",
)
@acts_as
def finish(
    *,
    trial: str,
    ceremony: str,
    identity: Path,
    escrow_dir: Path,
    design: Path | None,
    opened: tuple[Path, ...],
    claim: Claim,
) -> None:
    """Open the shares, compare each with its commitment, and make and seal the list of them.

    A party that reveals another value than it committed to is named, and nothing is made. Seed
    and shares are forgotten when the command ends; the escrow's files keep them.
    """
    deposits = tuple(
        OwnShare.from_bytes(files.read_file(path, shares.LONGEST_FILE), path.name)
        for path in opened
    )
    opening = Opening(read_identity(identity), deposits)
    frozen = None if design is None else read_design(design)
    deps = open_service()
    person = sign_in(deps, claim)
    view = ceremony_views.read_ceremony(deps, person, trial, ceremony)
    prepare_folder(escrow_dir, view.keys.custodians)
    with waiting("Generating and sealing the list"):
        made = ceremony_lists.finish(deps, person, trial, ceremony, opening, design=frozen)
    keep_escrow(trial, made, escrow_dir)
    screen.banner(trial)
    screen.good(f"List {made.number} of {trial} is sealed and logged.")
    rows = [("Escrow", str(escrow_dir / name)) for name in made.escrow]
    screen.facts((("Root", made.root), *rows))


@command(
    "drop",
    "alloc ceremony drop NCT01728727 list-1/ceremony-1-5d3c… party-withdrew --as chen.yu",
    ceremony_command,
)
@click.argument("trial")
@click.argument("ceremony")
@click.argument("reason", type=click.Choice(sorted(REASONS)))
@acts_as
def drop(trial: str, ceremony: str, reason: str, claim: Claim) -> None:
    """Drop a ceremony, for a reason; it stays in the log, and every verification counts it."""
    deps = open_service()
    entry = ceremonies.drop(deps, sign_in(deps, claim), trial, ceremony, reason)
    screen.banner(trial)
    screen.good(f"The ceremony is dropped, entry {entry.seq}: {REASONS[reason]}.")


@command(
    "document",
    "alloc ceremony document NCT01728727 list-1/ceremony-1-5d3c… --out ceremony.json --as dmc",
    ceremony_command,
)
@click.argument("trial")
@click.argument("ceremony")
@click.option(
    "--out", required=True, type=FILE, metavar="FILE",
    help="The new file.  Example: --out ceremony.json",
)  # fmt: skip
@acts_as
def document_command(trial: str, ceremony: str, out: Path, claim: Claim) -> None:
    """Get a ceremony's announced document, to check a list with it."""
    files.require_free(out)
    deps = open_service()
    view = ceremony_views.read_ceremony(deps, sign_in(deps, claim), trial, ceremony)
    if view.document is None:
        raise CeremonyError(rule=f"ceremony {ceremony} is not announced")
    files.write_file(out, view.document.to_bytes())
    screen.good(f"The document is in {out}; the log names it by {view.document.sha256}.")


@command("show", "alloc ceremony show NCT01728727 --as dmc.chair", ceremony_command)
@click.argument("trial")
@acts_as
@as_json
def show(trial: str, claim: Claim, as_json: bool) -> None:
    """Show a trial's ceremonies: who has done what, and what comes next."""
    deps = open_service()
    found = ceremony_views.read_ceremonies(deps, sign_in(deps, claim), trial)
    if as_json:
        screen.emit([_to_json(view) for view in found])
        return
    screen.banner(trial)
    if not found:
        screen.hint("No ceremony was opened yet.")
    for view in found:
        _show(view)


def _read_beacon(drand: str | None, source: str | None) -> Beacon | None:
    if drand is not None and source is not None:
        raise click.UsageError("Give --drand or --public-string, or neither.")
    if source is not None:
        return PublicString(source)
    if drand is None:
        return None
    if drand == "next":
        return Drand.after(system_clock() + timedelta(hours=2))
    if not (drand.isascii() and drand.isdecimal() and len(drand) <= 12):
        raise click.UsageError("--drand is the number of a round, or `next`.")
    return Drand(int(drand))


def _show(view: CeremonyView) -> None:
    screen.title(view.id)
    screen.facts(
        (
            ("List", str(view.number)),
            ("Design hash", view.design_sha256),
            ("Shares go to", view.keys.recipient),
            *(("Custodian", f"{name} {key}") for name, key in sorted(view.keys.custodians.items())),
            *(("Party", _describe(party)) for party in view.parties),
            *_beacon_rows(view),
            ("Next", NEXT[view.step]),
        )
    )
    if view.unverified:
        screen.note(view.unverified)


def _describe(party: ceremony_views.Party) -> str:
    steps = ["committed", *(["deposited"] * party.deposited), *(["revealed"] * party.revealed)]
    return f"{party.name} ({party.person}): {', '.join(steps)}"


def _beacon_rows(view: CeremonyView) -> list[tuple[str, str]]:
    rows = [("Announced", view.document.sha256)] if view.document else []
    match view.beacon:
        case Drand() as drand:
            at = screen.moment(drand.time)
            rows.append(("Beacon", f"drand quicknet, round {drand.round}, published {at}"))
        case PublicString(source):
            rows.append(("Beacon", source))
    return rows + ([("Its value", view.beacon_value)] if view.beacon_value else [])


def _to_json(view: CeremonyView) -> dict[str, Json]:
    parties: list[Json] = [
        {
            "commitment": party.commitment,
            "deposited": party.deposited,
            "name": party.name,
            "person": party.person,
            "revealed": party.revealed,
        }
        for party in view.parties
    ]
    return {
        "beacon": None if view.beacon is None else view.beacon.to_json(),
        "beacon_value": view.beacon_value,
        "ceremony": view.id,
        "code": view.code,
        "custodians": dict(view.keys.custodians),
        "design_sha256": view.design_sha256,
        "doc_sha256": view.document.sha256 if view.document else "",
        "list": view.number,
        "parties": parties,
        "recipient": view.keys.recipient,
        "step": view.step,
        "unverified": view.unverified,
    }
