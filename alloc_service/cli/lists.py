"""`alloc list`: the way of a list from its generation to its last check."""

from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.coding import code
from alloc_service.cli.command import command
from alloc_service.cli.generating import generate
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.cli.regenerating import regenerate, verify
from alloc_service.cli.source import Source, from_source, read_root
from alloc_service.sealing.package import read_package
from alloc_service.services import lists, lookups

NUMBER = click.IntRange(1, 9_999)


@click.group("list")
def list_command() -> None:
    """Generate, approve, activate and check lists.

    A statistician generates (or imports), a second statistician regenerates and approves, the
    trial manager activates.
    """


list_command.add_command(generate)


@command("import", "alloc list import list-1.package --as chen.yu", list_command)
@click.argument("package", type=click.Path(dir_okay=False, path_type=Path))
@acts_as
def import_(package: Path, claim: Claim) -> None:
    """Store and log a list that was made offline; you are a statistician of its trial.

    PACKAGE is the file that `alloc list generate --offline` wrote. It holds no seed.
    """
    with waiting("Reading the package"), files.naming(package):
        sealed = read_package(package)
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Storing the list"):
        stored = lists.import_package(deps, person, sealed)
    screen.banner(sealed.trial)
    screen.good(f"List {stored.number} of {sealed.trial} is sealed and logged.")
    screen.facts((("Root", stored.root),))


@command(
    "approve",
    "alloc list approve NCT01728727 1 --root 19f885a6…e0ab542d --as zhao.lei",
    list_command,
)
@click.argument("trial")
@click.argument("number", metavar="LIST", type=NUMBER)
@click.option(
    "--root",
    metavar="HEX",
    help="The root that your own regeneration gave (`alloc list regenerate`).  "
    "Example: --root 19f885a6…e0ab542d",
)
@click.option(
    "--root-not-checked",
    is_flag=True,
    help="Approve without a regeneration; the log says so.  Example: --root-not-checked",
)
@acts_as
def approve(
    *, trial: str, number: int, root: str | None, root_not_checked: bool, claim: Claim
) -> None:
    """Approve a list that another statistician made.

    Regenerate it first from the escrow, with two custodians, and give the root that came out.
    """
    if (root is None) != root_not_checked:
        raise click.UsageError("Give either --root HEX or --root-not-checked.")
    deps = open_service()
    person = sign_in(deps, claim)
    entry = lists.approve(deps, person, trial, number, None if root is None else read_root(root))
    screen.banner(trial)
    screen.good(f"List {number} of {trial} is approved, entry {entry.seq} of its log.")


@command("activate", "alloc list activate NCT01728727 1 --as zhang.min", list_command)
@click.argument("trial")
@click.argument("number", metavar="LIST", type=NUMBER)
@acts_as
def activate(trial: str, number: int, claim: Claim) -> None:
    """Activate an approved list; you are the trial's manager.

    Every sealed slot is opened once, unseen, to make sure that it will open when its turn comes.
    """
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Test-opening every slot"):
        entry = lists.activate(deps, person, trial, number)
    screen.banner(trial)
    screen.good(f"List {number} of {trial} is active, entry {entry.seq} of its log.")


list_command.add_command(regenerate)
list_command.add_command(verify)
list_command.add_command(code)


@command(
    "reseal",
    "alloc list reseal --escrow seed.archive+dmc.age --identity archive.key --identity dmc.key "
    "--as chen.yu",
    list_command,
)
@from_source
@acts_as
def reseal(source: Source, claim: Claim) -> None:
    """Seal a list anew, where its slots or their key are lost; you are a statistician.

    Design and seed give the same list under the same root; what was allocated stays.
    """
    secret = source.read()
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Sealing every slot"):
        entry = lists.reseal(deps, person, secret.design, secret.seed)
    screen.banner(secret.design.trial)
    screen.good(
        f"List {secret.design.list} of {secret.design.trial} is sealed anew, entry {entry.seq} "
        f"of its log."
    )


@command("escrow", "alloc list escrow NCT01728727 1 --out escrow/ --as dmc.chair", list_command)
@click.argument("trial")
@click.argument("number", metavar="LIST", type=NUMBER)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder for the files; it is made if it is not there.  Example: --out escrow/",
)
@acts_as
def escrow_(trial: str, number: int, out: Path, claim: Claim) -> None:
    """Download the escrow's files of a list: ciphertext, each for two custodians.

    You have a part in the trial's oversight. Two custodians open a file together with
    `alloc list regenerate`, or by hand: age -d -i A.key seed.A+B.age | age -d -i B.key
    """
    deps = open_service()
    kept = lookups.read_escrow(deps, sign_in(deps, claim), trial, number)
    files.make_folder(out)
    for name, data in kept.items():
        files.write_file(out / name, data)
        screen.say(str(out / name))
