"""Ceremonies that are dropped, and the ones that follow them."""

import pytest

from alloc_service.errors import (
    CeremonyError,
    RuleError,
    UnknownRecordError,
)
from alloc_service.services import ceremonies, lists
from tests.support.ceremonies import Held, begin
from tests.support.installation import Installation


@pytest.fixture
def held(staffed: Installation) -> Held:
    return begin(staffed)


def test_a_dropped_ceremony_stays_in_the_log_and_its_files_go(held: Held) -> None:
    held.until_revealed()
    here = held.installation
    ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "party-withdrew")

    assert not held.file_names()
    assert here.state().ceremonies[held.id].aborted
    (entry,) = here.entries("seed.aborted")
    assert entry.body["code"] == "party-withdrew"
    with pytest.raises(RuleError, match="was aborted"):
        held.reveal("dmc")


def test_a_ceremony_is_dropped_for_one_of_the_reasons(held: Held) -> None:
    held.freeze().commit()
    here = held.installation

    with pytest.raises(CeremonyError, match="must be one of party-withdrew"):
        ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "the list is ugly")


def test_another_ceremony_is_opened_once_the_one_before_was_dropped(held: Held) -> None:
    held.freeze().commit()
    here, first = held.installation, held.id
    with pytest.raises(CeremonyError, match="still runs"):
        held.open_another()
    ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "share-lost")

    held.open_another().commit().deposit().announce().reveal()

    assert first.startswith("list-1/ceremony-1-")
    assert held.id.startswith("list-1/ceremony-2-")


def test_a_ceremony_with_wrong_keys_gives_way_while_nobody_is_committed(held: Held) -> None:
    held.freeze()
    first = held.id

    held.open_another().commit().deposit().announce().reveal()

    assert held.id.startswith("list-1/ceremony-2-")
    with pytest.raises(RuleError, match="is still running"):
        ceremonies.commit(
            held.installation.deps,
            held.installation.people["dmc"],
            held.installation.trial,
            first,
            party="late",
            commitment="ab" * 32,
        )


def test_a_ceremony_is_opened_for_a_frozen_list_that_is_not_sealed(held: Held) -> None:
    with pytest.raises(UnknownRecordError, match="frozen design"):
        held.open_another()
    held.until_revealed().finish()

    with pytest.raises(CeremonyError, match="list 1 is sealed"):
        held.open_another()


def test_a_list_that_is_generated_otherwise_cannot_take_a_frozen_lists_place(held: Held) -> None:
    held.freeze().commit()
    here = held.installation

    with pytest.raises(RuleError, match="has a design already"):
        here.generate(1)
    with pytest.raises(RuleError, match="is not announced"):
        lists.generate(here.deps, here.people["stat"], held.design, here.custodians)
