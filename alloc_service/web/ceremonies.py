"""The pages of a seed ceremony: how it stands, and one form for each step, for whom it is.

Every form is a POST that calls one service. No share is typed here: what is handed in are files
that this service cannot open, but for the last step, where the statistician brings the identity;
it is read in memory and is in no answer.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service.core.ceremony import Beacon, Drand, PublicString
from alloc_service.core.design import Design
from alloc_service.errors import (
    AccessError,
    CeremonyError,
    OperationError,
    RefusalError,
    RuleError,
    UnknownRecordError,
)
from alloc_service.login import allow, deps_here, person_here
from alloc_service.permissions import Action
from alloc_service.sealing import shares
from alloc_service.sealing.shares import LONGEST_FILE, OwnShare
from alloc_service.services import ceremonies, ceremony_lists, ceremony_views
from alloc_service.services.ceremony_lists import Opening
from alloc_service.services.ceremony_views import CeremonyView, Party
from alloc_service.web.design_form import CUSTODIANS, read_custodians
from alloc_service.web.words import mark, say, tell, tell_rule

pages = Blueprint("ceremonies", __name__, url_prefix="/trials/<trial:trial>/ceremonies")

STEPS: Mapping[str, str] = {
    "commit": mark("The parties commit, then deposit; then the statistician announces it."),
    "deposit": mark("Every party deposits its share with the escrow."),
    "beacon": mark("The beacon's value is typed, once it is published."),
    "reveal": mark("Every party hands in its share."),
    "finish": mark("The statistician makes the list."),
    "sealed": mark("Its list is sealed."),
    "dropped": mark("It was dropped."),
    "replaced": mark("Nobody has committed to it, and another ceremony goes on in its place."),
}
REASONS: Mapping[str, str] = {
    "party-withdrew": mark("A party has withdrawn"),
    "share-lost": mark("A party has lost its share"),
    "reveal-differs": mark("A party revealed another value than it committed to"),
    "design-changes": mark("The design has to change"),
    "beacon-failed": mark("The beacon gave no value"),
    "rehearsal": mark("It was a rehearsal"),
}
_AHEAD = timedelta(hours=2)
_COMMITMENT = re.compile(r"[0-9a-f]{64}", re.ASCII)
# What is wrong with an announcement, beside the field that its beacon comes from.
_SOURCES = {"drand": "round", "public-string": "source"}
# Where a refusal is told whose form is not on the page any more.
_NOW = "now"


@pages.get("")
@allow(Action.READ_CEREMONY)
def list_ceremonies(trial: str) -> ResponseReturnValue:
    """Show which lists have a seed ceremony, and what each waits for."""
    views = ceremony_views.read_ceremonies(deps_here(), person_here(), trial)
    return render_template("ceremonies.html", views=views, steps=STEPS)


@pages.get("/<int:number>")
@allow(Action.READ_CEREMONY)
def show(trial: str, number: int) -> ResponseReturnValue:
    """Show a list's ceremonies, and the forms of the next step."""
    return _show(trial, number, {}), 200


@pages.post("/<int:number>/open")
@allow(Action.GENERATE_LIST)
def open_another(trial: str, number: int) -> ResponseReturnValue:
    """Open another ceremony after the one before was dropped, or before anybody has committed."""
    custodians, told = read_custodians(request.form)
    if told:
        return _show(trial, number, told, "open_another"), 422
    keys = ceremonies.Keys(request.form.get("recipient", "").strip(), custodians)

    def act() -> str:
        ceremonies.open_another(deps_here(), person_here(), trial, number, keys)
        return str(_("Another ceremony is open."))

    return _do(trial, number, "open_another", act, "recipient")


@pages.post("/<int:number>/commit")
@allow(Action.JOIN_CEREMONY)
def commit(trial: str, number: int) -> ResponseReturnValue:
    """Take a party's commitment."""
    party, commitment = _typed("party"), _typed("commitment").lower()
    errors = _find_faults(party, commitment)
    if errors:
        return _show(trial, number, errors, "commit"), 422

    def act() -> str:
        ceremonies.commit(
            deps_here(), person_here(), trial, _typed("ceremony"),
            party=party, commitment=commitment,
        )  # fmt: skip
        return str(_("%(party)s is committed.", party=party))

    return _do(trial, number, "commit", act, "commitment")


@pages.post("/<int:number>/deposit")
@allow(Action.JOIN_CEREMONY)
def deposit(trial: str, number: int) -> ResponseReturnValue:
    """Take a party's deposit: the three files that only two custodians open together."""
    party = _typed("party")

    def act() -> str:
        given = request.files.getlist("deposit")
        named = {file.filename or "": file.read(LONGEST_FILE + 1) for file in given}
        ceremonies.deposit(
            deps_here(), person_here(), trial, _typed("ceremony"), party=party, files=named
        )
        return str(_("The share of %(party)s is deposited.", party=party))

    return _do(trial, number, "deposit", act, "deposit")


@pages.post("/<int:number>/announce")
@allow(Action.GENERATE_LIST)
def announce(trial: str, number: int) -> ResponseReturnValue:
    """Announce who is committed to what."""

    def act() -> str:
        beacon = _read_beacon()
        ceremonies.announce(deps_here(), person_here(), trial, _typed("ceremony"), beacon)
        return str(_("The ceremony is announced."))

    return _do(trial, number, "announce", act, _SOURCES.get(_typed("beacon"), "beacon"))


@pages.post("/<int:number>/beacon")
@allow(Action.JOIN_CEREMONY)
def give_beacon(trial: str, number: int) -> ResponseReturnValue:
    """Take the beacon's value, as somebody read it where it was published."""
    value, proof = _typed("value").lower(), request.form.get("proof", "")

    def act() -> str:
        ceremonies.give_beacon(
            deps_here(), person_here(), trial, _typed("ceremony"), value=value, proof=proof
        )
        return str(_("The beacon's value is logged."))

    return _do(trial, number, "give_beacon", act, "value" if value else "proof")


@pages.post("/<int:number>/reveal")
@allow(Action.JOIN_CEREMONY)
def reveal(trial: str, number: int) -> ResponseReturnValue:
    """Take what a party hands in, encrypted to the ceremony's key."""
    party = _typed("party")

    def act() -> str:
        ceremonies.reveal(
            deps_here(), person_here(), trial, _typed("ceremony"),
            party=party, data=_read_file("reveal"),
        )  # fmt: skip
        return str(_("The share of %(party)s is handed in.", party=party))

    return _do(trial, number, "reveal", act, "reveal")


@pages.post("/<int:number>/finish")
@allow(Action.GENERATE_LIST)
def finish(trial: str, number: int) -> ResponseReturnValue:
    """Open the shares, make and seal the list, and forget shares and seed."""
    field = "share"  # what is being read
    try:
        deposits = _read_shares()
        field = "design"
        design = _read_design()
        field = "identity"
        identity = _read_file("identity").decode("utf-8", "replace")
        made = ceremony_lists.finish(
            deps_here(), person_here(), trial, _typed("ceremony"), Opening(identity, deposits),
            design=design,
        )  # fmt: skip
    except (AccessError, OperationError):
        raise
    except RefusalError as error:
        return _show(trial, number, {field: _tell(error)}, "finish"), 422
    return render_template("list_made.html", made=made, escrow=sorted(made.escrow))


@pages.post("/<int:number>/drop")
@allow(Action.GENERATE_LIST)
def drop(trial: str, number: int) -> ResponseReturnValue:
    """Drop a ceremony, for a reason; it stays in the log."""

    def act() -> str:
        ceremonies.drop(deps_here(), person_here(), trial, _typed("ceremony"), _typed("reason"))
        return str(_("The ceremony is dropped. It stays in the log."))

    return _do(trial, number, "drop", act, "reason")


def _do(
    trial: str, number: int, form: str, act: Callable[[], str], field: str
) -> ResponseReturnValue:
    """Do one step and show how the ceremony stands, or show the form again with the rule."""
    try:
        flash(act())
    except (AccessError, OperationError):
        raise
    except RefusalError as error:
        return _show(trial, number, {field: _tell(error)}, form), 422
    return redirect(url_for("ceremonies.show", trial=trial, number=number), 303)


def _tell(error: RefusalError) -> str:
    """Return what a refusal says; of a step's rule the rule alone."""
    return tell_rule(error) if isinstance(error, (CeremonyError, RuleError)) else tell(error)


def _find_faults(party: str, commitment: str) -> dict[str, str]:
    """Return what is wrong with a typed commitment, by field."""
    errors = {}
    try:
        shares.require_party(party)
    except CeremonyError as error:
        errors["party"] = tell_rule(error)
    if not _COMMITMENT.fullmatch(commitment):
        errors["commitment"] = _("Commitment: give the 64 digits, 0-9 and a-f, that were shown.")
    return errors


def _typed(field: str) -> str:
    return request.form.get(field, "").strip()


def _read_file(field: str, most: int = LONGEST_FILE) -> bytes:
    file = request.files.get(field)
    return b"" if file is None else file.read(most + 1)


def _read_shares() -> tuple[OwnShare, ...]:
    """Return the shares that two custodians opened for parties that stay away."""
    return tuple(
        OwnShare.from_bytes(file.read(LONGEST_FILE + 1), file.filename or "share")
        for file in request.files.getlist("share")
        if file.filename
    )


def _read_design() -> Design | None:
    kept = _read_file("design", 2**20)
    return Design.from_bytes(kept.removesuffix(b"\n")) if kept else None


def _read_beacon() -> Beacon | None:
    kind, text = _typed("beacon"), _typed("round")
    if kind == "public-string":
        return PublicString(_typed("source"))
    if kind == "drand":
        whole = text.isascii() and text.isdecimal() and len(text) <= 12
        return Drand(int(text) if whole else 0)
    if kind != "none":
        raise CeremonyError(rule="say whether there is a beacon, and which")
    return None


def _find_forms(view: CeremonyView, own: Party | None, *, leads: bool, joins: bool) -> set[str]:
    """Return the forms of the next step that are for somebody, by the view that takes each."""
    begun = any(party.deposited for party in view.parties)
    offered = {
        "commit": joins and own is None and view.step == "commit" and not begun,
        "deposit": own and not own.deposited and view.step in {"commit", "deposit"},
        "announce": leads and view.step == "commit" and view.parties,
        "give_beacon": joins and view.step == "beacon",
        "reveal": own and not own.revealed and view.step == "reveal",
        "finish": leads and view.step in {"reveal", "finish"},
        "drop": leads and view.step not in {"sealed", "dropped"} and view.parties,
        "open_another": leads and (view.step == "dropped" or not view.parties),
    }
    return {form for form, here in offered.items() if here}


def _show(trial: str, number: int, errors: Mapping[str, str], form: str = "") -> str:
    deps, person = deps_here(), person_here()
    views = [
        view
        for view in ceremony_views.read_ceremonies(deps, person, trial)
        if view.number == number
    ]
    if not views:
        raise UnknownRecordError(what=f"ceremony of trial {trial}, list", name=number)
    leads, joins = ceremony_views.find_parts(deps, person, trial)
    view = ceremony_views.find_current(views, number)
    own = view.party_of(person.id)
    forms = _find_forms(view, own, leads=leads, joins=joins)
    if errors and form not in forms:  # somebody else was faster
        errors = {_NOW: " ".join(errors.values())}
    return render_template(
        "ceremony.html",
        number=number, others=[other for other in views if other != view], view=view, own=own,
        leads=leads, forms=forms, errors=errors, typed=request.form, steps=STEPS,
        reasons=[(code, say(words)) for code, words in REASONS.items()],
        suggested=Drand.after(deps.clock() + _AHEAD), custodians=range(1, CUSTODIANS + 1),
    )  # fmt: skip
