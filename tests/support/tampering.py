"""Attacks of whoever owns the database: its file or its server, without triggers or constraints."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alloc_service.services import verification
from alloc_service.services.verification import Check, VerificationReport
from alloc_service.storage.engine import Database
from tests.support.installation import Installation

Facts = Sequence[Any]


class StolenFile:
    """A SQLite file as it was, of which each attack changes a fresh copy.

    Args:
        installation: On SQLite; it can go on being used.
        path: Where the copies go, one in the place of the other.
    """

    def __init__(self, installation: Installation, path: Path) -> None:
        self._path = path
        source = sqlite3.connect(str(installation.deps.database.path))
        target = sqlite3.connect(path)
        source.backup(target)
        source.close()
        target.close()
        self._whole = path.read_bytes()
        self._trial = installation.trial
        self._deps = replace(installation.deps, database=Database(f"sqlite:///{path}"))

    def close(self) -> None:
        """Close what the verifications opened."""
        self._deps.database.dispose()

    def ask(self, query: str, *facts: Any) -> list[Any]:
        """Return the rows of a query on the file as it was."""
        connection = self._take_fresh_copy()
        try:
            return connection.execute(query, facts).fetchall()
        finally:
            connection.close()

    def verify_after(self, *attacks: str | tuple[str, Facts]) -> VerificationReport:
        """Change a copy, put the triggers back on, and verify it."""
        connection = self._take_fresh_copy()
        try:
            _attack(connection, attacks)
        finally:
            connection.close()
        return verification.verify(self._deps, self._trial)

    def _take_fresh_copy(self) -> sqlite3.Connection:
        self._deps.database.dispose()  # with its last connection, the old copy's log is gone too
        fresh = self._path.with_suffix(".fresh")
        fresh.write_bytes(self._whole)
        fresh.replace(self._path)
        return sqlite3.connect(self._path, isolation_level=None)


def _attack(connection: sqlite3.Connection, attacks: Sequence[str | tuple[str, Facts]]) -> None:
    connection.execute("PRAGMA ignore_check_constraints = ON")
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    before = connection.total_changes
    for attack in attacks:
        connection.execute(*((attack, ()) if isinstance(attack, str) else attack))
    assert not attacks or connection.total_changes > before, "the attack changed nothing"
    for _, sql in triggers:
        connection.execute(sql)


def faults_of(report: VerificationReport) -> dict[str, str]:
    """Return what each check that failed says, by its name."""
    return {check.name: check.detail for check in report.faults}


def fault(stolen: StolenFile, check: str, *attacks: str | tuple[str, Facts]) -> str:
    """Return what the one check says that fails after an attack."""
    found = faults_of(stolen.verify_after(*attacks))
    assert found.keys() == {check}
    return found[check]


def named(report: VerificationReport, check: str) -> Check:
    """Return the check of a name."""
    (found,) = (item for item in report.checks if item.name == check)
    return found
