"""Installations at three stages of a trial's life, and a shell to run `alloc` in them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.shell import (
    Golden,
    House,
    Shell,
    build_active,
    build_sealed,
    build_staffed,
    hashing_cheaply,
    steady,
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def _cheap() -> Iterator[None]:
    with hashing_cheaply():
        yield


@pytest.fixture(scope="session")
def staffed_template(tmp_path_factory: pytest.TempPathFactory) -> House:
    with hashing_cheaply():
        return build_staffed(tmp_path_factory.mktemp("staffed"))


@pytest.fixture(scope="session")
def sealed_template(tmp_path_factory: pytest.TempPathFactory, staffed_template: House) -> House:
    with hashing_cheaply():
        return build_sealed(staffed_template, tmp_path_factory.mktemp("sealed"))


@pytest.fixture(scope="session")
def active_template(tmp_path_factory: pytest.TempPathFactory, sealed_template: House) -> House:
    with hashing_cheaply():
        return build_active(sealed_template, tmp_path_factory.mktemp("active"))


@pytest.fixture
def shell(_cheap: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a shell in an empty folder, where nothing is installed."""
    for name in [name for name in os.environ if name.startswith("ALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return Shell()


@pytest.fixture
def enter(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[House], House]:
    """Return a function that copies an installation and lets the shell work in it."""
    del shell

    def entered(template: House) -> House:
        house = template.copied_to(tmp_path / "home")
        for name, value in house.environ.items():
            monkeypatch.setenv(name, value)
        return house

    return entered


@pytest.fixture
def staffed(enter: Callable[[House], House], staffed_template: House) -> House:
    """Return the trial with all its people and no list."""
    return enter(staffed_template)


@pytest.fixture
def sealed(enter: Callable[[House], House], sealed_template: House) -> House:
    """Return the trial with a list that nobody has approved."""
    return enter(sealed_template)


@pytest.fixture
def active(enter: Callable[[House], House], active_template: House) -> House:
    """Return the trial with an active list and an active site."""
    return enter(active_template)


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    """Return a function that compares an output with the stored one of a name.

    UPDATE_GOLDEN=1 in the environment writes what is there now instead.
    """

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        found = steady(text, tmp_path)
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(found, "utf-8")
        assert found == path.read_text("utf-8")

    return compare
