"""A trial as data: one TOML file, read strictly, from which everything else is derived.

The file says what the trial is: arms, sites, the facts it asks, scores, stratification factors,
criteria, consent, cap and follow-up. Beside it stands one restricted table, `[design]`, with the
block sizes; whoever reads it can foresee allocations. What is stored and shown is
`TrialDefinition.public_bytes`, which never holds that table.

An unknown key, a code given twice, bands with a gap or an overlap, and every other fault is a
`DefinitionError` that names the file, the place in it and the rule.
"""

import hashlib
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from alloc_service.core.canon import canon, parse_object
from alloc_service.core.design import TEST_PREFIX, Arm, BlockSize, Design, Stratum
from alloc_service.errors import DefinitionError, UnknownArmError, UnknownSiteError
from alloc_service.trial.consistency import (
    Fault,
    find_criterion_faults,
    find_design_faults,
    find_factor_faults,
    find_question_faults,
    find_repeated,
    find_score_faults,
    find_strata_faults,
    find_visit_faults,
)
from alloc_service.trial.faults import explain_toml, translate_faults
from alloc_service.trial.fields import (
    Line,
    NumberPattern,
    SiteCode,
    Table,
    TrialId,
    Whole,
    broken_rules,
)
from alloc_service.trial.questions import AnyQuestion, Question
from alloc_service.trial.tables import (
    AnyCriterion,
    AnyFactor,
    AnyScore,
    ConsentTable,
    DesignTable,
    Factor,
    Record,
    Site,
    SiteFactor,
    TrialArm,
    Unconfirmed,
    Visit,
)

SHIPPED = "nct01728727.toml"
ONE_STRATUM = "all"
LARGEST_FILE = 1_048_576
_WHOLE = "the file"
_TOO_LARGE = "must be smaller than 1 MiB"

Definition = TypeVar("Definition", bound="TrialDefinition")

_AT = re.compile(r"(?P<rule>.*) \(at (?P<place>[^()]*)\)", re.DOTALL)


class TrialDefinition(Table):
    """A trial, whole and consistent; building one that breaks a rule is refused.

    The design table is `None` in a definition that was read from its stored bytes.
    """

    format: Literal["rac-trial/1"]
    id: TrialId
    version: SiteCode
    other_ids: Annotated[tuple[Line, ...], Field(max_length=16)] = ()
    title: Line
    record: Record
    cap: Annotated[Whole, Field(ge=1, le=1_000_000)]
    participant_number: NumberPattern = "[A-Za-z0-9._-]{1,32}"
    to_be_confirmed: Annotated[tuple[Unconfirmed, ...], Field(max_length=64)] = ()
    arms: Annotated[tuple[TrialArm, ...], Field(min_length=2, max_length=16)]
    sites: Annotated[tuple[Site, ...], Field(min_length=1, max_length=1_000)]
    facts: Annotated[tuple[AnyQuestion, ...], Field(max_length=256)]
    scores: tuple[AnyScore, ...] = ()
    factors: Annotated[tuple[AnyFactor, ...], Field(max_length=8)] = ()
    criteria: Annotated[tuple[AnyCriterion, ...], Field(min_length=1, max_length=256)]
    consent: ConsentTable
    visits: Annotated[tuple[Visit, ...], Field(max_length=256)] = ()
    design_table: DesignTable | None = Field(default=None, alias="design", repr=False)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if faults := list(self._find_faults()):
            raise broken_rules(faults)
        return self

    def _find_faults(self) -> Iterator[Fault]:
        questions = {question.code: question for question in self.facts}
        scores = [score.code for score in self.scores]
        yield from find_repeated("arms", "code", (arm.code for arm in self.arms))
        yield from find_repeated("sites", "code", (site.code for site in self.sites))
        yield from find_question_faults(self.facts)
        yield from find_score_faults(self.scores, questions)
        yield from find_factor_faults(self.factors, questions, scores, self.criteria)
        too_many = list(find_strata_faults([self._parts(factor) for factor in self.factors]))
        yield from too_many
        yield from find_criterion_faults(self.criteria, questions, scores)
        yield from find_visit_faults(self.visits)
        keys = {field.alias or name for name, field in type(self).model_fields.items()}
        for index, item in enumerate(self.to_be_confirmed):
            if item.path.split(".")[0] not in keys:
                yield f"to_be_confirmed[{index}].path", "must begin with a key of this file"
        if self.design_table is not None and not too_many:
            unit = sum(arm.ratio for arm in self.arms)
            yield from find_design_faults(self.design_table, unit, len(self.strata))

    @property
    def is_test(self) -> bool:
        """Tell whether this is a trial for testing, which its pages and files must say."""
        return self.id.startswith(TEST_PREFIX)

    @property
    def strata(self) -> tuple[str, ...]:
        """Return the strata's codes in the order of every list: the last factor runs fastest."""
        if not self.factors:
            return (ONE_STRATUM,)
        return tuple(";".join(parts) for parts in product(*map(self._parts, self.factors)))

    def levels_of(self, factor: Factor) -> tuple[str, ...]:
        """Return the codes of a factor's levels, in the order of the file."""
        if isinstance(factor, SiteFactor):
            return tuple(site.code for site in self.sites)
        return factor.codes

    def _parts(self, factor: Factor) -> tuple[str, ...]:
        return tuple(f"{factor.code}={level}" for level in self.levels_of(factor))

    def question(self, code: str) -> Question | None:
        """Return what is asked under a fact's code, or None."""
        return next((item for item in self.facts if item.code == code), None)

    def site(self, code: str) -> Site:
        """Return the site of this code.

        Raises:
            UnknownSiteError: The definition has no such site.
        """
        for site in self.sites:
            if site.code == code:
                return site
        raise UnknownSiteError(trial=self.id, sites=", ".join(site.code for site in self.sites))

    def arm(self, code: str) -> TrialArm:
        """Return the arm of this code.

        Raises:
            UnknownArmError: The definition has no such arm; the text does not repeat it.
        """
        for arm in self.arms:
            if arm.code == code:
                return arm
        raise UnknownArmError(trial=self.id)

    def public_bytes(self) -> bytes:
        """Return the canonical JSON of everything except the design table.

        These bytes may be stored, shown and hashed: no block size and no slot count is in them.
        Decimals are strings, as in the file.
        """
        return canon(
            self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_SECRET)
        )

    @cached_property
    def offsets(self) -> tuple[tuple[str, str, int, int], ...]:
        """Return code, label, months and days after the allocation of each visit."""
        return tuple((one.code, one.label, one.in_months, one.in_days) for one in self.visits)

    @cached_property
    def sha256(self) -> str:
        """Return the HEX32 SHA-256 of the public bytes, by which a record names this definition."""
        return hashlib.sha256(self.public_bytes()).hexdigest()

    @classmethod
    def from_public_bytes(cls, data: bytes) -> Self:
        """Read a definition from its stored bytes; its design table is not among them.

        Raises:
            CanonError: The bytes are not canonical JSON.
            DefinitionError: They hold no definition that keeps the rules.
        """
        document = parse_object(data, "stored definition")
        if "design" in document:
            rule = "must not be there: block sizes are never stored with the definition"
            raise DefinitionError(file="stored definition", path="design", rule=rule)
        return _validate(cls, document, "stored definition")

    def design(self, list_number: int | None = None, salt: str | None = None) -> Design:
        """Return the design of a list with all strata, from the design table.

        Args:
            list_number: 1-9,999; by default the one in the table.
            salt: 64 hexadecimal digits; by default new ones from a random source.

        Raises:
            DefinitionError: The definition holds no design table.
            DesignError: The list number or the salt breaks a rule of rac-gen/1.
        """
        table = self.design_table
        if table is None:
            rule = "is missing: a list needs block sizes and slots, which only the file holds"
            raise DefinitionError(file=f"trial {self.id}", path="design", rule=rule)
        blocks = tuple(BlockSize(block.size, block.weight) for block in table.blocks)
        number = table.list_number if list_number is None else list_number
        return self.design_of(number, blocks, table.slots, salt)

    def design_of(
        self, list_number: int, blocks: Sequence[BlockSize], slots: int, salt: str | None = None
    ) -> Design:
        """Return a design with this trial's arms and strata.

        Args:
            list_number: 1-9,999.
            blocks: The block types.
            slots: In each stratum.
            salt: 64 hexadecimal digits; by default new ones from a random source.

        Raises:
            DesignError: A part breaks a rule of rac-gen/1.
        """
        return Design(
            trial=self.id,
            list=list_number,
            arms=tuple(Arm(arm.code, arm.ratio) for arm in self.arms),
            blocks=tuple(blocks),
            strata=tuple(Stratum(code, slots) for code in self.strata),
            salt=secrets.token_hex(32) if salt is None else salt,
        )


_SECRET = {"design_table"}


def load_definition(path: Path) -> TrialDefinition:
    """Read a trial definition from a TOML file.

    Raises:
        DefinitionError: The file cannot be read, or a place in it breaks a rule.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        rule = f"cannot be read: {(error.strerror or 'unknown reason').lower()}"
        raise DefinitionError(file=path.name, path=_WHOLE, rule=rule) from None
    return decode_definition(data, path.name)


def decode_definition(data: bytes, name: str) -> TrialDefinition:
    """Read a trial definition from the bytes of a TOML file.

    Args:
        data: TOML in UTF-8; whoever reads them stops one byte after `LARGEST_FILE`.
        name: The file's name, for the text of a refusal.

    Raises:
        DefinitionError: It is too large or no text, or a place in it breaks a rule.
    """
    if len(data) > LARGEST_FILE:
        raise DefinitionError(file=name, path=_WHOLE, rule=_TOO_LARGE)
    try:
        return parse_definition(data.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        at = len(data) - len(error.object) + error.start  # the decoder leaves a mark out
    # Raised outside of the handler: the decoder's own error holds the bytes.
    line = data.count(b"\n", 0, at) + 1
    rule = f"must be text in UTF-8, and byte {at}, in line {line}, is none"
    raise DefinitionError(file=name, path=_WHOLE, rule=rule)


def parse_definition(text: str, name: str) -> TrialDefinition:
    """Read a trial definition from the text of a TOML file.

    Args:
        text: TOML.
        name: The file's name, for the text of a refusal.

    Raises:
        DefinitionError: A place in it breaks a rule; a syntax error is named by its line.
    """
    if len(text) > LARGEST_FILE:
        raise DefinitionError(file=name, path=_WHOLE, rule=_TOO_LARGE)
    path, rule = _WHOLE, "nests its tables too deeply"
    try:
        # Fractions stay the decimals that were written; nothing passes through a float.
        return _validate(TrialDefinition, tomllib.loads(text, parse_float=Decimal), name)
    except (ValueError, ArithmeticError) as error:
        path, rule = _describe_syntax(str(error))
    except RecursionError:
        pass
    raise DefinitionError(file=name, path=path, rule=rule)


def shipped_definition() -> TrialDefinition:
    """Return the trial that ships with the product, NCT01728727."""
    text = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")
    return parse_definition(text, SHIPPED)


def as_test(definition: TrialDefinition) -> TrialDefinition:
    """Return the same trial as one for testing: its id starts with `TEST-`.

    Raises:
        DefinitionError: The longer id breaks the rule for ids.
    """
    if definition.is_test:
        return definition
    document = definition.model_dump(by_alias=True, exclude_none=True)
    document["id"] = TEST_PREFIX + definition.id
    return _validate(TrialDefinition, document, f"trial {definition.id}")


def _validate(model: type[Definition], document: Mapping[str, object], name: str) -> Definition:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        (path, rule), *further = translate_faults(error)
    # Raised outside of the handler: pydantic's own error would show the values in a traceback.
    raise DefinitionError(file=name, path=path, rule=rule, further=further)


def _describe_syntax(message: str) -> tuple[str, str]:
    parts = _AT.fullmatch(message)
    if parts is None:
        return _WHOLE, "holds a number or a key that TOML cannot read"
    return parts["place"], f"is not TOML: {explain_toml(parts['rule'])}"
