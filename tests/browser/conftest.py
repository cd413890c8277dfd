"""A real browser at a real server. Where there is no Chromium these tests skip, and say so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.person import CHROMIUM, Person
from tests.support.shell import House, build_active, build_sealed, build_staffed, hashing_cheaply
from tests.support.web_server import APP, WebServer, serving


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: Debian's chromium-headless-shell does")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def house_template(tmp_path_factory: pytest.TempPathFactory) -> House:
    with hashing_cheaply():
        staffed = build_staffed(tmp_path_factory.mktemp("staffed"))
        sealed = build_sealed(staffed, tmp_path_factory.mktemp("sealed"))
        return build_active(sealed, tmp_path_factory.mktemp("active"))


@pytest.fixture
def house(house_template: House, tmp_path: Path) -> House:
    return house_template.copied_to(tmp_path / "home")


@pytest.fixture
def app_name() -> str:
    return APP


@pytest.fixture
def server(house: House, tmp_path: Path, app_name: str) -> Iterator[WebServer]:
    with serving(house.environ, tmp_path / "server.log", app_name) as server:
        yield server


@pytest.fixture
def open_browser(chromium: Browser, server: WebServer) -> Iterator[Callable[..., Person]]:
    """Return a function that opens another browser, as somebody who is not signed in."""
    contexts: list[BrowserContext] = []

    def opened(username: str = "doc", **options: object) -> Person:
        context = chromium.new_context(base_url=server.url, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page: Page = context.new_page()
        return Person(page, username)

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def visit(open_browser: Callable[..., Person]) -> Callable[[str], Person]:
    """Return a function that signs somebody in."""

    def signed_in(username: str) -> Person:
        person = open_browser(username)
        person.sign_in()
        return person

    return signed_in


@pytest.fixture
def doc(open_browser: Callable[..., Person]) -> Person:
    """Return the physician, signed in."""
    person = open_browser()
    person.sign_in()
    return person
