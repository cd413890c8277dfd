"""The page of one allocation. Its length is the same for every arm."""

from contextlib import suppress

from flask import Response, make_response, render_template
from markupsafe import escape

from alloc_service.errors import RefusalError
from alloc_service.login import deps_here
from alloc_service.services import audit, deliveries
from alloc_service.services.reveal import Allocation

_PADDING = 1_024


def show_allocation(allocation: Allocation) -> Response:
    """Return the page of an allocation, as long as it would be for the arm with most to say."""
    definition = allocation.definition
    page = render_template(
        "allocation.html",
        definition=definition, allocation=allocation, shown_at=deps_here().clock(),
    ).encode()  # fmt: skip
    longest = max(_length(arm.code, arm.label, arm.instruction) for arm in definition.arms)
    own = _length(allocation.arm, allocation.label, allocation.instruction)
    whole = len(page) - own + longest
    answer = make_response(page.ljust(-(-whole // _PADDING) * _PADDING))
    deps, trial = deps_here(), allocation.trial

    @answer.call_on_close
    def store() -> None:
        with suppress(RefusalError):  # the next one stores it
            audit.store_checkpoint(deps, trial)
            deliveries.deliver(deps, trial)

    return answer


def _length(*texts: str) -> int:
    """Return how many bytes texts take in a page, in which each stands once."""
    return sum(len(escape(text).encode()) for text in texts)
