"""`alloc demo`: the whole life of a simulated trial, in a temporary folder."""

import tempfile
import time
from pathlib import Path

import click

from alloc_service.cli import screen
from alloc_service.cli.command import command, refuse
from alloc_service.cli.demo.rehearsal import Rehearsal
from alloc_service.cli.demo.telling import Telling

CAP = 240


@command("demo", "alloc demo\nalloc demo --participants 24")
@click.option(
    "--participants",
    type=click.IntRange(1, CAP),
    default=CAP,
    show_default=True,
    metavar="N",
    help="Stop after so many allocations.  Example: --participants 24",
)
def demo_command(participants: int) -> None:
    """Live the whole life of a simulated trial, from its list to its last allocation.

    In a temporary folder, through the same services as a real trial: a list is generated, sealed,
    put in escrow, approved and activated; simulated participants are enrolled, some not eligible,
    some asked for again, some at once; then everything is counted, verified and regenerated, the
    evidence is bundled and checked by Python alone, and the database is searched for what must
    not be in it. Nobody is treated by it.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="alloc-demo-") as folder:
        life = Rehearsal(Path(folder))
        try:
            well = Telling(life, participants).tell()
        finally:
            life.close()
    screen.title("Done")
    seconds = time.monotonic() - began
    screen.say(f"  It took {seconds:.0f} s. The temporary folder is removed.")
    if not well:
        screen.complain("Something above did not hold.", "Failed")
        refuse()
