"""Whoever rules the database sends nobody to another stratum, and calls no arm by another name."""

import hashlib

import pytest

from alloc_service.errors import DefinitionChangedError, RefusalError
from alloc_service.services import reveal, slots, verification
from alloc_service.services.deps import Deps
from alloc_service.services.enrolments import Draft
from alloc_service.services.slots import SealingTree
from tests.support.installation import Installation, type_small

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def two_allocated(installation: Installation) -> tuple[Draft, Draft]:
    drafts = (installation.enrol(), installation.enrol(type_small("P-002")))
    for draft in drafts:
        installation.reveal(draft)
    return drafts


def exchange_labels(installation: Installation) -> None:
    """Call each arm by the other's name, and let the definition's hash fit."""
    first, second = (arm.label for arm in installation.definition.arms)
    ((stored,),) = installation.ask("SELECT definition FROM trial")
    text = stored.decode().replace(first, "?").replace(second, first).replace("?", second)
    put_definition(installation, text.encode())


def put_definition(installation: Installation, document: bytes) -> None:
    installation.attack(
        "UPDATE trial SET definition = :new, definition_sha256 = :hash",
        new=document,
        hash=hashlib.sha256(document).hexdigest(),
    )


def refuse(installation: Installation, deps: Deps, draft: Draft) -> RefusalError:
    """Return why a service refuses a signed request; no slot is spent."""
    spent = installation.spent()
    with pytest.raises(RefusalError) as refusal:
        reveal.reveal(deps, installation.people["doc"], draft.id, installation.sign(draft))
    assert installation.spent() == spent
    assert not any(arm.label in str(refusal.value) for arm in installation.definition.arms)
    return refusal.value


def test_strata_that_were_exchanged_in_a_list_send_nobody_to_another_slot(
    active: Installation,
) -> None:
    draft = active.enrol()
    ((codes,),) = active.ask("SELECT strata FROM randomization_list")
    active.attack(
        "UPDATE randomization_list SET strata = :new",
        new="[" + ",".join(reversed(codes[1:-1].split(","))) + "]",
    )

    shown = reveal.reveal(active.open_anew(), active.people["doc"], draft.id, active.sign(draft))

    (entry,) = active.entries("slot.assigned")
    assert entry.body["stratum"] == 0
    assert shown.stratum == active.definition.strata[0]
    report = verification.verify(active.deps, active.trial)
    assert any("list 1 has other strata than the trial" in str(one) for one in report.checks)


def test_labels_that_were_exchanged_are_shown_to_nobody_who_was_enrolled_before(
    active: Installation,
) -> None:
    draft, _ = two_allocated(active)
    exchange_labels(active)
    deps = active.open_anew()

    with pytest.raises(DefinitionChangedError):
        reveal.read_again(deps, active.people["doc"], draft.id)
    report = verification.verify(active.deps, active.trial)
    assert any("under another definition" in str(check) for check in report.checks)


def test_labels_that_were_exchanged_stop_the_next_allocation_until_they_are_restored(
    active: Installation,
) -> None:
    two_allocated(active)
    ((stored,),) = active.ask("SELECT definition FROM trial")
    draft = active.enrol(type_small("P-003"))
    exchange_labels(active)

    assert isinstance(refuse(active, active.open_anew(), draft), DefinitionChangedError)
    put_definition(active, stored)
    deps = active.open_anew()
    shown = reveal.reveal(deps, active.people["doc"], draft.id, active.sign(draft))
    assert shown.randomization_number == 3


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM enrolment WHERE participant = 'P-002'",
        "UPDATE enrolment SET record = NULL WHERE participant = 'P-002'",
    ],
)
def test_a_definition_is_compared_with_the_last_record_that_is_whole(
    active: Installation, damage: str
) -> None:
    two_allocated(active)
    draft = active.enrol(type_small("P-003"))
    active.attack(damage)
    exchange_labels(active)

    assert isinstance(refuse(active, active.open_anew(), draft), DefinitionChangedError)


def test_a_definition_that_no_whole_record_names_is_taken_as_it_is(active: Installation) -> None:
    two_allocated(active)
    draft = active.enrol(type_small("P-003"))
    active.attack("UPDATE enrolment SET record = NULL")

    deps = active.open_anew()
    shown = reveal.reveal(deps, active.people["doc"], draft.id, active.sign(draft))
    assert shown.randomization_number == 3


def test_a_tree_that_keeps_few_nodes_proves_every_slot(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_MOST", 3)
    monkeypatch.setattr(slots, "_AHEAD", 1)
    known = active.state().lists[1]
    tree = SealingTree(active.trial, 1, known)
    places = [(stratum, slot) for stratum, count in enumerate(known.slots) for slot in range(count)]

    with active.deps.database.read() as session:
        leaves = {tree.read_slot(session, place)[0] for place in places}
    assert len(leaves) == len(places)
