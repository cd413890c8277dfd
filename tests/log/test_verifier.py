"""The program: what it prints, its exit codes, and that wrong use is no verdict."""

import json
from pathlib import Path

import pytest

from alloc_service.core.merkle import leaf_hash
from alloc_service.log import verifier
from tests.support.alone import alone
from tests.support.bundles import small_evidence
from tests.support.receipts import ENTRY, full, list_root, receipt


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that holds a bundle, receipts and a policy."""
    monkeypatch.chdir(tmp_path)
    evidence = small_evidence()
    Path("good.zip").write_bytes(evidence.bundle(unblinded=True))
    Path("bad.zip").write_bytes(evidence.bundle()[:-1])
    Path("policy").write_text(evidence.policy)
    Path("full.receipt").write_text(full())
    Path("site.receipt").write_text(receipt())
    Path("no.policy").write_text("quorum none\n")


def run(capsys: pytest.CaptureFixture[str], *given: str) -> tuple[int, str]:
    """Run the program as package and as file; both print the same."""
    said = []
    for main in (verifier.main, alone().main):
        code = main(list(given))
        out = capsys.readouterr()
        said.append((code, out.out + out.err))
    assert said[0] == said[1]
    return said[0]


def test_a_good_bundle_is_told_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "good.zip", "--policy", "policy")

    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("rac.example.org/EXAMPLE-02/audit: 12 entries, root ")
    assert {line[:7].strip() for line in lines[1:-1]} == {"ok", "note", "--"}
    assert lines[-1].startswith("Everything that is here is good")


def test_a_good_bundle_is_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "good.zip", "--policy", "policy", "--json")
    told = json.loads(out)

    assert (code, told["ok"], told["build"], told["size"]) == (0, True, "unblinded", 12)
    assert told["unchecked"][0].startswith("No witness's key")


def test_a_bad_one_is_told_by_its_first_fault(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "bad.zip", "--policy", "policy")
    scripted = json.loads(run(capsys, "bad.zip", "--policy", "policy", "--json")[1])

    assert (code, out.count("\n")) == (1, 1)
    assert out.startswith("REFUSED  The bundle was refused: archive: its directory is not")
    assert scripted == {
        "code": "bad-bundle", "fault": out.removeprefix("REFUSED  ").strip(), "ok": False,
    }  # fmt: skip


def test_receipts_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    leaf = leaf_hash(ENTRY).hex()

    sealed = list_root()
    whole = ("--receipt", "full.receipt", "--policy", "policy")
    under = ("--root", sealed.root.hex(), "--slots", ",".join(map(str, sealed.slots)))
    assert run(capsys, *whole, *under)[0] == 0
    assert run(capsys, *whole)[0] == 1
    given = ("--receipt", "site.receipt", "--policy", "policy", "--leaf")
    assert run(capsys, *given, leaf)[0] == 0
    assert run(capsys, *given, leaf[::-1])[0] == 1
    assert run(capsys, *given[:-1])[0] == 1


def test_what_a_terminal_would_obey_is_written_as_its_escape(
    capsys: pytest.CaptureFixture[str],
) -> None:
    origin = receipt().partition("\n\n")[2].partition("\n")[0]
    Path("bad.receipt").write_text(receipt().replace(origin, "log\x9b31m\u202e"), "utf-8")

    code, out = run(capsys, "--receipt", "bad.receipt", "--policy", "policy")

    assert code == 1
    assert "not log\\x9b31m\\u202e" in out
    assert out.removesuffix("\n").isprintable()


def test_a_policy_is_read_as_its_bytes_stand(capsys: pytest.CaptureFixture[str]) -> None:
    Path("cr.policy").write_bytes(Path("policy").read_bytes().replace(b"\n", b"\r\n"))

    code, out = run(capsys, "good.zip", "--policy", "cr.policy")

    assert code == 1
    assert "line 1: it ends in CR LF, not in LF alone" in out


def test_a_policy_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "good.zip", "--policy", "no.policy")

    assert (code, "it names no log" in out) == (1, True)


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("good.zip",),
        ("--policy", "policy"),
        ("good.zip", "--policy", "nowhere"),
        ("nowhere.zip", "--policy", "policy"),
        ("good.zip", "--policy", "good.zip"),
        ("good.zip", "--receipt", "full.receipt", "--policy", "policy"),
        ("good.zip", "--leaf", "0" * 64, "--policy", "policy"),
        ("--receipt", "site.receipt", "--leaf", "x", "--policy", "policy"),
        ("--receipt", "site.receipt", "--root", "a" * 64, "--policy", "policy"),
        ("--receipt", "site.receipt", "--root", "x", "--slots", "6", "--policy", "policy"),
        ("--receipt", "site.receipt", "--root", "a" * 64, "--slots", "0", "--policy", "policy"),
        ("good.zip", "--root", "a" * 64, "--slots", "6", "--policy", "policy"),
        ("good.zip", "--policy", "policy", "--more"),
    ],
    ids=range(14),
)
def test_wrong_use_is_2_and_no_verdict(
    capsys: pytest.CaptureFixture[str], given: tuple[str, ...]
) -> None:
    code, out = run(capsys, *given)

    assert code == 2
    assert "usage: verify_bundle.py" in out
    assert "REFUSED" not in out


def test_help_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--help")

    assert (code, "Exit codes: 0" in out) == (0, True)


def test_a_file_beyond_all_measure_is_not_read_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (verifier, alone()):
        monkeypatch.setattr(module, "LARGEST", 100)

    code, out = run(capsys, "good.zip", "--policy", "policy")

    assert (code, "larger than 100 bytes" in out) == (2, True)


def test_another_verifier_in_the_bundle_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for own, told in ((Path(alone().__file__ or "").read_bytes(), False), (b"another", True)):
        assert verifier.main(["good.zip", "--policy", "policy"], own) == 0
        assert ("another version" in capsys.readouterr().out) == told
