"""`alloc sealer` where the keys are: serve, unlock, accept, design, reseal.

These run on the sealer's host as its own user, with the keys and the anchors in this process,
whatever ALLOC_SEALER_SOCKET says. A passphrase is typed without echo, read from a descriptor, or
from ALLOC_PASSPHRASE_FILE; it is never an argument.
"""

import contextlib
import os
import pwd
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from alloc_service.cli import screen
from alloc_service.cli.command import command
from alloc_service.cli.opening import started
from alloc_service.cli.people import FD, Claim, acts_as, at_terminal, read_line, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.cli.refusals import show_refusal
from alloc_service.cli.source import Source, from_source, read_root
from alloc_service.config import Settings
from alloc_service.errors import ConfigError, KeysPassphraseError, RefusalError
from alloc_service.sealing.keys import ServerKeys, are_protected, load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.memory import keep_to_itself
from alloc_service.sealing.server import SealerServer
from alloc_service.sealing.unlock import unlock as give_passphrase
from alloc_service.services import lists, sealed_lists
from alloc_service.services.deps import Deps, open_with_keys, read_passphrase

NUMBER = click.IntRange(1, 9_999)
_PROMPT = "Passphrase of the keys"


def open_here(*, reads_alone: bool = False) -> Deps:
    """Open the service with the keys in this process, and show the sealer every log.

    Args:
        reads_alone: Whether the database is only read, by a role that may do no more.

    Raises:
        OperationError: A setting, keys, register or database are missing, unsafe or of others.
    """
    settings = Settings.from_environment(os.environ)
    return started(open_with_keys(settings, load_here(settings), reads_alone=reads_alone))


def load_here(settings: Settings) -> ServerKeys:
    """Load the keys, asking at the terminal for a passphrase that no file gives."""
    return load_keys(settings.keys, find_passphrase(settings))


def find_passphrase(settings: Settings) -> str | None:
    """Return the passphrase of the keys from the file or the terminal; none where they are plain.

    Raises:
        KeysPassphraseError: It is needed, and there is nobody to ask.
    """
    given = read_passphrase(settings)
    if given is not None or not are_protected(settings.keys):
        return given
    if not at_terminal():
        rule, remedy = "a passphrase protects these keys", "Name it in ALLOC_PASSPHRASE_FILE"
        raise KeysPassphraseError(path=settings.keys, rule=rule, remedy=remedy)
    return str(click.prompt(_PROMPT, hide_input=True, err=True))


@command("serve", "alloc sealer serve --for-user alloc-web")
@click.option(
    "--for-user",
    "user",
    required=True,
    metavar="USER",
    help="The one user, by name or number, whom the sealer serves: the one that serves the "
    "pages.  Example: --for-user alloc-web",
)
def serve(user: str) -> None:
    """Run the sealer as a process of its own, at ALLOC_SEALER_SOCKET, until it is stopped.

    It runs as a user of its own, who alone can read ALLOC_KEYS and ALLOC_ANCHORS. Where a
    passphrase protects the keys and ALLOC_PASSPHRASE_FILE names none, the sealer starts locked:
    at a terminal it asks; otherwise `alloc sealer unlock` gives it the passphrase.
    """
    keep_to_itself()
    settings = Settings.from_environment(os.environ)
    path, served = require_socket(settings), user_id(user)
    unlock = partial(_open_sealer, settings)
    given = read_passphrase(settings)
    locked = given is None and are_protected(settings.keys)
    sealer = None if locked else unlock(given)
    server = SealerServer(path, served, unlock=unlock, sealer=sealer, report=screen.complain)
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.closing(server), _echoing_again():
        screen.say(f"The sealer listens at {path} for user id {served}.")
        if locked:
            screen.warn("It is locked: `alloc sealer unlock` gives it the passphrase.")
        _flush()
        if locked and at_terminal():
            server.unlock_while_serving(_ask_at_terminal)
        server.serve()


@command("unlock", "alloc sealer unlock")
@click.option(
    "--passphrase-fd",
    type=FD,
    metavar="N",
    help="For scripts: the open file descriptor whose next line is the passphrase.  "
    "Example: --passphrase-fd 3 3</run/secrets/sealer",
)
def unlock(passphrase_fd: int | None) -> None:
    """Give a locked sealer the passphrase of its keys; run as the sealer's user, or as root."""
    path = require_socket(Settings.from_environment(os.environ))
    if passphrase_fd is not None:
        passphrase = read_line(passphrase_fd, "--passphrase-fd N")
    elif at_terminal():
        passphrase = str(click.prompt(_PROMPT, hide_input=True, err=True))
    else:
        raise click.UsageError("There is no terminal to ask at: give --passphrase-fd N.")
    with waiting("Opening the keys"):
        give_passphrase(path, passphrase)
    screen.good("The sealer is unlocked.")


@command(
    "accept",
    "alloc sealer accept rac.example.org/NCT01728727/audit 1 19f885a6…e0ab542d",
)
@click.argument("origin")
@click.argument("number", metavar="LIST", type=NUMBER)
@click.argument("root")
def accept(origin: str, number: int, root: str) -> None:
    """Test-open every slot of a sealed list, so that it may be activated.

    ORIGIN is the log's name as `alloc status --json` shows it, ROOT the list's root as its
    statistician gives it. The answer is only that all open, or the first that does not. Where
    the service runs the sealer itself, `alloc list activate` does this too.
    """
    wanted = read_root(root)
    deps = open_here(reads_alone=True)
    with waiting("Test-opening every slot"):
        sealed_lists.accept_list(deps, origin, number, wanted)
    screen.good(f"Every slot of list {number} opens; the sealer has accepted it.")


@command("design", "alloc sealer design rac.example.org/NCT01728727/audit 41 >design.json")
@click.argument("origin")
@click.argument("seq", type=click.IntRange(0))
def design(origin: str, seq: int) -> None:
    """Write the design that a statistician asked for, to standard output.

    The look is logged already: SEQ is its entry, which the refusal on the page has named. Give
    the document to that statistician and to nobody else, for it holds the block sizes.
    """
    opened = sealed_lists.open_logged_design(open_here(reads_alone=True), origin, seq)
    screen.say(opened.to_bytes().decode())


@command(
    "reseal",
    "alloc sealer reseal --escrow seed.archive+dmc.age --identity archive.key --identity dmc.key "
    "--as chen.yu",
)
@from_source
@acts_as
def reseal(source: Source, claim: Claim) -> None:
    """Seal a list anew from its escrow, where the sealer is a process of its own.

    As `alloc list reseal`, on the sealer's host: for a list whose slots or whose sealing key are
    lost. Two custodians bring their identities; you are a statistician of the trial.
    """
    secret = source.read()
    deps = open_here()
    person = sign_in(deps, claim)
    with waiting("Sealing every slot"):
        entry = lists.reseal(deps, person, secret.design, secret.seed)
    screen.banner(secret.design.trial)
    screen.good(
        f"List {secret.design.list} of {secret.design.trial} is sealed anew, entry {entry.seq} "
        f"of its log."
    )


def require_socket(settings: Settings) -> Path:
    """Return where the sealer listens.

    Raises:
        ConfigError: No setting says.
    """
    if settings.sealer_socket is None:
        raise ConfigError(
            variable="ALLOC_SEALER_SOCKET",
            rule="must name the sealer's socket",
            example="/run/alloc-sealer/socket",
        )
    return settings.sealer_socket


def user_id(user: str) -> int:
    """Return the number of a user who is named, or numbered.

    Raises:
        BadParameter: This machine has no such user.
    """
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise click.BadParameter(f"this machine has no user {user}.") from None


def _open_sealer(settings: Settings, passphrase: str | None) -> LocalSealer:
    keys = load_keys(settings.keys, passphrase)
    return LocalSealer(keys, settings.anchors, settings.host)


def _ask_at_terminal(unlock: Callable[[str], None]) -> None:
    """Ask until the passphrase is right, or until asking is of no more use; then say what is."""
    while True:
        try:
            unlock(str(click.prompt(_PROMPT, hide_input=True, err=True)))
        except KeysPassphraseError as error:
            show_refusal(error)
            continue
        except RefusalError as error:
            show_refusal(error)
        except click.Abort:
            screen.say("")
        else:
            screen.good("The sealer is unlocked.")
            return
        screen.warn("It stays locked: `alloc sealer unlock` gives it the passphrase.")
        return


@contextlib.contextmanager
def _echoing_again() -> Iterator[None]:
    """Leave the terminal as it was, also where the program ends while a passphrase is asked for."""
    if not at_terminal():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _flush() -> None:
    sys.stdout.flush()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
