"""docs/threats.md: each test that it names as a proof is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "threats.md").read_text("utf-8")
NAMED = re.findall(r"`([a-z_/]+\.py)::(test_[a-z0-9_]+)`", PAGE)


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_proof_that_is_named_is_there() -> None:
    assert len(NAMED) > 20
    missing = [
        f"{file}::{name}"
        for file, name in NAMED
        if not (TESTS / file).is_file() or name not in names_in(TESTS / file)
    ]
    assert missing == []


def test_every_attack_of_the_suite_is_told() -> None:
    suite = {
        name
        for path in (TESTS / "attacks").glob("test_*.py")
        for name in names_in(path)
        if name.startswith("test_")
    }

    assert suite - {name for _file, name in NAMED} == set()
