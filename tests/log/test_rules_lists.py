"""Designs, seed ceremonies and lists: every demand of their rows, met and not met."""

from typing import Any

import pytest

from tests.support.chain import MANAGER, SECOND, STATISTICIAN, Chain, Person, hex32


def who(party: str) -> Person:
    """Return the person who acts for a party."""
    return f"p-{party}", "XA01", "dmc"


def commit(chain: Chain, *parties: str, ceremony: str = "c/1", number: int = 1) -> None:
    for party in parties:
        body: dict[str, Any] = {"list": number, "commitment": hex32(f"{ceremony} {party}")}
        chain.add("seed.committed", by=who(party), ceremony=ceremony, party=party, **body)


def deposit(chain: Chain, *parties: str) -> None:
    for party in parties:
        chain.add("seed.deposited", by=who(party), ceremony="c/1", party=party)


def reveal(chain: Chain, party: str) -> None:
    chain.add("seed.revealed", by=who(party), ceremony="c/1", party=party)


def announce(chain: Chain) -> None:
    chain.add("seed.announced", ceremony="c/1", list=1, doc_sha256=hex32("doc"))


def test_a_design_is_frozen_for_a_new_list(chain: Chain) -> None:
    chain.freeze(1).freeze(2)

    assert chain.state.lists[2].design_sha256 == hex32("D2")
    chain.refuse(
        "design.frozen", "list 1 has a design already", list=1, design_sha256=hex32("another")
    )


def test_a_design_is_used_for_one_list(chain: Chain) -> None:
    chain.freeze(1)

    chain.refuse("design.frozen", "used before", list=2, design_sha256=hex32("D1"))


def test_a_party_commits_after_the_design_is_frozen(chain: Chain) -> None:
    body: dict[str, Any] = {"ceremony": "c/1", "party": "dmc", "commitment": hex32("c")}

    chain.refuse("seed.committed", "list 1 has no frozen design", list=1, **body)
    chain.freeze(1).add("seed.committed", list=1, **body)
    chain.refuse("seed.committed", "list 2 has no frozen design", list=2, **body)

    assert chain.state.ceremonies["c/1"].commitments == {"dmc": hex32("c")}


def test_a_ceremony_is_for_one_list(chain: Chain) -> None:
    chain.freeze(1).freeze(2)
    commit(chain, "dmc")

    chain.refuse(
        "seed.committed",
        "for another list",
        ceremony="c/1",
        list=2,
        party="sponsor",
        commitment=hex32("c"),
    )
    chain.refuse(
        "seed.announced", "for another list", ceremony="c/1", list=2, doc_sha256=hex32("doc")
    )
    commit(chain, "dmc", ceremony="c/2", number=2)


def test_a_party_commits_once_and_to_a_value_of_its_own(chain: Chain) -> None:
    chain.freeze(1)
    commit(chain, "dmc")
    body: dict[str, Any] = {"ceremony": "c/1", "list": 1}

    chain.refuse(
        "seed.committed", "dmc has committed", **body, party="dmc", commitment=hex32("new")
    )
    chain.refuse(
        "seed.committed",
        "sponsor repeats",
        **body,
        party="sponsor",
        commitment=hex32("c/1 dmc"),
    )
    commit(chain, "sponsor")


@pytest.mark.parametrize(
    ("then", "rule"),
    [
        ("deposit", "late is too late: a party has deposited"),
        ("announce", "late is too late: the ceremony is announced"),
        ("abort", "was aborted"),
        ("seal", "is sealed already"),
    ],
)
def test_nobody_commits_when_it_is_too_late(chain: Chain, then: str, rule: str) -> None:
    chain.freeze(1)
    commit(chain, "dmc", "sponsor")
    if then == "deposit":
        deposit(chain, "dmc")
    elif then == "announce":
        announce(chain)
    elif then == "abort":
        chain.add("seed.aborted", ceremony="c/1", code="dropped")
    else:
        deposit(chain, "dmc", "sponsor")
        announce(chain)
        chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())

    chain.refuse(
        "seed.committed", rule, ceremony="c/1", list=1, party="late", commitment=hex32("late")
    )


def test_a_party_deposits_once_and_after_it_has_committed(chain: Chain) -> None:
    chain.refuse("seed.deposited", "no party has begun", ceremony="c/1", party="dmc")
    chain.freeze(1)
    commit(chain, "dmc")
    chain.refuse("seed.deposited", "sponsor has not committed", ceremony="c/1", party="sponsor")

    deposit(chain, "dmc")

    assert chain.state.ceremonies["c/1"].deposited == {"dmc"}
    chain.refuse("seed.deposited", "dmc has deposited", by=who("dmc"), ceremony="c/1", party="dmc")


def test_a_ceremony_is_announced_once_and_after_somebody_has_committed(chain: Chain) -> None:
    body: dict[str, Any] = {"ceremony": "c/1", "doc_sha256": hex32("doc")}
    chain.freeze(1).refuse("seed.announced", "no party has begun", list=1, **body)
    commit(chain, "dmc")

    announce(chain)

    assert chain.state.ceremonies["c/1"].announced
    chain.refuse("seed.announced", "announced already", list=1, **body)


def test_the_beacon_comes_once_after_the_announcement_and_every_deposit(chain: Chain) -> None:
    beacon: dict[str, Any] = {"ceremony": "c/1", "value": hex32("beacon")}
    chain.freeze(1).refuse("seed.beacon", "no party has begun", **beacon)
    commit(chain, "dmc", "sponsor", "statistician")
    chain.refuse("seed.beacon", "is not announced", **beacon)
    announce(chain)
    chain.refuse("seed.beacon", "dmc, sponsor, statistician has not deposited", **beacon)
    deposit(chain, "statistician", "dmc")
    chain.refuse("seed.beacon", "sponsor has not deposited", **beacon)
    deposit(chain, "sponsor")

    chain.add("seed.beacon", **beacon)

    assert chain.state.ceremonies["c/1"].beacon
    chain.refuse("seed.beacon", "has its beacon already", **beacon)


def test_an_aborted_ceremony_goes_nowhere_and_stays(chain: Chain) -> None:
    chain.freeze(1).refuse("seed.aborted", "no party has begun", ceremony="c/1", code="x")
    commit(chain, "dmc")

    chain.add("seed.aborted", ceremony="c/1", code="dropped")

    assert chain.state.ceremonies["c/1"].aborted
    chain.refuse("seed.aborted", "was aborted", ceremony="c/1", code="dropped")
    chain.refuse("seed.deposited", "was aborted", ceremony="c/1", party="dmc")
    chain.refuse("seed.announced", "was aborted", ceremony="c/1", list=1, doc_sha256=hex32("d"))
    chain.refuse("seed.beacon", "was aborted", ceremony="c/1", value=hex32("beacon"))
    commit(chain, "dmc", ceremony="c/2")


def test_a_list_is_sealed_once(chain: Chain) -> None:
    chain.refuse("list.sealed", "list 1 has no frozen design", **chain.sealed())

    chain.seal(1)

    sealed = chain.state.lists[1]
    assert (sealed.root, sealed.slots, sealed.next_slot) == (hex32("R1"), (3, 2), [0, 0])
    assert (sealed.sealed_by, sealed.wraps[1].kid) == (STATISTICIAN[0], hex32("kid")[:16])
    assert not sealed.active
    chain.refuse("list.sealed", "sealed already", **chain.sealed(root=hex32("another")))


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"design_sha256": hex32("D1")}, "another design was frozen"),
        ({"root": hex32("R1")}, "this root was sealed before"),
        ({"sealing": 2}, "first sealing of a list is 1"),
        ({"slots": [1_000_001]}, "more than 1,000,000 slots"),
        ({"slots": [1_000_000, 1_000_000, 1]}, "more than 2,000,000 slots"),
    ],
)
def test_a_list_is_sealed_as_its_design_was_frozen_under_a_root_of_its_own(
    chain: Chain, changed: dict[str, Any], rule: str
) -> None:
    chain.seal(1).freeze(2)

    chain.refuse("list.sealed", rule, **chain.sealed(2, **changed))
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed(2, slots=[1_000_000, 1_000_000]))


def test_a_list_is_approved_once_by_another_than_who_sealed_it(chain: Chain) -> None:
    body: dict[str, Any] = {"list": 1, "root": hex32("R1")}
    chain.refuse("list.approved", "list 1 has no frozen", by=SECOND, root_checked=True, **body)
    chain.freeze(1)
    chain.refuse("list.approved", "list 1 is not sealed", by=SECOND, root_checked=True, **body)
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    self_made = (STATISTICIAN[0], "XB02", SECOND[2])
    chain.refuse("list.approved", "nobody approves", by=STATISTICIAN, root_checked=True, **body)
    chain.refuse("list.approved", "nobody approves", by=self_made, root_checked=True, **body)
    other: dict[str, Any] = {**body, "root": hex32("another")}
    chain.refuse("list.approved", "with another root", by=SECOND, root_checked=True, **other)

    chain.add("list.approved", by=SECOND, root_checked=True, **body)

    assert (chain.state.lists[1].approved_by, chain.state.lists[1].root_checked) == ("u3", True)
    chain.refuse("list.approved", "approved already", by=MANAGER, root_checked=True, **body)


def test_a_list_may_be_approved_with_its_root_unchecked_and_the_state_says_so(
    chain: Chain,
) -> None:
    chain.seal(1)

    chain.add("list.approved", by=SECOND, list=1, root=hex32("R1"), root_checked=False)

    assert not chain.state.lists[1].root_checked


def test_a_list_is_activated_once_and_after_its_approval(chain: Chain) -> None:
    chain.refuse("list.activated", "list 1 has no frozen design", list=1)
    chain.freeze(1).refuse("list.activated", "list 1 is not approved", list=1)
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    chain.refuse("list.activated", "list 1 is not approved", list=1)
    chain.add("list.approved", by=SECOND, list=1, root=hex32("R1"), root_checked=True)

    chain.add("list.activated", list=1)

    assert chain.state.lists[1].active
    chain.refuse("list.activated", "active already", list=1)


def test_a_list_is_sealed_anew_under_the_next_number(chain: Chain) -> None:
    body: dict[str, Any] = {"list": 1, "kid": hex32("new")[:16], "wrap_sha256": hex32("new")}
    chain.refuse("list.resealed", "list 1 has no frozen design", sealing=2, **body)
    chain.freeze(1).refuse("list.resealed", "list 1 is not sealed", sealing=1, **body)
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    for wrong in (1, 3):
        chain.refuse("list.resealed", "the next sealing is 2", sealing=wrong, **body)
    root = chain.state.lists[1].root

    chain.add("list.resealed", sealing=2, **body)
    chain.add("list.resealed", sealing=3, **body)

    wraps = chain.state.lists[1].wraps
    assert (sorted(wraps), chain.state.lists[1].root) == ([1, 2, 3], root)
    assert (wraps[1].kid, wraps[3].kid) == (hex32("kid")[:16], hex32("new")[:16])


def test_a_key_is_rewrapped_for_a_logged_sealing(chain: Chain) -> None:
    body: dict[str, Any] = {"list": 1, "kid": hex32("new")[:16], "wrap_sha256": hex32("new")}
    chain.refuse("key.rewrapped", "list 1 has no frozen design", sealing=1, **body)
    chain.freeze(1).refuse("key.rewrapped", "list 1 is not sealed", sealing=1, **body)
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    chain.refuse("key.rewrapped", "no such sealing", sealing=2, **body)

    chain.add("key.rewrapped", sealing=1, **body)

    assert chain.state.lists[1].wraps == {1: (hex32("new")[:16], hex32("new"))}


def test_a_design_is_read_and_a_list_regenerated_only_where_there_is_one(chain: Chain) -> None:
    chain.refuse("design.read", "list 1 has no frozen design", list=1)
    chain.refuse("list.regenerated", "list 1 has no frozen design", list=1, root_equal=True)
    chain.freeze(1).refuse("list.regenerated", "not sealed", list=1, root_equal=True)

    read = chain.add("design.read", by=STATISTICIAN, list=1)
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    chain.add("list.regenerated", list=1, root_equal=False)

    assert chain.state.design_reads == {read.seq: 1}


def test_a_list_whose_ceremony_was_begun_is_sealed_once_that_is_complete(chain: Chain) -> None:
    chain.freeze(1)
    commit(chain, "dmc", "sponsor")

    chain.refuse("list.sealed", "c/1 is not announced", by=STATISTICIAN, **chain.sealed())
    announce(chain)
    deposit(chain, "dmc")
    chain.refuse("list.sealed", "sponsor has not deposited", by=STATISTICIAN, **chain.sealed())
    deposit(chain, "sponsor")
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())


def test_a_list_whose_ceremony_was_dropped_is_sealed_without_one(chain: Chain) -> None:
    chain.freeze(1)
    commit(chain, "dmc")
    chain.add("seed.aborted", ceremony="c/1", code="dropped")

    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())


def test_one_ceremony_of_a_list_runs_at_a_time(chain: Chain) -> None:
    chain.freeze(1)
    commit(chain, "dmc")
    other: dict[str, Any] = {"ceremony": "c/2", "party": "dmc", "commitment": hex32("anew")}

    chain.refuse("seed.committed", "c/1 of this list is still running", list=1, **other)
    chain.add("seed.aborted", ceremony="c/1", code="dropped")
    chain.add("seed.committed", list=1, **other)

    assert chain.state.ceremonies["c/1"].aborted
    assert not chain.state.ceremonies["c/2"].aborted


@pytest.mark.parametrize("type_", ["seed.aborted", "seed.beacon"])
def test_a_ceremony_is_over_when_its_list_is_sealed(chain: Chain, type_: str) -> None:
    chain.freeze(1)
    commit(chain, "dmc")
    announce(chain)
    deposit(chain, "dmc")
    chain.add("list.sealed", by=STATISTICIAN, **chain.sealed())
    body: dict[str, Any] = {"code": "late"} if type_ == "seed.aborted" else {"value": hex32("b")}

    chain.refuse(type_, "the ceremony is over", ceremony="c/1", **body)


def test_a_person_is_one_party_and_a_party_one_person(chain: Chain) -> None:
    chain.freeze(1)
    commit(chain, "dmc", "sponsor")
    late: dict[str, Any] = {"ceremony": "c/1", "list": 1, "commitment": hex32("third")}

    chain.refuse(
        "seed.committed", "third and dmc are one person", by=who("dmc"), party="third", **late
    )
    for type_ in ("seed.deposited", "seed.revealed"):
        body = {"ceremony": "c/1", "party": "dmc"}
        chain.refuse(type_, "another person committed for dmc", by=who("sponsor"), **body)


def test_a_party_reveals_once_after_the_announcement_and_every_deposit(chain: Chain) -> None:
    body = {"ceremony": "c/1", "party": "dmc"}
    chain.freeze(1)
    commit(chain, "dmc", "sponsor")
    chain.refuse("seed.revealed", "nothing is announced", by=who("dmc"), **body)
    announce(chain)
    deposit(chain, "dmc")
    chain.refuse("seed.revealed", "sponsor has not deposited", by=who("dmc"), **body)
    deposit(chain, "sponsor")

    reveal(chain, "dmc")

    assert chain.state.ceremonies["c/1"].revealed == {"dmc"}
    chain.refuse("seed.revealed", "dmc has revealed", by=who("dmc"), **body)
