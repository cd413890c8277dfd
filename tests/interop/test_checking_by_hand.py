"""The commands of docs/checking.md, run as they stand on an exported log, whole and changed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from alloc_service.log.bundle import read_verifier
from alloc_service.services import bundles, lookups, reports
from tests.support.installation import Installation
from tests.support.programs import ROOT, require_program
from tests.support.stages import active, open_stage, shelf

__all__ = ["active", "open_stage", "shelf"]

PAGE = (ROOT / "docs" / "checking.md").read_text("utf-8")
POLICY = "NCT01728727.policy"
SIGNATURE, TREE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
(PROGRAM,) = re.findall(r"```go\n(.*?)```", PAGE, re.DOTALL)
VERIFY, UNPACK, *_ = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(active: Installation, tmp_path: Path) -> Path:
    """Return a folder with an exported log of a few allocations."""
    for number in range(5):
        active.allocate(f"P-{number}")
    dmc = active.people["dmc"]
    entries, checkpoint = reports.export_log(active.deps, dmc, active.trial)
    (tmp_path / "entries.ndjson").write_bytes(entries)
    (tmp_path / "checkpoint").write_text(checkpoint, "utf-8")
    vkey = lookups.read_log_key(active.deps, active.trial)
    (tmp_path / "log.vkey").write_text(f"{vkey}\n", "utf-8")
    return tmp_path


def run(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [require_program("bash", "bash"), "-c", script], cwd=folder, capture_output=True,
        check=False, text=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )  # fmt: skip


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new, 1))


@pytest.fixture
def bundled(folder: Path, active: Installation) -> Path:
    """Return a folder of somebody who has a bundle, the policy and the verifier alone."""
    held = folder / "held"
    held.mkdir()
    dmc = active.people["dmc"]
    (held / "evidence.zip").write_bytes(bundles.make_blinded(active.deps, dmc, active.trial))
    (held / POLICY).write_text(bundles.read_policy(active.deps, active.trial), "utf-8")
    (held / "verify_bundle.py").write_bytes(read_verifier())
    return held


def test_a_bundle_alone_is_checked_by_the_page_s_command(bundled: Path) -> None:
    done = run(VERIFY, bundled)
    assert (done.returncode, "Everything that is here is good" in done.stdout) == (0, True)
    key = (bundled.parent / "log.vkey").read_text("utf-8")
    (bundled / POLICY).write_text(f"log {key}quorum none\n", "utf-8")
    assert run(VERIFY, bundled).returncode == 0
    change(bundled / "evidence.zip", b"p-dmc", b"p-cmd")

    done = run(VERIFY, bundled)

    assert done.returncode == 1
    assert "REFUSED" in done.stdout + done.stderr


def test_an_unpacked_bundle_is_checked_by_hand(bundled: Path) -> None:
    assert run(UNPACK, bundled).returncode == 0

    assert "Signature Verified Successfully" in run(SIGNATURE, bundled / "log").stdout
    assert "the root is the signed one" in run(TREE, bundled / "log").stdout


def test_openssl_verifies_the_signature(folder: Path) -> None:
    assert "Signature Verified Successfully" in run(SIGNATURE, folder).stdout
    size = (folder / "checkpoint").read_text().split("\n")[1]
    change(folder / "checkpoint", f"\n{size}\n".encode(), f"\n{int(size) - 1}\n".encode())

    assert run(SIGNATURE, folder).returncode != 0


def test_sha256sum_follows_the_chain_to_the_signed_root(folder: Path) -> None:
    assert "the root is the signed one" in run(TREE, folder).stdout


@pytest.mark.parametrize(
    ("old", "new"), [(b'"slot":1', b'"slot":2'), (b'"cap":10', b'"cap":11'), (b"p-stat", b"p-stax")]
)
def test_sha256sum_finds_an_entry_that_was_changed(folder: Path, old: bytes, new: bytes) -> None:
    change(folder / "entries.ndjson", old, new)

    done = run(TREE, folder)

    assert "the root is the signed one" not in done.stdout
    assert done.returncode != 0


def test_go_finds_the_root_of_the_entries_to_be_the_signed_one(folder: Path) -> None:
    (folder / "check.go").write_text(PROGRAM, "utf-8")
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GOCACHE": str(folder / "cache"),
        "GOPATH": "/usr/share/gocode", "GO111MODULE": "off", "GOPROXY": "off",
    }  # fmt: skip
    go = require_program("go", "golang-go golang-golang-x-mod-dev")
    built = subprocess.run(
        [go, "build", "-o", "check", "check.go"], cwd=folder, env=environ, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr

    good = subprocess.run(["./check"], cwd=folder, capture_output=True, text=True, check=False)
    change(folder / "entries.ndjson", b'"slot":1', b'"slot":2')
    bad = subprocess.run(["./check"], cwd=folder, capture_output=True, text=True, check=False)

    assert good.returncode == 0, good.stderr
    assert "is the signed one" in good.stdout
    assert bad.returncode == 1
    assert "was signed" in bad.stderr
