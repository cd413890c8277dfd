"""Whoever rules the database can stop an allocation: no other's is shown, no slot is burnt."""

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from alloc_service.errors import (
    AppendOnlyError,
    BlobLockedError,
    EnrolmentChangedError,
    NotAuthorizedError,
    RefusalError,
    SealedSlotError,
    TreeError,
)
from alloc_service.services import reveal
from alloc_service.services.enrolments import Draft, Typed
from alloc_service.services.reveal import Allocation
from tests.support.installation import START, Installation, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def refusal_of(installation: Installation, call: Callable[[], object]) -> RefusalError:
    """Return a refusal that shows nothing and stands in the log once, by its code."""
    before = installation.refused()
    with pytest.raises(RefusalError) as refusal:
        call()
    assert installation.refused() == [*before, refusal.value.code]
    assert "7Q" not in str(refusal.value)
    return refusal.value


def read_again(installation: Installation, draft: Draft) -> Callable[[], object]:
    return lambda: reveal.read_again(installation.deps, installation.people["doc"], draft.id)


def two_allocated(installation: Installation) -> tuple[Draft, Draft]:
    drafts = (installation.enrol(), installation.enrol(type_p2()))
    for draft in drafts:
        installation.reveal(draft)
    return drafts


def type_p2() -> Typed:
    return type_small("P-002")


def facts_of(allocation: Allocation) -> dict[str, object]:
    """Return all that is shown but the receipt, which is under another checkpoint each time."""
    names = [field.name for field in fields(allocation) if field.name != "receipt"]
    return {name: getattr(allocation, name) for name in names}


def require_nothing_is_shown(installation: Installation, draft: Draft) -> None:
    """Ask for an allocation in both ways: each is refused and logged, and spends no slot."""
    spent = installation.entries("slot.assigned")
    for ask in (read_again(installation, draft), lambda: installation.reveal(draft)):
        assert isinstance(refusal_of(installation, ask), EnrolmentChangedError)
    assert installation.entries("slot.assigned") == spent


def change_assignment(installation: Installation, draft: Draft, column: str, value: object) -> None:
    """Change one column of an enrolment's assignment, constraints or not."""
    ids = {"now": spell(installation, draft.id), "value": spell(installation, value)}
    change = f"UPDATE assignment SET {column} = :value WHERE enrolment_id = :now"
    installation.attack(change, **ids)


def spell(installation: Installation, value: object) -> object:
    """Return a value as the database stores it: SQLite knows neither ids nor times."""
    if installation.deps.database.dialect == "sqlite":
        if isinstance(value, UUID):
            return value.hex
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value


# --- the record -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE enrolment SET record = NULL WHERE participant = 'P-001'",
        "UPDATE enrolment SET record = CAST('{}' AS {bytes}) WHERE participant = 'P-001'",
        "UPDATE enrolment SET participant = 'P-003' WHERE participant = 'P-001'",
        "UPDATE enrolment SET site = 'BE02' WHERE participant = 'P-001'",
    ],
    ids=["none", "empty", "another number", "another site"],
)
def test_a_record_that_was_changed_or_swapped_shows_nothing(
    active: Installation, kind: str, change: str
) -> None:
    draft, other = two_allocated(active)
    before = reveal.read_again(active.deps, active.people["doc"], other.id)
    active.attack(change.replace("{bytes}", "BLOB" if kind == "sqlite" else "bytea"))

    person = active.people["far" if "BE02" in change else "doc"]
    refusal = refusal_of(active, lambda: reveal.read_again(active.deps, person, draft.id))
    assert isinstance(refusal, EnrolmentChangedError)
    assert "Tell the data monitoring committee" in str(refusal)
    assert active.spent() == 2
    again = reveal.read_again(active.deps, active.people["doc"], other.id)
    assert facts_of(again) == facts_of(before)


def test_two_enrolments_whose_records_were_exchanged_show_neither(active: Installation) -> None:
    drafts = two_allocated(active)
    active.exchange("enrolment", "record", "participant = 'P-001'", "participant = 'P-002'")

    for draft in drafts:
        assert isinstance(refusal_of(active, read_again(active, draft)), EnrolmentChangedError)


# --- the assignment ---------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("removed", ["first", "last"])
def test_an_enrolment_whose_assignment_was_removed_gets_neither_its_arm_nor_a_second_slot(
    active: Installation, removed: str, restarted: bool
) -> None:
    draft, other = active.enrol(), active.enrol(type_p2())
    shown = {one.id: active.reveal(one) for one in (draft, other)}
    victim, spared = (draft, other) if removed == "first" else (other, draft)
    active.attack("DELETE FROM assignment WHERE enrolment_id = :id", id=spell(active, victim.id))
    if restarted:
        active.deps = active.open_anew()

    require_nothing_is_shown(active, victim)
    again = reveal.read_again(active.deps, active.people["doc"], spared.id)
    assert facts_of(again) == facts_of(shown[spared.id]), "a removed row moved a number"


def test_after_an_assignment_was_removed_the_next_slot_is_the_one_that_the_log_tells(
    active: Installation,
) -> None:
    draft, _ = two_allocated(active)
    active.attack("DELETE FROM assignment WHERE enrolment_id = :id", id=spell(active, draft.id))

    assert active.allocate("P-003").randomization_number == 3
    assert active.entries("slot.assigned")[-1].body["slot"] == 2


def test_after_the_last_assignment_was_removed_its_slot_goes_to_nobody_else(
    active: Installation,
) -> None:
    _, last = two_allocated(active)
    active.attack("DELETE FROM assignment WHERE enrolment_id = :id", id=spell(active, last.id))
    third = active.enrol(type_small("P-003"))

    assert isinstance(refusal_of(active, lambda: active.reveal(third)), AppendOnlyError)
    assert [entry.body["slot"] for entry in active.entries("slot.assigned")] == [0, 1]
    assert active.ask("SELECT count(*) FROM assignment") == [(1,)]


# What the row of P-001 says, and what the next request of somebody else then gets: the slot
# after the two, or the refusal of the guard, to which this row is the last one now.
COLUMNS = {
    "enrolment_id": (UUID(int=9), None),
    "list_number": (2, None),
    "stratum": (1, None),
    "slot": (4, AppendOnlyError),
    "leaf": ("e" * 64, None),
    "entry_seq": (3, None),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_an_assignment_with_one_other_column_shows_nothing_and_moves_no_slot(
    active: Installation, column: str
) -> None:
    draft, other = active.enrol(), active.enrol(type_p2())
    shown = [active.reveal(one) for one in (draft, other)]
    value, refused = COLUMNS[column]
    change_assignment(active, draft, column, value)

    require_nothing_is_shown(active, draft)
    again = reveal.read_again(active.deps, active.people["doc"], other.id)
    assert facts_of(again) == facts_of(shown[1])
    third = active.enrol(type_small("P-003"))
    if refused is None:
        assert active.reveal(third).randomization_number == 3
        assert active.entries("slot.assigned")[-1].body["slot"] == 2
    else:
        assert isinstance(refusal_of(active, lambda: active.reveal(third)), refused)
        assert active.spent() == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [("assigned_at", START - timedelta(days=1)), ("trial_id", "TEST-OTHER")],
    ids=["another time", "another trial"],
)
def test_what_a_row_says_beside_its_slot_is_not_shown_but_what_the_log_says(
    active: Installation, column: str, value: object
) -> None:
    draft = active.enrol()
    shown = active.reveal(draft)
    change_assignment(active, draft, column, value)

    again = reveal.read_again(active.deps, active.people["doc"], draft.id)
    assert facts_of(again) == facts_of(shown)


def test_an_assignment_that_names_another_enrolments_entry_shows_neither(
    active: Installation,
) -> None:
    draft, other = two_allocated(active)
    first, second = (entry.seq for entry in active.entries("slot.assigned"))
    for one, seq in ((other, 900), (draft, second), (other, first)):
        change_assignment(active, one, "entry_seq", seq)

    for one in (draft, other):
        require_nothing_is_shown(active, one)


def test_two_enrolments_whose_assignments_were_exchanged_show_neither(
    active: Installation,
) -> None:
    draft, other = two_allocated(active)
    for now, then in ((draft.id, UUID(int=9)), (other.id, draft.id), (UUID(int=9), other.id)):
        active.attack(
            "UPDATE assignment SET enrolment_id = :then WHERE enrolment_id = :now",
            now=spell(active, now),
            then=spell(active, then),
        )

    for one in (draft, other):
        require_nothing_is_shown(active, one)


def test_rows_exchanged_while_the_sealer_follows_change_nothing_that_is_shown(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = active.enrol()
    before = active.reveal(draft)
    active.reveal(active.enrol(type_p2()))
    first, second = (entry.seq for entry in active.entries("slot.assigned"))
    follow = active.deps.sealer.follow

    def swap_then_follow(origin: str, since: int, entries: list[bytes], seen: Sequence[str]) -> str:
        note = follow(origin, since, entries, seen)
        for seq, to in ((second, 999), (first, second)):
            active.attack(
                "UPDATE assignment SET entry_seq = :to WHERE entry_seq = :seq", seq=seq, to=to
            )
        return note

    with monkeypatch.context() as patch:
        patch.setattr(active.deps.sealer, "follow", swap_then_follow)
        shown = reveal.read_again(active.deps, active.people["doc"], draft.id)

    assert facts_of(shown) == facts_of(before)
    with pytest.raises(EnrolmentChangedError):
        reveal.read_again(active.deps, active.people["doc"], draft.id)


# --- slots, leaves and wraps ------------------------------------------------------------------


def test_blobs_that_were_exchanged_open_nothing_and_stay_their_enrolments_slots(
    active: Installation,
) -> None:
    draft, other = two_allocated(active)
    place = "stratum = 0 AND slot ="
    active.exchange("sealed_slot", "blob", f"{place} 0", f"{place} 1")

    for one in (draft, other):
        assert isinstance(refusal_of(active, read_again(active, one)), BlobLockedError)
    assert active.spent() == 2


LEAVES = {
    "another's": "UPDATE sealed_slot SET leaf = (SELECT b.leaf FROM sealed_slot AS b"
    " WHERE b.stratum = 1 AND b.slot = 3) WHERE stratum = 0 AND slot = 0",
    "its neighbour's edited": "UPDATE sealed_slot SET leaf = (SELECT b.leaf FROM sealed_slot AS b"
    " WHERE b.stratum = 1 AND b.slot = 3) WHERE stratum = 0 AND slot = 1",
    "its row removed": "DELETE FROM sealed_slot WHERE stratum = 0 AND slot = 0",
    "its neighbour removed": "DELETE FROM sealed_slot WHERE stratum = 0 AND slot = 1",
    "every row removed": "DELETE FROM sealed_slot",
    "a node edited": "UPDATE list_node SET hash = (SELECT b.hash FROM list_node AS b"
    " WHERE b.level = 2 AND b.position = 0) WHERE level = 1 AND position = 1",
    "the nodes removed": "DELETE FROM list_node",
}


@on_sqlite
@pytest.mark.parametrize("attack", LEAVES.values(), ids=LEAVES)
def test_a_leaf_that_is_not_under_the_logged_root_is_not_spent(
    active: Installation, attack: str
) -> None:
    draft = active.enrol()
    active.attack(attack)

    refusal = refusal_of(active, lambda: active.reveal(draft))
    assert type(refusal) is SealedSlotError
    assert not re.search(r"\d", str(refusal)), "no place of a slot may be told"
    assert active.spent() == 0
    assert active.ask("SELECT count(*) FROM assignment") == [(0,)]


@on_sqlite
@pytest.mark.parametrize("attack", LEAVES.values(), ids=LEAVES)
def test_a_slot_whose_rows_are_touched_later_is_not_opened_and_its_place_not_told(
    active: Installation, attack: str
) -> None:
    draft = active.enrol()
    active.reveal(draft)
    active.attack(attack)
    deps = active.open_anew()

    refusal = refusal_of(active, lambda: reveal.read_again(deps, active.people["doc"], draft.id))
    assert type(refusal) is SealedSlotError
    assert not re.search(r"\d", str(refusal))


@on_sqlite
@pytest.mark.parametrize("attack", LEAVES.values(), ids=LEAVES)
def test_a_service_that_read_the_tree_before_shows_the_same_arm_or_none(
    active: Installation, attack: str
) -> None:
    draft = active.enrol()
    shown = active.reveal(draft)
    active.attack(attack)

    with contextlib.suppress(SealedSlotError):
        assert reveal.read_again(active.deps, active.people["doc"], draft.id).arm == shown.arm


def test_a_wrap_that_was_never_logged_opens_nothing(active: Installation) -> None:
    draft = active.enrol()
    active.reveal(draft)
    active.generate(2)
    active.attack(
        "UPDATE list_sealing SET wrap = (SELECT b.wrap FROM list_sealing AS b"
        " WHERE b.list_number = 2) WHERE list_number = 1"
    )

    assert isinstance(refusal_of(active, read_again(active, draft)), NotAuthorizedError)


# --- the log's tree ---------------------------------------------------------------------------


def test_a_receipt_that_would_not_verify_is_never_handed_out(active: Installation) -> None:
    drafts = two_allocated(active)
    active.attack(
        "UPDATE log_node SET hash = (SELECT b.hash FROM log_node AS b"
        " WHERE b.level = 1 AND b.position = 0)"
    )

    for draft in drafts:
        with pytest.raises(TreeError):
            reveal.read_again(active.deps, active.people["doc"], draft.id)


def test_a_time_that_was_edited_in_the_log_is_never_shown(active: Installation) -> None:
    draft, _ = two_allocated(active)
    entry = active.entries("slot.assigned")[0]
    edited = entry.data.replace(b"2026-03-02T02:00:00Z", b"2026-03-01T02:00:00Z")
    active.attack("UPDATE log_entry SET data = :data WHERE seq = :seq", data=edited, seq=entry.seq)

    with pytest.raises(TreeError):
        reveal.read_again(active.deps, active.people["doc"], draft.id)
