"""A thousand random designs in each language: the same list and the same root as the package's.

In the shell every step is a process, and R takes half a millisecond a slot: so the designs are
small, smallest for the shell, and two processes of a language share the thousand.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.seed import Seed
from tests.support.programs import LANGUAGES, expected_output, run_program, write_secret

DESIGNS = 1_000
PROCESSES = 2
LETTERS = "aZ09 =;<>|,.\"\\/'`$%&*@?!~#(){}[]_-äß≥中文Ωж\u200b\ufffd😀𝔘"
ARM_LETTERS = "ABCxyz019._+-"


class Limits(NamedTuple):
    """How large a random design may be."""

    arms: int
    ratio: int
    strata: int
    slots: int
    size: int


SMALL = Limits(arms=5, ratio=5, strata=4, slots=9, size=60)
TINY = Limits(arms=3, ratio=2, strata=2, slots=3, size=8)
LIMITS = {"javascript": SMALL, "python": SMALL, "r": SMALL, "shell": TINY}


def random_text(generator: np.random.Generator, letters: str, longest: int) -> str:
    length = generator.integers(1, longest, endpoint=True)
    return "".join(generator.choice(list(letters), length))


def random_arms(generator: np.random.Generator, limits: Limits) -> tuple[Arm, ...]:
    count = int(generator.integers(2, limits.arms, endpoint=True))
    ratios = generator.integers(1, limits.ratio, count, endpoint=True)
    return tuple(
        Arm(f"{random_text(generator, ARM_LETTERS, 30)}{n:x}", int(ratio))
        for n, ratio in enumerate(ratios)
    )


def random_blocks(
    generator: np.random.Generator, limits: Limits, unit: int
) -> tuple[BlockSize, ...]:
    repeats = np.arange(1, max(2, limits.size // unit + 1))
    count = int(generator.integers(1, min(4, len(repeats)), endpoint=True))
    weights = generator.choice([1, 1, 1, 2, 3, 7, 999, 1_000], count)
    chosen = generator.choice(repeats, count, replace=False)
    return tuple(
        BlockSize(unit * int(repeat), int(weight))
        for repeat, weight in zip(chosen, weights, strict=True)
    )


def random_design(generator: np.random.Generator, limits: Limits) -> Design:
    arms = random_arms(generator, limits)
    strata = int(generator.integers(1, limits.strata, endpoint=True))
    slots = generator.integers(1, limits.slots, strata, endpoint=True)
    return Design(
        trial=f"TEST-{generator.integers(10**9)}",
        list=int(generator.integers(1, 9_999, endpoint=True)),
        arms=arms,
        blocks=random_blocks(generator, limits, sum(arm.ratio for arm in arms)),
        strata=tuple(
            Stratum(f"{random_text(generator, LETTERS, 40)}{n}", int(count))
            for n, count in enumerate(slots)
        ),
        salt=generator.bytes(32).hex(),
    )


def test_the_designs_are_of_many_kinds() -> None:
    for limits in (SMALL, TINY):
        generator = np.random.default_rng(1_728_727)
        designs = [random_design(generator, limits) for _ in range(DESIGNS)]

        assert any(len({arm.ratio for arm in design.arms}) > 1 for design in designs)
        assert any(len({block.weight for block in design.blocks}) > 1 for design in designs)
        assert {1, limits.strata} <= {len(design.strata) for design in designs}
        assert {1, limits.slots} <= {row.slots for design in designs for row in design.strata}
        # The last block of a stratum is cut somewhere, and somewhere several follow each other.
        sizes = [(design.blocks[0].size, design.strata[0].slots) for design in designs]
        assert any(slots % size for size, slots in sizes)
        assert any(slots > size for size, slots in sizes)
        assert any(not row.code.isascii() for design in designs for row in design.strata)
        for letter in '"\\':
            assert any(letter in row.code for design in designs for row in design.strata)


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_a_thousand_random_designs_give_the_same_lists_and_roots(name: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(1_728_727)
    paths: list[list[Path]] = [[] for _ in range(PROCESSES)]
    expected = [bytearray() for _ in range(PROCESSES)]
    for n in range(DESIGNS):
        design = random_design(generator, LIMITS[name])
        seed = Seed(generator.bytes(32).hex())
        part = n * PROCESSES // DESIGNS
        paths[part] += write_secret(tmp_path, design.to_bytes(), seed.digits, str(n))
        expected[part] += expected_output(design, seed)

    with ThreadPoolExecutor(PROCESSES) as pool:
        done = list(pool.map(lambda part: run_program(LANGUAGES[name], *part), paths))

    assert [run.stderr for run in done] == [b""] * PROCESSES
    assert [run.stdout for run in done] == expected
