"""Where a fuzzer begins: a few tapes for each target, by its valid examples and named changes."""

from collections.abc import Iterator, Mapping, Sequence

from tests.fuzz import bundles, documents, entries, notes, proofs, sealers
from tests.fuzz.tape import CHANGES, RAW, WORDS, script

_ONES = tuple((how, 7 * number + 3, number) for number, how in enumerate(CHANGES))
_WORD = WORDS.index


def _whole(count: int, *head: int) -> Iterator[bytes]:
    """Yield the tape of each example as it is."""
    for example in range(count):
        yield bytes(head) + script(example)


def _changed(*head: int) -> Iterator[bytes]:
    """Yield the tape of the first example after each change."""
    for one in _ONES:
        yield bytes(head) + script(0, one)


def _raw(examples: Sequence[bytes], *head: int) -> Iterator[bytes]:
    for example in examples:
        yield bytes([*head, RAW]) + example


def _documents() -> Iterator[bytes]:
    for number, document in enumerate(documents.DOCUMENTS):
        yield from _whole(len(document.examples), number)
        yield from _changed(number)


def _fold() -> Iterator[bytes]:
    for history, rows in enumerate(entries.HISTORIES):
        yield bytes([history, len(rows)])
        for number in range(len(entries.TYPES)):
            yield bytes([history, len(rows), number, 0])
            yield bytes([history, len(rows) // 2, number, 1, 1, 1, 1, 1])


def _bundle() -> Iterator[bytes]:
    yield from _whole(len(bundles.BUNDLES), 0)
    yield from _changed(0)
    for which in range(len(bundles.BUNDLES)):
        for member in range(16):
            yield bytes([1, which, member]) + script(0)
            yield bytes([1, which, member]) + script(0, ("flip", 60 * member, 1))
        yield bytes([2, which]) + script(0)
        yield bytes([2, which]) + script(0, ("replace_token", 9, _WORD(b"[]")))
        yield bytes([3, which, (which + 1) % len(bundles.BUNDLES), 1, 2, 1, 3])


def _wire() -> Iterator[bytes]:
    yield from _whole(len(sealers.REQUESTS), 0)
    yield from _changed(0)
    for reader in range(4):
        yield from _whole(len(sealers.ANSWERS), 1, reader)
    yield from _changed(1, 0)
    yield from _whole(len(sealers.UNLOCKS), 2)
    yield from (bytes([3, number, 17, 33, 65, 66]) for number in range(0, 100, 5))


SEEDS: Mapping[str, Sequence[bytes]] = {
    "canon": [*_whole(len(documents.VALUES)), *_changed(), *_raw(documents.VALUES)],
    "spelling": [*_whole(len(documents.VALUES)), *_changed(), *_raw(documents.VALUES)],
    "documents": [*_documents()],
    "entry": [*_whole(len(entries.ROWS)), *_changed(), *_raw(entries.ROWS[-3:])],
    "fold": [*_fold()],
    "note": [
        *_whole(len(notes.NOTES), 0),
        *_changed(0),
        *(bytes([1, one, 0, 0, 0, 0]) + b"a text" for one in range(4)),
        *(bytes([1, one, 0, 0, 2, 1]) + b"another\n" for one in range(4)),
        *_whole(len(notes.TEXTS), 2),
        *_changed(2),
        *_whole(len(notes.VKEYS), 3),
        *_changed(3),
    ],
    "policy": [
        *_whole(len(notes.POLICIES)),
        *_changed(),
        *_raw([policy.encode() for policy in notes.POLICIES[:2]]),
    ],
    "witness": [
        *(bytes([n]) + script(e) for n in range(7) for e in range(len(notes.REQUESTS))),
        *_changed(2),
        *_raw(notes.REQUESTS[:2], 2),
    ],
    "merkle": [
        *(bytes([kind, size, size // 2, 0]) for kind in (0, 1) for size in (0, 1, 6, 7, 20, 39)),
        *(bytes([kind, 12, 5, 1, how, 1, 9]) for kind in (0, 1) for how in range(6)),
    ],
    "receipt": [
        *(bytes([p, 1, s]) + script(e) for p in range(3) for s in (0, 1) for e in range(5)),
        *_changed(0, 1, 0),
        *_raw(proofs.EXAMPLES[:2], 0, 1, 0),
        *_changed(128, 1, 0, 0),
        *_changed(128, 1, 0, 1),
        *_changed(128, 1, 0, 2),
    ],
    "archive": [
        *(bytes([flags, 2, 0, 3]) + b"abc" + bytes([1, 2]) + b"xy" for flags in range(16)),
        *(bytes([0, 1, name, 1, 65]) for name in range(20)),
    ],
    "bundle": [*_bundle()],
    "package": [
        *_whole(1, 0),
        *_changed(0),
        *_whole(1, 1),
        *_changed(1),
        *(bytes([2, member]) + script(0) for member in range(5)),
        *(tape for member in range(5) for tape in _changed(2, member)),
    ],
    "wire": [*_wire()],
    "frame": [
        bytes([0, 0]) + b"hello",
        bytes([3, 0]) + b"hello",
        bytes([0, 255, 0, 0, 0, 3]) + b"x",
        bytes([0, 200]) + b"\xff\xff\xff\xff",
        bytes([0, 0]),
        bytes([7, 0]),
    ],
}
