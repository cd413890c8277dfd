"""A participant's record on the screen: everything to check before it is signed."""

from collections.abc import Iterable

from alloc_service.cli import screen
from alloc_service.core.canon import Json
from alloc_service.services.lookups import RecordToCheck
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.factors import DerivedStratum, show_exact
from alloc_service.trial.questions import ChoiceQuestion, NumberQuestion, Question
from alloc_service.trial.tables import AskedCriterion, Criterion

_STATUS = {"satisfied": "holds", "failed": "DOES NOT HOLD", "unanswered": "NOT ANSWERED"}


def show_record(record: RecordToCheck) -> None:
    """Show a record: consent, facts, criteria, and the derived stratum."""
    definition, draft = record.definition, record.draft
    zone = definition.site(draft.site).time_zone
    screen.banner(definition.id)
    screen.title("Check what was typed")
    screen.facts(
        (
            ("Participant", f"{draft.participant}, site {draft.site}"),
            (
                "Consent",
                f"{screen.moment(draft.consent.time, zone)}, version {draft.consent.version}",
            ),
        )
    )
    screen.title("Facts")
    screen.facts(_facts(record))
    screen.title("Criteria")
    screen.facts(_criteria(record))
    screen.title("Stratum, derived by the system")
    if record.stratum is None:
        screen.facts((("Stratum", "cannot be derived yet"),))
    else:
        screen.facts(_stratum(definition, record.stratum))


def show_obstacle(record: RecordToCheck) -> None:
    """Say what stands between this record and its allocation, or that nothing in it does."""
    if record.allocated:
        screen.say("It is allocated already; a record that was signed never changes.")
    elif record.obstacle is None:
        screen.good("The record is complete and the participant is eligible.")
    else:
        screen.warn(f"It cannot be allocated as it stands. {record.obstacle}")


def record_to_json(record: RecordToCheck) -> Json:
    """Return a record as JSON."""
    draft, stratum = record.draft, record.stratum
    return {
        "allocated": record.allocated,
        "answers": dict(draft.answers),
        "consent": {
            "time": draft.consent.time.isoformat(timespec="seconds"),
            "version": draft.consent.version,
        },
        "criteria": [
            {"criterion": item.code, "status": item.status} for item in record.eligibility.results
        ],
        "enrolment": str(draft.id),
        "facts": draft.facts.to_record(),
        "obstacle": "" if record.obstacle is None else record.obstacle.code,
        "participant": draft.participant,
        "site": draft.site,
        "stratum": None if stratum is None else stratum.to_record(),
        "trial": draft.trial,
    }


def _facts(record: RecordToCheck) -> Iterable[tuple[str, str]]:
    for question in record.definition.facts:
        fact = record.draft.facts.find(question.code)
        if fact is None:
            yield question.label, "MISSING"
            continue
        mark = "  (unlikely, and confirmed)" if fact.confirmed else ""
        yield question.label, f"{_in_words(question, fact.text, fact.unit)}{mark}"


def _in_words(question: Question, text: str, unit: str) -> str:
    if isinstance(question, NumberQuestion):
        label = next((item.label for item in question.units if item.code == unit), unit)
        return f"{text} {label}"
    if isinstance(question, ChoiceQuestion):
        return next((item.label for item in question.choices if item.code == text), text)
    return text


def _criteria(record: RecordToCheck) -> Iterable[tuple[str, str]]:
    status = {item.code: item.status for item in record.eligibility.results}
    for item in record.definition.criteria:
        yield _STATUS[status[item.code]], f"{_kind(item)}: {item.text}{_answer(record, item)}"


def _kind(item: Criterion) -> str:
    return "Inclusion" if item.kind == "inclusion" else "Exclusion"


def _answer(record: RecordToCheck, item: Criterion) -> str:
    if not isinstance(item, AskedCriterion):
        return " (checked by the system)"
    answer = record.draft.answers.get(item.code)
    return f" — {answer}" if answer else ""


def _stratum(definition: TrialDefinition, stratum: DerivedStratum) -> Iterable[tuple[str, str]]:
    labels: dict[str, str] = {score.code: score.label for score in definition.scores}
    for score in stratum.scores:
        yield labels[score.code], f"{score.rounded}  (exact {show_exact(score.exact)})"
    factors = {factor.code: factor.label for factor in definition.factors}
    for code, level in stratum.levels:
        yield f"{factors[code]}, band", level
    yield "Stratum", stratum.code
