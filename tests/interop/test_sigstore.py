"""sigstore's verifier takes our checkpoints and inclusion proofs, and refuses changed ones.

It is npm's own: `@sigstore/verify`, pinned by a lockfile beside the program that calls it. What is
called is what checks an entry of a transparency log: the signed checkpoint, then the Merkle path.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.programs import require_program
from tests.support.published import PublishedLog, changed

FOLDER = Path(__file__).parent / "npm"
FILES = ("package.json", "package-lock.json", ".npmrc", "verify.js")

Case: TypeAlias = dict[str, Any]
Sigstore: TypeAlias = Callable[[Sequence[Case]], list[str]]


@pytest.fixture(scope="session")
def sigstore(tmp_path_factory: pytest.TempPathFactory) -> Sigstore:
    """Install the verifier, and return it: from cases to the reason of each refusal, or none."""
    npm, node = require_program("npm", "npm"), require_program("node", "nodejs")
    folder = tmp_path_factory.mktemp("sigstore")
    for name in FILES:
        shutil.copyfile(FOLDER / name, folder / name)
    installed = subprocess.run([npm, "ci"], cwd=folder, capture_output=True, check=False)
    assert installed.returncode == 0, installed.stderr.decode()

    def verify(cases: Sequence[Case]) -> list[str]:
        done = subprocess.run(
            [node, "verify.js"], cwd=folder, input=json.dumps(cases).encode(),
            env={"PATH": os.environ["PATH"]}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        reasons: list[str] = json.loads(done.stdout)
        assert len(reasons) == len(cases) > 0
        return reasons

    return verify


def spell(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def case(log: PublishedLog, index: int, size: int) -> Case:
    public = Ed25519PublicKey.from_public_bytes(log.key.public)
    return {
        "checkpoint": log.checkpoints[size],
        "proof": [*map(spell, log.inclusion(index, size))],
        "index": index,
        "entry": spell(log.entries[index]),
        "key": spell(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
        "keyId": log.key.key_id.hex(),
        "origin": log.key.name,
    }


def test_sigstore_finds_every_entry_under_every_checkpoint(
    sigstore: Sigstore, published: PublishedLog
) -> None:
    cases = [
        case(published, index, size) for size in published.checkpoints for index in range(size)
    ]

    assert set(sigstore(cases)) == {""}
    assert len(cases) > 50


def test_sigstore_refuses_an_entry_or_a_path_with_a_byte_changed(
    sigstore: Sigstore, published: PublishedLog
) -> None:
    bad = []
    for index in range(published.size):
        good = case(published, index, published.size)
        entry = published.entries[index]
        bad += [good | {"entry": spell(changed(entry, at))} for at in (0, 9, len(entry) - 1)]
        for at, value in enumerate(good["proof"]):
            hashes = list(good["proof"])
            hashes[at] = spell(changed(base64.b64decode(value), 7))
            bad.append(good | {"proof": hashes})
        bad.append(good | {"proof": good["proof"][:-1]})

    assert "" not in sigstore(bad)


def test_sigstore_refuses_a_checkpoint_with_a_byte_changed(
    sigstore: Sigstore, published: PublishedLog
) -> None:
    good = case(published, 0, published.size)
    text, block = published.text(published.size), good["checkpoint"].rpartition("\n\n")[2]
    signature = base64.b64decode(block.split()[-1])
    bad = [
        good | {"checkpoint": f"{changed(text.encode(), at).decode()}\n{block}"}
        for at in range(len(text) - 1)
    ]
    bad += [
        good | {"checkpoint": f"{text}\n— {published.key.name} {spell(changed(signature, at))}\n"}
        for at in range(len(signature))
    ]

    assert "" not in sigstore(bad)


def test_sigstore_refuses_the_place_of_another_entry(
    sigstore: Sigstore, published: PublishedLog
) -> None:
    cases = [
        case(published, index, published.size) | {"index": (index + 1) % published.size}
        for index in range(published.size)
    ]

    assert "" not in sigstore(cases)


def test_the_lockfile_names_no_host() -> None:
    text = (FOLDER / "package-lock.json").read_text("utf-8")

    assert "http" not in text
    assert '"resolved"' not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
