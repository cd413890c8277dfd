"""`alloc log bundle`, `policy` and `verify --bundle`, and the verifier that stands alone."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from alloc_service.log.bundle_archive import read_members
from alloc_service.log.note import Verifier
from tests.support.shell import ANSWERS, CONSENT, FACTS, TRIAL, House, Shell


@pytest.fixture
def allocated(active: House, shell: Shell) -> House:
    given = ["--participant", "P-001", "--consent-time", CONSENT, "--consent-version", "1"]
    given += [part for code, text in FACTS.items() for part in ("--fact", f"{code}={text}")]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    assert shell("enrol", TRIAL, *given, by="doc").code == 0
    assert shell("allocate", TRIAL, "P-001", by="doc").code == 0
    Path("trial.policy").write_text(shell("log", "policy", TRIAL).out)
    return active


def verified_alone(bundle: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the verifier of a bundle by itself, without site packages, in an empty place."""
    program = folder / "verify_bundle.py"
    program.write_bytes(read_members(Path(bundle).read_bytes())["verify_bundle.py"])
    return subprocess.run(
        [
            sys.executable, "-I", "-S", str(program), str(Path(bundle).absolute()),
            "--policy", str(Path("trial.policy").absolute()),
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.usefixtures("allocated")
def test_a_blinded_bundle_verifies_with_the_program_and_with_python_alone(
    shell: Shell, tmp_path: Path
) -> None:
    outcome = shell("log", "bundle", TRIAL, "--out", "evidence.zip", by="dmc")

    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "evidence.zip"
    assert stat.S_IMODE(Path("evidence.zip").stat().st_mode) == 0o600
    ours = shell("log", "verify", "--bundle", "evidence.zip", "--policy", "trial.policy", "--json")
    told = json.loads(ours.out)
    assert (ours.code, told["ok"], told["build"]) == (0, True, "blinded")
    alone = verified_alone("evidence.zip", tmp_path)
    assert (alone.returncode, alone.stderr) == (0, "")
    for sentence in (*told["checked"], *told["unchecked"]):
        assert sentence in alone.stdout
    shown = shell("log", "verify", "--bundle", "evidence.zip", "--policy", "trial.policy")
    assert "its leaves lead to the logged root" in shown.out


@pytest.mark.usefixtures("allocated")
def test_a_changed_bundle_is_refused_by_both(shell: Shell, tmp_path: Path) -> None:
    assert shell("log", "bundle", TRIAL, "--out", "evidence.zip", by="dmc").code == 0
    data = bytearray(Path("evidence.zip").read_bytes())
    data[data.index(b"grant.added")] ^= 1
    verifier = verified_alone("evidence.zip", tmp_path)
    assert verifier.returncode == 0
    Path("evidence.zip").write_bytes(data)

    ours = shell("log", "verify", "--bundle", "evidence.zip", "--policy", "trial.policy")
    program = tmp_path / "verify_bundle.py"
    alone = subprocess.run(
        [sys.executable, "-I", "-S", str(program), "evidence.zip", "--policy", "trial.policy"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ours.code, alone.returncode) == (1, 1)
    assert "[bad-bundle]" in ours.err
    assert "audit/entries.ndjson: its bytes are not those of its CRC-32" in ours.err
    assert "audit/entries.ndjson: its bytes are not those of its CRC-32" in alone.stdout


def test_after_the_end_the_committee_bundles_the_opened_escrow(
    allocated: House, shell: Shell
) -> None:
    keys = allocated.write_escrow(Path())
    given = ["--unblinded", "--escrow", "seed.archive+dmc.age"]
    given += ["--identity", str(keys["archive"]), "--identity", str(keys["dmc"])]
    early = shell("log", "bundle", TRIAL, "--out", "early.zip", *given, by="dmc")
    closed = shell("trial", "close", TRIAL, "--code", "end", "--reason", "all seen", by="manager")
    assert closed.code == 0

    outcome = shell("log", "bundle", TRIAL, "--out", "evidence.zip", *given, by="dmc")

    assert "shows what was allocated" in outcome.err
    assert (early.code, "[seed-too-early]" in early.err) == (1, True)
    assert not Path("early.zip").exists()
    assert outcome.code == 0
    shown = shell("log", "verify", "--bundle", "evidence.zip", "--policy", "trial.policy", "--json")
    assert "List 1: design and seed give the very list that was sealed." in shown.out


@pytest.mark.usefixtures("allocated")
def test_a_bundle_overwrites_nothing_and_logs_nothing_then(shell: Shell) -> None:
    Path("evidence.zip").write_text("another one")

    outcome = shell("log", "bundle", TRIAL, "--out", "evidence.zip", by="dmc")

    assert (outcome.code, "[output-file]" in outcome.err) == (1, True)
    assert "log.exported" not in shell("log", "show", TRIAL, "--json", by="dmc").out


@pytest.mark.usefixtures("allocated")
def test_who_may_not_gets_none(shell: Shell) -> None:
    blinded = shell("log", "bundle", TRIAL, "--out", "a.zip", by="manager")
    unblinded = shell("log", "bundle", TRIAL, "--out", "a.zip", "--unblinded", by="ada")

    assert "[not-allowed]" in blinded.err
    assert "[not-allowed]" in unblinded.err
    assert not Path("a.zip").exists()


@pytest.mark.usefixtures("allocated")
@pytest.mark.parametrize(
    "given",
    [
        ("verify", "--bundle", "evidence.zip"),
        ("verify", "--policy", "trial.policy"),
        ("verify", TRIAL, "--bundle", "evidence.zip", "--policy", "trial.policy"),
        ("verify", "--bundle", "e.zip", "--policy", "trial.policy", "--key", "k"),
        ("bundle", TRIAL, "--out", "a.zip", "--escrow", "seed.age"),
    ],
)
def test_options_that_do_not_belong_together_are_wrong_use(
    shell: Shell, given: tuple[str, ...]
) -> None:
    assert shell("log", *given).code == 2


@pytest.mark.usefixtures("allocated")
def test_a_policy_of_another_log_is_refused(shell: Shell) -> None:
    assert shell("log", "bundle", TRIAL, "--out", "evidence.zip", by="dmc").code == 0
    other = Verifier("rac.example.org/OTHER/audit", bytes(32)).vkey
    Path("other.policy").write_text(f"log {other}\nquorum none\n")

    outcome = shell("log", "verify", "--bundle", "evidence.zip", "--policy", "other.policy")

    assert (outcome.code, "[bad-policy]" in outcome.err) == (1, True)
    assert "it knows the log rac.example.org/OTHER/audit" in outcome.err
