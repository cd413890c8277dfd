"""Yesterday's backup, restored: frozen, recovered, entered again, and nobody's slot lost.

Requirements G9, E6 and S3: the whole way of whoever has to bring a lost database back.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from alloc_service.errors import FrozenError, RefusalError, SealedSlotError, UnknownRecordError
from alloc_service.sealing.escrow import EscrowedList, open_escrow
from alloc_service.services import accounts, backup, health, lists, recovery, reveal, trials
from alloc_service.services.accounts import NewAccount
from alloc_service.services.reveal import Allocation
from alloc_service.storage.engine import Database
from tests.support.installation import Installation, password_of, type_small
from tests.support.rollback import SEVERE, enter_again, failed_checks, open_on, read_table, recover

Make = Callable[[str], Database]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "yesterday.zip"


def live_a_day(active: Installation, path: Path) -> tuple[Allocation, Allocation, Allocation]:
    """Allocate one, back up, and allocate two; the first of them is enrolled before the backup."""
    first = active.allocate("P-001")
    draft = active.enrol(type_small("P-002"))
    backup.write_backup(active.deps, path)
    return first, active.reveal(draft), active.allocate("P-003", facts=SEVERE)


def require_still(back: Installation, *allocated: Allocation) -> None:
    """Check that nothing opens, nothing is appended and no slot is spent."""
    entries, spent = back.entries(), read_table(back, "assignment")
    draft = back.enrol(type_small("P-050"))
    with pytest.raises(FrozenError):
        back.reveal(draft)
    for shown in allocated:
        with pytest.raises(RefusalError):
            reveal.read_again(back.deps, back.people["doc"], shown.enrolment)
    with pytest.raises(FrozenError):
        back.change_state("pause")
    assert back.entries() == entries
    assert read_table(back, "assignment") == spent


def require_shown_again(back: Installation, *allocated: Allocation) -> None:
    for before in allocated:
        again = reveal.read_again(back.deps, back.people["doc"], before.enrolment)
        assert (again.arm, again.leaf) == (before.arm, before.leaf)
        assert again.randomization_number == before.randomization_number


def go_through(back: Installation, day: tuple[Allocation, Allocation, Allocation]) -> None:
    """Live through the whole recovery of a restored database."""
    first, early, late = day
    whole = back.deps.sealer.followed(back.origin)
    behind = len(back.entries())
    require_still(back, *day)
    status = back.deps.sealer.status(back.origin)
    assert f"the log has no entry {len(whole) - 1}" in status.frozen

    found = recover(back)

    assert found.given_back == len(whole) - behind
    assert found.without_record == (str(early.enrolment), str(late.enrolment))
    assert [entry.data for entry in back.entries()][: len(whole)] == whole
    require_shown_again(back, first)
    enter_again(back, early)
    enter_again(back, late, facts=SEVERE)
    require_shown_again(back, *day)
    assert recovery.find_without_record(back.deps, back.trial) == ()
    assert failed_checks(back) == []
    assert back.allocate("P-060").randomization_number == 4
    spent = sorted((row["stratum"], row["slot"]) for row in read_table(back, "assignment"))
    assert spent == [(0, 0), (0, 1), (0, 2), (1, 0)]


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_restarted_service_on_yesterday_s_backup_loses_nothing_that_was_shown(
    active: Installation, path: Path, empty: Make, target: str
) -> None:
    day = live_a_day(active, path)
    database = empty(target)
    backup.restore_backup(database, path)
    back = open_on(active, database)
    assert health.start(back.deps)[back.trial].code == "frozen"

    go_through(back, day)


def test_a_running_service_under_which_yesterday_s_backup_is_restored_loses_nothing(
    active: Installation, path: Path
) -> None:
    day = live_a_day(active, path)
    empty_out(active)
    other = Database(active.url)  # the command that restores is a process of its own
    other.upgrade()
    backup.restore_backup(other, path)
    other.dispose()

    go_through(active, day)


def empty_out(active: Installation) -> None:
    """Remove every table, as somebody does who starts anew with a broken database."""
    file = active.deps.database.path
    if file is not None:
        for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
            name.unlink(missing_ok=True)
        return
    other = Database(active.url)
    with other.write() as tx:
        tx.execute(text("DROP SCHEMA public CASCADE"))
        tx.execute(text("CREATE SCHEMA public"))
    other.dispose()


def test_a_backup_goes_to_the_other_kind_of_database_and_back(
    active: Installation, path: Path, empty: Make, kind: str
) -> None:
    shown = active.allocate("P-001")
    backup.write_backup(active.deps, path)
    there = open_on(active, empty("postgresql" if kind == "sqlite" else "sqlite"))
    backup.restore_backup(there.deps.database, path)
    require_shown_again(there, shown)
    there.allocate("P-002")
    assert failed_checks(there) == []
    second = path.with_name("second.zip")
    backup.write_backup(there.deps, second)

    home = open_on(active, empty(kind))
    backup.restore_backup(home.deps.database, second)

    require_shown_again(home, shown)
    assert home.allocate("P-003").randomization_number == 3
    assert failed_checks(home) == []


def open_list(installation: Installation) -> EscrowedList:
    """Open the escrow of the first list with two custodians' identities."""
    name = "seed.archive+dmc.age"
    (row,) = (row for row in read_table(installation, "escrow_file") if row["name"] == name)
    one, other = installation.identities["archive"], installation.identities["dmc"]
    return open_escrow(row["ciphertext"], one, other, name)


@pytest.fixture
def listless(
    staffed: Installation, path: Path, empty: Make, kind: str
) -> Callable[[], Installation]:
    """Return a function that brings back a backup of the day before the list was made."""
    backup.write_backup(staffed.deps, path)

    def come_back() -> Installation:
        database = empty(kind)
        backup.restore_backup(database, path)
        return open_on(staffed, database)

    return come_back


def begin(staffed: Installation) -> Allocation:
    """Make and activate the first list, and allocate one participant."""
    staffed.generate()
    staffed.approve()
    staffed.activate()
    staffed.change_site("XA01", active=True)
    return staffed.allocate("P-001")


def test_a_list_that_the_backup_did_not_have_is_sealed_again_from_its_escrow(
    staffed: Installation, listless: Callable[[], Installation]
) -> None:
    shown = begin(staffed)
    opened = open_list(staffed)
    back = listless()
    require_still(back, shown)

    assert recover(back).without_record == (str(shown.enrolment),)
    assert failed_checks(back) == ["list 1", "enrolments"]
    with pytest.raises((UnknownRecordError, SealedSlotError)):  # and no slot is spent
        back.allocate("P-002")
    lists.reseal(back.deps, back.people["stat"], opened.design, opened.seed)
    enter_again(back, shown)

    require_shown_again(back, shown)
    assert back.allocate("P-003").randomization_number == 2
    assert failed_checks(back) == []


def test_a_list_that_the_backup_did_not_have_and_nobody_can_open_is_retired(
    staffed: Installation, listless: Callable[[], Installation]
) -> None:
    shown = begin(staffed)
    back = listless()
    require_still(back, shown)

    assert recover(back, 1).retired == (1,)
    back.generate(2)
    back.approve(2)
    back.activate(2)

    again = back.allocate("P-002")
    assert again.randomization_number == 2
    assert failed_checks(back) == ["list 1", "enrolments"]  # what is lost stays named


def test_a_trial_that_the_backup_did_not_have_does_not_begin_anew(
    bare: Installation, path: Path, empty: Make, kind: str
) -> None:
    """Its anchor is there, so that the log of a second trial of this id is no log of it."""
    first = NewAccount("admin", "p-admin", "Ada Admin", "XA01")
    accounts.create_first_administrator(bare.deps, first, password_of("admin"))
    admin = accounts.authenticate(bare.deps, "admin", password_of("admin"))
    backup.write_backup(bare.deps, path)
    trials.create(bare.deps, admin, bare.definition)
    back = open_on(bare, empty(kind))
    backup.restore_backup(back.deps.database, path)

    with pytest.raises(FrozenError):
        trials.create(back.deps, admin, back.definition)

    assert read_table(back, "trial") == []
    assert back.deps.sealer.status(back.origin).frozen
