"""The pages of a process that holds no key: a reveal, a dead sealer, an activation, a design."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.services import sealed_lists
from tests.support.browser import Browser
from tests.support.ceremonies import begin
from tests.support.installation import Installation
from tests.support.pages import browse_as
from tests.support.served_sealer import Served, short_folder
from tests.web.test_physician import LABELS, SIGNED, draft, request

ACTIVATE = "/trials/TEST-SMALL/lists/1/activate"
OpenStage = Callable[..., Installation]


class Apart:
    """An installation whose sealer was moved behind a socket.

    Attributes:
        installation: Its deps hold no key.
        host: The sealer, where its keys are.
    """

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self._folder = installation, folder
        self.local = installation.deps
        assert isinstance(self.local.sealer, LocalSealer)
        self.host = self.local.sealer
        self._served: Served | None = None
        self.start()
        installation.deps = replace(self.local, sealer=RemoteSealer(folder / "socket"))

    def start(self) -> None:
        self._served = Served(self._folder, self.host)

    def stop(self) -> None:
        if self._served is not None:
            self._served.close()
        self._served = None


@pytest.fixture
def apart() -> Iterator[Callable[[Installation], Apart]]:
    with short_folder() as folder:
        made: list[Apart] = []

        def move(installation: Installation) -> Apart:
            made.append(Apart(installation, folder))
            return made[-1]

        yield move
        for one in made:
            one.stop()


def test_a_reveal_through_the_pages_needs_no_key_in_their_process(
    active: Installation, apart: Callable[[Installation], Apart]
) -> None:
    apart(active)
    doc = browse_as(active, "doc")

    label = request(doc, draft(doc))

    assert label in LABELS
    assert doc.title == "Allocation"
    assert active.spent() == 1


def test_where_the_sealer_is_dead_the_page_is_plain_and_the_retry_gets_the_same_slot(
    active: Installation, apart: Callable[[Installation], Apart]
) -> None:
    moved = apart(active)
    doc = browse_as(active, "doc")
    enrolment = draft(doc)
    moved.stop()

    doc.post(f"/enrolments/{enrolment}/allocation", SIGNED)

    assert doc.answer.status_code == 503
    assert "The service cannot do this now" in doc.words
    assert "sealer-unreachable" in doc.words
    assert "the same enrolment gets the same slot" in doc.words
    assert f'href="/enrolments/{enrolment}/check"' in doc.page
    assert not [label for label in LABELS if label in doc.page]
    assert active.spent() == 0
    moved.start()
    label = request(doc, enrolment)
    doc.post(f"/enrolments/{enrolment}/allocation", SIGNED)
    assert f'<h1 id="arm">{label}</h1>' in doc.page
    assert active.spent() == 1
    doc.get("/healthz")
    assert doc.answer.status_code == 200


def test_a_list_is_activated_through_the_pages_once_the_sealers_host_has_accepted_it(
    open_stage: OpenStage, apart: Callable[[Installation], Apart]
) -> None:
    approved = open_stage("approved")
    moved = apart(approved)
    manager = browse_as(approved, "manager")
    root = approved.state().lists[1].root

    manager.get(ACTIVATE)
    manager.post(ACTIVATE)
    assert manager.answer.status_code == 409
    assert f"alloc sealer accept {approved.origin} 1 {root}" in manager.words
    assert not approved.state().lists[1].active

    sealed_lists.accept_list(moved.local, approved.origin, 1, root)
    manager.post(ACTIVATE)
    assert approved.state().lists[1].active


def test_a_design_is_logged_as_looked_at_and_opened_on_the_sealers_host(
    active: Installation, apart: Callable[[Installation], Apart]
) -> None:
    moved = apart(active)
    stat: Browser = browse_as(active, "stat")

    stat.get("/trials/TEST-SMALL/lists")
    stat.post("/trials/TEST-SMALL/lists/1/design")

    (entry,) = active.entries("design.read")
    assert stat.answer.status_code == 409
    assert f"alloc sealer design {active.origin} {entry.seq}" in stat.words
    opened = sealed_lists.open_logged_design(moved.local, active.origin, entry.seq)
    assert opened.list == 1


def test_a_ceremony_is_finished_on_its_page_with_the_design_that_the_host_opened(
    open_stage: OpenStage, apart: Callable[[Installation], Apart]
) -> None:
    staffed = open_stage("staffed")
    moved = apart(staffed)
    held = begin(staffed).until_revealed()
    place = "/trials/TEST-SMALL/ceremonies/1"
    stat = browse_as(staffed, "stat", place)

    def given() -> dict[str, object]:
        identity = io.BytesIO(held.identity.encode())
        return {"ceremony": held.id, "identity": (identity, "c.key")}

    stat.post(f"{place}/finish", given())
    (look,) = staffed.entries("design.read")
    assert stat.answer.status_code == 422
    assert f"alloc sealer design {staffed.origin} {look.seq}" in stat.words
    assert held.identity not in stat.page
    design = sealed_lists.open_logged_design(moved.local, staffed.origin, look.seq).to_bytes()

    stat.post(f"{place}/finish", {**given(), "design": (io.BytesIO(design), "design.json")})
    assert stat.title == "The list is sealed"
    assert len(staffed.entries("design.read")) == 1
