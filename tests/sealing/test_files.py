"""What is on disk when a call returns, and who may look at it."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alloc_service.errors import AnchorsExposedError, AnchorWriteError
from alloc_service.sealing.files import (
    FileLock,
    append_line,
    make_private_directory,
    open_file,
    read_file,
    refusing_disk_errors,
    remove_file,
    replace_file,
    require_private_directory,
)
from tests.support import children


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- files -----------------------------------------------------------------------------------


def test_a_file_that_is_not_there_reads_as_none(tmp_path: Path) -> None:
    assert read_file(tmp_path / "nothing") is None


def test_a_replaced_file_holds_the_new_bytes_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"

    replace_file(path, b"old")
    replace_file(path, b"new")

    assert read_file(path) == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_line_is_added_after_the_lines_that_were_there(tmp_path: Path) -> None:
    append_line(tmp_path / "file", b"one")
    append_line(tmp_path / "file", b"two")

    assert read_file(tmp_path / "file") == b"one\ntwo\n"


def test_a_file_is_removed_whether_or_not_it_is_there(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", b"")

    remove_file(tmp_path / "file")
    remove_file(tmp_path / "file")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_a_file_has_mode_0600_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "file"

    with umask(mask):
        replace_file(path, b"text")
        with FileLock(tmp_path / "lock").held():
            pass

    assert mode(path) == mode(tmp_path / "lock") == 0o600


def test_a_loose_file_that_a_crash_left_beside_gets_its_mode_back(tmp_path: Path) -> None:
    (tmp_path / "file.new").write_bytes(b"half")
    (tmp_path / "file.new").chmod(0o666)

    replace_file(tmp_path / "file", b"whole")

    assert (read_file(tmp_path / "file"), mode(tmp_path / "file")) == (b"whole", 0o600)


@pytest.mark.parametrize("dangling", [True, False])
def test_a_symbolic_link_is_never_followed(tmp_path: Path, *, dangling: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if not dangling:
        target.write_bytes(b"theirs")
    link.symlink_to(target)
    link.with_name("link.new").symlink_to(target)

    with pytest.raises(OSError, match="symbolic links"):
        read_file(link)
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(link, b"ours")
    with pytest.raises(OSError, match="symbolic links"), FileLock(link).held():
        pass

    assert target.exists() is not dangling
    assert dangling or target.read_bytes() == b"theirs"


def test_a_pipe_in_a_files_place_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")

    assert read_file(tmp_path / "file") == b""
    with pytest.raises(OSError, match="No such device"):
        open_file(tmp_path / "file", os.O_WRONLY)


def test_where_the_first_fsync_fails_the_old_file_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        replace_file(path, b"new")

    assert read_file(path) == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_writer_killed_at_any_step_leaves_the_old_bytes_or_the_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen = set()

    def prepare() -> Callable[[], None]:
        replace_file(path, b"old")
        return lambda: replace_file(path, b"new")

    for _step in children.kill_at_each_step(prepare):
        seen.add(read_file(path))

    assert seen == {b"old", b"new"}


def test_what_the_disk_refuses_becomes_a_refusal_that_names_the_file(tmp_path: Path) -> None:
    named = pytest.raises(AnchorWriteError, match=r"elsewhere/file\.new: No such file")
    with named, refusing_disk_errors(tmp_path):
        replace_file(tmp_path / "elsewhere" / "file", b"")
    unnamed = pytest.raises(AnchorWriteError, match=f"{tmp_path}: an error")
    with unnamed, refusing_disk_errors(tmp_path):
        raise OSError


# --- directories -----------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_a_new_directory_has_mode_0700_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        make_private_directory(tmp_path / "new")

    assert mode(tmp_path / "new") == 0o700


def test_the_directories_above_a_new_one_are_made(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "var" / "lib" / "anchors")

    assert mode(tmp_path / "var" / "lib" / "anchors") == 0o700


def test_an_empty_directory_is_taken_and_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(0o755)

    make_private_directory(tmp_path / "empty")

    assert mode(tmp_path / "empty") == 0o700


def test_a_directory_with_something_in_it_keeps_its_mode_and_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    (directory / "file").touch()
    directory.chmod(0o750)

    with pytest.raises(AnchorsExposedError, match=r"mode 0750; it must be 0700.*chmod 0700"):
        make_private_directory(directory)

    assert mode(directory) == 0o750


@pytest.mark.parametrize("loose", [0o701, 0o710, 0o720, 0o770, 0o755, 0o1777])
def test_a_directory_that_others_can_reach_is_refused(tmp_path: Path, loose: int) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(loose)

    with pytest.raises(AnchorsExposedError):
        require_private_directory(tmp_path / "open")


@pytest.mark.parametrize("tight", [0o700, 0o500])
def test_a_directory_of_its_own_user_alone_is_taken(tmp_path: Path, tight: int) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own").chmod(tight)

    require_private_directory(tmp_path / "own")


def test_a_link_in_a_directorys_place_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(0o755)
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with pytest.raises(AnchorsExposedError, match="symbolic link"):
        make_private_directory(tmp_path / "link")

    assert mode(tmp_path / "target") == 0o755


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)

    with pytest.raises(AnchorsExposedError, match=f"chown {other} "):
        require_private_directory(tmp_path)


def test_a_missing_directory_and_a_file_in_its_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(AnchorWriteError):
        require_private_directory(tmp_path / "nothing")
    with pytest.raises(AnchorWriteError):
        make_private_directory(tmp_path / "file")
