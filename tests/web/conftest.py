"""The pages over an installation at a stage of its trial's life, asked as a browser asks."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from alloc_service.app import build_app
from alloc_service.config import WebSettings
from tests.support.browser import Browser
from tests.support.installation import Installation
from tests.support.shelf import Shelf, place_for_files


@pytest.fixture(scope="session")
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    yield shelf
    shelf.clear()


@pytest.fixture
def open_stage(shelf: Shelf) -> Iterator[Callable[..., Installation]]:
    home = Path(tempfile.mkdtemp(prefix="alloc-", dir=place_for_files()))
    opened: list[Installation] = []

    def open_at(stage: str, trial: str = "small") -> Installation:
        opened.append(shelf.copy(stage, "sqlite", home, None, trial))
        return opened[0]

    yield open_at
    for installation in opened:
        installation.close()
    shutil.rmtree(home)


@pytest.fixture
def active(open_stage: Callable[..., Installation]) -> Installation:
    """Return the small trial with an active list and active sites."""
    return open_stage("active")


@pytest.fixture
def shipped(open_stage: Callable[..., Installation]) -> Installation:
    """Return the shipped trial, as a test, with an active list and an active site."""
    return open_stage("active", "shipped")


@pytest.fixture
def app(active: Installation) -> Flask:
    """Return the application over the small trial."""
    return build_app(active.deps, WebSettings(proxies=0, plain_http=True))


@pytest.fixture
def browse(app: Flask) -> Callable[..., Browser]:
    """Return a function that opens a browser, signed in as somebody or as nobody."""

    def opened(username: str = "", address: str = "127.0.0.1") -> Browser:
        browser = Browser(app.test_client(), address)
        if username:
            browser.sign_in(username)
        return browser

    return opened


@pytest.fixture
def doc(browse: Callable[..., Browser]) -> Browser:
    """Return the physician's browser."""
    return browse("doc")
