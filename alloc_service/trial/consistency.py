"""What must hold between the tables of a definition; each fault with its place and its rule.

Every name that is used is one that is given; each code is given once; the facts that feed a
score have its units and its grades; bands and levels leave no value out and hold none twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import TypeAlias

from alloc_service.trial.bands import HIGHEST, LOWEST, Cut, find_band_faults
from alloc_service.trial.fields import Number
from alloc_service.trial.questions import NumberQuestion, Question
from alloc_service.trial.scores import SCORE_RULES, round_half_up
from alloc_service.trial.tables import (
    BandsFactor,
    CheckedCriterion,
    Criterion,
    DesignTable,
    Factor,
    LevelsFactor,
    ScoreTable,
    Visit,
    score_inputs,
)

Fault: TypeAlias = tuple[str, str]


def find_repeated(path: str, name: str, codes: Iterable[str]) -> Iterator[Fault]:
    """Find codes that are given twice in the table at `path`."""
    seen: set[str] = set()
    for index, code in enumerate(codes):
        if code in seen:
            yield f"{path}[{index}].{name}", "is given twice; each must be there once"
        seen.add(code)


def find_question_faults(questions: Sequence[Question]) -> Iterator[Fault]:
    """Find facts, units and choices that are given twice, and facts named like a score."""
    yield from find_repeated("facts", "code", (item.code for item in questions))
    for index, question in enumerate(questions):
        path = f"facts[{index}]"
        if question.code in SCORE_RULES:
            yield f"{path}.code", "is the name of a score; a fact needs another"
        if isinstance(question, NumberQuestion):
            yield from find_repeated(
                f"{path}.units", "code", (unit.code for unit in question.units)
            )
        else:
            yield from find_repeated(f"{path}.choices", "code", question.codes)


def find_score_faults(
    scores: Sequence[ScoreTable], questions: Mapping[str, Question]
) -> Iterator[Fault]:
    """Find inputs of scores that no fact can feed."""
    yield from find_repeated("scores", "code", (score.code for score in scores))
    for index, score in enumerate(scores):
        rule = SCORE_RULES[score.code]
        for name, code in score_inputs(score).items():
            path = f"scores[{index}].{name}"
            question = questions.get(code)
            if question is None:
                yield path, "must name a fact of this file"
            elif name in rule.labs:
                yield from _find_lab_faults(path, question, rule.labs[name])
            elif isinstance(question, NumberQuestion) or question.codes != rule.choices[name]:
                yield path, f"must name a choice of {', '.join(rule.choices[name])}, in order"


def _find_lab_faults(path: str, question: Question, units: Mapping[str, Number]) -> Iterator[Fault]:
    if not isinstance(question, NumberQuestion):
        yield path, "must name a fact that is a number"
        return
    if odd := [unit.code for unit in question.units if unit.code not in units]:
        yield path, f"must name a fact in {' or '.join(units)}; {odd[0]} is not a unit of it"
        return
    if any(unit.possible[0] <= 0 for unit in question.units):
        yield path, "must name a fact whose possible values lie above 0"
    base = units[question.units[0].code]
    for unit in question.units:
        if unit.per_base * base != units[unit.code]:
            yield path, f"must name a fact with the exact conversion of {unit.code}"


def find_factor_faults(
    factors: Sequence[Factor],
    questions: Mapping[str, Question],
    scores: Iterable[str],
    criteria: Sequence[Criterion],
) -> Iterator[Fault]:
    """Find factors whose levels leave a value out, hold one twice, or rest on nothing."""
    yield from find_repeated("factors", "code", (factor.code for factor in factors))
    known = frozenset(scores)
    for index, factor in enumerate(factors):
        path = f"factors[{index}]"
        if isinstance(factor, BandsFactor):
            yield from find_repeated(f"{path}.bands", "code", factor.codes)
            yield from _find_bands_faults(path, factor, questions, known, criteria)
        elif isinstance(factor, LevelsFactor):
            yield from find_repeated(f"{path}.levels", "code", factor.codes)
            yield from _find_level_faults(path, factor, questions.get(factor.source))


def _find_bands_faults(
    path: str,
    factor: BandsFactor,
    questions: Mapping[str, Question],
    scores: frozenset[str],
    criteria: Sequence[Criterion],
) -> Iterator[Fault]:
    if not _is_measurable(factor.source, questions, scores):
        yield f"{path}.source", "must name a number among the facts, or a score, of this file"
        return
    whole, low, high = _values_of(factor, questions)
    for item in criteria:
        # Only an eligible participant needs a stratum, so the inclusions narrow what can come.
        # One that rounds otherwise than the factor says nothing about the factor's values.
        if not isinstance(item, CheckedCriterion) or item.kind == "exclusion":
            continue
        if item.source == factor.source and item.rounding == factor.rounding:
            low = max(low, item.low(whole=whole))
            high = min(high, item.high(whole=whole))
    for index, rule in find_band_faults(factor.bands, (low, high), whole=whole):
        yield f"{path}.bands[{index}]", rule


def _values_of(factor: BandsFactor, questions: Mapping[str, Question]) -> tuple[bool, Cut, Cut]:
    """Return whether the factor's values are whole, and the cuts between which they lie."""
    rounded = factor.rounding == "half-up"
    question = questions.get(factor.source)
    if isinstance(question, NumberQuestion):
        low, high = question.limits()
        if rounded or question.whole:
            bottom, top = Fraction(round_half_up(low)), Fraction(round_half_up(high) + 1)
            return True, Cut(0, bottom, 0), Cut(0, top, 0)
        return False, Cut(0, low, 0), Cut(0, high, 1)
    rule = SCORE_RULES[factor.source]
    if rounded or rule.whole:
        return True, Cut(0, Fraction(rule.lowest), 0), Cut(0, Fraction(rule.highest + 1), 0)
    return False, LOWEST, HIGHEST


def _find_level_faults(
    path: str, factor: LevelsFactor, question: Question | None
) -> Iterator[Fault]:
    if question is None or isinstance(question, NumberQuestion):
        yield f"{path}.source", "must name a choice or a yes-no question among the facts"
        return
    seen: set[str] = set()
    for index, level in enumerate(factor.levels):
        for place, choice in enumerate(level.choices):
            where = f"{path}.levels[{index}].choices[{place}]"
            if choice not in question.codes:
                yield where, "must be an answer of the fact that the factor rests on"
            if choice in seen:
                yield where, "overlaps: each answer belongs to one level alone"
            seen.add(choice)
    if missing := [code for code in question.codes if code not in seen]:
        yield f"{path}.levels", f"leaves a gap: the answer {missing[0]} belongs to no level"


def _is_measurable(source: str, questions: Mapping[str, Question], scores: frozenset[str]) -> bool:
    return source in scores or isinstance(questions.get(source), NumberQuestion)


def find_criterion_faults(
    criteria: Sequence[Criterion], questions: Mapping[str, Question], scores: Iterable[str]
) -> Iterator[Fault]:
    """Find criteria that are given twice, or that check what nobody asks."""
    yield from find_repeated("criteria", "code", (item.code for item in criteria))
    known = frozenset(scores)
    for index, item in enumerate(criteria):
        if isinstance(item, CheckedCriterion) and not _is_measurable(item.source, questions, known):
            rule = "must name a number among the facts, or a score, of this file"
            yield f"criteria[{index}].source", rule


def find_visit_faults(visits: Sequence[Visit]) -> Iterator[Fault]:
    """Find visits that are given twice or do not follow one another."""
    yield from find_repeated("visits", "code", (visit.code for visit in visits))
    for index, (before, after) in enumerate(pairwise(visits), start=1):
        if _nominal(after) <= _nominal(before):
            yield f"visits[{index}]", "must come later than the visit before it"


def _nominal(visit: Visit) -> float:
    return visit.in_days + visit.in_months * 365.25 / 12


def find_strata_faults(levels: Sequence[Sequence[str]]) -> Iterator[Fault]:
    """Find strata that no list can hold: too many of them, or codes too long.

    Args:
        levels: For each factor the parts `factor=level` of the strata's codes.
    """
    # Counted before they are built: a few factors of many levels would fill the memory.
    if prod(len(parts) for parts in levels) > 1_000:
        yield "factors", "must not make more than 1,000 strata"
    elif sum(max(map(len, parts)) + 1 for parts in levels) - 1 > 200:
        yield "factors", "must not make a stratum's code longer than 200 characters"


def find_design_faults(design: DesignTable, unit: int, strata: int) -> Iterator[Fault]:
    """Find what no list can be drawn from; the rules name no block size."""
    for index, block in enumerate(design.blocks):
        if block.size % unit:
            rule = f"must be a multiple of {unit}, the sum of the arms' ratios"
            yield f"design.blocks[{index}].size", rule
    yield from find_repeated("design.blocks", "size", (str(block.size) for block in design.blocks))
    if design.slots * strata > 2_000_000:
        yield "design.slots", "must not make more than 2,000,000 slots in all strata together"
