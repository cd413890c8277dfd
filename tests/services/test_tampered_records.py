"""Attacks of a database's owner on records, roles, forks and the trial itself (G13, E5).

On SQLite every row in turn, on PostgreSQL a few.
"""

from collections.abc import Iterator
from uuid import UUID

import pytest

from alloc_service.errors import VerificationError
from alloc_service.permissions import Grant, Role
from alloc_service.services import accounts, verification
from tests.support.installation import Installation
from tests.support.rollback import SEVERE
from tests.support.tampering import StolenFile, fault, faults_of

sqlite_alone = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
postgresql_alone = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)

OTHER = "e" * 64


@pytest.fixture
def lived(active: Installation) -> Installation:
    """Return a trial with two allocations, in two strata."""
    active.allocate("P-001")
    active.allocate("P-002", facts=SEVERE)
    return active


@pytest.fixture
def stolen(lived: Installation) -> Iterator[StolenFile]:
    file = StolenFile(lived, lived.home / "stolen.db")
    yield file
    file.close()


@sqlite_alone
def test_a_changed_record_is_named(stolen: StolenFile) -> None:
    for stored, record, draft in stolen.ask("SELECT id, record, draft FROM enrolment"):
        at = f"WHERE id = '{stored}'"
        which = f"the record of enrolment {UUID(stored)}, which entry "
        edited = {"record": record.replace(b'"45"', b'"46"'), "draft": draft.replace(b"45", b"46")}
        for attack, told in (
            ((f"UPDATE enrolment SET record = ? {at}", (edited["record"],)), "is another one"),
            ((f"UPDATE enrolment SET draft = ? {at}", (edited["draft"],)), "has another draft"),
            (f"UPDATE enrolment SET record = NULL {at}", "is lost"),
            (f"UPDATE enrolment SET site = 'BE02' {at}", "stands under another number"),
            (f"UPDATE enrolment SET participant = 'P-900' {at}", "stands under another number"),
            (f"UPDATE enrolment SET trial_id = 'TEST-OTHER' {at}", "is lost"),
            (f"UPDATE enrolment SET id = '{UUID(int=7).hex}' {at}", "is lost"),
            (f"DELETE FROM enrolment {at}", "is lost"),
        ):
            found = fault(stolen, "enrolments", attack)
            assert found.startswith(which)
            assert told in found


@sqlite_alone
def test_two_records_in_each_other_s_place_are_named(stolen: StolenFile) -> None:
    (one, record, draft), (other, other_record, other_draft) = stolen.ask(
        "SELECT id, record, draft FROM enrolment"
    )
    put = "UPDATE enrolment SET record = ?, draft = ? WHERE id = ?"

    found = fault(
        stolen, "enrolments", (put, (other_record, other_draft, one)), (put, (record, draft, other))
    )

    assert "is another one" in found


@sqlite_alone
@pytest.mark.parametrize(
    ("table", "column", "value", "check"),
    [
        ("log_entry", "data", "'text'", "entries"),
        ("checkpoint", "note", "zeroblob(3)", "checkpoints"),
        ("log_node", "hash", "'text'", "tree"),
        ("log_head", "size", "'many'", "tree"),
        ("randomization_list", "design_sealed", "'text'", "list 1"),
        ("list_sealing", "wrap", "'text'", "list 1"),
        ("list_node", "hash", "'text'", "list 1"),
        ("sealed_slot", "leaf", "'text'", "list 1"),
        ("enrolment", "draft", "'text'", "enrolments"),
        ("account", "must_change", "7", "roles"),
        ("role_grant", "granted_at", "'soon'", "roles"),
        ("trial", "definition", "'text'", "trial"),
    ],
)
def test_a_value_of_a_kind_that_its_column_cannot_hold_is_named(
    stolen: StolenFile, table: str, column: str, value: str, check: str
) -> None:
    found = faults_of(stolen.verify_after(f"UPDATE {table} SET {column} = {value}"))

    assert f"table {table} was changed" in found[check]
    assert f"its {column} is of another kind" in found[check]


@sqlite_alone
def test_a_role_that_no_entry_granted_is_named(stolen: StolenFile) -> None:
    (guest,) = stolen.ask("SELECT id FROM account WHERE username = 'guest'")[0]
    add = (
        "INSERT INTO role_grant SELECT ?, ?, trial_id, 'physician', 'XA01', granted_at,"
        " granted_by, ended_at FROM role_grant WHERE role = 'dmc'"
    )
    told = "the role {} of {} was granted by no entry, or has ended"

    found = fault(stolen, "roles", (add, (UUID(int=3).hex, guest)))
    assert found == told.format("physician", "p-guest")
    found = fault(stolen, "roles", "UPDATE role_grant SET role = 'manager' WHERE role = 'dmc'")
    assert found == told.format("manager", "p-dmc")
    found = fault(stolen, "roles", "UPDATE role_grant SET site = 'BE02' WHERE site = 'XA01'")
    assert found.startswith("the role physician of p-doc")
    again = "UPDATE account SET person_id = 'p-other' WHERE username = 'manager'"
    assert fault(stolen, "roles", again) == told.format("manager", "p-other")


def test_a_role_that_was_ended_and_is_held_again_is_named(lived: Installation) -> None:
    grant = Grant(Role.DMC)
    accounts.end_grant(lived.deps, lived.people["admin"], lived.trial, "dmc", grant)
    assert faults_of(verification.verify(lived.deps, lived.trial)) == {}

    lived.attack("UPDATE role_grant SET ended_at = NULL")

    found = faults_of(verification.verify(lived.deps, lived.trial))
    assert found == {"roles": "the role dmc of p-dmc was granted by no entry, or has ended"}


def test_a_role_of_a_disabled_account_opens_nothing_and_is_no_fault(lived: Installation) -> None:
    accounts.disable_account(lived.deps, lived.people["admin"], "dmc")
    lived.attack("UPDATE role_grant SET role = 'manager' WHERE role = 'dmc'")

    assert faults_of(verification.verify(lived.deps, lived.trial)) == {}


@sqlite_alone
@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("UPDATE trial SET definition = zeroblob(9)", "its definition is not the one"),
        ("UPDATE trial SET origin = 'rac.example.org/OTHER/audit'", "its origin is of another log"),
        ("DELETE FROM trial", "the trial itself is not stored"),
    ],
)
def test_a_changed_trial_is_named(stolen: StolenFile, attack: str, told: str) -> None:
    assert told in fault(stolen, "trial", attack)


def test_each_check_fails_alone_and_hides_no_other(lived: Installation) -> None:
    for attack in (
        f"UPDATE log_entry SET leaf = '{OTHER}' WHERE seq = 4",
        "UPDATE checkpoint SET note = 'x' WHERE size = 2",
        "UPDATE log_head SET size = 2",
        "DELETE FROM sealed_slot WHERE slot = 5",
        "DELETE FROM assignment WHERE slot = 0 AND stratum = 0",
        "UPDATE enrolment SET participant = 'P-9' WHERE participant = 'P-001'",
        "UPDATE role_grant SET role = 'manager' WHERE role = 'dmc'",
        f"UPDATE trial SET definition_sha256 = '{OTHER}'",
    ):
        lived.attack(attack)

    report = verification.verify(lived.deps, lived.trial)

    assert [check.name for check in report.faults] == [
        "trial", "entries", "checkpoints", "tree", "list 1", "assignments", "enrolments", "roles",
    ]  # fmt: skip
    assert not report.ok
    with pytest.raises(VerificationError, match="the first check to fail is trial") as refusal:
        report.require()
    assert refusal.value.facts["origin"] == lived.origin


@postgresql_alone
@pytest.mark.parametrize(
    ("attack", "check", "told"),
    [
        ("UPDATE enrolment SET record = record || record", "enrolments", "is another one"),
        ("UPDATE enrolment SET draft = '{}' WHERE participant = 'P-001'", "enrolments", "draft"),
        ("DELETE FROM enrolment WHERE participant = 'P-001'", "enrolments", "is lost"),
        ("UPDATE trial SET definition = '{}'", "trial", "its definition"),
    ],
)  # fmt: skip
def test_an_attack_on_postgresql_is_named(
    lived: Installation, attack: str, check: str, told: str
) -> None:
    lived.attack(attack)

    found = faults_of(verification.verify(lived.deps, lived.trial))

    assert found.keys() == {check}
    assert told in found[check]
