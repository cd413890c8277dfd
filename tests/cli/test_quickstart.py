"""`alloc quickstart`: everything made once, the passwords printed once, the pages served."""

import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from alloc_service.config import Settings
from alloc_service.services import accounts, verification
from alloc_service.services.deps import open_deps
from tests.support.shell import Shell, command_line, process_environ

PATIENCE = 120.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of a first run, and what it said."""
    home = tmp_path_factory.mktemp("quick") / "start"
    arguments = command_line(("quickstart", "--home", home, "--no-serve"))
    done = subprocess.run(
        arguments, env=process_environ({}), capture_output=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr.decode()
    return home, done.stdout.decode()


def test_a_first_run_makes_a_whole_trial_that_verifies(made: tuple[Path, str]) -> None:
    home, _ = made
    settings = Settings.from_environment(
        {"ALLOC_HOST": "quickstart.example.org", "ALLOC_HOME": str(home)}
    )
    deps = open_deps(settings)
    try:
        report = verification.verify(deps, "TEST-NCT01728727")
        assert report.faults == ()
        with deps.database.read() as session:
            count = session.connection().exec_driver_sql("SELECT count(*) FROM assignment")
            assert count.scalar_one() == 36
    finally:
        deps.database.dispose()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not list(home.parent.glob(".quickstart-*"))


def test_each_account_s_password_is_printed_once_and_lets_it_in(made: tuple[Path, str]) -> None:
    home, said = made
    table = re.findall(r"^  (\S+) +(\S+) +(\S{20,})$", said, re.MULTILINE)
    assert {role for _, role, _ in table} == {
        "administrator", "statistician", "second-statistician", "manager", "dmc", "physician",
    }  # fmt: skip
    settings = Settings.from_environment(
        {"ALLOC_HOST": "quickstart.example.org", "ALLOC_HOME": str(home)}
    )
    deps = open_deps(settings)
    try:
        for username, _, password in table:
            assert accounts.authenticate(deps, username, password).name
    finally:
        deps.database.dispose()


def test_a_second_run_goes_on_with_what_is_there(made: tuple[Path, str], shell: Shell) -> None:
    home, _ = made
    before = (home / "var" / "alloc.db").read_bytes()

    outcome = shell("quickstart", "--home", home, "--no-serve")

    assert outcome.code == 0
    assert f"Going on with {home}" in outcome.out
    assert "Password" not in outcome.out
    assert (home / "var" / "alloc.db").read_bytes() == before


def wait_for(answer: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not answer():
        assert time.monotonic() < ends
        time.sleep(0.1)


def test_the_pages_are_served_on_the_next_free_port_and_end_by_an_interrupt(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    home, _ = made
    log = tmp_path / "server.log"
    with socket.socket() as taken, log.open("wb") as out:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = command_line(("quickstart", "--home", home, "--port", port))
        process = subprocess.Popen(arguments, env=process_environ({}), stdout=out, stderr=out)
        try:
            wait_for(lambda: "http://127.0.0.1:" in log.read_text())
            found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
            assert found is not None
            served = int(found[1])
            assert served > port

            def answers() -> bool:
                asked = HTTPConnection("127.0.0.1", served, timeout=5)
                try:
                    asked.request("GET", "/sign-in")
                    return b"Sign in" in asked.getresponse().read()
                except OSError:
                    return False
                finally:
                    asked.close()

            wait_for(answers)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text()
