"""The start of every command that needs the service: open it, and show the sealer every log."""

import os

import click

from alloc_service.cli import screen
from alloc_service.cli.progress import waiting
from alloc_service.services import health
from alloc_service.services.deps import Deps, open_from_environment


def open_service() -> Deps:
    """Open what the environment names; tell of each trial whose log the sealer refuses.

    Raises:
        OperationError: A setting, keys, register or database are missing, unsafe or of others.
    """
    return started(open_from_environment(os.environ))


def started(deps: Deps) -> Deps:
    """Show the sealer every log; tell of each trial whose log it refuses."""
    click.get_current_context().call_on_close(deps.database.dispose)
    with waiting("Showing the sealer every log"):
        refused = health.start(deps)
    for trial, error in refused.items():
        screen.warn(f"trial {trial}: {error} [{error.code}]")
    return deps
