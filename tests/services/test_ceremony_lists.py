"""The end of a seed ceremony: the list of its shares, its escrow, and whoever reveals falsely."""

import hmac
from datetime import timedelta

import pytest

from alloc_service.core.ceremony import Drand, PublicString, Share
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    CeremonyError,
    EscrowError,
    NotAllowedError,
    RuleError,
    ShareFileError,
)
from alloc_service.sealing import age, shares
from alloc_service.sealing.escrow import open_escrow
from alloc_service.sealing.shares import OwnShare
from alloc_service.services import ceremonies, ceremony_lists, lists
from alloc_service.services.ceremony_lists import Opening
from alloc_service.storage import queries
from tests.support.ceremonies import Held, begin
from tests.support.installation import Installation


@pytest.fixture
def held(staffed: Installation) -> Held:
    return begin(staffed)


def announced(held: Held) -> str:
    return str(held.installation.entries("seed.announced")[-1].body["doc_sha256"])


def test_the_list_is_the_one_of_every_share_and_the_beacon(held: Held) -> None:
    ahead = Drand.after(held.installation.clock.now + timedelta(hours=2))
    held.freeze().commit().deposit().announce(ahead)
    held.installation.clock.advance(hours=3)
    made = held.give_beacon("ab" * 32).reveal().finish()

    digits = [held.own[party].share.digits for party in sorted(held.own)]
    message = "|".join(["rac-seed/1", *digits, "ab" * 32]).encode()
    seed = hmac.new(announced(held).encode(), message, "sha256").hexdigest()
    escrow = open_escrow(
        made.escrow["seed.archive+dmc.age"],
        held.installation.identities["archive"],
        held.installation.identities["dmc"],
    )
    assert escrow.seed.digits == seed
    assert escrow.reveals == tuple(digits)
    assert escrow.beacon == "ab" * 32
    assert generate(held.design, escrow.seed).root == made.root
    assert held.installation.state().lists[1].root == made.root


def test_without_a_beacon_the_seed_is_the_parties_alone(held: Held) -> None:
    made = held.until_revealed().finish()

    digits = [held.own[party].share.digits for party in sorted(held.own)]
    message = "|".join(["rac-seed/1", *digits, "-"]).encode()
    seed = hmac.new(announced(held).encode(), message, "sha256").hexdigest()
    assert generate(held.design, Seed(seed)).root == made.root


def test_a_list_of_a_ceremony_allocates_like_any_other(held: Held) -> None:
    held.until_revealed().finish()
    here = held.installation
    here.approve()
    here.activate()
    here.change_site(active=True)

    assert here.allocate().arm in {"SUNRISE-7Q", "MOONSET-7Q"}


def test_the_files_of_a_ceremony_go_when_its_list_is_sealed(held: Held) -> None:
    held.until_revealed().finish()

    assert held.installation.ask("SELECT name FROM ceremony_file") == []
    with pytest.raises(CeremonyError, match="is over"):
        held.finish()


def test_the_sealer_opens_the_design_for_a_logged_look(held: Held) -> None:
    held.until_revealed().finish()

    assert [entry.body["list"] for entry in held.installation.entries("design.read")] == [1]


def test_a_design_that_is_brought_along_is_not_read(held: Held) -> None:
    held.until_revealed().finish(design=held.design)

    assert not held.installation.entries("design.read")


def test_another_design_than_the_frozen_one_is_refused(held: Held) -> None:
    held.until_revealed()

    with pytest.raises(CeremonyError, match="not the one that was frozen"):
        held.finish(design=held.installation.definition.design(1))
    assert not held.installation.entries("list.sealed")


def test_a_party_that_reveals_another_value_is_refused_by_name(held: Held) -> None:
    held.freeze().commit().deposit().announce()
    held.own["sponsor"] = OwnShare(held.id, held.design.sha256, "sponsor", Share.fresh())
    held.reveal()

    with pytest.raises(CeremonyError, match="sponsor reveals another value") as refusal:
        held.finish()
    assert held.own["sponsor"].share.digits not in str(refusal.value)
    assert not held.installation.entries("list.sealed")


def test_a_share_of_another_party_or_ceremony_is_refused_by_its_files_name(held: Held) -> None:
    held.freeze().commit().deposit().announce()
    held.own["sponsor"] = held.own["dmc"]
    here = held.installation
    data = shares.write_reveal(held.own["dmc"], held.keys.recipient)
    ceremonies.reveal(
        here.deps, here.people["manager"], here.trial, held.id, party="sponsor", data=data
    )
    held.reveal("dmc", "statistician")

    with pytest.raises(ShareFileError, match=r"reveal\.sponsor\.age: it was drawn for another"):
        held.finish()


def test_a_reveal_that_does_not_open_or_holds_no_share_is_named(held: Held) -> None:
    held.freeze().commit().deposit().announce().reveal("dmc")
    here = held.installation
    stranger = age.make_identity()[1]
    bad = {
        "sponsor": ("manager", age.encrypt_to(stranger, held.own["sponsor"].to_bytes())),
        "statistician": ("stat", age.encrypt_to(held.keys.recipient, b"no share")),
    }
    for party, (username, data) in bad.items():
        ceremonies.reveal(
            here.deps, here.people[username], here.trial, held.id, party=party, data=data
        )

    with pytest.raises(ShareFileError, match=r"reveal\.sponsor\.age: the file does not open"):
        held.finish()
    here.attack("DELETE FROM ceremony_file WHERE name = 'reveal.sponsor.age'")
    with pytest.raises(ShareFileError, match=r"reveal\.statistician\.age: what it holds is not"):
        held.finish()


def test_another_identity_than_the_ceremonys_is_refused(held: Held) -> None:
    held.until_revealed()
    held.identity = held.installation.identities["stat"]

    with pytest.raises(CeremonyError, match="not the one that the shares are encrypted to"):
        held.finish()


def test_a_party_that_stays_away_is_named_and_the_escrow_stands_in_for_it(held: Held) -> None:
    held.freeze().commit().deposit().announce().reveal("dmc", "statistician")
    with pytest.raises(CeremonyError, match="sponsor has not revealed"):
        held.finish()
    here, name = held.installation, "deposit.sponsor.archive+stat.age"
    ((data,),) = here.ask("SELECT ciphertext FROM ceremony_file WHERE name = :name", name=name)
    with pytest.raises(EscrowError, match="outer layer"):
        shares.open_deposit(data, here.identities["dmc"], here.identities["stat"], name)
    own = shares.open_deposit(data, here.identities["archive"], here.identities["stat"], name)

    made = held.finish(own)

    assert here.state().lists[1].root == made.root


def test_a_statistician_alone_makes_the_list(held: Held) -> None:
    held.until_revealed()
    here = held.installation

    for username in ("dmc", "manager", "admin"):
        with pytest.raises(NotAllowedError):
            ceremony_lists.finish(
                here.deps, here.people[username], here.trial, held.id, Opening(held.identity)
            )


def test_a_ceremony_that_waits_makes_no_list(held: Held) -> None:
    held.freeze().commit()
    with pytest.raises(CeremonyError, match="is not announced"):
        held.finish()
    held.deposit().announce(PublicString("index"))
    with pytest.raises(CeremonyError, match="has not revealed"):
        held.finish()


def test_a_dropped_ceremony_makes_no_list(held: Held) -> None:
    held.until_revealed()
    here = held.installation
    ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "rehearsal")

    with pytest.raises(CeremonyError, match="is over"):
        held.finish()


def test_a_document_that_somebody_edited_in_the_database_is_found(held: Held) -> None:
    held.until_revealed()
    here = held.installation
    with here.deps.database.read() as session:
        record = queries.read_ceremony(session, here.trial, held.id)
        edited = (record.document or b"").replace(b"null", b'{"kind":"public-string","source":"x"}')
    here.attack("UPDATE ceremony SET document = :document", document=edited)

    with pytest.raises(CeremonyError, match="not the one that was announced"):
        held.finish()


def test_a_list_under_the_frozen_design_waits_for_its_ceremony(held: Held) -> None:
    held.freeze().commit().deposit()
    here = held.installation

    with pytest.raises(RuleError, match="is not announced"):
        lists.generate(here.deps, here.people["stat"], held.design, here.custodians)


def test_a_list_under_another_seed_is_not_sealed_beside_a_complete_ceremony(held: Held) -> None:
    held.until_revealed()
    here = held.installation

    with pytest.raises(CeremonyError, match=f"comes from its ceremony {held.id}: finish or drop"):
        lists.generate(here.deps, here.people["stat"], held.design, here.custodians)

    assert not here.entries("list.sealed")
