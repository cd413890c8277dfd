"""`alloc allocate` and `alloc allocation show`: signed, logged, shown, and the same again."""

import json
from pathlib import Path

import pytest

from alloc_service.cli import files
from alloc_service.errors import OutputFileError
from alloc_service.log.note import Verifier
from alloc_service.log.receipt import check_receipt
from alloc_service.services.lookups import read_log_key
from tests.support.shell import (
    SITE,
    TRIAL,
    Golden,
    House,
    Outcome,
    Shell,
    enrol_somebody,
    password_of,
)


def allocate(shell: Shell, participant: str = "P-001", *more: object, by: str = "doc") -> Outcome:
    return shell("allocate", TRIAL, participant, *more, by=by)


@pytest.fixture
def enrolled(active: House, shell: Shell) -> House:
    enrol_somebody(shell)
    return active


def without_arm(text: str) -> str:
    """Return a text with the arm that chance gave named instead."""
    for words in (
        "CONV: Active comparator: conventional",
        "MSC: Experimental: UC-MSC transplantation",
    ):
        text = text.replace(words, "<arm>")
    lines = text.splitlines(keepends=True)
    return "".join(
        "  What it means         <instruction>\n" if "What it means" in line else line
        for line in lines
    )


@pytest.mark.usefixtures("enrolled")
def test_an_allocation_shows_arm_number_signature_visits_and_receipt(
    shell: Shell, golden: Golden
) -> None:
    outcome = allocate(shell)

    assert outcome.code == 0
    golden("allocate", without_arm(outcome.out))
    assert outcome.err == ""


@pytest.mark.usefixtures("enrolled")
def test_the_arm_is_told_in_the_words_of_the_protocol(shell: Shell) -> None:
    shown = json.loads(allocate(shell, "P-001", "--json").out)

    assert shown["arm"] in {"CONV", "MSC"}
    assert shown["label"].startswith(("Active comparator", "Experimental"))
    assert shown["signature"]["meaning"].startswith("I have checked this record")
    assert shown["signature"]["name"] == "Dr doc"
    assert shown["visits"][0]["visit"] == "week-1"


@pytest.mark.usefixtures("enrolled")
def test_asked_again_the_same_allocation_is_shown(shell: Shell) -> None:
    first = json.loads(allocate(shell, "P-001", "--json").out)

    again = allocate(shell, "P-001", "--json")
    shown = shell("allocation", "show", TRIAL, "P-001", "--json", by="doc2")

    for outcome in (again, shown):
        other = json.loads(outcome.out)
        assert (other["arm"], other["randomization_number"], other["leaf"]) == (
            first["arm"], first["randomization_number"], first["leaf"],
        )  # fmt: skip
    assert "It was allocated before" in again.err
    assert "looked again" in shell("log", "show", TRIAL, "--last", 1, by="dmc").out


def test_the_receipt_proves_that_the_allocation_is_in_the_signed_log(
    enrolled: House, shell: Shell
) -> None:
    outcome = allocate(shell, "P-001", "--receipt", "p-001.receipt")

    assert outcome.code == 0
    text = Path("p-001.receipt").read_text()
    with enrolled.opened() as deps:
        key = Verifier.parse(read_log_key(deps, TRIAL))
    assert check_receipt(text, key).entry is None
    assert "CONV" not in text
    assert "MSC" not in text


@pytest.mark.usefixtures("enrolled")
def test_a_taken_receipt_is_told_before_the_slot_is_spent(shell: Shell) -> None:
    Path("r").write_text("something else")

    outcome = allocate(shell, "P-001", "--receipt", "r")

    assert outcome.code == 1
    assert "[output-file]" in outcome.err
    assert "[not-allocated]" in shell("allocation", "show", TRIAL, "P-001", by="doc").err


@pytest.mark.usefixtures("enrolled")
def test_a_receipt_that_cannot_be_written_hides_no_allocation(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, data: bytes) -> None:
        del data
        raise OutputFileError(path=path, reason="no space left on device")

    monkeypatch.setattr(files, "write_file", fail)
    outcome = allocate(shell, "P-001", "--receipt", "r")

    assert outcome.code == 1
    assert "Randomization number  1" in outcome.out
    assert "[output-file]" in outcome.err


@pytest.mark.usefixtures("enrolled")
def test_a_wrong_password_spends_no_slot(shell: Shell) -> None:
    outcome = shell(
        "allocate", TRIAL, "P-001", "--as", "doc", "--password-fd", "{fd}", lines=["another one"]
    )

    assert outcome.code == 1
    assert "[wrong-password]" in outcome.err
    assert "[not-allocated]" in shell("allocation", "show", TRIAL, "P-001", by="doc").err


@pytest.mark.parametrize("user", ["manager", "stat", "second", "dmc", "ada"])
@pytest.mark.usefixtures("enrolled")
def test_nobody_but_a_physician_of_the_site_sees_an_allocation(shell: Shell, user: str) -> None:
    allocate(shell)

    for outcome in (
        allocate(shell, by=user),
        shell("allocation", "show", TRIAL, "P-001", by=user),
    ):
        assert outcome.code == 1
        assert "[not-allowed]" in outcome.err
        assert outcome.out == ""


@pytest.mark.usefixtures("active")
def test_an_ineligible_participant_is_refused_and_the_refusal_is_logged(shell: Shell) -> None:
    enrol_somebody(shell, "P-002", age="66")

    outcome = allocate(shell, "P-002")

    assert outcome.code == 1
    assert "[not-eligible]" in outcome.err
    log = shell("log", "show", TRIAL, "--type", "allocation.refused", by="dmc").out
    assert "(not-eligible)" in log


@pytest.mark.usefixtures("active")
def test_a_consent_in_the_future_is_refused(shell: Shell) -> None:
    enrol_somebody(shell)
    shell("amend", TRIAL, "P-001", "--consent-time", "2999-01-01 09:15", by="doc")

    outcome = allocate(shell)

    assert outcome.code == 1
    assert "[consent-in-future]" in outcome.err


@pytest.mark.usefixtures("enrolled")
def test_a_paused_trial_a_paused_site_and_a_reached_cap_refuse(shell: Shell) -> None:
    why = ("--code", "safety", "--reason", "Review")
    shell("trial", "pause", TRIAL, *why, by="manager")
    paused = allocate(shell)
    shell("trial", "resume", TRIAL, *why, by="manager")
    shell("site", "pause", TRIAL, SITE, by="manager")
    site = allocate(shell)
    shell("site", "activate", TRIAL, SITE, by="manager")
    shell("trial", "cap", TRIAL, 1, by="manager")
    good = allocate(shell)
    enrol_somebody(shell, "P-002")
    cap = allocate(shell, "P-002")

    assert "[trial-not-open]" in paused.err
    assert "[site-not-active]" in site.err
    assert good.code == 0
    assert "[cap-reached]" in cap.err
    assert {paused.code, site.code, cap.code} == {1}


@pytest.mark.usefixtures("sealed")
def test_a_trial_without_an_active_list_refuses(shell: Shell) -> None:
    shell("site", "activate", TRIAL, SITE, by="manager")
    enrol_somebody(shell)

    assert "[no-active-list]" in allocate(shell).err


@pytest.mark.usefixtures("active")
def test_an_unknown_participant_is_refused(shell: Shell) -> None:
    outcome = allocate(shell, "P-404")

    assert outcome.code == 1
    assert "There is no enrolment at site XA01 with number P-404." in outcome.err


@pytest.mark.usefixtures("enrolled")
def test_what_is_not_allocated_yet_cannot_be_shown(shell: Shell) -> None:
    outcome = shell("allocation", "show", TRIAL, "P-001", "--receipt", "r", by="doc")

    assert outcome.code == 1
    assert "[not-allocated]" in outcome.err
    assert not Path("r").exists()


@pytest.mark.usefixtures("enrolled")
def test_a_full_anchor_disk_shows_nothing_and_the_retry_works(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("alloc_service.sealing.anchor.os.fsync", full)
        refused = allocate(shell)
    again = allocate(shell, "P-001", "--json")

    assert refused.code == 1
    assert refused.out == ""
    assert "No space left on device" in refused.err
    assert again.code == 0
    assert json.loads(again.out)["randomization_number"] == 1


@pytest.mark.usefixtures("enrolled")
def test_no_password_is_in_what_is_shown(shell: Shell) -> None:
    outcome = allocate(shell)

    assert password_of("doc") not in outcome.out + outcome.err
