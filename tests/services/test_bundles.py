"""Bundles of a real installation: who gets which, what is logged, and that they verify."""

import pytest

from alloc_service.core.generate import Opening, generate
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    BundleError,
    DesignMismatchError,
    NotAllowedError,
    SeedTooEarlyError,
    UnknownRecordError,
)
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.entry import read_entry
from alloc_service.log.evidence import EvidenceReport
from alloc_service.log.policy import parse_policy
from alloc_service.sealing.escrow import EscrowedList, open_escrow
from alloc_service.services import bundles
from alloc_service.storage import evidence
from tests.support.bundles import WITNESSES
from tests.support.chain import hex32
from tests.support.installation import Installation

SECRET = ("design.json", "openings.txt", "seed.json")


def checked(installation: Installation, data: bytes) -> EvidenceReport:
    policy = bundles.read_policy(installation.deps, installation.trial)
    return verify_bundle(data, parse_policy(policy))


def types_from(installation: Installation, size: int) -> list[str]:
    return [entry.type for entry in installation.entries()[size:]]


def escrowed(installation: Installation, number: int = 1) -> EscrowedList:
    """Return what two custodians open together."""
    name = "seed.archive+dmc.age"
    ((data,),) = installation.ask(
        "SELECT ciphertext FROM escrow_file WHERE list_number = :number AND name = :name",
        number=number,
        name=name,
    )
    return open_escrow(
        bytes(data), installation.identities["archive"], installation.identities["dmc"]
    )


@pytest.mark.parametrize("who", ["dmc", "stat", "second", "admin"])
def test_oversight_gets_a_blinded_bundle_that_is_logged_and_holds_no_arm(
    active: Installation, who: str
) -> None:
    active.allocate("P-001")
    size = len(active.entries())

    data = bundles.make_blinded(active.deps, active.people[who], active.trial)

    assert types_from(active, size) == ["log.exported"]
    members = read_members(data)
    assert not any(name.endswith(SECRET) for name in members)
    for arm in active.definition.arms:
        assert arm.code.encode() not in data
    assert members["audit/entries.ndjson"].count(b"\n") == size + 1
    found = checked(active, data)
    assert (found.origin, found.build, found.size) == (active.origin, "blinded", size + 1)


@pytest.mark.parametrize("who", ["manager", "doc"])
def test_others_get_no_bundle_and_nothing_is_logged(active: Installation, who: str) -> None:
    size = len(active.entries())

    for make in (bundles.make_blinded, bundles.make_unblinded):
        with pytest.raises(NotAllowedError):
            make(active.deps, active.people[who], active.trial)
    with pytest.raises(NotAllowedError):
        bundles.make_unblinded(active.deps, active.people["admin"], active.trial)
    assert len(active.entries()) == size


def test_the_committee_gets_the_openings_of_spent_slots_and_no_design(
    active: Installation,
) -> None:
    shown = {active.allocate(f"P-00{number}").arm for number in range(3)}
    size = len(active.entries())

    data = bundles.make_unblinded(active.deps, active.people["dmc"], active.trial)

    assert types_from(active, size) == ["arms.read", "log.exported"]
    members = read_members(data)
    assert "lists/1/design.json" not in members
    lines = members["lists/1/openings.txt"].decode().splitlines()
    openings = [Opening.parse(line.split("\t")[1]) for line in lines]
    assert len(openings) == 3
    assert {opening.arm for opening in openings} == shown
    found = checked(active, data)
    assert found.build == "unblinded"
    assert "List 1: 3 openings are those of their leaves." in found.checked
    look = active.entries("arms.read")[-1]
    assert look.body["purpose"] == "bundle"


def test_statisticians_get_the_design_too_and_that_is_logged(active: Installation) -> None:
    active.allocate("P-001")
    size = len(active.entries())

    data = bundles.make_unblinded(active.deps, active.people["second"], active.trial)

    assert types_from(active, size) == ["arms.read", "design.read", "log.exported"]
    assert "List 1: the design is the frozen one." in checked(active, data).checked


def test_a_trial_without_lists_has_a_bundle_too(staffed: Installation) -> None:
    for make in (bundles.make_blinded, bundles.make_unblinded):
        data = make(staffed.deps, staffed.people["dmc"], staffed.trial)
        assert not any(name.startswith("lists/") for name in read_members(data))
        assert checked(staffed, data).size == len(staffed.entries())


def test_after_the_end_the_escrow_gives_the_whole_list_again(active: Installation) -> None:
    active.allocate("P-001")
    secret = escrowed(active)
    with pytest.raises(SeedTooEarlyError):
        bundles.make_unblinded(active.deps, active.people["dmc"], active.trial, [secret])
    active.change_state("close")
    size = len(active.entries())

    data = bundles.make_unblinded(active.deps, active.people["dmc"], active.trial, [secret])

    assert types_from(active, size) == ["arms.read", "log.exported"]  # no design was opened here
    assert (
        "List 1: design and seed give the very list that was sealed."
        in checked(active, data).checked
    )


def test_another_lists_escrow_is_refused_and_nothing_is_logged(active: Installation) -> None:
    active.change_state("close")
    size = len(active.entries())
    other = EscrowedList(active.definition.design(7), Seed(hex32("s")))

    with pytest.raises(DesignMismatchError):
        bundles.make_unblinded(active.deps, active.people["dmc"], active.trial, [other])
    assert len(active.entries()) == size


def test_a_seed_that_gives_another_list_is_refused_by_the_bundles_own_verification(
    active: Installation,
) -> None:
    active.change_state("close")
    wrong = EscrowedList(escrowed(active).design, Seed(hex32("s")))

    with pytest.raises(BundleError, match="gives another list"):
        bundles.make_unblinded(active.deps, active.people["dmc"], active.trial, [wrong])


def test_stored_cosignatures_are_in_the_bundle(active: Installation) -> None:
    witness = WITNESSES[0]
    bundles.make_blinded(active.deps, active.people["dmc"], active.trial)
    with active.deps.database.write() as tx:
        ((size, note),) = active.ask("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1")
        line = witness.cosign(note.partition("\n\n")[0] + "\n", 1_767_344_400).strip()
        tx.add(evidence.Cosignature(trial_id=active.trial, size=size, name=witness.name, line=line))

    data = bundles.make_blinded(active.deps, active.people["dmc"], active.trial)

    policy = bundles.read_policy(active.deps, active.trial).replace(
        "quorum none\n", f"witness w {witness.verifier.vkey}\nquorum w\n"
    )
    found = verify_bundle(data, parse_policy(policy))
    assert f"A quorum of the policy has cosigned the first {size:,} entries." in found.checked


def test_the_policy_is_the_logs_key_and_what_the_log_says_of_witnesses(
    active: Installation,
) -> None:
    policy = parse_policy(bundles.read_policy(active.deps, active.trial))

    assert policy.key_of(active.origin) == active.deps.sealer.log_key(active.origin)
    assert policy.quorum == "none"
    with pytest.raises(UnknownRecordError):
        bundles.read_policy(active.deps, "TEST-OTHER")


def test_two_lists_are_both_in_the_bundle(active: Installation) -> None:
    active.generate(2)
    active.approve(2)
    active.activate(2)
    active.allocate("P-001")

    data = bundles.make_unblinded(active.deps, active.people["stat"], active.trial)

    found = checked(active, data)
    assert {"lists/1/leaves.bin", "lists/2/leaves.bin"} <= read_members(data).keys()
    assert not any("lowest list" in sentence for sentence in found.unchecked)
    secret = escrowed(active, 2)
    leaves = generate(secret.design, secret.seed).leaves
    assert read_members(data)["lists/2/leaves.bin"] == leaves


def test_the_bundle_holds_exactly_the_stored_bytes(active: Installation) -> None:
    data = bundles.make_blinded(active.deps, active.people["dmc"], active.trial)

    rows = read_members(data)["audit/entries.ndjson"].splitlines()
    assert rows == [entry.data for entry in active.entries()]
    assert read_entry(rows[-1]).type == "log.exported"
