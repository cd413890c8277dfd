"""Refusals of trial definitions, facts, scores, eligibility and consent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from alloc_service.errors.base import InputError, StateError


class Problem(NamedTuple):
    """One thing wrong with one typed field; the message never repeats what was typed."""

    field: str
    code: str
    message: str


class DefinitionError(InputError):
    """A trial definition breaks a rule.

    Args:
        file: The file, or what else the definition was read from.
        path: The place in it, such as `arms[1].code`, or the line of a syntax error.
        rule: What must hold there.
        further: Other faults of the same file, as (path, rule).
    """

    code = "bad-definition"
    text = "{file}, {path}: {rule}.{also} Mend this in the file and check it again."

    def __init__(
        self, *, file: str, path: str, rule: str, further: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.problems = ((path, rule), *further)
        also = "".join(f" Also {where}: {other}." for where, other in further)
        super().__init__(file=file, path=path, rule=rule, also=also)


class TypedError(InputError):
    """Typed fields were refused, all problems at once.

    Attributes:
        problems: One `Problem` a field, in the order in which the fields are asked.
        typed: What was typed, verbatim, so that a form can show it again. Never in the text.
        units: The chosen units, likewise.
        confirmed: The confirmed fields, likewise.
    """

    def __init__(
        self,
        *,
        problems: Sequence[Problem],
        typed: Mapping[str, str],
        units: Mapping[str, str] | None = None,
        confirmed: Iterable[str] = (),
    ) -> None:
        self.problems = tuple(problems)
        self.typed = dict(typed)
        self.units = dict(units or {})
        self.confirmed = tuple(confirmed)
        super().__init__(summary="; ".join(f"{item.field}: {item.message}" for item in problems))


class FactsError(TypedError):
    """Facts about a participant were refused."""

    code = "bad-facts"
    text = "The facts were refused and nothing was lost. {summary}."


class AnswersError(TypedError):
    """Answers to eligibility criteria were refused."""

    code = "bad-answers"
    text = "The answers to the criteria were refused and nothing was lost. {summary}."


class FactsMissingError(StateError):
    """The stratum cannot be derived before every fact is there."""

    code = "facts-missing"
    text = "Facts are missing: {missing}. The stratum is derived from all of them; enter them."

    def __init__(self, *, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(missing=", ".join(missing))


class NoStratumError(StateError):
    """A value lies outside every band of a factor."""

    code = "no-stratum"
    text = (
        "No stratum: the value lies in no band of the factor {factor}, whose bands run {ends}. "
        "Check the facts; a participant outside the bands is not eligible."
    )


class ScoreError(InputError):
    """A score cannot be computed from what it was given."""

    code = "bad-score-input"
    text = "{score}, {field}: {rule}."


class NotEligibleError(StateError):
    """Not every criterion is answered and satisfied.

    Attributes:
        reasons: One code a criterion: `failed:<criterion>` or `unanswered:<criterion>`.
    """

    code = "not-eligible"
    text = (
        "Not eligible, no slot is spent. {summary} Every criterion must be answered and "
        "satisfied; correct an answer that is wrong, or record a screen failure."
    )
    _WORDS: ClassVar = {"failed": "Not satisfied", "unanswered": "Not answered"}

    def __init__(self, *, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        told = ((words, self._codes(status)) for status, words in self._WORDS.items())
        super().__init__(summary=" ".join(f"{words}: {codes}." for words, codes in told if codes))

    def _codes(self, status: str) -> str:
        split = (reason.partition(":") for reason in self.reasons)
        return ", ".join(criterion for found, _, criterion in split if found == status)


class FreeTextError(InputError):
    """A free text holds what no text may hold."""

    code = "bad-text"
    label = "{field}: "
    text = "{field}: {rule}."


class PersonalIdentifierError(FreeTextError):
    """A text holds what looks like a personal identifier; the text never repeats it."""

    code = "personal-identifier"
    text = (
        "{field}: this looks like {what}. No personal identifiers are kept here: take it out and "
        "use the participant number."
    )


class ParticipantNumberError(InputError):
    """A participant number does not have the form that the trial gives it."""

    code = "bad-participant-number"
    label = "Participant number: "
    text = "Participant number: {rule}."


class UnknownSiteError(InputError):
    """The trial's definition has no such site."""

    code = "unknown-site"
    text = "The trial {trial} has no such site. Its sites are: {sites}."


class ConsentError(InputError):
    """A consent record breaks a rule."""

    code = "bad-consent"
    label = "Consent: "
    text = "Consent: {rule}."


class ConsentInFutureError(ConsentError):
    """The consent's time has not come yet."""

    code = "consent-in-future"
    text = (
        "Consent: its time lies in the future. Enter when the form was signed, and look at the "
        "time zone; nothing is allocated before consent."
    )


class ConsentNotBeforeRequestError(ConsentError):
    """The consent was not given before the allocation was requested."""

    code = "consent-not-before-request"
    text = (
        "Consent: it must have been given before the allocation is requested. Enter when the "
        "form was signed."
    )


class ConsentVersionError(ConsentError):
    """Consent was given to another version of the wording than the trial's."""

    code = "consent-version"
    text = (
        "Consent: the trial asks for version {expected} of its wording. Enter that version, or "
        "ask for consent to it."
    )


class NaiveTimeError(InputError):
    """A time without its zone says nothing."""

    code = "naive-time"
    text = "{field}: a time needs its zone. Write it with an offset, as in 2026-03-02T09:15+08:00."
