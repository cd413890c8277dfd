"""`alloc log bundle` and `alloc log policy`: what an auditor takes away, and has from the start."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.progress import waiting
from alloc_service.cli.sealing_host import open_here
from alloc_service.cli.source import FILE, Source
from alloc_service.log.bundle import read_verifier
from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.evidence import EvidenceReport
from alloc_service.log.policy import Policy, parse_policy
from alloc_service.sealing.escrow import EscrowedList
from alloc_service.services import bundles
from alloc_service.services.deps import Deps

LARGEST_BUNDLE = 2**31

_OUT = click.option(
    "--out",
    required=True,
    type=FILE,
    metavar="FILE",
    help="The ZIP file to write; nothing may lie there yet.  Example: --out evidence.zip",
)


def _with_escrows(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--escrow` and `--identity` to a command, which gets them as a tuple each."""

    @click.option(
        "--escrow",
        "escrows",
        type=FILE,
        metavar="FILE",
        multiple=True,
        help="After the trial is closed, in an unblinded bundle: a list's escrow file, so that "
        "its design and seed are in it; once for each list.  "
        "Example: --escrow seed.archive+dmc.age",
    )
    @click.option(
        "--identity",
        "identities",
        type=FILE,
        metavar="FILE",
        multiple=True,
        help="With --escrow, twice: the identity files of its two custodians.  "
        "Example: --identity archive.key --identity dmc.key",
    )
    @functools.wraps(function)
    def wrapped(*args: object, **kwargs: object) -> None:
        function(*args, **kwargs)

    return wrapped


@command(
    "bundle",
    "alloc log bundle NCT01728727 --out evidence.zip --as dmc.chair\n"
    "python3 verify_bundle.py evidence.zip --policy NCT01728727.policy",
)
@click.argument("trial")
@_OUT
@click.option(
    "--unblinded",
    is_flag=True,
    help="With the openings of the slots that were spent, for the data monitoring committee and "
    "the statisticians, who get the designs too; each look is logged.",
)
@_with_escrows
@acts_as
def bundle(
    *,
    trial: str,
    out: Path,
    unblinded: bool,
    escrows: tuple[Path, ...],
    identities: tuple[Path, ...],
    claim: Claim,
) -> None:
    """Write all of a trial's evidence to one file that is checked without this service.

    You have a part in the trial's oversight, and the bundle is logged. It holds the log, its
    signed checkpoints, what was committed to, and a verifier that needs Python alone. Without
    --unblinded it tells no arm to anyone.
    """
    if escrows and not unblinded:
        raise click.UsageError("--escrow goes with --unblinded.")
    files.require_free(out)
    if unblinded:
        _write_unblinded(open_service, trial, out, _read_escrows(escrows, identities), claim)
        return
    deps = open_service()
    person = sign_in(deps, claim)
    with waiting("Making the bundle"):
        data = bundles.make_blinded(deps, person, trial)
    files.write_file(out, data)
    screen.banner(trial)
    screen.say(str(out))


@command("bundle", "alloc sealer bundle NCT01728727 --out evidence.zip --as chen.yu")
@click.argument("trial")
@_OUT
@_with_escrows
@acts_as
def bundle_on_host(
    *, trial: str, out: Path, escrows: tuple[Path, ...], identities: tuple[Path, ...], claim: Claim
) -> None:
    """Write an unblinded bundle with its designs, where the sealer is a process of its own.

    As `alloc log bundle --unblinded`, on the sealer's host: there alone a design is opened. You
    are a statistician of the trial, and each look is logged.
    """
    files.require_free(out)
    _write_unblinded(open_here, trial, out, _read_escrows(escrows, identities), claim)


@command("policy", "alloc log policy NCT01728727 > NCT01728727.policy")
@click.argument("trial")
def policy(trial: str) -> None:
    """Show the policy by which bundles and receipts of a trial are checked.

    It names the log's key and the trial's witnesses, and is public. Whoever will check the trial
    takes it away at the start, and again after a change of key or witnesses, and keeps it apart
    from what it is to check.
    """
    screen.say(bundles.read_policy(open_service(), trial).removesuffix("\n"))


def _read_escrows(escrows: Sequence[Path], identities: tuple[Path, ...]) -> list[EscrowedList]:
    return [Source(None, None, escrow, identities).read() for escrow in escrows]


def _write_unblinded(
    open_deps: Callable[[], Deps],
    trial: str,
    out: Path,
    escrowed: Sequence[EscrowedList],
    claim: Claim,
) -> None:
    deps = open_deps()
    person = sign_in(deps, claim)
    with waiting("Making the bundle"):
        data = bundles.make_unblinded(deps, person, trial, escrowed)
    files.write_file(out, data)
    screen.banner(trial)
    screen.say(str(out))
    screen.warn("this file shows what was allocated. Keep it from everybody who must not know.")


def read_policy(path: Path) -> Policy:
    """Return the policy in a file."""
    text = files.read_text(path)
    with files.naming(path):
        return parse_policy(text)


def check_bundle(bundle: Path, policy: Path) -> EvidenceReport:
    """Return what was found in a good bundle.

    Raises:
        RefusalError: The first thing that is wrong.
    """
    trusted = read_policy(policy)
    data = files.read_file(bundle, LARGEST_BUNDLE)
    with waiting("Verifying the bundle"), files.naming(bundle):
        return verify_bundle(data, trusted, read_verifier())


def show_evidence(found: EvidenceReport, *, as_json: bool) -> None:
    """Show what was found in a good bundle."""
    if as_json:
        screen.emit(found.to_json())
        return
    screen.title(found.origin)
    screen.facts((("Entries", f"{found.size:,}"), ("Root", found.root), ("Build", found.build)))
    for sentence in found.checked:
        screen.good(f"  ok      {sentence}")
    for sentence in found.told:
        screen.say(f"  note    {sentence}")
    for sentence in found.unchecked:
        screen.note(sentence)
