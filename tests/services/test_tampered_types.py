"""SQLite takes a value of any type into any column: what reads one refuses, and never crashes."""

import contextlib

import pytest

from alloc_service.errors import RefusalError
from alloc_service.services import health, reveal, verification
from tests.support.installation import Installation

ATTACKS = [
    "UPDATE log_entry SET data = CAST(data AS TEXT)",
    "UPDATE log_entry SET leaf = CAST(leaf AS BLOB)",
    "UPDATE log_head SET last_leaf = CAST(last_leaf AS BLOB)",
    "UPDATE log_node SET hash = 'abcdefghijklmnopqrstuvwxyzabcdef'",
    "UPDATE enrolment SET record = CAST(record AS TEXT)",
    "UPDATE enrolment SET draft = CAST(draft AS TEXT)",
    "UPDATE enrolment SET site = CAST(site AS BLOB)",
    "UPDATE enrolment SET participant = CAST(participant AS BLOB)",
    "UPDATE sealed_slot SET blob = 'x' || hex(zeroblob(142))",
    "UPDATE sealed_slot SET leaf = 'abcdefghijklmnopqrstuvwxyzabcdef'",
    "UPDATE list_sealing SET wrap = 'abc'",
    "UPDATE list_node SET hash = 'abcdefghijklmnopqrstuvwxyzabcdef'",
    "UPDATE trial SET definition = CAST(definition AS TEXT)",
]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_value_of_another_type_shows_the_same_arm_or_none_and_is_found(
    active: Installation, attack: str
) -> None:
    draft = active.enrol()
    shown = active.reveal(draft)
    active.attack(attack)

    for deps in (active.deps, active.open_anew()):
        with contextlib.suppress(RefusalError):
            assert reveal.read_again(deps, active.people["doc"], draft.id).arm == shown.arm
        assert health.start(deps).keys() <= {active.trial}
        assert not verification.verify(deps, active.trial).ok
