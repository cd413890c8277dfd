"""Receipts as files and pictures, and the page that checks them without this service.

The site's receipt names no arm, and is there at once. A full one does: it is in the answer to a
POST alone, after the look is logged.
"""

import io
from importlib.resources import files
from uuid import UUID

import segno
from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from alloc_service.log.receipt import Receipt
from alloc_service.login import allow, deps_here, everyone, person_here
from alloc_service.permissions import Action
from alloc_service.services import participants, receipts

pages = Blueprint("receipts", __name__)


@pages.post("/enrolments/<uuid:enrolment>/receipt")
@allow(Action.REQUEST_ALLOCATION)
def site(enrolment: UUID) -> ResponseReturnValue:
    """Give the receipt of an allocation as a file; it names no arm."""
    number, text = participants.read_receipt(deps_here(), person_here(), enrolment)
    return _as_file(text, f"{number}.receipt")


@pages.get("/enrolments/<uuid:enrolment>/receipt.svg")
@allow(Action.REQUEST_ALLOCATION)
def picture(enrolment: UUID) -> ResponseReturnValue:
    """Draw the receipt of an allocation as a QR code, for the printed page; it names no arm."""
    _number, text = participants.read_receipt(deps_here(), person_here(), enrolment)
    drawn = io.BytesIO()
    # As little redundancy as there is: what a code this large needs most is large modules.
    segno.make(text, error="l", micro=False).save(drawn, kind="svg", scale=2, border=4)
    answer = Response(drawn.getvalue(), mimetype="image/svg+xml")
    answer.headers["Cache-Control"] = "no-store"
    return answer


@pages.post("/enrolments/<uuid:enrolment>/full-receipt")
@allow(Action.REQUEST_ALLOCATION)
def full(enrolment: UUID) -> ResponseReturnValue:
    """Give a site the full receipt of its allocation, once the trial is closed."""
    return _as_full_file(receipts.read_full(deps_here(), person_here(), enrolment))


@pages.post("/trials/<trial:trial>/receipts/<uuid:enrolment>")
@allow(Action.READ_ARMS)
def full_for_oversight(trial: str, enrolment: UUID) -> ResponseReturnValue:
    """Give the committee or a statistician an allocation's full receipt."""
    del trial  # the rule is the trial's; the enrolment names it too
    return _as_full_file(receipts.read_full(deps_here(), person_here(), enrolment))


@pages.get("/check-receipt")
@everyone
def checker() -> ResponseReturnValue:
    """Give the page that checks receipts without this service, to be saved and opened."""
    page = files("alloc_service.web").joinpath("static", "check-receipt.html")
    return _as_file(page.read_text("utf-8"), "check-receipt.html")


def _as_full_file(receipt: Receipt) -> Response:
    return _as_file(receipt.text, f"entry-{receipt.index}.full.receipt")


def _as_file(text: str, name: str) -> Response:
    answer = Response(text, mimetype="text/plain")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer
