"""The stored bytes of a definition, changed anywhere: refused in plain words, or read again."""

import json
from importlib import resources
from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.errors import CanonError, DefinitionError
from alloc_service.trial.definition import SHIPPED, TrialDefinition, parse_definition

TEXT = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")


def places(value: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the way to every value of a document."""
    steps: list[tuple[str | int, Json]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    return [path, *(found for step, item in steps for found in places(item, (*path, step)))]


STORED = parse_definition(TEXT, SHIPPED).public_bytes()
PLACES = places(parse_object(STORED))[1:]
ODD: st.SearchStrategy[Json] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.text(max_size=3),
    st.sampled_from(["inclusion", "meld", "age", "1e9", "NaN", "-0", "2012-09", "{rule}"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["code", "kind", "size"]), st.integers(0, 3), max_size=2),
)


@settings(max_examples=400)
@given(st.sampled_from(PLACES), ODD, st.booleans())
def test_no_change_anywhere_breaks_the_reading(
    place: tuple[str | int, ...], odd: Json, take_out: bool
) -> None:
    document: Any = json.loads(STORED)
    table = document
    for step in place[:-1]:
        table = table[step]
    if take_out:
        del table[place[-1]]
    else:
        table[place[-1]] = odd
    try:
        data = canon(document)
    except CanonError:
        reject()

    try:
        again = TrialDefinition.from_public_bytes(data).public_bytes()
    except DefinitionError as error:
        told = str(error)
    else:
        told = ""
        assert TrialDefinition.from_public_bytes(again).public_bytes() == again

    assert "form that is expected" not in told
    assert "Input should" not in told
