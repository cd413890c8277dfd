"""Who is there: signed-in browsers, and a rule at every route, or the program does not start.

The cookie is signed, and holds what guards forms and, once somebody has signed in, a random
token; who that is stands in the database, where it can be ended. A route says with `allow`,
`signed_in` or `everyone` who may come to it; one that says nothing stops the start, and what a
rule lets through is still asked by the service in its own transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import Flask, current_app, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from alloc_service.errors import (
    RouteWithoutRuleError,
    SecondFactorDueError,
    SessionEndedError,
    SignatureError,
)
from alloc_service.permissions import Action
from alloc_service.services import accounts, lookups, second_factor, sessions, throttle
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.services.sessions import Browser, SignedIn

View = TypeVar("View", bound=Callable[..., Any])

# Longer than any session lasts: a form that comes in after its session's end is still known to be
# ours, and what was typed in it is kept.
COOKIE_LASTS = timedelta(days=1)
_RULE = "access_rule"
_DEPS = "alloc"
_MISSING = "factor_missing"
# Whose form it is that comes in after the session has ended.
USERNAME = "username"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may come to a route.

    Attributes:
        public: Whether anybody may, signed in or not.
        action: What somebody must be allowed to do; none where it is enough to be signed in.
        unproved: Whether it is open before a second factor was shown.
    """

    public: bool = False
    unproved: bool = False
    action: Action | None = None


class User(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """Somebody who is signed in, as Flask-Login knows them."""

    def __init__(self, signed_in: SignedIn) -> None:
        self.signed_in = signed_in

    def get_id(self) -> str:
        """Return the token, which the cookie keeps."""
        return self.signed_in.token


def everyone(view: View) -> View:
    """Let anybody come to a route."""
    return _ruled(view, Rule(public=True))


def signed_in(view: View) -> View:
    """Let whoever is signed in come to a route."""
    return _ruled(view, Rule())


def before_second_factor(view: View) -> View:
    """Let whoever has typed a right password come, to show or set up a second factor."""
    return _ruled(view, Rule(unproved=True))


def allow(action: Action) -> Callable[[View], View]:
    """Let those come to a route who may do this: in its trial, at its site or enrolment's site.

    Where the route names no trial it is about the whole installation.
    """

    def rule(view: View) -> View:
        return _ruled(view, Rule(action=action))

    return rule


def init_login(app: Flask, deps: Deps) -> None:
    """Tell the application who is there, and ask every route's rule before it is followed."""
    app.extensions[_DEPS] = deps
    app.secret_key = deps.key_for("cookies")
    app.permanent_session_lifetime = COOKIE_LASTS
    manager = LoginManager(app)
    manager.session_protection = None  # a token that a proxy's address would end helps nobody
    manager.user_loader(lambda token: _find_user(deps, token))
    app.before_request(_ask_rule)


def require_rules(app: Flask) -> None:
    """Refuse to start where a route has no rule.

    Raises:
        RouteWithoutRuleError: It names the route.
    """
    for route in app.url_map.iter_rules():
        if rule_of(app, route.endpoint) is None:
            raise RouteWithoutRuleError(route=route.rule)


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """Return the rule of a route, or None where it has none."""
    if endpoint == "static":
        return Rule(public=True)
    return getattr(app.view_functions.get(endpoint), _RULE, None)


def deps_here() -> Deps:
    """Return what the services are given."""
    return cast("Deps", current_app.extensions[_DEPS])


def person_here() -> Person:
    """Return who is signed in.

    Raises:
        SessionEndedError: Nobody is.
    """
    return signed_in_here().person


def signed_in_here() -> SignedIn:
    """Return who is signed in, and until when.

    Raises:
        SessionEndedError: Nobody is.
    """
    if not current_user.is_authenticated:
        raise SessionEndedError
    return cast("User", current_user).signed_in


def is_signed_in() -> bool:
    """Tell whether anybody is signed in here."""
    return bool(current_user.is_authenticated)


def browser_here() -> Browser:
    """Return where this request comes from."""
    return Browser(request.remote_addr or "", request.user_agent.string)


def sign_in(username: str, password: str) -> SignedIn:
    """Sign somebody in, under a new token and with new guards of forms.

    Raises:
        AccessError: What `sessions.begin` raises.
        TooManyTriesError: It was tried too often from this address.
    """
    found = sessions.begin(deps_here(), username, password, browser_here())
    session.clear()
    session.permanent = True
    session[USERNAME] = username
    session[_MISSING] = second_factor.is_missing(deps_here(), found.person)
    login_user(User(found))
    return found


def prove_here(username: str, password: str) -> Person:
    """Return who is signed in, after user name and password were typed once more for an act.

    Raises:
        AccessError: They do not belong together, or are not of the one who is signed in.
        TooManyTriesError: It was tried too often from this address.
    """
    check = partial(accounts.authenticate, deps_here(), username, password)
    person = throttle.guarded(deps_here(), username, browser_here().address, check)
    if person != person_here():
        raise SignatureError(rule="the signature is of another person than the one signed in")
    return person


def sign_out() -> None:
    """End this session, here and in the database."""
    if is_signed_in():
        sessions.end(deps_here(), signed_in_here().token)
    logout_user()
    session.clear()


def require_here(action: Action, values: Mapping[str, object]) -> None:
    """Check that whoever is signed in may do this where a route's values name.

    That is a trial, a site of it, or an enrolment; without any, the whole installation.

    Raises:
        NotAllowedError: No grant that is held now allows it.
        UnknownRecordError: There is no such enrolment.
    """
    enrolment, site = values.get("enrolment"), values.get("site")
    if isinstance(enrolment, UUID):
        lookups.require_access_to(deps_here(), person_here(), action, enrolment)
        return
    at = None if site is None else str(site)
    lookups.require_access(deps_here(), person_here(), action, str(values.get("trial", "")), at)


def _ruled(view: View, rule: Rule) -> View:
    setattr(view, _RULE, rule)
    return view


def _find_user(deps: Deps, token: str) -> User | None:
    found = sessions.find(deps, token)
    return None if found is None else User(found)


def is_factor_missing() -> bool:
    """Tell whether somebody has to set up a second factor before anything else."""
    return bool(session.get(_MISSING))


def note_factor() -> None:
    """Note that a second factor is set up now."""
    session.pop(_MISSING, None)


def _ask_rule() -> None:
    if request.endpoint is None:
        return
    rule = rule_of(current_app, request.endpoint)
    if rule is None or rule.public:
        return
    here = signed_in_here()
    if not rule.unproved and (not here.proved or is_factor_missing()):
        raise SecondFactorDueError
    if rule.action is not None:
        require_here(rule.action, request.view_args or {})
