"""Two real users of the system: the sealer's, who has the keys, and the one of the pages.

Root starts both, as a supervisor does. Each runs as a user that nobody else is.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import create_keys
from alloc_service.sealing.unlock import unlock
from tests.support.sealed_trial import HOST, SealedTrial, seal_small_list
from tests.support.served_sealer import (
    OTHER_UID,
    SEALER_UID,
    WEB_UID,
    SealerProcess,
    require_root,
    run_as,
    short_folder,
)

pytestmark = pytest.mark.usefixtures("locking_cheaply")

PASSPHRASE = "correct horse battery"

# What a user's process asks; it prints what came back, or the code of the refusal.
ASK = """
import sys
from pathlib import Path
from alloc_service.errors import RefusalError
from alloc_service.sealing.remote import RemoteSealer
try:
    print(RemoteSealer(Path(sys.argv[1])).status(sys.argv[2]).size)
except RefusalError as error:
    print(error.code)
"""

# Everything a process can try against another one's memory and files.
PRY = """
import ctypes, json, os, sys
pid, *paths = sys.argv[1:]
got = []
for path in (f"/proc/{pid}/mem", f"/proc/{pid}/environ", f"/proc/{pid}/maps", *paths):
    try:
        with open(path, "rb") as file:
            file.seek(0)
            file.read(16)
        got.append(path)
    except OSError:
        pass
for folder in (f"/proc/{pid}/fd", *(os.path.dirname(path) for path in paths)):
    try:
        os.listdir(folder)
        got.append(folder)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
    if libc.ptrace(request, int(pid), 0, 0) == 0:
        got.append(f"ptrace {request}")
try:
    os.kill(int(pid), 0)
    got.append("kill")
except OSError:
    pass
print(json.dumps(got))
"""


class Host:
    """A machine with a sealer of its own user, over a trial whose list is active."""

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        require_root()
        self.folder = folder
        keys = create_keys(folder / "keys", passphrase)
        Register.create(folder / "anchors", keys.kid)
        self.trial = SealedTrial(keys, folder / "anchors", seal_small_list(keys))
        self.trial.begin()
        self.trial.seal()
        self.trial.accept()
        self.trial.activate()
        self.trial.assign()
        self.trial.follow()
        self.door = folder / "run"
        self.door.mkdir(0o755)
        for path in [self.door, *self.secrets, folder / "keys", folder / "anchors"]:
            os.chown(path, SEALER_UID, SEALER_UID)
        environ = {
            "ALLOC_HOST": HOST,
            "ALLOC_HOME": str(folder),
            "ALLOC_ANCHORS": str(folder / "anchors"),
            "ALLOC_SEALER_SOCKET": str(self.door / "socket"),
        }
        self.sealer = SealerProcess(environ, folder / "sealer.log")

    @property
    def secrets(self) -> list[Path]:
        return [*(self.folder / "keys").iterdir(), *(self.folder / "anchors").iterdir()]

    def ask(self, uid: int) -> str:
        done = run_as(uid, ["-c", ASK, self.sealer.path, self.trial.origin], {})
        assert done.stderr == ""
        return done.stdout.strip()

    def pry(self, uid: int) -> list[str]:
        done = run_as(uid, ["-c", PRY, self.sealer.pid, *self.secrets], {})
        assert done.returncode == 0, done.stderr
        found: list[str] = json.loads(done.stdout)
        return found


@pytest.fixture
def host() -> Iterator[Host]:
    with short_folder() as folder:
        host = Host(folder)
        host.sealer.start()
        yield host
        host.sealer.kill()


def test_the_web_user_is_served(host: Host) -> None:
    assert host.ask(WEB_UID) == str(len(host.trial.log.entries))


def test_a_foreign_user_is_refused(host: Host) -> None:
    assert host.ask(OTHER_UID) == "sealer-peer"
    assert host.ask(SEALER_UID) == "sealer-peer"


def test_the_web_user_reads_neither_keys_nor_anchors_nor_memory(host: Host) -> None:
    assert host.pry(WEB_UID) == []


def test_not_even_another_process_of_the_sealers_own_user_reads_its_memory(host: Host) -> None:
    got = host.pry(SEALER_UID)

    # Its files are its own, and it may be stopped by its own user; nobody looks into it.
    assert not [name for name in got if name.startswith(("/proc", "ptrace"))]
    assert "kill" in got


def test_what_is_pried_at_would_be_got_by_root(host: Host) -> None:
    got = host.pry(0)

    assert f"/proc/{host.sealer.pid}/maps" in got  # so the attempts above are real ones
    assert set(map(str, host.secrets)) <= set(got)
    os.kill(host.sealer.pid, signal.SIGCONT)


def test_it_is_another_user_who_runs_it(host: Host) -> None:
    status = Path(f"/proc/{host.sealer.pid}/status").read_text()

    assert f"Uid:\t{SEALER_UID}\t{SEALER_UID}\t{SEALER_UID}\t{SEALER_UID}" in status
    assert host.sealer.path.stat().st_uid == SEALER_UID


def test_a_stopped_sealer_leaves_no_socket_and_a_killed_one_no_obstacle(host: Host) -> None:
    assert host.sealer.stop() == 0
    assert not host.sealer.path.exists()
    assert host.ask(WEB_UID) == "sealer-unreachable"

    host.sealer.start()
    host.sealer.kill()
    assert host.sealer.path.exists()
    assert host.ask(WEB_UID) == "sealer-unreachable"
    host.sealer.start()
    assert host.ask(WEB_UID) == str(len(host.trial.log.entries))


def test_protected_keys_stay_locked_until_root_or_its_user_gives_the_passphrase() -> None:
    with short_folder() as folder:
        host = Host(folder, PASSPHRASE)
        host.sealer.start()
        try:
            assert host.ask(WEB_UID) == "sealer-locked"
            environ = {"ALLOC_HOST": HOST, "ALLOC_SEALER_SOCKET": str(host.sealer.path)}
            opens = ["-m", "alloc_service.cli", "sealer", "unlock", "--passphrase-fd", "0"]
            by_web = run_as(WEB_UID, opens, environ, input=PASSPHRASE + "\n")
            assert (by_web.returncode, by_web.stdout) == (1, "")
            wrong = run_as(SEALER_UID, opens, environ, input="something else\n")
            assert "keys-passphrase" in wrong.stderr
            assert host.ask(WEB_UID) == "sealer-locked"
            right = run_as(SEALER_UID, opens, environ, input=PASSPHRASE + "\n")
            assert right.stdout == "The sealer is unlocked.\n"
            unlock(host.sealer.path, "root may, and it is open already")
            assert host.ask(WEB_UID) == str(len(host.trial.log.entries))
        finally:
            host.sealer.kill()


def test_a_passphrase_in_a_file_of_its_own_unlocks_it_at_the_start() -> None:
    with short_folder() as folder:
        host = Host(folder, PASSPHRASE)
        secret = folder / "passphrase"
        secret.write_text(PASSPHRASE + "\n")
        secret.chmod(0o600)
        shutil.chown(secret, SEALER_UID)
        host.sealer._environ = {**host.sealer._environ, "ALLOC_PASSPHRASE_FILE": str(secret)}
        host.sealer.start()
        try:
            assert host.ask(WEB_UID) == str(len(host.trial.log.entries))
        finally:
            host.sealer.kill()
