"""From facts to the values that bands and criteria compare: exact fractions, and the scores.

A number is compared in its first unit: its decimal divided by an exact factor, never rounded on
the way. A score says itself how its labs are compared and converted. `exact` takes the value as
it is, `half-up` the nearest whole number; for MELD that is the score as it is reported, 6-40.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.facts import Fact, Facts
from alloc_service.trial.questions import NumberQuestion
from alloc_service.trial.scores import Lab, Score, child_pugh, meld, round_half_up
from alloc_service.trial.tables import ChildPughTable, Rounding, ScoreTable, score_inputs


def compute_scores(definition: TrialDefinition, facts: Facts) -> tuple[Score, ...]:
    """Compute each score of the definition whose facts are all there."""
    scores = (_compute(score, facts) for score in definition.scores)
    return tuple(score for score in scores if score is not None)


def measure(
    definition: TrialDefinition,
    facts: Facts,
    scores: Iterable[Score],
    source: str,
    rounding: Rounding,
) -> Fraction | None:
    """Return the value of a number or a score, or None while a fact for it is missing.

    Args:
        definition: The trial.
        facts: The facts, complete or not.
        scores: What `compute_scores` returned for them.
        source: The code of a number among the facts, or of a score.
        rounding: `exact`, or `half-up` to the nearest whole number.
    """
    for score in scores:
        if score.code == source:
            return Fraction(score.rounded) if rounding == "half-up" else _exact(score.exact)
    question, fact = definition.question(source), facts.find(source)
    if fact is None or not isinstance(question, NumberQuestion):
        return None
    factor = next(unit.per_base for unit in question.units if unit.code == fact.unit)
    value = _exact(fact.value) / _exact(factor)
    return Fraction(round_half_up(value)) if rounding == "half-up" else value


def _exact(value: Decimal) -> Fraction:
    over, under = value.as_integer_ratio()  # a third of what Fraction itself takes to find them
    return Fraction(over, under)


def _compute(table: ScoreTable, facts: Facts) -> Score | None:
    given: dict[str, Fact] = {}
    for name, code in score_inputs(table).items():
        fact = facts.find(code)
        if fact is None:
            return None
        given[name] = fact
    if isinstance(table, ChildPughTable):
        return child_pugh(
            bilirubin=_lab(given["bilirubin"]),
            albumin=_lab(given["albumin"]),
            inr=_lab(given["inr"]),
            ascites=given["ascites"].text,
            encephalopathy=given["encephalopathy"].text,
        )
    return meld(
        bilirubin=_lab(given["bilirubin"]),
        inr=_lab(given["inr"]),
        creatinine=_lab(given["creatinine"]),
        dialysis=given["dialysis"].text == "yes",
    )


def _lab(fact: Fact) -> Lab:
    return Lab(fact.value, fact.unit)
