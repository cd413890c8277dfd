"""How a ceremony stands, for those who take part in it."""

from datetime import timedelta

import pytest

from alloc_service.core.ceremony import Drand, PublicString
from alloc_service.errors import CeremonyError, NotAllowedError, UnknownRecordError
from alloc_service.services import ceremonies, ceremony_views, lists
from alloc_service.services.ceremony_views import CeremonyView
from tests.support.ceremonies import Held, begin
from tests.support.installation import Installation


@pytest.fixture
def held(staffed: Installation) -> Held:
    return begin(staffed)


def view(held: Held, by: str = "dmc") -> CeremonyView:
    here = held.installation
    return ceremony_views.read_ceremony(here.deps, here.people[by], here.trial, held.id)


def steps_of(held: Held) -> dict[str, str]:
    here = held.installation
    found = ceremony_views.read_ceremonies(here.deps, here.people["dmc"], here.trial)
    return {one.id: one.step for one in found}


def test_a_ceremony_says_what_it_waits_for_at_each_step(held: Held) -> None:
    ahead = Drand.after(held.installation.clock.now + timedelta(hours=2))
    steps = [view(held.freeze()).step, view(held.commit()).step]
    steps += [view(held.announce(ahead)).step, view(held.deposit()).step]
    held.installation.clock.advance(hours=3)
    steps += [view(held.give_beacon("ab" * 32)).step, view(held.reveal()).step]
    held.finish()

    assert steps == ["commit", "commit", "deposit", "beacon", "reveal", "finish"]
    assert view(held).step == "sealed"


def test_a_dropped_ceremony_says_why_and_the_next_one_goes_on(held: Held) -> None:
    held.freeze().commit()
    here, first = held.installation, held.id
    ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "share-lost")
    held.open_another()

    found = ceremony_views.read_ceremonies(here.deps, here.people["dmc"], here.trial)

    assert [(item.id, item.step, item.code) for item in found] == [
        (first, "dropped", "share-lost"),
        (held.id, "commit", ""),
    ]


def test_of_several_the_one_that_a_party_joined_goes_on(held: Held) -> None:
    held.freeze()
    here, first = held.installation, held.id
    held.open_another()
    second = held.id
    assert (view(held).step, steps_of(held)) == ("commit", {first: "replaced", second: "commit"})

    ceremonies.commit(
        here.deps, here.people["dmc"], here.trial, first, party="dmc", commitment="ab" * 32
    )
    assert steps_of(held) == {first: "commit", second: "replaced"}

    ceremonies.drop(here.deps, here.people["stat"], here.trial, first, "share-lost")
    assert steps_of(held) == {first: "dropped", second: "commit"}


def test_the_ceremony_that_gave_no_seed_is_not_the_sealed_one(held: Held) -> None:
    held.freeze().commit()
    here = held.installation
    ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "share-lost")
    lists.generate(here.deps, here.people["stat"], held.design, here.custodians)

    assert view(held).step == "dropped"


def test_every_party_is_shown_with_its_person_and_how_far_it_is(held: Held) -> None:
    held.freeze().commit().deposit("dmc")

    found = view(held)

    assert [(party.name, party.person, party.deposited) for party in found.parties] == [
        ("dmc", "p-dmc", True),
        ("sponsor", "p-manager", False),
        ("statistician", "p-stat", False),
    ]
    party = found.party_of("p-dmc")
    assert party is not None
    assert party.commitment == held.own["dmc"].commitment
    assert not party.revealed
    assert found.party_of("p-second") is None
    assert found.keys == held.keys


def test_what_nobody_verified_of_a_beacons_value_is_said(held: Held) -> None:
    held.freeze().commit().deposit().announce(PublicString("index"))
    assert not view(held).unverified
    assert not view(held).beacon_value

    held.give_beacon("", "3,141.59")

    assert "published was not verified" in view(held).unverified
    assert view(held).beacon == PublicString("index")
    assert view(held).beacon_proof == "3,141.59"


@pytest.mark.parametrize(
    ("proof", "told"), [("ab" * 48, "signature was not verified"), ("", "nothing of it")]
)
def test_with_drand_it_depends_on_whether_a_signature_was_pasted(proof: str, told: str) -> None:
    assert told in ceremony_views.say_unverified(Drand(7), proof)[1]


def test_a_statistician_leads_and_each_of_several_roles_can_be_a_party(held: Held) -> None:
    here = held.installation
    parts = {
        name: ceremony_views.find_parts(here.deps, here.people[name], here.trial)
        for name in ("stat", "dmc", "manager", "admin", "doc")
    }

    assert parts == {
        "stat": (True, True),
        "dmc": (False, True),
        "manager": (False, True),
        "admin": (False, False),
        "doc": (False, False),
    }


def test_those_who_enrol_see_no_ceremony(held: Held) -> None:
    held.freeze()

    with pytest.raises(NotAllowedError):
        view(held, by="doc")


def test_a_ceremony_that_is_not_there_is_named(held: Held) -> None:
    held.id = "list-1/ceremony-9-ab"

    with pytest.raises(UnknownRecordError, match="ceremony-9"):
        view(held)


def test_a_key_that_somebody_exchanged_is_not_shown_as_the_ceremonys(held: Held) -> None:
    held.freeze()
    held.installation.attack("UPDATE ceremony SET recipient = 'age1other'")

    with pytest.raises(CeremonyError, match="somebody exchanged one"):
        view(held)


def test_a_list_without_a_frozen_design_has_none_to_read(held: Held) -> None:
    here = held.installation

    with pytest.raises(UnknownRecordError, match="frozen design"):
        lists.read_frozen_design(here.deps, here.people["stat"], here.trial, 1)
