"""`alloc allocate` and `alloc allocation`: sign a record, see its arm, see it again."""

from collections.abc import Iterable
from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command
from alloc_service.cli.enrol import SITE_HELP, choose_site
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import (
    Claim,
    Credentials,
    acts_as,
    ask_credentials,
    prove,
    sign_in,
)
from alloc_service.cli.record import show_obstacle, show_record
from alloc_service.core.canon import Json
from alloc_service.errors import RefusalError
from alloc_service.log.entry import parse_time
from alloc_service.services import audit, deliveries, lookups, reveal
from alloc_service.services.deps import Deps
from alloc_service.services.enrolments import MEANING
from alloc_service.services.lookups import RecordToCheck
from alloc_service.services.reveal import Allocation

_SIGN = "You sign with your user name and password, typed again for this very record:"
_RECEIPT = click.option(
    "--receipt",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the receipt to a new file: the proof that this allocation is in the signed log. "
    "It names no arm; `alloc receipt check` checks it.  Example: --receipt p-001.receipt",
)


@command(
    "allocate",
    "alloc allocate NCT01728727 P-001 --receipt p-001.receipt\n"
    "alloc allocate NCT01728727 P-001 --as li.na --password-fd 3 --json 3</run/secrets/li.na",
)
@click.argument("trial")
@click.argument("participant")
@click.option("--site", metavar="CODE", help=SITE_HELP)
@_RECEIPT
@acts_as
@as_json
def allocate_command(
    *,
    trial: str,
    participant: str,
    site: str | None,
    receipt: Path | None,
    claim: Claim,
    as_json: bool,
) -> None:
    """Sign a participant's record and see the allocation; you are a physician of the site.

    First the record is shown, with the stratum that was derived from it; then you sign, by user
    name and password typed for this very record. The slot is spent and logged before its arm is
    shown. Asked again, the same allocation is shown, never another one.
    """
    _require_free(receipt)
    deps = open_service()
    credentials = ask_credentials(claim)
    person = prove(deps, credentials)
    definition = lookups.read_definition(deps, trial)
    place = choose_site(definition, site)
    record = lookups.find_record(deps, person, trial, place, participant)
    signature = None if record.allocated else _sign(deps, record, claim, credentials)
    allocation = reveal.reveal(deps, person, record.draft.id, signature)
    audit.store_checkpoint(deps, trial)
    if record.allocated:
        screen.hint("It was allocated before; the same allocation is shown again, and logged.")
    _show(allocation, record, as_json)
    _write_receipt(allocation, receipt)
    _deliver(deps, trial)


@click.group("allocation")
def allocation_command() -> None:
    """See again what was allocated."""


@command("show", "alloc allocation show NCT01728727 P-001 --as li.na", allocation_command)
@click.argument("trial")
@click.argument("participant")
@click.option("--site", metavar="CODE", help=SITE_HELP)
@_RECEIPT
@acts_as
@as_json
def show(
    *,
    trial: str,
    participant: str,
    site: str | None,
    receipt: Path | None,
    claim: Claim,
    as_json: bool,
) -> None:
    """Show a participant's allocation again; you are a physician of the site.

    Each look is logged. Nothing is drawn again.
    """
    _require_free(receipt)
    deps = open_service()
    person = sign_in(deps, claim)
    place = choose_site(lookups.read_definition(deps, trial), site)
    record = lookups.find_record(deps, person, trial, place, participant)
    allocation = reveal.read_again(deps, person, record.draft.id)
    audit.store_checkpoint(deps, trial)
    _show(allocation, record, as_json)
    _write_receipt(allocation, receipt)
    _deliver(deps, trial)


def _sign(
    deps: Deps, record: RecordToCheck, claim: Claim, credentials: Credentials
) -> reveal.Signature:
    """Sign the record; at a terminal after it was shown, confirmed, and all was typed again."""
    if claim.fd is None:
        show_record(record)
        screen.say()
        show_obstacle(record)
        click.confirm("Sign this record and request its allocation?", abort=True, err=True)
        screen.hint(f"{MEANING}\n{_SIGN}")
        credentials = ask_credentials(Claim(None, None))
    return reveal.sign(deps, credentials.username, credentials.password, record.draft.id)


def _show(allocation: Allocation, record: RecordToCheck, as_json: bool) -> None:
    zone = record.definition.site(allocation.site).time_zone
    if as_json:
        screen.emit(_to_json(allocation))
        return
    screen.banner(allocation.trial)
    screen.title("Allocation")
    screen.facts(_what(allocation, zone))
    screen.title("Signed")
    screen.facts(_by_whom(allocation, zone))
    screen.title("Follow-up")
    screen.facts((visit.label, visit.due.isoformat()) for visit in allocation.visits)
    screen.title("Receipt")
    screen.facts((("Leaf of the log entry", allocation.leaf),))
    screen.banner(allocation.trial)


def _what(allocation: Allocation, zone: str) -> Iterable[tuple[str, str]]:
    yield "Participant", f"{allocation.participant}, site {allocation.site}"
    yield "Randomization number", str(allocation.randomization_number)
    yield "ARM", f"{allocation.arm}: {allocation.label}"
    yield "What it means", allocation.instruction
    yield "Stratum", allocation.stratum
    yield "Assigned", screen.moment(allocation.assigned_at, zone)


def _by_whom(allocation: Allocation, zone: str) -> Iterable[tuple[str, str]]:
    signature = allocation.signature
    yield "By", f"{signature['name']} ({signature['person']}), {signature['role']}"
    yield "Meaning", signature["meaning"]
    yield "Time", screen.moment(parse_time(signature["time"]), zone)


def _to_json(allocation: Allocation) -> Json:
    return {
        "arm": allocation.arm,
        "assigned_at": allocation.assigned_at.isoformat(),
        "enrolment": str(allocation.enrolment),
        "instruction": allocation.instruction,
        "label": allocation.label,
        "leaf": allocation.leaf,
        "participant": allocation.participant,
        "randomization_number": allocation.randomization_number,
        "receipt": allocation.receipt,
        "signature": dict(allocation.signature),
        "site": allocation.site,
        "stratum": allocation.stratum,
        "trial": allocation.trial,
        "visits": [
            {"due": visit.due.isoformat(), "visit": visit.code} for visit in allocation.visits
        ],
    }


def _require_free(receipt: Path | None) -> None:
    if receipt is not None:
        files.require_free(receipt)


def _write_receipt(allocation: Allocation, receipt: Path | None) -> None:
    if receipt is not None:
        files.write_file(receipt, allocation.receipt.encode("utf-8"))
        screen.hint(f"The receipt is in {receipt}.")


def _deliver(deps: Deps, trial: str) -> None:
    """Deliver the receipts; where that fails, the allocation was shown all the same."""
    try:
        deliveries.deliver(deps, trial)
    except RefusalError as error:
        screen.warn(f"{error} [{error.code}]")
