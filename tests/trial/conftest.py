"""The shipped trial, and one participant of it, whom tests change in one place."""

import re
from collections.abc import Callable
from importlib import resources

import pytest

from alloc_service.errors import DefinitionError
from alloc_service.trial.definition import (
    SHIPPED,
    TrialDefinition,
    parse_definition,
    shipped_definition,
)


@pytest.fixture(scope="session")
def definition() -> TrialDefinition:
    return shipped_definition()


@pytest.fixture
def typed() -> dict[str, str]:
    """An eligible participant: Child-Pugh 9 (2+2+1+2+2), MELD 13."""
    return {
        "age": "52",
        "bilirubin": "2.4",
        "albumin": "30",
        "inr": "1.5",
        "creatinine": "70",
        "dialysis": "no",
        "ascites": "mild",
        "encephalopathy": "grade-1-2",
    }


@pytest.fixture
def units() -> dict[str, str]:
    return {"bilirubin": "mg/dL", "albumin": "g/L", "creatinine": "umol/L"}


@pytest.fixture
def answers() -> dict[str, str]:
    """Every asked criterion satisfied."""
    return {
        "hbv-cirrhosis": "yes",
        "written-consent": "yes",
        "malignancy": "no",
        "vital-organs": "no",
        "pregnancy-lactation": "no",
        "bacterial-infection": "no",
        "follow-up-difficulty": "no",
        "not-applicable": "no",
    }


@pytest.fixture(scope="session")
def shipped_text() -> str:
    return resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")


@pytest.fixture
def break_shipped(shipped_text: str) -> Callable[[str, str], tuple[tuple[str, str], ...]]:
    """Break the shipped file in one place; the faults, as (path, rule)."""

    def refusals(old: str, new: str) -> tuple[tuple[str, str], ...]:
        assert old in shipped_text
        with pytest.raises(DefinitionError) as refusal:
            parse_definition(shipped_text.replace(old, new, 1), "broken.toml")
        message = str(refusal.value)
        path, rule = refusal.value.problems[0]
        assert message.startswith(f"broken.toml, {path}: {rule}.")
        assert message.endswith("Mend this in the file and check it again.")
        assert not re.search(r"pydantic|http|input_value|type=|validation|Input should", message)
        assert refusal.value.__cause__ is None
        assert refusal.value.__context__ is None
        return refusal.value.problems

    return refusals
