"""`alloc site`: which sites may enrol."""

import click

from alloc_service.cli import screen
from alloc_service.cli.command import command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.services import trials


@click.group("site")
def site_command() -> None:
    """Activate and pause sites."""


@command("activate", "alloc site activate NCT01728727 XA01 --as zhang.min", site_command)
@click.argument("trial")
@click.argument("site")
@acts_as
def activate(trial: str, site: str, claim: Claim) -> None:
    """Let a site allocate, after its own approvals; you are the trial's manager."""
    _change(trial, site, claim, active=True)


@command("pause", "alloc site pause NCT01728727 XA01 --as zhang.min", site_command)
@click.argument("trial")
@click.argument("site")
@acts_as
def pause(trial: str, site: str, claim: Claim) -> None:
    """Stop allocation at a site until it is activated again; you are the trial's manager."""
    _change(trial, site, claim, active=False)


def _change(trial: str, site: str, claim: Claim, *, active: bool) -> None:
    deps = open_service()
    entry = trials.change_site(deps, sign_in(deps, claim), trial, site, active=active)
    screen.banner(trial)
    state = "active" if active else "paused"
    screen.good(f"{trial}: site {site} is {state}, entry {entry.seq} of its log.")
