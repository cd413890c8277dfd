"""`alloc receipt`: receipts that prove that an entry is in the signed log."""

import re
from pathlib import Path
from uuid import UUID

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.source import FILE, read_root
from alloc_service.log.note import Verifier
from alloc_service.log.receipt import LEAF_BYTES, CheckedReceipt, ListRoot, check_receipt
from alloc_service.services import audit, deliveries, receipts

_LONGEST = 262_144


@click.group("receipt")
def receipt_command() -> None:
    """Check a receipt, or get a full one.

    A receipt proves that one entry is in the log that the sealer has signed. Whoever keeps it
    can show later that the entry was there, whatever became of the log.
    """


@command(
    "check",
    "alloc receipt check p-001.receipt --key rac.example.org/NCT01728727/audit+c4c5a2d4+AYdt8Q…",
    receipt_command,
)
@click.argument("file", type=FILE)
@click.option(
    "--key",
    required=True,
    metavar="VKEY",
    help="The log's public key, from a source that you trust more than the receipt.  "
    "Example: --key rac.example.org/NCT01728727/audit+c4c5a2d4+…",
)
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="VKEY",
    help="The public key of a witness that must have cosigned it; may be given several times.  "
    "Example: --witness dmc.example.org/witness+5d3c…+BA…",
)
@click.option(
    "--leaf",
    metavar="HEX",
    help="The entry's leaf hash as it was printed: the receipt must be of that very entry.  "
    "Example: --leaf 19f885a6…",
)
@click.option(
    "--root",
    metavar="HEX",
    help="Of a full receipt: the root of its list, as its list.sealed in the log says it.  "
    "Example: --root 19f885a6…e0ab542d",
)
@click.option(
    "--slots",
    metavar="N,N,…",
    help="Of a full receipt: the slots of each stratum, from the same entry.  "
    "Example: --slots 240,240",
)
@as_json
def check(
    *,
    file: Path,
    key: str,
    witnesses: tuple[str, ...],
    leaf: str | None,
    root: str | None,
    slots: str | None,
    as_json: bool,
) -> None:
    """Check a receipt from its file alone; no service, database or network is asked.

    A receipt that was changed in any byte is refused. What was not there to check is said.
    """
    known = [Verifier.parse(witness) for witness in witnesses]
    sealed = _read_list(root, slots)
    text, log, given = files.read_text(file, _LONGEST), Verifier.parse(key), _read_leaf(leaf)
    with files.naming(file):
        found = check_receipt(text, log, known, given, sealed)
    if as_json:
        screen.emit(
            {
                "arm": None if found.opening is None else found.opening.arm,
                "cosigners": list(found.cosigners),
                "index": found.index,
                "leaf": found.leaf.hex(),
                "origin": found.origin,
                "size": found.size,
                "unchecked": list(found.unchecked),
            }
        )
        return
    _show(file, found)


@command(
    "full",
    "alloc receipt full NCT01728727 b494469d-373b-4d4f-8b98-9166ba225dea "
    "--out entry-17.full.receipt --as dmc.chair",
    receipt_command,
)
@click.argument("trial")
@click.argument("enrolment", type=click.UUID)
@click.option(
    "--out", required=True, type=FILE, metavar="FILE",
    help="The new file; it names the arm.  Example: --out entry-17.full.receipt",
)  # fmt: skip
@acts_as
def full(trial: str, enrolment: UUID, out: Path, claim: Claim) -> None:
    """Get an allocation's receipt with everything in it: entry, opened slot and both proofs.

    ENROLMENT is its id as the log shows it. You are of the data monitoring committee or a
    statistician; after the trial is closed, a physician of the site. The look is logged.
    """
    files.require_free(out)
    deps = open_service()
    receipt = receipts.read_full(deps, sign_in(deps, claim), enrolment)
    audit.store_checkpoint(deps, trial)
    files.write_file(out, receipt.text.encode("utf-8"))
    screen.banner(trial)
    screen.good(f"The full receipt of entry {receipt.index} is in {out}. It names the arm.")


@command("deliver", "alloc receipt deliver NCT01728727", receipt_command)
@click.argument("trial")
def deliver(trial: str) -> None:
    """Lay every receipt that is missing in the folder that ALLOC_RECEIPTS names.

    Each allocation does this for itself and for those before it; this makes up for a folder that
    could not be written. A receipt names no arm, so nobody is asked who they are.
    """
    deps = open_service()
    if deps.receipts is None:
        raise click.UsageError("ALLOC_RECEIPTS names no folder.")
    count = deliveries.deliver(deps, trial)
    screen.good(f"Receipts of {trial} delivered to {deps.receipts}: {count}.")


def _read_leaf(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        leaf = bytes.fromhex(text.strip())
    except ValueError:
        leaf = b""
    if len(leaf) != LEAF_BYTES:
        raise click.UsageError("--leaf is 64 hexadecimal digits.")
    return leaf


def _read_list(root: str | None, slots: str | None) -> ListRoot | None:
    if root is None and slots is None:
        return None
    counts = (slots or "").split(",")
    if root is None or not all(re.fullmatch("[1-9][0-9]{0,6}", count) for count in counts):
        raise click.UsageError("--root and --slots go together; --slots is such as 240,240.")
    return ListRoot(bytes.fromhex(read_root(root)), tuple(int(count) for count in counts))


def _show(file: Path, found: CheckedReceipt) -> None:
    screen.good(f"{file} is good: entry {found.index} is in the signed log.")
    rows = [
        ("Log", found.origin),
        ("Entry", str(found.index)),
        ("Leaf", found.leaf.hex()),
        ("Signed when the log had", f"{found.size} entries"),
        ("Cosigned by", ", ".join(found.cosigners) or "nobody known"),
    ]
    if found.entry is not None and found.opening is not None:
        rows += [
            ("Time", found.entry.time),
            ("Enrolment", str(found.entry.body["enrolment"])),
            ("Arm", found.opening.arm),
        ]
    screen.facts(rows)
    for sentence in found.unchecked:
        screen.note(sentence)
