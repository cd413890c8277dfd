"""Go's checksum database opens our checkpoints and follows our proofs, and refuses changed ones.

It is golang.org/x/mod/sumdb, as Debian packages it: `note` for signed notes, `tlog` for RFC 6962.
"""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from alloc_service.core.merkle import leaf_hash
from alloc_service.errors import NoteError
from alloc_service.log.note import Verifier, open_note
from tests.support.programs import require_program
from tests.support.published import PublishedLog, changed

SOURCE = Path(__file__).parent / "go" / "main.go"
PACKAGES = "golang-go golang-golang-x-mod-dev"
GOPATH = "/usr/share/gocode"

Case: TypeAlias = dict[str, Any]
Go: TypeAlias = Callable[[Sequence[Case]], list[str]]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    """Compile the program, and return it: from cases to the reason of each refusal, or none."""
    folder = tmp_path_factory.mktemp("go")
    compiler = require_program("go", PACKAGES)
    if not Path(GOPATH, "src/golang.org/x/mod/sumdb/note").is_dir():
        pytest.fail(f"golang.org/x/mod is not installed here; `apt-get install {PACKAGES}`")
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GOCACHE": str(folder / "cache"),
        "GOPATH": GOPATH, "GO111MODULE": "off", "GOPROXY": "off",
    }  # fmt: skip
    program = folder / "verify"
    built = subprocess.run(
        [compiler, "build", "-o", program, SOURCE], env=environ, capture_output=True, check=False
    )
    assert built.returncode == 0, built.stderr.decode()

    def verify(cases: Sequence[Case]) -> list[str]:
        done = subprocess.run(
            [program], input=json.dumps(cases).encode(), capture_output=True, check=True
        )
        reasons: list[str] = json.loads(done.stdout)
        assert len(reasons) == len(cases) > 0
        return reasons

    return verify


def spell(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def note_case(note: bytes, text: str, key: str) -> Case:
    return {"check": "note", "note": spell(note), "text": spell(text.encode()), "key": key}


def inclusion_case(log: PublishedLog, index: int, size: int) -> Case:
    return {
        "check": "inclusion", "proof": [*map(spell, log.inclusion(index, size))], "size": size,
        "root": spell(log.root(size)), "index": index, "entry": spell(log.entries[index]),
    }  # fmt: skip


def consistency_case(log: PublishedLog, old: int, size: int) -> Case:
    return {
        "check": "consistency", "proof": [*map(spell, log.consistency(old, size))], "size": size,
        "root": spell(log.root(size)), "old": old, "old_root": spell(log.root(old)),
    }  # fmt: skip


def damaged(case: Case) -> list[Case]:
    """Return the case with one byte changed, in each of its hashes and in its entry."""
    cases = [
        case | {name: spell(changed(base64.b64decode(case[name]), 7))}
        for name in ("root", "old_root", "entry")
        if name in case
    ]
    for at, value in enumerate(case["proof"]):
        hashes = list(case["proof"])
        hashes[at] = spell(changed(base64.b64decode(value), 7))
        cases.append(case | {"proof": hashes})
    return cases


def test_go_opens_every_checkpoint_of_a_sealed_log(go: Go, published: PublishedLog) -> None:
    cases = [
        note_case(note.encode(), published.text(size), published.key.vkey)
        for size, note in published.checkpoints.items()
    ]

    assert set(go(cases)) == {""}
    assert published.size in published.checkpoints
    assert len(cases) > 10


def test_go_refuses_a_checkpoint_with_any_byte_changed(go: Go, published: PublishedLog) -> None:
    note = published.checkpoints[published.size].encode()
    text, vkey = published.text(published.size), published.key.vkey

    reasons = go([note_case(changed(note, at), text, vkey) for at in range(len(note))])

    taken = [at for at, reason in enumerate(reasons) if not reason]
    # Go reads base64 whose last, unused bits are set; to us only one spelling is canonical.
    assert taken in ([], [len(note) - len("E=\n")])
    for at in taken:
        with pytest.raises(NoteError):
            open_note(changed(note, at).decode(), [published.key])


def test_go_finds_every_entry_under_every_root(go: Go, published: PublishedLog) -> None:
    cases = [
        inclusion_case(published, index, size)
        for size in range(1, published.size + 1)
        for index in range(size)
    ]

    assert set(go(cases)) == {""}


def test_go_refuses_an_inclusion_with_a_byte_changed(go: Go, published: PublishedLog) -> None:
    cases = [
        bad
        for index in range(published.size)
        for bad in damaged(inclusion_case(published, index, published.size))
    ]

    assert "" not in go(cases)


def test_go_refuses_every_changed_byte_of_an_entry(go: Go, published: PublishedLog) -> None:
    entry = published.entries[-1]
    good = inclusion_case(published, published.size - 1, published.size)

    cases = [good | {"entry": spell(changed(entry, at))} for at in range(len(entry))]

    assert "" not in go(cases)


def test_go_finds_every_tree_to_be_a_prefix_of_every_later_one(
    go: Go, published: PublishedLog
) -> None:
    cases = [
        consistency_case(published, old, size)
        for size in range(1, published.size + 1)
        for old in range(1, size + 1)
    ]

    assert set(go(cases)) == {""}


def test_go_refuses_a_consistency_with_a_byte_changed(go: Go, published: PublishedLog) -> None:
    cases = [
        bad
        for old in range(1, published.size)
        for bad in damaged(consistency_case(published, old, published.size))
    ]

    assert "" not in go(cases)


def test_go_reads_the_vectors_as_we_do(
    go: Go, notes_vector: dict[str, Any], log_vector: dict[str, Any]
) -> None:
    checkpoint = notes_vector["checkpoint"]
    good = [
        (notes_vector["note"], notes_vector["vkey"]),
        (checkpoint["good"], checkpoint["vkey"]),
        (checkpoint["good_with_unknown_signer"], checkpoint["vkey"]),
        (log_vector["cosigned"], log_vector["log_vkey"]),
        *((note, log_vector["log_vkey"]) for note in log_vector["checkpoints"].values()),
    ]

    cases = [
        note_case(note.encode(), note.rpartition("\n\n")[0] + "\n", vkey) for note, vkey in good
    ]

    assert set(go(cases)) == {""}
    for note, vkey in good:
        assert is_note(note, vkey)


def test_go_refuses_the_notes_of_the_vectors_that_are_no_notes(
    go: Go, notes_vector: dict[str, Any]
) -> None:
    checkpoint = notes_vector["checkpoint"]
    bad = {name: (note, notes_vector["vkey"]) for name, note in notes_vector["must_fail"].items()}
    bad |= {name: (note, checkpoint["vkey"]) for name, note in checkpoint["must_fail"].items()}

    cases = [
        note_case(note.encode(), note.rpartition("\n\n")[0] + "\n", vkey)
        for note, vkey in bad.values()
    ]
    taken = {name for name, reason in zip(bad, go(cases), strict=True) if not reason}
    taken_by_us = {name for name, (note, vkey) in bad.items() if is_note(note, vkey)}

    # What both take is a whole note that is well signed, and whose text is no checkpoint: a later
    # step of ours. Of two signatures by one key Go looks at the first alone; we look at each.
    assert taken - taken_by_us == {"bad signature beside a good one"}
    assert taken_by_us <= taken
    assert len(set(bad) - taken) >= 8


def is_note(note: str, vkey: str) -> bool:
    """Tell whether our own code takes a note."""
    try:
        open_note(note, [Verifier.parse(vkey)])
    except NoteError:
        return False
    return True


def test_go_reads_the_proofs_of_the_vectors(go: Go, log_vector: dict[str, Any]) -> None:
    entries = [entry.encode() for entry in log_vector["entries"]]
    assert [leaf_hash(entry).hex() for entry in entries] == log_vector["leaves"]
    key = Verifier.parse(log_vector["log_vkey"])
    checkpoints = {int(size): note for size, note in log_vector["checkpoints"].items()}
    log = PublishedLog(key, entries, checkpoints)

    for size, root in log_vector["roots"].items():
        assert log.root(int(size)).hex() == root
    cases = [inclusion_case(log, index, log.size) for index in range(log.size)]
    cases += [consistency_case(log, old, log.size) for old in range(1, log.size)]
    assert set(go(cases)) == {""}
