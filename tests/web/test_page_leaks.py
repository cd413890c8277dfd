"""No page, header or download tells an arm, or what makes the list, to whoever may not know it.

Every route is asked as every role, read and sent, in a trial whose arms nothing else spells and
whose list is known to the test. Arms stand in the answer to a request for one's own participant,
in counts whose look is logged, and nowhere else; nothing of the list stands anywhere.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask import Flask

from alloc_service.core.generate import GeneratedList
from alloc_service.core.generate import generate as generate_list
from alloc_service.login import rule_of
from alloc_service.sealing.escrow import escrow_name, open_escrow
from alloc_service.services import lookups
from tests.support.browser import Browser
from tests.support.installation import Installation, type_small
from tests.support.routes import routes_of

Browse = Callable[..., Browser]

ROLES = ("doc", "far", "stat", "second", "dmc", "manager", "admin", "guest", "")
CODES = ("SUNRISE-7Q", "MOONSET-7Q")
LABELS = ("Sunrise", "Moonset", "Get up.", "Lie down.")
KNOW_NO_DESIGN = {"doc", "far", "manager", "admin", "guest", ""}
TELLING = re.compile(
    r"block(s| sizes?)? (of )?\d|slots left|remaining|of 6 slots|12 slots", re.IGNORECASE
)
# Who may see arms, and where: one of an own participant, or counts that are logged.
MAY_NAME = {
    ("doc", "participants.request_allocation"),
    ("doc", "participants.show_again"),
    *((who, "figures.count_arms") for who in ("stat", "second", "dmc")),
}


@dataclass
class Answer:
    """What came for one request."""

    who: str
    endpoint: str
    method: str
    status: int
    body: bytes
    headers: str


@pytest.fixture
def lived(active: Installation) -> Installation:
    """Return the trial with four allocations and a draft."""
    for number in range(1, 5):
        active.allocate(f"P-00{number}")
    active.enrol(type_small("P-009"))
    return active


@pytest.fixture
def secret(lived: Installation) -> GeneratedList:
    """Return the list in clear, from its escrow."""
    name = escrow_name("archive", "dmc")
    files = lookups.read_escrow(lived.deps, lived.people["dmc"], lived.trial, 1)
    keys = lived.identities
    kept = open_escrow(files[name], keys["archive"], keys["dmc"], name)
    return generate_list(kept.design, kept.seed)


def ask_everything(lived: Installation, app: Flask, browse: Browse) -> Iterator[Answer]:
    ((enrolment,),) = lived.ask("SELECT enrolment_id FROM assignment ORDER BY entry_seq LIMIT 1")
    for who in ROLES:
        for method, path, endpoint in routes_of(app, str(enrolment)):
            if endpoint in {"static", "front.sign_out", "conduct.close"}:
                continue
            browser = browse(who)
            browser.get("/help" if who else "/sign-in")
            fields = {"csrf_token": browser.token, "purpose": "interim.1"}
            asked = (
                browser.client.get(path)
                if method == "GET"
                else browser.client.post(path, data=fields)
            )
            yield Answer(who, endpoint, method, asked.status_code, asked.data, str(asked.headers))
            asked.close()


def test_no_answer_names_an_arm_shows_the_list_or_tells_of_blocks_and_what_is_left(
    lived: Installation, app: Flask, browse: Browse, secret: GeneratedList
) -> None:
    openings = list(secret.openings())
    hidden = {opening.nonce.encode() for opening in openings}
    assert len(hidden) == 12
    told, named = [], set()
    for answer in ask_everything(lived, app, browse):
        where = (answer.who, answer.endpoint)
        whole = answer.body + answer.headers.encode()
        if any(word in whole for word in hidden):
            told.append((where, "nonce"))
        words = [word for word in (*CODES, *LABELS) if word.encode() in whole]
        if words and where in MAY_NAME:
            named.add(where)
        elif words:
            told.append((where, str(words)))
        if any(word in answer.headers for word in (*CODES, *LABELS)):
            told.append((where, "headers"))
        text = re.sub(r"<[^>]+>", " ", answer.body.decode("utf-8", "replace"))
        if answer.who in KNOW_NO_DESIGN and (found := TELLING.search(text)):
            told.append((where, found[0]))

    assert told == []
    assert named == {item for item in MAY_NAME if item[1] != "participants.request_allocation"}


def test_every_route_that_was_asked_has_a_rule(app: Flask) -> None:
    assert all(rule_of(app, endpoint) is not None for _, _, endpoint in routes_of(app, "7" * 32))
