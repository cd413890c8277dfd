"""`alloc web-secret`: the file with the secret of the pages."""

import os

from alloc_service.cli import screen
from alloc_service.cli.command import command
from alloc_service.config import Settings
from alloc_service.sealing.keys import load_keys
from alloc_service.services import web_secret
from alloc_service.services.deps import read_passphrase


@command("web-secret", "alloc web-secret")
def web_secret_command() -> None:
    """Make the file with the secret of the pages, ALLOC_WEB_SECRET, where there is none.

    Run it as the user that serves the pages. Before the sealer moves to a process of its own, run
    it while the keys are still here: nobody is signed out then, and no second factor is lost.
    With ALLOC_SEALER_SOCKET set a fresh secret is made.
    """
    settings = Settings.from_environment(os.environ)
    keys = None
    if settings.sealer_socket is None:
        keys = load_keys(settings.keys, read_passphrase(settings))
    if web_secret.make(settings.web_secret, keys):
        screen.good(f"The secret of the pages is in {settings.web_secret}.")
    else:
        screen.good(f"{settings.web_secret} is there already and is kept.")
