"""A seed ceremony, a bundle and a drill over a sealer of another process, to their ends."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from alloc_service.errors import (
    CeremonyError,
    DesignAtHostError,
    SealerHostError,
    UnknownRecordError,
)
from alloc_service.log.bundle_archive import read_members
from alloc_service.sealing.local import LocalSealer
from alloc_service.services import bundles, drills, sealed_lists
from alloc_service.services.deps import Deps
from alloc_service.services.drills import Drill
from alloc_service.services.recovery import TwoPeople
from tests.services.test_bundles import checked, escrowed, types_from
from tests.services.test_remote_services import serve
from tests.support.ceremonies import begin
from tests.support.installation import Installation
from tests.support.served_sealer import Served, short_folder


@dataclass
class Apart:
    """An installation whose sealer is behind a socket.

    Attributes:
        here: Its deps hold no key.
        host: The deps of a command on the sealer's host.
    """

    here: Installation
    host: Deps
    served: Served


@pytest.fixture
def staffed_apart(staffed: Installation) -> Iterator[Apart]:
    yield from _apart(staffed)


@pytest.fixture
def active_apart(active: Installation) -> Iterator[Apart]:
    yield from _apart(active)


def _apart(installation: Installation) -> Iterator[Apart]:
    with short_folder() as folder:
        local = installation.deps
        assert isinstance(local.sealer, LocalSealer)
        served = serve(installation, folder)
        yield Apart(installation, local, served)
        assert served.reported == []
        served.close()


def test_a_ceremony_goes_from_freezing_to_allocating_with_the_design_that_was_kept(
    staffed_apart: Apart,
) -> None:
    here, host = staffed_apart.here, staffed_apart.host
    held = begin(here).until_revealed()

    made = held.finish(design=held.design)

    assert here.entries("design.read") == []
    here.approve()
    sealed_lists.accept_list(host, here.origin, 1, made.root)
    here.activate()
    here.change_site(active=True)
    assert here.allocate().arm in {"SUNRISE-7Q", "MOONSET-7Q"}


def test_a_design_that_was_not_kept_is_opened_on_the_host_for_the_logged_look(
    staffed_apart: Apart,
) -> None:
    here, host = staffed_apart.here, staffed_apart.host
    held = begin(here).until_revealed()

    with pytest.raises(DesignAtHostError) as refusal:
        held.finish()

    (look,) = here.entries("design.read")
    assert refusal.value.facts == {"command": f"alloc sealer design {here.origin} {look.seq}"}
    assert "finish the ceremony once more" in str(refusal.value)
    assert here.entries("list.sealed") == []
    given = sealed_lists.open_logged_design(host, here.origin, look.seq)
    assert given == held.design
    held.finish(design=given)
    assert [entry.seq for entry in here.entries("design.read")] == [look.seq]
    with pytest.raises(UnknownRecordError, match=f"{look.seq - 1}"):
        sealed_lists.open_logged_design(host, here.origin, look.seq - 1)
    assert sealed_lists.open_logged_design(host, here.origin, look.seq) == held.design


def test_a_ceremony_that_cannot_be_finished_logs_no_look_at_its_design(
    staffed_apart: Apart,
) -> None:
    here = staffed_apart.here
    held = begin(here).freeze().commit().deposit().announce().reveal("dmc", "sponsor")

    with pytest.raises(CeremonyError, match="statistician has not revealed"):
        held.finish()

    assert here.entries("design.read") == []


def test_a_statisticians_bundle_is_made_on_the_host_and_elsewhere_nothing_is_logged(
    active_apart: Apart,
) -> None:
    here, host = active_apart.here, active_apart.host
    here.allocate()
    size = len(here.entries())

    with pytest.raises(SealerHostError, match=f"`alloc sealer bundle {here.trial} --out FILE`"):
        bundles.make_unblinded(here.deps, here.people["second"], here.trial)

    assert types_from(here, size) == []
    data = bundles.make_unblinded(host, here.people["second"], here.trial)
    assert types_from(here, size) == ["arms.read", "design.read", "log.exported"]
    assert "List 1: the design is the frozen one." in checked(here, data).checked


def test_what_needs_no_design_is_bundled_over_the_socket(active_apart: Apart) -> None:
    here = active_apart.here
    here.allocate()

    whole = bundles.make_blinded(here.deps, here.people["stat"], here.trial)
    opened = bundles.make_unblinded(here.deps, here.people["dmc"], here.trial)

    assert "lists/1/openings.txt" not in read_members(whole)
    assert read_members(opened)["lists/1/openings.txt"].count(b"\n") == 1
    here.change_state("close")
    secret = escrowed(here)
    after = bundles.make_unblinded(here.deps, here.people["stat"], here.trial, [secret])
    assert "lists/1/seed.json" in read_members(after)


def test_a_drill_is_logged_over_the_socket(active_apart: Apart) -> None:
    here = active_apart.here
    root = here.state().lists[1].root
    drill = Drill(here.origin, 1, root, 5, log_verified=True, root_equal=True, blob_opened=True)
    people = TwoPeople(here.people["stat"], here.people["dmc"])

    entry = drills.log_drill(here.deps, people, here.trial, drill)

    assert entry.body["blob_opened"] is True
