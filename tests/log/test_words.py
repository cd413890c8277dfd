"""What an entry says, in a sentence: of every type, and without what its reader may not see."""

import re

import pytest

from alloc_service.core.canon import Json
from alloc_service.log.entry import FIELDS
from alloc_service.log.words import SENTENCES, describe, name_actor

DOC: Json = {"id": "P-17", "role": "physician", "org": "XA01"}
DMC: Json = {"id": "P-90", "role": "dmc", "org": "dmc.example.org"}


def test_every_type_of_entry_has_its_sentence() -> None:
    assert SENTENCES.keys() == FIELDS.keys()
    for type_, sentence in SENTENCES.items():
        named = set(re.findall(r"\{(\w+)\}", sentence))
        assert any(named <= form.keys() for form in FIELDS[type_]), type_


@pytest.mark.parametrize(
    ("type_", "body", "said"),
    [
        ("site.paused", {"site": "XA01"}, "paused site XA01"),
        ("site.paused", {}, "paused site …"),
        ("log.recovered", {"upto": 7, "retired": [1, 2]},
         "recovered the log up to entry 7; retired lists: 1, 2"),
        ("log.recovered", {"upto": 7, "retired": []},
         "recovered the log up to entry 7; retired lists: none"),
        ("list.regenerated", {"list": 1, "root_equal": True},
         "regenerated list 1 (root equal: yes)"),
        ("list.regenerated", {"list": 1, "root_equal": False},
         "regenerated list 1 (root equal: no)"),
        ("grant.added", {"subject": "P-1", "role": "dmc", "site": ""}, "gave P-1 the role dmc"),
        ("of.tomorrow", {"site": "XA01"}, "of.tomorrow"),
        ("site.paused", "no table", "paused site …"),
    ],
)  # fmt: skip
def test_a_sentence_is_filled_with_the_fields_that_may_be_seen(
    type_: str, body: Json, said: str
) -> None:
    assert describe({"type": type_, "body": body}) == said


@pytest.mark.parametrize("type_", FIELDS)
def test_a_sentence_leaves_out_what_its_reader_may_not_see(type_: str) -> None:
    words = describe({"type": type_, "body": {}})

    assert words
    assert "{" not in words


def test_a_sentence_is_translated_before_it_is_filled() -> None:
    entry: dict[str, Json] = {"type": "site.paused", "body": {"site": "paused site"}}

    assert describe(entry, lambda text: text.replace("paused site", "hielt an:")) == (
        "hielt an: paused site"
    )


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"actor": DOC}, "P-17 (physician, XA01)"),
        ({"actor": DOC, "second": DMC},
         "P-17 (physician, XA01) with P-90 (dmc, dmc.example.org)"),
        ({}, ""),
    ],
)  # fmt: skip
def test_who_made_an_entry_is_named_and_the_second_person_too(body: Json, named: str) -> None:
    assert name_actor({"type": "site.paused", "body": body}) == named
