"""No personal identifiers: what may be written in free text, and as a participant's number.

Refused is what looks like a Chinese resident number (17 digits and a digit or X) or a mobile
number (11 digits, from 13 to 19, with or without +86), also when spaces or hyphens stand
between the digits, or when the digits are full-width. A refusal never repeats the number.
"""

import re
import unicodedata

from alloc_service.errors import FreeTextError, ParticipantNumberError, PersonalIdentifierError
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.texts import find_fault

LONGEST_TEXT = 1_000

_GAP = r"[ -]{0,3}"
# Tried from every place, for a number may begin inside a longer row of digits and spaces.
_RESIDENT = re.compile(rf"(?<![0-9])[0-9](?:{_GAP}[0-9]){{16}}{_GAP}[0-9Xx](?![0-9A-Za-z])")
_MOBILE = re.compile(
    rf"(?<![0-9])(?:0|(?:00{_GAP})?86{_GAP})?1{_GAP}[3-9](?:{_GAP}[0-9]){{9}}(?![0-9])"
)
_DEFAULT_NUMBER = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)


def refuse_personal_identifiers(text: str, field: str) -> None:
    """Refuse a free text that holds a personal identifier, or what no text may hold.

    Args:
        text: One line of free text, at most 1,000 characters.
        field: What the text is, for a refusal.

    Raises:
        FreeTextError: It is too long, or holds a control character.
        PersonalIdentifierError: It holds what looks like a resident or a mobile number.
    """
    if len(text) > LONGEST_TEXT:
        rule = f"at most {LONGEST_TEXT:,} characters can be written here; shorten it"
        raise FreeTextError(field=field, rule=rule)
    if fault := find_fault(text):
        raise FreeTextError(field=field, rule=f"it holds {fault}; write it anew, in one line")
    plain = _plain_digits(text)
    if _RESIDENT.search(plain):
        raise PersonalIdentifierError(field=field, what="a resident identity number")
    if _MOBILE.search(plain):
        raise PersonalIdentifierError(field=field, what="a mobile telephone number")


def check_participant_number(definition: TrialDefinition, number: str) -> None:
    """Refuse a participant's number that breaks the trial's pattern or identifies a person.

    Raises:
        ParticipantNumberError: It does not have the form that the definition gives.
        PersonalIdentifierError: It looks like a resident or a mobile number.
    """
    if not _DEFAULT_NUMBER.fullmatch(number):
        rule = "it must be 1-32 of A-Z a-z 0-9 . _ -, without spaces; correct it"
        raise ParticipantNumberError(rule=rule)
    # Here a point or a low line can only part digits, as a hyphen does.
    refuse_personal_identifiers(re.sub(r"[._]", "-", number), "participant number")
    if not re.fullmatch(definition.participant_number, number, re.ASCII):
        rule = f"it must have the form {definition.participant_number} that the trial gives"
        raise ParticipantNumberError(rule=rule)


def _plain_digits(text: str) -> str:
    """Return the text with plain digits, spaces and hyphens, whatever script they came in."""
    plain = []
    for char in unicodedata.normalize("NFKC", text):
        kind = unicodedata.category(char)
        if kind == "Nd":
            plain.append(str(unicodedata.decimal(char)))
        elif kind == "Pd" or char == "\u2212":
            plain.append("-")
        elif kind == "Zs":
            plain.append(" ")
        elif kind != "Cf":  # what has no width stands between digits unseen
            plain.append(char)
    return "".join(plain)
