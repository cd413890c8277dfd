"""The seed ceremony: every step in its order, logged, and refused out of it with the rule."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from alloc_service.core.ceremony import CeremonyDocument, Drand, PublicString
from alloc_service.errors import (
    AgeError,
    CeremonyError,
    CustodiansError,
    DesignMismatchError,
    NotAllowedError,
    RuleError,
    ShareFileError,
    UnknownRecordError,
)
from alloc_service.sealing import shares
from alloc_service.services import ceremonies
from alloc_service.services.ceremonies import Keys
from alloc_service.storage import queries
from tests.support.ceremonies import PARTIES, Held, begin
from tests.support.installation import Installation


@pytest.fixture
def held(staffed: Installation) -> Held:
    return begin(staffed)


def stored_document(held: Held) -> CeremonyDocument:
    with held.installation.deps.database.read() as session:
        record = queries.read_ceremony(session, held.installation.trial, held.id)
        return ceremonies.document_of(record)


def test_the_steps_of_a_ceremony_are_logged_in_their_order(held: Held) -> None:
    ahead = Drand.after(held.installation.clock.now + timedelta(hours=2))
    held.freeze().commit().deposit().announce(ahead)
    held.installation.clock.advance(hours=3)
    held.give_beacon("ab" * 32).reveal()

    here = held.installation
    logged = [entry.type for entry in here.entries() if entry.type.startswith(("seed", "design"))]
    assert logged == [
        "design.frozen",
        *["seed.committed"] * 3,
        *["seed.deposited"] * 3,
        "seed.announced",
        "seed.beacon",
        *["seed.revealed"] * 3,
    ]
    document = stored_document(held)
    assert here.entries("seed.announced")[0].body["doc_sha256"] == document.sha256
    assert document.commitments == {
        party: own.commitment for party, own in sorted(held.own.items())
    }
    assert here.entries("seed.beacon")[0].body["value"] == "ab" * 32


def test_who_acts_for_a_party_is_logged_with_it(held: Held) -> None:
    held.freeze().commit()

    acted = {
        entry.body["party"]: entry.actor_id for entry in held.installation.entries("seed.committed")
    }
    assert acted == {party: f"p-{username}" for party, username in PARTIES.items()}


def test_no_share_is_in_the_database_in_clear(held: Held) -> None:
    held.until_revealed()

    with held.installation.deps.database.read() as session:
        files = queries.list_ceremony_files(session, held.installation.trial, held.id)
        kept = b"".join(file.ciphertext for file in files)
    assert len(files) == 12
    for own in held.own.values():
        assert own.share.digits.encode() not in kept


# --- freezing --------------------------------------------------------------------------------


def test_a_design_is_frozen_once(held: Held) -> None:
    held.freeze()

    with pytest.raises(RuleError, match="list 1 has a design already"):
        begin(held.installation).freeze()


def test_a_design_is_its_trials(held: Held) -> None:
    short = held.installation.definition.design(1)
    held.design = type(short)(
        trial=short.trial, list=1, arms=short.arms, blocks=short.blocks,
        strata=short.strata[:1], salt=short.salt,
    )  # fmt: skip

    with pytest.raises(DesignMismatchError, match="strata"):
        held.freeze()
    assert not held.installation.entries("design.frozen")


def test_the_keys_of_a_ceremony_are_keys(held: Held) -> None:
    good = held.keys
    held.keys = Keys("age1nonsense", good.custodians)
    with pytest.raises(AgeError, match="recipient"):
        held.freeze()
    held.keys = Keys(good.recipient, {"dmc": good.recipient})
    with pytest.raises(CustodiansError, match="there must be 3"):
        held.freeze()
    assert not held.installation.entries("design.frozen")


@pytest.mark.parametrize("column", ["recipient", "custodians"])
def test_keys_that_somebody_exchanged_in_the_database_are_found(held: Held, column: str) -> None:
    held.freeze().commit("dmc")
    other = begin(held.installation).keys
    value = {"recipient": other.recipient, "custodians": '{"a":"age1"}'}[column]
    held.installation.attack(f"UPDATE ceremony SET {column} = :value", value=value)

    with pytest.raises(CeremonyError, match="somebody exchanged one"):
        held.commit("sponsor")


@pytest.mark.parametrize("username", ["doc", "admin", "dmc", "manager"])
def test_a_statistician_alone_leads_a_ceremony(held: Held, username: str) -> None:
    here = held.installation
    person = here.people[username]
    with pytest.raises(NotAllowedError):
        ceremonies.freeze(here.deps, person, held.design, held.keys)
    held.freeze().commit().deposit()
    acts: list[Callable[[], object]] = [
        lambda: ceremonies.open_another(here.deps, person, here.trial, 1, held.keys),
        lambda: ceremonies.announce(here.deps, person, here.trial, held.id, None),
        lambda: ceremonies.drop(here.deps, person, here.trial, held.id, "rehearsal"),
    ]
    for act in acts:
        with pytest.raises(NotAllowedError):
            act()


# --- committing ------------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["doc", "admin", "guest"])
def test_whoever_enrols_or_administers_is_no_party(held: Held, username: str) -> None:
    held.freeze()
    here = held.installation

    with pytest.raises(NotAllowedError):
        ceremonies.commit(
            here.deps, here.people[username], here.trial, held.id, party="x", commitment="a" * 64
        )


def test_a_party_commits_once(held: Held) -> None:
    held.freeze().commit("dmc")

    with pytest.raises(RuleError, match="dmc has committed already"):
        held.commit("dmc")


def test_a_party_does_not_copy_anothers_commitment(held: Held) -> None:
    held.freeze().commit("dmc")
    here = held.installation

    with pytest.raises(RuleError, match="sponsor repeats another's commitment"):
        ceremonies.commit(
            here.deps, here.people["manager"], here.trial, held.id,
            party="sponsor", commitment=held.own["dmc"].commitment,
        )  # fmt: skip


def test_a_person_is_not_two_parties(held: Held) -> None:
    held.freeze().commit("dmc")
    here = held.installation

    with pytest.raises(RuleError, match="third and dmc are one person"):
        ceremonies.commit(
            here.deps, here.people["dmc"], here.trial, held.id, party="third", commitment="a" * 64
        )


@pytest.mark.parametrize("then", ["deposit", "announce"])
def test_a_party_that_comes_late_is_refused_by_name(held: Held, then: str) -> None:
    held.freeze().commit("dmc", "statistician")
    held.deposit("dmc") if then == "deposit" else held.announce()

    with pytest.raises(RuleError, match="sponsor is too late"):
        held.commit("sponsor")


def test_the_name_of_a_party_can_stand_in_a_files_name(held: Held) -> None:
    held.freeze()
    here = held.installation

    with pytest.raises(CeremonyError, match="1-32 of a-z 0-9 -"):
        ceremonies.commit(
            here.deps, here.people["dmc"], here.trial, held.id, party="../x", commitment="a" * 64
        )


def test_a_ceremony_that_is_not_there_is_named(held: Held) -> None:
    held.id = "list-1/ceremony-9"

    with pytest.raises(UnknownRecordError, match="list-1/ceremony-9"):
        held.commit("dmc")


# --- depositing ------------------------------------------------------------------------------


def test_a_deposit_is_a_file_for_each_pair_of_custodians(held: Held) -> None:
    held.freeze().commit("dmc")
    here = held.installation
    whole = shares.write_deposit(held.own["dmc"], held.keys.custodians)
    short = dict(list(whole.items())[:2])

    for files in (short, {**short, "deposit.sponsor.archive+dmc.age": b""}):
        with pytest.raises(CeremonyError, match=r"the three files deposit\.dmc\.archive\+dmc\.age"):
            ceremonies.deposit(
                here.deps, here.people["dmc"], here.trial, held.id, party="dmc", files=files
            )


@pytest.mark.parametrize(
    ("data", "rule"),
    [(b"plain", "no binary age file"), (b"age-encryption.org/v1\n" + bytes(5000), "4,096 bytes")],
)
def test_a_deposit_in_clear_or_of_another_length_is_not_kept(
    held: Held, data: bytes, rule: str
) -> None:
    held.freeze().commit("dmc")
    here = held.installation
    files = dict.fromkeys(shares.deposit_names("dmc", held.keys.custodians), data)

    with pytest.raises(ShareFileError, match=rule):
        ceremonies.deposit(
            here.deps, here.people["dmc"], here.trial, held.id, party="dmc", files=files
        )
    assert not held.file_names()


def test_nobody_deposits_for_another(held: Held) -> None:
    held.freeze().commit("dmc", "sponsor")
    here = held.installation
    files = shares.write_deposit(held.own["dmc"], held.keys.custodians)

    with pytest.raises(RuleError, match="another person committed for dmc"):
        ceremonies.deposit(
            here.deps, here.people["manager"], here.trial, held.id, party="dmc", files=files
        )
    assert not held.file_names()


# --- announcing, and the beacon --------------------------------------------------------------


def test_a_ceremony_without_a_party_is_not_announced(held: Held) -> None:
    held.freeze()

    with pytest.raises(CeremonyError, match="a ceremony has 1 to 16 parties"):
        held.announce(PublicString("index at the close"))


def test_one_party_alone_needs_a_beacon(held: Held) -> None:
    held.freeze().commit("dmc").deposit()

    with pytest.raises(CeremonyError, match="one party alone would choose the seed"):
        held.announce()
    held.announce(PublicString("index at the close"))


def test_a_round_that_somebody_could_know_is_refused(held: Held) -> None:
    held.freeze().commit().deposit()
    now = held.installation.clock.now

    for soon in (Drand(1), Drand.after(now + timedelta(minutes=59))):
        with pytest.raises(CeremonyError, match="at least an hour ahead"):
            held.announce(soon)
    assert not held.installation.entries("seed.announced")


def test_a_ceremony_is_announced_once(held: Held) -> None:
    held.freeze().commit().announce()

    with pytest.raises(RuleError, match="announced already"):
        held.announce()


def test_a_beacons_value_is_not_taken_before_it_is_published(held: Held) -> None:
    beacon = Drand.after(held.installation.clock.now + timedelta(hours=1))
    held.freeze().commit().deposit().announce(beacon)

    with pytest.raises(CeremonyError, match="nobody can know it before"):
        held.give_beacon("ab" * 32)


def test_a_beacon_waits_for_every_deposit(held: Held) -> None:
    held.freeze().commit().deposit("dmc").announce(PublicString("index"))

    with pytest.raises(RuleError, match="sponsor, statistician has not deposited"):
        held.give_beacon("", "3,141.59")


def test_a_public_string_is_kept_as_it_was_published(held: Held) -> None:
    held.freeze().commit().deposit().announce(PublicString("index")).give_beacon("", "3,141.59")

    value = held.installation.entries("seed.beacon")[0].body["value"]
    assert value == hashlib.sha256(b"3,141.59").hexdigest()
    ((proof,),) = held.installation.ask("SELECT beacon_proof FROM ceremony")
    assert proof == "3,141.59"


def test_a_beacons_value_is_typed_once(held: Held) -> None:
    held.freeze().commit().deposit().announce(PublicString("index")).give_beacon("", "3,141.59")

    with pytest.raises(RuleError, match="has its beacon already"):
        held.give_beacon("", "2,718.28")
    ((proof,),) = held.installation.ask("SELECT beacon_proof FROM ceremony")
    assert proof == "3,141.59"


def test_a_value_for_no_beacon_is_refused(held: Held) -> None:
    held.freeze().commit()
    with pytest.raises(CeremonyError, match="is not announced"):
        held.give_beacon("ab" * 32)
    held.deposit().announce()

    with pytest.raises(CeremonyError, match="announced without a beacon"):
        held.give_beacon("ab" * 32)


# --- revealing -------------------------------------------------------------------------------


def test_nobody_reveals_before_it_is_announced_deposited_and_the_beacon_known(held: Held) -> None:
    held.freeze().commit()
    with pytest.raises(CeremonyError, match="is not announced"):
        held.reveal("dmc")
    held.announce(PublicString("index"))
    with pytest.raises(CeremonyError, match="dmc is too early: the beacon's value comes first"):
        held.reveal("dmc")
    held.deposit().give_beacon("", "3,141.59")

    held.reveal()

    with pytest.raises(RuleError, match="dmc has revealed already"):
        held.reveal("dmc")


def test_a_reveal_waits_for_every_deposit(held: Held) -> None:
    held.freeze().commit().announce().deposit("dmc")

    with pytest.raises(RuleError, match="sponsor, statistician has not deposited"):
        held.reveal("dmc")
    assert "reveal.dmc.age" not in held.file_names()


def test_a_reveal_in_clear_is_not_kept(held: Held) -> None:
    held.freeze().commit().deposit().announce()
    here, data = held.installation, held.own["dmc"].to_bytes()

    with pytest.raises(ShareFileError, match="no binary age file"):
        ceremonies.reveal(
            here.deps, here.people["dmc"], here.trial, held.id, party="dmc", data=data
        )
