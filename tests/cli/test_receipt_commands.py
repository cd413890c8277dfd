"""`alloc receipt`: checked from a file alone, and a full one for the committee."""

import json
from pathlib import Path

import pytest

from alloc_service.services.lookups import read_log_key
from tests.support.shell import TRIAL, House, Shell, enrol_somebody

WITNESS = "w.example.org/1+8d1b1ba1+BA" + "A" * 42


@pytest.fixture
def allocated(active: House, shell: Shell) -> House:
    """Return the trial with one allocation, whose receipt is in a file."""
    enrol_somebody(shell)
    done = shell("allocate", TRIAL, "P-001", "--receipt", "p-001.receipt", by="doc")
    assert done.code == 0, done.err
    return active


@pytest.fixture
def key(allocated: House) -> str:
    with allocated.opened() as deps:
        return read_log_key(deps, TRIAL)


def sealed_of(house: House, shell: Shell) -> tuple[str, str, str]:
    """Return root and slots of the list, and the enrolment, as the log says them."""
    del house
    log = json.loads(shell("log", "show", TRIAL, "--json", by="dmc").out)
    (sealed,) = [entry["body"] for entry in log if entry["type"] == "list.sealed"]
    (assigned,) = [entry["body"] for entry in log if entry["type"] == "slot.assigned"]
    return sealed["root"], ",".join(map(str, sealed["slots"])), assigned["enrolment"]


def test_a_receipt_is_checked_without_any_service(
    allocated: House, shell: Shell, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOC_HOME", "/nowhere")
    del allocated

    done = shell("receipt", "check", "p-001.receipt", "--key", key)

    assert done.code == 0, done.err
    assert "p-001.receipt is good" in done.out
    assert "what it says" in done.out
    told = json.loads(shell("receipt", "check", "p-001.receipt", "--key", key, "--json").out)
    assert told["arm"] is None
    leaf = told["leaf"]
    assert shell("receipt", "check", "p-001.receipt", "--key", key, "--leaf", leaf).code == 0


@pytest.mark.usefixtures("allocated")
def test_a_receipt_that_was_changed_is_refused_with_the_rule(shell: Shell, key: str) -> None:
    text = Path("p-001.receipt").read_text("utf-8")
    Path("bad.receipt").write_text(text.replace("index ", "index 1"), "utf-8")
    Path("dos.receipt").write_bytes(text.replace("\n", "\r\n").encode())

    bad = shell("receipt", "check", "bad.receipt", "--key", key)
    dos = shell("receipt", "check", "dos.receipt", "--key", key)

    assert (bad.code, dos.code) == (1, 1)
    assert "line 1: it ends in CR LF" in dos.err


@pytest.mark.usefixtures("allocated")
@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (("--leaf", "x"), 2, "--leaf is 64"),
        (("--leaf", "a" * 64), 1, "another entry than the leaf hash"),
        (("--root", "a" * 64), 2, "go together"),
        (("--slots", "6,6"), 2, "go together"),
        (("--root", "a" * 64, "--slots", "6,x"), 2, "such as 240,240"),
        (("--witness", "nonsense"), 1, "name+id+base64"),
    ],
)
def test_what_is_typed_beside_a_receipt_is_checked(
    shell: Shell, key: str, more: tuple[str, ...], code: int, told: str
) -> None:
    done = shell("receipt", "check", "p-001.receipt", "--key", key, *more)

    assert done.code == code
    assert told in done.err


def test_the_committee_gets_a_full_receipt_and_checks_it(
    allocated: House, shell: Shell, key: str
) -> None:
    root, slots, enrolment = sealed_of(allocated, shell)
    done = shell("receipt", "full", TRIAL, enrolment, "--out", "full.receipt", by="dmc")
    assert done.code == 0, done.err
    alone = shell("receipt", "check", "full.receipt", "--key", key)
    assert alone.code == 1
    assert "give root and slots of list 1" in alone.err

    whole = shell(
        "receipt", "check", "full.receipt", "--key", key, "--root", root, "--slots", slots
    )

    assert whole.code == 0, whole.err
    shown = shell("allocation", "show", TRIAL, "P-001", "--json", by="doc").out
    assert json.loads(shown)["arm"] in whole.out
    assert enrolment in whole.out


def test_a_site_gets_no_full_receipt_while_the_trial_runs(allocated: House, shell: Shell) -> None:
    *_, enrolment = sealed_of(allocated, shell)

    done = shell("receipt", "full", TRIAL, enrolment, "--out", "full.receipt", by="doc")

    assert done.code == 1
    assert "[receipt-later]" in done.err
    assert not Path("full.receipt").exists()


def test_receipts_are_laid_in_the_folder_that_the_settings_name(
    active: House, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol_somebody(shell)
    assert shell("receipt", "deliver", TRIAL).code == 2
    monkeypatch.setenv("ALLOC_RECEIPTS", "receipts")
    assert shell("allocate", TRIAL, "P-001", by="doc").code == 0

    folder = active.home / "receipts" / TRIAL

    assert len(list(folder.glob("*.receipt"))) == 1
    for path in folder.iterdir():
        path.unlink()
    done = shell("receipt", "deliver", TRIAL)
    assert done.code == 0, done.err
    assert f"Receipts of {TRIAL} delivered" in done.out


def test_an_allocation_is_shown_though_its_receipt_cannot_be_delivered(
    active: House, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol_somebody(shell)
    (active.home / "receipts").write_text("a file in the folder's place")
    monkeypatch.setenv("ALLOC_RECEIPTS", "receipts")

    done = shell("allocate", TRIAL, "P-001", by="doc")

    assert done.code == 0
    assert "[receipt-folder]" in done.err
