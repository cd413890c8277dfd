"""Bare Flask routes under the same server: the floor of `bench.pages`.

`/reveal` parses a form and makes one bare step; `/password` verifies one Argon2id hash. Each
answers with as many bytes as the page of an allocation has.
"""

import os
import threading
from contextlib import nullcontext
from pathlib import Path

from argon2 import PasswordHasher
from flask import Flask, request
from flask.typing import ResponseReturnValue

from bench.bare import Bare
from bench.installation import PASSWORD

FOLDER, URL = "BARE_FOLDER", "BARE_URL"
_PAGE = "x" * 7_168


def create_app() -> Flask:
    """Return the application; SQLite's one writer has one connection, under a lock."""
    app = Flask(__name__)
    hasher = PasswordHasher()
    stored = hasher.hash(PASSWORD)
    folder, url = Path(os.environ[FOLDER]), os.environ.get(URL, "")
    turn = nullcontext() if url else threading.Lock()
    local = threading.local() if url else _Kept()

    @app.get("/healthz")
    def tell_health() -> ResponseReturnValue:
        return "well"

    @app.post("/reveal")
    def reveal() -> ResponseReturnValue:
        if not request.form["username"]:
            return "", 403
        with turn:
            if not hasattr(local, "bare"):
                local.bare = Bare(folder, url)
            local.bare.step()
        return _PAGE

    @app.post("/password")
    def check_password() -> ResponseReturnValue:
        hasher.verify(stored, request.form["password"])
        return _PAGE

    return app


class _Kept:
    """What one process keeps, for all its threads."""

    bare: Bare
