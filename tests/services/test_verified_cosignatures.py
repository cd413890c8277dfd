"""A verification reads what the witnesses signed: what they cover, and what is not theirs."""

import pytest

from alloc_service.services import verification, witnesses
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.verification import Check, VerificationReport
from alloc_service.services.witnesses import NewPolicy
from tests.support.installation import Installation
from tests.support.witnesses import WitnessServer

NOT_ASKED = "No witness's key was given: two histories for two readers would not show."


def verify(installation: Installation) -> VerificationReport:
    return verification.verify(installation.deps, installation.trial)


def check_of(report: VerificationReport) -> Check | None:
    return next((check for check in report.checks if check.name == "cosignatures"), None)


def test_without_a_witness_nothing_vouches_against_two_histories(active: Installation) -> None:
    report = verify(active)

    assert NOT_ASKED in report.unchecked
    assert check_of(report) is None


def test_what_the_witness_has_confirmed_is_said(
    gated: Installation, witness: WitnessServer
) -> None:
    gated.allocate()
    report = verify(gated)
    assert report.ok
    assert NOT_ASKED not in report.unchecked
    assert not any("has cosigned covers" in told for told in report.unchecked)
    found = check_of(report)
    assert found is not None
    assert found.detail == "1 are of the log's witnesses"

    gated.change_state("pause")

    told = f"No checkpoint that {witness.public.name} has cosigned covers the entries from "
    assert any(one.startswith(told) for one in verify(gated).unchecked)


def test_the_signatures_of_an_older_policy_stay_good(gated: Installation) -> None:
    gated.allocate()
    people = TwoPeople(gated.people["manager"], gated.people["dmc"])
    witnesses.set_policy(gated.deps, people, gated.trial, NewPolicy("off", 0))

    report = verify(gated)

    assert report.ok
    assert NOT_ASKED in report.unchecked


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cosignature SET line = 'x'",
        "UPDATE cosignature SET name = 'w.example.org/other'",
        "UPDATE cosignature SET size = size - 1",
        "DELETE FROM checkpoint",
    ],
)
def test_a_row_that_somebody_changed_is_named(gated: Installation, damage: str) -> None:
    gated.allocate()
    gated.attack(damage)

    report = verify(gated)

    found = check_of(report)
    assert found is not None
    assert not found.ok
    assert "over the checkpoint of size" in found.detail
