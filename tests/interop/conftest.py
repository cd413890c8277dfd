"""A log that was really sealed and signed, for programs that we did not write."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.published import PublishedLog, publish_log

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> PublishedLog:
    """Return a small trial's log with a checkpoint of every size."""
    return publish_log(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def notes_vector() -> dict[str, Any]:
    """Return the vectors of signed notes and checkpoints."""
    vector: dict[str, Any] = json.loads((VECTORS / "notes.json").read_text("utf-8"))
    return vector


@pytest.fixture(scope="session")
def log_vector() -> dict[str, Any]:
    """Return the vectors of a whole small log."""
    vector: dict[str, Any] = json.loads((VECTORS / "log.json").read_text("utf-8"))
    return vector
