"""`alloc list` on a laptop without database and keys: generate, regenerate, check a file."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from alloc_service.core.design import Design
from alloc_service.core.generate import generate
from alloc_service.core.listfile import csv_lines
from alloc_service.core.seed import Seed
from alloc_service.sealing.age import make_identity
from alloc_service.sealing.package import read_package
from alloc_service.services.installation import service_status
from alloc_service.trial.definition import as_test, shipped_definition
from tests.support.shell import (
    HOST,
    TRIAL,
    House,
    Shell,
    command_line,
    process_environ,
)

SEED = hashlib.sha256(b"another seed").hexdigest()
ORIGIN = f"{HOST}/{TRIAL}/audit"


@pytest.fixture
def secret(shell: Shell) -> Design:
    """Write design.json and seed.txt to the working folder."""
    del shell  # it is what makes the folder
    design = as_test(shipped_definition()).design()
    Path("design.json").write_bytes(design.to_bytes())
    Path("seed.txt").write_text(f"{SEED}\n")
    return design


@pytest.fixture
def custodians() -> list[str]:
    return [
        part
        for name in ("archive", "dmc", "statistician")
        for part in ("--custodian", f"{name}={make_identity()[1]}")
    ]


def write_trial(shell: Shell) -> None:
    Path("trial.toml").write_text(shell("trial", "example").out, "utf-8")


BOTH = ("--design", "design.json", "--seed-file", "seed.txt")


def test_the_list_goes_to_standard_output_and_its_root_to_standard_error(
    secret: Design, shell: Shell
) -> None:
    outcome = shell("list", "regenerate", *BOTH)
    generated = generate(secret, Seed(SEED))

    assert outcome.code == 0
    assert outcome.out == "".join(csv_lines(generated))
    assert outcome.out.startswith("stratum,slot,arm,")
    assert f"\nroot {generated.root}\n" in outcome.err


def test_it_needs_no_environment_at_all(secret: Design) -> None:
    generated = generate(secret, Seed(SEED))

    done = subprocess.run(
        command_line(["list", "regenerate", *BOTH, "--root", generated.root]),
        env=process_environ({}), capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0
    assert done.stdout == "".join(csv_lines(generated)).encode()


@pytest.mark.usefixtures("secret")
def test_another_root_is_1_and_the_list_is_written_all_the_same(shell: Shell) -> None:
    outcome = shell("list", "regenerate", *BOTH, "--root", "0" * 64)

    assert outcome.code == 1
    assert "[root-differs]" in outcome.err
    assert outcome.out.startswith("stratum,slot,arm,")


@pytest.mark.usefixtures("secret")
def test_the_root_alone_can_be_asked_for(shell: Shell) -> None:
    outcome = shell("list", "regenerate", *BOTH, "--root-only")

    assert outcome.code == 0
    assert outcome.out == ""
    assert "root " in outcome.err


def test_an_editor_may_have_ended_the_design_with_a_line_end(secret: Design, shell: Shell) -> None:
    Path("design.json").write_bytes(secret.to_bytes() + b"\n")

    assert shell("list", "regenerate", *BOTH, "--root-only").code == 0


@pytest.mark.usefixtures("secret")
def test_redcap_reads_the_other_format_and_its_codes_are_told(shell: Shell) -> None:
    outcome = shell(
        "list", "regenerate", *BOTH, "--format", "redcap", "--redcap-key", "codes.csv",
        "--redcap-name", "cp=cp_band",
    )  # fmt: skip

    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == (
        "redcap_randomization_group,redcap_randomization_number,cp_band,meld"
    )
    assert len(outcome.out.splitlines()) == 961
    assert "redcap_randomization_group,1,CONV" in Path("codes.csv").read_text()


@pytest.mark.usefixtures("secret")
def test_redcap_needs_no_file_for_its_codes(shell: Shell) -> None:
    outcome = shell("list", "regenerate", *BOTH, "--format", "redcap")

    assert outcome.code == 0
    assert outcome.out.startswith("redcap_")


@pytest.mark.parametrize(
    "given",
    [
        ["--redcap-key", "codes.csv"],
        ["--redcap-name", "cp=cp_band"],
        ["--format", "redcap", "--redcap-name", "cp"],
        ["--format", "xml"],
        ["--root", "19f885a6"],
        ["--identity", "a.key"],
        ["--escrow", "e.age"],
    ],
)
@pytest.mark.usefixtures("secret")
def test_options_that_do_not_go_together_are_wrong_use(shell: Shell, given: list[str]) -> None:
    assert shell("list", "regenerate", *BOTH, *given).code == 2


@pytest.mark.parametrize(
    "given",
    [[], ["--design", "design.json"], ["--seed-file", "seed.txt"], ["--escrow", "e.age"]],
)
@pytest.mark.usefixtures("secret")
def test_half_of_a_secret_is_wrong_use(shell: Shell, given: list[str]) -> None:
    outcome = shell("list", "regenerate", *given)

    assert outcome.code == 2
    assert "Give --design and --seed-file" in outcome.err


@pytest.mark.usefixtures("secret")
def test_a_taken_file_for_the_codes_is_told_before_anything_is_written(shell: Shell) -> None:
    Path("codes.csv").write_text("something else")

    outcome = shell("list", "regenerate", *BOTH, "--format", "redcap", "--redcap-key", "codes.csv")

    assert outcome.code == 1
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("seed.txt", b"", "bad-seed"),
        ("seed.txt", b"0" * 64, "bad-seed"),
        ("seed.txt", b"\xff", "input-file"),
        ("seed.txt", b"a" * 5_000, "input-file"),
        ("seed.txt", None, "input-file"),
        ("design.json", b"{}", "bad-design"),
        ("design.json", b"not json", "not-canonical"),
        ("design.json", None, "input-file"),
    ],
)
@pytest.mark.usefixtures("secret")
def test_files_that_are_no_secret_are_refused(
    shell: Shell, name: str, content: bytes | None, code: str
) -> None:
    Path(name).unlink()
    if content is not None:
        Path(name).write_bytes(content)

    outcome = shell("list", "regenerate", *BOTH)

    assert outcome.code == 1
    assert f"[{code}]" in outcome.err
    assert outcome.out == ""


def test_the_escrow_opens_for_its_two_custodians_in_either_order(
    sealed: House, shell: Shell
) -> None:
    keys = sealed.write_escrow(Path("kept"))
    file = "kept/seed.archive+dmc.age"

    for first, second in (("archive", "dmc"), ("dmc", "archive")):
        outcome = shell(
            "list", "regenerate", "--escrow", file, "--identity", keys[first],
            "--identity", keys[second], "--root", sealed.root, "--root-only",
        )  # fmt: skip
        assert outcome.code == 0


def test_the_escrow_opens_for_nobody_else(sealed: House, shell: Shell) -> None:
    keys = sealed.write_escrow(Path("kept"))

    outcome = shell(
        "list", "regenerate", "--escrow", "kept/seed.archive+dmc.age",
        "--identity", keys["archive"], "--identity", keys["statistician"],
    )  # fmt: skip

    assert outcome.code == 1
    assert "[bad-escrow]" in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("first", "second", "layer"),
    [
        ("archive", "statistician", "inner layer, for the custodian named second"),
        ("statistician", "archive", "inner layer, for the custodian named second"),
        ("dmc", "statistician", "outer layer, for the custodian named first"),
        ("statistician", "dmc", "outer layer, for the custodian named first"),
    ],
)
def test_whose_identity_does_not_open_the_escrow_is_told_in_either_order(
    sealed: House, shell: Shell, first: str, second: str, layer: str
) -> None:
    keys = sealed.write_escrow(Path("kept"))

    outcome = shell(
        "list", "regenerate", "--escrow", "kept/seed.archive+dmc.age",
        "--identity", keys[first], "--identity", keys[second],
    )  # fmt: skip

    assert outcome.code == 1
    assert layer in outcome.err


@pytest.mark.usefixtures("secret")
def test_a_list_file_is_checked_byte_for_byte(shell: Shell) -> None:
    Path("list.csv").write_text(shell("list", "regenerate", *BOTH).out)

    good = shell("list", "verify", "--csv", "list.csv", *BOTH)
    changed = Path("list.csv").read_text().replace(",CONV,", ",MSC,", 1)
    Path("list.csv").write_text(changed)
    bad = shell("list", "verify", "--csv", "list.csv", *BOTH)
    missing = shell("list", "verify", "--csv", "other.csv", *BOTH)

    assert good.code == 0
    assert "is, byte for byte, the list" in good.out
    assert bad.code == 1
    assert "[bad-list-file]" in bad.err
    assert "CONV" not in bad.err
    assert missing.code == 1


@pytest.mark.parametrize(
    "given",
    [
        [],
        [TRIAL],
        [TRIAL, "1", "--csv", "list.csv"],
        [TRIAL, "1", "--seed-file", "seed.txt"],
        ["--csv", "list.csv"],
    ],
)
def test_a_check_is_of_a_stored_list_or_of_a_file(shell: Shell, given: list[str]) -> None:
    assert shell("list", "verify", *given).code == 2


def test_a_package_is_made_offline_and_imported(
    staffed: House, shell: Shell, custodians: list[str]
) -> None:
    write_trial(shell)
    with staffed.opened() as deps:
        status = service_status(deps)
    outcome = shell(
        "list", "generate", "--offline", "--design-from", "trial.toml", "--test",
        "--escrow-dir", "escrow", *custodians, "--out", "list-1.package",
        "--origin", status.trials[0].origin, "--sealing-key", status.sealing_key,
    )  # fmt: skip

    assert outcome.code == 0
    assert "sealed in list-1.package" in outcome.out
    sealed = read_package(Path("list-1.package"))
    assert sealed.origin == ORIGIN
    assert len(list(Path("escrow").iterdir())) == 3
    imported = shell("list", "import", "list-1.package", by="stat")
    assert imported.code == 0
    assert sealed.root in imported.out
    assert shell("list", "approve", TRIAL, 1, "--root", sealed.root, by="second").code == 0
    assert shell("list", "activate", TRIAL, 1, by="manager").code == 0


@pytest.mark.usefixtures("staffed")
def test_a_package_of_another_key_is_refused(shell: Shell, custodians: list[str]) -> None:
    write_trial(shell)
    shell(
        "list", "generate", "--offline", "--design-from", "trial.toml", "--test",
        "--escrow-dir", "escrow", *custodians, "--out", "list-1.package",
        "--origin", ORIGIN, "--sealing-key", "09" + "0" * 62,
    )  # fmt: skip

    outcome = shell("list", "import", "list-1.package", by="stat")

    assert outcome.code == 1
    assert "[bad-sealed-list]" in outcome.err


@pytest.mark.usefixtures("staffed")
def test_a_file_that_is_no_package_is_refused(shell: Shell) -> None:
    Path("other").write_text("no package")

    for path in ("other", "missing"):
        outcome = shell("list", "import", path, by="stat")
        assert outcome.code == 1
        assert "Refused: " in outcome.err


def test_an_offline_test_list_may_have_a_typed_seed(shell: Shell, custodians: list[str]) -> None:
    write_trial(shell)
    Path("seed.txt").write_text(SEED)
    common = (
        "list", "generate", "--offline", "--design-from", "trial.toml", *custodians,
        "--sealing-key", "09" + "0" * 62, "--seed-file", "seed.txt",
    )  # fmt: skip
    one = ("--test", "--origin", ORIGIN, "--out", "one.package", "--escrow-dir", "one")
    two = ("--origin", f"{HOST}/NCT01728727/audit", "--out", "two.package", "--escrow-dir", "two")

    test = shell(*common, *one, "--json")
    real = shell(*common, *two)

    assert test.code == 0
    assert '"package":"one.package"' in test.out
    assert real.code == 1
    assert "[typed-seed]" in real.err
    assert not Path("two.package").exists()


@pytest.mark.parametrize(
    "given",
    [
        ["--offline"],
        ["--origin", ORIGIN],
        ["--offline", "--origin", ORIGIN, "--out", "p"],
        ["--offline", "--origin", ORIGIN, "--out", "p", "--sealing-key", "xyz"],
        ["--offline", "--origin", ORIGIN, "--out", "p", "--sealing-key", "00"],
    ],
)
def test_offline_takes_origin_key_and_package(
    shell: Shell, custodians: list[str], given: list[str]
) -> None:
    write_trial(shell)

    outcome = shell(
        "list", "generate", "--design-from", "trial.toml", "--escrow-dir", "escrow",
        *custodians, *given,
    )  # fmt: skip

    assert outcome.code == 2
    assert not Path("escrow").exists()


def test_a_taken_package_path_is_told_before_anything_is_made(
    shell: Shell, custodians: list[str]
) -> None:
    write_trial(shell)
    Path("p").write_text("something else")

    outcome = shell(
        "list", "generate", "--offline", "--design-from", "trial.toml", "--test",
        "--escrow-dir", "escrow", *custodians, "--out", "p",
        "--origin", ORIGIN, "--sealing-key", "09" + "0" * 62,
    )  # fmt: skip

    assert outcome.code == 1
    assert list(Path("escrow").iterdir()) == []
    assert Path("p").read_text() == "something else"


def test_a_folder_that_cannot_be_made_is_refused(shell: Shell, custodians: list[str]) -> None:
    write_trial(shell)
    Path("escrow").write_text("a file")

    outcome = shell(
        "list", "generate", "--offline", "--design-from", "trial.toml", "--test",
        "--escrow-dir", "escrow/inside", *custodians, "--out", "p",
        "--origin", ORIGIN, "--sealing-key", "09" + "0" * 62,
    )  # fmt: skip

    assert outcome.code == 1
    assert "[output-file]" in outcome.err
