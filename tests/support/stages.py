"""Fixtures: installations on SQLite at each stage of a trial's life, for conftests to import."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.shelf import Shelf, place_for_files


@pytest.fixture(scope="session")
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    yield shelf
    shelf.clear()


@pytest.fixture
def open_stage(shelf: Shelf) -> Iterator[Callable[..., Installation]]:
    home = Path(tempfile.mkdtemp(prefix="alloc-", dir=place_for_files()))
    opened: list[Installation] = []

    def open_at(stage: str, trial: str = "small") -> Installation:
        opened.append(shelf.copy(stage, "sqlite", home, None, trial))
        return opened[0]

    yield open_at
    for installation in opened:
        installation.close()
    shutil.rmtree(home)


@pytest.fixture
def active(open_stage: Callable[..., Installation]) -> Installation:
    """Return the small trial with an active list and active sites."""
    return open_stage("active")


@pytest.fixture
def shipped(open_stage: Callable[..., Installation]) -> Installation:
    """Return the shipped trial, as a test, with an active list and an active site."""
    return open_stage("active", "shipped")


@pytest.fixture
def staffed(open_stage: Callable[..., Installation]) -> Installation:
    """Return the small trial with all its people, and no list."""
    return open_stage("staffed")


@pytest.fixture
def approved(open_stage: Callable[..., Installation]) -> Installation:
    """Return the small trial with a list that nobody has activated."""
    return open_stage("approved")
