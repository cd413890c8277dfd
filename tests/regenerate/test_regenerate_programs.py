"""Each program of docs/regenerate against the vectors, and against designs at the limits."""

import hashlib
import json
from pathlib import Path

import pytest

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.draw import WORD_RANGE, seeded_words
from alloc_service.core.generate import derive_keys
from alloc_service.core.seed import Seed
from tests.support.programs import (
    FOLDER,
    Language,
    expected_output,
    run_program,
    write_secret,
)

VECTORS = Path(__file__).parents[1] / "vectors"
SALT = hashlib.sha256(b"salt").hexdigest()
SEED = Seed(hashlib.sha256(b"a fixed seed for tests").hexdigest())
TWO = (Arm("A", 1), Arm("B", 1))
# Found by trying seeds: the very first word is past the limit, so that a second one is taken.
REJECTING_SEED = Seed(hashlib.sha256(b"241158").hexdigest())
REJECTING = Design(
    "TEST-REJECTED", 1, TWO,
    tuple(BlockSize(8 * n, 860 if n == 16 else 1_000) for n in range(1, 17)),
    (Stratum("all", 3),), SALT,
)  # fmt: skip
LONG_CODES = tuple(Stratum("≥" * 195 + f"{n:05}", 1 if n else 20) for n in range(40))
LARGEST = Design(
    "TEST-" + "x" * 59, 9_999,
    tuple(Arm(f"{'A' * 30}{n:02}", 1) for n in range(16)),
    tuple(BlockSize(16 * n, 1_000) for n in range(1, 17)), LONG_CODES, SALT,
)  # fmt: skip
TRIAL = Design(
    "NCT01728727", 1, (Arm("MSC", 1), Arm("CONV", 1)), (BlockSize(4, 1), BlockSize(6, 1)),
    tuple(Stratum(f"cp={n};meld=≥20", 60) for n in range(4)), SALT,
)  # fmt: skip
AWKWARD = (
    Design("T", 1, (Arm("A", 16), Arm("B", 1)), (BlockSize(255, 3),), (Stratum("x", 256),), SALT),
    Design("T", 1, (Arm("+", 1), Arm(".", 1)), (BlockSize(2, 1),), (Stratum("@", 1),), SALT),
    Design("a/b", 7, TWO, (BlockSize(2, 1), BlockSize(4, 1)), (
        Stratum('"', 1), Stratum("\\", 2), Stratum('\\"', 3), Stratum('{"code":"x","slots":1}', 1),
        Stratum("*", 1), Stratum("a]b,c", 2), Stratum("%s$1&", 1), Stratum("😀 ä", 2),
        Stratum(" blanks ", 1), Stratum("\\n", 1),
    ), SALT),
)  # fmt: skip


@pytest.mark.parametrize("name", ["gen1", "gen2"])
def test_a_program_gives_the_root_and_the_list_of_the_vector(
    language: Language, name: str, tmp_path: Path
) -> None:
    vector = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    paths = write_secret(tmp_path, vector["design_jcs"].encode(), vector["seed"])

    lines = run_program(language, *paths).stdout.decode().splitlines()

    assert lines[-1] == f"root\t{vector['expect']['root']}"
    assert lines[-2] == f"D\t{vector['expect']['design_sha256']}"
    rows = [line.split("\t") for line in lines[:-4]]
    strata = [row["code"] for row in vector["design"]["strata"]]
    assert [code for _, _, code, _ in rows] == [strata[int(s)] for s, _, _, _ in rows]
    lists = ["".join(arm for s, _, _, arm in rows if int(s) == n) for n in range(len(strata))]
    assert lists == vector["expect"]["lists"]
    places = [(n, i) for n, arms in enumerate(lists) for i in range(len(arms))]
    assert [(int(s), int(i)) for s, i, _, _ in rows] == places


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_a_program_gives_the_list_of_designs_at_the_limits_in_any_locale(
    language: Language, locale: str, tmp_path: Path
) -> None:
    designs = (TRIAL, *AWKWARD) if locale == "C" else (TRIAL, *AWKWARD, LARGEST)
    paths = [
        path for n, design in enumerate(designs)
        for path in write_secret(tmp_path, design.to_bytes(), SEED.digits, str(n))
    ]  # fmt: skip

    done = run_program(language, *paths, locale=locale)

    assert done.stderr == b""
    assert done.stdout == b"".join(expected_output(design, SEED) for design in designs)


def test_a_word_past_the_limit_is_thrown_away_and_the_next_code_is_read(
    language: Language, tmp_path: Path
) -> None:
    words = seeded_words(derive_keys(REJECTING, REJECTING_SEED)[0], 0, 0)
    total = sum(block.weight for block in REJECTING.blocks)
    assert next(words) >= WORD_RANGE - WORD_RANGE % total  # or this proves nothing
    paths = write_secret(tmp_path, REJECTING.to_bytes(), REJECTING_SEED.digits)

    assert run_program(language, *paths).stdout == expected_output(REJECTING, REJECTING_SEED)


def test_an_editor_may_have_ended_the_design_with_a_line_end(
    language: Language, tmp_path: Path
) -> None:
    paths = write_secret(tmp_path, TRIAL.to_bytes() + b"\n", SEED.digits)

    assert run_program(language, *paths).stdout == expected_output(TRIAL, SEED)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("regenerate.*")))
def test_a_program_is_shorter_than_a_hundred_lines(name: str) -> None:
    assert len((FOLDER / name).read_text("utf-8").splitlines()) < 100
