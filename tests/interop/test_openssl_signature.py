"""openssl alone verifies the Ed25519 signature of a checkpoint, from the key's 32 bytes."""

import base64
import subprocess
from pathlib import Path

from tests.support.programs import require_program
from tests.support.published import PublishedLog, changed

# RFC 8410: what stands before the 32 bytes of a public Ed25519 key in its DER form.
DER_PREFIX = bytes.fromhex("302a300506032b6570032100")


def verifies(folder: Path, vkey: str, text: bytes, signature: bytes) -> bool:
    """Check a signature as a stranger does who has a vkey, a note and openssl."""
    openssl = require_program("openssl", "openssl")
    public = base64.b64decode(vkey.split("+", 2)[2])[1:]
    (folder / "key.der").write_bytes(DER_PREFIX + public)
    (folder / "text").write_bytes(text)
    (folder / "signature").write_bytes(signature)
    done = subprocess.run(
        [
            openssl, "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.der",
            "-keyform", "DER", "-in", "text", "-sigfile", "signature",
        ],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == (b"Verified Successfully" in done.stdout)
    return done.returncode == 0


def parts(note: str) -> tuple[bytes, bytes]:
    """Return what is signed, and the 64 bytes of the signature without its key id."""
    text, _, block = note.rpartition("\n\n")
    return f"{text}\n".encode(), base64.b64decode(block.split()[-1])[4:]


def test_openssl_verifies_every_checkpoint(published: PublishedLog, tmp_path: Path) -> None:
    for note in published.checkpoints.values():
        text, signature = parts(note)
        assert len(signature) == 64
        assert verifies(tmp_path, published.key.vkey, text, signature)


def test_openssl_refuses_any_changed_byte_of_text_or_signature(
    published: PublishedLog, tmp_path: Path
) -> None:
    text, signature = parts(published.checkpoints[published.size])

    for at in range(len(text)):
        assert not verifies(tmp_path, published.key.vkey, changed(text, at), signature)
    for at in range(len(signature)):
        assert not verifies(tmp_path, published.key.vkey, text, changed(signature, at))


def test_openssl_refuses_the_signature_of_another_size(
    published: PublishedLog, tmp_path: Path
) -> None:
    text, _ = parts(published.checkpoints[published.size])
    _, signature = parts(published.checkpoints[published.size - 1])

    assert not verifies(tmp_path, published.key.vkey, text, signature)
