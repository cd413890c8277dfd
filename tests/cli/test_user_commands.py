"""`alloc user`: people, roles and passwords, and the identity that every act needs."""

import json

import pyotp
import pytest

from alloc_service.services import second_factor
from tests.support.shell import (
    SITE,
    TRIAL,
    Golden,
    House,
    Shell,
    password_of,
)

NEW = ("--person", "P-li", "--name", "Li Na", "--organization", SITE)


def add(shell: Shell, user: str = "li.na") -> str:
    outcome = shell("user", "add", user, *NEW, "--json", by="ada")
    assert outcome.code == 0
    return str(json.loads(outcome.out)["one_time_password"])


@pytest.mark.usefixtures("staffed")
def test_a_new_account_has_a_one_time_password_that_opens_nothing(shell: Shell) -> None:
    once = add(shell)

    outcome = shell(
        "report", "totals", TRIAL, "--as", "li.na", "--password-fd", "{fd}", lines=[once]
    )

    assert outcome.code == 1
    assert "alloc user password li.na" in outcome.err
    assert "[password-change-due]" in outcome.err


@pytest.mark.usefixtures("staffed")
def test_its_owner_changes_it_by_two_lines_of_one_descriptor(shell: Shell) -> None:
    once = add(shell)

    changed = shell(
        "user", "password", "li.na", "--password-fd", "{fd}", "--new-password-fd", "{fd}",
        lines=[once, password_of("li.na")],
    )  # fmt: skip

    assert changed.code == 0
    assert shell("report", "totals", TRIAL, by="li.na").err.endswith("[not-allowed]\n")


@pytest.mark.usefixtures("staffed")
def test_the_one_time_password_is_shown_once_in_words(shell: Shell, golden: Golden) -> None:
    outcome = shell("user", "add", "li.na", *NEW, by="ada")

    assert outcome.code == 0
    golden("user-add", outcome.out)


@pytest.mark.usefixtures("staffed")
def test_a_reset_gives_a_new_one_time_password(shell: Shell) -> None:
    outcome = shell("user", "reset", "doc", "--json", by="ada")

    assert outcome.code == 0
    assert len(json.loads(outcome.out)["one_time_password"]) == 26
    assert "[wrong-password]" in shell("report", "totals", TRIAL, by="doc").err


def test_a_lost_second_factor_is_taken_away_by_an_administrator(
    staffed: House, shell: Shell
) -> None:
    with staffed.opened() as deps:
        stat = staffed.person(deps, "stat")
        new = second_factor.begin(deps, stat, "stat")
        second_factor.confirm(deps, stat, pyotp.TOTP(new.secret).now())

    assert "[not-allowed]" in shell("user", "drop-factor", "stat", by="doc").err
    outcome = shell("user", "drop-factor", "stat", by="ada")

    assert outcome.code == 0
    with staffed.opened() as deps:
        assert not second_factor.is_asked(deps, staffed.person(deps, "stat"))


@pytest.mark.usefixtures("staffed")
def test_a_name_that_was_used_is_refused(shell: Shell) -> None:
    outcome = shell("user", "add", "doc", *NEW, by="ada")

    assert outcome.code == 1
    assert "is or was in use" in outcome.err


@pytest.mark.usefixtures("staffed")
def test_a_disabled_account_opens_nothing_and_is_listed_so(shell: Shell) -> None:
    assert shell("user", "disable", "doc", by="ada").code == 0

    assert "[wrong-password]" in shell("report", "totals", TRIAL, by="doc").err
    rows = json.loads(shell("user", "list", "--json", by="ada").out)
    assert {row["user"]: row["state"] for row in rows}["doc"] == "disabled"


@pytest.mark.usefixtures("staffed")
def test_the_list_of_accounts_shows_roles_and_is_for_administrators(
    shell: Shell, golden: Golden
) -> None:
    outcome = shell("user", "list", by="ada")

    assert outcome.code == 0
    golden("user-list", outcome.out)
    assert "[not-allowed]" in shell("user", "list", by="manager").err


@pytest.mark.usefixtures("staffed")
def test_a_role_is_given_and_ended(shell: Shell) -> None:
    add(shell)

    given = shell("user", "grant", TRIAL, "li.na", "physician", "--site", SITE, by="ada")
    ended = shell("user", "revoke", TRIAL, "li.na", "physician", "--site", SITE, by="ada")
    again = shell("user", "revoke", TRIAL, "li.na", "physician", "--site", SITE, by="ada")

    assert given.out == f"li.na is physician of site {SITE} in {TRIAL}.\n"
    assert ended.out == f"li.na is no longer physician of site {SITE} in {TRIAL}.\n"
    assert again.code == 1


@pytest.mark.usefixtures("staffed")
def test_a_further_administrator_is_made_and_ended_by_another_one(shell: Shell) -> None:
    once = add(shell)
    shell(
        "user", "password", "li.na", "--password-fd", "{fd}", "--new-password-fd", "{fd}",
        lines=[once, password_of("li.na")],
    )  # fmt: skip
    assert "[not-allowed]" in shell("user", "list", by="li.na").err

    made = shell("user", "add-administrator", "li.na", by="ada")
    assert made.out == "li.na is an administrator of the whole installation.\n"
    assert shell("user", "list", by="li.na").code == 0
    own = shell("user", "end-administrator", "li.na", by="li.na")
    ended = shell("user", "end-administrator", "li.na", by="ada")
    again = shell("user", "end-administrator", "li.na", by="ada")

    assert "[self-grant]" in own.err
    assert ended.out == "li.na is no longer an administrator.\n"
    assert "[not-allowed]" in shell("user", "list", by="li.na").err
    assert "it does not administer the whole installation" in again.err


@pytest.mark.usefixtures("staffed")
def test_a_physician_never_becomes_an_administrator(shell: Shell) -> None:
    outcome = shell("user", "add-administrator", "doc", by="ada")

    assert outcome.code == 1
    assert "[disjoint-roles]" in outcome.err


@pytest.mark.usefixtures("staffed")
def test_a_list_maker_never_becomes_a_physician(shell: Shell) -> None:
    outcome = shell("user", "grant", TRIAL, "stat", "physician", "--site", SITE, by="ada")

    assert outcome.code == 1
    assert "[disjoint-roles]" in outcome.err


@pytest.mark.parametrize("role", ["manager", "physician"])
@pytest.mark.usefixtures("staffed")
def test_a_site_goes_with_a_physician_and_with_nobody_else(shell: Shell, role: str) -> None:
    site = ["--site", SITE] if role == "manager" else []

    outcome = shell("user", "grant", TRIAL, "doc", role, *site, by="ada")

    assert outcome.code == 2
    assert "give --site with it" in outcome.err


@pytest.mark.usefixtures("staffed")
def test_an_unknown_role_is_wrong_use(shell: Shell) -> None:
    assert shell("user", "grant", TRIAL, "doc", "owner", by="ada").code == 2


@pytest.mark.usefixtures("staffed")
def test_a_wrong_password_and_an_unknown_user_get_the_same_words(shell: Shell) -> None:
    wrong = shell("user", "list", "--as", "ada", "--password-fd", "{fd}", lines=["not this one"])
    unknown = shell("user", "list", "--as", "eve", "--password-fd", "{fd}", lines=["not this one"])

    assert wrong.code == 1
    assert wrong.err == unknown.err
    assert "[wrong-password]" in wrong.err


@pytest.mark.usefixtures("staffed")
def test_nothing_acts_as_somebody_without_a_password(shell: Shell) -> None:
    outcome = shell("user", "list", "--as", "ada")

    assert outcome.code == 2
    assert "There is no terminal to ask at: give --as USER and --password-fd N." in outcome.err


@pytest.mark.usefixtures("staffed")
def test_nobody_acts_without_saying_who_they_are(shell: Shell) -> None:
    outcome = shell("user", "list", "--password-fd", "{fd}", lines=[password_of("ada")])

    assert outcome.code == 2


@pytest.mark.usefixtures("staffed")
def test_a_descriptor_that_gives_nothing_is_wrong_use(shell: Shell) -> None:
    for fd in ("250", "x", "-1", "9" * 30):
        outcome = shell("user", "list", "--as", "ada", "--password-fd", fd)
        assert outcome.code == 2, fd


@pytest.mark.usefixtures("staffed")
def test_an_empty_line_and_bytes_that_are_no_text_are_wrong_use(shell: Shell) -> None:
    outcome = shell("user", "list", "--as", "ada", "--password-fd", "{fd}", lines=["", "x"])

    assert outcome.code == 2
    assert "gives no password" in outcome.err


@pytest.mark.usefixtures("staffed")
def test_no_password_is_ever_written(shell: Shell) -> None:
    for outcome in (shell("user", "list", by="ada"), shell("user", "disable", "ada", by="ada")):
        assert password_of("ada") not in outcome.out + outcome.err
