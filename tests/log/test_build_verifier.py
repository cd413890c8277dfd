"""The file that stands alone: built from the modules, by any hand the same, for Python 3.9."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alloc_service.log import build_verifier
from alloc_service.log.build_verifier import OUTPUT, BuildError, build
from tests.support.bundles import full_evidence


def pythons() -> list[str]:
    """Return this interpreter and every other one from 3.9 on that is here and runs."""
    minors = range(9, 20)
    named = [shutil.which(f"python3.{minor}") or "" for minor in minors]
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in minors:
        named += map(str, sorted(kept.glob(f"3.{minor}.*/bin/python3.{minor}")))
    commands = [[one, "-c", ""] for one in named if one]
    runs = [subprocess.run(one, capture_output=True, check=False) for one in commands]
    return [sys.executable, *(run.args[0] for run in runs if run.returncode == 0)]


PYTHONS = pythons()


def test_the_committed_file_is_what_the_modules_give() -> None:
    assert OUTPUT.read_text("utf-8") == build()


def test_it_is_python_3_9_of_the_standard_library_alone() -> None:
    tree = ast.parse(OUTPUT.read_text("utf-8"), feature_version=(3, 9))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }

    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize("python", PYTHONS, ids=range(len(PYTHONS)))
def test_every_python_that_is_here_runs_it(python: str, tmp_path: Path) -> None:
    evidence = full_evidence()
    good, policy = tmp_path / "good.zip", tmp_path / "policy"
    good.write_bytes(evidence.bundle(unblinded=True))
    policy.write_text(evidence.policy)

    def run(bundle: Path) -> "subprocess.CompletedProcess[str]":
        command = [python, "-I", "-S", str(OUTPUT), str(bundle), "--policy", str(policy)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    outcome = run(good)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "List 2: design and seed give the very list that was sealed." in outcome.stdout
    bad = tmp_path / "bad.zip"
    bad.write_bytes(good.read_bytes().replace(b'"cap":500', b'"cap":501'))
    refused = run(bad)
    assert (refused.returncode, refused.stderr) == (1, "")
    assert refused.stdout.startswith("REFUSED  The bundle was refused: audit/entries.ndjson")


def written(folder: Path, **modules: str) -> None:
    package = folder / "alloc_service" / "log"
    package.mkdir(parents=True)
    for name, source in modules.items():
        (package / f"{name}.py").write_text(source)


@pytest.mark.parametrize(
    ("modules", "rule"),
    [
        ({"verifier": "print(1)\n\ndef main():\n    pass\n"}, "binds no name"),
        ({"verifier": "import json as j\n\ndef main():\n    pass\n"}, "under another name"),
        ({"verifier": "def run():\n    pass\n"}, "has no main"),
        ({"verifier": "from datetime import UTC\n\ndef main():\n    return UTC\n"}, "newer than"),
        (
            {
                "verifier": "from alloc_service.log.other import one\n\n"
                "def two():\n    pass\n\ndef main():\n    two(one)\n",
                "other": "def two():\n    pass\n\ndef one():\n    two()\n",
            },
            "two stands in two modules",
        ),
        (
            {
                "verifier": "from alloc_service.log.other import one\n\n_a = 1\n\n"
                "def main():\n    return one(_a)\n",
                "other": "_a = 2\n\ndef one(_a):\n    return _a\n",
            },
            "hides a name",
        ),
    ],
)
def test_what_cannot_be_joined_stops_the_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, modules: dict[str, str], rule: str
) -> None:
    written(tmp_path, **modules)
    monkeypatch.setattr(build_verifier, "_ROOT", tmp_path)

    with pytest.raises(BuildError, match=rule):
        build()


def test_private_names_of_two_modules_are_told_apart_also_in_texts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written(
        tmp_path,
        verifier="import sys\nfrom pathlib import Path\n"
        "from alloc_service.log.other import one\n\n_a, _b = 'x', 'y'\n\n"
        "# what comes before\ndef _t(arguments, own=None):\n    return f'{_a}{_b!r:>{len(_a)}}'\n\n"
        "def main(arguments, own=None):\n    return one() + _t(1) + f'{_a}_a' + _b\n",
        other="_a: str = 'z'\n\ndef _t():\n    return f'{_a}'\n\n"
        "def one():\n    return _t() + _a\n",
    )
    monkeypatch.setattr(build_verifier, "_ROOT", tmp_path)
    scope: dict[str, object] = {"__name__": "built"}

    text = build()

    exec(compile(text, "built", "exec"), scope)  # noqa: S102  what was just built
    assert scope["main"]([]) == "zzx'y'x_ay"  # type: ignore[operator]
    assert "# what comes before\ndef _verifier_t(" in text


def test_the_command_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "alloc_service.log.build_verifier", str(tmp_path / "alone.py")]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)

    assert (tmp_path / "alone.py").read_bytes() == OUTPUT.read_bytes()
    assert outcome.stdout.endswith("lines\n")
    monkeypatch.setattr(build_verifier, "OUTPUT", tmp_path / "shipped.py")
    assert build_verifier.main([]) == 0
    assert (tmp_path / "shipped.py").read_bytes() == OUTPUT.read_bytes()
