"""A stored trial with one sealed list, and entries that follow each other, for storage tests."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from alloc_service.storage import queries
from alloc_service.storage.engine import Database
from alloc_service.storage.models import Enrolment, ListSealing, RandomizationList, Trial
from alloc_service.storage.people import Account
from alloc_service.storage.queries import AssignmentRow, EntryRow, SealedSlotRow

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
TRIAL = "TEST-STORE"


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def account() -> Account:
    return Account(
        id=UUID(int=7),
        username="mei",
        person_id="p-7",
        display_name="Dr Mei",
        organization="Site 01",
        password_hash="$argon2id$…",
        must_change=False,
        disabled_at=None,
        created_at=NOON,
    )


@pytest.fixture
def trial_id(database: Database, account: Account) -> str:
    """Store a trial with an account and a list of 2 strata of 4 slots, sealed once."""
    with database.write() as transaction:
        trial = Trial(
            id=TRIAL,
            origin=f"rac.example.org/{TRIAL}/audit",
            definition=b"{}",
            definition_sha256="d" * 64,
            created_at=NOON,
        )
        queries.add_trial(transaction, trial)
        transaction.add(account)
        transaction.flush()
        transaction.add(
            RandomizationList(
                trial_id=TRIAL,
                number=1,
                design_sha256="a" * 64,
                design_sealed=b"sealed design",
                root="b" * 64,
                slots=[4, 4],
                strata=["low", "high"],
                created_at=NOON,
            )
        )
        transaction.flush()
        sealing = ListSealing(
            trial_id=TRIAL, list_number=1, sealing=0, kid="k", wrap=b"w", wrap_sha256="c" * 64
        )
        transaction.add(sealing)
        transaction.flush()
        rows = [SealedSlotRow(s, i, _leaf(s, i), bytes(285)) for s in range(2) for i in range(4)]
        queries.add_sealed_slots(transaction, TRIAL, 1, 0, rows)
    return TRIAL


def _leaf(stratum: int, slot: int) -> bytes:
    return hashlib.sha256(f"{stratum}|{slot}".encode()).digest()


def _chain(count: int, mark: str = "") -> list[EntryRow]:
    rows: list[EntryRow] = []
    for seq in range(count):
        data = f'{{"mark":"{mark}","seq":{seq}}}'.encode()
        prev = rows[-1].leaf if rows else ""
        rows.append(EntryRow(seq, prev, hashlib.sha256(b"\0" + data).hexdigest(), data))
    return rows


@pytest.fixture
def chain() -> Callable[..., list[EntryRow]]:
    """Return a function that makes `count` entries that follow each other."""
    return _chain


@pytest.fixture
def logged(database: Database, trial_id: str) -> list[EntryRow]:
    """Store a log of three entries and return them."""
    rows = _chain(3)
    with database.write() as transaction:
        queries.append_entries(transaction, trial_id, rows, [])
    return rows


@pytest.fixture
def assign(database: Database, trial_id: str) -> Callable[..., AssignmentRow]:
    """Return a function that spends a slot of stratum 0 and stores the assignment."""

    def spend(slot: int, seq: int, enrolment: int) -> AssignmentRow:
        row = AssignmentRow(
            enrolment_id=UUID(int=enrolment),
            trial_id=trial_id,
            list_number=1,
            stratum=0,
            slot=slot,
            leaf=_leaf(0, slot).hex(),
            entry_seq=seq,
            assigned_at=NOON,
        )
        with database.write() as transaction:
            queries.add_assignment(transaction, row)
        return row

    return spend


@pytest.fixture
def enrol(database: Database, trial_id: str, account: Account) -> Callable[[str], UUID]:
    """Return a function that stores an enrolment and returns its id."""

    def add(participant: str) -> UUID:
        row = Enrolment(
            id=UUID(int=int(participant)),
            trial_id=trial_id,
            site="01",
            participant=participant,
            record=None,
            draft=b"{}",
            created_by=account.id,
            created_at=NOON,
        )
        with database.write() as transaction:
            transaction.add(row)
        return row.id

    return add
