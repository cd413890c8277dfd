"""`alloc list code`: a program with the design in it, which gives the list without us."""

import hashlib
import re
import sqlite3
import stat
from pathlib import Path

import pytest

from alloc_service.cli.coding import TEMPLATES
from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.seed import Seed
from alloc_service.sealing.escrow import open_escrow
from tests.support.programs import FOLDER, LANGUAGES, Language, expected_output, run_program
from tests.support.shell import TRIAL, House, Shell, spawn

SEED = Seed(hashlib.sha256(b"a fixed seed for tests").hexdigest())
# Every code that a language could take for something of its own.
AWKWARD = Design(
    "TEST-A/b", 7, (Arm("A", 2), Arm("B", 1)), (BlockSize(3, 1), BlockSize(6, 2)),
    tuple(
        Stratum(code, 2)
        for code in (
            '"', "'", "\\", "\\'", "\\n", "\\u2265", "`date`", "$(date) $HOME", "%s & ; run;",
            "≥20", "😀 ä", "#{x} ${y}", "*/ -->", "''' \"\"\"", "&amp;", "\u2028", " blanks ",
        )
    ),
    hashlib.sha256(b"salt").hexdigest(),
)  # fmt: skip


@pytest.fixture(params=sorted(LANGUAGES))
def language(request: pytest.FixtureRequest) -> Language:
    return LANGUAGES[request.param]


def entries_of_reading(house: House) -> int:
    database = sqlite3.connect(house.home / "var" / "alloc.db")
    rows = database.execute("SELECT data FROM log_entry").fetchall()
    database.close()
    return sum(b'"type":"design.read"' in bytes(data) for (data,) in rows)


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_the_program_gives_the_list_of_any_design_with_the_seed_alone(
    shell: Shell, language: Language, locale: str
) -> None:
    Path("design.json").write_bytes(AWKWARD.to_bytes())
    Path("seed.txt").write_text(f"{SEED.digits}\n")
    program = Path("list-7.program")

    made = shell(
        "list", "code", "--design", "design.json", "--language", language.name, "--out", program
    )
    done = run_program(language, "seed.txt", program=program, locale=locale)

    assert made.code == 0
    assert done.stderr == b""
    assert done.stdout == expected_output(AWKWARD, SEED)


def test_a_statistician_gets_the_program_of_a_sealed_list_and_it_gives_its_root(
    sealed: House, shell: Shell, language: Language
) -> None:
    program = Path("list-1.program")

    outcome = shell(
        "list", "code", TRIAL, 1, "--language", language.name, "--out", program, by="second"
    )
    kept = open_escrow(
        sealed.escrow["seed.archive+dmc.age"],
        sealed.identities["archive"], sealed.identities["dmc"],
    )  # fmt: skip
    Path("seed.txt").write_text(kept.seed.digits)
    lines = run_program(language, "seed.txt", program=program).stdout.decode().splitlines()

    assert outcome.code == 0
    assert outcome.out == ""
    assert "Confidential" in outcome.err
    assert stat.S_IMODE(program.stat().st_mode) == 0o600
    assert entries_of_reading(sealed) == 1
    assert lines[-1] == f"root\t{sealed.root}"
    assert f"list 1 of {TRIAL}" in program.read_text("utf-8")
    assert kept.seed.digits not in program.read_text("utf-8")


def test_nobody_else_gets_it_and_nothing_is_written(sealed: House, shell: Shell) -> None:
    for user in ("doc", "manager", "dmc", "ada"):
        outcome = shell("list", "code", TRIAL, 1, "--language", "r", "--out", "list-1.R", by=user)
        assert outcome.code == 1
        assert "[not-allowed]" in outcome.err
        assert "DESIGN" not in outcome.out + outcome.err
    assert not Path("list-1.R").exists()
    assert entries_of_reading(sealed) == 0


def test_a_taken_file_is_told_before_the_design_is_read(sealed: House, shell: Shell) -> None:
    Path("list-1.R").write_text("something else")

    outcome = shell("list", "code", TRIAL, 1, "--language", "r", "--out", "list-1.R", by="second")

    assert outcome.code == 1
    assert "[output-file]" in outcome.err
    assert entries_of_reading(sealed) == 0


@pytest.mark.usefixtures("sealed")
def test_a_list_that_is_not_there_is_told(shell: Shell) -> None:
    outcome = shell("list", "code", TRIAL, 2, "--language", "r", by="second")

    assert outcome.code == 1
    assert "[not-found]" in outcome.err


def test_it_goes_to_standard_output_and_needs_no_environment(shell: Shell, tmp_path: Path) -> None:
    del shell  # it is what makes the folder
    Path("design.json").write_bytes(AWKWARD.to_bytes())

    done = spawn(["list", "code", "--design", "design.json", "--language", "shell"], {})
    Path("list-7.sh").write_bytes(done.stdout)
    seed = tmp_path / "seed.txt"
    seed.write_text(SEED.digits)

    assert done.returncode == 0
    assert b"Confidential" in done.stderr
    ran = run_program(LANGUAGES["shell"], seed, program=Path("list-7.sh"))
    assert ran.stdout == expected_output(AWKWARD, SEED)


def test_the_program_in_sas_holds_the_bytes_of_the_design(shell: Shell) -> None:
    Path("design.json").write_bytes(AWKWARD.to_bytes())

    outcome = shell("list", "code", "--design", "design.json", "--language", "sas")

    before, data, after = re.split("^datalines;\n|^;\n", outcome.out, flags=re.MULTILINE)
    assert bytes.fromhex(data) == AWKWARD.to_bytes()
    assert max(map(len, data.splitlines())) == 64
    assert "filename design temp;" in before
    assert "libname document json" in after
    assert "design.json" not in before.splitlines()[-8:]


@pytest.mark.parametrize(
    "given",
    [
        [],
        [TRIAL],
        [TRIAL, "1", "--design", "design.json"],
        [TRIAL, "--design", "design.json"],
    ],
)
def test_it_is_of_a_stored_list_or_of_a_design_file(shell: Shell, given: list[str]) -> None:
    outcome = shell("list", "code", *given, "--language", "r")

    assert outcome.code == 2
    assert "Give TRIAL and LIST, or --design FILE" in outcome.err


@pytest.mark.parametrize("given", [[], ["--language", "cobol"]])
def test_the_language_is_one_of_five(shell: Shell, given: list[str]) -> None:
    assert shell("list", "code", "--design", "design.json", *given).code == 2


@pytest.mark.parametrize("content", [b"{}", b"not JSON", None])
def test_a_design_that_is_none_is_refused(shell: Shell, content: bytes | None) -> None:
    if content is not None:
        Path("design.json").write_bytes(content)

    outcome = shell("list", "code", "--design", "design.json", "--language", "r")

    assert outcome.code == 1
    assert outcome.out == ""


def test_every_program_of_the_documents_can_be_had() -> None:
    assert {template.file for template in TEMPLATES.values()} == {
        path.name for path in FOLDER.glob("regenerate.*")
    }
