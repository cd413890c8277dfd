"""`alloc list generate`: on the server, or offline without database and keys."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.custodians import (
    keep_escrow,
    prepare_folder,
    read_custodians,
    with_custodians,
    write_files,
)
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import counting, waiting
from alloc_service.cli.source import FILE, read_seed_text
from alloc_service.cli.trial import TEST_HELP, read_definition
from alloc_service.core.design import Design
from alloc_service.core.generate import generate as generate_list
from alloc_service.core.seed import Seed
from alloc_service.sealing.escrow import escrow_text, write_escrow
from alloc_service.sealing.package import seal_list, write_package
from alloc_service.services import lists
from alloc_service.services.lists import SealedAndLogged

_FOLDER = click.Path(file_okay=False, path_type=Path)
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Offline:
    """What an offline generation needs beside the design.

    Attributes:
        origin: Name of the trial's log, HOST/TRIAL/audit.
        sealing_key: The service's public sealing key, 32 bytes.
        out: The package to write.
    """

    origin: str
    sealing_key: bytes
    out: Path


def may_be_offline(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of an offline generation, which the command gets as `apart`, or none."""

    @click.option(
        "--offline",
        is_flag=True,
        help="Make a package here, without database and keys, for `alloc list import`.  "
        "Example: --offline",
    )
    @click.option(
        "--origin",
        metavar="TEXT",
        help="With --offline: the name of the trial's log, as `alloc status --json` shows it.  "
        "Example: --origin rac.example.org/NCT01728727/audit",
    )
    @click.option(
        "--sealing-key",
        metavar="HEX",
        help="With --offline: the service's public sealing key, as `alloc status` shows it.  "
        "Example: --sealing-key 5f2c…",
    )
    @click.option(
        "--out",
        type=FILE,
        metavar="FILE",
        help="With --offline: the package to write.  Example: --out list-1.package",
    )
    @functools.wraps(function)
    def wrapped(
        *args: object,
        offline: bool,
        origin: str | None,
        sealing_key: str | None,
        out: Path | None,
        **kwargs: object,
    ) -> None:
        function(*args, apart=_read_offline(offline, origin, sealing_key, out), **kwargs)

    return wrapped


@command(
    "generate",
    "alloc list generate --design-from trial.toml --escrow-dir escrow/ --as chen.yu "
    "--custodian statistician=age1… --custodian dmc=age1… --custodian archive=age1…\n"
    "alloc list generate --offline --design-from trial.toml --escrow-dir escrow/ "
    "--origin rac.example.org/NCT01728727/audit --sealing-key 5f2c… --out list-1.package "
    "--custodian statistician=age1… --custodian dmc=age1… --custodian archive=age1…",
)
@click.option(
    "--design-from",
    type=FILE,
    required=True,
    metavar="FILE",
    help="The trial's definition with its restricted table [design].  "
    "Example: --design-from trial.toml",
)
@click.option("--test", is_flag=True, help=TEST_HELP)
@click.option(
    "--list",
    "number",
    type=click.IntRange(1, 9_999),
    metavar="N",
    help="List number, if not the one in the definition; a further list has a number and a seed "
    "of its own.  Example: --list 2",
)
@with_custodians
@click.option(
    "--escrow-dir",
    type=_FOLDER,
    required=True,
    metavar="FOLDER",
    help="The folder for the escrow's files, which hold seed and design, encrypted to the "
    "custodians.  Example: --escrow-dir escrow/",
)
@click.option(
    "--seed-file",
    type=FILE,
    metavar="FILE",
    help="A seed of your own choice, 64 hexadecimal digits; only for a trial whose id starts "
    "with TEST-.  Example: --seed-file seed.txt",
)
@may_be_offline
@acts_as
@as_json
def generate(
    *,
    design_from: Path,
    test: bool,
    number: int | None,
    custodians: tuple[str, ...],
    escrow_dir: Path,
    seed_file: Path | None,
    apart: Offline | None,
    claim: Claim,
    as_json: bool,
) -> None:
    """Generate a list, seal it, and put its seed in escrow; you are a statistician.

    The seed comes from the operating system's generator and is forgotten when the command ends;
    the escrow's files are the only place that keeps it. Whoever generates a list cannot approve
    it, and never enrols in its trial.
    """
    named = read_custodians(custodians)
    design = read_definition(design_from, test).design(number)
    typed = None if seed_file is None else read_seed_text(seed_file)
    prepare_folder(escrow_dir, named)
    if apart is None:
        made = _generate_here(design, named, typed, claim)
        keep_escrow(design.trial, made, escrow_dir)
    else:
        made = _generate_offline(design, named, typed, apart, escrow_dir)
    _show(design, made, escrow_dir, apart, as_json)


def _generate_here(
    design: Design, custodians: Mapping[str, str], typed: str | None, claim: Claim
) -> SealedAndLogged:
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Generating and sealing the list"):
        return lists.generate(deps, person, design, custodians, typed)


def _generate_offline(
    design: Design,
    custodians: Mapping[str, str],
    typed: str | None,
    apart: Offline,
    escrow_dir: Path,
) -> SealedAndLogged:
    files.require_free(apart.out)
    seed = Seed.fresh() if typed is None else Seed.typed(typed, design)
    escrow = write_escrow(escrow_text(design, seed), custodians)
    generated = generate_list(design, seed)
    with counting("Sealing the slots", design.slots) as progress:
        sealed = seal_list(generated, apart.sealing_key, apart.origin, progress)
    write_files(escrow_dir, escrow)  # before the package: a list without its escrow is no list
    write_package(sealed, apart.out)
    return SealedAndLogged(sealed.list, sealed.root, escrow)


def _read_offline(
    offline: bool, origin: str | None, sealing_key: str | None, out: Path | None
) -> Offline | None:
    given = [item for item in (origin, sealing_key, out) if item is not None]
    if not offline and not given:
        return None
    if not offline or origin is None or sealing_key is None or out is None:
        raise click.UsageError("--offline takes --origin, --sealing-key and --out, all of them.")
    try:
        key = bytes.fromhex(sealing_key)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise click.UsageError("--sealing-key is 64 hexadecimal digits.")
    return Offline(origin, key, out)


def _show(
    design: Design, made: SealedAndLogged, folder: Path, apart: Offline | None, as_json: bool
) -> None:
    names = [str(folder / name) for name in made.escrow]
    if as_json:
        screen.emit(
            {
                "escrow": names,
                "list": made.number,
                "package": "" if apart is None else str(apart.out),
                "root": made.root,
                "trial": design.trial,
            }
        )
        return
    screen.banner(design.trial)
    done = "sealed and logged" if apart is None else f"sealed in {apart.out}"
    screen.good(f"List {made.number} of {design.trial} is {done}.")
    screen.facts(
        (("Root", made.root), ("Slots", str(design.slots)), *(("Escrow", name) for name in names))
    )
    step = "" if apart is None else f"`alloc list import {apart.out}`, then "
    screen.paragraph(
        f"Give each escrow file to the two custodians that its name says. Next: {step}a second "
        f"statistician runs `alloc list regenerate` with two custodians, then `alloc list approve`."
    )
