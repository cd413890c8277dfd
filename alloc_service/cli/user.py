"""`alloc user`: accounts, passwords and roles."""

import click

from alloc_service.cli import screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import (
    FD,
    Claim,
    acts_as,
    ask_new_password,
    ask_password,
    sign_in,
)
from alloc_service.core.canon import Json
from alloc_service.permissions import AT_A_SITE, Grant, Role
from alloc_service.services import accounts, lookups, second_factor
from alloc_service.services.accounts import NewAccount

ROLES = click.Choice([str(role) for role in Role])
_SITE_HELP = "The site, for a physician; no other role has one.  Example: --site XA01"


@click.group("user")
def user_command() -> None:
    """Add people, give them roles, change passwords.

    An account is one person's for ever: it is disabled, never removed or given on. Nobody
    changes their own roles.
    """


@command(
    "add",
    'alloc user add li.na --person P-0007 --name "Li Na" --organization XA01 --as ada',
    user_command,
)
@click.argument("user")
@click.option(
    "--person",
    required=True,
    metavar="ID",
    help="Id of the person, as the audit log names them; one person keeps one id.  "
    "Example: --person P-0007",
)
@click.option(
    "--name",
    required=True,
    metavar="TEXT",
    help='The printed name, for signatures.  Example: --name "Li Na"',
)
@click.option(
    "--organization",
    required=True,
    metavar="CODE",
    help="Code of the organization.  Example: --organization XA01",
)
@acts_as
@as_json
def add(
    *, user: str, person: str, name: str, organization: str, claim: Claim, as_json: bool
) -> None:
    """Add an account; you are an administrator.

    USER is the new user name, 2 to 32 of a-z 0-9 . _ -. A one-time password is shown once: hand
    it to its owner, who changes it with `alloc user password USER` before anything else.
    """
    deps = open_service()
    administrator = sign_in(deps, claim)
    new = NewAccount(user, person, name, organization)
    _show_password(user, accounts.add_account(deps, administrator, new), as_json)


@command("password", "alloc user password li.na", user_command)
@click.argument("user")
@click.option(
    "--password-fd",
    type=FD,
    metavar="N",
    help="For scripts: the open file descriptor whose next line is the old password.  "
    "Example: --password-fd 3 3</run/secrets/old",
)
@click.option(
    "--new-password-fd",
    type=FD,
    metavar="N",
    help="For scripts: where the new password is read; it may be the same one, a line further.  "
    "Example: --new-password-fd 3",
)
def password(user: str, password_fd: int | None, new_password_fd: int | None) -> None:
    """Change your own password, or replace a one-time password.

    USER is your user name. A password has 12 to 200 characters.
    """
    deps = open_service()
    old = ask_password(password_fd, f"Old password of {user}", "--password-fd N")
    new = ask_new_password(new_password_fd, "--new-password-fd N")
    accounts.change_password(deps, user, old, new)
    screen.good("Your password is changed.")


@command("reset", "alloc user reset li.na --as ada", user_command)
@click.argument("user")
@acts_as
@as_json
def reset(user: str, claim: Claim, as_json: bool) -> None:
    """Give an account a new one-time password; you are an administrator.

    It is for an owner who has forgotten theirs, and is logged in each of their trials.
    """
    deps = open_service()
    administrator = sign_in(deps, claim)
    _show_password(user, accounts.reset_password(deps, administrator, user), as_json)


@command("drop-factor", "alloc user drop-factor li.na --as ada", user_command)
@click.argument("user")
@acts_as
def drop_factor(user: str, claim: Claim) -> None:
    """Take away a second factor whose device and codes are lost; you are an administrator.

    Its owner is signed out everywhere and sets up another one; each of their trials logs it.
    """
    deps = open_service()
    second_factor.remove(deps, sign_in(deps, claim), user)
    screen.good(f"The second factor of {user} is taken away.")


@command("disable", "alloc user disable li.na --as ada", user_command)
@click.argument("user")
@acts_as
def disable(user: str, claim: Claim) -> None:
    """Disable an account for ever; you are an administrator.

    Its name is never given to another person, and what it did stays in the log.
    """
    deps = open_service()
    accounts.disable_account(deps, sign_in(deps, claim), user)
    screen.good(f"The account {user} is disabled.")


@command("grant", "alloc user grant NCT01728727 li.na physician --site XA01 --as ada", user_command)
@click.argument("trial")
@click.argument("user")
@click.argument("role", type=ROLES)
@click.option("--site", default="", metavar="CODE", help=_SITE_HELP)
@acts_as
def grant(trial: str, user: str, role: str, site: str, claim: Claim) -> None:
    """Give somebody a role in a trial; you are an administrator.

    The log keeps it for all time: whoever may know a list never enrols in its trial, nor the
    reverse, and an administrator has no part in the trial.
    """
    _check_site(role, site)
    deps = open_service()
    accounts.add_grant(deps, sign_in(deps, claim), trial, user, Grant(Role(role), site))
    screen.good(f"{user} is {role}{f' of site {site}' if site else ''} in {trial}.")


@command(
    "revoke", "alloc user revoke NCT01728727 li.na physician --site XA01 --as ada", user_command
)
@click.argument("trial")
@click.argument("user")
@click.argument("role", type=ROLES)
@click.option("--site", default="", metavar="CODE", help=_SITE_HELP)
@acts_as
def revoke(trial: str, user: str, role: str, site: str, claim: Claim) -> None:
    """End somebody's role in a trial, from their next act on; you are an administrator."""
    _check_site(role, site)
    deps = open_service()
    accounts.end_grant(deps, sign_in(deps, claim), trial, user, Grant(Role(role), site))
    screen.good(f"{user} is no longer {role}{f' of site {site}' if site else ''} in {trial}.")


@command("add-administrator", "alloc user add-administrator bo --as ada", user_command)
@click.argument("user")
@acts_as
def add_administrator(user: str, claim: Claim) -> None:
    """Make somebody an administrator of the whole installation; you are one.

    They run accounts, roles and backups in every trial, and never enrol, make or approve a list
    or sit on a committee in any; each trial logs it.
    """
    deps = open_service()
    accounts.add_administrator(deps, sign_in(deps, claim), user)
    screen.good(f"{user} is an administrator of the whole installation.")


@command("end-administrator", "alloc user end-administrator bo --as ada", user_command)
@click.argument("user")
@acts_as
def end_administrator(user: str, claim: Claim) -> None:
    """End somebody's part in the whole installation, from their next act on; you are another.

    It ends through every account of theirs and in every trial, each of which logs it.
    """
    deps = open_service()
    accounts.end_administrator(deps, sign_in(deps, claim), user)
    screen.good(f"{user} is no longer an administrator.")


@command("list", "alloc user list --as ada", user_command)
@acts_as
@as_json
def list_(claim: Claim, as_json: bool) -> None:
    """Show every account and the roles it holds now; you are an administrator."""
    deps = open_service()
    rows = lookups.list_accounts(deps, sign_in(deps, claim))
    if as_json:
        screen.emit([_account_to_json(row) for row in rows])
        return
    screen.table(
        ("User", "Person", "Name", "Organization", "State", "Roles"),
        [
            (
                row.username,
                row.person,
                row.name,
                row.organization,
                row.state,
                ", ".join(_describe(held) for held in row.roles) or "none",
            )
            for row in rows
        ],
    )


def _check_site(role: str, site: str) -> None:
    if bool(site) != (role in AT_A_SITE):
        raise click.UsageError(
            "A physician's role is held at one site: give --site with it, and with no other role."
        )


def _describe(held: lookups.HeldRole) -> str:
    site = f" of {held.site}" if held.site else ""
    return f"{held.role}{site} in {held.trial or 'the installation'}"


def _account_to_json(row: lookups.AccountRow) -> Json:
    return {
        "name": row.name,
        "organization": row.organization,
        "person": row.person,
        "roles": [
            {"role": held.role, "site": held.site, "trial": held.trial} for held in row.roles
        ],
        "state": row.state,
        "user": row.username,
    }


def _show_password(user: str, one_time: str, as_json: bool) -> None:
    if as_json:
        screen.emit({"one_time_password": one_time, "user": user})
        return
    screen.facts((("User name", user), ("One-time password", one_time)))
    screen.paragraph(
        f"It is shown this once and stored nowhere. Its owner runs `alloc user password {user}` "
        f"before anything else."
    )
