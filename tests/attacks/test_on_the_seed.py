"""Attacks on a seed ceremony: whoever tries to choose the list is refused, or leaves a trace."""

import pytest

from alloc_service.core.ceremony import CeremonyDocument, PublicString, Share, combine, commit
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from alloc_service.errors import CeremonyError, RuleError
from alloc_service.sealing.shares import OwnShare
from alloc_service.services import ceremonies, lists
from tests.services.test_lists import make_package
from tests.support.ceremonies import Held, begin
from tests.support.installation import Installation


@pytest.fixture
def held(staffed: Installation) -> Held:
    return begin(staffed)


def test_seed_grinding_by_one_party(held: Held) -> None:
    held.freeze().commit().deposit().announce().reveal("dmc", "sponsor")
    honest = held.own["statistician"]
    held.own["statistician"] = OwnShare(
        held.id, held.design.sha256, "statistician", Share.fresh()
    )  # the share whose list pleased best, found after the others' were known

    held.reveal("statistician")
    with pytest.raises(CeremonyError, match="statistician reveals another value"):
        held.finish()

    assert held.own["statistician"].commitment != honest.commitment
    assert not held.installation.entries("list.sealed")


def test_seed_grinding_by_all_but_one() -> None:
    """Two of three try many shares; without the third's they find nothing that stays found."""
    design_sha256, name = "d" * 64, "list-1/ceremony-1"
    honest = Share.fresh()
    pairs = [(Share.fresh(), Share.fresh()) for _ in range(200)]
    first_digits = []
    for one, other in pairs:
        shares = {"dmc": honest, "sponsor": one, "statistician": other}
        commitments = {
            party: commit(design_sha256, name, party, share) for party, share in shares.items()
        }
        document = CeremonyDocument(name, design_sha256, commitments)
        # What they can compute before the honest party reveals: with any guess of its share.
        guessed = {**shares, "dmc": Share("0" * 64)}
        with pytest.raises(CeremonyError, match="dmc reveals another value"):
            combine(document, guessed)
        first_digits.append(combine(document, shares).digits[0])

    assert len(set(first_digits)) == 16


def test_seed_grinding_by_a_party_that_copies_anothers_commitment(held: Held) -> None:
    held.freeze().commit("dmc")
    here = held.installation

    with pytest.raises(RuleError, match="sponsor repeats another's commitment"):
        ceremonies.commit(
            here.deps, here.people["manager"], here.trial, held.id,
            party="sponsor", commitment=held.own["dmc"].commitment,
        )  # fmt: skip


def test_seed_grinding_by_waiting_for_the_beacon(held: Held) -> None:
    held.freeze().commit("dmc", "statistician").deposit().announce(PublicString("index"))
    held.give_beacon("", "3,141.59")

    with pytest.raises(RuleError, match="sponsor is too late: the ceremony is announced"):
        held.commit("sponsor")


def test_seed_grinding_by_staying_away_once_the_beacon_is_known(held: Held) -> None:
    held.freeze().commit().deposit().announce(PublicString("index"))
    held.give_beacon("", "3,141.59").reveal("dmc", "sponsor")

    made = held.finish(held.own["statistician"])  # as two custodians opened it from its deposit

    assert held.installation.state().lists[1].root == made.root


def test_ceremony_repeated_until_it_pleases(held: Held) -> None:
    held.freeze()
    for _again in range(3):
        held.commit().deposit().announce().reveal()
        here = held.installation
        ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "rehearsal")
        held.open_another()
    held.commit().deposit().announce().reveal()
    held.finish()

    state = held.installation.state()
    assert sum(ceremony.aborted for ceremony in state.ceremonies.values()) == 3
    reasons = [entry.body["code"] for entry in held.installation.entries("seed.aborted")]
    assert reasons == ["rehearsal"] * 3


def test_list_sealed_around_a_ceremony(held: Held) -> None:
    held.freeze().commit()
    here = held.installation

    with pytest.raises(RuleError, match="is not announced"):
        here.generate(design=held.design)
    with pytest.raises(RuleError, match="has a design already"):
        here.generate(1)


def test_list_sealed_around_a_complete_ceremony(held: Held) -> None:
    """The statistician knows the frozen design, and would choose a seed for it."""
    held.until_revealed()
    here = held.installation
    entries = len(here.entries())

    with pytest.raises(CeremonyError, match=f"comes from its ceremony {held.id}"):
        here.generate(design=held.design)
    with pytest.raises(CeremonyError, match=f"comes from its ceremony {held.id}"):
        lists.import_package(here.deps, here.people["stat"], make_package(here, held.design))

    assert len(here.entries()) == entries
    assert held.finish().root == here.state().lists[1].root


def test_seed_with_the_list_of_another_seed(held: Held) -> None:
    roots = {generate(held.design, ceremony_seed()).root for _ in range(20)}

    assert len(roots) == 20


def ceremony_seed() -> Seed:
    shares = {name: Share.fresh() for name in ("a", "b")}
    commitments = {name: commit("d" * 64, "c", name, share) for name, share in shares.items()}
    return combine(CeremonyDocument("c", "d" * 64, commitments), shares)
