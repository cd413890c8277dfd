"""`alloc init`: keys, register, database and the first administrator."""

import os

import click

from alloc_service.cli import screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.people import FD, ask_new_password, require_terminal
from alloc_service.config import Settings
from alloc_service.services import installation
from alloc_service.services.accounts import NewAccount
from alloc_service.services.deps import read_passphrase

_EXAMPLE = """
export ALLOC_HOST=rac.example.org ALLOC_HOME=/srv/alloc
alloc init --user ada --person P-0001 --name "Ada Admin" --organization XA01
"""


@command("init", _EXAMPLE)
@click.option(
    "--user",
    metavar="USER",
    help="User name of the first administrator, 2 to 32 of a-z 0-9 . _ -.  Example: --user ada",
)
@click.option(
    "--person",
    metavar="ID",
    help="Id of this person, as the audit log names them.  Example: --person P-0001",
)
@click.option(
    "--name",
    metavar="TEXT",
    help='The printed name, for signatures.  Example: --name "Ada Admin"',
)
@click.option(
    "--organization",
    metavar="CODE",
    help="Code of the organization.  Example: --organization XA01",
)
@click.option(
    "--password-fd",
    type=FD,
    metavar="N",
    help="For scripts: the open file descriptor whose next line is the new password.  "
    "Example: --password-fd 3 3</run/secrets/ada",
)
@click.option(
    "--protect-keys",
    is_flag=True,
    help="Ask for a passphrase that protects the key files; without it, or a file that "
    "ALLOC_PASSPHRASE_FILE names, they are plain.",
)
@as_json
def init_command(
    *,
    user: str | None,
    person: str | None,
    name: str | None,
    organization: str | None,
    password_fd: int | None,
    protect_keys: bool,
    as_json: bool,
) -> None:
    """Set an installation up, once.

    Makes the key files, the sealer's register, the pages' secret, the database's tables and the
    first administrator, where ALLOC_HOST, ALLOC_HOME, ALLOC_KEYS, ALLOC_ANCHORS,
    ALLOC_WEB_SECRET and ALLOC_DATABASE_URL say. What is not given is asked for. A run that was
    interrupted is run again, and finishes; nothing that is there is ever overwritten.
    """
    settings = Settings.from_environment(os.environ)
    new = NewAccount(
        username=_ask("User name of the first administrator", user, "--user USER"),
        person=_ask("Id of this person, as the log names them", person, "--person ID"),
        name=_ask("Printed name", name, "--name TEXT"),
        organization=_ask("Organization code", organization, "--organization CODE"),
    )
    password = ask_new_password(password_fd, "--password-fd N")
    passphrase = _ask_passphrase() if protect_keys else read_passphrase(settings)
    made = installation.initialize(settings, new, password, passphrase=passphrase)
    if as_json:
        _emit(made)
        return
    screen.good("Set up.")
    screen.facts(
        (
            ("Host", made.host),
            ("Database", made.database),
            ("Keys", f"{made.keys}  (never in the database's backup)"),
            ("Anchors", f"{made.anchors}  (never in the database's backup)"),
            ("Pages' secret", str(made.web_secret)),
            ("Sealing key", f"{made.sealing_key}  (public; for lists made offline)"),
            ("Administrator", made.administrator),
        )
    )
    screen.paragraph(
        "Keep a copy of the keys on another medium: what is sealed to them opens with nothing "
        "else. Next: `alloc trial create`, then `alloc user add` for each person."
    )


def _ask(question: str, given: str | None, option: str) -> str:
    if given is not None:
        return given
    require_terminal(option)
    return str(click.prompt(question, err=True))


def _ask_passphrase() -> str:
    require_terminal("ALLOC_PASSPHRASE_FILE instead of --protect-keys")
    question = "Passphrase of the keys"
    return str(click.prompt(question, hide_input=True, confirmation_prompt=True, err=True))


def _emit(made: installation.Installation) -> None:
    screen.emit(
        {
            "administrator": made.administrator,
            "anchors": str(made.anchors),
            "database": made.database,
            "host": made.host,
            "keys": str(made.keys),
            "kid": made.kid,
            "sealing_key": made.sealing_key,
            "web_secret": str(made.web_secret),
        }
    )
