"""Every file that a person hands to `alloc`, damaged in every way: refused where it is wrong.

Each row of the table is a command that takes a file, and a good one for it. Each damage is then
handed in instead. It must be refused with exit code 1 or 2, by the file's name, with a byte, a
line or the rule; without a stack trace, without anything secret that stands in the file, and with
nothing done: at the end the good file is handed in, and is taken.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.damages import DAMAGES, WHERE
from tests.support.handed_in import CASES, Build, Case, Desk
from tests.support.shell import House, Outcome, Shell

# What is said where no byte is the one that is wrong.
RULES: Mapping[str, str] = {
    "missing": r"(?i)no such file|there is no witness here|is not there|but not the file `current`",
    "a directory": r"is a directory|is a symbolic link or not a file",
    "far too large": r"is larger than|is longer than|must be smaller than",
}


@pytest.fixture
def desk(active: House, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("COLUMNS", "4000")
    folder = tmp_path / "handed-in"
    folder.mkdir()
    return Desk(active, shell, folder)


def judge(case: Case, damage: str, outcome: Outcome) -> list[str]:
    """Return what is wrong with the answer to a damaged file."""
    told = f"{outcome.out} {outcome.err}"
    if damage in case.harmless:
        return [] if outcome.code == 0 else [f"{damage}: it was refused: {told}"]
    faults = []
    if outcome.code not in {1, 2}:
        faults.append(f"{damage}: exit code {outcome.code}: {told}")
    if "Traceback" in told or "fault of the program" in told:
        faults.append(f"{damage}: a fault of the program: {told}")
    if not re.search(case.named or re.escape(case.path.name), told):
        faults.append(f"{damage}: the file is not named: {told}")
    rule = "|".join(filter(None, (RULES.get(damage), case.rules)))
    if not (WHERE.search(told) or (rule and re.search(rule, told))):
        faults.append(f"{damage}: no place and no rule: {told}")
    faults += [f"{damage}: it repeats {secret}" for secret in case.secrets if secret in told]
    return faults


@pytest.mark.parametrize("build", CASES.values(), ids=CASES)
def test_a_damaged_file_is_refused_where_it_is_wrong(desk: Desk, build: Build) -> None:
    case = build(desk)
    whole, mode = case.path.read_bytes(), case.path.stat().st_mode & 0o777
    changed = [name for name, damage in DAMAGES.items() if damage(whole) != whole]
    faults = []

    for damage in (name for name in changed if name not in case.harmless):
        case.path.write_bytes(DAMAGES[damage](whole))
        faults += judge(case, damage, case.run())
    case.path.unlink()
    faults += judge(case, "missing", case.run())
    case.path.mkdir(0o700)
    faults += judge(case, "a directory", case.run())
    case.path.rmdir()
    case.path.write_bytes(whole)
    for damage in () if case.once else (name for name in changed if name in case.harmless):
        case.path.write_bytes(DAMAGES[damage](whole))
        os.chmod(case.path, mode)  # noqa: PTH101
        faults += judge(case, damage, case.run())
    case.path.write_bytes(whole)
    os.chmod(case.path, mode)  # noqa: PTH101
    last = case.run()

    assert faults == [], "\n".join(faults)
    assert last.code == 0, last.err
