"""Every field of every form of every role, filled with what nobody should type.

The forms are found by following every link from each role's start page, and by sending each form
as it stands; the fields that a form has beside the one that is filled keep what the page gave them.
"""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import BytesIO
from urllib.parse import urlsplit

import pytest

from tests.support.browser import Browser
from tests.support.installation import Installation, type_small
from tests.support.pages import browse_as
from tests.support.typed import TYPED

CASES = [
    *((who, "active") for who in ("doc", "stat", "second", "dmc", "manager", "admin", "")),
    ("second", "sealed"),
]
ANSWERS = {200, 400, 403, 404, 409, 413, 422, 429}
MARKUP = "<script>alert(1)</script>"
WRITTEN = ("text", "password", "date", "time", "search", "number", "textarea")
# They have no field, and end what the other forms are about.
ENDS = ("/sign-out", "/disable")
# What leads to a further form.
GOOD: dict[str, object] = {"number": "2", "slots": "8", "size1": "2", "weight1": "1"}


@dataclass
class Form:
    """A form as a page shows it: the fields with what stands in them, and their types."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, ...]:
        return (self.action, self.method, *self.types)


# A design, its custodians and a trial's witnesses have rows of the same fields, each of which is
# weighed anew.
_SAME = re.compile(r"(ceremony-)?(size|weight|name|key|vkey|url)[2-9]")


class _Reader(HTMLParser):
    """Reads the links and forms of a page."""

    def __init__(self, page: str, path: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.forms: list[Form] = []
        self._path, self._select = path, ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "a" and given.get("href", "").startswith("/"):
            self.links.add(given["href"].partition("#")[0])
        elif tag == "form":
            action = given.get("action") or self._path
            self.forms.append(Form(action, given.get("method", "get").lower()))
        elif tag == "select":
            self._select = name
            self._add(name, "select", "")
        elif tag == "option" and self._select and given.get("value"):
            self.forms[-1].values[self._select] = given["value"]
        elif tag in {"input", "textarea"} and self.forms and name:
            self._add(name, given.get("type", "textarea"), given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""

    def _add(self, name: str, type_: str, value: str) -> None:
        form = self.forms[-1]
        form.types[name] = type_
        form.values.setdefault(name, value)


def forms_of(browser: Browser) -> list[Form]:
    """Return the forms that somebody finds by following every link, each once."""
    found: dict[tuple[str, ...], Form] = {}
    waiting, seen = ["/", "/sign-in", "/first-password"], set()
    while waiting:
        path = waiting.pop()
        parts = urlsplit(path)  # a log has a page for each of many queries
        if path in seen or (parts.query and "/enrolments/" not in parts.path):
            continue
        seen.add(path)
        if browser.get(path).mimetype != "text/html":
            continue
        read = _Reader(browser.page, path)
        waiting += sorted(read.links - seen)
        found |= {form.name: form for form in read.forms if not form.action.endswith(ENDS)}
    for form in list(found.values()):  # what a page asks next
        good = {name: value for name, value in GOOD.items() if "slots" in form.types}
        if form.method == "post" and send(browser, form, good) in {200, 422}:
            read = _Reader(browser.page, form.action)
            found |= {form.name: form for form in read.forms if not form.action.endswith(ENDS)}
    return list(found.values())


def send(browser: Browser, form: Form, filled: dict[str, object]) -> int:
    """Send a form from a page that has a token, and return the status of the answer."""
    browser.get("/")
    if not browser.token:
        browser.get("/sign-in")
    values = {key: value for key, value in form.values.items() if key != "csrf_token"} | filled
    if form.method == "get":
        answer = browser.client.get(form.action, query_string=values, follow_redirects=True)
        browser.page = answer.get_data(as_text=True)
        return answer.status_code
    return browser.post(form.action, values).status_code


def hard_cases(form: Form) -> Iterator[tuple[str, dict[str, object], str]]:
    """Yield a field, what the form is sent with, and what was typed there."""
    for name, type_ in form.types.items():
        if name == "csrf_token" or type_ == "submit" or _SAME.fullmatch(name):
            continue
        if type_ == "hidden" and "slots" in form.types:  # they were asked where they are typed
            continue
        for typed in TYPED.values():
            if type_ == "file":
                yield name, {name: (BytesIO(typed.encode()), f"{typed[:20]}.bin")}, ""
            else:
                yield name, {name: typed}, typed


@pytest.mark.parametrize(("username", "stage"), CASES)
def test_no_field_breaks_a_page_runs_markup_or_saves_half(
    open_stage: Callable[..., Installation], username: str, stage: str
) -> None:
    lived = open_stage(stage)
    if stage == "active":
        lived.allocate("P-001")
        lived.enrol(type_small("P-009"))
    browser = browse_as(lived, username)
    forms = forms_of(browser)
    assert len(forms) >= 2
    told = 0
    for form in forms:
        for name, filled, typed in hard_cases(form):
            before = len(lived.entries())
            status = send(browser, form, filled)
            where = f"{form.action} {name} {typed[:30]!r} {status}"

            assert status in ANSWERS, where
            assert MARKUP not in browser.page, where
            assert "\0" not in browser.page, where
            if form.types[name] == "password" and len(typed) > 3:
                assert typed not in html.unescape(browser.page), where
            if status == 422:
                assert len(lived.entries()) == before, where
                told += check_refused(browser, form, name, typed, where)
    assert told or username in {"dmc", ""}


def check_refused(browser: Browser, form: Form, name: str, typed: str, where: str) -> int:
    """Check that a refused form names its faults twice and keeps what was typed."""
    if 'class="problem"' not in browser.page:  # a refusal as a page of its own
        assert "<h1>" in browser.page, where
        return 0
    assert browser.errors, where
    for at in browser.errors:
        assert f'href="#{at}"' in browser.page, (at, where)
    if typed in {MARKUP, "{{ 7 * 7 }}"} and form.types[name] in set(WRITTEN) - {"password"}:
        assert html.escape(typed, quote=False) in browser.page.replace("&#34;", '"'), where
    return 1
