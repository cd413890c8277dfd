"""A list is activated after a page that says what it means, or why it cannot be."""

from collections.abc import Callable

import pytest

from alloc_service.services import lists
from tests.support.browser import Browser
from tests.support.installation import Installation
from tests.support.pages import browse_as

TRIAL = "/trials/TEST-SMALL"
CONDUCT = f"{TRIAL}/conduct"
ACTIVATE = f"{TRIAL}/lists/1/activate"

OpenStage = Callable[..., Installation]


@pytest.fixture
def manager(active: Installation) -> Browser:
    return browse_as(active, "manager", CONDUCT)


def test_an_approved_list_is_activated(open_stage: OpenStage) -> None:
    approved = open_stage("approved")
    manager = browse_as(approved, "manager", CONDUCT)
    assert "Approved without regeneration:" in manager.words
    assert "Activate list 1" in manager.words

    manager.get(CONDUCT)
    assert f'href="{ACTIVATE}"' in manager.page
    manager.get(ACTIVATE)
    assert manager.title == "Activate list 1"
    for told in ("Activate list 1?", "Sealed by p-stat, 2026-03-02 02:00:00 UTC",
                 "Approved by p-second, 2026-03-02 02:00:00 UTC",
                 "NOT regenerated: root_checked is false", "It was approved without a regeneration",
                 "Every slot of the list is opened once", "It cannot be undone"):  # fmt: skip
        assert told in manager.words
    assert not approved.state().lists[1].active
    manager.post(ACTIVATE)

    assert "Every slot was test-opened, and list 1 is active." in manager.words
    assert "Activate list 1" not in manager.words
    assert approved.state().lists[1].active


def test_a_list_whose_root_was_compared_is_asked_for_without_a_warning(
    open_stage: OpenStage,
) -> None:
    sealed = open_stage("sealed")
    root = sealed.entries("list.sealed")[0].body["root"]
    lists.approve(sealed.deps, sealed.people["second"], sealed.trial, 1, root)
    manager = browse_as(sealed, "manager", CONDUCT)

    manager.get(ACTIVATE)

    assert "Root at the approval regenerated, and equal" in manager.words
    assert "root_checked" not in manager.words
    assert "without a regeneration" not in manager.words
    assert "Last logged regeneration" not in manager.words


def test_a_regeneration_that_gave_another_root_is_told_before_an_activation(
    open_stage: OpenStage,
) -> None:
    approved = open_stage("approved")
    dmc = approved.people["dmc"]
    root = approved.entries("list.sealed")[0].body["root"]
    manager = browse_as(approved, "manager", CONDUCT)
    for came_out, told in (("0" * 64, "THE ROOT DIFFERS"), (root, "the root is equal")):
        lists.log_regeneration(approved.deps, dmc, approved.trial, 1, came_out)
        manager.get(ACTIVATE)
        assert f"Last logged regeneration {told}" in manager.words
        assert ("Do not activate it:" in manager.words) is (came_out != root)


@pytest.mark.parametrize(
    ("stage", "told"),
    [("sealed", "Nobody has approved it yet."), ("active", "It is active already.")],
)
def test_a_list_that_cannot_be_activated_has_a_page_that_says_why_and_no_button(
    open_stage: OpenStage, stage: str, told: str
) -> None:
    manager = browse_as(open_stage(stage), "manager", CONDUCT)

    manager.get(ACTIVATE)

    assert "List 1 cannot be activated" in manager.words
    assert told in manager.words
    assert "<button>" not in manager.page


def test_in_a_closed_trial_no_list_is_activated_any_more(open_stage: OpenStage) -> None:
    approved = open_stage("approved")
    approved.change_state("close")
    manager = browse_as(approved, "manager", CONDUCT)
    assert "Activate list 1" not in manager.words

    manager.get(ACTIVATE)

    assert "nothing is allocated any more, from no list" in manager.words
    assert "<button>" not in manager.page


def test_a_list_that_nobody_approved_offers_no_activation(open_stage: OpenStage) -> None:
    sealed = open_stage("sealed")
    manager = browse_as(sealed, "manager", CONDUCT)
    assert "waits for a second statistician None yet" in manager.words
    assert "Activate list" not in manager.words

    manager.post(f"{TRIAL}/lists/1/activate")

    assert manager.answer.status_code == 409
    assert "list 1 is not approved" in manager.words


def test_a_trial_without_a_list_says_who_makes_one(open_stage: OpenStage) -> None:
    manager = browse_as(open_stage("staffed"), "manager", CONDUCT)
    assert "There is no list yet. A statistician makes one" in manager.words


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM sealed_slot WHERE stratum = 1 AND slot = 5",
        "UPDATE sealed_slot SET blob = (SELECT max(blob) FROM sealed_slot WHERE stratum = 1)",
    ],
)
def test_a_list_that_was_tampered_with_is_refused_without_a_count_of_its_slots(
    open_stage: OpenStage, attack: str
) -> None:
    approved = open_stage("approved")
    approved.attack(attack)
    manager = browse_as(approved, "manager", CONDUCT)

    manager.post(f"{TRIAL}/lists/1/activate")

    assert manager.answer.status_code == 500
    assert "List 1 was not activated: not every slot opens" in manager.words
    assert "index" not in manager.words
    assert not approved.state().lists[1].active


@pytest.mark.parametrize("number", ["0", "2", "10000", "9" * 400])
def test_a_list_that_there_is_not_is_not_found(manager: Browser, number: str) -> None:
    manager.post(f"{TRIAL}/lists/{number}/activate")

    assert manager.answer.status_code in {404, 422}
    assert "There is no list of trial TEST-SMALL numbered" in manager.words
    manager.get(f"{TRIAL}/lists/{number}/activate")
    assert manager.answer.status_code in {404, 422}
    assert "There is no list of this number in trial TEST-SMALL" in manager.words
