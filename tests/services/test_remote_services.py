"""What the services do over a sealer of another process, and what they leave to its host."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url

from alloc_service.config import Settings
from alloc_service.errors import (
    DatabaseError,
    DatabaseReadOnlyError,
    KeysPassphraseError,
    NotAcceptedError,
    SealerHostError,
)
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.services import health, lists, recovery, sealed_lists, verification, web_secret
from alloc_service.services.deps import Deps, open_deps, open_with_keys, read_passphrase
from alloc_service.services.installation import service_status
from alloc_service.services.recovery import TwoPeople
from tests.services.test_list_activation import secrets_of
from tests.services.test_rotation import settings_of
from tests.support.installation import Installation
from tests.support.postgres_server import PostgresServer
from tests.support.served_sealer import Served, short_folder

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def serve(installation: Installation, folder: Path) -> Served:
    """Move the sealer behind a socket."""
    assert isinstance(installation.deps.sealer, LocalSealer)
    served = Served(folder, installation.deps.sealer)
    installation.deps = replace(installation.deps, sealer=RemoteSealer(served.path))
    return served


@pytest.fixture
def apart(active: Installation, folder: Path) -> Iterator[Installation]:
    served = serve(active, folder)
    yield active
    served.close()


def sealer_check(deps: Deps, trial: str) -> verification.Check:
    report = verification.verify(deps, trial)
    return next(check for check in report.checks if check.name == "sealer")


def test_a_trial_goes_on_over_a_socket(apart: Installation) -> None:
    first = apart.allocate("P-001")
    again = apart.allocate("P-002")

    assert (first.randomization_number, again.randomization_number) == (1, 2)
    assert health.start(apart.deps) == {}
    assert health.check(apart.deps) == {}
    assert service_status(apart.deps).is_well
    report = verification.verify(apart.deps, apart.trial)
    assert report.ok
    assert any("done on the sealer's host" in text for text in report.unchecked)


def test_a_log_that_is_not_the_followed_one_is_found_over_a_socket(apart: Installation) -> None:
    apart.allocate()
    size = apart.state().size
    assert sealer_check(apart.deps, apart.trial).ok
    assert f"{size} entries begin the log" in sealer_check(apart.deps, apart.trial).detail

    apart.attack("UPDATE log_entry SET data = :data WHERE seq = :seq", data=b"x", seq=size - 1)
    changed = sealer_check(apart.deps, apart.trial)
    assert changed.detail == f"entry {size - 1} is not the one that the sealer has followed"
    apart.attack("DELETE FROM log_entry WHERE seq = :seq", seq=size - 1)
    gone = sealer_check(apart.deps, apart.trial)
    assert gone.detail == f"entry {size - 1} is not stored, and the sealer has followed it"


@on_sqlite
def test_what_needs_the_keys_is_done_on_the_host(apart: Installation) -> None:
    design, seed = secrets_of(apart)
    people = TwoPeople(apart.people["admin"], apart.people["dmc"])

    with pytest.raises(SealerHostError, match="`alloc sealer reseal`"):
        lists.reseal(apart.deps, apart.people["stat"], design, seed)
    with pytest.raises(SealerHostError, match=f"`alloc sealer recover {apart.trial}`"):
        recovery.recover(apart.deps, people, apart.trial)
    with pytest.raises(SealerHostError, match="alloc sealer design"):
        lists.read_design(apart.deps, apart.people["stat"], apart.trial, 1)
    assert apart.entries("list.resealed", "log.recovered") == []


@on_sqlite
def test_a_list_is_activated_once_it_was_accepted_on_the_host(
    approved: Installation, folder: Path
) -> None:
    served = serve(approved, folder)
    with pytest.raises(NotAcceptedError):
        approved.activate()
    assert not approved.state().lists[1].active
    served.close()


@on_sqlite
def test_one_setting_says_where_the_sealer_is(active: Installation, folder: Path) -> None:
    settings = settings_of(active)
    web_secret.make(settings.web_secret, load_keys(settings.keys))
    socket = replace(settings, sealer_socket=folder / "socket", keys=folder / "no-keys")
    assert isinstance(active.deps.sealer, LocalSealer)
    served = Served(folder, active.deps.sealer)

    remote, local = open_deps(socket), open_deps(settings)
    here = open_with_keys(replace(socket, keys=settings.keys), load_keys(settings.keys))
    active.opened += [remote, local, here]
    assert [deps.sealer.holds_keys for deps in (remote, local, here)] == [False, True, True]
    assert remote.key_for("cookies") == local.key_for("cookies") == here.key_for("cookies")
    assert health.start(remote) == {}
    served.close()


def test_a_passphrase_is_one_line_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    environ = {"ALLOC_HOST": "rac.example.org", "ALLOC_PASSPHRASE_FILE": str(path)}
    settings = Settings.from_environment(environ)

    odd = (b"a\r\n", b"a\nb\n", b"a\0", b"\xef\xbb\xbfa\n", "a b\n".encode("utf-16"), b"a" * 2**20)
    for bad in (None, b"", b"\n", b"\xff\n", *odd):
        if bad is not None:
            path.write_bytes(bad)
        with pytest.raises(KeysPassphraseError, match="no passphrase can be read here"):
            read_passphrase(settings)
    path.write_text("two words\n")
    assert read_passphrase(settings) == "two words"
    assert read_passphrase(replace(settings, passphrase_file=None)) is None


READER = "alloc_sealer"


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_list_is_accepted_and_a_design_opened_with_a_role_that_reads_alone(
    approved: Installation, postgres_server: PostgresServer
) -> None:
    database = str(make_url(approved.url).database)
    postgres_server.administer(f"CREATE ROLE {READER} LOGIN")
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {READER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}",
    ):
        postgres_server.administer(statement, database)
    root = approved.state().lists[1].root
    url = approved.url.replace("//alloc@", f"//{READER}@")
    settings = replace(settings_of(approved), database_url=url)
    with pytest.raises(DatabaseReadOnlyError):
        open_with_keys(settings, load_keys(settings.keys))
    host = open_with_keys(settings, load_keys(settings.keys), reads_alone=True)
    approved.opened.append(host)

    assert health.start(host) == {}
    sealed_lists.accept_list(host, approved.origin, 1, root)
    assert [one.root for one in host.sealer.accepted(approved.origin)] == [root]
    lists.read_design(approved.deps, approved.people["stat"], approved.trial, 1)
    (entry,) = approved.entries("design.read")
    assert sealed_lists.open_logged_design(host, approved.origin, entry.seq).list == 1
    with pytest.raises(DatabaseError):  # and it can do nothing else
        lists.activate(host, approved.people["manager"], approved.trial, 1)
