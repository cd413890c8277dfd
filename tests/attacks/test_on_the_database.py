"""Attacks of whoever rules the database: each is found, and the message names what it is.

The attacker owns file and server, takes triggers off and puts them back, and can compute every
hash that the schema asks for. The sealer's anchor and its keys are out of reach.
"""

from collections.abc import Iterator
from uuid import UUID

import pytest

from alloc_service.core.merkle import inner_nodes, root_of
from alloc_service.errors import (
    EnrolmentChangedError,
    FrozenError,
    LogDamagedError,
    RefusalError,
    SealedSlotError,
)
from alloc_service.log.entry import Entry, write_entry
from alloc_service.services import lists, reveal, verification
from tests.support.installation import Installation, type_small
from tests.support.tampering import StolenFile, faults_of

SEVERE = {"severity": "severe"}


@pytest.fixture
def lived(active: Installation) -> Installation:
    """Return a trial with three allocations."""
    active.allocate("P-001")
    active.allocate("P-002", facts=SEVERE)
    active.allocate("P-003")
    return active


@pytest.fixture
def stolen(lived: Installation) -> Iterator[StolenFile]:
    file = StolenFile(lived, lived.home / "stolen.db")
    yield file
    file.close()


def spends_nothing(installation: Installation, participant: str = "P-900") -> RefusalError:
    """Return why the next allocation is refused, after no slot was found to be spent."""
    before = installation.ask("SELECT count(*) FROM assignment")
    with pytest.raises(RefusalError) as refusal:
        installation.allocate(participant)
    assert installation.ask("SELECT count(*) FROM assignment") == before
    return refusal.value


def test_database_edited(lived: Installation, stolen: StolenFile) -> None:
    (entry,) = lived.entries("list.activated")
    edited = write_entry(
        entry.seq, entry.prev, entry.time, entry.type,
        {**entry.body, "actor": {**entry.body["actor"], "id": "p-nobody"}},
    )  # fmt: skip
    attack = ("UPDATE log_entry SET data = ?, leaf = ? WHERE seq = ?",
              (edited.data, edited.leaf, entry.seq))  # fmt: skip

    found = faults_of(stolen.verify_after(attack))

    assert found["sealer"] == f"entry {entry.seq} is not the one that the sealer has followed"
    statement = "UPDATE log_entry SET data = :data, leaf = :leaf WHERE seq = :seq"
    lived.attack(statement, data=edited.data, leaf=edited.leaf, seq=entry.seq)
    reopened = lived.open_anew()
    with pytest.raises(
        LogDamagedError, match=f"entry {entry.seq + 1}: .* its prev is not the leaf"
    ):
        lists.read_design(reopened, lived.people["stat"], lived.trial, 1)


def test_rows_dropped(lived: Installation, stolen: StolenFile) -> None:
    last = lived.entries()[-1]
    found = faults_of(stolen.verify_after(f"DELETE FROM log_entry WHERE seq = {last.seq}"))
    assert str(last.seq) in found["sealer"]

    lived.attack("DELETE FROM log_entry WHERE seq >= :seq", seq=last.seq)
    lived.attack("UPDATE log_head SET size = :seq, last_leaf = :leaf", seq=last.seq, leaf=last.prev)

    with pytest.raises(FrozenError, match="which the sealer followed"):
        raise spends_nothing(lived)
    with pytest.raises(FrozenError):  # it lasts, whatever is put back
        raise spends_nothing(lived, "P-901")


def test_rows_swapped(lived: Installation, stolen: StolenFile) -> None:
    one, two = lived.entries("slot.assigned")[:2]
    ids = {entry.seq: UUID(entry.body["enrolment"]).hex for entry in (one, two)}
    put = "UPDATE assignment SET enrolment_id = ? WHERE entry_seq = ?"
    found = faults_of(
        stolen.verify_after(
            (put, ("0" * 32, one.seq)),
            (put, (ids[one.seq], two.seq)),
            (put, (ids[two.seq], one.seq)),
        )
    )
    assert f"entry {one.seq}" in found["assignments"]

    lived.exchange("enrolment", "record", f"id = '{ids[one.seq]}'", f"id = '{ids[two.seq]}'")

    with pytest.raises(EnrolmentChangedError):
        reveal.read_again(lived.deps, lived.people["doc"], UUID(ids[one.seq]))


def test_leaves_and_root_replaced_together(lived: Installation) -> None:
    rows = lived.ask("SELECT stratum, slot, leaf FROM sealed_slot ORDER BY stratum, slot")
    forged = [bytes([at]) * 32 for at in range(len(rows))]
    for (stratum, slot, _), leaf in zip(rows, forged, strict=True):
        statement = "UPDATE sealed_slot SET leaf = :leaf WHERE stratum = :s AND slot = :i"
        lived.attack(statement, leaf=leaf, s=stratum, i=slot)
    for level, position, node in inner_nodes(forged):
        statement = "UPDATE list_node SET hash = :node WHERE level = :l AND position = :p"
        lived.attack(statement, node=node, l=level, p=position)
    lived.attack("UPDATE randomization_list SET root = :root", root=root_of(forged).hex())

    lived.deps = lived.open_anew()
    refused = spends_nothing(lived)

    assert isinstance(refused, SealedSlotError)
    found = faults_of(verification.verify(lived.deps, lived.trial))
    assert any("root" in told for told in found.values())


def test_blob_swapped(lived: Installation) -> None:
    place = "stratum = 0 AND slot"
    lived.exchange("sealed_slot", "blob", f"{place} = 2", f"{place} = 3")
    draft = lived.enrol(type_small("P-900"))

    with pytest.raises(RefusalError) as refusal:
        lived.reveal(draft)

    assert "7Q" not in str(refusal.value)
    (entry,) = lived.entries("slot.assigned")[3:]
    assert (entry.body["stratum"], entry.body["slot"]) == (0, 2)
    with pytest.raises(RefusalError):  # it stays that enrolment's slot, and is not skipped
        reveal.reveal(lived.deps, lived.people["doc"], draft.id, None)
    assert len(lived.entries("slot.assigned")) == 4


def test_slot_skipped(lived: Installation) -> None:
    forged = forge_assignment(lived, stratum=0, slot=3)
    append(lived, forged)

    refused = spends_nothing(lived)

    assert "next slot" in str(refused)
    found = faults_of(verification.verify(lived.deps, lived.trial))
    assert f"entry {forged.seq}" in found["log"]
    assert "it is not the stratum's next slot" in found["log"]


def test_fake_enrolment_by_a_database_administrator(lived: Installation) -> None:
    forged = forge_assignment(lived, stratum=0, slot=2)
    append(lived, forged)

    found = faults_of(verification.verify(lived.deps, lived.trial))

    enrolment = forged.body["enrolment"]
    assert f"the record of enrolment {enrolment}, which entry {forged.seq}" in found["enrolments"]
    with pytest.raises(RefusalError):
        reveal.read_again(lived.deps, lived.people["doc"], UUID(enrolment))


def test_enrolment_replayed_with_another_stratum(lived: Installation) -> None:
    (entry,) = lived.entries("slot.assigned")[:1]
    enrolment = UUID(entry.body["enrolment"])
    drafts = lived.ask("SELECT draft FROM enrolment WHERE id = :id", id=enrolment.hex)
    mild = drafts[0][0]
    severe = mild.replace(b'"mild"', b'"severe"')
    assert severe != mild
    lived.attack("UPDATE enrolment SET draft = :d, record = NULL WHERE id = :id",
                 d=severe, id=enrolment.hex)  # fmt: skip

    with pytest.raises(RefusalError):
        reveal.reveal(
            lived.deps, lived.people["doc"], enrolment,
            reveal.sign(lived.deps, "doc", "doc has a long password", enrolment),
        )  # fmt: skip

    spent = [item.body["enrolment"] for item in lived.entries("slot.assigned")]
    assert len(spent) == len(set(spent)) == 3


def forge_assignment(installation: Installation, *, stratum: int, slot: int) -> Entry:
    """Return a well-formed entry that assigns a slot to an enrolment that nobody signed."""
    last = installation.entries()[-1]
    assigned = installation.entries("slot.assigned")[0]
    ((leaf,),) = installation.ask(
        "SELECT leaf FROM sealed_slot WHERE stratum = :s AND slot = :i", s=stratum, i=slot
    )
    body = {
        **assigned.body,
        "stratum": stratum,
        "slot": slot,
        "leaf": leaf.hex(),
        "enrolment": "00000000-0000-4000-8000-00000000000f",
        "enrolment_sha256": "f" * 64,
    }
    return write_entry(last.seq + 1, last.leaf, last.time, "slot.assigned", body)


def append(installation: Installation, entry: Entry) -> None:
    """Append an entry as the service would, with its row and the head of the log."""
    trial = installation.trial
    installation.attack(
        "INSERT INTO log_entry (trial_id, seq, prev, leaf, data) VALUES (:t, :s, :p, :l, :d)",
        t=trial, s=entry.seq, p=entry.prev, l=entry.leaf, d=entry.data,
    )  # fmt: skip
    installation.attack(
        "UPDATE log_head SET size = :size, last_leaf = :leaf", size=entry.seq + 1, leaf=entry.leaf
    )
    body = entry.body
    installation.attack(
        "INSERT INTO assignment (enrolment_id, trial_id, list_number, stratum, slot, leaf, "
        "entry_seq, assigned_at) VALUES (:e, :t, 1, :s, :i, :l, :q, '2026-03-02 02:00:00')",
        e=UUID(body["enrolment"]).hex, t=trial, s=body["stratum"], i=body["slot"],
        l=body["leaf"], q=entry.seq,
    )  # fmt: skip
