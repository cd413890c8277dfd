"""`alloc list` and `alloc design` with a database: generate, approve, activate, check, reseal."""

import hashlib
import json
import sqlite3
import stat
from pathlib import Path

import pytest

from alloc_service.cli import files
from alloc_service.core.design import Design
from alloc_service.errors import OutputFileError
from alloc_service.sealing.age import make_identity
from alloc_service.sealing.escrow import open_escrow
from tests.support.shell import (
    TRIAL,
    Golden,
    House,
    Outcome,
    Shell,
)

SEED = hashlib.sha256(b"a seed that somebody chose").hexdigest()


Keys = dict[str, tuple[str, str]]  # identity and recipient of each custodian


@pytest.fixture
def trial_file(shell: Shell, tmp_path: Path) -> Path:
    path = tmp_path / "trial.toml"
    path.write_text(shell("trial", "example").out, "utf-8")
    return path


@pytest.fixture
def keys() -> Keys:
    return {name: make_identity() for name in ("archive", "dmc", "statistician")}


def custodians(keys: Keys) -> list[str]:
    return [
        part
        for name, (_, recipient) in keys.items()
        for part in ("--custodian", f"{name}={recipient}")
    ]


def generate(shell: Shell, trial_file: Path, keys: Keys, *more: object) -> Outcome:
    return shell(
        "list", "generate", "--design-from", trial_file, "--test", "--escrow-dir", "escrow",
        *custodians(keys), *more, by="stat",
    )  # fmt: skip


def types_of(house: House) -> list[str]:
    """Return the types of the log's entries, from the database's own bytes."""
    database = sqlite3.connect(house.home / "var" / "alloc.db")
    rows = database.execute("SELECT data FROM log_entry ORDER BY seq").fetchall()
    database.close()
    return [json.loads(data)["type"] for (data,) in rows]


def test_a_list_is_generated_sealed_and_put_in_escrow(
    staffed: House, shell: Shell, trial_file: Path, keys: Keys, golden: Golden
) -> None:
    outcome = generate(shell, trial_file, keys)

    assert outcome.code == 0
    golden("list-generate", outcome.out)
    files = sorted(Path("escrow").iterdir())
    assert [path.name for path in files] == [
        "seed.archive+dmc.age", "seed.archive+statistician.age", "seed.dmc+statistician.age",
    ]  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(Path("escrow").stat().st_mode) == 0o700
    assert types_of(staffed)[-2:] == ["design.frozen", "list.sealed"]


@pytest.mark.usefixtures("staffed")
def test_its_root_is_what_the_escrow_gives_again(
    shell: Shell, trial_file: Path, keys: Keys
) -> None:
    made = json.loads(generate(shell, trial_file, keys, "--json").out)
    for name, (identity, _) in keys.items():
        Path(f"{name}.key").write_text(identity)

    outcome = shell(
        "list", "regenerate", "--escrow", "escrow/seed.archive+dmc.age",
        "--identity", "dmc.key", "--identity", "archive.key", "--root", made["root"],
    )  # fmt: skip

    assert outcome.code == 0
    assert f"root {made['root']}\n" in outcome.err
    assert "The roots are equal" in outcome.err


@pytest.mark.usefixtures("staffed")
def test_a_typed_seed_is_taken_for_a_test_trial(shell: Shell, trial_file: Path, keys: Keys) -> None:
    Path("seed.txt").write_text(f"{SEED}\n")

    outcome = generate(shell, trial_file, keys, "--seed-file", "seed.txt")

    assert outcome.code == 0
    data = Path("escrow/seed.archive+dmc.age").read_bytes()
    kept = open_escrow(data, keys["archive"][0], keys["dmc"][0])
    assert kept.seed.digits == SEED


@pytest.mark.parametrize("seed", ["0" * 64, "f" * 64, "ABC", SEED.upper(), SEED[:-1], ""])
def test_a_seed_that_is_none_is_refused(
    staffed: House, shell: Shell, trial_file: Path, keys: Keys, seed: str
) -> None:
    Path("seed.txt").write_text(f"{seed}\n")

    outcome = generate(shell, trial_file, keys, "--seed-file", "seed.txt")

    assert outcome.code == 1
    assert "[bad-seed]" in outcome.err
    assert not seed or seed not in outcome.err
    assert "design.frozen" not in types_of(staffed)


@pytest.mark.usefixtures("staffed")
def test_a_typed_seed_is_refused_for_a_trial_that_is_no_test(
    shell: Shell, trial_file: Path, keys: Keys
) -> None:
    Path("seed.txt").write_text(SEED)

    outcome = shell(
        "list", "generate", "--design-from", trial_file, "--escrow-dir", "escrow",
        *custodians(keys), "--seed-file", "seed.txt", by="stat",
    )  # fmt: skip

    assert outcome.code == 1
    assert "[typed-seed]" in outcome.err
    assert SEED not in outcome.err


@pytest.mark.usefixtures("staffed")
def test_only_a_statistician_generates(shell: Shell, trial_file: Path, keys: Keys) -> None:
    outcome = shell(
        "list", "generate", "--design-from", trial_file, "--test", "--escrow-dir", "escrow",
        *custodians(keys), by="second",
    )  # fmt: skip

    assert outcome.code == 1
    assert "[not-allowed]" in outcome.err
    assert list(Path("escrow").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["--custodian", "dmc"], 2),
        (["--custodian", "dmc=age1x", "--custodian", "dmc=age1x"], 2),
        (["--custodian", "dmc=age1x"], 1),
        (["--custodian", "a=age1x", "--custodian", "b=age1x", "--custodian", "c=age1x"], 1),
        ([], 2),
    ],
)
@pytest.mark.usefixtures("staffed")
def test_custodians_are_three_with_a_key_each(
    shell: Shell, trial_file: Path, given: list[str], code: int
) -> None:
    outcome = shell(
        "list", "generate", "--design-from", trial_file, "--test", "--escrow-dir", "escrow",
        *given, by="stat",
    )  # fmt: skip

    assert outcome.code == code
    assert "Traceback" not in outcome.err


def test_escrow_files_in_the_way_are_told_before_anything_is_made(
    staffed: House, shell: Shell, trial_file: Path, keys: Keys
) -> None:
    Path("escrow").mkdir()
    Path("escrow/seed.archive+dmc.age").write_text("another list's")

    outcome = generate(shell, trial_file, keys)

    assert outcome.code == 1
    assert "[output-file]" in outcome.err
    assert Path("escrow/seed.archive+dmc.age").read_text() == "another list's"
    assert "list.sealed" not in types_of(staffed)


def test_an_escrow_that_cannot_be_written_can_be_downloaded_again(
    staffed: House, shell: Shell, trial_file: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, data: bytes) -> None:
        del data
        raise OutputFileError(path=path, reason="no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_file", fail)
        outcome = generate(shell, trial_file, keys)

    assert outcome.code == 1
    assert "The list is sealed and logged" in outcome.err
    assert "list.sealed" in types_of(staffed)
    assert shell("list", "escrow", TRIAL, 1, "--out", "again", by="dmc").code == 0


def test_a_second_statistician_approves_with_the_root(sealed: House, shell: Shell) -> None:
    outcome = shell("list", "approve", TRIAL, 1, "--root", sealed.root.upper(), by="second")

    assert outcome.code == 0
    assert f"List 1 of {TRIAL} is approved" in outcome.out


def test_a_wrong_root_approves_nothing(sealed: House, shell: Shell) -> None:
    outcome = shell("list", "approve", TRIAL, 1, "--root", "0" * 64, by="second")

    assert outcome.code == 1
    assert "[root-mismatch]" in outcome.err
    assert "list.approved" not in types_of(sealed)


@pytest.mark.parametrize("given", [[], ["--root", "0" * 64, "--root-not-checked"], ["--root", "x"]])
@pytest.mark.usefixtures("sealed")
def test_an_approval_says_whether_the_root_was_checked(shell: Shell, given: list[str]) -> None:
    assert shell("list", "approve", TRIAL, 1, *given, by="second").code == 2


@pytest.mark.usefixtures("sealed")
def test_an_approval_without_a_regeneration_says_so_in_the_log(shell: Shell) -> None:
    assert shell("list", "approve", TRIAL, 1, "--root-not-checked", by="second").code == 0
    log = shell("log", "show", TRIAL, "--last", 1, by="dmc").out
    assert "approved list 1 (root regenerated and compared: no)" in log


def test_nobody_approves_their_own_list(sealed: House, shell: Shell) -> None:
    outcome = shell("list", "approve", TRIAL, 1, "--root", sealed.root, by="stat")

    assert outcome.code == 1
    assert "[log-rule]" in outcome.err


def test_a_list_is_activated_after_its_approval_and_not_before(sealed: House, shell: Shell) -> None:
    early = shell("list", "activate", TRIAL, 1, by="manager")
    shell("list", "approve", TRIAL, 1, "--root", sealed.root, by="second")
    outcome = shell("list", "activate", TRIAL, 1, by="manager")

    assert early.code == 1
    assert outcome.code == 0
    assert f"List 1 of {TRIAL} is active" in outcome.out


def test_the_escrow_is_downloaded_by_oversight_as_it_was(sealed: House, shell: Shell) -> None:
    outcome = shell("list", "escrow", TRIAL, 1, "--out", "kept", by="dmc")

    assert outcome.code == 0
    assert outcome.out.splitlines() == [f"kept/{name}" for name in sorted(sealed.escrow)]
    for name, data in sealed.escrow.items():
        assert (Path("kept") / name).read_bytes() == data
    assert "[not-allowed]" in shell("list", "escrow", TRIAL, 1, "--out", "no", by="doc").err
    assert "[not-found]" in shell("list", "escrow", TRIAL, 2, "--out", "no", by="dmc").err


@pytest.mark.usefixtures("active")
def test_a_stored_list_is_verified_against_the_log(shell: Shell, golden: Golden) -> None:
    outcome = shell("list", "verify", TRIAL, 1, by="second")

    assert outcome.code == 0
    golden("list-verify", outcome.out)
    report = json.loads(shell("list", "verify", TRIAL, 1, "--json", by="second").out)
    assert report["ok"] is True
    assert "[not-allowed]" in shell("list", "verify", TRIAL, 1, by="doc").err


def test_a_changed_root_fails_the_check_that_names_it(active: House, shell: Shell) -> None:
    database = sqlite3.connect(active.home / "var" / "alloc.db")
    database.execute("UPDATE randomization_list SET root = ?", ("0" * 64,))
    database.commit()
    database.close()

    outcome = shell("list", "verify", TRIAL, 1, by="second")

    assert outcome.code == 1
    assert "  FAILED  logged" in outcome.out
    assert "  ok      root" in outcome.out


def test_the_design_is_shown_to_a_statistician_and_logged(
    active: House, shell: Shell, golden: Golden
) -> None:
    outcome = shell("design", "show", TRIAL, 1, "--out", "design.json", by="second")

    assert outcome.code == 0
    golden("design-show", outcome.out)
    assert types_of(active)[-1] == "design.read"
    design = Design.from_bytes(Path("design.json").read_bytes())
    assert design.trial == TRIAL
    assert stat.S_IMODE(Path("design.json").stat().st_mode) == 0o600


@pytest.mark.usefixtures("active")
def test_the_design_as_json_holds_the_document_and_its_figures(shell: Shell) -> None:
    shown = json.loads(shell("design", "show", TRIAL, 1, "--json", by="stat").out)

    assert shown["design"]["blocks"] == [{"size": 4, "weight": 1}, {"size": 6, "weight": 1}]
    assert shown["figures"]["guess_rate"].startswith("0.69")


@pytest.mark.usefixtures("active")
def test_the_design_is_shown_to_nobody_else(shell: Shell) -> None:
    for user in ("doc", "manager", "dmc", "ada"):
        outcome = shell("design", "show", TRIAL, 1, by=user)
        assert outcome.code == 1
        assert "[not-allowed]" in outcome.err
        assert "weight" not in outcome.out + outcome.err


def test_a_taken_file_is_told_before_the_design_is_read(active: House, shell: Shell) -> None:
    Path("design.json").write_text("something else")

    outcome = shell("design", "show", TRIAL, 1, "--out", "design.json", by="second")

    assert outcome.code == 1
    assert "[output-file]" in outcome.err
    assert types_of(active)[-1] != "design.read"


def test_a_regeneration_is_compared_with_the_database_and_logged(
    active: House, shell: Shell
) -> None:
    identities = active.write_escrow(Path("kept"))

    outcome = shell(
        "list", "regenerate", "--escrow", "kept/seed.dmc+statistician.age",
        "--identity", identities["dmc"], "--identity", identities["statistician"],
        "--trial", TRIAL, "--root-only", by="second",
    )  # fmt: skip

    assert outcome.code == 0
    assert outcome.out == ""
    assert "The roots are equal" in outcome.err
    assert types_of(active)[-1] == "list.regenerated"


def test_another_list_than_the_sealed_one_is_1_and_logged_too(active: House, shell: Shell) -> None:
    Path("seed.txt").write_text(SEED)
    shell("design", "show", TRIAL, 1, "--out", "design.json", by="second")

    outcome = shell(
        "list", "regenerate", "--design", "design.json", "--seed-file", "seed.txt",
        "--trial", TRIAL, "--root-only", by="second",
    )  # fmt: skip

    assert outcome.code == 1
    assert "[root-differs]" in outcome.err
    assert "(root equal: no)" in shell("log", "show", TRIAL, "--last", 1, by="dmc").out
    assert types_of(active)[-1] == "list.regenerated"


def test_a_regeneration_of_one_trial_is_not_compared_with_another(
    active: House, shell: Shell
) -> None:
    identities = active.write_escrow(Path("kept"))

    outcome = shell(
        "list", "regenerate", "--escrow", "kept/seed.dmc+statistician.age",
        "--identity", identities["dmc"], "--identity", identities["statistician"],
        "--trial", "NCT01728727", "--root-only", by="second",
    )  # fmt: skip

    assert outcome.code == 2


def test_a_list_is_sealed_anew_from_its_escrow(active: House, shell: Shell) -> None:
    identities = active.write_escrow(Path("kept"))

    outcome = shell(
        "list", "reseal", "--escrow", "kept/seed.archive+statistician.age",
        "--identity", identities["statistician"], "--identity", identities["archive"], by="stat",
    )  # fmt: skip

    assert outcome.code == 0
    assert "is sealed anew" in outcome.out
    assert shell("list", "verify", TRIAL, 1, by="second").code == 0
    assert types_of(active)[-1] == "list.resealed"


def test_another_design_seals_nothing_anew(active: House, shell: Shell) -> None:
    Path("seed.txt").write_text(SEED)
    shell("design", "show", TRIAL, 1, "--out", "design.json", by="second")

    outcome = shell(
        "list", "reseal", "--design", "design.json", "--seed-file", "seed.txt", by="stat"
    )

    assert outcome.code == 1
    assert "[root-mismatch]" in outcome.err
    assert "list.resealed" not in types_of(active)
