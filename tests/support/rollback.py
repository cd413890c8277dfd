"""A database that is behind the sealer's anchors, as after yesterday's backup was restored."""

import shutil
from dataclasses import dataclass, replace

from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.services import recovery, verification
from alloc_service.services.deps import FoldedLogs
from alloc_service.services.recovery import Recovery, TwoPeople
from alloc_service.services.reveal import Allocation
from alloc_service.storage import rows
from alloc_service.storage.engine import Database
from tests.support.installation import HOST, Installation, type_small

SEVERE = {"severity": "severe"}


@dataclass(frozen=True)
class Loss:
    """What a database has lost.

    Attributes:
        yesterday: The database as it was: P-001 is allocated, P-002 is enrolled.
        early: The allocation of P-002.
        late: The allocation of P-003, who was enrolled today, in the other stratum.
    """

    yesterday: Database
    early: Allocation
    late: Allocation


def lose(installation: Installation, yesterday: Database) -> Loss:
    """Copy a trial as it is to an empty database, with its anchors to `old`, and go on."""
    installation.allocate("P-001")
    draft = installation.enrol(type_small("P-002"))
    copy_rows(installation.deps.database, yesterday)
    for name in ("anchors", "keys"):
        shutil.copytree(installation.home / name, installation.home / "old" / name)
    early = installation.reveal(draft)
    return Loss(yesterday, early, installation.allocate("P-003", facts=SEVERE))


def copy_rows(source: Database, target: Database) -> None:
    """Fill an empty database with the rows of another one."""
    with source.read() as session, target.write() as tx:
        for table in rows.ORDER:
            rows.add_rows(tx, table, rows.read_rows(session, table))


def open_on(installation: Installation, database: Database, home: str = ".") -> Installation:
    """Start the service anew on a database, with the anchors of that folder of its home."""
    keys, anchors = installation.home / home / "keys", installation.home / home / "anchors"
    sealer = LocalSealer(load_keys(keys), anchors, HOST)
    deps = replace(installation.deps, database=database, sealer=sealer, logs=FoldedLogs())
    return replace(installation, deps=deps)


def two_people(installation: Installation) -> TwoPeople:
    return TwoPeople(installation.people["admin"], installation.people["manager"])


def recover(installation: Installation, *retired: int) -> Recovery:
    people = two_people(installation)
    return recovery.recover(installation.deps, people, installation.trial, retired)


def enter_again(installation: Installation, lost: Allocation, **changes: object) -> None:
    """Enter a lost record again, as its site's physician with the trial's manager."""
    recovery.restore_enrolment(
        installation.deps,
        TwoPeople(installation.people["doc"], installation.people["manager"]),
        installation.trial,
        lost.enrolment,
        site="XA01",
        typed=type_small(lost.participant, **changes),
    )


def read_table(installation: Installation, table: str) -> list[rows.Values]:
    with installation.deps.database.read() as session:
        return list(rows.read_rows(session, table))


def failed_checks(installation: Installation) -> list[str]:
    """Return the names of the checks of a verification that fail."""
    report = verification.verify(installation.deps, installation.trial)
    return [check.name for check in report.faults]
