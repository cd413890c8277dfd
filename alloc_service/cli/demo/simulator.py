"""Simulated participants of NCT01728727: plausible, and the same ones each time.

Pure: the words that everything is drawn from are seeded by a fixed text, so that a run can be
told again word for word. A participant has a latent severity that moves laboratory values and
grades together; some are too young or too well for the trial, some have an exclusion, some are
typed in one unit system and some in the other. Nobody is meant by any of them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import accumulate
from math import exp, log, sqrt
from statistics import NormalDist

from alloc_service.core.draw import Mac, Words, below, keyed_mac, seeded_words
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.questions import NumberQuestion, Unit
from alloc_service.trial.tables import AskedCriterion

SEED_TEXT = "alloc demo: simulated participants"
SI_IN_TEN = 6  # of ten participants, so many are typed in µmol/L and g/L
HABITS: Mapping[str, int] = {  # of sixty participants, so many are asked for in this way
    "again": 5,  # the answer is lost on its way, and asked for again
    "twice": 4,  # the button is pressed twice
    "together": 4,  # signed at the same moment as the next one, by another physician
    "once": 47,
}
EXCLUDED_IN = 150  # each exclusion holds for one participant in so many
_STANDARD = NormalDist()
_RANGE = 2**32

_SI = {"bilirubin": "umol/L", "albumin": "g/L", "creatinine": "umol/L"}
_ASCITES = (("none", 0.08), ("mild", 0.47), ("moderate-severe", 0.45))
_ENCEPHALOPATHY = (("none", 0.50), ("grade-1-2", 0.41), ("grade-3-4", 0.09))


@dataclass(frozen=True, slots=True)
class Arrival:
    """One simulated participant, as somebody would type them.

    Attributes:
        participant: The site's participant number.
        minutes: Since the arrival before.
        facts: Typed values by fact code.
        units: Units by fact code.
        confirmed: Facts whose unlikely value is right.
        answers: By criterion code.
        habit: A key of `HABITS`: how the allocation is asked for.
    """

    participant: str
    minutes: int
    facts: Mapping[str, str] = field(repr=False)
    units: Mapping[str, str] = field(repr=False)
    confirmed: tuple[str, ...]
    answers: Mapping[str, str] = field(repr=False)
    habit: str


def arrivals(definition: TrialDefinition, seed_text: str = SEED_TEXT) -> Iterator[Arrival]:
    """Yield simulated participants without end.

    Args:
        definition: NCT01728727, or a trial that asks the same facts.
        seed_text: Another text gives other participants.
    """
    mac = keyed_mac(hashlib.sha256(seed_text.encode("utf-8")).hexdigest())
    number = 0
    while True:
        number += 1
        yield _arrive(definition, mac, number)


def _arrive(definition: TrialDefinition, mac: Mac, number: int) -> Arrival:
    words = seeded_words(mac, 0, number)  # a stream of each participant's own
    values = _measure(words)
    units = _SI if below(10, words) < SI_IN_TEN else {}
    facts, chosen, confirmed = _type_in(definition, values, units)
    return Arrival(
        participant=f"S-{number:03d}",
        minutes=60 + below(72 * 60, words),
        facts=facts,
        units=chosen,
        confirmed=confirmed,
        answers=_answer(definition, words),
        habit=_choose_habit(words),
    )


def _measure(words: Words) -> dict[str, float | str]:
    """Draw one participant in the first unit of each fact."""
    severity = _normal(words)

    def shared(part: float) -> float:
        return part * severity + sqrt(1 - part * part) * _normal(words)

    return {
        "age": min(max(46 + 10.5 * _normal(words), 15), 76),
        "bilirubin": exp(log(4.6) + 0.55 * shared(0.7)),
        "albumin": 2.62 - 0.34 * shared(0.6),
        "inr": exp(log(1.85) + 0.2 * shared(0.7)),
        "creatinine": exp(log(0.95) + 0.33 * shared(0.3)),
        "dialysis": "yes" if below(50, words) == 0 else "no",
        "ascites": _grade(_ASCITES, shared(0.6)),
        "encephalopathy": _grade(_ENCEPHALOPATHY, shared(0.5)),
    }


def _type_in(
    definition: TrialDefinition, values: Mapping[str, float | str], units: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    facts: dict[str, str] = {}
    chosen: dict[str, str] = {}
    confirmed = []
    for question in definition.facts:
        value = values[question.code]
        if isinstance(value, str) or not isinstance(question, NumberQuestion):
            facts[question.code] = str(value)
            continue
        wanted = units.get(question.code, question.units[0].code)
        unit = next(item for item in question.units if item.code == wanted)
        number = _round(value, unit, whole=question.whole)
        facts[question.code], chosen[question.code] = str(number), unit.code
        if not unit.likely[0] <= number <= unit.likely[1]:
            confirmed.append(question.code)
    return facts, chosen, tuple(confirmed)


def _round(value: float, unit: Unit, *, whole: bool) -> Decimal:
    """Return a value as a laboratory would print it in this unit, inside what is possible."""
    low, high = unit.possible
    exact = min(max(Decimal(value) * unit.per_base, low), high)
    digits = 0 if whole or unit.per_base > 1 else 2 if exact < 2 else 1
    return exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)


def _answer(definition: TrialDefinition, words: Words) -> dict[str, str]:
    answers = {}
    for item in definition.criteria:
        if isinstance(item, AskedCriterion):
            stands_against = below(EXCLUDED_IN, words) == 0
            holds = (item.kind == "inclusion") != stands_against
            answers[item.code] = "yes" if holds else "no"
    return answers


def _choose_habit(words: Words) -> str:
    place = below(sum(HABITS.values()), words)
    ends = accumulate(HABITS.values())
    return next(name for name, end in zip(HABITS, ends, strict=True) if place < end)


def _normal(words: Words) -> float:
    return _STANDARD.inv_cdf((next(words) + 0.5) / _RANGE)


def _grade(grades: tuple[tuple[str, float], ...], severity: float) -> str:
    """Return the grade whose share of all participants this severity falls into."""
    left = _STANDARD.cdf(severity)
    for code, share in grades[:-1]:
        if left < share:
            return code
        left -= share
    return grades[-1][0]
