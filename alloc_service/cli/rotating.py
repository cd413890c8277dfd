"""`alloc sealer rotate`: new keys, on the sealer's host, by an administrator."""

import os

import click

from alloc_service.cli import screen
from alloc_service.cli.command import command
from alloc_service.cli.opening import started
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.cli.sealing_host import find_passphrase
from alloc_service.config import Settings
from alloc_service.sealing.keys import clear_unfinished, load_keys
from alloc_service.services import rotation
from alloc_service.services.deps import open_with_keys
from alloc_service.services.rotation import Rotation


@command(
    "rotate",
    "alloc sealer rotate --as ada\n"
    "alloc sealer rotate --signing --as ada\n"
    "alloc sealer rotate --lost --as ada",
)
@click.option(
    "--signing",
    is_flag=True,
    help="Change the key that signs checkpoints, instead of the one that opens slots.",
)
@click.option(
    "--lost",
    is_flag=True,
    help="Make a new sealing key in the place of one whose file is lost for good.",
)
@acts_as
def rotate(*, signing: bool, lost: bool, claim: Claim) -> None:
    """Change a key of the service; you are an administrator in every trial.

    Stop the pages and the sealer first, and start them after: they hold the keys of their start.
    A run that was interrupted is run again, and finishes. The older key stays in the folder. Tell
    whoever verifies the logs the new public key (`alloc status --json`), and copy the keys to
    their backup.
    """
    if signing and lost:
        raise click.UsageError("Give --signing or --lost, not both.")
    settings = Settings.from_environment(os.environ)
    clear_unfinished(settings.keys)
    passphrase = find_passphrase(settings)
    if lost:
        rotation.replace_lost(settings, passphrase)
    deps = started(open_with_keys(settings, load_keys(settings.keys, passphrase)))
    person = sign_in(deps, claim)
    change = rotation.rotate_sealing
    if signing or lost:
        change = rotation.rotate_signing if signing else rotation.log_replaced
    with waiting("Changing the key"):
        made = change(deps, person, settings, passphrase)
    _tell(made, "signing" if signing else "sealing")


def _tell(made: Rotation, kind: str) -> None:
    screen.good(f"The {kind} key is {made.name} now, in the logs of {len(made.trials)} trials.")
    if kind == "sealing":
        screen.say(f"{made.rewrapped} sealings were wrapped anew.")
    for trial, number in made.left:
        screen.warn(
            f"list {number} of {trial} has a sealing whose key is lost: where it is the last one, "
            "two custodians seal the list again with `alloc sealer reseal`."
        )
    if kind == "signing":
        screen.paragraph(
            "Tell it to whoever keeps a witness of these trials (`alloc status --json`): each "
            "runs `alloc witness add-log FOLDER VKEY --changed`. Until then it signs nothing, and "
            "behind a gate nothing opens."
        )
    screen.say("Start the sealer and the pages again, and copy the keys to their backup.")
