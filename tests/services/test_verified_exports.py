"""Exported logs, verified without any database (E6, G13)."""

import pytest

from alloc_service.log.note import Verifier
from alloc_service.services import reports, verification
from tests.support.installation import Installation
from tests.support.tampering import faults_of, named


@pytest.fixture
def exported(active: Installation) -> tuple[bytes, str]:
    active.allocate("P-001")
    return reports.export_log(active.deps, active.people["dmc"], active.trial)


@pytest.fixture
def key(active: Installation) -> Verifier:
    return active.deps.sealer.log_key(active.origin)


def test_an_exported_log_verifies_with_its_checkpoint(
    active: Installation, exported: tuple[bytes, str], key: Verifier
) -> None:
    report = verification.verify_export(*exported, key)

    assert faults_of(report) == {}
    assert report.origin == active.origin
    assert named(report, "file").detail == f"{len(active.entries())} lines"


def test_each_line_that_was_edited_dropped_or_swapped_is_named(
    exported: tuple[bytes, str], key: Verifier
) -> None:
    entries, checkpoint = exported
    whole = entries.splitlines(keepends=True)
    for seq in range(len(whole) - 1):
        edited = [*whole]
        edited[seq] = whole[seq].replace(b"Z", b"z")
        dropped = whole[:seq] + whole[seq + 1 :]
        swapped = [*whole]
        swapped[seq : seq + 2] = reversed(whole[seq : seq + 2])
        for changed in (edited, dropped, swapped):
            report = verification.verify_export(b"".join(changed), checkpoint, key)

            assert f"from entry {seq}:" in faults_of(report)["log"]


def test_a_truncated_log_is_named_by_its_checkpoint(
    exported: tuple[bytes, str], key: Verifier
) -> None:
    entries, checkpoint = exported
    whole = entries.splitlines(keepends=True)

    report = verification.verify_export(b"".join(whole[:5]), checkpoint, key)

    assert "from entry 5: it is missing" in faults_of(report)["log"]


def test_a_torn_file_is_named_by_its_line_and_what_is_before_it_is_checked(
    exported: tuple[bytes, str], key: Verifier
) -> None:
    entries, checkpoint = exported

    report = verification.verify_export(entries[:-10], checkpoint, key)

    assert "the last line is not ended" in faults_of(report)["file"]
    assert "it is missing" in faults_of(report)["log"]


def test_a_checkpoint_of_nobody_fails_alone(exported: tuple[bytes, str], key: Verifier) -> None:
    entries, checkpoint = exported
    for wrong in ("", checkpoint + "x", checkpoint.replace("TEST", "BEST")):
        report = verification.verify_export(entries, wrong, key)

        assert faults_of(report).keys() == {"checkpoint"}
        assert any("No checkpoint was given" in text for text in report.unchecked)


def test_a_log_of_another_key_fails(active: Installation, exported: tuple[bytes, str]) -> None:
    other = active.deps.sealer.log_key("rac.example.org/TEST-OTHER/audit")

    found = faults_of(verification.verify_export(*exported, other))

    assert found.keys() == {"checkpoint", "log"}
