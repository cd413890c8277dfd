"""Somebody at a browser without JavaScript: follows links, fills forms, keeps cookies."""

import html
import re
from collections.abc import Mapping

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.installation import password_of

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_ERROR = re.compile(r'<p class="error" id="([^"]+)-error">.*?</span> (.*?)</p>', re.DOTALL)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


class Browser:
    """One browser with one set of cookies.

    Attributes:
        page: The text of the page that is shown.
        answer: The whole of the last answer.
    """

    def __init__(self, client: FlaskClient, address: str = "127.0.0.1") -> None:
        self.client = client
        self.page = ""
        self.answer: TestResponse
        self._where = {"REMOTE_ADDR": address}

    def get(self, path: str) -> TestResponse:
        """Open an address, and go where it leads."""
        return self._take(
            self.client.get(path, environ_overrides=self._where, follow_redirects=True)
        )

    def post(self, path: str, fields: Mapping[str, object] | None = None) -> TestResponse:
        """Send a form with the token of the page that is shown, and go where it leads."""
        whole = {"csrf_token": self.token, **(fields or {})}
        return self._take(
            self.client.post(path, data=whole, environ_overrides=self._where, follow_redirects=True)
        )

    def post_raw(self, path: str, body: bytes, content_type: str) -> TestResponse:
        """Send a body as it is, and go where it leads."""
        return self._take(
            self.client.post(
                path, data=body, content_type=content_type,
                environ_overrides=self._where, follow_redirects=True,
            )
        )  # fmt: skip

    def sign_in(self, username: str, password: str = "") -> TestResponse:
        """Sign in."""
        self.get("/sign-in")
        password = password or password_of(username)
        return self.post("/sign-in", {"username": username, "password": password})

    @property
    def token(self) -> str:
        """Return what guards the forms of the page that is shown."""
        found = _TOKEN.search(self.page)
        return found[1] if found else ""

    @property
    def title(self) -> str:
        """Return the title of the page, without the service's name."""
        found = _TITLE.search(self.page)
        assert found is not None, self.page
        return html.unescape(found[1].partition(" – ")[0].strip())

    @property
    def errors(self) -> dict[str, str]:
        """Return what is said beside the fields, by field."""
        return {field: html.unescape(told) for field, told in _ERROR.findall(self.page)}

    @property
    def hidden(self) -> dict[str, str]:
        """Return the hidden fields of the page."""
        return {name: html.unescape(value) for name, value in _HIDDEN.findall(self.page)}

    @property
    def words(self) -> str:
        """Return the page without its tags."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.page)).split())

    @property
    def content(self) -> str:
        """Return the page with its tags, without its tokens: they may spell anything."""
        return _TOKEN.sub("", self.page)

    def _take(self, answer: TestResponse) -> TestResponse:
        self.answer = answer
        self.page = answer.get_data().decode(errors="replace")  # a file may be no text
        return answer
