"""The escrow on the command line: its custodians as they are given, its files as they are left."""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from pathlib import Path

import click

from alloc_service.cli import files
from alloc_service.errors import OutputFileError
from alloc_service.sealing.escrow import escrow_name
from alloc_service.services.lists import SealedAndLogged


def with_custodians(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--custodian`, given three times, which a command gets as `custodians`."""
    return click.option(
        "--custodian",
        "custodians",
        required=True,
        multiple=True,
        metavar="NAME=KEY",
        help="Three times: a custodian of the escrow and their public key, as `age-keygen` shows "
        "it. Any two open the escrow together.  Example: --custodian dmc=age1…",
    )(function)


def read_custodians(given: tuple[str, ...]) -> dict[str, str]:
    """Return each custodian's key by name.

    Raises:
        UsageError: One is not NAME=KEY, or a name stands twice.
    """
    named = {}
    for item in given:
        name, equals, key = item.partition("=")
        if not equals or name in named:
            raise click.UsageError("--custodian is NAME=KEY, and each name stands once.")
        named[name] = key
    return named


def prepare_folder(folder: Path, custodians: Iterable[str]) -> None:
    """Make the escrow's folder, and refuse it now where its files would be in the way.

    Raises:
        OutputFileError: It cannot be made, or a file of such a name is there.
    """
    files.make_folder(folder)
    for first, second in combinations(sorted(custodians), 2):
        files.require_free(folder / escrow_name(first, second))


def keep_escrow(trial: str, made: SealedAndLogged, folder: Path) -> None:
    """Write the escrow of a list that is logged; say where else it is if that fails.

    Raises:
        OutputFileError: A file cannot be written.
    """
    try:
        write_files(folder, made.escrow)
    except OutputFileError as error:
        error.add_note(
            f"The list is sealed and logged, and its escrow is kept in the database: download it "
            f"with `alloc list escrow {trial} {made.number} --out FOLDER`."
        )
        raise


def write_files(folder: Path, named: Mapping[str, bytes]) -> None:
    """Write new files to a folder.

    Raises:
        OutputFileError: One is there already, or cannot be written.
    """
    for name, data in named.items():
        files.write_file(folder / name, data)
