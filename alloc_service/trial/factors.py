"""The stratum of a participant: derived from the facts, never typed.

Each factor gives one level, the levels make the stratum's code `cp=9-10;meld=<20`, and its index
is its place among all strata of the definition, which is its place in every list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from alloc_service.core.canon import Json
from alloc_service.errors import FactsMissingError, NoStratumError
from alloc_service.trial.bands import describe_ends
from alloc_service.trial.definition import ONE_STRATUM, TrialDefinition
from alloc_service.trial.facts import Facts, find_missing
from alloc_service.trial.measurements import compute_scores, measure
from alloc_service.trial.scores import Score
from alloc_service.trial.tables import BandsFactor, Factor, LevelsFactor, SiteFactor


@dataclass(frozen=True, slots=True)
class DerivedStratum:
    """A stratum, and what led to it.

    Attributes:
        code: As in the design, such as `cp=9-10;meld=<20`; `all` where there is no factor.
        index: Its place among the definition's strata, from 0.
        levels: For each factor its code and the level's code, in the order of the file.
        scores: The scores of the definition, in the order of the file.
    """

    code: str
    index: int
    levels: tuple[tuple[str, str], ...]
    scores: tuple[Score, ...]

    def to_record(self) -> dict[str, Json]:
        """Return the stratum as it is kept and hashed; exact scores as text of 6 decimals."""
        return {
            "code": self.code,
            "index": self.index,
            "levels": dict(self.levels),
            "scores": {
                score.code: {"exact": show_exact(score.exact), "rounded": score.rounded}
                for score in self.scores
            },
        }


def show_exact(value: Decimal) -> str:
    """Return a score with 6 decimals, cut and not rounded, so that 19.4999999 never reads 19.5."""
    return str(value.quantize(Decimal("0.000001"), ROUND_DOWN, Context(prec=28)))


def derive_stratum(
    definition: TrialDefinition,
    facts: Facts,
    site: str | None = None,
    scores: tuple[Score, ...] | None = None,
) -> DerivedStratum:
    """Derive the stratum of a participant.

    Args:
        definition: The trial.
        facts: All its facts.
        site: The site's code; needed where the site is a factor, else unused.
        scores: Those of the facts, where they were computed already.

    Raises:
        FactsMissingError: A fact is missing, or the site where it is a factor; all are named.
        NoStratumError: A value lies in no band; such a participant is not eligible.
        UnknownSiteError: The definition has no such site.
    """
    missing = list(find_missing(definition, facts))
    if site is None and any(isinstance(factor, SiteFactor) for factor in definition.factors):
        missing.append("site")
    if missing:
        raise FactsMissingError(missing=missing)
    scores = compute_scores(definition, facts) if scores is None else scores
    levels = tuple(
        (factor.code, _find_level(definition, facts, scores, factor, site or ""))
        for factor in definition.factors
    )
    code = ";".join(f"{factor}={level}" for factor, level in levels) or ONE_STRATUM
    return DerivedStratum(code, definition.strata.index(code), levels, scores)


def _find_level(
    definition: TrialDefinition,
    facts: Facts,
    scores: Sequence[Score],
    factor: Factor,
    site: str,
) -> str:
    if isinstance(factor, BandsFactor):
        return _find_band(definition, facts, scores, factor)
    if isinstance(factor, LevelsFactor):
        fact = facts.find(factor.source)
        return next(level.code for level in factor.levels if fact and fact.text in level.choices)
    return definition.site(site).code


def _find_band(
    definition: TrialDefinition, facts: Facts, scores: Sequence[Score], factor: BandsFactor
) -> str:
    value = measure(definition, facts, scores, factor.source, factor.rounding)
    for band in factor.bands:
        if value is not None and band.holds(value):
            return band.code
    raise NoStratumError(factor=factor.code, ends=describe_ends(factor.bands))
