"""Forms of a design and of its escrow's custodians, as several pages read them."""

from collections.abc import Mapping

from flask_babel import gettext as _

from alloc_service.core.design import BlockSize, Design
from alloc_service.errors import InputError
from alloc_service.trial.definition import TrialDefinition
from alloc_service.web.words import tell

BLOCK_TYPES = 4
CUSTODIANS = 3


def read_custodians(
    form: Mapping[str, str], prefix: str = ""
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the keys of the three custodians by name, or what is wrong with them, by field."""
    named = {}
    for at in range(1, CUSTODIANS + 1):
        name = form.get(f"{prefix}name{at}", "").strip()
        named[name] = form.get(f"{prefix}key{at}", "").strip()
    if len(named) == CUSTODIANS:
        return named, {}
    told = _("Custodians: each of the three has a name of their own.")
    return {}, {f"{prefix}name1": told}


def read_design_form(
    definition: TrialDefinition, form: Mapping[str, str]
) -> tuple[Design | None, dict[str, str]]:
    """Return the design that a form asks for, or what is wrong with it, by field."""
    errors: dict[str, str] = {}
    number = _read_whole(form, "number", _("List number"), errors)
    slots = _read_whole(form, "slots", _("Slots a stratum"), errors)
    blocks = []
    for at in range(1, BLOCK_TYPES + 1):
        if not (form.get(f"size{at}", "").strip() or form.get(f"weight{at}", "").strip()):
            continue
        size = _read_whole(form, f"size{at}", _("Block size %(at)s", at=at), errors)
        weight = _read_whole(form, f"weight{at}", _("Weight %(at)s", at=at), errors)
        blocks.append(BlockSize(size, weight))
    if errors:
        return None, errors
    try:
        return definition.design_of(number, blocks, slots), {}
    except InputError as error:
        return None, {"size1": tell(error)}


def _read_whole(form: Mapping[str, str], field: str, label: str, errors: dict[str, str]) -> int:
    text = form.get(field, "").strip()
    if text.isascii() and text.isdecimal() and 1 <= int(text[:8]) <= 1_000_000 and len(text) < 8:
        return int(text)
    errors[field] = _("%(label)s: write a whole number from 1 on.", label=label)
    return 1
