"""Enrolments, their locks and the slots that they spend."""

import threading
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import pytest

from alloc_service.errors import AppendOnlyError, UnknownRecordError
from alloc_service.storage import queries
from alloc_service.storage.engine import Database
from alloc_service.storage.models import Reason, Trial
from alloc_service.storage.queries import AssignmentRow


def test_enrolments_are_found_by_id_by_number_and_by_site(
    database: Database, trial_id: str, enrol: Callable[[str], UUID]
) -> None:
    first, second = enrol("2"), enrol("1")

    with database.read() as session:
        assert queries.read_enrolment(session, first).participant == "2"
        found = queries.find_enrolment_of_participant(session, trial_id, "01", "1")
        assert found is not None
        assert found.id == second
        assert queries.find_enrolment_of_participant(session, trial_id, "02", "1") is None
        assert {row.id for row in queries.list_enrolments(session, trial_id)} == {first, second}
        assert len(queries.list_enrolments(session, trial_id, "01")) == 2
        assert queries.list_enrolments(session, trial_id, "02") == []


def test_an_enrolment_that_is_not_there_is_told(database: Database) -> None:
    nobody = UUID(int=404)
    with database.write() as transaction:
        for read in (queries.read_enrolment, queries.lock_enrolment):
            with pytest.raises(UnknownRecordError, match=str(nobody)):
                read(transaction, nobody)
        assert queries.find_assignment(transaction, nobody) is None


def test_whoever_waits_for_an_enrolment_sees_it_as_the_other_left_it(
    database: Database, enrol: Callable[[str], UUID]
) -> None:
    enrolment_id = enrol("1")
    seen: list[bytes] = []
    loaded = threading.Event()

    def look() -> None:
        with database.write() as transaction:
            queries.read_enrolment(transaction, enrolment_id)  # an older state is in the session
            loaded.set()
            seen.append(queries.lock_enrolment(transaction, enrolment_id).draft)

    waiting = threading.Thread(target=look)
    with database.write() as transaction:
        enrolment = queries.lock_enrolment(transaction, enrolment_id)
        waiting.start()
        loaded.wait(0.2)  # on SQLite it waits before its first statement
        queries.write_draft(transaction, enrolment.id, enrolment.participant, b'{"changed":true}')
    waiting.join()

    assert seen == [b'{"changed":true}']


def test_slots_are_spent_in_order_and_counted(
    database: Database, trial_id: str, assign: Callable[..., AssignmentRow]
) -> None:
    for slot in range(3):
        assign(slot=slot, seq=slot + 10, enrolment=slot + 1)

    with database.read() as session:
        assert queries.count_assigned(session, trial_id) == {(1, 0): 3}
        assert [row.slot for row in queries.list_assignments(session, trial_id)] == [0, 1, 2]
        spent = queries.find_assignment(session, UUID(int=2))
        assert spent is not None
        assert (spent.slot, spent.entry_seq) == (1, 11)


def test_an_enrolment_spends_one_slot(assign: Callable[..., AssignmentRow], noon: datetime) -> None:
    spent = assign(slot=0, seq=1, enrolment=1)
    assert spent.assigned_at == noon

    with pytest.raises(AppendOnlyError, match="assignment_takes_the_next_slot"):
        assign(slot=1, seq=2, enrolment=1)


def test_trials_are_read_by_id(database: Database, trial_id: str) -> None:
    with database.read() as session:
        assert queries.read_trial(session, trial_id).definition == b"{}"
        assert [trial.id for trial in queries.list_trials(session)] == [trial_id]
        with pytest.raises(UnknownRecordError, match="no trial NOWHERE"):
            queries.read_trial(session, "NOWHERE")


def test_the_text_behind_a_reason_can_be_erased(database: Database, trial_id: str) -> None:
    with database.write() as transaction:
        transaction.add(Reason(trial_id=trial_id, entry_seq=4, salt="5a" * 32, text="power cut"))
    with database.write() as transaction:
        reason = queries.find_reason(transaction, trial_id, 4)
        assert reason is not None
        assert reason.text == "power cut"
        transaction.delete(reason)

    with database.read() as session:
        assert queries.find_reason(session, trial_id, 4) is None


def test_a_trial_shares_its_log_with_no_other(database: Database, noon: datetime) -> None:
    def add(trial_id: str) -> None:
        trial = Trial(
            id=trial_id,
            origin="rac.example.org/one/audit",
            definition=b"{}",
            definition_sha256="d" * 64,
            created_at=noon,
        )
        with database.write() as transaction:
            queries.add_trial(transaction, trial)

    add("one")
    with pytest.raises(Exception, match="origin_names_one_log"):
        add("two")
