"""Bundles whose form or log somebody has changed: each is refused with its rule."""

import pytest

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.log.bundle import write_bundle
from alloc_service.log.note import Verifier
from tests.support.alone import verdict
from tests.support.bundle_attacks import (
    FULL,
    SMALL,
    Change,
    attacks,
    drop,
    edited,
    put,
    refusal,
    refused,
    replaced,
)
from tests.support.bundles import (
    LOG,
    OTHER_LOG,
    WITNESSES,
    Evidence,
    members_of,
    resealed,
    small_evidence,
    zipped,
)
from tests.support.chain import PHYSICIAN, hex32
from tests.support.forgery import rechained, rewrite


@pytest.mark.parametrize(
    "name",
    ["README.txt", "audit/checkpoint", "audit/entries.ndjson", "policy.txt", "verify_bundle.py"],
)
def test_a_needed_member_that_is_missing_is_named(name: str) -> None:
    assert f"{name}: it is missing" in refused(SMALL, drop(name))


def test_the_manifest_names_every_member_and_nothing_else() -> None:
    members = members_of(SMALL.bundle())

    def changed(**files: Json) -> str:
        manifest = parse_object(members["MANIFEST.json"])
        known = manifest["files"]
        assert isinstance(known, dict)
        left = {key: value for key, value in {**known, **files}.items() if value is not None}
        new = {**members, "MANIFEST.json": canon({**manifest, "files": left})}
        return refusal(SMALL, zipped(new.items()))

    entry: Json = {"sha256": hex32("x"), "size": 1}
    assert "audit/x: it is missing, and the manifest names it" in changed(**{"audit/x": entry})
    assert "policy.txt: the manifest does not name it" in changed(**{"policy.txt": None})
    assert "policy.txt: its hash or size is not" in changed(**{"policy.txt": entry})
    assert "MANIFEST.json: it is missing" in refusal(
        SMALL, zipped((name, data) for name, data in members.items() if name != "MANIFEST.json")
    )


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"v": "rac-bundle/2"}, "not spelled as rac-bundle/1"),
        ({"more": 1}, "not spelled as rac-bundle/1"),
        ({"build": "half"}, "its build is neither"),
        ({"build": ["blinded"]}, "its build is neither"),
        ({"build": {}}, "its build is neither"),
        ({"origin": 1}, "its origin or size is none"),
        ({"origin": "x"}, "its origin or size is none"),
        ({"size": 0}, "its origin or size is none"),
        ({"size": True}, "its origin or size is none"),
        ({"size": "12"}, "its origin or size is none"),
        ({"files": []}, "its files are no object"),
        ({"size": 11}, "the log has 12 entries"),
        ({"build": "blinded"}, "lists/1/design.json: a blinded bundle must not hold it"),
    ],
)
def test_a_manifest_that_is_none_is_refused(changed: dict[str, Json], rule: str) -> None:
    members = members_of(SMALL.bundle(unblinded=True))
    edited("MANIFEST.json", **changed)(members)

    assert rule in refusal(SMALL, zipped(members.items()))
    broken = {**members, "MANIFEST.json": b"{"}
    assert "MANIFEST.json: it is not canonical JSON" in refusal(SMALL, zipped(broken.items()))


def test_a_log_that_the_policy_does_not_know_is_refused() -> None:
    other = Verifier("rac.example.org/OTHER/audit", LOG.verifier.public)

    good, said = verdict(SMALL.bundle(), f"log {other.vkey}\nquorum none\n")

    assert (good, "it knows the log" in str(said)) == (False, True)


@pytest.mark.parametrize("name", ["audit/x", "lists/1/arms.csv", "lists/0/leaves.bin", "x.txt"])
def test_a_member_that_the_format_does_not_have_is_refused(name: str) -> None:
    assert f"{name}: rac-bundle/1 has no member" in refused(SMALL, put(name, b""))


def test_a_log_signed_by_another_key_is_refused() -> None:
    forged = small_evidence()
    forged.signers, forged.notes = (OTHER_LOG,), {}

    assert "no trusted key" in refusal(SMALL, forged.bundle())


def test_the_policy_inside_does_not_count() -> None:
    forged = small_evidence()
    forged.signers, forged.notes = (OTHER_LOG,), {}
    members = members_of(forged.bundle())
    assert OTHER_LOG.verifier.vkey.encode() in members["policy.txt"]
    members["audit/checkpoint"] = SMALL.sign().encode()

    assert "policy.txt: it is not what the log says" in refusal(SMALL, resealed(members))
    assert "policy.txt: it is not what the log says" in refused(SMALL, put("policy.txt", b"\xff"))


def test_a_checkpoint_is_of_the_size_that_its_place_says() -> None:
    earlier = SMALL.notes[11].encode()

    assert "it is not of all 12 entries, but of 11" in refused(
        SMALL, put("audit/checkpoint", earlier)
    )
    for size in (9, 12):
        said = refused(SMALL, put(f"audit/checkpoints/{size}", earlier))
        assert f"audit/checkpoints/{size}: it is a checkpoint of size 11" in said
    whole = SMALL.sign().encode()
    assert "checkpoint of size 12" in refused(SMALL, put("audit/checkpoints/12", whole))
    assert "UTF-8" in refused(SMALL, put("audit/checkpoint", b"\xff"))


@attacks(
    (replaced("audit/entries.ndjson", b'"cap":500', b'"cap":501'), "from entry 0"),
    (replaced("audit/entries.ndjson", b"\n", b"\r\n"), "CR LF"),
    (replaced("audit/entries.ndjson", b'"cap"', b'"cop"'), "cannot be read"),
    (replaced("audit/checkpoint", b"12\n", b"13\n"), "signature of"),
    (put("audit/checkpoint", b""), "audit/checkpoint: line 1: it ends without a line end"),
    (put("audit/entries.ndjson", b""), "missing: a checkpoint vouches"),
)
def test_a_changed_log_is_refused(change: Change, rule: str) -> None:
    assert rule in refused(SMALL, change)


def test_a_log_written_anew_is_refused_by_its_checkpoints() -> None:
    rows = rechained(SMALL.rows, 4, len(SMALL.rows))
    forged = b"".join(row + b"\n" for row in rows)

    assert "from entry 0" in refused(SMALL, put("audit/entries.ndjson", forged))


def test_a_rule_of_the_log_that_is_broken_is_named_although_all_is_signed() -> None:
    evidence = small_evidence()
    skipped = evidence.chain.slot("skips", 1, 5)
    evidence.chain.entries.append(evidence.chain.write("slot.assigned", by=PHYSICIAN, **skipped))

    assert "it is not the stratum's next slot" in refusal(evidence, evidence.bundle())


def test_two_signed_histories_are_a_split_view() -> None:
    rows = rechained(SMALL.rows, 9, 11)
    other = SMALL.sign(rows[:11])

    members = members_of(SMALL.bundle())
    members["audit/checkpoints/10"] = other.encode()
    assert "Two histories" in refusal(SMALL, resealed(members))


def test_no_checkpoint_with_a_quorum_is_refused() -> None:
    evidence = Evidence().witnessed()
    evidence.cosigners = WITNESSES[:1]

    said = refusal(evidence, evidence.bundle())

    assert "no checkpoint here has the cosignatures of the policy's quorum" in said
    evidence.cosigners = (WITNESSES[1],) * 2  # one witness twice is one witness
    assert "no checkpoint here" in refusal(evidence, evidence.bundle())


def test_what_was_rewritten_and_signed_anew_by_the_log_itself_is_still_bound_by_witnesses() -> None:
    rows = [rewrite(row) if seq == 8 else row for seq, row in enumerate(FULL.rows)]
    forged = write_bundle(FULL.parts(rows=rows))

    assert refusal(FULL, forged)
