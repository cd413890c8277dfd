"""The walk through one block in docs/regenerate/README.md: its commands give what it says."""

import json
import re
import subprocess
from pathlib import Path

from tests.support.programs import FOLDER, require_program

VECTORS = Path(__file__).parents[1] / "vectors"


def test_the_commands_of_the_walk_give_the_words_and_the_leaf_that_it_shows(
    tmp_path: Path,
) -> None:
    require_program("openssl", "openssl")
    vector = json.loads((VECTORS / "gen2.json").read_text("utf-8"))
    (tmp_path / "design.json").write_text(vector["design_jcs"], "utf-8")
    (tmp_path / "seed.txt").write_text(vector["seed"])
    walk = (FOLDER / "README.md").read_text("utf-8").partition("## One block by hand")[2]
    commands, shown = re.findall(r"```(?:sh)?\n(.*?)```", walk, re.DOTALL)

    done = subprocess.run(
        ["sh", "-eu", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout == shown
    assert vector["expect"]["first_leaf"] in shown
    assert vector["expect"]["lists"][0].startswith("BAA")


def test_the_sums_of_the_walk_are_right() -> None:
    walk = (FOLDER / "README.md").read_text("utf-8").partition("It writes eight words")[2]
    sums = re.findall(r"([0-9a-f]{8}) is (\d+);\s+modulo (\d) it is (\d)", walk)

    assert len(sums) == 3
    for word, number, bound, rest in sums:
        assert int(word, 16) == int(number)
        assert int(number) % int(bound) == int(rest)
