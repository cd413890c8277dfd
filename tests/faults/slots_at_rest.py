"""What is at rest of a slot that nobody has opened, as features, and two classifiers on them.

Everything random that a sealed slot depends on has a fixed seed: the seeds and salts of the
lists, the tranche keys and the nonces. What cannot be seeded, the ephemeral keys of HPKE and of
age, is in rows of which each list has one (wrap, sealed design, escrow): the same for all slots
of a list, half of which are of either arm, so none of them can tell one slot from another.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import text

from alloc_service.core.design import Design, Stratum
from alloc_service.core.merkle import HASH_BYTES
from alloc_service.sealing import envelope
from alloc_service.sealing.envelope import BLOB_BYTES
from alloc_service.services import lists
from alloc_service.services.deps import Deps
from alloc_service.trial.definition import as_test, shipped_definition
from tests.faults.life import Home, Life, begin_life, generate_arms

Bits: TypeAlias = npt.NDArray[np.bool_]

LISTS = 10
SLOTS = (128, 128, 128, 128)  # of each list; a power of two, so that its tree is complete
SIZE = sum(SLOTS)
_LEVELS = (1, 2, 3)
_ROOM = 64  # how much longer than a sealed slot a field may be before it is cut


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot as somebody finds it who has the database.

    Attributes:
        rank: Which of its list's rows it is at rest: by its place in the file, or by its ctid.
        nodes: Its sibling's leaf, and the nodes above it in the list's tree.
    """

    list: int
    stratum: int
    slot: int
    rank: int
    leaf: bytes
    blob: bytes
    nodes: tuple[bytes, ...]


class _Row(NamedTuple):
    list: int
    stratum: int
    slot: int
    leaf: bytes
    blob: bytes


def seal_lists(home: Home, patch: pytest.MonkeyPatch) -> tuple[Life, list[tuple[str, ...]]]:
    """Make a trial with sealed lists; return it and the arms of each list, strata in order."""
    # The sealing takes its tranche keys and nonces from the system and offers no other source:
    # whoever runs the service could use one. So the module's own `os` is exchanged, and no other's.
    generator = np.random.default_rng(1_728_727)
    patch.setattr(envelope, "os", SimpleNamespace(urandom=generator.bytes))
    definition = as_test(shipped_definition())
    first, *further = (_fix(definition.design(n + 1, _digits("salt", n))) for n in range(LISTS))
    life = begin_life(home, definition, first, _digits("seed", 0), participants=0)
    deps = life.home.open()
    for n, design in enumerate(further, 1):
        lists.generate(deps, life.people["stat"], design, life.custodians, _digits("seed", n))
    deps.database.dispose()
    arms = [generate_arms(one, _digits("seed", n)) for n, one in enumerate((first, *further))]
    return life, [tuple(arm for stratum in one for arm in stratum) for one in arms]


def read_slots(life: Life) -> list[Slot]:
    """Return every slot, in the order of lists, strata and slots."""
    deps = life.home.open()
    with deps.database.read() as session:
        chosen = "SELECT list_number, stratum, slot, leaf, blob FROM sealed_slot ORDER BY 1, 2, 3"
        rows = [
            _Row(number, stratum, slot, bytes(leaf), bytes(blob))
            for number, stratum, slot, leaf, blob in session.execute(text(chosen))
        ]
        found = session.execute(text("SELECT list_number, level, position, hash FROM list_node"))
        nodes = {(number, level, at): bytes(node) for number, level, at, node in found}
    places = _places_at_rest(deps, life.home, rows)
    deps.database.dispose()
    slots = []
    for first in range(0, len(rows), SIZE):
        ranks = _ranks(places[first : first + SIZE])
        nodes |= {(rows[first].list, 0, at): rows[first + at].leaf for at in range(SIZE)}
        for at, row in enumerate(rows[first : first + SIZE]):
            above = _nodes(nodes, row.list, at)
            slots.append(
                Slot(row.list, row.stratum, row.slot, ranks[at], row.leaf, row.blob, above)
            )
    return slots


def features_of(slots: Sequence[Slot]) -> Bits:
    """Return the features: a row a slot, a column a bit.

    Bytes and lengths of ciphertext and commitment, the nodes of the list's tree beside and
    above it, list, stratum and slot number, the slot number's rest for every size that a block
    can well have, and the order of the rows at rest.
    """
    return np.stack([np.unpackbits(np.frombuffer(_spell(slot), np.uint8)) for slot in slots]) > 0


def learn_by_bits(seen: Bits, arms: Bits) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weights and the bias of naive Bayes over independent bits, with add-one."""
    some = [(seen[arms == arm].sum(axis=0) + 1) / ((arms == arm).sum() + 2) for arm in (0, 1)]
    ones = np.log(some[1] / some[0])
    zeros = np.log((1 - some[1]) / (1 - some[0]))
    return ones - zeros, float(zeros.sum())


def predict_by_bits(seen: Bits, arms: Bits, unseen: Bits) -> Bits:
    """Predict the arms of slots from others whose arms are known, by naive Bayes."""
    weights, bias = learn_by_bits(seen, arms)
    return np.asarray(unseen @ weights + bias > 0)


def predict_by_likeness(seen: Bits, arms: Bits, unseen: Bits) -> Bits:
    """Predict the arm that the most alike of the known slots has: the least bits differ."""
    signs = [np.where(bits, 1, -1).astype(np.float32) for bits in (seen, unseen)]
    return np.asarray(arms[np.argmax(signs[1] @ signs[0].T, axis=1)])


def _fix(design: Design) -> Design:
    strata = zip(design.strata, SLOTS, strict=True)
    return replace(design, strata=tuple(Stratum(item.code, slots) for item, slots in strata))


def _digits(what: str, number: int) -> str:
    return hashlib.sha256(f"{what} of list {number}".encode()).hexdigest()


def _places_at_rest(deps: Deps, home: Home, rows: Sequence[_Row]) -> list[tuple[int, ...]]:
    """Return where each row lies: its offset in the SQLite file, or PostgreSQL's ctid."""
    if deps.database.dialect == "sqlite":
        deps.database.dispose()  # with its last connection, the write-ahead log is gone too
        return list(_find_all(home.database_file, [row.blob for row in rows]))
    chosen = "SELECT ctid::text FROM sealed_slot ORDER BY list_number, stratum, slot"
    with deps.database.read() as session:
        found = session.scalars(text(chosen)).all()
    return [tuple(int(part) for part in re.findall(r"\d+", place)) for place in found]


def _find_all(path: Path, blobs: Sequence[bytes]) -> list[tuple[int, ...]]:
    places: list[tuple[int, ...]] = []
    data, last = path.read_bytes(), 0
    for blob in blobs:
        at = data.find(blob, last)
        last = at if at >= 0 else data.find(blob)
        assert last >= 0, "a row that is not in the file"
        places.append((last,))
    return places


def _ranks(places: Sequence[tuple[int, ...]]) -> list[int]:
    order = sorted(range(len(places)), key=places.__getitem__)
    ranks = [0] * len(places)
    for rank, at in enumerate(order):
        ranks[at] = rank
    return ranks


def _nodes(nodes: dict[tuple[int, int, int], bytes], number: int, at: int) -> tuple[bytes, ...]:
    above = (nodes[number, level, at >> level] for level in _LEVELS)
    return nodes[number, 0, at ^ 1], *above


def _spell(slot: Slot) -> bytes:
    """Return a slot in bytes, each field in columns of its own."""
    numbers = [len(slot.blob), len(slot.leaf), slot.list, slot.stratum, slot.slot, slot.rank]
    rests = [int(slot.slot % size == rest) for size in range(2, 13) for rest in range(size)]
    ahead = [int(slot.rank > slot.slot + sum(SLOTS[: slot.stratum]))]
    return b"".join((
        slot.blob[: BLOB_BYTES + _ROOM].ljust(BLOB_BYTES + _ROOM, b"\x00"),
        slot.leaf[:HASH_BYTES].ljust(HASH_BYTES, b"\x00"),
        *slot.nodes,
        *(number.to_bytes(2, "big") for number in numbers),
        bytes([*rests, *ahead]),
    ))  # fmt: skip
