"""A role that ends while a request of it waits: what holds is what holds under the log's lock."""

import threading
from dataclasses import replace
from datetime import datetime

import pytest

from alloc_service.errors import NotAllowedError
from alloc_service.permissions import Grant, Role
from alloc_service.services import accounts, reveal
from tests.support.installation import Installation


def test_a_role_that_ends_while_a_request_waits_opens_nothing(active: Installation) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    ending, waiting = threading.Event(), threading.Event()

    def slow_clock() -> datetime:
        ending.set()
        waiting.wait(0.3)  # long enough for the request to stand before the lock
        return active.clock.now

    deps = replace(active.deps, clock=slow_clock)
    thread = threading.Thread(
        target=accounts.end_grant,
        args=(deps, active.people["admin"], active.trial, "doc", Grant(Role.PHYSICIAN, "XA01")),
    )
    thread.start()
    assert ending.wait(20)
    with pytest.raises(NotAllowedError):
        reveal.reveal(active.deps, active.people["doc"], draft.id, signature)
    thread.join()

    kinds = [entry.type for entry in active.entries("grant.ended", "slot.assigned")]
    assert kinds == ["grant.ended"]
