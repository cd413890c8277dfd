"""The administrator's pages of the installation: its trials, how each stands, and a new one.

A definition is read from an uploaded file, of which no more is taken than a definition can be.
Its restricted design is neither stored nor shown, and no refusal repeats what stood in the file.
"""

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from alloc_service.errors import DefinitionError, TrialExistsError
from alloc_service.login import allow, deps_here, person_here
from alloc_service.permissions import Action
from alloc_service.services import installation, trials
from alloc_service.trial.definition import (
    LARGEST_FILE,
    TrialDefinition,
    as_test,
    decode_definition,
)

pages = Blueprint("installation", __name__)


@pages.get("/installation")
@allow(Action.CHANGE_USERS)
def show() -> ResponseReturnValue:
    """Show how the installation and each of its trials stand."""
    return render_template("installation.html", status=installation.service_status(deps_here()))


@pages.get("/add-trial")
@allow(Action.CREATE_TRIAL)
def add_trial() -> ResponseReturnValue:
    """Ask for the definition of a new trial."""
    return _show_new("", ()), 200


@pages.post("/add-trial")
@allow(Action.CREATE_TRIAL)
def take_trial() -> ResponseReturnValue:
    """Create a trial from its definition, or tell every fault of the file."""
    try:
        definition = _read_upload()
    except DefinitionError as error:
        count = len(error.problems)
        told = ngettext("The file has %(num)s fault.", "The file has %(num)s faults.", count)
        return _show_new(told, error.problems), 422
    if definition is None:
        return _show_new(_("Definition: choose its file."), ()), 422
    try:
        trial = trials.create(deps_here(), person_here(), definition)
    except TrialExistsError:
        told = _(
            "There is a trial %(trial)s already, and its log has begun. A trial of another id "
            "can be created beside it.", trial=definition.id,
        )  # fmt: skip
        return _show_new(told, ()), 422
    flash(_("The trial %(trial)s is created; its log has begun.", trial=trial))
    return redirect(url_for("installation.show"), 303)


def _read_upload() -> TrialDefinition | None:
    """Return the uploaded definition, or none where no file came.

    Raises:
        DefinitionError: The file breaks a rule.
    """
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return None
    definition = decode_definition(upload.stream.read(LARGEST_FILE + 1), "definition")
    return as_test(definition) if "test" in request.form else definition


def _show_new(told: str, problems: Sequence[tuple[str, str]]) -> str:
    return render_template(
        "add_trial.html",
        errors={"file": told} if told else {}, problems=problems, test="test" in request.form,
    )  # fmt: skip
