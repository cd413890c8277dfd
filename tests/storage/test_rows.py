"""Rows of whole tables: their order, their lines, and values of another kind (E6)."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from alloc_service.core.canon import canon
from alloc_service.errors import CanonError, StoredValueError
from alloc_service.storage import rows
from alloc_service.storage.engine import Database
from alloc_service.storage.people import Account
from alloc_service.storage.tables import METADATA

ACCOUNT: rows.Values = {
    "id": UUID(int=7),
    "username": "mei",
    "person_id": "p-7",
    "display_name": "Dr Mei",
    "organization": "Site 01",
    "password_hash": "$argon2id$…",
    "must_change": False,
    "disabled_at": None,
    "created_at": datetime(2026, 1, 2, 12, 0, tzinfo=UTC),
}

times = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  the strategy adds the zone


def test_every_table_and_every_column_has_its_place() -> None:
    assert set(rows.ORDER) == set(METADATA.tables) - rows.PASSING
    for table, columns in rows.ORDER.items():
        assert set(columns) <= set(METADATA.tables[table].columns.keys())


def test_a_line_spells_times_as_the_log_does_and_bytes_as_base64() -> None:
    fork = {"trial_id": "T", "fork": 1, "at": ACCOUNT["created_at"], "fork_sha256": ""}
    entry = {"trial_id": "T", "fork": 1, "seq": 2, "data": b"{}"}

    line = rows.write_row("fork", fork)
    assert line == b'{"at":"2026-01-02T12:00:00Z","fork":1,"fork_sha256":"","trial_id":"T"}'
    line = rows.write_row("fork_entry", entry)
    assert line == b'{"data":"e30=","fork":1,"seq":2,"trial_id":"T"}'


@given(created=times, disabled=st.none() | times, id_=st.uuids(), flag=st.booleans())
def test_a_row_of_any_values_is_read_back_from_its_line(
    created: datetime, disabled: datetime | None, id_: UUID, flag: bool
) -> None:
    changed = {"created_at": created, "disabled_at": disabled, "id": id_, "must_change": flag}
    values = ACCOUNT | changed

    assert rows.parse_row("account", rows.write_row("account", values)) == values


@given(data=st.binary(max_size=300))
def test_bytes_of_any_kind_are_read_back_from_their_line(data: bytes) -> None:
    values = {"trial_id": "T", "fork": 1, "seq": 2, "data": data}

    assert rows.parse_row("fork_entry", rows.write_row("fork_entry", values)) == values


@pytest.mark.parametrize("column", sorted(ACCOUNT))
def test_a_line_with_a_value_of_another_kind_is_refused(column: str) -> None:
    line = json.loads(rows.write_row("account", ACCOUNT))
    kinds: dict[str, list[Any]] = {
        "disabled_at": [None],
        "must_change": [True],
        "id": [],
        "created_at": [],
    }
    good = kinds.get(column, [""])

    for value in good:
        assert rows.parse_row("account", canon(line | {column: value}))
    for value in (7, [], {}, "", True, None):
        if not any(type(value) is type(item) for item in good):
            with pytest.raises(CanonError):
                rows.parse_row("account", canon(line | {column: value}))


@pytest.mark.parametrize(
    "spelling",
    ["{0000-0000}", "00000000-0000-0000-0000-00000000000A", "00000000000000000000000000000007"],
)
def test_an_id_in_another_spelling_is_refused(spelling: str) -> None:
    line = json.loads(rows.write_row("account", ACCOUNT)) | {"id": spelling}

    with pytest.raises(CanonError):
        rows.parse_row("account", canon(line))


def test_rows_pass_through_a_database_unchanged_and_sorted(database: Database) -> None:
    microseconds = ACCOUNT["created_at"].replace(microsecond=120)
    stored = [
        ACCOUNT | {"id": UUID(int=number), "username": f"u{number}", "created_at": microseconds}
        for number in (3, 1, 2)
    ]
    with database.write() as tx:
        rows.add_rows(tx, "account", stored)

    with database.read() as session:
        found = list(rows.read_rows(session, "account"))
        one = list(rows.read_rows(session, "account", username="u2"))
        assert (rows.count_rows(session), rows.find_filled_table(session)) == (3, "account")

    assert found == sorted(stored, key=lambda row: row["id"])
    assert [row["username"] for row in one] == ["u2"]


def test_rows_are_sorted_by_bytes_whatever_their_language(database: Database) -> None:
    names = ["Z", "a", "É", "é", "z", "B", "病"]
    with database.write() as tx:
        reasons = [{"trial_id": name, "entry_seq": 0, "salt": "", "text": ""} for name in names]
        rows.add_rows(tx, "reason", reasons)

    with database.read() as session:
        found = [row["trial_id"] for row in rows.read_rows(session, "reason")]

    assert found == sorted(names, key=str.encode)


def test_a_locked_database_lets_others_read(database: Database, account: Account) -> None:
    with database.write() as tx:
        rows.lock_tables(tx)
        tx.add(account)
        tx.flush()

        with database.read() as session:
            assert rows.count_rows(session) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "'7'"),
        ("id", "7"),
        ("username", "zeroblob(2)"),
        ("must_change", "2"),
        ("must_change", "'yes'"),
        ("created_at", "'today'"),
        ("created_at", "20260102"),
        ("disabled_at", "'never'"),
    ],
)
def test_a_stored_value_of_another_kind_is_named_by_table_row_and_column(
    database: Database, column: str, value: str
) -> None:
    with database.write() as tx:
        rows.add_rows(tx, "account", [ACCOUNT])
        tx.execute(text(f"UPDATE account SET {column} = {value}"))

    with database.read() as session, pytest.raises(StoredValueError) as refusal:
        list(rows.read_rows(session, "account"))

    assert refusal.value.facts["table"] == "account"
    assert refusal.value.facts["rule"] == f"its {column} is of another kind"
    assert str(refusal.value.facts["row"]).startswith("id '")
