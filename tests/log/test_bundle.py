"""Bundles: what is in them, the same bytes for the same state, and what a good one tells."""

import hashlib
import json
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from alloc_service.core.canon import Json
from alloc_service.log.bundle import MOST_CHECKPOINTS, choose_sizes, write_bundle
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.note import Signer
from tests.support.alone import verdict
from tests.support.bundles import (
    LOG,
    WITNESSES,
    Evidence,
    full_evidence,
    members_of,
    private,
    resealed,
    small_evidence,
)
from tests.support.chain import ADMINISTRATOR, MANAGER, ORIGIN, SECOND, as_body, hex32

NEW_LOG = Signer(ORIGIN, private("new log"))


def found(evidence: Evidence, *, unblinded: bool = False, designs: bool = True) -> dict[str, str]:
    """Return what a good bundle's report says, each part as one text."""
    data = evidence.bundle(unblinded=unblinded, designs=designs)
    good, said = verdict(data, evidence.policy)
    assert good, said
    assert isinstance(said, dict)
    return {
        name: "\n".join(part) if isinstance(part, tuple) else str(part)
        for name, part in said.items()
    }


def test_the_same_state_gives_the_same_bytes() -> None:
    for make in (small_evidence, full_evidence):
        for unblinded in (False, True):
            assert make().bundle(unblinded=unblinded) == make().bundle(unblinded=unblinded)


def test_a_blinded_bundle_has_its_members_and_no_arm() -> None:
    data = full_evidence().bundle()

    assert list(read_members(data)) == [
        "MANIFEST.json",
        "README.txt",
        "audit/checkpoint",
        "audit/checkpoints/18",
        "audit/checkpoints/35",
        "audit/entries.ndjson",
        "lists/1/ceremony.json",
        "lists/1/leaves.bin",
        "lists/2/leaves.bin",
        "policy.txt",
        "verify_bundle.py",
    ]
    assert b"MOON" not in data
    assert b"SUN" not in data


def test_an_unblinded_bundle_has_openings_and_designs_and_after_the_end_seeds() -> None:
    before, after = small_evidence(), full_evidence()

    during = read_members(before.bundle(unblinded=True))
    assert {"lists/1/design.json", "lists/1/openings.txt"} <= during.keys()
    assert "lists/1/seed.json" not in during
    assert "lists/1/design.json" not in read_members(before.bundle(unblinded=True, designs=False))
    assert "lists/2/seed.json" in read_members(after.bundle(unblinded=True))
    lines = during["lists/1/openings.txt"].decode().splitlines()
    assert [int(line.partition("\t")[0]) for line in lines] == [0, 1, 2, 3, 8, 9]


def test_the_manifest_has_the_hash_and_size_of_every_other_member() -> None:
    members = read_members(small_evidence().bundle())
    manifest = json.loads(members.pop("MANIFEST.json"))

    assert manifest == {
        "build": "blinded",
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
        },
        "origin": ORIGIN,
        "size": 12,
        "v": "rac-bundle/1",
    }


def test_a_blinded_bundle_is_not_given_what_it_must_not_hold() -> None:
    parts = small_evidence().parts(unblinded=True)

    with pytest.raises(ValueError, match="blinded"):
        write_bundle(replace(parts, unblinded=False))


def test_of_many_checkpoints_some_are_taken_evenly_and_the_largest_always() -> None:
    assert choose_sizes([3, 1, 2]) == [1, 2, 3]
    assert choose_sizes([]) == []
    chosen = choose_sizes(list(range(1, 1_001)))
    assert len(chosen) == MOST_CHECKPOINTS
    assert chosen == sorted(set(chosen))
    assert chosen[-1] == 1_000
    assert {after - before for before, after in pairwise(chosen)} == {3, 4}


def test_of_many_checkpoints_those_that_are_needed_are_taken() -> None:
    many = list(range(1, 1_001))

    chosen = choose_sizes(many, {7, 8, 5_000})
    assert {7, 8, 1_000} <= set(chosen)
    assert len(chosen) == MOST_CHECKPOINTS
    assert choose_sizes([3, 1, 2], {2}) == [1, 2, 3]
    assert choose_sizes(many, many) == many[-MOST_CHECKPOINTS:]


def test_the_checkpoint_at_which_the_key_changed_is_not_left_out() -> None:
    evidence = rotated()
    change = max(evidence.notes)
    while len(evidence.notes) < 2 * MOST_CHECKPOINTS:
        evidence.chain.add("log.exported", upto=0)
        evidence.keep_note()
    evidence.chain.add("log.exported", upto=0)
    parts = evidence.parts()
    assert change not in choose_sizes(list(evidence.notes))

    assert verdict(write_bundle(replace(parts, needed=frozenset({change}))), FIRST_POLICY)[0]
    assert not verdict(write_bundle(parts), FIRST_POLICY)[0]


def test_what_was_not_there_is_told() -> None:
    blinded, during = found(small_evidence()), found(small_evidence(), unblinded=True)

    for said in ("No witness's key", "no quorum", "No opening of list 1", "No design of list 1"):
        assert said in blinded["unchecked"]
    assert "No seed of list 1" in blinded["unchecked"]
    assert "No seed of list 1" in during["unchecked"]
    assert "No design" not in during["unchecked"]
    assert "openings that are those of their leaves: 6" in during["checked"]
    alone = found(small_evidence(), unblinded=True, designs=False)
    assert "No design of list 1" in alone["unchecked"]


def test_with_everything_there_only_the_missing_cosignature_is_left() -> None:
    said = found(full_evidence(), unblinded=True)

    assert said["told"] == ""
    assert said["unchecked"] == (
        f"No checkpoint that {WITNESSES[2].name} has cosigned covers the entries from 0 on."
    )
    for sentence in (
        "A quorum of the policy has cosigned the first 36 entries.",
        "List 1: design and seed give the very list that was sealed.",
        "List 2: design and seed give the very list that was sealed.",
    ):
        assert sentence in said["checked"]


def test_a_list_without_a_spent_slot_needs_no_opening() -> None:
    evidence = Evidence().add_list()

    assert "No opening" not in found(evidence)["unchecked"]
    assert "openings" not in found(evidence, unblinded=True)["checked"]


def test_a_trial_without_a_list_has_a_bundle() -> None:
    assert found(Evidence())["size"] == "1"


def test_openings_that_are_missing_are_counted() -> None:
    evidence = small_evidence()
    members = members_of(evidence.bundle(unblinded=True))
    lines = members["lists/1/openings.txt"].splitlines(keepends=True)
    members["lists/1/openings.txt"] = b"".join(lines[1:-1])

    good, said = verdict(resealed(members), evidence.policy)

    assert good
    assert "Spent slots of list 1 without their opening here: 2." in str(said)


def test_ceremonies_that_were_dropped_are_counted_and_named() -> None:
    evidence = Evidence()
    evidence.chain.freeze(7)
    for name in ("c-a", "c-b"):
        commitment = hex32(name)
        evidence.chain.add(
            "seed.committed", ceremony=name, list=7, party="dmc", commitment=commitment
        )
        evidence.chain.add("seed.aborted", ceremony=name, code="absent")

    told = found(evidence)["told"]

    assert "Seed ceremonies that were begun and dropped: 2 (c-a of list 7, c-b of list 7)." in told
    assert not any("handed in" in sentence for sentence in told)


def test_a_ceremony_that_was_dropped_when_its_list_could_be_known_is_told_apart() -> None:
    evidence = Evidence()
    add = evidence.chain.add
    evidence.chain.freeze(7)
    for name in ("c-a", "c-b"):
        commitment = hex32(name)
        add("seed.committed", ceremony=name, list=7, party="dmc", commitment=commitment)
        add("seed.deposited", ceremony=name, party="dmc")
        add("seed.announced", ceremony=name, list=7, doc_sha256=hex32("document"))
        if name == "c-b":
            add("seed.revealed", ceremony=name, party="dmc")
        add("seed.aborted", ceremony=name, code="rehearsal")

    told = found(evidence)["told"]

    assert "Seed ceremonies that were begun and dropped: 2 (c-a of list 7, c-b of list 7)." in told
    assert "Dropped after every share was handed in: 1 (c-b). Ask why." in told


def test_a_suspended_gate_and_what_was_opened_meanwhile_are_told() -> None:
    evidence = Evidence().witnessed().add_list()
    evidence.chain.add(
        "gate.suspended",
        by=MANAGER,
        until="2026-01-03T09:00:00Z",
        code="outage",
        reason_sha256="",
        second=as_body(SECOND),
    )
    evidence.assign(0, 1)
    evidence.chain.add("gate.resumed")
    evidence.assign(0)

    told = found(evidence)["told"]

    assert "Suspensions of the gate: 1 (entries 6)." in told
    assert "while the gate was suspended: of entries 7, 8." in told
    assert "no gate" not in told


def test_a_recovery_and_a_trial_without_a_gate_are_told() -> None:
    evidence = small_evidence()
    evidence.chain.recover()

    told = found(evidence)["told"]

    assert "Recoveries of the log: 1;" in told
    assert "The trial has no gate now" in told


def test_entries_that_no_quorum_covers_yet_are_told() -> None:
    evidence = Evidence().witnessed().add_list().keep_note()
    evidence.assign(0)
    evidence.cosigners = ()

    said = found(evidence)

    assert "A quorum of the policy has cosigned the first 6 entries." in said["checked"]
    assert (
        "No quorum has cosigned a checkpoint that covers the entries from 6 on."
        in (said["unchecked"])
    )


def test_a_policy_from_before_the_witnesses_is_told_to_be_another() -> None:
    evidence = small_evidence()
    before = evidence.policy
    evidence.witnessed()

    good, said = verdict(evidence.bundle(), before)

    assert good
    assert "The policy in the bundle is not yours" in str(said)
    assert "is not yours" not in found(evidence)["told"]


FIRST_POLICY = small_evidence().policy


def rotated() -> Evidence:
    """Return a trial whose log's key has changed."""
    evidence = small_evidence()
    evidence.chain.add("key.created", by=ADMINISTRATOR, vkey=LOG.verifier.vkey)
    evidence.chain.add("key.rotated", by=ADMINISTRATOR, vkey=NEW_LOG.verifier.vkey)
    evidence.signers = (LOG, NEW_LOG)
    evidence.keep_note()
    evidence.assign(1)
    evidence.signers = (NEW_LOG,)
    return evidence


def test_a_changed_key_is_followed_from_the_old_policy() -> None:
    evidence = rotated()

    good, said = verdict(evidence.bundle(), FIRST_POLICY)

    assert good
    assert f"The log's key was changed; it is {NEW_LOG.verifier.vkey} now." in str(said)
    assert "The policy in the bundle is not yours" in str(said)


def test_a_new_policy_tells_of_the_checkpoints_of_the_old_key() -> None:
    said = found(rotated())

    assert (
        "Checkpoints of an older key than the one that was given, not opened: 2."
        in said["unchecked"]
    )
    assert "The log's key was changed" not in said["told"]


def test_drands_value_must_be_looked_up_elsewhere() -> None:
    beacon: dict[str, Json] = {"kind": "drand-quicknet", "chain": hex32("chain"), "round": 657_413}
    evidence = Evidence().hold_ceremony(1, beacon, hex32("value"))

    assert (
        f"Whether {hex32('value')} is what drand published for round 657413"
        in (found(evidence)["unchecked"])
    )


def test_a_ceremony_without_a_beacon_is_good() -> None:
    said = found(Evidence().hold_ceremony().assign(0).close(), unblinded=True)

    assert "List 1: design and seed give the very list that was sealed." in said["checked"]


def test_a_ceremony_whose_document_is_missing_is_told() -> None:
    evidence = Evidence().hold_ceremony().close()
    members = members_of(evidence.bundle(unblinded=True))
    del members["lists/1/ceremony.json"]

    good, said = verdict(resealed(members), evidence.policy)

    assert good
    assert "The document of the ceremony c-1 of list 1 is not here." in str(said)


def test_a_seed_without_a_design_makes_nothing_anew() -> None:
    evidence = Evidence().add_list().close()
    members = members_of(evidence.bundle(unblinded=True))
    del members["lists/1/design.json"]

    good, said = verdict(resealed(members), evidence.policy)

    assert good
    assert "No design of list 1" in str(said)
    assert "give the very list" not in str(said)


def test_another_readme_or_verifier_is_told() -> None:
    evidence = small_evidence()
    members = members_of(evidence.bundle())
    members["README.txt"] += b"Trust me.\n"

    good, said = verdict(resealed(members), evidence.policy)

    assert good
    assert "The README.txt in the bundle is not the one" in str(said)


def test_the_readmes_commands_give_the_hashes_by_hand(tmp_path: Path) -> None:
    evidence = full_evidence()
    members = members_of(evidence.bundle(unblinded=True))
    for name, data in members.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    readme = (tmp_path / "README.txt").read_text()

    def by_hand(command: str, **named: str) -> str:
        first = command.split("{}", maxsplit=1)[0]
        assert first in readme, first
        for name, value in named.items():
            command = command.replace(name, value)
        command = command.replace("{}", "")
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        words = done.stdout.split()
        return "".join(words) if " od " in command else words[-1 if "openssl" in command else 0]

    made, entry = evidence.lists[1], evidence.chain.entries[4]
    line = "{ printf '\\0'; sed -n 'LINEp' audit/entries.ndjson | tr -d '\\n'; } {}| sha256sum"
    assert by_hand(line, LINE="5") == entry.leaf
    opening = made.generated.opening(0, 2).text
    hashed = "{ printf '\\0'; printf %s 'rac-slot/1|...'; } | sha256sum"
    leaf = by_hand(hashed, **{"rac-slot/1|...": opening})
    assert leaf == made.leaf(0, 2)
    stored = "tail -c +$((32*INDEX+1)) lists/1/leaves.bin | head -c 32 | od -An -v -tx1"
    assert by_hand(stored, INDEX="2") == leaf
    assert by_hand("sha256sum lists/1/design.json") == made.design.sha256
    document = by_hand("sha256sum lists/1/ceremony.json")
    assert document == evidence.chain.state.ceremonies["c-1"].announced
    reveals, value = made.opened.reveals, made.opened.beacon
    commitment = by_hand(
        "printf %s 'rac-commit/1|D|CEREMONY|PARTY|REVEAL' | sha256sum",
        **{"D|CEREMONY|PARTY|REVEAL": f"{made.design.sha256}|c-1|dmc|{reveals[0]}"},
    )
    assert commitment == evidence.chain.state.ceremonies["c-1"].commitments["dmc"]
    seed = by_hand(
        "printf %s 'rac-seed/1|REVEAL|REVEAL|BEACON' {}| openssl dgst -sha256 -hmac DOC_SHA256",
        **{"REVEAL|REVEAL|BEACON": "|".join((*reveals, str(value))), "DOC_SHA256": document},
    )
    assert seed == made.opened.seed.digits
