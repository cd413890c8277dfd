"""Who may come to which page: every route for every role, at the own site and at another one."""

from collections.abc import Callable
from itertools import product
from uuid import UUID

import pytest
from flask import Flask

from alloc_service.errors import RouteWithoutRuleError
from alloc_service.login import Rule, require_rules, rule_of
from alloc_service.permissions import ALLOWED, Grant, Role
from alloc_service.services import accounts
from tests.support.browser import Browser
from tests.support.installation import Installation, type_small
from tests.support.routes import routes_of

Browse = Callable[..., Browser]

SEVEN = str(UUID(int=7))
PEOPLE = {
    "doc": (Role.PHYSICIAN, "XA01"),
    "far": (Role.PHYSICIAN, "BE02"),
    "stat": (Role.STATISTICIAN, ""),
    "second": (Role.SECOND_STATISTICIAN, ""),
    "dmc": (Role.DMC, ""),
    "manager": (Role.MANAGER, ""),
    "admin": (Role.ADMINISTRATOR, ""),
    "guest": (None, ""),
    "": (None, ""),
}


def may(rule: Rule, username: str, *, sited: bool) -> bool:
    """Tell from the table of permissions whether somebody may come."""
    role, site = PEOPLE[username]
    if rule.public:
        return True
    if not username:
        return False
    if rule.action is None:
        return True
    if role is None or role not in ALLOWED[rule.action]:
        return False
    return not sited or role is not Role.PHYSICIAN or site == "XA01"


@pytest.fixture
def seven(active: Installation) -> Installation:
    """Return the installation with an enrolment of the site whose id is 7."""
    draft = active.enrol(type_small("P-777"))
    active.attack("UPDATE enrolment SET id = :new WHERE id = :old",
                  new=UUID(int=7).hex, old=draft.id.hex)  # fmt: skip
    return active


@pytest.mark.parametrize("username", PEOPLE)
def test_every_route_opens_to_the_roles_of_its_rule_and_to_nobody_else(
    seven: Installation, app: Flask, browse: Browse, username: str
) -> None:
    assert seven.trial == "TEST-SMALL"
    told = []
    for method, path, endpoint in routes_of(app, SEVEN):
        browser = browse(username)
        browser.get("/help" if username else "/sign-in")
        rule = rule_of(app, endpoint)
        assert rule is not None
        sited = "/sites/" in path or "/enrolments/" in path
        if method == "GET":
            answer = browser.client.get(path)
        else:
            answer = browser.client.post(path, data={"csrf_token": browser.token})
        text = answer.get_data().decode(errors="replace")  # a file may be no text
        answer.close()
        if username:
            came = "<code>not-allowed</code>" not in text
        else:
            came = answer.status_code not in {401, 303} or rule.public
        if came != may(rule, username, sited=sited):
            told.append((method, path, answer.status_code))

    assert told == []


def test_a_route_without_a_rule_stops_the_start(app: Flask) -> None:
    app.view_functions["forgotten"] = lambda: ""
    app.url_map.add(app.url_rule_class("/forgotten", endpoint="forgotten"))

    with pytest.raises(RouteWithoutRuleError, match="/forgotten"):
        require_rules(app)


def test_every_post_needs_a_token_of_our_own_forms(app: Flask, browse: Browse) -> None:
    for username, (method, path, _) in product(("", "doc"), routes_of(app, SEVEN)):
        if method == "POST":
            browser = browse(username)
            for token in ({}, {"csrf_token": "made-up"}):
                assert browser.client.post(path, data=token).status_code == 400


def test_a_role_that_ends_while_somebody_is_signed_in_opens_nothing_more(
    active: Installation, doc: Browser
) -> None:
    path = "/trials/TEST-SMALL/sites/XA01/participants"
    assert doc.get(path).status_code == 200
    accounts.end_grant(
        active.deps, active.people["admin"], active.trial, "doc", Grant(Role.PHYSICIAN, "XA01")
    )

    assert doc.get(path).status_code == 403
