"""What the fuzzer found is run again, without it; and each oracle notices a reader gone wrong.

A finding's input is kept for ever in `corpus/TARGET/finding-…`, and what a person made stands in
`case-…`; the others were chosen for what they reach. So that no oracle is a toy, the package is
spoiled in one place at a time, and an assertion of the target must notice it on some input.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import pytest

from alloc_service.core import canon, design, merkle
from alloc_service.log import bundle_archive, bundle_check, entry, note, policy, receipt, rules
from alloc_service.log import witness as witnesses
from alloc_service.log.entry import Body, Entry
from alloc_service.log.state import LogState
from alloc_service.sealing import doors, package, wire
from tests.fuzz.reduce import MOST, name_of
from tests.fuzz.seeds import SEEDS
from tests.fuzz.tape import CHANGES, Tape, script, vary
from tests.fuzz.targets import CORPUS, TARGETS, inputs_of
from tests.support.alone import alone

LARGEST = 100 * 2**10
# Of each target, what some inputs must come to.
OUTCOMES: Mapping[str, set[str]] = {
    "canon": {"accepted", "refused"},
    "spelling": {"accepted", "refused", "no JSON"},
    "documents": {"accepted", "refused"},
    "entry": {"accepted", "refused"},
    "fold": {"accepted", "refused", "accepted and refused"},
    "note": {
        "accepted", "unknown", "refused", "accepted signed", "refused signed",
        "accepted checkpoint", "refused checkpoint", "accepted key", "refused key",
    },
    "policy": {"accepted", "refused"},
    "witness": {"accepted", "refused", "no request"},
    "merkle": {"accepted", "refused", "accepted consistency", "refused consistency"},
    "receipt": {"accepted", "refused"},
    "archive": {"accepted, accepted", "accepted, refused", "refused, refused"},
    "bundle": {
        "good file", "refused file", "good member", "refused member", "left out",
        "good manifest", "refused manifest", "good set", "refused set",
    },
    "package": {
        "accepted file", "refused file", "accepted manifest", "refused manifest",
        "accepted member", "refused member",
    },
    "wire": {
        "check_request: accepted", "check_request: refused", "check_answer: accepted",
        "check_answer: refused", "check_answer: a refusal", "check_unlock: accepted",
        "check_unlock: refused", "check_crossing: crossed",
    },
    "frame": {"received", "refused"},
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_fuzzer_found_is_well_today(name: str) -> None:
    outcomes = Counter(TARGETS[name](path.read_bytes()) for path in inputs_of(name))

    assert outcomes.keys() >= OUTCOMES[name]


@pytest.mark.parametrize("name", TARGETS)
def test_a_corpus_is_small_and_named_by_what_it_holds(name: str) -> None:
    paths = inputs_of(name)
    chosen = [path for path in paths if "-" not in path.name]

    assert len(chosen) <= MOST
    assert sum(path.stat().st_size for path in paths) <= LARGEST
    for path in chosen:
        assert path.name == name_of(path.read_bytes())


def test_every_target_has_a_corpus_and_seeds() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys() == SEEDS.keys()


def test_a_tape_without_changes_is_the_example_and_each_change_makes_another() -> None:
    examples = [b"one\ntwo\n", b'{"three":[3,4]}\n']

    for number, example in enumerate(examples):
        assert vary(Tape(script(number)), examples) == (example, number, False)
    assert vary(Tape(b"\0raw"), examples) == (b"raw", -1, True)
    for change in CHANGES:
        made = [vary(Tape(script(0, (change, 3, what))), examples) for what in range(6)]
        assert any(one.is_changed and one.data != examples[0] for one in made)


class Spoil(NamedTuple):
    """A wrong variation of the package: where, what, and what stands there instead."""

    target: str
    places: Sequence[tuple[Any, str, Any]]


def nothing(*_: object, **__: object) -> None:
    """Check nothing."""


def count_first(state: LogState, found: Entry, body: Body) -> None:
    """Change the state before anything is demanded, as a careless rule would."""
    state.cap += 1
    _ASSIGNED(state, found, body)


def one_is_enough(self: policy.Policy, cosigners: Sequence[str]) -> bool:
    """Take any one witness for a quorum."""
    return self.quorum == policy.NO_QUORUM or bool(cosigners)


def keep_open(state: LogState, _found: Entry, _body: Body) -> None:
    """Close nothing."""
    state.cap += 1


def read_loosely(fields: Any, read: Callable[[Any], Any], _write: object) -> Any:
    """Believe a message without spelling it anew."""
    try:
        return read(fields)
    except (KeyError, TypeError, ValueError):
        raise wire.FrameError("no") from None


_ASSIGNED = rules._RULES["slot.assigned"]
FILE = alone()

SPOILS: Mapping[str, Spoil] = {
    "text that is not NFC": Spoil("canon", [(canon, "_check_text", nothing)]),
    "any depth": Spoil("canon", [(canon, "DEEPEST_NESTING", 45)]),
    "long integers": Spoil("spelling", [(canon, "LARGEST_INTEGER", 2**60)]),
    "an unknown key of a design": Spoil("documents", [(design, "_check_keys", nothing)]),
    "the 30th of February": Spoil("entry", [(entry, "_is_real", lambda _time: True)]),
    "no demands": Spoil("fold", [(rules, "demand", nothing)]),
    "a change before a refusal": Spoil(
        "fold", [(rules, "_RULES", {**rules._RULES, "slot.assigned": count_first})]
    ),
    "a trial that does not close": Spoil(
        "fold", [(rules, "_RULES", {**rules._RULES, "trial.closed": keep_open})]
    ),
    "any signature": Spoil("note", [(note, "check_signature", nothing)]),
    "words at any space": Spoil(
        "policy", [(one, "_WORD", re.compile(r"\S+")) for one in (policy, FILE)]
    ),
    "one witness for a quorum of two": Spoil(
        "policy", [(one.Policy, "is_met_by", one_is_enough) for one in (policy, FILE)]
    ),
    "any consistency": Spoil("witness", [(witnesses, "verify_consistency", nothing)]),
    "any inclusion proof": Spoil("merkle", [(merkle, "verify_inclusion", nothing)]),
    "any consistency proof": Spoil("merkle", [(merkle, "verify_consistency", nothing)]),
    "a receipt of one verifier alone": Spoil("receipt", [(receipt, "verify_inclusion", nothing)]),
    "a receipt's proof": Spoil(
        "receipt", [(receipt, "verify_inclusion", nothing), (FILE, "verify_inclusion", nothing)]
    ),
    "an archive's names and order": Spoil("archive", [(bundle_archive, "_require", nothing)]),
    "a bundle's policy": Spoil(
        "bundle", [(bundle_check, "_check_policy", nothing), (FILE, "_check_policy", nothing)]
    ),
    "a bundle of one verifier alone": Spoil("bundle", [(FILE, "_check_policy", nothing)]),
    "a package's names and sizes": Spoil(
        "package", [(package, "_check_strata", nothing), (package, "_check_sizes", nothing)]
    ),
    "fields too many": Spoil("wire", [(wire, "_whole", read_loosely)]),
    "frames of any length": Spoil("frame", [(doors, "LARGEST_FRAME", 2**40)]),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_an_oracle_notices_what_is_wrong(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name, wrong in spoil.places:
        monkeypatch.setattr(place, name, wrong)

    with pytest.raises(AssertionError):
        _run_all(spoil.target)


def _run_all(name: str) -> NoReturn:
    """Run a target's corpus until an assertion fails; what else breaks is not counted."""
    for path in inputs_of(name):
        try:
            TARGETS[name](path.read_bytes())
        except AssertionError:
            raise
        except Exception:  # noqa: BLE001, S112  a spoiled reader may break in any way
            continue
    pytest.fail("nobody has noticed")
