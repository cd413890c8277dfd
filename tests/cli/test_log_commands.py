"""`alloc log` and `alloc report`: who reads what, and in which words."""

import json
import stat
from pathlib import Path

import pytest

from alloc_service.log.entry import read_entry
from alloc_service.log.note import Verifier, open_checkpoint
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from tests.support.shell import (
    ANSWERS,
    CONSENT,
    FACTS,
    TRIAL,
    Golden,
    House,
    Shell,
)

EVERY_TYPE = [
    "trial.created",
    "design.frozen",
    "seed.committed",
    "seed.deposited",
    "seed.announced",
    "seed.beacon",
    "seed.revealed",
    "seed.aborted",
    "list.sealed",
    "list.approved",
    "list.activated",
    "list.resealed",
    "site.activated",
    "site.paused",
    "trial.paused",
    "trial.resumed",
    "trial.closed",
    "cap.changed",
    "slot.assigned",
    "slot.reread",
    "arms.read",
    "enrolment.restored",
    "allocation.refused",
    "design.read",
    "log.exported",
    "list.regenerated",
    "user.changed",
    "grant.added",
    "grant.ended",
    "key.created",
    "key.rotated",
    "key.rewrapped",
    "clock.corrected",
    "log.recovered",
    "rollback.detected",
    "witness.policy",
    "gate.suspended",
    "gate.resumed",
    "drill.done",
]


@pytest.fixture
def allocated(active: House, shell: Shell) -> House:
    for number in ("P-001", "P-002"):
        given = ["--participant", number, "--consent-time", CONSENT, "--consent-version", "1"]
        given += [part for code, text in FACTS.items() for part in ("--fact", f"{code}={text}")]
        given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
        assert shell("enrol", TRIAL, *given, by="doc").code == 0
    assert shell("allocate", TRIAL, "P-001", by="doc").code == 0
    return active


@pytest.mark.usefixtures("allocated")
def test_oversight_reads_the_whole_log_in_plain_sentences(shell: Shell, golden: Golden) -> None:
    outcome = shell("log", "show", TRIAL, by="dmc")

    assert outcome.code == 0
    golden("log-show", outcome.out)


@pytest.mark.usefixtures("allocated")
def test_enrolling_staff_read_their_own_entries_without_list_and_slot(shell: Shell) -> None:
    entries = json.loads(shell("log", "show", TRIAL, "--json", by="doc").out)

    assert {entry["type"] for entry in entries} == {"slot.assigned"}
    for entry in entries:
        assert not {"list", "stratum", "slot", "leaf"} & set(entry["body"])


@pytest.mark.usefixtures("allocated")
def test_the_last_entries_and_one_type_can_be_asked_for(shell: Shell) -> None:
    last = json.loads(shell("log", "show", TRIAL, "--last", 2, "--json", by="dmc").out)
    grants = json.loads(
        shell("log", "show", TRIAL, "--type", "grant.added", "--json", by="dmc").out
    )

    assert [entry["type"] for entry in last] == ["site.activated", "slot.assigned"]
    assert len(grants) == 7


@pytest.mark.usefixtures("allocated")
def test_a_type_that_no_entry_has_is_wrong_use_and_the_types_are_named(shell: Shell) -> None:
    outcome = shell("log", "show", TRIAL, "--type", "slot.asigned", by="dmc")

    assert outcome.code == 2
    assert "'slot.assigned'" in outcome.err


@pytest.mark.usefixtures("allocated")
def test_no_entry_of_a_type_is_said_and_leaves_the_output_empty_but_for_the_banner(
    shell: Shell,
) -> None:
    outcome = shell("log", "show", TRIAL, "--type", "trial.closed", by="dmc")
    scripted = shell("log", "show", TRIAL, "--type", "trial.closed", "--json", by="dmc")

    assert outcome.code == 0
    assert "There is no such entry" in outcome.err
    assert json.loads(scripted.out) == []


@pytest.mark.usefixtures("allocated")
def test_others_read_nothing(shell: Shell) -> None:
    outcome = shell("log", "show", TRIAL, by="manager")

    assert outcome.code == 1
    assert "[not-allowed]" in outcome.err
    assert "read the audit log" in outcome.err
    assert "administrator or dmc or physician or second-statistician or statistician" in outcome.err


@pytest.mark.usefixtures("allocated")
def test_an_export_is_the_exact_bytes_and_opens_with_its_key(shell: Shell) -> None:
    outcome = shell("log", "export", TRIAL, "--out", "export", by="dmc")

    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "export/entries.ndjson", "export/checkpoint", "export/log.vkey",
    ]  # fmt: skip
    lines = Path("export/entries.ndjson").read_bytes().splitlines()
    state = LogState()
    for line in lines:
        fold(state, read_entry(line))
    key = Verifier.parse(Path("export/log.vkey").read_text().strip())
    checkpoint = open_checkpoint(Path("export/checkpoint").read_text("utf-8"), key)
    assert checkpoint.size == len(lines)
    assert stat.S_IMODE(Path("export/checkpoint").stat().st_mode) == 0o600


@pytest.mark.usefixtures("allocated")
def test_an_export_overwrites_nothing_and_logs_nothing_then(shell: Shell) -> None:
    Path("export").mkdir()
    Path("export/checkpoint").write_text("another one")

    outcome = shell("log", "export", TRIAL, "--out", "export", by="dmc")

    assert outcome.code == 1
    assert "[output-file]" in outcome.err
    assert "log.exported" not in shell("log", "show", TRIAL, "--json", by="dmc").out


@pytest.mark.usefixtures("active")
def test_a_right_clock_is_not_corrected(shell: Shell) -> None:
    outcome = shell("log", "correct-clock", TRIAL, by="ada")

    assert outcome.code == 1
    assert "[log-rule]" in outcome.err


@pytest.mark.usefixtures("allocated")
def test_totals_are_without_arms_and_for_the_manager(shell: Shell, golden: Golden) -> None:
    outcome = shell("report", "totals", TRIAL, by="manager")

    assert outcome.code == 0
    golden("report-totals", outcome.out)
    shown = json.loads(shell("report", "totals", TRIAL, "--json", by="manager").out)
    assert shown == {
        "allocated": 1,
        "by_site": [{"allocated": 1, "site": "XA01"}],
        "cap": 240,
        "enrolled": 2,
        "trial": TRIAL,
    }


@pytest.mark.usefixtures("allocated")
def test_counts_by_arm_are_for_the_dmc_and_logged_with_their_purpose(shell: Shell) -> None:
    outcome = shell("report", "arms", TRIAL, "--purpose", "meeting-1", by="dmc")
    shown = json.loads(shell("report", "arms", TRIAL, "--purpose", "m", "--json", by="stat").out)

    assert outcome.code == 0
    assert outcome.out.splitlines()[-1].split()[0] == "all"
    assert outcome.out.splitlines()[-1].split()[-1] == "1"
    assert len(shown["counts"]) == 2 * 4
    assert sum(row["count"] for row in shown["counts"]) == shown["total"] == 1
    assert sorted(row["count"] for row in shown["totals"]) == [0, 1]
    assert "(meeting-1)" in shell("log", "show", TRIAL, by="dmc").out
    assert "[not-allowed]" in shell("report", "arms", TRIAL, "--purpose", "m", by="manager").err
