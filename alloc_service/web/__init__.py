"""The pages: each view parses, calls one service and renders what it gives.

Server-rendered; everything works without JavaScript. A form that is refused is shown again with
what was typed, the field and the rule. A page that shows an allocation is never an address that
somebody can be sent to: an arm is shown in the answer to a POST alone.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from flask import Flask
from flask.typing import ResponseReturnValue

from alloc_service.errors import RefusalError
from alloc_service.web import (
    account,
    ceremonies,
    conduct,
    context,
    designs,
    faults,
    figures,
    front,
    installation,
    oversight,
    participants,
    receipts,
    users,
)

View: TypeAlias = Callable[..., ResponseReturnValue]

_PAGES = (
    front.pages,
    account.pages,
    participants.pages,
    receipts.pages,
    designs.pages,
    ceremonies.pages,
    oversight.pages,
    figures.pages,
    conduct.pages,
    users.pages,
    installation.pages,
)


def init_pages(app: Flask, statuses: Mapping[type[RefusalError], int]) -> None:
    """Add every page to the application, and what all of them are given."""
    context.init_context(app)
    faults.init_faults(app, statuses)
    for pages in _PAGES:
        app.register_blueprint(pages)
