"""A form that came in after its session had ended: kept for after the sign-in, in the browser.

Nothing of it is stored here. It goes back to the browser signed, so that nobody else can make
one, names whose session it was, and holds no password. It came with a valid token of our forms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import current_app
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.datastructures import MultiDict

_LASTS = 24 * 3_600
_NEVER_KEPT = ("csrf_token", "again", "kept")
_OF_PASSWORDS = "password"  # in the name of every field that asks for one, but for `again`


@dataclass(frozen=True, slots=True)
class Kept:
    """A form that waits for its sender.

    Attributes:
        path: Where it was sent to.
        fields: What was typed, by field, each with all its values.
        username: Whose session it was, or "".
    """

    path: str
    fields: Mapping[str, list[str]]
    username: str


def keep(path: str, form: MultiDict[str, str], username: str) -> str:
    """Return a form as a text for the sign-in page."""
    fields = {
        name: form.getlist(name)
        for name in form
        if name not in _NEVER_KEPT and _OF_PASSWORDS not in name
    }
    return _signer().dumps({"path": path.rstrip("?"), "fields": fields, "username": username})


def read(text: str) -> Kept | None:
    """Return the form of such a text, or None where it is not ours or too old."""
    try:
        found = _signer().loads(text, max_age=_LASTS)
    except BadSignature:
        return None
    return Kept(found["path"], found["fields"], found["username"])


def is_local(path: str) -> bool:
    """Tell whether an address to go on to is one of this service."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or b"", salt="rac-kept-form/1")
