"""What the tests of the log share: the vectors, their keys, and a log that grows."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.log.note import Signer, Verifier, Witness
from tests.support.chain import Chain

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.fixture
def chain() -> Chain:
    """Return a log that holds `trial.created` alone."""
    return Chain().create()


@pytest.fixture(scope="session")
def log_vector() -> dict[str, Any]:
    """Return the vectors of a whole small log."""
    vector: dict[str, Any] = json.loads((VECTORS / "log.json").read_text("utf-8"))
    return vector


@pytest.fixture(scope="session")
def rows(log_vector: dict[str, Any]) -> list[bytes]:
    """Return the ten entries of that log."""
    return [entry.encode() for entry in log_vector["entries"]]


@pytest.fixture(scope="session")
def notes_vector() -> dict[str, Any]:
    """Return the vectors of signed notes and checkpoints."""
    vector: dict[str, Any] = json.loads((VECTORS / "notes.json").read_text("utf-8"))
    return vector


@pytest.fixture(scope="session")
def log_signer(log_vector: dict[str, Any]) -> Signer:
    """Return the log's key."""
    private = bytes.fromhex(log_vector["log_private"])
    return Signer(log_vector["origin"], Ed25519PrivateKey.from_private_bytes(private))


@pytest.fixture(scope="session")
def witness(log_vector: dict[str, Any]) -> Witness:
    """Return the witness's key."""
    private = bytes.fromhex(log_vector["witness_private"])
    name = str(log_vector["witness_vkey"]).partition("+")[0]
    return Witness(name, Ed25519PrivateKey.from_private_bytes(private))


@pytest.fixture(scope="session")
def log_key(log_signer: Signer) -> Verifier:
    """Return the public half of the log's key."""
    return log_signer.verifier
