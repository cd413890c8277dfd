"""Design and seed as they are handed in: from files, or from an escrow file and two identities.

What is read here is as secret as the list; none of it is shown, logged or written again.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from alloc_service.cli import files
from alloc_service.core.design import Design
from alloc_service.core.seed import Seed
from alloc_service.errors import EscrowError
from alloc_service.sealing import age
from alloc_service.sealing.envelope import HEX32
from alloc_service.sealing.escrow import EscrowedList, open_escrow

FILE = click.Path(dir_okay=False, path_type=Path)
_LONGEST_SEED = 1_024
_LONGEST_IDENTITY = 65_536
_OUTER = "outer layer"  # as the refusal of an escrow file names the layer of the first custodian


@dataclass(frozen=True, slots=True)
class Source:
    """Where design and seed are: two files, or an escrow file and two identities.

    Attributes:
        design: A design document.
        seed: A file with the seed.
        escrow: An escrow file.
        identities: The identity files of its custodians.
    """

    design: Path | None
    seed: Path | None
    escrow: Path | None
    identities: tuple[Path, ...]

    @property
    def is_given(self) -> bool:
        """Tell whether any of it was given."""
        return bool(self.design or self.seed or self.escrow or self.identities)

    def read(self) -> EscrowedList:
        """Return design and seed.

        Raises:
            UsageError: Neither both files nor an escrow file with two identities are given.
            InputFileError: A file cannot be read.
            InputError: The design or the seed breaks a rule.
            EscrowError: The escrow file does not open with these identities.
        """
        match self:
            case Source(Path() as design, Path() as seed, None, ()):
                return EscrowedList(read_design(design), read_seed(seed))
            case Source(None, None, Path() as escrow, (first, second)):
                return _open(escrow, read_identity(first), read_identity(second))
        raise click.UsageError(
            "Give --design and --seed-file, or --escrow with --identity twice, and not both."
        )


def from_source(function: Callable[..., None]) -> Callable[..., None]:
    """Add to a command the options of a `Source`, which it gets as `source`."""

    @click.option(
        "--design",
        type=FILE,
        metavar="FILE",
        help="The design document, as `alloc design show --out` writes it.  "
        "Example: --design design.json",
    )
    @click.option(
        "--seed-file",
        type=FILE,
        metavar="FILE",
        help="A file that holds the seed, 64 hexadecimal digits.  Example: --seed-file seed.txt",
    )
    @click.option(
        "--escrow",
        type=FILE,
        metavar="FILE",
        help="Instead of both: an escrow file.  Example: --escrow seed.archive+dmc.age",
    )
    @click.option(
        "--identity",
        "identities",
        type=FILE,
        metavar="FILE",
        multiple=True,
        help="With --escrow, twice: the identity files of its two custodians, as `age-keygen` "
        "writes them.  Example: --identity archive.key --identity dmc.key",
    )
    @functools.wraps(function)
    def wrapped(
        *args: object,
        design: Path | None,
        seed_file: Path | None,
        escrow: Path | None,
        identities: tuple[Path, ...],
        **kwargs: object,
    ) -> None:
        function(*args, source=Source(design, seed_file, escrow, identities), **kwargs)

    return wrapped


def read_design(path: Path) -> Design:
    """Return the design of a document file; a line end after it is taken as an editor's."""
    data = files.read_file(path).removesuffix(b"\n")
    with files.naming(path):
        return Design.from_bytes(data)


def read_seed(path: Path) -> Seed:
    """Return the seed in a file."""
    with files.naming(path):
        return Seed(read_seed_text(path))


def read_seed_text(path: Path) -> str:
    """Return what stands in a seed's file, without the white space around it."""
    return files.read_text(path, _LONGEST_SEED).strip()


def read_identity(path: Path) -> str:
    """Return the age identity in a file, as `age-keygen` writes it.

    Raises:
        InputFileError: It cannot be read, or is no text.
        AgeError: It holds none, or more than one; a note names the file.
    """
    text = files.read_text(path, _LONGEST_IDENTITY)
    with files.naming(path):
        return age.read_identity(text)


def read_root(text: str) -> str:
    """Return a root as it was given, if it can be one.

    Raises:
        UsageError: It is not 64 hexadecimal digits.
    """
    root = text.strip().lower()
    if not HEX32.fullmatch(root):
        raise click.UsageError("A root is 64 hexadecimal digits.")
    return root


def _open(escrow: Path, first: str, second: str) -> EscrowedList:
    data = files.read_file(escrow)
    try:
        return open_escrow(data, first, second, escrow.name)
    except EscrowError as error:
        # The outer layer is for the custodian named first; the order of two options should not
        # matter to two people. Where neither order opens it, the first that got past that layer
        # knows better whose identity is the wrong one.
        try:
            return open_escrow(data, second, first, escrow.name)
        except EscrowError as again:
            raise (again if _OUTER in str(error) else error) from None
