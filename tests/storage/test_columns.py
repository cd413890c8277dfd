"""Column types: what goes in comes out, in UTC and in one spelling."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect, make_url, text

from alloc_service.errors import CanonError, NaiveTimeError
from alloc_service.storage import queries
from alloc_service.storage.columns import CanonicalJson, UtcDateTime
from alloc_service.storage.engine import Database
from alloc_service.storage.people import Account

DIALECTS: list[Dialect] = [
    make_url(f"{name}://").get_dialect()() for name in ("sqlite", "postgresql+psycopg")
]

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=zones)  # noqa: DTZ001  hypothesis wants bounds without a zone


@given(time=times)
def test_a_time_comes_back_as_the_same_moment_in_utc(time: datetime) -> None:
    for dialect in DIALECTS:
        stored = UtcDateTime().process_bind_param(time, dialect)
        back = UtcDateTime().process_result_value(stored, dialect)

        assert back == time
        assert back is not None
        assert back.tzinfo is UTC


@given(time=st.datetimes())
def test_a_time_without_a_zone_is_refused(time: datetime) -> None:
    for dialect in DIALECTS:
        with pytest.raises(NaiveTimeError):
            UtcDateTime().process_bind_param(time, dialect)


def test_nothing_stays_nothing() -> None:
    for dialect in DIALECTS:
        for kind in (UtcDateTime(), CanonicalJson()):
            assert kind.process_bind_param(None, dialect) is None
            assert kind.process_result_value(None, dialect) is None


def test_a_time_of_xian_is_stored_as_utc(
    database: Database, trial_id: str, account: Account
) -> None:
    assert trial_id
    xian = datetime(2026, 3, 2, 9, 15, 22, 123456, timezone(timedelta(hours=8)))
    with database.write() as transaction:
        queries.read_account(transaction, account.id).disabled_at = xian

    with database.read() as session:
        stored = queries.read_account(session, account.id).disabled_at
        raw = str(session.scalar(text("SELECT disabled_at FROM account")))
    assert stored == xian
    assert stored is not None
    assert stored.utcoffset() == timedelta(0)
    assert raw.startswith("2026-03-02 01:15:22.123456")


def test_slots_and_strata_come_back_as_lists(database: Database, trial_id: str) -> None:
    with database.read() as session:
        found = queries.read_list(session, trial_id, 1)

        assert (found.slots, found.strata) == ([4, 4], ["low", "high"])
        assert session.scalar(text("SELECT strata FROM randomization_list")) == '["low","high"]'


def test_json_in_another_spelling_is_refused_when_it_is_read(
    database: Database, trial_id: str
) -> None:
    with database.write() as transaction:
        transaction.execute(text("UPDATE randomization_list SET slots = '[4, 4]'"))

    with (
        pytest.raises(CanonError, match="leaves the canonical spelling"),
        database.read() as session,
    ):
        queries.read_list(session, trial_id, 1)
