"""Attacks on what is handed to the committee: a bundle, its ZIP, its keys, its policy."""

import subprocess
import sys
from pathlib import Path

import pytest

from alloc_service.log.build_verifier import OUTPUT
from tests.support.alone import verdict
from tests.support.bundles import (
    OTHER_LOG,
    Evidence,
    members_of,
    resealed,
    small_evidence,
    zipped,
)
from tests.support.forgery import rechained

SMALL = small_evidence()


def refusal(bundle: bytes, evidence: Evidence = SMALL) -> str:
    """Return why package and stand-alone verifier refuse a bundle, by the outside policy."""
    good, said = verdict(bundle, evidence.policy)
    assert not good
    return str(said)


def test_bundle_resigned_with_other_keys() -> None:
    forged = small_evidence()
    forged.signers, forged.notes = (OTHER_LOG,), {}
    bundle = forged.bundle()
    assert OTHER_LOG.verifier.vkey.encode() in members_of(bundle)["policy.txt"]

    assert "no trusted key" in refusal(bundle)
    assert verdict(bundle, forged.policy)[0]  # by the policy that came with it, all is well


def test_bundle_with_a_rewritten_log() -> None:
    members = members_of(SMALL.bundle())
    rows = rechained(SMALL.rows, 5, len(SMALL.rows))
    members["audit/entries.ndjson"] = b"".join(row + b"\n" for row in rows)

    assert "from entry" in refusal(resealed(members))


def test_bundle_with_another_arm_in_an_opening() -> None:
    members = members_of(SMALL.bundle(unblinded=True))
    name = "lists/1/openings.txt"
    arms = sorted(arm.code for arm in SMALL.lists[1].design.arms)
    one, other = (f"|{code}|".encode() for code in arms[:2])
    was, first = members[name], one if one in members[name] else other
    members[name] = was.replace(first, other if first == one else one, 1)
    assert members[name] != was

    assert name in refusal(resealed(members))


def test_zip_with_a_duplicate() -> None:
    members = list(members_of(SMALL.bundle()).items())
    again = [item for item in members if item[0] == "audit/checkpoint"]

    assert "audit/checkpoint" in refusal(zipped([*members, *again]))


def test_zip_with_an_extra() -> None:
    members = members_of(SMALL.bundle())

    assert "audit/x" in refusal(resealed({**members, "audit/x": b"x"}))
    assert "the manifest does not name it" in refusal(zipped({**members, "x": b""}.items()))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a//x", "./x", "a\\x", "a\0x"])
def test_zip_with_a_path_out(name: str, tmp_path: Path) -> None:
    members = {**members_of(SMALL.bundle()), name: b"out"}
    path = tmp_path / "deep" / "bundle.zip"
    path.parent.mkdir()
    path.write_bytes(zipped(members.items()))
    policy = tmp_path / "policy"
    policy.write_text(SMALL.policy)

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(OUTPUT), str(path), "--policy", str(policy)],
        cwd=path.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stdout.startswith("REFUSED  ")
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["bundle.zip", "deep", "policy"]


def test_zip_with_bytes_before_between_or_after() -> None:
    good = SMALL.bundle()
    middle = good.index(b"PK\x03\x04", 1)

    for bad in (b"x" + good, good + b"x", good[:middle] + b"x" + good[middle:], good[:-1]):
        assert refusal(bad)
