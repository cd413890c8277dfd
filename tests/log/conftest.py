"""What the tests of the log share: the vectors, their keys, and a log that grows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.errors import IntegrityError, LogFaultError
from alloc_service.log.note import Signer, Verifier, Witness
from alloc_service.log.verify import verify_log
from tests.support.chain import Chain
from tests.support.forgery import Fault

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


@pytest.fixture(scope="session")
def every(log_vector: dict[str, Any]) -> list[str]:
    """Return a checkpoint of each size."""
    return list(log_vector["checkpoints"].values())


@pytest.fixture(scope="session")
def last(every: list[str]) -> list[str]:
    """Return the checkpoint of the whole log alone."""
    return every[-1:]


@pytest.fixture(scope="session")
def fault(log_key: Verifier) -> Fault:
    """Return a check that a log is refused; it gives the first entry named and the last."""

    def check(rows: Sequence[bytes], checkpoints: Sequence[str] = ()) -> tuple[int, int]:
        with pytest.raises(LogFaultError) as refusal:
            verify_log(rows, checkpoints, log_key)
        assert isinstance(refusal.value, IntegrityError)
        return refusal.value.facts["seq"], refusal.value.facts["last"]  # type: ignore[return-value]

    return check
