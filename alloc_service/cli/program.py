"""One run of `alloc`: parse, do, and turn whatever is raised into a text and an exit code.

No stack trace reaches a person. An unexpected fault is told with a reference; where it
happened goes to the file of `--debug` alone, and even there without the fault's own words and
without values, for these may be an arm.
"""

import errno
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from alloc_service.cli import screen
from alloc_service.cli.command import DONE, REFUSED, WRONG_USE, Commands, Place
from alloc_service.cli.refusals import show_refusal
from alloc_service.errors import RefusalError
from alloc_service.errors.places import describe_places

_PACKAGE = "alloc_service.cli"

SECTIONS: Mapping[str, Mapping[str, Place]] = {
    "To begin": {
        "quickstart": Place(
            f"{_PACKAGE}.quickstart", "Try the pages at once, with a trial for testing."
        ),
        "demo": Place(f"{_PACKAGE}.demo", "Live a simulated trial from its list to its last slot."),
        "init": Place(f"{_PACKAGE}.init", "Make keys, database and the first administrator."),
        "user": Place(f"{_PACKAGE}.user", "Add people, give them roles, change passwords."),
        "status": Place(f"{_PACKAGE}.status", "Show in a few lines how this installation stands."),
    },
    "The trial and its lists": {
        "trial": Place(f"{_PACKAGE}.trial", "Check, create, pause, resume and close trials."),
        "site": Place(f"{_PACKAGE}.site", "Activate and pause sites."),
        "ceremony": Place(f"{_PACKAGE}.ceremony", "Make a list's seed together with others."),
        "list": Place(f"{_PACKAGE}.lists", "Generate, approve, activate and check lists."),
        "design": Place(f"{_PACKAGE}.design", "Read the restricted design, for statisticians."),
    },
    "Participants": {
        "enrol": Place(f"{_PACKAGE}.enrol", "Enter a participant's record."),
        "amend": Place(f"{_PACKAGE}.enrol", "Change a record before its allocation."),
        "allocate": Place(f"{_PACKAGE}.allocate", "Sign a record and see its allocation."),
        "allocation": Place(f"{_PACKAGE}.allocate", "See again what was allocated."),
    },
    "Oversight": {
        "report": Place(f"{_PACKAGE}.report", "Count participants, with or without arms."),
        "receipt": Place(f"{_PACKAGE}.receipt", "Check a receipt, without any service."),
        "log": Place(f"{_PACKAGE}.log", "Read, verify and export the audit log."),
        "witness": Place(f"{_PACKAGE}.witness", "Witness a log, on a machine of your own."),
    },
    "The machine": {
        "sealer": Place(f"{_PACKAGE}.sealer", "Run the sealer, see why nothing opens, recover."),
        "drill": Place(f"{_PACKAGE}.drill", "Find out that a lost list could be had again."),
        "web-secret": Place(f"{_PACKAGE}.web_secret", "Make the file with the pages' secret."),
        "restore-enrolment": Place(
            f"{_PACKAGE}.restore_enrolment", "Enter a record again that a restore has lost."
        ),
        "backup": Place(f"{_PACKAGE}.backup", "Write the whole database to one file."),
        "restore": Place(f"{_PACKAGE}.restore", "Fill an empty database from a backup."),
        "db": Place(f"{_PACKAGE}.db", "Bring the database's tables up to date."),
    },
}


@dataclass
class Run:
    """What one run of the program was told beside its command.

    Attributes:
        debug: Where an unexpected fault is described, or none.
    """

    debug: Path | None = None


@click.group(
    cls=Commands,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`alloc COMMAND --help` explains a command and ends in an example.",
)
@click.option(
    "--debug",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to describe an unexpected fault of the program, for whoever mends it. The file "
    "names places in the program, never a value.  Example: --debug /tmp/alloc-fault.txt",
)
@click.version_option(package_name="alloc-service", prog_name="alloc")
@click.pass_obj
def alloc(run_: Run, debug: Path | None) -> None:
    """Randomization with concealed allocation, for clinical trials.

    Settings come from the environment: ALLOC_HOST (required), ALLOC_HOME, ALLOC_DATABASE_URL,
    ALLOC_KEYS, ALLOC_ANCHORS. Exit codes: 0 done, 1 refused or the check failed, 2 wrong use.
    """
    run_.debug = debug


def run(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name.
        environ: Whether colours are wanted: NO_COLOR, TERM.

    Returns:
        0 done, 1 refused or the check failed, 2 wrong use.
    """
    screen.prepare(environ)
    this = Run()
    try:
        _require_text(arguments)
        code = alloc.main(
            list(arguments),
            prog_name="alloc",
            standalone_mode=False,
            obj=this,
            color=screen.wants_color(environ),
        )
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  the edge: no stack trace reaches a person
        return _tell(error, this)
    return code if isinstance(code, int) else DONE


def _tell(error: BaseException, this: Run) -> int:
    match error:
        case RefusalError():
            show_refusal(error)
        case click.UsageError():
            _show_usage(error)
            return WRONG_USE
        case click.ClickException():
            screen.complain(error.format_message())
        case click.Abort() | KeyboardInterrupt():
            screen.complain("Stopped. What was reported as done stays done.")
        case OSError(errno=errno.EPIPE):
            _stop_writing()
        case SystemExit():
            raise error
        case _:
            _apologize(error, this)
    return REFUSED


def _require_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode("utf-8")
        except UnicodeEncodeError:
            raise click.UsageError("An argument is no text in UTF-8.") from None


def _show_usage(error: click.UsageError) -> None:
    if error.ctx is not None and error.format_message() == error.ctx.get_help():
        # A group alone, without a command: its help is the answer, and says all of it once.
        screen.hint(error.ctx.get_help())
        return
    if error.ctx is not None:
        screen.hint(error.ctx.get_usage())
        screen.hint(f"Try `{error.ctx.command_path} --help`.")
    screen.complain(error.format_message(), "Wrong use")


def _stop_writing() -> None:
    """Let go of a pipe whose reader has gone, so that the exit is quiet."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _apologize(error: BaseException, this: Run) -> None:
    reference = secrets.token_hex(4)
    where = "Run the same with `alloc --debug FILE …` and"
    if this.debug is not None:
        try:
            this.debug.write_text(describe_places(error, reference), "utf-8")
            where = f"Where it happened is in {this.debug};"
        except OSError as refused:
            screen.complain(f"{this.debug} was not written: {refused.strerror}.")
    screen.complain(
        f"Sorry, this is a fault of the program and not yours (reference {reference}). What was "
        f"reported as done stays done; whatever else you asked for, ask again: nothing is done "
        f"twice. {where} give file and reference to whoever runs this installation.",
        "Fault",
    )
