"""The secret of the pages: a private file, or no start; made once, and never overwritten."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from alloc_service.errors import AnchorWriteError, WebSecretError
from alloc_service.sealing.keys import create_keys
from alloc_service.services import web_secret


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web" / "secret"


def test_it_is_made_once_private_and_random(path: Path, tmp_path: Path) -> None:
    assert web_secret.make(path)
    assert web_secret.make(tmp_path / "other")

    assert not web_secret.make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(web_secret.read(path)) == 32
    assert web_secret.read(path) != web_secret.read(tmp_path / "other")


def test_where_keys_are_it_is_the_one_that_was_in_use(path: Path, tmp_path: Path) -> None:
    keys = create_keys(tmp_path / "keys")
    before = web_secret.find(path, keys)

    web_secret.make(path, keys)

    assert web_secret.find(path, keys) == web_secret.read(path) == before


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT: dict[str, Callable[[Path], object]] = {
    "it cannot be read": Path.unlink,
    "it cannot be read (Too many levels of symbolic links)": link,
    "it is no file": make_folder,
    "others may read or write it": lambda path: path.chmod(0o640),
    "it belongs to another user": lambda path: os.chown(path, 64_009, -1),
    "64 hexadecimal digits": lambda path: path.write_text("AB" * 32 + "\n"),
    "does not hold 64": lambda path: path.write_text("ab" * 32),
}


@pytest.mark.parametrize("rule", SPOILT)
def test_a_file_that_is_not_as_it_must_be_is_refused_with_its_rule(path: Path, rule: str) -> None:
    web_secret.make(path)
    SPOILT[rule](path)

    with pytest.raises(WebSecretError) as found:
        web_secret.read(path)
    assert rule in str(found.value)


def test_what_is_there_and_no_secret_is_not_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    path.chmod(0o600)

    with pytest.raises(WebSecretError):
        web_secret.make(path)
    assert path.read_text() == "mine"


def test_a_disk_that_refuses_it_is_named(path: Path) -> None:
    path.parent.write_text("a file in the folder's place")

    with pytest.raises((AnchorWriteError, WebSecretError)):
        web_secret.make(path)
