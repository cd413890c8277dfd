"""The application: wires everything, maps refusals to HTTP once, hardens every answer.

At the start the settings, keys, database and schema are checked, every log is shown to the
sealer, and every route must have its access rule; what is unsafe stops the start. `GET /healthz`
tells a supervisor whether allocations can be made.
"""

import os
import secrets
from collections.abc import Mapping

from flask import Flask, Response, g, jsonify, request
from flask.typing import ResponseReturnValue
from flask_babel import Babel
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from alloc_service import web
from alloc_service.config import Settings, WebSettings
from alloc_service.errors import (
    AccessError,
    InputError,
    IntegrityError,
    OperationError,
    PaceError,
    RefusalError,
    StateError,
)
from alloc_service.login import everyone, init_login, require_rules
from alloc_service.services import health
from alloc_service.services.deps import Deps, open_deps

# The one table that turns a branch of refusals into a status.
STATUS: Mapping[type[RefusalError], int] = {
    InputError: 422,
    AccessError: 403,
    PaceError: 429,
    StateError: 409,
    IntegrityError: 500,
    OperationError: 503,
}
LARGEST_REQUEST = 8 * 2**20
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """Return the application, or refuse to start.

    Raises:
        OperationError: A setting, a key file, the register or the database is not as it must be.
    """
    settings = WebSettings.from_environment(environ)
    deps = open_deps(Settings.from_environment(environ))
    health.start(deps)
    return build_app(deps, settings)


def build_app(deps: Deps, settings: WebSettings) -> Flask:
    """Return the application over services that are open.

    Raises:
        RouteWithoutRuleError: A route says nothing of who may come to it.
    """
    app = Flask(__name__, template_folder="web/templates", static_folder="web/static")
    app.config.update(
        BABEL_TRANSLATION_DIRECTORIES="web/translations",
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        SESSION_COOKIE_NAME="alloc" if settings.plain_http else "__Host-alloc",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=not settings.plain_http,
        SESSION_REFRESH_EACH_REQUEST=False,  # it outlasts every session of ours from the start
        TRUSTED_HOSTS=[deps.host, "localhost", "127.0.0.1"],
        WTF_CSRF_TIME_LIMIT=None,  # it lasts as long as the cookie that it is compared with
        WTF_CSRF_SSL_STRICT=False,  # no referrer is ever sent; SameSite and the token do it
    )
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Werkzeug documents it
        app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies
    )
    app.before_request(_name_request)
    CSRFProtect(app)
    Babel(app)
    init_login(app, deps)
    web.init_pages(app, STATUS)
    app.add_url_rule("/healthz", view_func=_health_of(deps), endpoint="healthz")
    app.after_request(_harden)
    require_rules(app)
    return app


def _health_of(deps: Deps) -> web.View:
    @everyone
    def tell_health() -> ResponseReturnValue:
        """Answer 200 where every trial can allocate, as far as the machine goes; else 503."""
        try:
            problems = sorted(set(health.check(deps).values()))
        except RefusalError as error:
            return jsonify(code=error.code, detail=str(error)), 503
        status = 503 if problems else 200
        return jsonify(status="unwell" if problems else "well", problems=problems), status

    return tell_health


def _name_request() -> None:
    g.request_id = secrets.token_hex(4)


def _harden(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.headers["X-Request-Id"] = g.get("request_id", "")
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if response.mimetype == "text/html" and b"\0" in response.get_data():
        # What was typed is shown again, and no page may hold this; browsers show the same.
        response.set_data(response.get_data().replace(b"\0", "\ufffd".encode()))
    if request.endpoint == "static":
        response.headers["Cache-Control"] = "public, max-age=3600"
    return response
