"""Bundles that somebody has made or changed, and why package and file refuse them.

Their manifests fit what was put in: whoever makes a bundle makes its manifest too.
"""

from collections.abc import Callable

import pytest

from alloc_service.core.canon import Json, canon, parse_object
from tests.support.alone import verdict
from tests.support.bundles import Evidence, full_evidence, members_of, resealed, small_evidence

Members = dict[str, bytes]

Change = Callable[[Members], object]

SMALL, FULL = small_evidence(), full_evidence()


def attacks(*rows: tuple[Change, str]) -> pytest.MarkDecorator:
    """Run a test with each change and the rule that refuses it."""
    ids = [str(number) for number in range(len(rows))]
    return pytest.mark.parametrize(("change", "rule"), rows, ids=ids)


def refusal(evidence: Evidence, bundle: bytes) -> str:
    good, said = verdict(bundle, evidence.policy)
    assert not good
    assert isinstance(said, tuple)
    return str(said[1])


def refused(evidence: Evidence, change: Change, *, unblinded: bool = True) -> str:
    """Return why a bundle is refused whose members were changed and named anew."""
    members = members_of(evidence.bundle(unblinded=unblinded))
    change(members)
    return refusal(evidence, resealed(members))


def replaced(name: str, old: bytes, new: bytes) -> Change:
    def change(members: Members) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)

    return change


def edited(name: str, **changed: Json) -> Change:
    """Change fields of a member of canonical JSON."""

    def change(members: Members) -> None:
        members[name] = canon({**parse_object(members[name]), **changed})

    return change


def put(name: str, data: bytes) -> Change:
    return lambda members: members.update({name: data})


def drop(name: str) -> Change:
    return lambda members: members.pop(name)
