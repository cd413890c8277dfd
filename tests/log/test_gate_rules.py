"""Witnesses and the gate: every demand of their rows, met and not met; and drills."""

from typing import Any

import pytest

from alloc_service.log.note import ED25519, Verifier
from alloc_service.log.state import WitnessPolicy
from tests.support.chain import ADMINISTRATOR, MANAGER, SECOND, Chain, as_body, hex32, witness

ONE, TWO = witness("w.example.org/1"), witness("w.example.org/2")
OTHER: dict[str, Any] = {"second": as_body(SECOND)}
HOLD: dict[str, Any] = {"code": "witness-down", "reason_sha256": "", **OTHER}
NOON, LATER = "2026-01-02T12:00:00Z", "2026-01-02T13:00:00Z"


def gate(chain: Chain) -> None:
    chain.add("witness.policy", mode="gate", quorum=1, witnesses=[ONE.vkey], **OTHER)


def test_a_trial_has_no_witness_until_two_people_say_so(chain: Chain) -> None:
    assert chain.state.policy == WitnessPolicy()

    chain.add("witness.policy", mode="follow", quorum=1, witnesses=[ONE.vkey, TWO.vkey], **OTHER)

    assert chain.state.policy == WitnessPolicy("follow", 1, (ONE, TWO))


def test_witnesses_can_be_taken_off_again(chain: Chain) -> None:
    gate(chain)
    chain.add("witness.policy", mode="off", quorum=0, witnesses=[], **OTHER)

    assert chain.state.policy == WitnessPolicy()


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"mode": "off", "quorum": 1, "witnesses": []}, "no quorum"),
        ({"mode": "off", "quorum": 0, "witnesses": [ONE.vkey]}, "no quorum"),
        ({"mode": "gate", "quorum": 0, "witnesses": [ONE.vkey]}, "quorum must be from 1"),
        ({"mode": "follow", "quorum": 2, "witnesses": [ONE.vkey]}, "quorum must be from 1"),
        ({"mode": "gate", "quorum": 1, "witnesses": [ONE.vkey, ONE.vkey]}, "name stands twice"),
        (
            {
                "mode": "gate",
                "quorum": 1,
                "witnesses": [ONE.vkey, Verifier("other", ONE.public, ONE.kind).vkey],
            },
            "key stands twice",
        ),
        (
            {
                "mode": "gate",
                "quorum": 1,
                "witnesses": [Verifier("log", ONE.public, ED25519).vkey],
            },
            "the key of log is no witness's",
        ),
        (
            {"mode": "gate", "quorum": 1, "witnesses": [ONE.vkey.replace("/1+", "/9+")]},
            "id is not that of its name",
        ),
    ],
)
def test_a_policy_that_no_witness_could_fulfil_is_refused(
    chain: Chain, body: dict[str, Any], rule: str
) -> None:
    chain.refuse("witness.policy", rule, **body, **OTHER)


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("witness.policy", {"mode": "off", "quorum": 0, "witnesses": []}),
        ("gate.suspended", {"code": "x", "reason_sha256": "", "until": NOON}),
    ],
)
def test_it_takes_two_people(chain: Chain, type_: str, body: dict[str, Any]) -> None:
    gate(chain)

    chain.refuse(type_, "must be another", **body, second=as_body(MANAGER))


def test_a_gate_is_suspended_until_a_stated_time_and_ends_before_it(chain: Chain) -> None:
    chain.refuse("gate.suspended", "the trial has no gate", until=NOON, **HOLD)
    gate(chain)
    chain.refuse("gate.resumed", "is not suspended")

    chain.add("gate.suspended", until=NOON, **HOLD)
    chain.add("gate.resumed")

    assert not chain.state.gate_suspended_until
    chain.refuse("gate.resumed", "is not suspended")


@pytest.mark.parametrize(
    ("until", "rule"),
    [
        ("2026-01-02T09:00:00Z", "must lie ahead"),
        ("2026-01-05T09:00:01Z", "more than three days ahead"),
    ],
)
def test_a_suspension_ends_at_most_three_days_ahead(chain: Chain, until: str, rule: str) -> None:
    gate(chain)

    chain.refuse("gate.suspended", rule, until=until, **HOLD)


def test_what_is_logged_while_the_gate_is_suspended_opens_without_a_witness(chain: Chain) -> None:
    chain.activate()
    gate(chain)
    gated = chain.assign("e1", 0, 0)
    chain.add("gate.suspended", until=NOON, **HOLD)
    spent = chain.assign("e2", 0, 1)
    reread = chain.add("slot.reread", enrolment=chain.slot("e1", 0, 0)["enrolment"], of=gated.seq)
    looked = chain.add("arms.read", purpose="dsmb", upto=spent.seq)
    chain.assign("e3", 0, 2)
    late = chain.add("arms.read", at=NOON, purpose="dsmb", upto=spent.seq)
    chain.refuse("gate.resumed", "is not suspended", at=LATER)

    assert {spent.seq, reread.seq, looked.seq, looked.seq + 1} == chain.state.ungated
    assert not {gated.seq, late.seq} & chain.state.ungated


def test_another_policy_ends_a_suspension(chain: Chain) -> None:
    gate(chain)
    chain.add("gate.suspended", until=NOON, **HOLD)
    gate(chain)

    assert not chain.state.gate_suspended_until


@pytest.mark.parametrize("past", [NOON, "2026-01-02T10:30:00Z"])
def test_a_clock_that_is_set_back_ends_a_suspension(chain: Chain, past: str) -> None:
    chain.activate()
    gate(chain)
    chain.add("gate.suspended", until="2026-01-02T11:00:00Z", **HOLD)
    chain.add("site.activated", at=past, site="S1")
    chain.add(
        "clock.corrected",
        by=ADMINISTRATOR,
        at="2026-01-02T10:00:00Z",
        **{"from": past, "to": "2026-01-02T10:00:00Z"},
    )
    spent = chain.assign("e1", 0, 0)

    assert spent.seq not in chain.state.ungated
    chain.refuse("gate.resumed", "is not suspended")


def drill(**changed: bool) -> dict[str, Any]:
    return {"list": 1, "root_equal": True, "blob_opened": True, "log_verified": True, **changed}


def test_a_drill_counts_where_all_was_well(chain: Chain) -> None:
    chain.refuse("drill.done", "list 1 has no frozen design", **drill(), **OTHER)
    chain.seal()
    chain.add("drill.done", **drill(blob_opened=False), **OTHER)
    assert not chain.state.lists[1].drilled_at

    chain.add("drill.done", by=ADMINISTRATOR, at=NOON, **drill(), **OTHER)

    assert chain.state.lists[1].drilled_at == NOON


def test_a_drill_takes_two_people(chain: Chain) -> None:
    chain.seal()

    chain.refuse("drill.done", "must be another", **drill(), second=as_body(MANAGER))


def test_the_design_of_a_drill_is_a_sealed_list(chain: Chain) -> None:
    chain.freeze()

    chain.refuse("drill.done", "list 1 is not sealed", **drill(), **OTHER)
    assert chain.state.lists[1].design_sha256 == hex32("D1")
