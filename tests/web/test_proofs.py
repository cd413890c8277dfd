"""Verification as a page, and what is taken away to verify it elsewhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.note import Verifier, open_checkpoint
from alloc_service.log.policy import parse_policy
from alloc_service.log.receipt import Receipt
from alloc_service.services import verification
from tests.support.browser import Browser
from tests.support.installation import Installation

LOG = "/trials/TEST-SMALL/log"
CHECKS = f"{LOG}/checks"

Browse = Callable[..., Browser]


def download(browser: Browser, what: str, **fields: object) -> tuple[str, bytes]:
    """Return name and bytes of a file that a button of the page of checks gives."""
    browser.get(CHECKS)
    answer = browser.client.post(f"{LOG}/{what}", data={"csrf_token": browser.token, **fields})
    assert answer.status_code == 200
    told = answer.headers["Content-Disposition"]
    assert told.startswith("attachment; filename=")
    return told.partition("filename=")[2], answer.data


# --- verification -----------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["dmc", "stat", "second", "admin"])
def test_a_verification_tells_each_check_and_what_was_not_checked(
    active: Installation, browse: Browse, username: str
) -> None:
    active.allocate()
    browser = browse(username)
    browser.get(CHECKS)
    browser.post(CHECKS)

    report = verification.verify(active.deps, active.trial)
    assert "Every check is passed" in browser.words
    for check in report.checks:
        assert f"ok {check.name} : {check.detail}" in browser.words
    for sentence in report.unchecked:
        assert sentence in browser.words
    assert "FAILED" not in browser.words


def test_a_row_that_somebody_changed_is_named(active: Installation, browse: Browse) -> None:
    active.allocate()
    (assigned,) = active.entries("slot.assigned")
    active.attack("UPDATE assignment SET slot = 1 WHERE entry_seq = :seq", seq=assigned.seq)
    dmc = browse("dmc")
    dmc.get(CHECKS)
    dmc.post(CHECKS)

    assert dmc.title == "Verification FAILED"
    told = f"FAILED assignments : the assignment of entry {assigned.seq} has another slot"
    assert told in dmc.words
    assert "ok enrolments" in dmc.words


def test_an_entry_that_somebody_changed_is_named(active: Installation, browse: Browse) -> None:
    entry = active.entries("grant.added")[0]
    changed = entry.data.replace(b'"subject":"p-', b'"subject":"q-')
    active.attack("UPDATE log_entry SET data = :data WHERE seq = :seq",
                  data=changed, seq=entry.seq)  # fmt: skip
    dmc = browse("dmc")
    dmc.get(CHECKS)
    dmc.post(CHECKS)

    assert f"FAILED entries : entry {entry.seq} is stored with another leaf" in dmc.words


DOWNLOADS = ("entries", "checkpoint", "key", "proof", "bundle", "policy")


@pytest.mark.parametrize("username", ["doc", "manager", "guest"])
def test_nobody_else_verifies_or_downloads(
    active: Installation, browse: Browse, username: str
) -> None:
    browser = browse(username)
    browser.get("/help")
    size = len(active.entries())
    for path in (CHECKS, *(f"{LOG}/{name}" for name in DOWNLOADS)):
        browser.post(path, {"seq": "0"})
        assert browser.answer.status_code == 403
        browser.get("/help")
    assert len(active.entries()) == size


# --- downloads --------------------------------------------------------------------------------


def test_what_is_downloaded_verifies_without_the_service(
    active: Installation, browse: Browse, tmp_path: Path
) -> None:
    active.allocate()
    dmc = browse("dmc")
    for what in ("checkpoint", "entries", "key"):
        name, data = download(dmc, what)
        (tmp_path / name).write_bytes(data)

    assert {path.name for path in tmp_path.iterdir()} == {
        "entries.ndjson", "checkpoint", "log.vkey",
    }  # fmt: skip
    key = Verifier.parse((tmp_path / "log.vkey").read_text().strip())
    entries = (tmp_path / "entries.ndjson").read_bytes()
    checkpoint = (tmp_path / "checkpoint").read_text()
    assert verification.verify_export(entries, checkpoint, key).ok
    assert entries.splitlines() == [entry.data for entry in active.entries()]
    assert open_checkpoint(checkpoint, key).size == len(active.entries()) - 1
    assert [entry.actor_id for entry in active.entries("log.exported")] == ["p-dmc"]


def test_a_bundle_verifies_by_the_policy_that_was_taken_before(
    active: Installation, browse: Browse
) -> None:
    dmc = browse("dmc")
    policy_name, policy = download(dmc, "policy")
    active.allocate()
    bundle_name, bundle = download(dmc, "bundle")

    assert (policy_name, bundle_name) == ("TEST-SMALL.policy", "TEST-SMALL.zip")
    found = verify_bundle(bundle, parse_policy(policy.decode()))
    assert (found.build, found.size) == ("blinded", len(active.entries()))
    assert [entry.actor_id for entry in active.entries("log.exported")] == ["p-dmc"]


def test_a_proof_verifies_with_the_leaf_that_the_entry_s_page_shows(
    active: Installation, browse: Browse
) -> None:
    active.allocate()
    (entry,) = active.entries("slot.assigned")
    name, data = download(browse("dmc"), "proof", seq=entry.seq)

    assert name == f"entry-{entry.seq}.receipt"
    key = active.deps.sealer.log_key(active.origin)
    Receipt.parse(data.decode()).verify(bytes.fromhex(entry.leaf), key)


@pytest.mark.parametrize("seq", ["", "x", "-1", "1.5", "9" * 40])
def test_a_number_that_is_none_is_asked_for_again(browse: Browse, seq: str) -> None:
    dmc = browse("dmc")
    dmc.get(CHECKS)
    dmc.post(f"{LOG}/proof", {"seq": seq})

    assert dmc.answer.status_code == 422
    assert "whole number" in dmc.errors["seq"]


def test_a_proof_of_an_entry_that_is_not_there_is_refused(browse: Browse) -> None:
    dmc = browse("dmc")
    dmc.get(CHECKS)
    dmc.post(f"{LOG}/proof", {"seq": "999"})

    assert dmc.answer.status_code == 404


def test_a_frozen_trial_is_told_and_can_still_be_read_and_verified(
    active: Installation, browse: Browse
) -> None:
    for path in (active.home / "anchors").glob("*.anchor"):
        path.unlink()
    dmc = browse("dmc")
    dmc.get(LOG)
    assert "Entry 3" in dmc.words
    dmc.get(CHECKS)
    dmc.post(CHECKS)
    assert "FAILED sealer : it is frozen" in dmc.words
    dmc.post(f"{LOG}/checkpoint")
    assert dmc.answer.status_code == 409
    assert "frozen" in dmc.words
