import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alloc_service.errors import (
    KeysLinkError,
    KeysLooseError,
    KeysMissingError,
    KeysOwnerError,
    KeysUnusableError,
)
from alloc_service.sealing.folder import KeyFolder, command, open_folder

NAME = "a.key"


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[KeyFolder]:
    with open_folder(tmp_path / "keys", writing=True) as opened:
        yield opened


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277])
def test_a_file_is_0600_whatever_the_umask(folder: KeyFolder, mask: int) -> None:
    with umask(mask):
        folder.write(NAME, b"text")

    assert mode(folder.path / NAME) == 0o600
    assert folder.read(NAME, 10) == b"text"


def test_a_missing_directory_is_made_0700_by_a_writer_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(KeysMissingError, match="Run `alloc init`"), open_folder(path):
        pass

    with umask(0), open_folder(path, writing=True) as folder:
        assert folder.names() == []

    assert mode(path) == 0o700


def test_what_the_source_brings_may_lie_there_with_any_mode(folder: KeyFolder) -> None:
    for name in ("README.md", ".gitignore"):
        (folder.path / name).write_text("text")
        (folder.path / name).chmod(0o664)
    folder.write(NAME, b"")

    assert folder.names() == [NAME]


@pytest.mark.parametrize("name", ["README.md", ".gitignore"])
def test_what_the_source_brings_is_no_link_either(folder: KeyFolder, name: str) -> None:
    (folder.path / name).symlink_to("/etc/hostname")

    with pytest.raises(KeysLinkError, match=name):
        folder.names()


@pytest.mark.parametrize("loose", [0o701, 0o710, 0o750, 0o755, 0o777])
def test_a_directory_that_others_may_enter_is_refused(folder: KeyFolder, loose: int) -> None:
    folder.require_private()
    folder.path.chmod(loose)

    with pytest.raises(KeysLooseError) as caught:
        folder.require_private()

    assert f"`chmod 0700 {folder.path}`" in str(caught.value)
    folder.make_private()
    folder.require_private()


@pytest.mark.parametrize("loose", [0o601, 0o604, 0o620, 0o640, 0o644, 0o666])
def test_a_file_that_others_may_touch_is_refused(folder: KeyFolder, loose: int) -> None:
    folder.write(NAME, b"text")
    (folder.path / NAME).chmod(loose)

    with pytest.raises(KeysLooseError) as caught:
        folder.read(NAME, 10)

    assert f"`chmod 0600 {folder.path / NAME}`" in str(caught.value)


def test_a_stricter_mode_is_as_good(folder: KeyFolder) -> None:
    folder.write(NAME, b"text")
    (folder.path / NAME).chmod(0o400)
    folder.path.chmod(0o500)

    folder.require_private()
    assert folder.read(NAME, 10) == b"text"


def test_a_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "keys").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")

    for name in ("keys", "dangling"):
        for writing in (False, True):
            with (
                pytest.raises(KeysLinkError, match=f"{name} is a symbolic link or not"),
                open_folder(tmp_path / name, writing=writing),
            ):
                pass


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")

    with pytest.raises(KeysLinkError, match="a directory"), open_folder(tmp_path / "keys"):
        pass


def test_a_file_that_is_a_link_is_refused(folder: KeyFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("text")
    (tmp_path / "elsewhere").chmod(0o600)
    (folder.path / NAME).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(KeysLinkError, match=NAME):
        folder.read(NAME, 10)


def test_a_file_that_is_a_pipe_or_a_directory_is_refused_at_once(folder: KeyFolder) -> None:
    os.mkfifo(folder.path / "pipe", 0o600)
    (folder.path / "folder").mkdir(0o700)

    for name in ("pipe", "folder"):
        with pytest.raises(KeysLinkError, match=name):
            folder.read(name, 10)


def test_another_owner_is_refused_with_the_command_that_mends_it(
    folder: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(NAME, b"text")
    user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: user)

    with pytest.raises(KeysOwnerError) as of_file:
        folder.read(NAME, 10)
    with pytest.raises(KeysOwnerError) as of_directory, open_folder(folder.path):
        pass

    assert f"`chown {user} {folder.path / NAME}`" in str(of_file.value)
    assert f"`chown {user} {folder.path}`" in str(of_directory.value)


def test_a_directory_closed_to_this_user_is_named_as_its_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a service whose keys root has made: the open itself fails."""
    user = os.geteuid() + 1
    (tmp_path / "keys").mkdir(0o700)

    def refuse(*_args: object, **_more: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.raises(KeysUnusableError, match="Permission denied"),
        open_folder(tmp_path / "keys"),
    ):
        pass
    with pytest.raises(KeysUnusableError, match="Permission denied"), open_folder(tmp_path / "no"):
        pass
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(KeysOwnerError, match=f"chown {user}"), open_folder(tmp_path / "keys"):
        pass


def test_a_file_that_vanished_is_a_refusal(folder: KeyFolder) -> None:
    with pytest.raises(KeysUnusableError, match="No such file"):
        folder.read("gone.key", 10)


def test_no_more_is_read_than_the_limit_and_one(folder: KeyFolder) -> None:
    folder.write(NAME, bytes(100))

    assert len(folder.read(NAME, 10)) == 11


@pytest.mark.parametrize("call", ["fsync", "rename", "fchmod"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    folder: KeyFolder, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    folder.write(NAME, b"before")

    def full_disk(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        with pytest.raises(KeysUnusableError, match="No space left"):
            folder.write(NAME, b"after")

    assert folder.names() == [NAME]
    assert folder.read(NAME, 10) == b"before"


def test_a_refusal_of_the_system_without_a_text_still_says_something(
    folder: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "fchmod", fail)

    with pytest.raises(KeysUnusableError, match="the system refused"):
        folder.make_private()


def test_what_an_interrupted_writer_left_is_cleared(folder: KeyFolder) -> None:
    folder.write(NAME, b"text")
    (folder.path / ".unfinished-b.key").write_text("")

    folder.clear_unfinished()

    assert folder.names() == [NAME]


def test_a_reader_waits_for_a_writer_and_a_writer_for_a_reader(tmp_path: Path) -> None:
    path, order = tmp_path / "keys", list[str]()

    def visit(name: str, *, writing: bool) -> None:
        with open_folder(path, writing=writing):
            order.append(name)

    for held_for_writing in (True, False):
        with open_folder(path, writing=True):
            pass
        with open_folder(path, writing=held_for_writing):
            waiting = threading.Thread(
                target=visit, args=("second",), kwargs={"writing": not held_for_writing}
            )
            waiting.start()
            waiting.join(timeout=0.1)
            order.append("first")
        waiting.join()

    assert order == ["first", "second"] * 2


def test_the_descriptor_is_closed_whatever_happens(tmp_path: Path) -> None:
    def count() -> int:
        return sum(1 for _ in Path("/dev/fd").iterdir())

    with open_folder(tmp_path / "keys", writing=True):
        pass
    before = count()

    with pytest.raises(RuntimeError), open_folder(tmp_path / "keys"):
        raise RuntimeError
    (tmp_path / "keys" / NAME).symlink_to("x")
    with open_folder(tmp_path / "keys") as folder, pytest.raises(KeysLinkError):
        folder.read(NAME, 10)

    assert count() == before


def test_a_command_can_be_pasted_whatever_the_path_holds() -> None:
    assert command("rm", Path("my keys/$(x)")) == "rm 'my keys/$(x)'"
