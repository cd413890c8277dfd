"""`alloc list regenerate` and `verify`: the list again, and whether it is the sealed one.

Neither needs a database unless a trial is named, so that both run on an offline laptop.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command, refuse
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import counting, waiting
from alloc_service.cli.source import FILE, Source, from_source, read_root
from alloc_service.core.canon import Json
from alloc_service.core.ceremony import CeremonyDocument, Share, combine
from alloc_service.core.generate import GeneratedList
from alloc_service.core.generate import generate as generate_list
from alloc_service.core.listfile import check_csv, write_csv, write_redcap, write_redcap_key
from alloc_service.errors import CeremonyError, InputFileError, RootDiffersError
from alloc_service.sealing.escrow import EscrowedList
from alloc_service.services import lists, sealed_lists


class _Standard:
    """Standard output for bytes, telling how many lines went through."""

    def __init__(self, progress: Callable[[int], object]) -> None:
        sys.stdout.flush()
        self._out = sys.stdout.buffer
        self._progress = progress

    def write(self, data: bytes) -> None:
        """Write one line."""
        self._out.write(data)
        self._progress(1)


@command(
    "regenerate",
    "alloc list regenerate --escrow seed.archive+dmc.age --identity archive.key "
    "--identity dmc.key --root 19f885a6…e0ab542d > list-1.csv\n"
    "alloc list regenerate --design design.json --seed-file seed.txt --trial NCT01728727 "
    "--root-only --as zhao.lei",
)
@from_source
@click.option(
    "--root",
    metavar="HEX",
    help="Compare the root with this one; the exit code is 1 where they differ.  "
    "Example: --root 19f885a6…e0ab542d",
)
@click.option(
    "--trial",
    metavar="TRIAL",
    help="Compare it with the sealed list in the database; you sign in, and the result is "
    "logged.  Example: --trial NCT01728727",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "redcap"]),
    default="csv",
    show_default=True,
    help="The list as CSV, or as the allocation table that REDCap reads.  Example: --format redcap",
)
@click.option(
    "--redcap-key",
    type=FILE,
    metavar="FILE",
    help="With --format redcap: where to write what its codes stand for.  "
    "Example: --redcap-key codes.csv",
)
@click.option(
    "--redcap-name",
    "names",
    multiple=True,
    metavar="FACTOR=VARIABLE",
    help="With --format redcap: the project's variable of a factor.  "
    "Example: --redcap-name cp=cp_band",
)
@click.option(
    "--root-only",
    is_flag=True,
    help="Write only the root, not the list.  Example: --root-only",
)
@click.option(
    "--ceremony",
    type=FILE,
    metavar="FILE",
    help="With --escrow: the announced document of the list's seed ceremony; the escrow's shares "
    "must be those that the parties committed to, and give this seed.  "
    "Example: --ceremony ceremony.json",
)
@acts_as
def regenerate(
    *,
    source: Source,
    root: str | None,
    trial: str | None,
    kind: str,
    redcap_key: Path | None,
    names: tuple[str, ...],
    root_only: bool,
    ceremony: Path | None,
    claim: Claim,
) -> None:
    """Make a list again from design and seed, and compare it with the sealed one.

    The list goes to standard output, its root to standard error. No database is needed unless
    --trial is given. The list is secret: keep its file where only statisticians can read it.
    """
    if (redcap_key is not None or names) and kind != "redcap":
        raise click.UsageError("--redcap-key and --redcap-name go with --format redcap.")
    if redcap_key is not None:
        files.require_free(redcap_key)
    wanted = None if root is None else read_root(root)
    secret = source.read()
    document = None if ceremony is None else _require_ceremony(ceremony, secret)
    with waiting("Generating the list"):
        generated = generate_list(secret.design, secret.seed)
    screen.banner(generated.design.trial, err=True)
    if not root_only:
        _write_list(generated, kind, redcap_key, names)
    screen.hint(f"root {generated.root}")
    if wanted is not None and wanted != generated.root:
        raise RootDiffersError(
            list=generated.design.list, found=generated.root, compared=f"--root, {wanted},"
        )
    if trial is not None:
        _compare_with_database(generated, trial, claim)
    if wanted is not None or trial is not None:
        screen.hint("The roots are equal: this is the sealed list.")
    if document is not None:
        told = f"{', '.join(document.parties)}, document {document.sha256}"
        screen.hint(f"The seed is the one of the ceremony: {told}. Compare it with the log.")


@command(
    "verify",
    "alloc list verify NCT01728727 1 --as zhao.lei\n"
    "alloc list verify --csv list-1.csv --design design.json --seed-file seed.txt",
)
@click.argument("trial", required=False)
@click.argument("number", metavar="[LIST]", type=click.IntRange(1, 9_999), required=False)
@click.option(
    "--csv",
    "csv_file",
    type=FILE,
    metavar="FILE",
    help="Check a list's CSV instead, byte for byte, against design and seed; no database is "
    "needed.  Example: --csv list-1.csv",
)
@from_source
@acts_as
@as_json
def verify(
    *,
    trial: str | None,
    number: int | None,
    csv_file: Path | None,
    source: Source,
    claim: Claim,
    as_json: bool,
) -> None:
    """Check a stored list against the log, or a list's file against design and seed.

    TRIAL and LIST: the stored leaves must lead to the logged root, its key must be the logged
    one, and every spent slot the one that the log names; nothing is opened, and you have a part
    in the trial's oversight. The exit code is 1 where a check fails.
    """
    if csv_file is not None and trial is None:
        secret = source.read()
        _check_file(csv_file, generate_list(secret.design, secret.seed))
        return
    if trial is None or number is None or csv_file or source.is_given:
        raise click.UsageError("Give TRIAL and LIST, or --csv with design and seed.")
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Checking the list"):
        checks = sealed_lists.check_sealed_list(deps, person, trial, number)
    well = all(check.ok for check in checks)
    if as_json:
        rows: list[Json] = [
            {"check": item.name, "detail": item.detail, "ok": item.ok} for item in checks
        ]
        screen.emit({"checks": rows, "list": number, "ok": well, "trial": trial})
    else:
        screen.banner(trial)
        screen.checks(checks)
    if not well:
        refuse()


def _require_ceremony(path: Path, secret: EscrowedList) -> CeremonyDocument:
    """Return the document of the ceremony that gave a seed, after everything was found to fit.

    Raises:
        CeremonyError: Design, shares, beacon or seed are not the ceremony's; a party is named.
    """
    data = files.read_file(path)
    with files.naming(path):
        document = CeremonyDocument.from_bytes(data)
    if document.design_sha256 != secret.design.sha256:
        raise CeremonyError(rule="the ceremony was held for another design")
    if len(secret.reveals) != len(document.parties):
        raise CeremonyError(rule="the escrow has not a share of each party")
    shares = dict(zip(document.parties, map(Share, secret.reveals), strict=True))
    if combine(document, shares, secret.beacon or "") != secret.seed:
        raise CeremonyError(rule="the shares and the beacon give another seed than this one")
    return document


def _write_list(
    generated: GeneratedList, kind: str, redcap_key: Path | None, names: tuple[str, ...]
) -> None:
    with counting("Writing the list", generated.design.slots + 1) as progress:
        out = _Standard(progress)
        if kind == "csv":
            write_csv(generated, out)
        else:
            key = write_redcap(generated, out, _read_names(names))
    sys.stdout.flush()
    if kind == "redcap" and redcap_key is not None:
        codes = io.BytesIO()
        write_redcap_key(key, codes)
        files.write_file(redcap_key, codes.getvalue())


def _compare_with_database(generated: GeneratedList, trial: str, claim: Claim) -> None:
    if trial != generated.design.trial:
        raise click.UsageError(f"The design is of {generated.design.trial}, not of {trial}.")
    deps = open_service()
    person = sign_in(deps, claim)
    number = generated.design.list
    if not lists.log_regeneration(deps, person, trial, number, generated.root):
        raise RootDiffersError(
            list=number, found=generated.root, compared="the sealed list in the database"
        )


def _check_file(path: Path, generated: GeneratedList) -> None:
    try:
        with path.open("rb") as file, files.naming(path):
            check_csv(file, generated)
    except OSError as error:
        rule = (error.strerror or "it cannot be read").lower()
        raise InputFileError(path=path, rule=rule) from None
    screen.banner(generated.design.trial)
    screen.good(f"{path} is, byte for byte, the list of this design and seed.")
    screen.facts((("Root", generated.root),))


def _read_names(given: tuple[str, ...]) -> dict[str, str]:
    named = {}
    for item in given:
        factor, equals, variable = item.partition("=")
        if not equals:
            raise click.UsageError("--redcap-name is FACTOR=VARIABLE.")
        named[factor] = variable
    return named
