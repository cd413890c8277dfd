"""`alloc log witnesses`, and what status, recovery and an allocation say of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alloc_service.log.note import Verifier
from alloc_service.services.installation import service_status
from tests.support.shell import (
    ANSWERS,
    CONSENT,
    FACTS,
    TRIAL,
    House,
    Outcome,
    Shell,
)
from tests.support.witnesses import NAME, WitnessServer, saying

SUSPEND = ("--hours", 2, "--code", "power", "--reason", "No power there.")


def set_policy(shell: Shell, witness: WitnessServer, mode: str, url: str | None = None) -> Outcome:
    place = ("--witness", witness.public.vkey, witness.url if url is None else url)
    return shell(
        "log", "witnesses", "set", TRIAL, "--mode", mode, *place, by="manager", second="dmc"
    )


def allocate(shell: Shell, number: str) -> Outcome:
    given = ["--participant", number, "--consent-time", CONSENT, "--consent-version", "1"]
    given += [part for code, text in FACTS.items() for part in ("--fact", f"{code}={text}")]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    assert shell("enrol", TRIAL, *given, by="doc").code == 0
    return shell("allocate", TRIAL, number, "--json", by="doc")


@pytest.fixture
def witness(active: House, tmp_path: Path) -> Iterator[WitnessServer]:
    server = WitnessServer(tmp_path / "witness")
    with active.opened() as deps:
        server.follow(Verifier.parse(service_status(deps).trials[0].vkey))
    server.start()
    yield server
    server.stop()


def test_two_people_set_a_gate_and_everybody_sees_how_it_stands(
    shell: Shell, witness: WitnessServer
) -> None:
    outcome = set_policy(shell, witness, "gate")

    assert outcome.code == 0
    assert f"{NAME} confirmed the log up to entry {witness.size() - 1}." in outcome.out
    shown = json.loads(shell("log", "witnesses", "show", TRIAL, "--json", by="dmc").out)
    assert (shown["mode"], shown["cosigned"], shown["entries"]) == (
        "gate",
        witness.size(),
        witness.size(),
    )
    assert "Allocations wait for them." in shell("log", "witnesses", "show", TRIAL, by="dmc").out
    assert f"Confirmed: {witness.size()} of {witness.size()} entries" in shell("status").out
    assert json.loads(shell("status", "--json").out)["trials"][0]["witnesses"]["mode"] == "gate"
    assert json.loads(allocate(shell, "P-001").out)["randomization_number"] == 1


def test_a_trial_without_a_witness_says_so(active: House, shell: Shell) -> None:
    assert active.root
    assert "No witness: " in shell("log", "witnesses", "show", TRIAL, by="dmc").out
    assert "Witnesses" not in shell("status").out
    assert "[no-witness]" in shell("log", "witnesses", "collect", TRIAL, by="dmc").err


def test_an_allocation_that_waits_says_what_to_do_and_is_seen_later(
    shell: Shell, witness: WitnessServer
) -> None:
    set_policy(shell, witness, "gate")
    witness.stop()

    outcome = allocate(shell, "P-001")

    assert outcome.code == 1
    assert outcome.out == ""
    assert "[gate-closed]" in outcome.err
    assert "Nothing is lost" in outcome.err
    witness.start()
    shown = shell("allocation", "show", TRIAL, "P-001", "--json", by="doc")
    assert json.loads(shown.out)["randomization_number"] == 1


def test_two_people_suspend_the_gate_and_one_resumes_it(
    shell: Shell, witness: WitnessServer
) -> None:
    set_policy(shell, witness, "gate")
    witness.stop()
    command = ("log", "witnesses", "suspend", TRIAL, *SUSPEND)
    assert "[second-person]" in shell(*command, by="dmc", second="dmc").err
    assert "[not-allowed]" in shell(*command, by="dmc", second="doc").err

    assert shell(*command, by="dmc", second="manager").code == 0

    assert json.loads(allocate(shell, "P-001").out)["randomization_number"] == 1
    told = shell("log", "witnesses", "show", TRIAL, by="dmc").out
    assert "The gate is suspended until" in told
    assert "P-dmc (dmc, XA01) with P-manager (manager, XA01) (power)" in " ".join(told.split())
    assert "The gate is suspended until" in shell("status").out
    assert shell("log", "witnesses", "resume", TRIAL, by="dmc").code == 0
    assert "[gate-closed]" in allocate(shell, "P-002").err


def test_cosignatures_are_collected_by_a_command(shell: Shell, witness: WitnessServer) -> None:
    set_policy(shell, witness, "follow")
    allocate(shell, "P-001")
    assert "They confirm the log later." in shell("log", "witnesses", "show", TRIAL, by="dmc").out

    good = shell("log", "witnesses", "collect", TRIAL, by="dmc")
    witness.wrap = saying("500 Internal Server Error", b"")
    allocate(shell, "P-002")
    bad = shell("log", "witnesses", "collect", TRIAL, by="dmc")

    assert good.code == 0
    assert f"{NAME} confirmed the log" in good.out
    assert bad.code == 1
    assert f"{NAME}: it refused (500)." in bad.err


def test_request_and_response_are_carried_as_files(
    shell: Shell, witness: WitnessServer, tmp_path: Path
) -> None:
    set_policy(shell, witness, "gate", url="")
    assert "[gate-closed]" in allocate(shell, "P-001").err
    request, response = tmp_path / "request", tmp_path / "response"

    asked = ("log", "witnesses", "request", TRIAL, "--witness", NAME, "--out", request)
    assert shell(*asked, by="dmc").code == 0
    assert shell("witness", "cosign", witness.folder, request, "--out", response).code == 0
    taken = shell("log", "witnesses", "take", TRIAL, response, by="dmc")

    assert taken.code == 0
    assert f"{NAME} confirmed the log of {TRIAL} up to entry {witness.size() - 1}." in taken.out
    shown = shell("allocation", "show", TRIAL, "P-001", "--json", by="doc")
    assert json.loads(shown.out)["randomization_number"] == 1
    (tmp_path / "bad").write_text("x")
    assert (
        "[witness-response]"
        in shell("log", "witnesses", "take", TRIAL, tmp_path / "bad", by="dmc").err
    )


def test_witnesses_are_taken_off_again(shell: Shell, witness: WitnessServer) -> None:
    set_policy(shell, witness, "gate")
    off = ("log", "witnesses", "set", TRIAL, "--mode", "off")

    assert shell(*off, by="manager", second="dmc").code == 0

    witness.stop()
    assert json.loads(allocate(shell, "P-001").out)["randomization_number"] == 1
    gate = ("log", "witnesses", "set", TRIAL, "--mode", "gate")
    assert shell(*gate, by="manager", second="dmc").code == 2


def test_a_recovery_takes_the_note_of_a_witness_that_is_silent(
    shell: Shell, witness: WitnessServer, tmp_path: Path
) -> None:
    set_policy(shell, witness, "gate")
    (tmp_path / "seen").write_text(witness.note())
    witness.stop()
    recover = ("sealer", "recover", TRIAL)

    silent = shell(*recover, by="ada", second="manager")
    told = shell(*recover, "--seen", tmp_path / "seen", by="ada", second="manager")

    assert "[witness-unheard]" in silent.err
    assert told.code == 0
