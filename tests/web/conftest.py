"""The pages over an installation at a stage of its trial's life, asked as a browser asks."""

from collections.abc import Callable

import pytest
from flask import Flask

from alloc_service.app import build_app
from alloc_service.config import WebSettings
from tests.support.browser import Browser
from tests.support.installation import Installation
from tests.support.stages import active, open_stage, shelf, shipped

__all__ = ["active", "open_stage", "shelf", "shipped"]


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
