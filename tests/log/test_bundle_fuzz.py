"""Whatever is done to a bundle, package and file say the same, and nothing forged is accepted.

`verdict` itself checks that both accept, or that both refuse with the same first fault.
"""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.log.bundle import write_bundle
from tests.support.alone import verdict
from tests.support.bundle_attacks import FULL, SMALL
from tests.support.bundles import OTHER_LOG, Evidence, members_of, resealed
from tests.support.forgery import rechained, rewrite

EVIDENCE = {"small": SMALL, "full": FULL, "closed": Evidence().add_list().assign(0, 1).close()}
BUNDLES = {
    (name, unblinded): one.bundle(unblinded=unblinded)
    for name, one in EVIDENCE.items()
    for unblinded in (False, True)
}
# What nobody but the log vouches for: a README, and the verifier itself, which the file compares.
FREE = {"README.txt", "verify_bundle.py"}

TRUE = {which: verdict(one, EVIDENCE[which[0]].policy)[1] for which, one in BUNDLES.items()}

which = st.sampled_from(sorted(BUNDLES))


@settings(max_examples=150)
@given(data=st.data(), which=which)
def test_no_changed_byte_of_the_file_is_accepted(
    data: st.DataObject, which: tuple[str, bool]
) -> None:
    bundle = bytearray(BUNDLES[which])
    at = data.draw(st.integers(0, len(bundle) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "double"]))
    if how == "flip":
        bundle[at] ^= data.draw(st.integers(1, 255))
    elif how == "cut":
        del bundle[at : at + data.draw(st.integers(1, 200))]
    elif how == "insert":
        bundle[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    else:
        bundle[at:at] = bundle[at : at + 50]

    assert (
        bytes(bundle) == BUNDLES[which] or not verdict(bytes(bundle), EVIDENCE[which[0]].policy)[0]
    )


def changed(data: st.DataObject, content: bytes) -> bytes:
    """Return a member's content after some change."""
    lines = content.splitlines(keepends=True)
    how = data.draw(st.sampled_from(["flip", "cut", "drop", "double", "swap", "add", "empty"]))
    if how == "flip" and content:
        at = data.draw(st.integers(0, len(content) - 1))
        flipped = content[at] ^ data.draw(st.integers(1, 255))
        return content[:at] + bytes([flipped]) + content[at + 1 :]
    if how == "cut":
        return content[: data.draw(st.integers(0, len(content)))]
    if how in {"drop", "double", "swap"} and len(lines) > 1:
        at = data.draw(st.integers(0, len(lines) - 2))
        two = {"drop": [], "double": [lines[at]] * 2, "swap": [lines[at + 1], lines[at]]}[how]
        return b"".join([*lines[:at], *two, *lines[at + (2 if how == "swap" else 1) :]])
    return content + data.draw(st.binary(min_size=1, max_size=9)) if how == "add" else b""


@settings(max_examples=100)
@given(data=st.data(), which=which)
def test_a_changed_member_under_a_manifest_that_fits_is_never_taken_for_the_true_one(
    data: st.DataObject, which: tuple[str, bool]
) -> None:
    name, _unblinded = which
    members = members_of(BUNDLES[which])
    member = data.draw(st.sampled_from(sorted(members.keys() - {"MANIFEST.json"} - FREE)))
    before = members[member]
    members[member] = changed(data, before)

    good, said = verdict(resealed(members), EVIDENCE[name].policy)

    if good and members[member] != before:
        # Openings may be left out, and then that is told; cosignatures may be, or stand twice.
        if member.startswith("audit/checkpoint"):
            assert members[member].partition(b"\n\n")[0] == before.partition(b"\n\n")[0]
        else:
            assert member.endswith("openings.txt")
            assert said != TRUE[which]


@settings(max_examples=100)
@given(data=st.data(), which=which)
def test_members_may_be_missing_or_extra_and_both_say_the_same(
    data: st.DataObject, which: tuple[str, bool]
) -> None:
    members = members_of(BUNDLES[which])
    other = members_of(BUNDLES[data.draw(st.sampled_from(sorted(BUNDLES)))])
    for name in data.draw(st.sets(st.sampled_from(sorted(members)), max_size=3)):
        if name != "MANIFEST.json":
            members.pop(name)
    for name in data.draw(st.sets(st.sampled_from(sorted(other)), max_size=3)):
        if name != "MANIFEST.json":
            members[name] = other[name]

    verdict(resealed(members), EVIDENCE[which[0]].policy)


def forged_rows(data: st.DataObject, rows: Sequence[bytes]) -> list[bytes]:
    """Return a log that somebody has rewritten, chained anew or not."""
    at = data.draw(st.integers(0, len(rows) - 1))
    how = data.draw(st.sampled_from(["rewrite", "rechain", "drop", "double", "swap", "cut"]))
    if how == "rewrite":
        return [*rows[:at], rewrite(rows[at]), *rows[at + 1 :]]
    if how == "rechain":
        return rechained(rows, at, data.draw(st.integers(at + 1, len(rows))))
    if how == "cut":
        return list(rows[: at + 1])
    middle = {"drop": [], "double": [rows[at]] * 2, "swap": [*rows[at : at + 2]][::-1]}[how]
    return [*rows[:at], *middle, *rows[at + (2 if how == "swap" else 1) :]]


@settings(max_examples=150)
@given(data=st.data(), which=which, signer=st.sampled_from(["none", "another", "its own"]))
def test_a_rewritten_log_is_refused_unless_its_own_key_signed_it(
    data: st.DataObject, which: tuple[str, bool], signer: str
) -> None:
    evidence = EVIDENCE[which[0]]
    rows = forged_rows(data, evidence.rows)
    members = members_of(BUNDLES[which])
    members["audit/entries.ndjson"] = b"".join(row + b"\n" for row in rows)
    if signer != "none" and rows:
        keys = evidence.signers if signer == "its own" else (OTHER_LOG,)
        signed = Evidence(evidence.chain, signers=keys, cosigners=evidence.cosigners).sign(rows)
        members["audit/checkpoint"] = signed.encode()
        if signer == "its own":
            members = {k: v for k, v in members.items() if "checkpoints/" not in k}

    good, _ = verdict(resealed(members), evidence.policy)

    assert not good or rows == evidence.rows or signer == "its own"


def test_what_the_writer_writes_is_accepted_by_both() -> None:
    for (name, unblinded), bundle in BUNDLES.items():
        assert verdict(bundle, EVIDENCE[name].policy)[0]
        again = write_bundle(EVIDENCE[name].parts(unblinded=unblinded))
        assert again == bundle
