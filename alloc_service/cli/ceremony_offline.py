"""`alloc ceremony draw` and `wrap`: a party's share, on the party's own machine."""

import sys
from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import command
from alloc_service.cli.custodians import read_custodians, with_custodians, write_files
from alloc_service.cli.source import FILE
from alloc_service.core.ceremony import Share
from alloc_service.errors import ShareError
from alloc_service.sealing import shares
from alloc_service.sealing.shares import OwnShare

_MOST_ROLLS = 100_000


@command(
    "draw",
    "alloc ceremony draw list-1/ceremony-1-5d3c… --design-sha256 37d7… --party dmc "
    "--out dmc.share\n"
    "alloc ceremony draw list-1/ceremony-1-5d3c… --design-sha256 37d7… --party dmc "
    "--out dmc.share --dice < rolls.txt",
)
@click.argument("ceremony")
@click.option(
    "--design-sha256",
    required=True,
    metavar="HEX",
    help="The hash of the frozen design, as the ceremony's page and the log say.  "
    "Example: --design-sha256 37d7…",
)
@click.option(
    "--party",
    required=True,
    metavar="NAME",
    help="The party that you are, 1-32 of a-z 0-9 -.  Example: --party dmc",
)
@click.option(
    "--out",
    required=True,
    type=FILE,
    metavar="FILE",
    help="The share file to write; nobody else may ever read it.  Example: --out dmc.share",
)
@click.option(
    "--dice",
    is_flag=True,
    help="Make the share of at least 100 rolls of a die, read from standard input, instead of "
    "this machine's random generator.  Example: --dice",
)
def draw_command(*, ceremony: str, design_sha256: str, party: str, out: Path, dice: bool) -> None:
    """Draw your share of a seed, and learn the commitment to give.

    No database and no network is needed. Keep the share file to yourself until the ceremony is
    over; the commitment tells nothing of it.
    """
    files.require_free(out)
    own = OwnShare(ceremony, design_sha256, party, _read_dice() if dice else Share.fresh())
    files.write_file(out, own.to_bytes())
    screen.good(f"Your share is in {out}. Keep it, and show it to nobody.")
    screen.facts((("Commitment", own.commitment),))


@command(
    "wrap",
    "alloc ceremony wrap dmc.share --to age1… --out dmc/ --custodian statistician=age1… "
    "--custodian dmc=age1… --custodian archive=age1…",
)
@click.argument("share", type=FILE)
@click.option(
    "--to",
    "recipient",
    required=True,
    metavar="KEY",
    help="The ceremony's public key, as its page says.  Example: --to age1…",
)
@with_custodians
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder for the four files; it is made if it is not there.  Example: --out dmc/",
)
def wrap_command(share: Path, recipient: str, custodians: tuple[str, ...], out: Path) -> None:
    """Encrypt your share: three files to deposit now, and one to hand in at the end.

    No database and no network is needed. A deposit is opened by two custodians together, and
    only if you stay away; what you hand in is opened by the statistician when the list is made.
    """
    own = OwnShare.from_bytes(files.read_file(share, shares.LONGEST_FILE), share.name)
    wrapped = shares.write_deposit(own, read_custodians(custodians))
    wrapped[shares.reveal_name(own.party)] = shares.write_reveal(own, recipient)
    files.make_folder(out)
    for name in wrapped:
        files.require_free(out / name)
    write_files(out, wrapped)
    for name in wrapped:
        screen.say(str(out / name))
    screen.paragraph(
        f"Deposit the first three now. Hand in {shares.reveal_name(own.party)} when the "
        f"ceremony is announced, every party has deposited, and its beacon's value is known."
    )


def _read_dice() -> Share:
    try:
        rolls = sys.stdin.buffer.read(_MOST_ROLLS).decode("ascii")
    except UnicodeDecodeError:
        raise ShareError(rule="a roll of a die is one of 1 to 6") from None
    return Share.of_dice(rolls)
