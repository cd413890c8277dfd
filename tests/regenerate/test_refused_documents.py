"""What a program refuses: with exit code 1 and a reason, and without a line of a list."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

import pytest

from alloc_service.core.canon import canon
from alloc_service.core.design import Design
from alloc_service.errors import RefusalError
from tests.support.programs import Language, run_program, write_secret

Run: TypeAlias = CompletedProcess[bytes]

PROCESSES = 2
SEED = hashlib.sha256(b"a fixed seed for tests").hexdigest()
GOOD: dict[str, Any] = {
    "alg": "rac-gen/1",
    "arms": [{"code": "A", "ratio": 1}, {"code": "B", "ratio": 2}],
    "blocks": [{"size": 3, "weight": 1}, {"size": 6, "weight": 1}],
    "list": 1,
    "salt": SEED,
    "strata": [{"code": "s0", "slots": 4}, {"code": "s1", "slots": 4}],
    "trial": "TEST-1",
}
BYTES = canon(GOOD)


def arm(code: str, ratio: Any = 1) -> dict[str, Any]:
    return {"code": code, "ratio": ratio}


def blocks(size: Any, weight: Any = 1) -> dict[str, Any]:
    return {"blocks": [{"size": size, "weight": weight}]}


def strata(code: str, slots: Any = 1) -> dict[str, Any]:
    return {"strata": [{"code": code, "slots": slots}]}


# Documents that break one rule of rac-gen/1 each, by what the rule is about.
BAD_VALUES: dict[str, dict[str, Any]] = {
    "another algorithm": {"alg": "rac-gen/2"},
    "one arm": {"arms": [arm("A")]},
    "seventeen arms": {"arms": [arm(f"A{n}") for n in range(17)], **blocks(17)},
    "an arm twice": {"arms": [arm("A"), arm("A")], **blocks(2)},
    "an arm's code": {"arms": [arm("A|"), arm("B")], **blocks(2)},
    "a long arm's code": {"arms": [arm("A" * 33), arm("B")], **blocks(2)},
    "a ratio of zero": {"arms": [arm("A", 0), arm("B")], **blocks(2)},
    "a ratio of seventeen": {"arms": [arm("A", 17), arm("B")], **blocks(18)},
    "a ratio that is a text": {"arms": [arm("A", "1"), arm("B")], **blocks(2)},
    "no block": {"blocks": []},
    "a block that does not fit": blocks(4),
    "a block of 258": blocks(258),
    "a weight of zero": blocks(3, 0),
    "a weight of 1,001": blocks(3, 1_001),
    "a size twice": {"blocks": [{"size": 3, "weight": 1}, {"size": 3, "weight": 2}]},
    "seventeen blocks": {"blocks": [{"size": 3 * n, "weight": 1} for n in range(1, 18)]},
    "list 0": {"list": 0},
    "list 10,000": {"list": 10_000},
    "a short salt": {"salt": SEED[1:]},
    "a salt in capitals": {"salt": SEED.upper()},
    "no stratum": {"strata": []},
    "a stratum without a code": strata(""),
    "a code with a tab": strata("a\tb"),
    "a code with a delete": strata("a\x7fb"),
    "a code with a C1 control": strata("a\x85b"),
    "a code of 201 characters": strata("≥" * 201),
    "no slot": strata("x", 0),
    "1,000,001 slots": strata("x", 1_000_001),
    "2,000,001 slots": {
        "strata": [{"code": f"s{n}", "slots": slots} for n, slots in enumerate((10**6, 10**6, 1))]
    },
    "a stratum twice": {"strata": [{"code": "x", "slots": 1}, {"code": "x", "slots": 2}]},
    "1,001 strata": {"strata": [{"code": f"s{n}", "slots": 1} for n in range(1_001)]},
    "a trial with a blank": {"trial": "TEST 1"},
    "a long trial": {"trial": "T" * 65},
    "a key too many": {"note": "x"},
}
BAD_BYTES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"not JSON",
    "an array": b"[]",
    "a space": BYTES.replace(b":", b": ", 1),
    "a space before the end": BYTES[:-1] + b" }",
    "two line ends": BYTES + b"\n\n",
    "a byte order mark": b"\xef\xbb\xbf" + BYTES,
    "a fraction": BYTES.replace(b'"ratio":1', b'"ratio":1.0'),
    "an exponent": BYTES.replace(b'"slots":4', b'"slots":4e0'),
    "a leading zero": BYTES.replace(b'"ratio":1', b'"ratio":01'),
    "an escape that is none": BYTES.replace(b'"s0"', b'"\\u0073\\u0030"'),
    "another order of keys": BYTES.replace(b'"code":"A","ratio":1', b'"ratio":1,"code":"A"'),
    "a key that is missing": BYTES.replace(b',"trial":"TEST-1"', b""),
    "a key twice": BYTES.replace(b'"list":1,', b'"list":1,"list":1,'),
    "half a document": BYTES[:-20],
    "something behind it": BYTES + b"x",
    "a zero byte": BYTES.replace(b"s0", b"s\x00"),
    "true for a number": BYTES.replace(b'"ratio":1', b'"ratio":true'),
}
# bash reads bytes, not characters; the other three know UTF-8.
NOT_UTF8 = {
    "a stray byte": BYTES.replace(b"s0", b"s\xff"),
    "a lone surrogate": BYTES.replace(b"s0", b"s\xed\xa0\x80"),
}
NOT_NFC = {"a code that is not in NFC": BYTES.replace(b"s0", "a\u0308".encode())}
READS = {"r": NOT_UTF8, "python": NOT_UTF8 | NOT_NFC, "javascript": NOT_UTF8 | NOT_NFC, "shell": {}}


def try_to_run(language: Language, folder: Path, design: bytes, seed: str = SEED) -> Run:
    return run_program(language, *write_secret(folder, design, seed))


def is_refusal(done: Run) -> bool:
    """Tell whether a program refused, said why, and wrote nothing of a list."""
    return done.returncode == 1 and done.stdout == b"" and done.stderr != b""


def test_the_unbroken_document_is_taken(language: Language, tmp_path: Path) -> None:
    assert try_to_run(language, tmp_path, BYTES).returncode == 0


def test_another_algorithm_is_refused_by_its_name(language: Language, tmp_path: Path) -> None:
    for alg in ("rac-gen/2", "rac-gen/10", ""):
        done = try_to_run(language, tmp_path, canon(GOOD | {"alg": alg}))
        assert is_refusal(done)
        assert b"alg is not rac-gen/1" in done.stderr


def test_a_document_that_breaks_a_rule_is_refused(language: Language, tmp_path: Path) -> None:
    bad = {name: canon(GOOD | changed) for name, changed in BAD_VALUES.items()}
    bad |= BAD_BYTES | READS[language.name]
    for name, data in bad.items():
        with pytest.raises(RefusalError):
            Design.from_bytes(data)
        (tmp_path / name).mkdir()

    with ThreadPoolExecutor(PROCESSES) as pool:
        done = pool.map(lambda name: try_to_run(language, tmp_path / name, bad[name]), bad)

    taken = [name for name, run in zip(bad, done, strict=True) if not is_refusal(run)]
    assert taken == []


@pytest.mark.parametrize(
    "seed", ["", SEED[1:], f"{SEED}0", SEED.upper(), f"{SEED[:-1]}g", "0" * 64, f"{SEED}\n{SEED}"]
)
def test_a_seed_that_is_none_is_refused_without_being_repeated(
    language: Language, tmp_path: Path, seed: str
) -> None:
    done = try_to_run(language, tmp_path, BYTES, seed)

    assert is_refusal(done)
    assert b"the seed is" in done.stderr
    assert not seed or seed.encode() not in done.stderr


def test_half_a_pair_is_refused(language: Language, tmp_path: Path) -> None:
    design, seed = write_secret(tmp_path, BYTES, SEED)

    for paths in ((), (design,), (design, seed, design)):
        done = run_program(language, *paths)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"give DESIGN and SEED" in done.stderr


def test_a_file_that_is_not_there_is_refused(language: Language, tmp_path: Path) -> None:
    design, seed = write_secret(tmp_path, BYTES, SEED)

    for paths in ((tmp_path / "none", seed), (design, tmp_path / "none")):
        done = run_program(language, *paths)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"none" in done.stderr
