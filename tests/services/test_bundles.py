"""Bundles of a real installation: who gets which, what is logged, and that they verify."""

import hashlib

import pytest

from alloc_service.core.canon import Json, canon
from alloc_service.core.ceremony_hashes import hash_share, hash_shares
from alloc_service.core.generate import Opening, generate
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    BundleError,
    DesignMismatchError,
    NotAllowedError,
    NotAuthorizedError,
    SeedTooEarlyError,
    UnknownRecordError,
)
from alloc_service.log.bundle import MOST_CHECKPOINTS
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.entry import read_entry
from alloc_service.log.evidence import EvidenceReport
from alloc_service.log.policy import parse_policy
from alloc_service.permissions import Action
from alloc_service.sealing.escrow import EscrowedList, open_escrow
from alloc_service.sealing.package import seal_list
from alloc_service.services import accounts, audit, bundles, lists, witnesses
from alloc_service.services.audit import LoggedActor
from alloc_service.storage import evidence
from tests.services.test_rotation import rotate
from tests.support.bundles import WITNESSES
from tests.support.chain import hex32
from tests.support.installation import Installation
from tests.support.witnesses import NAME, WitnessServer, set_gate

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
    assert "List 1: openings that are those of their leaves: 3." in found.checked
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


def test_a_look_opens_what_was_spent_before_it_and_nothing_after(active: Installation) -> None:
    active.allocate("P-001")
    bundles.make_unblinded(active.deps, active.people["dmc"], active.trial)
    look = active.entries("arms.read")[-1].seq
    active.allocate("P-002")

    found = bundles.open_spent(active.deps, active.trial, look)

    assert [len(openings) for openings in found.values()] == [1]
    with pytest.raises(NotAuthorizedError):
        bundles.open_spent(active.deps, active.trial, len(active.entries()) - 1)


def test_the_document_of_the_ceremony_that_gave_a_seed_is_in_the_bundle(
    staffed: Installation,
) -> None:
    deps, design, trial = staffed.deps, staffed.definition.design(1), staffed.trial
    reveal, value = hex32("r"), hashlib.sha256(b"tomorrow").hexdigest()
    commitment = hash_share(design.sha256, "c-1", "dmc", reveal)
    document = canon(
        {
            "alg": "rac-seed/1",
            "beacon": {"kind": "public-string", "source": "tomorrow"},
            "ceremony": "c-1",
            "design_sha256": design.sha256,
            "parties": [{"commitment": commitment, "id": "dmc"}],
        }
    )
    announced = hashlib.sha256(document).hexdigest()
    seed = Seed(hash_shares(announced, [reveal], value))
    sealed = seal_list(generate(design, seed), deps.sealer.public_key, staffed.origin)
    frozen: dict[str, Json] = {"list": 1, "design_sha256": design.sha256}
    step: dict[str, Json] = {"ceremony": "c-1"}
    entries: list[tuple[str, dict[str, Json]]] = [
        ("design.frozen", frozen),
        ("seed.committed", {**step, "list": 1, "party": "dmc", "commitment": commitment}),
        ("seed.deposited", {**step, "party": "dmc"}),
        ("seed.announced", {**step, "list": 1, "doc_sha256": announced}),
        ("seed.beacon", {**step, "value": value}),
        (
            "list.sealed",
            {
                **frozen,
                "kid": sealed.kid,
                "root": sealed.root,
                "sealing": 1,
                "slots": list(sealed.slots),
                "wrap_sha256": sealed.wrap_sha256,
            },
        ),
    ]
    with audit.writing(deps, trial) as tx:
        log = audit.open_log(deps, tx, trial)
        actor = accounts.require(tx, staffed.people["stat"], Action.GENERATE_LIST, trial)
        for type_, body in entries:
            log.append(type_, actor, body)
        lists._add_rows(deps, tx, sealed, {})
        held = {"trial_id": trial, "list_number": 1}
        tx.add(
            evidence.FrozenDesign(
                **held, design_sha256=design.sha256, design_sealed=sealed.design_sealed
            )
        )
        tx.flush()
        tx.add(
            evidence.CeremonyRecord(
                **held,
                ceremony="c-1",
                recipient="age1",
                custodians={"dmc": "age1"},
                document=document,
                opened_at=staffed.clock.now,
            )
        )

    blinded = bundles.make_blinded(deps, staffed.people["dmc"], trial)
    staffed.change_state("close")
    secret = EscrowedList(design, seed, (reveal,), value)
    opened = bundles.make_unblinded(deps, staffed.people["dmc"], trial, [secret])

    assert read_members(blinded)["lists/1/ceremony.json"] == document
    checked(staffed, blinded)
    assert (
        "List 1: design and seed give the very list that was sealed."
        in checked(staffed, opened).checked
    )


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_of_many_checkpoints_those_that_the_reader_needs_are_in_it(
    active: Installation, witness: WitnessServer
) -> None:
    set_gate(active, witness, mode="follow")
    witnesses.collect(active.deps, active.people["manager"], active.trial)
    mine = bundles.read_policy(active.deps, active.trial)
    rotate(active, signing=True)
    for _ in range(2 * MOST_CHECKPOINTS):
        with audit.writing(active.deps, active.trial) as tx:
            log = audit.open_log(active.deps, tx, active.trial)
            log.append("log.exported", LoggedActor("p-dmc", "XA01", "dmc"), {"upto": 0})

    data = bundles.make_blinded(active.deps, active.people["dmc"], active.trial)

    found = verify_bundle(data, parse_policy(mine))
    assert any("A quorum of the policy has cosigned" in said for said in found.checked)
    assert any("The log's key was changed" in said for said in found.told)
    names = [name for name in read_members(data) if name.startswith("audit/checkpoints/")]
    assert len(names) == MOST_CHECKPOINTS


@pytest.mark.parametrize(
    "forged", ["garbage", f"— {NAME} {'A' * 102}==", f"— nobody {'A' * 102}=="]
)
def test_a_cosignature_that_somebody_put_in_the_database_spoils_no_bundle(
    active: Installation, witness: WitnessServer, forged: str
) -> None:
    set_gate(active, witness, mode="follow")
    active.allocate("P-001")
    witnesses.collect(active.deps, active.people["manager"], active.trial)
    ((line,),) = active.ask("SELECT line FROM cosignature")
    name, _, signature = line.rpartition(" ")
    bad = f"{name} {signature[:8]}{'A' * 94}==\n" if NAME in forged else f"{forged}\n"
    active.attack("UPDATE cosignature SET line = :bad", bad=bad)

    data = bundles.make_blinded(active.deps, active.people["dmc"], active.trial)

    with pytest.raises(BundleError, match="cosignatures of the policy's quorum"):
        checked(active, data)
    active.attack("UPDATE cosignature SET line = :line", line=line)
    good = bundles.make_blinded(active.deps, active.people["dmc"], active.trial)
    assert checked(active, good).size == len(active.entries())
