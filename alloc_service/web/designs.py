"""The statistician's pages: weigh a design, generate or import a list, approve another's.

What stands in a design lets its reader foresee allocations. So it is in the answer to a POST
alone, never in an address, and whoever reads that of a sealed list is logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from alloc_service.core.design import Design
from alloc_service.errors import (
    AccessError,
    AgeError,
    EscrowError,
    InputError,
    RootMismatchError,
    RuleError,
    SealedListError,
    TooManyTriesError,
    UnknownRecordError,
)
from alloc_service.login import allow, deps_here, person_here, prove_here
from alloc_service.permissions import Action
from alloc_service.sealing.envelope import HEX32
from alloc_service.sealing.package import read_package_bytes
from alloc_service.services import ceremonies, escrow_files, lists, lookups, own_lists
from alloc_service.stats.balance import StrataLevel
from alloc_service.stats.plots import draw_final_difference, draw_guess_rate
from alloc_service.stats.report import DesignReport, describe
from alloc_service.trial.definition import TrialDefinition
from alloc_service.web.design_form import (
    BLOCK_TYPES,
    CUSTODIANS,
    read_custodians,
    read_design_form,
)
from alloc_service.web.pictures import draw_inline
from alloc_service.web.words import tell, tell_rule

pages = Blueprint("designs", __name__, url_prefix="/trials/<trial:trial>/lists")

_SLOTS_SHOWN = 40
_VERDICTS = {
    StrataLevel.FINE: "The strata are few enough for so many participants.",
    StrataLevel.WARN: "The strata are rather many for so few participants: consider fewer.",
    StrataLevel.SIGN: "The strata are too many for so few participants: take fewer, or sign why.",
}


@dataclass(frozen=True, slots=True)
class Weighed:
    """A design and what it does, for the page of the one who weighs it."""

    design: Design
    report: DesignReport
    participants: int

    @property
    def verdict(self) -> str:
        """Return the judgement on the number of strata in words."""
        return _VERDICTS[self.report.verdict.level]

    @property
    def pictures(self) -> tuple[object, object]:
        """Return how well it is guessed, and how far apart the arms end, as drawings."""
        shares = [1.0] * len(self.design.strata)
        guesses = draw_guess_rate(self.design.blocks, self.design.arms, _SLOTS_SHOWN)
        difference = draw_final_difference(
            self.design.blocks, self.design.arms, self.participants, shares
        )
        return draw_inline(guesses, "guesses"), draw_inline(difference, "difference")


@pages.get("")
@allow(Action.APPROVE_LIST)
def list_lists(trial: str) -> ResponseReturnValue:
    """Show the trial's lists: who made, who approved, and what can be done."""
    return _show_lists(trial, {}), 200


@pages.get("/new")
@allow(Action.GENERATE_LIST)
def new(trial: str) -> ResponseReturnValue:
    """Ask for a design."""
    return _show_new(trial, {"number": str(_next_number(trial))}, {}), 200


@pages.post("/new")
@allow(Action.GENERATE_LIST)
def weigh(trial: str) -> ResponseReturnValue:
    """Show what a design does, before anything is generated."""
    definition = lookups.read_definition(deps_here(), trial)
    design, errors = read_design_form(definition, request.form)
    if design is None:
        return _show_new(trial, request.form, errors), 422
    return _show_new(trial, request.form, {}, _weigh(definition, design)), 200


@pages.post("/generate")
@allow(Action.GENERATE_LIST)
def generate(trial: str) -> ResponseReturnValue:
    """Generate, seal and log a list; its seed goes to the custodians alone, and is forgotten."""
    definition, form = lookups.read_definition(deps_here(), trial), request.form
    design, errors = read_design_form(definition, form)
    if design is None:
        return _show_new(trial, form, errors), 422
    custodians, told = read_custodians(form)
    if told:
        return _show_new(trial, form, told, _weigh(definition, design)), 422
    try:
        made = lists.generate(deps_here(), person_here(), design, custodians)
    except (InputError, EscrowError, AgeError) as error:
        weighed = _weigh(definition, design)
        return _show_new(trial, form, {"name1": tell(error)}, weighed), 422
    return render_template("list_made.html", made=made, escrow=sorted(made.escrow))


@pages.post("/freeze")
@allow(Action.GENERATE_LIST)
def freeze(trial: str) -> ResponseReturnValue:
    """Freeze the design and open a seed ceremony; the design is shown once more, to be kept."""
    definition, form = lookups.read_definition(deps_here(), trial), request.form
    design, errors = read_design_form(definition, form)
    if design is None:
        return _show_new(trial, form, errors), 422
    custodians, told = read_custodians(form, "ceremony-")
    if told:
        return _show_new(trial, form, told, _weigh(definition, design)), 422
    keys = ceremonies.Keys(form.get("recipient", "").strip(), custodians)
    try:
        ceremonies.freeze(deps_here(), person_here(), design, keys)
    except RuleError as error:
        errors = {"number": tell_rule(error)}
        return _show_new(trial, form, errors, _weigh(definition, design)), 422
    except (InputError, EscrowError, AgeError) as error:
        field = "recipient" if isinstance(error, AgeError) else "ceremony-name1"
        return _show_new(trial, form, {field: tell(error)}, _weigh(definition, design)), 422
    return render_template("ceremony_frozen.html", design=design)


@pages.post("/import")
@allow(Action.GENERATE_LIST)
def import_package(trial: str) -> ResponseReturnValue:
    """Store and log a list that was made offline; no seed comes here."""
    file = request.files.get("package")
    data = file.read() if file is not None else b""
    if not data:
        return _show_lists(trial, {"package": _("Package: choose the file to import.")}), 422
    try:
        sealed = read_package_bytes(data)
        if sealed.trial != trial:
            told = _("Package: it is of trial %(other)s.", other=sealed.trial)
            return _show_lists(trial, {"package": told}), 422
        made = lists.import_package(deps_here(), person_here(), sealed)
    except (InputError, SealedListError) as error:
        return _show_lists(trial, {"package": tell(error)}), 422
    return render_template("list_made.html", made=made, escrow=[])


@pages.post("/<int:number>/approve")
@allow(Action.APPROVE_LIST)
def approve(trial: str, number: int) -> ResponseReturnValue:
    """Approve another one's list, by the root of one's own regeneration or without it."""
    form = request.form
    root, unchecked = form.get("root", "").strip().lower(), form.get("unchecked") == "yes"
    if bool(root) == unchecked or (root and not HEX32.fullmatch(root)):
        rule = _(
            "Root: give the 64 digits that your regeneration gave, or say that there was none."
        )
        return _show_lists(trial, {f"root-{number}": rule}), 422
    act = partial(lists.approve, deps_here(), trial_id=trial, number=number, root=root or None)
    try:
        act(person=prove_here(form.get("username", "").strip(), form.get("password", "")))
    except (TooManyTriesError, AccessError) as error:
        return _show_lists(trial, {f"password-{number}": tell(error)}), 403
    except RootMismatchError as error:
        return _show_lists(trial, {f"root-{number}": tell(error)}), 422
    return redirect(url_for("designs.list_lists", trial=trial), 303)


@pages.post("/<int:number>/design")
@allow(Action.READ_DESIGN)
def read_design(trial: str, number: int) -> ResponseReturnValue:
    """Show the restricted design of a sealed list, after the look is logged."""
    design = lists.read_design(deps_here(), person_here(), trial, number)
    definition = lookups.read_definition(deps_here(), trial)
    return render_template("design_read.html", weighed=_weigh(definition, design))


@pages.post("/<int:number>/escrow/<name>")
@allow(Action.READ_LOG)
def escrow(trial: str, number: int, name: str) -> ResponseReturnValue:
    """Give one of the escrow's files: ciphertext for two custodians."""
    kept = lookups.read_escrow(deps_here(), person_here(), trial, number)
    if name not in kept:
        raise UnknownRecordError(what="escrow file", name=number)
    answer = Response(kept[name], mimetype="application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


@pages.post("/<int:number>/escrow-opened")
@allow(Action.READ_LOG)
def confirm_escrow(trial: str, number: int) -> ResponseReturnValue:
    """Keep somebody's word that they could open the escrow; with the second one its files go."""
    count = escrow_files.confirm(deps_here(), person_here(), trial, number)
    gone = count >= escrow_files.NEEDED
    return render_template("escrow_confirmed.html", number=number, gone=gone)


def _weigh(definition: TrialDefinition, design: Design) -> Weighed:
    report = describe(design.blocks, design.arms, len(design.strata), definition.cap)
    return Weighed(design, report, definition.cap)


def _next_number(trial: str) -> int:
    found = own_lists.list_own(deps_here(), person_here(), trial)
    return max((row.number for row in found), default=0) + 1


def _show_new(
    trial: str,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    weighed: Weighed | None = None,
) -> str:
    return render_template(
        "list_new.html",
        definition=lookups.read_definition(deps_here(), trial), typed=typed, errors=errors,
        weighed=weighed, block_types=range(1, BLOCK_TYPES + 1),
        custodians=range(1, CUSTODIANS + 1),
    )  # fmt: skip


def _show_lists(trial: str, errors: Mapping[str, str]) -> str:
    return render_template(
        "lists.html",
        definition=lookups.read_definition(deps_here(), trial), errors=errors, typed=request.form,
        rows=own_lists.list_own(deps_here(), person_here(), trial),
    )  # fmt: skip
