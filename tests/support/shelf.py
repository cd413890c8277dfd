"""Installations at each stage of a trial's life, built once and copied for each test.

Building one takes a second; on a disk in memory, copying one takes some milliseconds.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import make_url

from alloc_service.permissions import Grant, Role
from alloc_service.sealing.age import make_identity
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import create_keys
from alloc_service.services import accounts, trials
from alloc_service.services.accounts import NewAccount
from alloc_service.storage.engine import Database
from alloc_service.trial.definition import as_test, shipped_definition
from tests.support.installation import (
    Clock,
    Installation,
    open_test_deps,
    password_of,
    small_definition,
)
from tests.support.postgres_server import PostgresServer

STAGES = ("bare", "staffed", "sealed", "approved", "active")
ROLES = {
    "stat": Grant(Role.STATISTICIAN),
    "second": Grant(Role.SECOND_STATISTICIAN),
    "manager": Grant(Role.MANAGER),
    "doc": Grant(Role.PHYSICIAN, "XA01"),
    "doc2": Grant(Role.PHYSICIAN, "XA01"),
    "dmc": Grant(Role.DMC),
}

_MEMORY = Path("/dev/shm")  # noqa: S108  only mkdtemp writes there


@dataclass(frozen=True)
class _Kept:
    """A built stage: its files, its database to copy, and who and what was made."""

    home: Path
    database: str
    installation: Installation


class Shelf:
    """Keeps each stage of each trial on each database, built once, and gives copies of it."""

    def __init__(self) -> None:
        self._room = Path(tempfile.mkdtemp(prefix="alloc-", dir=place_for_files()))
        self._kept: dict[tuple[str, str, str], _Kept] = {}

    def clear(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._room)

    def copy(
        self, stage: str, kind: str, home: Path, server: PostgresServer | None, trial: str = "small"
    ) -> Installation:
        """Return a stage of a trial's life, for one test alone.

        Args:
            stage: One of `STAGES`.
            kind: "sqlite" or "postgresql".
            home: An empty folder for it.
            server: Where the database is, if on PostgreSQL.
            trial: "small" or "shipped".
        """
        kept = self._keep(stage, kind, server, trial)
        shutil.copytree(kept.home, home, dirs_exist_ok=True)
        url = f"sqlite:///{home / 'alloc.db'}"
        if server is not None:
            url = server.url(server.create_database(like=kept.database))
        clock = Clock(kept.installation.clock.now)
        deps = open_test_deps(home, url, clock)
        return replace(
            kept.installation,
            home=home,
            url=url,
            clock=clock,
            deps=deps,
            people=dict(kept.installation.people),
            opened=[deps],
        )

    def _keep(self, stage: str, kind: str, server: PostgresServer | None, trial: str) -> _Kept:
        name = (stage, kind, trial)
        if name not in self._kept:
            home = self._room / "-".join(name)
            home.mkdir()
            if stage == "bare":
                built = _build_bare(home, server, trial)
            else:
                before = STAGES[STAGES.index(stage) - 1]
                built = self.copy(before, kind, home, server, trial)
                _BUILD[stage](built)
            built.close()
            self._kept[name] = _Kept(home, database_name(built.url), built)
        return self._kept[name]


def database_name(url: str) -> str:
    """Return the name of a PostgreSQL database, or the path of a SQLite file."""
    return make_url(url).database or ""


def place_for_files() -> Path | None:
    """Return the memory's file system where it has room: an fsync costs nothing there."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2**28:
        return _MEMORY
    return None


def _build_bare(home: Path, server: PostgresServer | None, trial: str) -> Installation:
    url = f"sqlite:///{home / 'alloc.db'}"
    if server is not None:
        url = server.url(server.create_database())
    database = Database(url)
    database.upgrade()
    database.dispose()
    Register.create(home / "anchors", create_keys(home / "keys").kid)
    clock = Clock()
    definition = small_definition() if trial == "small" else as_test(shipped_definition())
    deps = open_test_deps(home, url, clock)
    built = Installation(home, url, clock, deps, definition, opened=[deps])
    for name in ("archive", "dmc", "stat"):
        built.identities[name], built.custodians[name] = make_identity()
    return built


def _staff(installation: Installation) -> None:
    deps, first = installation.deps, NewAccount("admin", "p-admin", "Ada Admin", "XA01")
    accounts.create_first_administrator(deps, first, password_of("admin"))
    installation.people["admin"] = installation.sign_in("admin")
    trials.create(deps, installation.people["admin"], installation.definition)
    for username, grant in ROLES.items():
        installation.add_account(username)
        installation.grant(username, grant.role, grant.site)
    if len(installation.definition.sites) > 1:
        installation.add_account("far")
        installation.grant("far", Role.PHYSICIAN, "BE02")
    installation.add_account("guest")


def _activate(installation: Installation) -> None:
    installation.activate()
    for site in installation.definition.sites:
        installation.change_site(site.code, active=True)


_BUILD: Mapping[str, Callable[[Installation], object]] = {
    "staffed": _staff,
    "sealed": Installation.generate,
    "approved": Installation.approve,
    "active": _activate,
}
