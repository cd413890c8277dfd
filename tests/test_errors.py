"""Every refusal there is: one class, one stable code, one text that says what to do."""

import re
import string
from collections import Counter
from collections.abc import Iterator

import pytest

from alloc_service import errors
from alloc_service.app import STATUS
from alloc_service.errors import RefusalError


def every(base: type[RefusalError] = RefusalError) -> Iterator[type[RefusalError]]:
    for refusal in base.__subclasses__():
        yield refusal
        yield from every(refusal)


REFUSALS = sorted(
    {one for one in every() if one.__module__.startswith("alloc_service.")},
    key=lambda one: one.__name__,
)
SAID = [one for one in REFUSALS if "code" in vars(one)]
# What no text may ever be filled with.
SECRET = {"arm", "seed", "key", "password", "block", "nonce", "opening", "remaining"}


def test_there_are_refusals_and_all_can_be_imported_from_one_place() -> None:
    assert len(SAID) > 100
    assert {one.__name__ for one in REFUSALS} <= set(errors.__all__)


def test_no_two_refusals_have_one_code() -> None:
    assert [code for code, many in Counter(one.code for one in SAID).items() if many > 1] == []


@pytest.mark.parametrize("refusal", SAID)
def test_a_code_can_be_logged_and_a_text_is_whole_sentences(refusal: type[RefusalError]) -> None:
    assert re.fullmatch(r"[a-z0-9.-]{1,64}", refusal.code)
    assert refusal.text[0].isupper() or refusal.text[0] in "{`"
    assert refusal.text[-1] in ".}"
    assert "  " not in refusal.text


@pytest.mark.parametrize("refusal", SAID)
def test_a_text_without_its_label_is_for_a_place_that_has_one(
    refusal: type[RefusalError],
) -> None:
    assert refusal.text.startswith(refusal.label)
    assert refusal.label == "" or refusal.label.endswith(": ")


@pytest.mark.parametrize("refusal", SAID)
def test_no_text_has_a_place_for_a_secret(refusal: type[RefusalError]) -> None:
    places = {name for _, name, _, _ in string.Formatter().parse(refusal.text) if name}

    assert not places & SECRET


@pytest.mark.parametrize("refusal", SAID)
def test_a_refusal_is_of_one_branch_and_so_of_one_http_status(
    refusal: type[RefusalError],
) -> None:
    assert sum(issubclass(refusal, branch) for branch in STATUS) == 1
