"""Policies: what is written, what is read, what is refused, and which cosignatures are enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import PolicyError
from alloc_service.log.note import COSIGNATURE_V1, Verifier
from alloc_service.log.policy import parse_policy, write_policy
from alloc_service.log.state import WitnessPolicy
from tests.support.alone import alone
from tests.support.bundles import LOG, WITNESSES
from tests.support.chain import ORIGIN, witness

KEY = LOG.verifier
A, B, C = (one.verifier for one in WITNESSES)
HEAD = f"log {KEY.vkey}\nwitness a {A.vkey} https://a.example\nwitness b {B.vkey}\n"


@pytest.mark.parametrize("quorum", [0, 1, 2, 3])
def test_what_is_written_is_read_and_counts_witnesses(quorum: int) -> None:
    witnesses = (A, B, C) if quorum else ()
    policy = parse_policy(write_policy(KEY, WitnessPolicy("gate", quorum, witnesses)))

    assert policy.key_of(ORIGIN) == KEY
    assert tuple(policy.witnesses.values()) == witnesses
    names = [key.name for key in (A, B, C)]
    for count in range(4):
        assert policy.is_met_by(names[:count]) == (count >= quorum)
    assert policy.is_met_by(["nobody"] * 3) == (quorum == 0)


@pytest.mark.parametrize("name", ["none", "trial-witnesses"])
def test_a_witness_may_have_a_name_that_the_policy_needs_itself(name: str) -> None:
    policy = parse_policy(write_policy(KEY, WitnessPolicy("gate", 1, (witness(name),))))

    assert policy.is_met_by([name])
    assert not policy.is_met_by([])


def test_groups_may_hold_groups_any_and_all() -> None:
    text = (
        f"# mine\n\n  # indented\n{HEAD}witness c {C.vkey}\n"
        "group two all a b\ngroup some any two c\nquorum some\n"
    )
    policy = parse_policy(text)

    assert policy.is_met_by([C.name])
    assert policy.is_met_by([A.name, B.name])
    assert not policy.is_met_by([A.name])
    assert parse_policy(f"{HEAD}quorum a\n").is_met_by([A.name])


def test_a_policy_has_a_hundred_groups_in_one_another_and_no_more() -> None:
    groups = ["group g0 any a\n", *(f"group g{n} any g{n - 1}\n" for n in range(1, 100))]
    policy = parse_policy(f"{HEAD}{''.join(groups)}quorum g99\n")

    assert policy.is_met_by([A.name])
    assert not policy.is_met_by([B.name])
    with pytest.raises(PolicyError, match="line 104: there are more than 100 groups"):
        parse_policy(f"{HEAD}{''.join(groups)}group g100 any g99\nquorum g100\n")


def test_several_logs_are_told_apart_by_their_origin() -> None:
    other = Verifier("rac.example.org/OTHER/audit", KEY.public)
    policy = parse_policy(f"log {KEY.vkey}\nlog {other.vkey} https://log.example\nquorum none")

    assert policy.key_of(other.name) == other
    with pytest.raises(PolicyError, match="not rac"):
        policy.key_of("rac.example.org/THIRD/audit")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "no quorum line"),
        ("quorum none\n", "names no log"),
        (f"{HEAD}quorum none\nquorum none\n", "line 5: a second quorum"),
        (f"{HEAD}quorum c\n", "line 4: the quorum c is not defined above"),
        (f"{HEAD}quorum\n", "line 4: it is no line"),
        (f"log\n{HEAD}", "line 1: it is no line"),
        (f"wittness a {A.vkey}\n", "it is no line"),
        (f"log {KEY.vkey} u v\n", "it is no line"),
        (f"log {KEY.vkey}\nlog {KEY.vkey}\n", "line 2: a second key of the log"),
        (f"log {A.vkey}\n", "the log's key is a witness's"),
        (f"log {KEY.vkey[:-1]}\n", "base64"),
        (f"witness a {KEY.vkey}\n", "the witness's key is a log's"),
        (f"{HEAD}witness a {C.vkey}\n", "line 4: the name a is taken"),
        (f"{HEAD}witness none {C.vkey}\n", "the name none is taken"),
        (f"{HEAD}witness c {A.vkey}\n", "a second key of the name"),
        (
            f"{HEAD}witness c {Verifier('c', A.public, COSIGNATURE_V1).vkey}\n",
            "c has the key of another witness",
        ),
        (f"{HEAD}group a 1 b\n", "the name a is taken"),
        (f"{HEAD}group g 1 c\n", "the member c is not defined"),
        (f"{HEAD}group g 1 none\n", "the member none is not defined"),
        (f"{HEAD}group g 1 a a\n", "stands twice"),
        (f"{HEAD}group g 3 a b\n", "needs more than its members"),
        (f"{HEAD}group g 0 a b\n", "needs a number"),
        (f"{HEAD}group g most a b\n", "needs a number"),
        (f"{HEAD}group g 1\n", "it is no line"),
        (f"{HEAD}group g 1 a\ngroup h 1 a\n", "line 5: a is a member of another group already"),
        (f"{HEAD}group g 1 a\ngroup h 1 g b\ngroup i 1 h g\n", "line 6: g is a member of another"),
        (f"{HEAD}quorum none\r\n", "line 4: it ends in CR LF"),
        (f"# a\rquorum none\n{HEAD}", "line 1: it holds a control character"),
        (f"{HEAD}# see\x0cquorum none\n", "line 4: it holds a control character"),
        (f"{HEAD}quorum\x7f none\n", "line 4: it holds a control character"),
        (f"{HEAD}# see\u2028quorum none\n", "no quorum line"),
        (f"{HEAD}# see\x85quorum none\n", "no quorum line"),
        (f"{HEAD}quorum\u00a0none\n", "line 4: it is no line"),
    ],
)
def test_what_is_no_policy_is_refused_by_its_line(text: str, rule: str) -> None:
    with pytest.raises(PolicyError, match=rule) as refusal:
        parse_policy(text)
    file = alone()
    with pytest.raises(file.PolicyError) as again:
        file.parse_policy(text)
    assert str(again.value) == str(refusal.value)


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text)
