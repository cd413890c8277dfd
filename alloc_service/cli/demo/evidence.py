"""The committee's side of a rehearsal: a bundle, checked in a process that has Python alone."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from alloc_service.log.bundle import read_verifier

_PATIENCE = 600  # seconds


class Verdict(NamedTuple):
    """What a verification came to: whether all of it is good, and its last words."""

    good: bool
    words: str


def verify_alone(folder: Path, bundle: bytes, policy: str) -> Verdict:
    """Check a bundle as somebody does who has nothing of ours but one file.

    Args:
        folder: Whoever checks it has this folder; files of an earlier check are written over.
        bundle: The bundle's bytes.
        policy: As it was taken away before.
    """
    verifier, evidence, trusted = (
        folder / name for name in ("verify_bundle.py", "evidence.zip", "trial.policy")
    )
    verifier.write_bytes(read_verifier())
    evidence.write_bytes(bundle)
    trusted.write_text(policy, encoding="utf-8")
    # Neither this program's packages nor its environment.
    ran = subprocess.run(  # noqa: S603  this interpreter, and the file written above
        [sys.executable, "-I", "-S", verifier, evidence, "--policy", trusted],
        cwd=folder, env={}, capture_output=True, check=False, timeout=_PATIENCE,
    )  # fmt: skip
    lines = (ran.stdout + ran.stderr).decode("utf-8", "replace").strip().splitlines()
    return Verdict(ran.returncode == 0, lines[-1] if lines else f"exit code {ran.returncode}")


def change_one_byte(bundle: bytes) -> bytes:
    """Return a bundle with the lowest bit of its middle byte turned."""
    middle = len(bundle) // 2
    return bundle[:middle] + bytes([bundle[middle] ^ 1]) + bundle[middle + 1 :]
