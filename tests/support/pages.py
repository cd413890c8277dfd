"""The pages over an open installation."""

from alloc_service.app import build_app
from alloc_service.config import WebSettings
from tests.support.browser import Browser
from tests.support.installation import Installation


def browse_as(installation: Installation, username: str, path: str = "/") -> Browser:
    """Return a browser at a page; signed in as somebody, unless the name is empty."""
    app = build_app(installation.deps, WebSettings(proxies=0, plain_http=True))
    browser = Browser(app.test_client())
    if username:
        browser.sign_in(username)
    browser.get(path)
    return browser
