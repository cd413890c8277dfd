"""Lists as their overseers see them: stage, approval, regeneration."""

import pytest

from alloc_service.errors import NotAllowedError
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, list_reviews, lists
from alloc_service.services.list_reviews import ListReview
from tests.support.installation import Installation
from tests.support.rollback import recover

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def read(installation: Installation, username: str = "dmc") -> tuple[ListReview, ...]:
    person = installation.people[username]
    return list_reviews.read_reviews(installation.deps, person, installation.trial)


@on_sqlite
def test_a_trial_without_a_list_has_nothing_to_review(staffed: Installation) -> None:
    assert read(staffed) == ()


def test_a_list_is_shown_at_every_stage_with_who_made_and_approved_it(
    sealed: Installation,
) -> None:
    (review,) = read(sealed)
    assert (review.number, review.stage, review.sealed_by) == (1, "sealed", "p-stat")
    assert review.root == sealed.state().lists[1].root
    assert (review.approved_by, review.regenerated) == ("", None)
    assert review.escrow == (
        "seed.archive+dmc.age", "seed.archive+stat.age", "seed.dmc+stat.age",
    )  # fmt: skip

    sealed.approve()
    (review,) = read(sealed)
    assert (review.stage, review.approved_by) == ("approved", "p-second")
    assert review.root_checked is False
    sealed.activate()
    sealed.generate(2)
    assert [(review.number, review.stage) for review in read(sealed)] == [
        (1, "active"), (2, "sealed"),
    ]  # fmt: skip


@on_sqlite
def test_a_list_that_was_only_designed_has_no_root_yet(staffed: Installation) -> None:
    with audit.writing(staffed.deps, staffed.trial) as tx:
        log = audit.open_log(staffed.deps, tx, staffed.trial)
        stat = staffed.people["stat"]
        actor = accounts.require(tx, stat, Action.GENERATE_LIST, staffed.trial)
        log.append("design.frozen", actor, {"list": 1, "design_sha256": "0" * 64})
    (review,) = read(staffed)

    assert (review.stage, review.root, review.escrow) == ("designed", "", ())


@on_sqlite
def test_a_list_that_a_recovery_retired_is_told_as_such(back: Installation) -> None:
    recover(back, 1)

    assert read(back)[0].stage == "retired"


@on_sqlite
def test_an_approval_with_a_regenerated_root_is_told_as_such(sealed: Installation) -> None:
    root = sealed.state().lists[1].root
    lists.approve(sealed.deps, sealed.people["second"], sealed.trial, 1, root)

    assert read(sealed)[0].root_checked is True


@on_sqlite
def test_the_last_regeneration_is_told_whichever_it_was(active: Installation) -> None:
    root = active.state().lists[1].root
    for given in (root, "0" * 64):
        lists.log_regeneration(active.deps, active.people["dmc"], active.trial, 1, given)
    last = read(active)[0].regenerated

    entry = active.entries("list.regenerated")[-1]
    assert last is not None
    assert (last.seq, last.time) == (entry.seq, entry.time)
    assert (last.person, last.role, last.root_equal) == ("p-dmc", "dmc", False)


@on_sqlite
@pytest.mark.parametrize("username", ["doc", "manager", "guest"])
def test_lists_are_reviewed_by_oversight_alone(active: Installation, username: str) -> None:
    with pytest.raises(NotAllowedError):
        read(active, username)
