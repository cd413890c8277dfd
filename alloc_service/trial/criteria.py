"""Eligibility: every criterion answered and satisfied, or no allocation.

An asked criterion is answered `yes` or `no` by the physician: an inclusion holds on yes, an
exclusion on no. A checked one is computed from the facts and never answered by anyone: an
inclusion holds inside its interval, an exclusion outside of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from alloc_service.errors import AnswersError, NotEligibleError, Problem
from alloc_service.trial.definition import TrialDefinition
from alloc_service.trial.facts import Facts
from alloc_service.trial.measurements import compute_scores, measure
from alloc_service.trial.scores import YES_NO, Score
from alloc_service.trial.tables import AskedCriterion, CheckedCriterion, Criterion
from alloc_service.trial.texts import show_name

MOST_PROBLEMS = 256
Status: TypeAlias = Literal["satisfied", "failed", "unanswered"]


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """What became of one criterion; `unanswered` also where a fact for it is missing."""

    code: str
    status: Status


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The result of every criterion, in the order of the definition."""

    results: tuple[CriterionResult, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the codes of the criteria that are answered and not satisfied."""
        return tuple(item.code for item in self.results if item.status == "failed")

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Return the codes of the criteria that wait for an answer or a fact."""
        return tuple(item.code for item in self.results if item.status == "unanswered")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return a refusal reason for each criterion that does not hold; none when eligible."""
        return tuple(
            f"{item.status}:{item.code}" for item in self.results if item.status != "satisfied"
        )

    def require(self) -> None:
        """Refuse a participant who is not eligible.

        Raises:
            NotEligibleError: A criterion is failed or unanswered; all are named.
        """
        if self.reasons:
            raise NotEligibleError(reasons=self.reasons)


def check_eligibility(
    definition: TrialDefinition,
    facts: Facts,
    answers: Mapping[str, str],
    scores: Sequence[Score] | None = None,
) -> Eligibility:
    """Check every criterion against the answers and the facts, complete or not.

    Args:
        definition: The trial.
        facts: What is known so far; a checked criterion without its facts is unanswered.
        answers: By criterion code `yes` or `no`; a blank is no answer.
        scores: Those of the facts, where they were computed already.

    Raises:
        AnswersError: An answer is neither yes nor no, or belongs to no asked criterion.
    """
    if problems := list(islice(_find_problems(definition, answers), MOST_PROBLEMS)):
        raise AnswersError(problems=problems, typed=answers)
    scores = compute_scores(definition, facts) if scores is None else scores
    return Eligibility(
        tuple(
            CriterionResult(
                item.code,
                _check(definition, facts, scores, item)
                if isinstance(item, CheckedCriterion)
                else _judge(item, answers.get(item.code, "")),
            )
            for item in definition.criteria
        )
    )


def _find_problems(definition: TrialDefinition, answers: Mapping[str, str]) -> Iterator[Problem]:
    asked = {item.code for item in definition.criteria if isinstance(item, AskedCriterion)}
    checked = {item.code for item in definition.criteria} - asked
    for code, answer in answers.items():
        if code in checked:
            yield Problem(code, "checked-by-system", "the system checks it; leave it out")
        elif code not in asked:
            yield Problem(show_name(code), "unknown-field", "this trial does not ask it")
        elif answer not in {*YES_NO, ""}:
            yield Problem(code, "unknown-choice", "answer yes or no")


def _judge(item: Criterion, answer: str) -> Status:
    if not answer:
        return "unanswered"
    return "satisfied" if (answer == "yes") == (item.kind == "inclusion") else "failed"


def _check(
    definition: TrialDefinition, facts: Facts, scores: Sequence[Score], item: CheckedCriterion
) -> Status:
    value = measure(definition, facts, scores, item.source, item.rounding)
    if value is None:
        return "unanswered"
    return "satisfied" if item.holds(value) == (item.kind == "inclusion") else "failed"
