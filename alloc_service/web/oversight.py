"""The pages of those who oversee a trial: its log, its verification, its proofs, its lists.

Who enrols reads the own entries on the same page, without what would place a slot in its list. No
page asks for a custodian's key or a seed: a list is made again offline, and its result is shown.
"""

from collections.abc import Mapping
from datetime import date

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service.errors import LogDamagedError
from alloc_service.log.words import SENTENCES, describe, name_actor
from alloc_service.login import allow, deps_here, person_here
from alloc_service.permissions import Action
from alloc_service.services import (
    bundles,
    list_reviews,
    log_pages,
    lookups,
    reports,
    verification,
    witness_standing,
)
from alloc_service.services.list_reviews import ListReview
from alloc_service.services.log_pages import PAGE, ShownEntry, Wanted
from alloc_service.services.witness_standing import Standing
from alloc_service.web.words import say

pages = Blueprint("oversight", __name__)

# As `alloc log verify --export` wants to find them in one folder.
ENTRIES, CHECKPOINT, KEY = "entries.ndjson", "checkpoint", "log.vkey"

_LARGEST_SEQ = 2**31 - 1


@pages.app_context_processor
def _know_witnesses() -> dict[str, object]:
    """Give every page of a trial how its witnesses stand, where it asks for it."""
    return {"standing_here": _read_standing}


@pages.get("/trials/<trial:trial>/log")
@allow(Action.READ_OWN_ENTRIES)
def read_log(trial: str) -> ResponseReturnValue:
    """Show a page of the log in plain sentences, the newest entry first."""
    typed = {name: request.args.get(name, "").strip() for name in ("type", "person", "from", "to")}
    errors, first, last = _read_filters(typed)
    before = _read_seq(request.args.get("before", ""))
    wanted = Wanted(typed["type"], typed["person"], first, last, before)
    page = log_pages.read_page(deps_here(), person_here(), trial, Wanted() if errors else wanted)
    shown = render_template(
        "log.html",
        trial=trial,
        typed=typed,
        errors=errors,
        page=page,
        rows=[] if errors else [_tell(entry) for entry in page.entries],
        stopped=page.older is not None and len(page.entries) < PAGE,
        before=before,
        types={type_: describe({"type": type_, "body": {}}, say) for type_ in sorted(SENTENCES)},
    )
    return shown, 422 if errors else 200


@pages.get(f"/trials/<trial:trial>/log/<int(max={_LARGEST_SEQ}):seq>")
@allow(Action.READ_LOG)
def read_entry(trial: str, seq: int) -> ResponseReturnValue:
    """Show one entry with its exact bytes and their hash."""
    found = log_pages.read_exact_entry(deps_here(), person_here(), trial, seq)
    exact = found.data.decode("utf-8", "backslashreplace")
    return render_template(
        "entry.html",
        trial=trial,
        entry=_tell(found.shown),
        exact=exact,
        leaf=found.leaf,
        enrolment=_allocated(found.shown),
    )


@pages.get("/trials/<trial:trial>/log/checks")
@allow(Action.READ_LOG)
def checks(trial: str) -> ResponseReturnValue:
    """Offer a verification and what can be taken away to check it elsewhere."""
    return _show_checks(trial)


@pages.post("/trials/<trial:trial>/log/checks")
@allow(Action.READ_LOG)
def verify(trial: str) -> ResponseReturnValue:
    """Verify the log and every stored row that it speaks of, now."""
    lookups.require_oversight(deps_here(), person_here(), trial)
    report = verification.verify(deps_here(), trial)
    return render_template("verified.html", trial=trial, report=report)


@pages.post("/trials/<trial:trial>/log/entries")
@allow(Action.READ_LOG)
def download_entries(trial: str) -> ResponseReturnValue:
    """Give the whole log as a file, and log that."""
    entries, _checkpoint = reports.export_log(deps_here(), person_here(), trial)
    return _as_file(entries, ENTRIES)


@pages.post("/trials/<trial:trial>/log/checkpoint")
@allow(Action.READ_LOG)
def download_checkpoint(trial: str) -> ResponseReturnValue:
    """Give the signed checkpoint of the log as it is now."""
    return _as_file(log_pages.read_checkpoint(deps_here(), person_here(), trial), CHECKPOINT)


@pages.post("/trials/<trial:trial>/log/key")
@allow(Action.READ_LOG)
def download_key(trial: str) -> ResponseReturnValue:
    """Give the public key that checkpoints are signed with."""
    return _as_file(f"{lookups.read_log_key(deps_here(), trial)}\n", KEY)


@pages.post("/trials/<trial:trial>/log/bundle")
@allow(Action.READ_LOG)
def download_bundle(trial: str) -> ResponseReturnValue:
    """Give all evidence that tells no arm in one file, and log that."""
    bundle = bundles.make_blinded(deps_here(), person_here(), trial)
    return _as_file(bundle, f"{trial.replace('/', '-')}.zip")


@pages.post("/trials/<trial:trial>/log/policy")
@allow(Action.READ_LOG)
def download_policy(trial: str) -> ResponseReturnValue:
    """Give the policy by which bundles and receipts of this trial are checked."""
    return _as_file(bundles.read_policy(deps_here(), trial), f"{trial.replace('/', '-')}.policy")


@pages.post("/trials/<trial:trial>/log/proof")
@allow(Action.READ_LOG)
def download_proof(trial: str) -> ResponseReturnValue:
    """Give the receipt of one entry: the proof that it is in the log."""
    typed = request.form.get("seq", "").strip()
    seq = _read_seq(typed)
    if seq is None:
        told = _("Entry number: write a whole number, such as 17.")
        return _show_checks(trial, typed, {"seq": told}), 422
    proof = log_pages.read_proof(deps_here(), person_here(), trial, seq)
    return _as_file(proof, f"entry-{seq}.receipt")


@pages.get("/trials/<trial:trial>/regenerations")
@allow(Action.READ_LOG)
def regenerations(trial: str) -> ResponseReturnValue:
    """Show each list, who approved it, and what came out when it was last made again."""
    found = list_reviews.read_reviews(deps_here(), person_here(), trial)
    return render_template(
        "regenerations.html",
        trial=trial,
        rows=[(review, _command(review)) for review in found],
    )


def _read_standing(trial: str) -> Standing | None:
    try:
        return witness_standing.glance(deps_here(), person_here(), trial)
    except LogDamagedError:  # the page itself says what is wrong
        return None


def _show_checks(trial: str, typed: str = "", errors: Mapping[str, str] | None = None) -> str:
    return render_template("checks.html", trial=trial, typed=typed, errors=errors or {})


def _tell(entry: ShownEntry) -> dict[str, object]:
    """Return an entry as a template shows it: number, time, who, sentence, fault."""
    told = entry.told or {"time": "", "type": "", "body": {}}
    return {
        "seq": entry.seq,
        "time": told["time"],
        "type": told["type"],
        "who": name_actor(told),
        "sentence": describe(told, say),
        "fault": say(entry.fault),
    }


def _allocated(entry: ShownEntry) -> str:
    """Return the enrolment that an entry assigns a slot to, or ""."""
    told = entry.told or {}
    body = told.get("body")
    assigns = told.get("type") == "slot.assigned" and isinstance(body, Mapping)
    return str(body["enrolment"]) if assigns and isinstance(body, Mapping) else ""


def _read_filters(typed: Mapping[str, str]) -> tuple[dict[str, str], date | None, date | None]:
    """Return what is wrong with the filters, by field, and the first and the last day."""
    errors = {}
    days: dict[str, date | None] = {"from": None, "to": None}
    if typed["type"] and typed["type"] not in SENTENCES:
        errors["type"] = _("Kind of entry: there is no such kind. Choose one of the list.")
    for field, label in (("from", _("From day")), ("to", _("To day"))):
        try:
            days[field] = date.fromisoformat(typed[field]) if typed[field] else None
        except ValueError:
            errors[field] = _("%(field)s: write it as 2026-03-02.", field=label)
    if days["from"] and days["to"] and days["to"] < days["from"]:
        errors["to"] = _("To day: it lies before the first day.")
    return errors, days["from"], days["to"]


def _read_seq(text: str) -> int | None:
    """Return an entry's number, or None where the text is none."""
    return min(int(text), _LARGEST_SEQ) if text.isdecimal() and len(text) <= 15 else None


def _command(review: ListReview) -> str:
    """Return the command that makes a list again offline and compares its root."""
    name = review.escrow[0] if review.escrow else "seed.A+B.age"
    pair = name.removeprefix("seed.").removesuffix(".age").split("+")
    identities = " ".join(f"--identity {custodian}.key" for custodian in pair)
    return f"alloc list regenerate --escrow {name} {identities} --root {review.root} --root-only"


def _as_file(data: bytes | str, name: str) -> Response:
    answer = Response(data, mimetype="application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer
