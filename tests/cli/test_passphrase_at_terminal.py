"""The passphrase of the keys at a real terminal: right, wrong, empty, stopped, nobody there."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alloc_service.sealing.keys import are_protected
from tests.support.served_sealer import short_folder
from tests.support.shell import HOST, Shell, command_line, process_environ, spawn
from tests.support.terminal import Terminal, at_terminal

pytestmark = pytest.mark.usefixtures("locking_cheaply")

PASSPHRASE = "correct horse battery"
PASSWORD = "ada has a long password"
ASKED = "Passphrase of the keys: "
Start = Callable[..., contextlib.AbstractContextManager[Terminal]]


@pytest.fixture
def environ(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Return what names an installation whose keys a passphrase protects, and without its file."""
    home, secret = tmp_path / "home", tmp_path / "passphrase"
    home.mkdir()
    secret.write_text(f"{PASSPHRASE}\n")
    with short_folder() as folder, monkeypatch.context() as patch:
        names = {"ALLOC_HOST": HOST, "ALLOC_HOME": str(home)}
        for name, value in {**names, "ALLOC_PASSPHRASE_FILE": str(secret)}.items():
            patch.setenv(name, value)
        made = shell(
            "init", "--user", "ada", "--person", "P-1", "--name", "Ada", "--organization", "XA01",
            "--password-fd", "{fd}", lines=[PASSWORD],
        )  # fmt: skip
        assert made.code == 0, made.err
        secret.unlink()
        patch.delenv("ALLOC_PASSPHRASE_FILE")
        yield {**names, "ALLOC_SEALER_SOCKET": str(folder / "socket")}


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Start:
    """Return a function that starts `alloc` at a terminal."""

    def started(*arguments: object, **more: str) -> contextlib.AbstractContextManager[Terminal]:
        whole = process_environ({**environ, "TERM": "xterm", "COLUMNS": "100", **more})
        return at_terminal(command_line(arguments), whole, tmp_path / "work")

    return started


def serve(start: Start) -> contextlib.AbstractContextManager[Terminal]:
    return start("sealer", "serve", "--for-user", os.geteuid())


def is_locked(environ: dict[str, str]) -> bool:
    """Ask a sealer that serves how it stands."""
    asked = spawn(["sealer", "unlock", "--passphrase-fd", "0"], environ, input=b"wrong\n")
    return b"[keys-passphrase]" in asked.stderr


def require_clean(terminal: Terminal) -> None:
    """Check that nothing typed was shown, no stack trace is there, and the shell echoes again."""
    for secret in (PASSPHRASE, "wrong horse", "battery"):
        assert secret not in terminal.screen
    assert "Traceback" not in terminal.screen
    assert "Exception in thread" not in terminal.screen
    assert terminal.echoes


def test_a_sealer_asks_for_its_passphrase_and_is_unlocked(
    start: Start, environ: dict[str, str]
) -> None:
    with serve(start) as terminal:
        terminal.expect("It is locked")
        terminal.expect(ASKED)
        assert is_locked(environ)
        terminal.type(PASSPHRASE)
        terminal.expect("The sealer is unlocked.")
        assert not is_locked(environ)
        code = terminal.interrupt()

        assert code == 1
        require_clean(terminal)
    assert not Path(environ["ALLOC_SEALER_SOCKET"]).exists()


def test_a_sealer_asks_again_as_often_as_the_passphrase_is_wrong_or_empty(
    start: Start, environ: dict[str, str]
) -> None:
    with serve(start) as terminal:
        for _ in range(3):
            terminal.expect(ASKED)
            terminal.type("wrong horse battery")
            terminal.expect("[keys-passphrase]")
        terminal.expect(ASKED)
        terminal.type("")
        terminal.expect(ASKED)
        assert is_locked(environ)
        terminal.type(PASSPHRASE)
        terminal.expect("The sealer is unlocked.")
        assert not is_locked(environ)
        terminal.interrupt()

        require_clean(terminal)


def test_a_sealer_that_is_interrupted_while_it_asks_leaves_the_terminal_as_it_was(
    start: Start, environ: dict[str, str]
) -> None:
    with serve(start) as terminal:
        terminal.expect(ASKED)
        assert not terminal.echoes
        code = terminal.interrupt()

        assert code == 1
        assert "Stopped." in terminal.screen
        require_clean(terminal)
    assert not Path(environ["ALLOC_SEALER_SOCKET"]).exists()


def test_a_sealer_whom_nobody_answers_stays_locked_and_can_be_unlocked_elsewhere(
    start: Start, environ: dict[str, str]
) -> None:
    with serve(start) as terminal:
        terminal.expect(ASKED)
        terminal.type("\x04")
        terminal.expect("It stays locked: `alloc sealer unlock` gives it the passphrase.")
        unlocked = spawn(
            ["sealer", "unlock", "--passphrase-fd", "0"], environ, input=f"{PASSPHRASE}\n".encode()
        )
        assert unlocked.returncode == 0
        assert not is_locked(environ)
        terminal.interrupt()

        require_clean(terminal)


def test_keys_that_are_open_to_others_are_named_once_and_the_sealer_stays_locked(
    start: Start, environ: dict[str, str]
) -> None:
    with serve(start) as terminal:
        terminal.expect(ASKED)
        Path(environ["ALLOC_HOME"], "keys").chmod(0o755)
        terminal.type(PASSPHRASE)
        terminal.expect("[keys-loose]")
        terminal.expect("It stays locked: `alloc sealer unlock` gives it the passphrase.")
        terminal.interrupt()

        require_clean(terminal)


def test_without_a_terminal_a_sealer_starts_locked_and_a_command_says_what_to_name(
    environ: dict[str, str],
) -> None:
    for given in (["sealer", "accept", "x", "1", "a" * 64], ["sealer", "rotate", "--as", "ada"]):
        refused = spawn(given, environ, input=b"")
        assert refused.returncode == 1
        assert b"[keys-passphrase]" in refused.stderr
        assert b"ALLOC_PASSPHRASE_FILE" in refused.stderr
    refused = spawn(["sealer", "unlock"], environ, input=b"")
    assert (refused.returncode, b"--passphrase-fd N" in refused.stderr) == (2, True)


def test_a_locked_sealer_is_unlocked_at_another_terminal(start: Start) -> None:
    with serve(start) as serving, contextlib.ExitStack() as stack:
        serving.expect(ASKED)
        wrong = stack.enter_context(start("sealer", "unlock"))
        wrong.expect(ASKED)
        wrong.type("wrong horse battery")
        assert wrong.finish() == 1
        assert "[keys-passphrase]" in wrong.screen
        stopped = stack.enter_context(start("sealer", "unlock"))
        stopped.expect(ASKED)
        assert stopped.interrupt() == 1
        right = stack.enter_context(start("sealer", "unlock"))
        right.expect(ASKED)
        right.type("")
        right.expect(ASKED)
        right.type(PASSPHRASE)
        assert right.finish() == 0
        for terminal in (wrong, stopped, right):
            require_clean(terminal)


@pytest.mark.parametrize("command", [("sealer", "rotate", "--as", "ada")])
def test_a_command_of_the_host_asks_once(start: Start, command: tuple[str, ...]) -> None:
    with start(*command) as wrong:
        wrong.expect(ASKED)
        wrong.type("wrong horse battery")
        assert wrong.finish() == 1
        assert "[keys-passphrase]" in wrong.screen
        require_clean(wrong)
    with start(*command) as right:
        right.expect(ASKED)
        right.type(PASSPHRASE)
        right.expect("Password of ada: ")
        right.type(PASSWORD)
        assert right.finish() == 0
        require_clean(right)


def protect(start: Start, home: Path) -> contextlib.AbstractContextManager[Terminal]:
    home.mkdir()
    given = ("--user", "ada", "--person", "P-1", "--name", "Ada", "--organization", "XA01")
    return start("init", *given, "--protect-keys", ALLOC_HOME=str(home))


def ask_password(terminal: Terminal) -> None:
    for question in ("New password: ", "Repeat for confirmation: "):
        terminal.expect(question)
        terminal.type(PASSWORD)


def test_keys_are_protected_by_a_passphrase_that_is_typed_twice(
    start: Start, tmp_path: Path
) -> None:
    home = tmp_path / "other"
    with protect(start, home) as terminal:
        ask_password(terminal)
        for first, second in (("", None), (PASSPHRASE, "wrong horse battery")):
            terminal.expect(ASKED)
            terminal.type(first)
            if second is not None:
                terminal.expect("Repeat for confirmation: ")
                terminal.type(second)
                terminal.expect("do not match")
        terminal.expect(ASKED)
        terminal.type(PASSPHRASE)
        terminal.expect("Repeat for confirmation: ")
        terminal.type(PASSPHRASE)
        assert terminal.finish() == 0
        require_clean(terminal)
    assert are_protected(home / "keys")
    assert len(list((home / "keys").glob("*.key.age"))) == 2


def test_a_short_passphrase_or_an_interrupt_makes_nothing(start: Start, tmp_path: Path) -> None:
    with protect(start, tmp_path / "short") as terminal:
        ask_password(terminal)
        for question in (ASKED, "Repeat for confirmation: "):
            terminal.expect(question)
            terminal.type("battery")
        assert terminal.finish() == 1
        assert "at least 12" in terminal.screen
        require_clean(terminal)
    with protect(start, tmp_path / "stopped") as terminal:
        ask_password(terminal)
        terminal.expect(ASKED)
        assert terminal.interrupt() == 1
        assert "Stopped." in terminal.screen
        require_clean(terminal)
    for name in ("short", "stopped"):
        assert list((tmp_path / name).rglob("*")) == []


def test_without_a_terminal_no_keys_are_made_to_be_protected(tmp_path: Path) -> None:
    given = ["--user", "ada", "--person", "P-1", "--name", "Ada", "--organization", "XA01"]
    names = {"ALLOC_HOST": HOST, "ALLOC_HOME": str(tmp_path)}
    asked = ["init", *given, "--password-fd", "0", "--protect-keys"]

    refused = spawn(asked, names, input=f"{PASSWORD}\n".encode())

    assert refused.returncode == 2
    assert b"ALLOC_PASSPHRASE_FILE instead of --protect-keys" in refused.stderr
    assert list(tmp_path.iterdir()) == []
