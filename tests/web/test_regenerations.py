"""Lists as a page of oversight: who approved them, and what came out when they were made again."""

from collections.abc import Callable

import pytest

from alloc_service.services import lists
from tests.support.browser import Browser
from tests.support.installation import Installation

LISTS = "/trials/TEST-SMALL/regenerations"

Browse = Callable[..., Browser]


@pytest.mark.parametrize("username", ["dmc", "stat", "second", "admin"])
def test_a_list_whose_root_was_not_regenerated_says_so_in_words(
    active: Installation, browse: Browse, username: str
) -> None:
    root = active.state().lists[1].root
    browser = browse(username)
    browser.get(LISTS)

    assert "List 1" in browser.words
    assert "State active" in browser.words
    assert f"Root {root}" in browser.words
    assert "Approved by p-second" in browser.words
    assert "Its root was not regenerated before it was approved." in browser.words
    assert "Root at the approval NOT regenerated" in browser.words
    assert "Last logged regeneration none is in the log" in browser.words
    assert (
        "alloc list regenerate --escrow seed.archive+dmc.age --identity archive.key "
        f"--identity dmc.key --root {root} --root-only"
    ) in browser.words
    assert "7Q" not in browser.content


def test_the_last_regeneration_is_told_with_its_outcome(
    active: Installation, browse: Browse
) -> None:
    root = active.state().lists[1].root
    dmc = browse("dmc")
    lists.log_regeneration(active.deps, active.people["dmc"], active.trial, 1, root)
    dmc.get(LISTS)
    assert "the root is equal, p-dmc (Data monitoring committee), 2026-03-02" in dmc.words
    lists.log_regeneration(active.deps, active.people["dmc"], active.trial, 1, "0" * 64)
    dmc.get(LISTS)
    assert "THE ROOT DIFFERS: this is not the sealed list" in dmc.words


def test_a_list_that_waits_for_its_approval_is_told(active: Installation, browse: Browse) -> None:
    active.generate(2)
    dmc = browse("dmc")
    dmc.get(LISTS)

    assert "State sealed, not approved yet" in dmc.words
    assert "Approved by nobody yet" in dmc.words
    active.attack("DELETE FROM escrow_file")
    dmc.get(LISTS)
    assert "The escrow's files are not kept here any more" in dmc.words
    assert "--escrow seed.A+B.age --identity A.key --identity B.key" in dmc.words
