"""Who acts: asked each time, by user name and password, and by nothing else.

A password is typed at a terminal without echo, or read by a script's file descriptor, one line.
It is never an argument and never in the environment, where other processes could read it.
"""

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from alloc_service.services import accounts
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps

LONGEST_LINE = 4_096
_MOST_DIGITS = 9


class FileDescriptor(click.ParamType):  # type: ignore[type-arg]  # no parameters before click 8.5
    """An open file descriptor's number."""

    name = "integer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read a number from 0 on."""
        if not str(value).isdecimal() or len(str(value)) > _MOST_DIGITS:
            self.fail(f"{value} is no file descriptor, which is a number such as 3.", param, ctx)
        return int(str(value))


FD = FileDescriptor()


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody says they are, and where their password can be read.

    Attributes:
        username: As given, or none to ask for it.
        fd: A file descriptor whose next line is the password, or none to ask for it.
        option: What to name where neither can be had.
        prompt: What the person is called in the question.
    """

    username: str | None
    fd: int | None
    option: str = "--as USER and --password-fd N"
    prompt: str = "User name"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and its password; the password is in no repr."""

    username: str
    password: str = field(repr=False)


def acts_as(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--as` and `--password-fd` to a command, which gets them as `claim`."""

    @click.option(
        "--as",
        "username",
        metavar="USER",
        help="Your user name; asked for at a terminal.  Example: --as li.na",
    )
    @click.option(
        "--password-fd",
        type=FD,
        metavar="N",
        help="For scripts: the open file descriptor whose next line is your password.  "
        "Example: --password-fd 3 3</run/secrets/li.na",
    )
    @functools.wraps(function)
    def wrapped(
        *args: object, username: str | None, password_fd: int | None, **kwargs: object
    ) -> None:
        function(*args, claim=Claim(username, password_fd), **kwargs)

    return wrapped


def with_second(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--second` and `--second-password-fd` to a command, which gets them as `second`."""

    @click.option(
        "--second",
        "second_username",
        metavar="USER",
        help="User name of the second person, who is present.  Example: --second wang.fang",
    )
    @click.option(
        "--second-password-fd",
        type=FD,
        metavar="N",
        help="For scripts: where the second person's password is read.  "
        "Example: --second-password-fd 4 4</run/secrets/wang.fang",
    )
    @functools.wraps(function)
    def wrapped(
        *args: object,
        second_username: str | None,
        second_password_fd: int | None,
        **kwargs: object,
    ) -> None:
        option = "--second USER and --second-password-fd N"
        second = Claim(second_username, second_password_fd, option, "Second person's user name")
        function(*args, second=second, **kwargs)

    return wrapped


def sign_in(deps: Deps, claim: Claim) -> Person:
    """Ask for what the claim lacks, and return the person that the two prove.

    Raises:
        WrongPasswordError: They do not belong together.
        PasswordChangeDueError: The password is a one-time password.
    """
    return prove(deps, ask_credentials(claim))


def prove(deps: Deps, credentials: Credentials) -> Person:
    """Return the person whose user name and password these are."""
    return accounts.authenticate(deps, credentials.username, credentials.password)


def ask_credentials(claim: Claim) -> Credentials:
    """Return user name and password, asking at the terminal for what is not given."""
    if claim.username is None:
        require_terminal(claim.option)
    username = claim.username or click.prompt(claim.prompt, err=True)
    return Credentials(username, ask_password(claim.fd, f"Password of {username}", claim.option))


def ask_password(fd: int | None, prompt: str, option: str) -> str:
    """Return a password, typed without echo or read from a file descriptor."""
    if fd is not None:
        return read_line(fd, option)
    require_terminal(option)
    return str(click.prompt(prompt, hide_input=True, err=True))


def ask_new_password(fd: int | None, option: str) -> str:
    """Return a new password; at a terminal it is typed twice."""
    if fd is not None:
        return read_line(fd, option)
    require_terminal(option)
    return str(click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True))


def require_terminal(option: str) -> None:
    """Refuse to ask where nobody can answer.

    Raises:
        UsageError: Standard input is no terminal.
    """
    if not at_terminal():
        raise click.UsageError(f"There is no terminal to ask at: give {option}.")


def at_terminal() -> bool:
    """Tell whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_line(fd: int, option: str) -> str:
    """Return the next line of a file descriptor, and leave what follows it unread.

    Raises:
        UsageError: Nothing can be read there, or no text.
    """
    line = bytearray()
    try:
        while len(line) <= LONGEST_LINE and (char := os.read(fd, 1)) not in {b"", b"\n"}:
            line += char
        text = line.decode("utf-8")
    except OSError:
        raise click.UsageError(f"{option}: file descriptor {fd} cannot be read.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{option}: what was read is no text in UTF-8.") from None
    if not text:
        raise click.UsageError(f"{option}: file descriptor {fd} gives no password.")
    return text
