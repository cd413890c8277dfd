"""Programs that are not ours, and the programs of docs/regenerate that run in them.

What is missing fails the test and names the command that installs it; nothing is skipped.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from alloc_service.core.design import Design
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "regenerate"


class Language(NamedTuple):
    """A language that a list is made again in: its program, and what runs it."""

    name: str
    program: str
    interpreter: str
    packages: str

    @property
    def command(self) -> str:
        """Return the path of what runs the program."""
        return require_program(self.interpreter, self.packages)


LANGUAGES = {
    "javascript": Language("javascript", "regenerate.js", "node", "nodejs"),
    "python": Language("python", "regenerate.py", sys.executable, "python3"),
    "r": Language("r", "regenerate.R", "Rscript", "r-base-core r-cran-digest"),
    "shell": Language("shell", "regenerate.sh", "bash", "bash openssl"),
}


def require_program(name: str, packages: str) -> str:
    """Return the path of a program that is needed; its absence fails the test."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed here; `apt-get install {packages}` brings it")
    return found


def run_program(
    language: Language, *paths: object, program: Path | None = None, locale: str = "C.UTF-8"
) -> "subprocess.CompletedProcess[bytes]":
    """Run a language's program on designs and seeds, as a person would."""
    file = program or FOLDER / language.program
    return subprocess.run(
        [language.command, str(file), *(str(path) for path in paths)],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": locale}, capture_output=True,
        check=False, timeout=600,
    )  # fmt: skip


def expected_output(design: Design, seed: Seed) -> bytes:
    """Return what every program writes for a design and a seed, from the package's own list."""
    generated = generate(design, seed)
    lines = [
        f"{stratum}\t{slot}\t{design.strata[stratum].code}\t{arm}\n"
        for stratum, arms in enumerate(generated.arms)
        for slot, arm in enumerate(arms)
    ]
    end = {
        "trial": design.trial, "list": design.list, "D": design.sha256, "root": generated.root,
    }  # fmt: skip
    return "".join([*lines, *(f"{name}\t{value}\n" for name, value in end.items())]).encode()


def write_secret(folder: Path, design: bytes, seed: str, name: str = "list") -> tuple[Path, Path]:
    """Write a design and a seed to files of their own."""
    paths = folder / f"{name}.json", folder / f"{name}.txt"
    paths[0].write_bytes(design)
    paths[1].write_text(f"{seed}\n")
    return paths
