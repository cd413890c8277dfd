"""How accounts, persons and trials may be called; no name of anybody is a personal identifier.

A name that breaks its rule is never asked of the database, for some of it has no bytes there,
and is never repeated in a refusal.
"""

import re
from collections.abc import Callable, Mapping

from alloc_service.errors import (
    AccountNameError,
    InputError,
    LoggedFieldError,
    UnknownRecordError,
)
from alloc_service.trial.identifiers import refuse_personal_identifiers

UNSPELLED = "of that name"

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9._/@-]{1,64}", re.ASCII)
_LOGGED_CODE = re.compile(r"[a-z0-9.-]{1,64}", re.ASCII)
_TRIAL = re.compile(r"[A-Za-z0-9._/-]{1,64}", re.ASCII)


def is_username(text: str) -> bool:
    """Tell whether anybody can be called so."""
    return _USERNAME.fullmatch(text) is not None


def check_username(text: str) -> None:
    """Refuse a user name that breaks a rule.

    Raises:
        AccountNameError: It is not 2-32 of a-z 0-9 . _ -.
        PersonalIdentifierError: It looks like a resident or a mobile number.
    """
    if not is_username(text):
        rule = "it must be 2 to 32 of a-z 0-9 . _ -"
        raise AccountNameError(field="user name", rule=rule)
    _refuse_identifiers(text, "user name")


def check_code(text: str, field: str) -> None:
    """Refuse the id of a person or the code of an organization that breaks a rule.

    Raises:
        AccountNameError: It is not 1-64 of A-Z a-z 0-9 . _ / @ -.
        PersonalIdentifierError: It looks like a resident or a mobile number.
    """
    if not _CODE.fullmatch(text):
        rule = "it must be 1 to 64 of A-Z a-z 0-9 . _ / @ -"
        raise AccountNameError(field=field, rule=rule)
    _refuse_identifiers(text, field)


def check_printed_name(text: str) -> str:
    """Return a printed name without the space around it.

    Raises:
        AccountNameError: It has no character, or more than 100.
        FreeTextError: It holds what no text may hold, or looks like an identity number.
    """
    name = text.strip()
    if not 1 <= len(name) <= 100:
        raise AccountNameError(field="printed name", rule="it must have 1 to 100 characters")
    refuse_personal_identifiers(name, "printed name")
    return name


def check_logged_code(text: str, field: str) -> None:
    """Refuse a code that could not stand in the log.

    Raises:
        LoggedFieldError: It is not 1-64 of a-z 0-9 . -.
        PersonalIdentifierError: It looks like a resident or a mobile number, for ever.
    """
    if not _LOGGED_CODE.fullmatch(text):
        raise LoggedFieldError(field=field, rule="it must be a code of 1 to 64 of a-z 0-9 . -")
    _refuse_identifiers(text, field)


def check_trial_id(text: str) -> None:
    """Refuse what cannot be a trial's id.

    Raises:
        UnknownRecordError: There can be no such trial.
    """
    if not _TRIAL.fullmatch(text):
        raise UnknownRecordError(what="trial", name=UNSPELLED)


def find_faults(checks: Mapping[str, Callable[[], object]]) -> dict[str, InputError]:
    """Return what each check refuses, by field; whoever corrects a form wants all of it at once."""
    faults = {}
    for field, check in checks.items():
        try:
            check()
        except InputError as error:
            faults[field] = error
    return faults


def _refuse_identifiers(code: str, field: str) -> None:
    # In a code these can only part digits, as a hyphen does.
    refuse_personal_identifiers(re.sub(r"[._/@]", "-", code), field)
