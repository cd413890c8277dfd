"""The administrator's pages of people: accounts, one-time passwords, roles from start to end."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from markupsafe import escape

from alloc_service.permissions import Grant, Role
from alloc_service.services import accounts, trials
from alloc_service.trial.definition import TrialDefinition
from tests.support.browser import Browser
from tests.support.installation import Installation
from tests.support.pages import browse_as
from tests.support.typed import NO_TEXT, TYPED, as_kept

NEW = {"username": "mei", "person": "p-mei", "name": "Dr Mei Lin", "organization": "XA01"}
OPTIONS = re.compile(r'<option value="([^"]*)"(?: selected)?>([^<]*)</option>')
ONCE = re.compile(r'<code class="once">([^<]+)</code>')

MAKE = "/users/guest/administrator"
END = f"{MAKE}/end"

Browse = Callable[..., Browser]


@pytest.fixture
def admin(active: Installation) -> Browser:
    """Return the administrator's browser, at the page of a new account."""
    return browse_as(active, "admin", "/add-user")


def role(trial: str = "TEST-SMALL", role: str = "dmc", site: str = "") -> dict[str, str]:
    return {"trial": trial, "role": role, "site": site}


def sites_of(browser: Browser) -> list[tuple[str, str]]:
    """Return the sites that a page offers: code and words."""
    return OPTIONS.findall(browser.page.partition('id="site"')[2])


def shown_once(browser: Browser) -> str:
    found = ONCE.search(browser.page)
    assert found is not None, browser.words
    return found[1]


# --- accounts ---------------------------------------------------------------------------------


def test_accounts_are_listed_with_their_roles_and_searched(admin: Browser) -> None:
    admin.get("/")
    assert 'href="/users"' in admin.page
    admin.get("/users")
    assert "doc Dr doc p-doc XA01 active Physician of XA01, TEST-SMALL" in admin.words
    assert "admin Ada Admin p-admin XA01 active Administrator, the installation" in admin.words
    assert "guest Dr guest p-guest XA01 active none" in admin.words

    admin.get("/users?q=P-DOC")
    assert "2 of 9 accounts" in admin.words
    assert "p-dmc" not in admin.words


@pytest.mark.parametrize("wanted", [text for text in TYPED.values() if text.strip()])
def test_a_search_for_anything_is_shown_as_it_was_typed(admin: Browser, wanted: str) -> None:
    admin.get(f"/users?q={quote(wanted)}")

    assert admin.answer.status_code == 200
    assert "No account holds" in admin.words
    assert f'value="{as_kept(wanted)}"' in admin.page


def test_a_new_account_s_password_is_shown_once_and_opens_its_own_change(
    active: Installation, admin: Browser, browse: Browse
) -> None:
    admin.post("/add-user", NEW)
    once = shown_once(admin)
    assert admin.answer.request.path == "/add-user"
    assert once not in str(admin.answer.headers)
    assert admin.answer.headers["Cache-Control"] == "no-store"

    for path in ("/add-user", "/users", "/users/mei", "/users?q=mei", "/users/mei/disable", "/"):
        admin.get(path)
        assert once not in admin.page
    admin.get("/add-user")
    admin.post("/add-user", NEW)  # reload sends the form again
    assert admin.answer.status_code == 422
    assert once not in admin.page
    owner = browse()
    owner.sign_in("mei", once)
    assert owner.title == "Choose your password"
    assert active.ask("SELECT person_id, display_name FROM account WHERE username = 'mei'") == [
        ("p-mei", "Dr Mei Lin")
    ]


CODES = [(field, text) for field in ("username", "person", "organization") for text in TYPED]


@pytest.mark.parametrize(
    ("field", "text"),
    [(field, TYPED[text]) for field, text in CODES] + [("name", text) for text in NO_TEXT.values()],
    ids=[f"{field} {text}" for field, text in CODES] + [f"name {text}" for text in NO_TEXT],
)
def test_a_field_of_a_new_account_that_is_refused_saves_nothing_and_keeps_all(
    active: Installation, admin: Browser, field: str, text: str
) -> None:
    before = active.ask("SELECT count(*) FROM account")

    admin.post("/add-user", {**NEW, field: text})

    assert admin.answer.status_code == 422
    assert admin.title.startswith("Error:")
    assert list(admin.errors) == [field]
    assert not admin.errors[field].endswith("..")
    for name, value in {**NEW, field: text}.items():
        assert f'name="{name}" type="text" value="{as_kept(value)}"' in admin.page
    assert active.ask("SELECT count(*) FROM account") == before


def test_everything_that_is_wrong_with_a_new_account_is_told_at_once(admin: Browser) -> None:
    admin.post("/add-user", {"username": "Mei Lin", "organization": "XA 01"})

    assert admin.errors == {
        "username": "User name: it must be 2 to 32 of a-z 0-9 . _ -.",
        "person": "Person: it must be 1 to 64 of A-Z a-z 0-9 . _ / @ -.",
        "name": "Printed name: it must have 1 to 100 characters.",
        "organization": "Organization: it must be 1 to 64 of A-Z a-z 0-9 . _ / @ -.",
    }


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "{{ 7 * 7 }}", 'O\'Néill "Mei"'])
def test_a_printed_name_may_hold_any_words_and_no_page_runs_them(admin: Browser, name: str) -> None:
    admin.post("/add-user", {**NEW, "name": name})
    shown_once(admin)
    for path in ("/users", "/users/mei", "/users/mei/disable"):
        admin.get(path)
        assert str(escape(name)) in admin.page


def test_a_user_name_is_never_given_to_another_person(active: Installation, admin: Browser) -> None:
    accounts.disable_account(active.deps, active.people["admin"], "guest")
    for username in ("guest", "doc"):
        admin.post("/add-user", {**NEW, "username": username})

        assert f"User name: {username} is or was in use" in admin.errors["username"]
        assert 'value="Dr Mei Lin"' in admin.page


def test_a_new_one_time_password_is_shown_once_and_ends_the_old_one(
    active: Installation, admin: Browser, browse: Browse
) -> None:
    doc = browse("doc")
    admin.get("/users/doc")
    admin.post("/users/doc/password")
    once = shown_once(admin)
    assert admin.answer.request.path == "/users/doc/password"
    doc.get("/account")
    assert doc.title == "Sign in"
    admin.get("/users/doc")
    assert once not in admin.page
    assert "State one-time password" in admin.words
    admin.get("/users/doc/password")
    assert admin.answer.status_code == 405

    doc.sign_in("doc", once)
    assert doc.title == "Choose your password"
    assert len(active.entries("user.changed")) == 1


def test_an_account_is_disabled_after_a_question(active: Installation, admin: Browser) -> None:
    admin.get("/users/guest/disable")
    assert "Disable guest for ever?" in admin.words
    assert active.sign_in("guest").id == "p-guest"
    admin.post("/users/guest/disable")

    assert "The account is disabled, for ever." in admin.words
    for gone in ("Give the role", "Give a new one-time password"):
        assert gone not in admin.words
    for path in ("password", "disable"):
        admin.post(f"/users/guest/{path}")
        assert admin.answer.status_code == 422
        assert admin.errors == {"account": "Nothing was changed: it is disabled, for ever."}


@pytest.mark.parametrize("username", [text for text in TYPED.values() if text and "/" not in text])
def test_an_account_that_there_is_not_is_not_found(admin: Browser, username: str) -> None:
    for path in ("", "/disable", "/administrator", "/administrator/end"):
        admin.get(f"/users/{quote(username)}{path}")
        assert admin.answer.status_code == 404
    admin.get("/add-user")
    for path in ("password", "disable", "roles", "roles/end", "administrator",
                 "administrator/end"):  # fmt: skip
        admin.post(f"/users/{quote(username)}/{path}", role())
        assert admin.answer.status_code == 404
        assert not username.strip() or username not in admin.page


# --- roles ------------------------------------------------------------------------------------


def test_a_role_is_given_and_ended_and_shown_from_start_to_end_oldest_first(
    active: Installation, admin: Browser
) -> None:
    admin.get("/users/guest")
    assert "This account never had a role." in admin.words
    admin.post("/users/guest/roles", role(role="physician", site="XA01"))
    assert "The role is given; it is held from now on." in admin.words
    active.clock.advance(minutes=5)
    admin.post("/users/guest/roles/end", role(role="physician", site="XA01"))
    assert "The role has ended; it opens nothing more." in admin.words
    active.clock.advance(minutes=5)
    admin.post("/users/guest/roles", role(role="manager"))

    told = admin.words
    first = told.index(
        "Physician TEST-SMALL, site XA01 2026-03-02 02:00:00 UTC by admin 2026-03-02 02:05:00 UTC"
    )
    assert first < told.index("Trial manager TEST-SMALL 2026-03-02 02:10:00 UTC by admin End")
    (entry,) = active.entries("grant.ended")
    assert (entry.body["subject"], entry.actor_id) == ("p-guest", "p-admin")


@pytest.mark.parametrize("site", [text for text in TYPED.values() if text.strip()])
def test_a_site_that_there_is_not_is_refused_beside_the_field(
    active: Installation, admin: Browser, site: str
) -> None:
    size = active.state().size
    admin.post("/users/guest/roles", role(role="physician", site=site))

    assert admin.answer.status_code == 422
    assert list(admin.errors) == ["site"]
    assert "Its sites are: XA01, BE02" in admin.errors["site"]
    assert '<option value="">no site</option>' in admin.page
    assert '<option value="TEST-SMALL" selected>' in admin.page
    assert 'value="physician" id="role" checked' in admin.page
    assert active.state().size == size


def test_a_site_is_chosen_from_those_of_the_trials(active: Installation, admin: Browser) -> None:
    names = {site.code: escape(site.name) for site in active.definition.sites}
    admin.get("/users/guest")
    assert sites_of(admin) == [
        ("", "no site"), ("XA01", f"XA01, {names['XA01']}"), ("BE02", f"BE02, {names['BE02']}"),
    ]  # fmt: skip

    other = active.definition.model_dump(by_alias=True, exclude_none=True)
    other |= {"id": "TEST-OTHER", "sites": [other["sites"][0], other["sites"][1]]}
    other["sites"][1] |= {"code": "LY03", "name": "A <third> site"}
    definition = TrialDefinition.model_validate(other)
    trials.create(active.deps, active.people["admin"], definition)
    admin.get("/users/guest")
    assert sites_of(admin) == [
        ("", "no site"),
        ("XA01", f"XA01, {names['XA01']} (TEST-OTHER, TEST-SMALL)"),
        ("LY03", "LY03, A &lt;third&gt; site (TEST-OTHER)"),
        ("BE02", f"BE02, {names['BE02']} (TEST-SMALL)"),
    ]
    admin.post("/users/guest/roles", role(role="physician", site="LY03"))
    assert "Its sites are: XA01, BE02" in admin.errors["site"]
    assert '<option value="LY03" selected>' in admin.page
    admin.post("/users/guest/roles", role(trial="TEST-OTHER", role="physician", site="LY03"))
    assert "Physician TEST-OTHER, site LY03" in admin.words


@pytest.mark.parametrize(
    ("name", "site"), [("physician", ""), ("physician", "  "), ("dmc", "XA01")]
)
def test_a_physician_needs_a_site_and_nobody_else_has_one(
    active: Installation, admin: Browser, name: str, site: str
) -> None:
    admin.post("/users/guest/roles", role(role=name, site=site))

    assert admin.answer.status_code == 422
    assert admin.errors["site"].startswith("Site: a physician's role is held at one site")
    assert active.ask("SELECT count(*) FROM role_grant WHERE role = 'dmc'") == [(1,)]


@pytest.mark.parametrize("typed", TYPED.values(), ids=TYPED)
def test_a_trial_or_a_role_that_there_is_not_is_asked_for_again(
    active: Installation, admin: Browser, typed: str
) -> None:
    size = active.state().size
    admin.post("/users/guest/roles", role(trial=typed))
    assert list(admin.errors) == ["trial"]
    assert 'value="dmc" checked' in admin.page
    admin.post("/users/guest/roles", role(role=typed))
    assert admin.errors == {"role": "Role: choose one."}
    assert '<option value="TEST-SMALL" selected>' in admin.page
    admin.post("/users/guest/roles/end", role(role=typed))
    assert admin.answer.status_code == 400

    assert active.state().size == size


def test_roles_that_exclude_each_other_are_refused_with_the_reason_and_nothing_is_lost(
    active: Installation, admin: Browser
) -> None:
    grant = Grant(Role.STATISTICIAN)
    accounts.end_grant(active.deps, active.people["admin"], active.trial, "stat", grant)
    size = active.state().size

    admin.post("/users/stat/roles", role(role="physician", site="XA01"))

    assert admin.answer.status_code == 422
    assert "holds or ever held statistician in this trial" in admin.errors["role"]
    assert 'value="physician" id="role" checked' in admin.page
    assert '<option value="XA01" selected>' in admin.page
    assert active.state().size == size


def test_a_role_that_excludes_others_is_seen_in_the_person_s_other_account(
    active: Installation, admin: Browser
) -> None:
    active.add_account("stat2", person="p-stat")

    admin.get("/users/stat2")

    assert "Other accounts of this person stat" in admin.words


def test_a_role_is_given_once_and_ended_once(admin: Browser) -> None:
    admin.post("/users/dmc/roles", role())
    assert admin.errors == {"role": "Role: it holds the role dmc already."}
    admin.post("/users/dmc/roles/end", role())
    admin.post("/users/dmc/roles/end", role())
    assert admin.answer.status_code == 422
    assert admin.errors == {"roles": "Nothing was changed: it does not hold the role dmc."}


def test_nobody_changes_their_own_account_or_roles_not_even_in_a_second_account(
    active: Installation, admin: Browser
) -> None:
    active.add_account("admin2", person="p-admin")
    accounts.add_administrator(active.deps, active.people["admin"], "guest")
    accounts.add_grant(
        active.deps, active.people["guest"], active.trial, "admin", Grant(Role.MANAGER)
    )
    size = active.state().size
    for username in ("admin", "admin2"):
        admin.get(f"/users/{username}")
        assert "This is you. Nobody changes their own account or roles" in admin.words
        assert "<button>" not in admin.page.replace('<button class="link">', "")
        for path in ("password", "disable", "roles", "roles/end"):
            admin.post(f"/users/{username}/{path}", role(role="manager"))
            assert admin.answer.status_code == 403
            assert "ask another administrator" in admin.words

    assert active.state().size == size
    assert active.sign_in("admin").id == "p-admin"


def test_looking_changes_nothing(active: Installation, admin: Browser) -> None:
    size = active.state().size
    before = active.ask("SELECT count(*) FROM account")
    for path in (
        "/users",
        "/users/doc",
        "/users/doc/disable",
        MAKE,
        END,
        "/add-user?username=mei&person=p",
    ):
        admin.get(path)

    assert active.state().size == size
    assert active.ask("SELECT count(*) FROM account") == before
    assert active.sign_in("doc").id == "p-doc"


# --- what an administrator never sees ---------------------------------------------------------


def test_no_participant_arm_or_block_size_is_on_any_page_of_an_administrator(
    active: Installation, admin: Browser
) -> None:
    for number in range(3):
        active.allocate(f"Q-00{number}")
    pages = ["/", "/help", "/account", "/users", "/add-user", "/users/doc", "/users/admin",
             "/users/doc/disable", MAKE, END, "/installation", "/add-trial"]  # fmt: skip
    posts = [("/add-user", NEW), ("/add-user", {}), ("/users/doc/password", {}), ("/add-trial", {}),
             ("/users/guest/roles", role()), ("/users/guest/roles", role(role="physician")),
             ("/users/guest/roles/end", role()), ("/users/doc/administrator", {}), (END, {}),
             ("/users/far/disable", {})]  # fmt: skip
    enrolments = [str(row[0]) for row in active.ask("SELECT id FROM enrolment")]
    secrets = ["7Q", "Sunrise", "Moonset", "Get up", "Lie down", "Q-00", *enrolments]
    for path, fields in [*((path, None) for path in pages), *posts]:
        if fields is None:
            admin.get(path)
        else:
            admin.post(path, fields)
        assert admin.answer.status_code in {200, 422}, (path, admin.words)
        for secret in secrets:
            assert secret not in admin.content, (path, secret)
        assert not re.search(r"\b(2|4|6) (slots?|participants)|block (of|size)\b", admin.words), (
            path
        )
