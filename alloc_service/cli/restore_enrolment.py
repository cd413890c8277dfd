"""`alloc restore-enrolment`: a record again that a restore has lost."""

from uuid import UUID

import click

from alloc_service.cli import screen
from alloc_service.cli.command import command
from alloc_service.cli.enrol import SITE_HELP, choose_site, complete, keep_form
from alloc_service.cli.form import Given, form_options
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in, with_second
from alloc_service.log.entry import Entry
from alloc_service.services import lookups, recovery
from alloc_service.services.enrolments import Typed
from alloc_service.services.recovery import TwoPeople

_EXAMPLE = """
alloc restore-enrolment NCT01728727 7d9f5a0e-… p-001.toml --as li.na --second zhang.min
"""


@command("restore-enrolment", _EXAMPLE)
@click.argument("trial")
@click.argument("enrolment", type=click.UUID)
@form_options
@click.option("--site", metavar="CODE", help=SITE_HELP)
@acts_as
@with_second
def restore_enrolment_command(
    *, trial: str, enrolment: UUID, given: Given, site: str | None, claim: Claim, second: Claim
) -> None:
    """Enter an allocated participant's record again that a restore has lost.

    ENROLMENT is the id that `alloc sealer recover` names; FILE or options hold what the site's
    own papers say, as for `alloc enrol`. Two people do this together: you, a physician of the
    site, and an administrator, the trial's manager or somebody of the DMC. The slot stays.
    """
    deps = open_service()
    people = TwoPeople(sign_in(deps, claim), sign_in(deps, second))
    definition = lookups.read_definition(deps, trial)
    place = choose_site(definition, site)

    def keep(typed: Typed) -> Entry:
        return recovery.restore_enrolment(deps, people, trial, enrolment, site=place, typed=typed)

    entry = keep_form(definition, place, complete(definition, given), keep)
    screen.banner(trial)
    screen.good(f"Enrolment {enrolment} has its record again, entry {entry.seq} of the log.")
