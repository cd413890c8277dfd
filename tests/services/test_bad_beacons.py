"""What is no value of an announced round: refused with its rule, and not logged."""

from datetime import timedelta

import pytest

from alloc_service.core.ceremony import Drand
from alloc_service.errors import CeremonyError
from tests.support.ceremonies import Held, begin
from tests.support.installation import Installation

LENGTH = "64 characters of 0-9 and a-f"


@pytest.fixture
def held(staffed: Installation) -> Held:
    held = begin(staffed)
    ahead = Drand.after(staffed.clock.now + timedelta(hours=2))
    return held.freeze().commit().deposit().announce(ahead)


@pytest.mark.parametrize(
    ("value", "proof", "rule"),
    [
        ("", "", LENGTH),
        ("ab" * 31, "", LENGTH),
        ("ab" * 33, "", LENGTH),
        ("ab" * 32 + "\n", "", LENGTH),
        ("AB" * 32, "", LENGTH),
        ("xy" * 32, "", LENGTH),
        ("\ufeff" + "ab" * 32, "", LENGTH),
        ("ab" * 32, "cd" * 47, "96 characters of 0-9 and a-f"),
        ("ab" * 32, "cd" * 48, "not the hash of its signature"),
    ],
)
def test_a_value_that_is_none_is_refused(held: Held, value: str, proof: str, rule: str) -> None:
    held.installation.clock.advance(hours=3)

    with pytest.raises(CeremonyError, match=rule):
        held.give_beacon(value, proof)

    assert held.installation.entries("seed.beacon") == []
    held.give_beacon("ab" * 32)


def test_a_value_before_its_round_is_refused(held: Held) -> None:
    with pytest.raises(CeremonyError, match="nobody can know it before"):
        held.give_beacon("ab" * 32)
    assert held.installation.entries("seed.beacon") == []
