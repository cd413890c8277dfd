"""Every member of a bundle, damaged in every way, under a manifest that fits it."""

import pytest

from alloc_service.core.generate import Opening
from alloc_service.errors import IntegrityError
from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.policy import parse_policy
from tests.support.bundles import full_evidence, members_of, resealed
from tests.support.damages import DAMAGES

EVIDENCE = full_evidence()
POLICY = parse_policy(EVIDENCE.policy)
MEMBERS = members_of(EVIDENCE.bundle(unblinded=True))
OPENINGS = [
    Opening.parse(line.split("\t")[1])
    for name, data in MEMBERS.items()
    if name.endswith("openings.txt")
    for line in data.decode().splitlines()
]
# What nobody who verifies a bundle reads: it is for a person, or is compared by its hash alone.
UNREAD = {"README.txt", "verify_bundle.py"}
READ = sorted(MEMBERS.keys() - UNREAD - {"MANIFEST.json"})


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READ)
def test_a_damaged_member_is_refused_by_its_name_and_not_repeated(name: str, damage: str) -> None:
    changed = DAMAGES[damage](MEMBERS[name])
    assert changed != MEMBERS[name] or damage == "crlf"
    if changed == MEMBERS[name] or (name.endswith("openings.txt") and not changed):
        return  # it holds no line end; or it shows no slot, which a bundle need not

    with pytest.raises(IntegrityError) as refusal:
        verify_bundle(resealed({**MEMBERS, name: changed}), POLICY)

    said = str(refusal.value)
    assert (name if name != "audit/entries.ndjson" else "log") in said
    for opening in OPENINGS:
        assert opening.nonce not in said
        assert f"|{opening.arm}|" not in said


def test_the_bundle_that_was_not_damaged_is_good() -> None:
    assert len(OPENINGS) > 5
    assert verify_bundle(resealed(MEMBERS), POLICY).checked
