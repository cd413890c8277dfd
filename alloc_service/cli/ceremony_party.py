"""`alloc ceremony commit`, `deposit`, `beacon` and `reveal`: what a party does at the service."""

from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.source import FILE
from alloc_service.sealing import shares
from alloc_service.services import ceremonies, ceremony_views


@command(
    "commit",
    "alloc ceremony commit NCT01728727 list-1/ceremony-1-5d3c… dmc a60b4b25… --as dmc.chair",
)
@click.argument("trial")
@click.argument("ceremony")
@click.argument("party")
@click.argument("commitment")
@acts_as
def commit_command(trial: str, ceremony: str, party: str, commitment: str, claim: Claim) -> None:
    """Give a party's commitment, as `alloc ceremony draw` has shown it; it is logged.

    From then on you are that party, and no other. It cannot be taken back.
    """
    deps = open_service()
    entry = ceremonies.commit(
        deps, sign_in(deps, claim), trial, ceremony, party=party, commitment=commitment
    )
    screen.banner(trial)
    screen.good(f"{party} is committed, entry {entry.seq}. Next: deposit the share.")


@command(
    "deposit",
    "alloc ceremony deposit NCT01728727 list-1/ceremony-1-5d3c… dmc dmc/ --as dmc.chair",
)
@click.argument("trial")
@click.argument("ceremony")
@click.argument("party")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@acts_as
def deposit_command(trial: str, ceremony: str, party: str, folder: Path, claim: Claim) -> None:
    """Deposit a party's share with the escrow: the three files that `wrap` has written.

    With the first deposit nobody can commit any more.
    """
    deps = open_service()
    found = sorted(folder.glob(f"deposit.{party}.*.age"))
    wrapped = {path.name: files.read_file(path, shares.LONGEST_FILE) for path in found}
    entry = ceremonies.deposit(
        deps, sign_in(deps, claim), trial, ceremony, party=party, files=wrapped
    )
    screen.banner(trial)
    screen.good(f"The share of {party} is deposited, entry {entry.seq}.")


@command(
    "beacon",
    "alloc ceremony beacon NCT01728727 list-1/ceremony-1-5d3c… fc1873a1… "
    "--signature b713718a… --as dmc.chair\n"
    'alloc ceremony beacon NCT01728727 list-1/ceremony-1-5d3c… --text "3,141.59" --as dmc.chair',
)
@click.argument("trial")
@click.argument("ceremony")
@click.argument("value", required=False, default="")
@click.option(
    "--signature",
    metavar="HEX",
    help="With drand: the round's signature; the value must be its hash.  "
    "Example: --signature b713718a…",
)
@click.option(
    "--text",
    metavar="TEXT",
    help='With a public string: the text as it was published.  Example: --text "3,141.59"',
)
@acts_as
def beacon_command(
    *,
    trial: str,
    ceremony: str,
    value: str,
    signature: str | None,
    text: str | None,
    claim: Claim,
) -> None:
    """Type the beacon's value, as it was published; it is logged.

    No network is used. What nobody has verified of the value is said, here and on every page.
    """
    if signature is not None and text is not None:
        raise click.UsageError("Give --signature for drand, or --text for a public string.")
    deps = open_service()
    proof = signature or text or ""
    person = sign_in(deps, claim)
    ceremonies.give_beacon(deps, person, trial, ceremony, value=value.lower(), proof=proof)
    view = ceremony_views.read_ceremony(deps, person, trial, ceremony)
    screen.banner(trial)
    screen.good(f"The beacon's value is {view.beacon_value}.")
    screen.note(view.unverified)


@command(
    "reveal",
    "alloc ceremony reveal NCT01728727 list-1/ceremony-1-5d3c… dmc dmc/reveal.dmc.age "
    "--as dmc.chair",
)
@click.argument("trial")
@click.argument("ceremony")
@click.argument("party")
@click.argument("file", type=FILE)
@acts_as
def reveal_command(trial: str, ceremony: str, party: str, file: Path, claim: Claim) -> None:
    """Hand in a party's share, encrypted to the ceremony's key.

    It is opened once, when the list is made; another value than the one committed to shows then,
    with the party's name.
    """
    deps = open_service()
    data = files.read_file(file, shares.LONGEST_FILE)
    entry = ceremonies.reveal(deps, sign_in(deps, claim), trial, ceremony, party=party, data=data)
    screen.banner(trial)
    screen.good(f"The share of {party} is handed in, entry {entry.seq}.")
