"""`alloc quickstart`: a trial for testing with people and participants, and its pages, at once."""

import os
import socket
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import command
from alloc_service.cli.demo.rehearsal import CUSTODIANS, PEOPLE, Rehearsal
from alloc_service.cli.progress import counting, waiting
from alloc_service.sealing.escrow import escrow_name
from alloc_service.services.deps import system_clock
from alloc_service.services.passwords import Passwords

HOST = "quickstart.example.org"
HOME = Path("var/quickstart")
PORT = 8000
PARTICIPANTS = 36
_PORTS = 100
# So many participants arrive in about seventy days.
_BEGAN = timedelta(days=120)


@command("quickstart", "alloc quickstart\nalloc quickstart --home /tmp/trial --no-serve")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=HOME,
    show_default=True,
    metavar="FOLDER",
    help="Where everything is kept; a second run goes on with what is there.  "
    "Example: --home /tmp/trial",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=PORT,
    show_default=True,
    metavar="N",
    help="The first port to try; the next free one is taken.  Example: --port 8080",
)
@click.option("--no-serve", is_flag=True, help="Make everything, and serve no pages.")
def quickstart_command(home: Path, port: int, no_serve: bool) -> None:
    """Try the pages at once: a trial for testing, an account a role, some participants.

    The first run makes keys, database, the trial TEST-NCT01728727 with a sealed and active list,
    and prints each account's password, once. Then the pages are served to this machine alone.
    Nobody is treated by it; a real installation begins with `alloc init`.
    """
    home = home.absolute()
    if home.exists():
        screen.say(f"Going on with {home}. Its passwords were printed when it was made; to begin")
        screen.say("anew, remove the folder.")
    else:
        _make(home)
    if not no_serve:
        _serve(home, port)


def _make(home: Path) -> None:
    """Make everything beside its place, and move it there when it is whole."""
    files.make_folder(home.parent)
    with tempfile.TemporaryDirectory(prefix=".quickstart-", dir=home.parent) as folder:
        made = Path(folder) / "home"
        made.mkdir(0o700)
        passwords = _live(made)
        made.rename(home)
    _tell(home, passwords)


def _live(folder: Path) -> dict[str, str]:
    life = Rehearsal(folder, HOST, system_clock() - _BEGAN, Passwords())
    try:
        with waiting("Making keys, database, trial and list"):
            life.set_up()
            sealed = life.make_list()
            life.approve_and_activate(sealed.number, sealed.root)
        with counting("Enrolling participants", PARTICIPANTS) as told:
            life.enrol_all(PARTICIPANTS, told)
        escrow = folder / "escrow"
        escrow.mkdir(0o700)
        for name, data in sealed.escrow.items():
            files.write_file(escrow / name, data)
        for name, identity in life.identities.items():
            files.write_file(escrow / f"{name}.key", f"{identity}\n".encode())
        return life.passwords
    finally:
        life.close()


def _tell(home: Path, passwords: dict[str, str]) -> None:
    roles = {"ada": "administrator"} | {username: str(role) for username, _, _, role, _ in PEOPLE}
    screen.title("Accounts; their passwords are printed this once")
    screen.table(
        ("User name", "Role", "Password"),
        [(name, roles[name], password) for name, password in passwords.items()],
    )
    first, second = sorted(CUSTODIANS)[:2]
    screen.title("Kept")
    screen.facts(
        (
            ("Folder", str(home)),
            ("Escrow", f"escrow/{escrow_name(first, second)}, and two more"),
            ("Custodians", "escrow/*.key; in a real trial each makes and keeps their own"),
        )
    )


def _serve(home: Path, port: int) -> NoReturn:
    free = _free_port(port)
    screen.say()
    screen.good(f"The pages are at http://127.0.0.1:{free} — Ctrl-C ends them.")
    sys.stdout.flush()
    environ = {
        **os.environ,
        "ALLOC_HOST": HOST,
        "ALLOC_HOME": str(home),
        "ALLOC_PLAIN_HTTP": "yes",
    }
    for name in ("ALLOC_DATABASE_URL", "ALLOC_KEYS", "ALLOC_ANCHORS", "ALLOC_PROXIES"):
        environ.pop(name, None)
    arguments = [
        sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{free}", "--threads", "4",
        "--log-level", "warning", "alloc_service.app:create_app()",
    ]  # fmt: skip
    os.execve(sys.executable, arguments, environ)  # noqa: S606  no shell, our own arguments


def _free_port(first: int) -> int:
    for port in range(first, min(first + _PORTS, 65_536)):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise click.UsageError(f"No port from {first} on is free. Name another one: --port N.")
