"""The application: wires everything, answers how well it is, maps refusals to HTTP once.

At the start the settings, keys, database and schema are checked, and every log is shown to the
sealer; what is unsafe stops the start. There are no pages here yet: people work on the command
line, and `GET /healthz` tells a supervisor whether allocations can be made.
"""

import os
from collections.abc import Mapping

from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue

from alloc_service.config import Settings
from alloc_service.errors import (
    AccessError,
    InputError,
    IntegrityError,
    OperationError,
    RefusalError,
    StateError,
)
from alloc_service.services import health
from alloc_service.services.deps import Deps, open_deps

# The one table that turns a branch of refusals into a status.
STATUS: Mapping[type[RefusalError], int] = {
    InputError: 422,
    AccessError: 403,
    StateError: 409,
    IntegrityError: 500,
    OperationError: 503,
}


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """Return the application, or refuse to start.

    Raises:
        OperationError: A setting, a key file, the register or the database is not as it must be.
    """
    deps = open_deps(Settings.from_environment(environ))
    health.start(deps)
    app = Flask(__name__)
    app.add_url_rule("/healthz", view_func=lambda: _tell_health(deps), endpoint="healthz")
    app.register_error_handler(RefusalError, _refuse)
    app.after_request(_harden)
    return app


def _tell_health(deps: Deps) -> ResponseReturnValue:
    """Answer 200 where every trial can allocate, as far as the machine goes; else 503."""
    problems = sorted(set(health.check(deps).values()))
    status = 503 if problems else 200
    return jsonify(status="unwell" if problems else "well", problems=problems), status


def _refuse(error: RefusalError) -> ResponseReturnValue:
    status = next(code for branch, code in STATUS.items() if isinstance(error, branch))
    return jsonify(code=error.code, detail=str(error)), status


def _harden(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = "default-src 'self'"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
