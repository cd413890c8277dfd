"""Administrators of the whole installation: made and ended by another one, after a question."""

from collections.abc import Callable

import pytest

from alloc_service.services import accounts
from tests.support.browser import Browser
from tests.support.installation import Installation
from tests.support.pages import browse_as

MAKE = "/users/guest/administrator"
END = f"{MAKE}/end"

Browse = Callable[..., Browser]


@pytest.fixture
def admin(active: Installation) -> Browser:
    """Return the administrator's browser, at the page of a new account."""
    return browse_as(active, "admin", "/add-user")


def test_an_administrator_of_the_whole_installation_is_made_and_ended_each_after_a_question(
    active: Installation, admin: Browser, browse: Browse
) -> None:
    admin.get("/users/guest")
    assert f'href="{MAKE}"' in admin.page
    admin.get(MAKE)
    assert "Make guest administrator of the whole installation?" in admin.words
    assert "The log of every trial says so, for ever." in admin.words
    assert active.entries("grant.added")[-1].body["subject"] != "p-guest"
    admin.post(MAKE)

    assert "This person administers the whole installation from now on." in admin.words
    assert f'href="{MAKE}"' not in admin.page
    assert f'href="{END}"' in admin.page
    guest = browse("guest")
    assert guest.get("/users").status_code == 200
    admin.get(END)
    assert "End guest's role in the whole installation?" in admin.words
    assert active.entries("grant.ended") == []
    admin.post(END)

    assert "This person administers nothing any more." in admin.words
    assert f'href="{MAKE}"' in admin.page
    assert guest.get("/users").status_code == 403
    (entry,) = active.entries("grant.ended")
    assert (entry.body["subject"], entry.body["role"]) == ("p-guest", "administrator")


def test_an_account_that_cannot_be_made_administrator_has_a_page_that_says_why_and_no_button(
    active: Installation, admin: Browser
) -> None:
    active.add_account("admin2", person="p-admin")
    accounts.disable_account(active.deps, active.people["admin"], "guest")
    accounts.add_administrator(active.deps, active.people["admin"], "manager")
    size = active.state().size
    for username, told, status in (
        ("admin", "This is you. Nobody changes their own account or roles", 403),
        ("admin2", "This is you. Nobody changes their own account or roles", 403),
        ("guest", "The account is disabled, for ever: it is given no role.", 422),
        ("manager", "This account administers the whole installation already.", 422),
    ):
        admin.get(f"/users/{username}/administrator")
        assert told in admin.words
        assert "<button>" not in admin.page
        admin.post(f"/users/{username}/administrator")
        assert admin.answer.status_code == status
        if status == 422:
            assert admin.errors["account"].startswith("Nothing was changed: it ")
    assert active.state().size == size


@pytest.mark.parametrize(
    ("username", "name"),
    [
        ("doc", "Physician"),
        ("stat", "Statistician"),
        ("second", "Second statistician"),
        ("dmc", "Data monitoring committee"),
    ],
)
def test_whoever_ever_had_a_part_in_a_trial_is_refused_with_the_role_that_it_was(
    active: Installation, admin: Browser, username: str, name: str
) -> None:
    active.add_account("twin", person=f"p-{username}")
    for account in (username, "twin"):
        admin.get(f"/users/{account}/administrator")
        admin.post(f"/users/{account}/administrator")

        assert admin.answer.status_code == 422
        assert admin.title.startswith("Error:")
        assert f"holds, or once held, the role {name} in a trial" in admin.errors["account"]
        assert "this trial" not in admin.words


def test_nobody_ends_an_own_role_or_one_that_is_not_held(
    active: Installation, admin: Browser
) -> None:
    size = active.state().size
    for username, told, status in (
        ("admin", "This is you. Nobody changes their own account or roles", 403),
        ("manager", "This account does not administer the whole installation.", 422),
    ):
        admin.get(f"/users/{username}/administrator/end")
        assert told in admin.words
        assert "<button>" not in admin.page
        admin.post(f"/users/{username}/administrator/end")
        assert admin.answer.status_code == status
    assert admin.errors == {
        "account": "Nothing was changed: it does not administer the whole installation."
    }
    assert active.state().size == size


def test_a_disabled_administrator_s_role_can_be_ended(active: Installation, admin: Browser) -> None:
    accounts.add_administrator(active.deps, active.people["admin"], "guest")
    accounts.disable_account(active.deps, active.people["admin"], "guest")
    admin.get("/users/guest")
    assert f'href="{END}"' in admin.page

    admin.get(END)
    admin.post(END)

    assert "This person administers nothing any more." in admin.words
